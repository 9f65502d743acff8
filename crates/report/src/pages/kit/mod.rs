//! What every page is made of: its frame, pictures within its size, plots, and the viewer of slices.

pub mod html;
pub mod place;
pub mod plot;
pub mod series;
pub mod shell;
pub mod slices;
pub(crate) mod store;
mod values;
