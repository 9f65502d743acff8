//! What the DICOM exporters share: the objects that findings lie on, and the parts that every derived object has.

pub mod codes;
pub(crate) mod content;
pub mod derived;
pub(crate) mod places;
pub mod segments;
pub mod source;

pub use codes::code_of;
pub use derived::{Author, DerivedKind};
pub use segments::{SegmentMasks, segments_of_findings, segments_of_labels};
pub use source::{FrameMap, FrameRef, SourceError, SourceFile, SourceStudy};
