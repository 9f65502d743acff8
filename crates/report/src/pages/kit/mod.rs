//! What every page is made of: its frame, and pictures within its size.

pub mod html;
pub mod plot;
pub(super) mod store;
mod values;
