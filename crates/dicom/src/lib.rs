//! DICOM data sets: parsed as files are, looked into, changed, de-identified and written. No pixels are decoded.
//!
//! The reader is our own: it keeps what a damaged file still holds and never allocates what a header merely
//! claims. Tags and dictionary are those of `dicom-rs`, and files are written through its `dicom-object`.
//!
//! ```
//! use loupe_core::DecodeLimits;
//! use loupe_dicom::{Dataset, Object, parse, tags, write};
//!
//! # fn main() -> Result<(), loupe_core::MediaError> {
//! let mut data = Dataset::default();
//! data.put_text(tags::MODALITY, "CT");
//! data.put_decimals(tags::PIXEL_SPACING, &[0.7, 0.7]);
//! let bytes = write::file(&Object::new(data))?;
//!
//! let object = parse::parse(bytes, &DecodeLimits::default())?;
//! assert_eq!(object.data.text(tags::MODALITY).as_deref(), Some("CT"));
//! assert_eq!(object.data.vector(tags::PIXEL_SPACING), Some([0.7, 0.7]));
//! assert_eq!(object.data.number(tags::ROWS), None);
//! # Ok(())
//! # }
//! ```

pub mod charset;
pub mod deid;
pub mod functional;
pub mod object;
pub mod parse;
pub mod plane;
pub mod private;
pub mod syntax;
pub mod uid;
pub mod values;
pub mod write;

pub use dicom_core::{Tag, VR};
pub use dicom_dictionary_std::tags;
pub use object::{Dataset, Element, Object, Slice, Value};
