//! What an exporter is.

use crate::dicom::segments::SegmentsError;
use crate::dicom::{Author, SourceError, SourceStudy};
use crate::encode::EncodeError;
use loupe_core::labels::LabelledMasks;
use loupe_core::picture::PictureError;
use loupe_core::registry::Named;
use loupe_core::{Finding, MediaError, Origin, Picture};
use thiserror::Error;

/// An image that was looked at, whether anything was found on it or not: its place in the list is its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExportImage<'a> {
    /// The dataset's or user's name for the image, with frame, plane and slice where it is a view of a volume.
    pub name: &'a str,
    /// Width and height of the source in pixels.
    pub size: [usize; 2],
    /// The whole view; where it came from and where it lies. None where only findings are known.
    pub origin: Option<&'a Origin>,
    /// Numbers of the objects of the study that the image is stored in.
    pub files: &'a [usize],
}

impl<'a> ExportImage<'a> {
    /// An image of which nothing else is known.
    pub fn new(name: &'a str, size: [usize; 2]) -> Self {
        Self { name, size, origin: None, files: &[] }
    }
}

/// A finding with the name of its image.
#[derive(Debug, Clone, Copy)]
pub struct ImageFinding<'a> {
    /// The dataset's or user's name for the image.
    pub image: &'a str,
    /// What was found on it.
    pub finding: &'a Finding,
}

/// How membership of segments is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SegmentKind {
    /// A bit a pixel; segments may overlap.
    #[default]
    Binary,
    /// A byte a pixel, 255 inside.
    Fractional,
    /// The number of the segment; segments must not overlap.
    LabelMap,
}

/// What may be chosen.
#[derive(Debug, Clone, Default)]
pub struct ExportOptions {
    /// How segments are stored.
    pub segments: SegmentKind,
    /// Write only frames with content. All frames are written otherwise, so that any reader can put them on the grid
    /// of the series.
    pub used_frames: bool,
    /// A PDF file to be put into the study.
    pub pdf: Option<Vec<u8>>,
}

/// Gives the picture of an image by its number in [`Export::images`], as it was shown.
pub type Pictures<'a> = dyn Fn(usize) -> Result<Picture, MediaError> + 'a;

/// Everything that an exporter may need.
pub struct Export<'a> {
    /// The images that were looked at.
    pub images: &'a [ExportImage<'a>],
    /// What was found on them.
    pub findings: &'a [ImageFinding<'a>],
    /// What the set says is on them, where it does.
    pub references: &'a [ImageFinding<'a>],
    /// The DICOM objects that the images are stored in, when they are.
    pub study: Option<&'a SourceStudy>,
    /// Labels on the grid of a series, by its Series Instance UID; the findings' masks count without them.
    pub labels: Option<(&'a str, &'a LabelledMasks)>,
    /// Who made the findings.
    pub author: &'a Author,
    /// Pixels.
    pub pictures: &'a Pictures<'a>,
    /// What was chosen.
    pub options: &'a ExportOptions,
}

impl<'a> Export<'a> {
    /// The image of a finding, with its number.
    pub fn image_of(&self, finding: &ImageFinding<'_>) -> Option<(usize, &ExportImage<'a>)> {
        self.images.iter().enumerate().find(|(_, image)| image.name == finding.image)
    }

    /// The study of an exporter that writes into one.
    pub(crate) fn study(&self) -> Result<&'a SourceStudy, ExportError> {
        self.study.filter(|study| !study.files.is_empty()).ok_or(ExportError::NoStudy)
    }
}

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFile {
    /// Its name, perhaps in a folder (`images/0001.png`).
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// What an exporter made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// The files.
    pub files: Vec<ExportFile>,
    /// What is not in them and why, and what else has to be said.
    pub notes: Vec<String>,
}

impl Exported {
    /// One file with nothing to be said.
    pub fn file(name: &str, bytes: Vec<u8>) -> Self {
        Self { files: vec![ExportFile { name: name.to_owned(), bytes }], notes: Vec::new() }
    }
}

/// Why findings could not be exported.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The runs do not fill the size, or the picture has no way back to its source.
    #[error("finding {0} is no mask on its picture")]
    Mask(usize),
    /// The format lives in a study.
    #[error(
        "this format refers to DICOM objects, and the images are stored in none; give them with --source"
    )]
    NoStudy,
    /// There is nothing that the format can hold.
    #[error("there is nothing to write: {0}")]
    Nothing(&'static str),
    /// Segments overlap where a pixel holds one number.
    #[error("segments {0} and {1} overlap, which a label map cannot hold; write binary segments")]
    Overlapping(u32, u32),
    /// A number does not fit.
    #[error("{what} is {got}, and {limit} is the most that the format holds")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// The most there may be.
        limit: usize,
    },
    /// An object that cannot be referred to, or a view that is none of its frames.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Masks that do not lie on the frames.
    #[error(transparent)]
    Segments(#[from] SegmentsError),
    /// An image that cannot be read, or a data set that cannot be written.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// Drawing failed.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A picture that cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The data do not serialise.
    #[error("the findings could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// What an exporter is given at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All images and findings together.
    Everything,
    /// Those of one DICOM study, once for each.
    Study,
}

/// A format that findings can be written in.
pub struct Exporter {
    /// Its name in tables.
    pub name: &'static str,
    /// What it holds and who reads it, in one line.
    pub about: &'static str,
    /// What it is given at a time.
    pub scope: Scope,
    /// The files: every image that was looked at, and what was found.
    pub write: fn(&Export<'_>) -> Result<Exported, ExportError>,
}

impl Named for Exporter {
    fn name(&self) -> &str {
        self.name
    }
}
