//! The words every part of loupe shares.
//!
//! Plain data and traits only: no tensors, no devices, no file formats. Pictures and volumes
//! ([`media`]), the frames they live in ([`geometry`]), what is asked of a model and what it says
//! ([`ask`]), what a dataset holds and a metric returns ([`sample`]), and the traits that the other
//! crates implement ([`seam`]).

pub mod ask;
pub mod dialect;
pub mod follow;
pub mod geometry;
pub mod mask;
pub mod media;
pub mod picture;
pub mod sample;
pub mod seam;
pub mod trace;
pub mod volume;
pub mod window;
pub mod words;

pub use ask::{Ask, Counts, Limits, Part, Reply, Role, Sampling, Stop, Timing, TokenLogprob, Turn};
pub use geometry::{Box2, Given, LpsFromIndex, LpsFromPlane, Map2, ModelInput, Point2, Source};
pub use mask::{LabelVolume, Mask};
pub use media::{MediaError, MediaRef, MediaSource, Plane, SliceAt, View};
pub use picture::{Origin, Picture};
pub use sample::{Choice, Labelled, MeasureUnit, Measurement, Prediction, Sample, Score, Target};
pub use seam::{
    DataError, Dataset, DatasetInfo, EncodedText, Hint, Intensities, MediaLoader, Metric, ModelError,
    ModelInfo, ReplySink, ResampleError, Resampler, Segment, SegmentError, Segmenter, TextEncoder,
    VisionLanguageModel, VolumeSegmenter,
};
pub use trace::Trace;
pub use volume::{Modality, Volume};
pub use window::{Window, WindowFunction};
