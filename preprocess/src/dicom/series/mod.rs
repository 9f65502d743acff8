//! Files to volumes: grouping, order, spacing and tilt decided by geometry alone.
//!
//! Slices are ordered along the normal of their plane (row × column), never by file name or
//! Instance Number; the step between slices is the difference of their positions, never a thickness
//! attribute. What is irregular is an error unless the caller says what to do.

mod deskew;
mod grid;
mod mosaic;
mod scan;

pub use grid::{Irregular, Placed};

use super::files;
use crate::limits::Limits;
use loupe_core::media::MediaError;
use loupe_core::volume::{Modality, Volume};
use loupe_core::window::Window;
use scan::Group;
use std::io::Read;
use std::path::Path;

/// What to do where a series is not what a volume needs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Missing or irregular slices.
    pub irregular: Irregular,
    /// Use one slice of each position when a position occurs more than once for no reason that the
    /// attributes give. Off, duplicates are an error.
    pub drop_duplicates: bool,
    /// Resample a tilted acquisition to perpendicular slices instead of keeping the shear.
    pub deskew: bool,
    /// Largest share of the median step by which a step may differ from it.
    pub tolerance: f64,
    /// Bounds on memory.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            irregular: Irregular::Refuse,
            drop_duplicates: false,
            deskew: false,
            tolerance: 0.01,
            limits: Limits::default(),
        }
    }
}

/// What a series holds.
pub enum Content {
    /// One volume for each phase (time point, echo, b-value): one for an ordinary scan.
    Volumes(Vec<Volume>),
    /// Frames without a common geometry: projections, ultrasound, cine, captures. Each with the file
    /// it is in and its number there.
    Frames(Vec<(files::Blob, usize)>),
}

/// Slices or frames that belong together.
pub struct Series {
    /// What took it.
    pub modality: Modality,
    /// Files it is spread over.
    pub files: usize,
    /// Frames over all files.
    pub frames: usize,
    /// Rows and columns of a frame.
    pub size: [usize; 2],
    /// The first usable window of the first file.
    pub window: Option<Window>,
    /// The images, or why they do not make a volume.
    pub content: Result<Content, MediaError>,
    /// What was assumed or done, in words.
    pub notes: Vec<String>,
}

/// Reads every series in a folder, zip archive, DICOMDIR or file. A series that makes no volume
/// carries its error; the others are not touched by it.
///
/// # Errors
/// When the path cannot be read or holds no DICOM image.
pub fn load_folder(path: &Path, options: &Options) -> Result<Vec<Series>, MediaError> {
    let groups = scan::groups(files::collect(path, &options.limits)?, &options.limits)?;
    Ok(groups.into_iter().flat_map(|group| load(&group, options)).collect())
}

/// The one series of a path that makes volumes; frames beside it (localisers without a position,
/// captures) are left out.
///
/// # Errors
/// When there is none or more than one, naming what was found, or the series is irregular.
pub fn load_series(path: &Path, options: &Options) -> Result<(Vec<Volume>, Series), MediaError> {
    let mut found: Vec<(Vec<Volume>, Series)> = Vec::new();
    let mut first_error = None;
    for mut series in load_folder(path, options)? {
        match std::mem::replace(&mut series.content, Ok(Content::Frames(Vec::new()))) {
            Ok(Content::Volumes(volumes)) => found.push((volumes, series)),
            Ok(Content::Frames(_)) => {}
            Err(e) => {
                first_error.get_or_insert(e);
            }
        }
    }
    match (found.len(), first_error) {
        (1, _) => found.pop().ok_or_else(|| MediaError::View("no volume".to_owned())),
        (0, Some(e)) => Err(e),
        (0, None) => Err(MediaError::View("no volume in it, only frames".to_owned())),
        (n, _) => Err(MediaError::View(format!("{n} series in it; name the folder or files of one"))),
    }
}

/// The single volume of a path that holds exactly one.
///
/// # Errors
/// As [`load_series`], and when the series has several phases.
pub fn load_volume(path: &Path, options: &Options) -> Result<(Volume, Vec<String>), MediaError> {
    let (mut volumes, series) = load_series(path, options)?;
    match (volumes.pop(), volumes.len()) {
        (Some(volume), 0) => Ok((volume, series.notes)),
        (_, others) => Err(MediaError::View(format!("{} phases in it; choose one", others + 1))),
    }
}

/// Does a folder hold DICOM files? Looks at the beginnings of the first few.
pub fn is_series_folder(folder: &Path, limits: &Limits) -> bool {
    let begins = |blob: &files::Blob| {
        let files::Blob::File(path) = blob else { return false };
        let mut head = Vec::new();
        let read = std::fs::File::open(path).and_then(|f| f.take(4096).read_to_end(&mut head));
        read.is_ok() && crate::dicom::parse::looks_like_dicom(&head)
    };
    files::collect(folder, limits).is_ok_and(|blobs| blobs.iter().take(8).any(begins))
}

/// A group as one series, or as several when irregular steps are to be split.
fn load(group: &Group, options: &Options) -> Vec<Series> {
    let series = |content, notes| Series {
        modality: group.modality,
        files: group.blobs.len(),
        frames: group.slices.len(),
        size: group.size,
        window: group.window,
        content,
        notes,
    };
    if !group.makes_volumes() {
        let frames = group.slices.iter().filter_map(|s| Some((group.blobs.get(s.blob)?.clone(), s.frame)));
        return vec![series(Ok(Content::Frames(frames.collect())), group.notes.clone())];
    }
    match grid::arrange(&group.slices, options) {
        Err(e) => vec![series(Err(e), group.notes.clone())],
        Ok(parts) => parts
            .into_iter()
            .map(|placed| {
                let mut notes = group.notes.clone();
                notes.extend(placed.notes.iter().cloned());
                let volumes = placed.phases.iter().map(|phase| {
                    let volume = grid::fill(group, phase, &placed, options)?;
                    if options.deskew { deskew::deskew(&volume, &options.limits) } else { Ok(volume) }
                });
                series(volumes.collect::<Result<Vec<_>, _>>().map(Content::Volumes), notes)
            })
            .collect(),
    }
}
