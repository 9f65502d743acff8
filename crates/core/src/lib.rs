//! The words every part of loupe shares.
//!
//! Plain data and traits only: no tensors, no devices, no file formats. Pictures and volumes
//! ([`media`]), the frames they live in ([`geometry`]), what is asked of a model and what it says
//! ([`ask`]), what it points at ([`finding`]), what a dataset holds and a metric returns ([`sample`]), and
//! the traits that the other crates implement: [`model`], [`answer`], [`segmenter`], [`encoder`], [`dataset`],
//! [`loader`], [`metric`].

pub mod answer;
pub mod ask;
pub mod dataset;
pub mod dialect;
pub mod distance;
pub mod encoder;
pub mod failure;
pub mod files;
pub mod finding;
pub mod geometry;
pub mod guard;
pub mod limits;
pub mod loader;
pub mod mask;
pub mod measure;
pub mod media;
pub mod metric;
pub mod model;
pub mod picture;
pub mod registry;
pub mod sample;
pub mod segmenter;
pub mod table;
pub mod trace;
pub mod volume;
pub mod window;
pub mod words;

pub use answer::{Answer, AnswerSink, Answerer, Direct, NextWork, Work, WorkSource};
pub use ask::{Ask, Counts, GenerationLimits, Part, Reply, Role, Sampling, Stop, Timing, TokenLogprob, Turn};
pub use dataset::{DataError, Dataset, DatasetInfo};
pub use encoder::{EncodedText, TextEncoder};
pub use failure::{Failure, Retry};
pub use finding::{Finding, Place};
pub use geometry::{Box2, Given, LpsFromIndex, LpsFromPlane, Map2, ModelInput, Point2, Source};
pub use limits::DecodeLimits;
pub use loader::{DisplayMaterial, Intensities, MediaLoader, ResampleError, Resampler};
pub use mask::{LabelVolume, Mask};
pub use media::{MediaError, MediaRef, MediaSource, Plane, SliceAt, View};
pub use metric::Metric;
pub use model::{
    AskId, AskSource, CheckpointRecord, Go, ModelError, ModelInfo, Next, Provenance, ReplySink,
    VisionLanguageModel,
};
pub use picture::{Origin, Picture, PictureRecord};
pub use registry::{Named, Registry, UnknownName};
pub use sample::{Choice, Labelled, MeasureUnit, Measurement, Prediction, Sample, Score, Target};
pub use segmenter::{Segment, SegmentError, SegmentPrompt, Segmenter, VolumeSegmenter};
pub use table::Table;
pub use trace::{MaskTrace, Record, Trace};
pub use volume::{Modality, Volume};
pub use window::{Window, WindowFunction};
