//! Files to volumes: grouping, order, spacing and tilt decided by geometry alone.
//!
//! Slices are ordered along the normal of their plane (row × column), never by file name or
//! Instance Number; the step between slices is the difference of their positions, never a thickness
//! attribute. What is irregular is an error unless the caller says what to do.

mod about;
mod deskew;
mod grid;
mod listing;
mod mosaic;
mod options;
mod scan;

pub use about::PhaseFact;
pub use grid::{Phase, SliceGrid};
pub use listing::{SeriesEntry, list};
pub use options::{Irregular, Options};

use super::files;
use loupe_core::files::open_regular;
use loupe_core::media::MediaError;
use loupe_core::volume::{Modality, Volume};
use scan::Group;
use std::io::Read;
use std::path::Path;

/// What a series holds.
pub enum Content {
    /// One volume for each phase (time point, echo, b-value): one for an ordinary scan.
    Volumes(Vec<Phase>),
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
    /// Number type and transfer syntax of the first file.
    pub stored: String,
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
    load_all(files::collect(path, &options.limits)?, options)
}

/// [`load_folder`] of files at hand.
///
/// # Errors
/// When none of them is a DICOM image.
pub fn load_all(blobs: Vec<files::Blob>, options: &Options) -> Result<Vec<Series>, MediaError> {
    let groups = scan::groups(blobs, &options.limits)?;
    Ok(groups.into_iter().flat_map(|group| load(&group, options)).collect())
}

/// The one series of a path; see [`choose`].
///
/// # Errors
/// As [`choose`], and when the path cannot be read.
pub fn load_one(path: &Path, options: &Options) -> Result<(Content, Series), MediaError> {
    choose(files::collect(path, &options.limits)?, options)
}

/// The series that [`Options::series`] names; without it the one that makes volumes (frames beside it,
/// such as localisers without a position, are left out), or the only one there is.
///
/// # Errors
/// When there is none or more than one, saying how many, or the series is irregular.
pub fn choose(blobs: Vec<files::Blob>, options: &Options) -> Result<(Content, Series), MediaError> {
    let split = |mut series: Series| {
        let content = std::mem::replace(&mut series.content, Ok(Content::Frames(Vec::new())))?;
        Ok((content, series))
    };
    if let Some(n) = options.series {
        // The others are not decoded.
        let mut count = 0;
        for group in scan::groups(blobs, &options.limits)? {
            let parts = parts(&group, options);
            if n < count + parts
                && let Some(series) = load(&group, options).into_iter().nth(n - count)
            {
                return split(series);
            }
            count += parts;
        }
        return Err(MediaError::View(format!(
            "series {n} was asked for, but there are {count} (counted from 0)"
        )));
    }
    let mut all = load_all(blobs, options)?;
    let count = all.len();
    let kind = |wanted: fn(&Series) -> bool| all.iter().filter(|s| wanted(s)).count();
    let volumes = kind(|s| matches!(s.content, Ok(Content::Volumes(_))));
    let broken = kind(|s| s.content.is_err());
    let at = match (volumes, broken, count) {
        (1, ..) => all.iter().position(|s| matches!(s.content, Ok(Content::Volumes(_)))),
        (0, 1.., _) => all.iter().position(|s| s.content.is_err()),
        (0, 0, 1) => Some(0),
        _ => None,
    };
    match at {
        Some(at) => split(all.swap_remove(at)),
        None => Err(MediaError::View(format!(
            "{count} series in it; choose one with --series (`loupe inspect` lists them)"
        ))),
    }
}

/// The volumes of the one series of a path.
///
/// # Errors
/// As [`load_one`], and when it makes no volume.
pub fn load_series(path: &Path, options: &Options) -> Result<(Vec<Volume>, Series), MediaError> {
    match load_one(path, options)? {
        (Content::Volumes(phases), series) => {
            Ok((phases.into_iter().map(|phase| phase.volume).collect(), series))
        }
        (Content::Frames(_), _) => Err(no_volume()),
    }
}

/// What frames without a place are not good for.
pub(crate) fn no_volume() -> MediaError {
    MediaError::View(
        "no volume in it, only frames without a place in space; choose one with --frame".to_owned(),
    )
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

/// Are there DICOM files in a folder? Looks at the beginnings of the first few, and of the first few that are not named
/// as pictures, so that many pictures beside a series do not hide it.
pub fn is_series(listed: &[files::Blob]) -> bool {
    let begins = |blob: &files::Blob| {
        let files::Blob::File(path) = blob else { return false };
        let mut head = Vec::new();
        let read = open_regular(path).and_then(|f| f.take(4096).read_to_end(&mut head));
        read.is_ok() && files::begins_as_dicom(&head)
    };
    let unlike_pictures = |blob: &&files::Blob| match blob {
        files::Blob::File(path) => !crate::picture_io::is_named_as_picture(path),
        files::Blob::Memory(_) => true,
    };
    listed.iter().take(8).any(begins) || listed.iter().filter(unlike_pictures).take(8).any(begins)
}

/// How many series a group is.
fn parts(group: &Group, options: &Options) -> usize {
    match group.makes_volumes() {
        true => grid::arrange(&group.slices, options).map_or(1, |parts| parts.len()),
        false => 1,
    }
}

/// A group as one series, or as several when irregular steps are to be split.
fn load(group: &Group, options: &Options) -> Vec<Series> {
    let series = |content, notes| Series {
        modality: group.modality,
        files: group.blobs.len(),
        frames: group.slices.len(),
        size: group.size,
        stored: group.stored.clone(),
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
                    let phase = grid::fill(group, phase, &placed, options)?;
                    if options.deskew { deskew::deskew(phase, &options.limits) } else { Ok(phase) }
                });
                series(volumes.collect::<Result<Vec<_>, _>>().map(Content::Volumes), notes)
            })
            .collect(),
    }
}
