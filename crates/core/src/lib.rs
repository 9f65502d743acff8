//! The words every part of loupe shares.
//!
//! Plain data and traits only: no tensors, no devices, no file formats. Pictures and volumes
//! ([`media`]), the frames they live in ([`geometry`]), what is asked of a model and what it says
//! ([`ask`]), what it points at ([`finding`]), what a dataset holds and a metric returns ([`sample`]), and
//! the traits that the other crates implement: [`model`], [`answer`], [`segmenter`], [`encoder`], [`dataset`],
//! [`loader`], [`metric`].
//!
//! A box on an enlarged part of a slice, in pixels of the slice and in the patient:
//!
//! ```
//! use loupe_core::{Box2, Finding, LpsFromIndex, Origin, Picture};
//!
//! // A slice of 0.5 mm pixels at z = 30 mm, and the part of it that a model was shown.
//! let volume = LpsFromIndex::from_columns([0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 3.0], [-32.0, -32.0, 30.0]);
//! let origin = Origin {
//!     spacing_mm: Some([0.5, 0.5]),
//!     lps_from_source: Some(volume.plane(0.0)),
//!     ..Origin::of_size(128, 128)
//! };
//! let slice = Picture::new(128, 128, 1, vec![0; 128 * 128])?.with_origin(origin);
//! let part = slice.crop(Box2::new(40.0, 40.0, 104.0, 104.0))?;
//!
//! let nodule = Finding::region(0, Box2::new(10.0, 10.0, 18.0, 16.0), part.origin.clone());
//! let in_slice = nodule.source_box().ok_or("no box")?;
//! assert_eq!(in_slice.xyxy(), [50.0, 50.0, 58.0, 56.0]);
//! assert_eq!(nodule.size_mm(), Some([4.0, 3.0]));
//! assert!(nodule.centre_lps_mm().is_some_and(|[_, _, z]| z == 30.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod answer;
pub mod ask;
pub mod available;
pub mod columns;
pub mod dataset;
pub mod dialect;
mod diameter;
pub mod distance;
pub mod encoder;
pub mod failure;
pub mod fetch;
pub mod files;
pub mod finding;
mod formed;
pub mod geometry;
pub mod guard;
pub mod json_schema;
pub mod labels;
pub mod lattice;
pub mod limits;
pub mod loader;
pub mod mask;
pub mod measure;
pub mod media;
pub mod metric;
pub mod model;
pub mod picture;
pub mod reasoning;
pub mod region;
pub mod registry;
pub mod reply_form;
pub mod saliency;
pub mod sample;
pub mod sandbox;
pub mod segmenter;
pub mod served;
pub mod shape;
pub mod study;
pub mod table;
pub mod text_form;
pub mod trace;
mod turns;
pub mod volume;
pub mod window;
pub mod words;

pub use answer::{Answer, AnswerSink, Answerer, Direct, NextWork, Work, WorkSource};
pub use ask::{
    Ask, Counts, GenerationLimits, OptionScore, OptionScores, Part, Reply, Role, Sampling, Stop, Timing,
    TokenLogprob, Turn,
};
pub use columns::{Cells, Column, Columns};
pub use dataset::{DataError, Dataset, DatasetInfo, Spot};
pub use encoder::{EncodedText, PairEncoder, PairLogit, PairReading, TextEncoder};
pub use failure::{Failure, Retry};
pub use fetch::{FetchError, MediaFetcher};
pub use finding::{Finding, Place};
pub use formed::{braced_json, json_in};
pub use geometry::{Box2, Given, LpsFromIndex, LpsFromPlane, Map2, ModelInput, Point2, Source};
pub use json_schema::{JsonSchema, SchemaError};
pub use labels::{CodedConcept, Label, LabelledMasks};
pub use lattice::{Grid, Lattice};
pub use limits::DecodeLimits;
pub use loader::{DisplayMaterial, Intensities, MediaLoader, ResampleError, Resampler};
pub use mask::{LabelVolume, Mask};
pub use media::{MediaError, MediaRef, MediaSource, Plane, SliceAt, View};
pub use metric::Metric;
pub use model::{
    AskId, AskSource, CheckpointRecord, GenerationDefaults, Go, ModelError, ModelInfo, Next, Provenance,
    ReplySink, VisionLanguageModel,
};
pub use picture::{Origin, Picture, PictureRecord};
pub use region::Region;
pub use registry::{Named, Registry, UnknownName};
pub use reply_form::{JsonForm, ReplyForm};
pub use saliency::{Bottleneck, Saliency, SaliencyMap, SalientPart};
pub use sample::{Choice, Labelled, MeasureUnit, Measurement, Prediction, Sample, Score, Target};
pub use segmenter::{Segment, SegmentError, SegmentPrompt, Segmenter, VolumeSegmenter};
pub use served::{OptionsFrom, SentPicture, ServedRecord, ServedToken};
pub use study::Study;
pub use table::Table;
pub use trace::{MaskTrace, Record, Trace};
pub use volume::{Modality, Volume};
pub use window::{Window, WindowFunction};
