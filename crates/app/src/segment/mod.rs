//! Segmentation: objects that prompts describe, whole volumes, and the samples of a run.

mod answerer;
mod chosen;
mod document;
mod drawn;
mod grounder;
mod label_files;
mod objects;
mod prompts;
mod salient;
mod scene;
mod volume;

pub use answerer::{LastMask, SegmenterAnswerer};
pub(crate) use chosen::chosen;
pub use document::{FailedPrompt, ObjectEntry, SegmentDocument};
pub use grounder::{Grounder, LoadedGrounder};
pub use objects::{SegmentOptions, Segmenters, segment_objects};
pub use prompts::{ObjectPrompt, ObjectPrompts};
pub use salient::{SaliencyEntry, SaliencyOptions, SalientEntry};
pub use scene::{ObjectMeasures, SegmentationScene};
pub use volume::{StructureEntry, VolumeDocument, segment_volume};
