//! What every page is made of: its frame, and pictures within its size.

pub(super) mod html;
pub(crate) mod store;
mod values;
