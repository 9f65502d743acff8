//! What every page is made of: its frame, pictures within its size, and the viewer of slices.

pub(super) mod html;
pub mod place;
pub mod series;
pub mod shell;
pub(crate) mod store;
mod values;
