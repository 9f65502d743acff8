//! What people look at: overlays drawn on pictures, one self-contained report page, and exports in
//! the formats that other tools open.
//!
//! Everything here takes plain data from `core` and gives bytes or text back; nothing is fetched,
//! and a page opens from `file://` without a single request.

pub mod coco;
pub mod encode;
pub mod font;
pub mod measure;
pub mod outline;
pub mod overlay;
pub mod page;
mod store;
mod values;

pub use encode::{EncodeError, data_uri, png};
pub use overlay::{Drawing, Style, draw};
pub use page::{Item, Page, PageError};
pub use store::{ImageStore, StoreError};
