//! How models write boxes, points and counts, and the way back to pixels.
//!
//! A [`Dialect`] is a *syntax* (which characters surround the numbers), *units* (what the numbers
//! measure) and an axis *order*. A model family or a protocol declares its dialect by name; nothing
//! is ever guessed from the size of the numbers. Reading is strict about what it accepts, mends
//! what real replies get wrong, and names every [`Repair`] and every [`Refusal`].

mod box_tags;
mod box_tokens;
mod entry;
mod json;
mod loc_tokens;
mod numbers;
mod objects;
mod parsed;
mod table;
mod units;

pub use entry::{Dialect, PlacedFindings, SpokenPicture, Syntax};
pub use loc_tokens::LocShape;
pub use objects::{Envelope, Keys};
pub use parsed::{Order, Parsed, Readability, Refusal, Repair, SpokenBox, SpokenCount, SpokenPoint};
pub use table::{DIALECTS, dialect};
pub use units::{PictureSizes, Spoken, Units, letterbox};
