//! Segmentation: objects that prompts describe, whole volumes, and the samples of a run.

mod answerer;
mod chosen;
mod document;
mod drawn;
mod label_files;
mod objects;
mod prompts;
mod scene;
mod volume;

pub use answerer::{LastMask, SegmenterAnswerer};
pub(crate) use chosen::chosen;
pub use document::{FailedPrompt, ObjectEntry, SegmentDocument};
pub use objects::{SegmentOptions, Segmenters, segment_objects};
pub use prompts::{ObjectPrompt, ObjectPrompts};
pub use scene::{ObjectMeasures, SegmentationScene};
pub use volume::{StructureEntry, VolumeDocument, segment_volume};
