//! References to images: what a dataset or a user names, before anything is decoded.

use crate::window::Window;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// The bytes of an image, or where they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    /// One file.
    File(PathBuf),
    /// A folder that holds one DICOM series or the frames of a sequence.
    Folder(PathBuf),
    /// Encoded bytes (from a parquet row, a base64 column, an embedded asset).
    Bytes(#[serde(skip, default = "no_bytes")] Arc<[u8]>),
}

fn no_bytes() -> Arc<[u8]> {
    Arc::from([])
}

/// Anatomical plane, in patient axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plane {
    /// The slices of the file in their order, each turned as a radiologist expects: the patient's right on the
    /// left, front or head at the top. DICOM slices, which viewers show as they are, are not turned.
    #[default]
    Upright,
    /// As stored: the slices of the file, rows and columns as they are.
    Stored,
    /// Normal to the head–foot axis.
    Axial,
    /// Normal to the front–back axis.
    Coronal,
    /// Normal to the left–right axis.
    Sagittal,
    /// Across the volume's axis i, as `array[n, :, :]` of (i, j, k): j downwards, k to the right.
    AcrossI,
    /// Across axis j, as `array[:, n, :]`: i downwards, k to the right.
    AcrossJ,
    /// Across axis k, as `array[:, :, n]`: i downwards, j to the right.
    AcrossK,
}

impl Plane {
    /// As options and records write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upright => "upright",
            Self::Stored => "stored",
            Self::Axial => "axial",
            Self::Coronal => "coronal",
            Self::Sagittal => "sagittal",
            Self::AcrossI => "across_i",
            Self::AcrossJ => "across_j",
            Self::AcrossK => "across_k",
        }
    }
}

/// Which slice of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SliceAt {
    /// Counted from 0 in the order of the volume.
    Index(usize),
    /// As a share of the way through, 0 to 1.
    Share(f64),
    /// The one that holds this millimetre position along the plane's normal.
    Mm(f64),
}

/// How grey levels are made from intensities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowChoice {
    /// A named preset such as `lung`; resolved by `preprocess`.
    Preset(String),
    /// Given numbers; a `LINEAR` window is taken as [`Window::for_values`] says.
    Numbers(Window),
    /// This window by its own formula, as a record has it.
    Exactly(Window),
    /// The n-th window in the file, from 0; of a volume each slice's own.
    Stored(usize),
    /// The median of the n-th windows of all slices or frames, from 0, for all of them.
    Median(usize),
    /// The whole range of the volume (or frame when there is one only).
    FullRange,
    /// From this percentile to that one of the volume's values.
    Percentiles(f64, f64),
}

/// Which part of the image to look at and how; everything optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Frame of a multi-frame file or page of a TIFF, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<usize>,
    /// Slice of a volume; the middle one when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<SliceAt>,
    /// Plane of the slice.
    pub plane: Plane,
    /// Window; what the file recommends for the slice or frame when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowChoice>,
    /// Layer of a file that holds several masks of one volume, counted along its first axis from 0. Masks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
}

/// An image of a sample: where it is, which view of it, and how to name it to people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaRef {
    /// Where the bytes are.
    pub source: MediaSource,
    /// Which part and how.
    #[serde(default)]
    pub view: View,
    /// The dataset's own name for it (image file name, row and column); never read from inside.
    pub name: String,
    /// Width and height in pixels that the set states, in which it counts boxes. A picture of another size, or one
    /// whose EXIF orientation leaves open which frame is meant, is refused when it is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_size: Option<[usize; 2]>,
}

impl MediaRef {
    /// The parts of its name and the last `parts` of its path, without extensions: what may tell whose image it is. Parts of
    /// one or two letters tell nobody.
    pub(crate) fn file_words(&self, parts: usize) -> Vec<String> {
        let path = match &self.source {
            MediaSource::File(path) | MediaSource::Folder(path) => path.as_path(),
            MediaSource::Bytes(_) => Path::new(""),
        };
        let parts = path.iter().rev().take(parts).chain(Path::new(&self.name).iter());
        let stem = |part: &std::ffi::OsStr| {
            let part = part.to_string_lossy();
            part.split('.').next().unwrap_or_default().to_owned()
        };
        parts.map(stem).filter(|word| word.chars().count() > 2).collect()
    }

    /// A whole file under its own name.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Self { source: MediaSource::File(path), view: View::default(), name, stated_size: None }
    }
}

/// Why an image could not be had. Messages name fields, tags and numbers, never contents.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The file is not there.
    #[error("image file not found")]
    NotFound,
    /// The file could not be read.
    #[error("could not read the image file: {0}")]
    Io(String),
    /// The format is none that is known.
    #[error("not an image format that loupe reads ({0})")]
    UnknownFormat(String),
    /// The format is known but this variant is not supported.
    #[error("{what} is not supported: {hint}")]
    Unsupported {
        /// The variant, by its standard name.
        what: String,
        /// What the user can do.
        hint: String,
    },
    /// The contents break the format's rules.
    #[error("{format}: {field}: {problem}")]
    Malformed {
        /// File format.
        format: &'static str,
        /// Tag, header field or chunk.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A limit was met.
    #[error("{what} is {got}, above the limit of {limit}; raise it with {option}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// How much there was.
        got: u64,
        /// How much is allowed.
        limit: u64,
        /// The option that raises the limit.
        option: &'static str,
    },
    /// The system does not give the memory, although the limits allow it.
    #[error("{bytes} bytes of memory could not be had; free some, or give the program more")]
    OutOfMemory {
        /// What was asked for.
        bytes: u64,
    },
    /// The slices do not make a volume.
    #[error("the series has no regular geometry: {0}")]
    Geometry(String),
    /// The view asks for something the image does not have.
    #[error("{0}")]
    View(String),
}
