//! Folders of numbered pictures: frames of a video or an exported stack.

use loupe_core::limits::{DecodeLimits, io_error};
use loupe_core::media::{MediaError, View};
use loupe_core::picture::Picture;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

const ENDINGS: [&str; 11] = ["png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp", "gif", "pgm", "ppm", "pnm"];

/// Has the name of the file an ending of pictures?
pub(crate) fn is_named_as_picture(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|e| ENDINGS.contains(&e.as_str()))
}

/// The picture files of a folder in reading order: numbers in names count as numbers, so that
/// `frame_2` comes before `frame_10`. Hidden files are left out.
///
/// # Errors
/// When the folder cannot be read.
pub fn frame_files(folder: &Path) -> Result<Vec<PathBuf>, MediaError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| io_error(&e))? {
        let path = entry.map_err(|e| io_error(&e))?.path();
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if !hidden && is_named_as_picture(&path) && path.is_file() {
            files.push(path);
        }
    }
    files.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(files)
}

/// Frame `view.frame` (the first when not given) of the files of a folder ([`frame_files`]).
///
/// # Errors
/// When the folder has no such frame or it cannot be decoded.
pub fn open_frame(files: &[PathBuf], view: &View, limits: &DecodeLimits) -> Result<Picture, MediaError> {
    let frame = view.frame.unwrap_or(0);
    let file = files.get(frame).ok_or_else(|| match files.len() {
        0 => MediaError::UnknownFormat("the folder holds neither pictures nor DICOM files".into()),
        n => MediaError::View(format!(
            "frame {frame} was asked for, but the folder has {n} pictures (counted from 0)"
        )),
    })?;
    let inner = View { frame: None, ..view.clone() };
    let mut picture = super::decode(&limits.read_file(file)?, &inner, limits)?;
    picture.origin.frame = Some(frame);
    Ok(picture)
}

/// Compares texts with runs of digits as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let key = |text: &str| {
        let mut parts: Vec<(u8, String)> = Vec::new();
        for c in text.chars() {
            let kind = u8::from(!c.is_ascii_digit());
            match parts.last_mut() {
                Some((last, part)) if *last == kind => part.push(c),
                _ => parts.push((kind, c.to_string())),
            }
        }
        parts
    };
    let (left, right) = (key(a), key(b));
    for ((kind, l), (other, r)) in left.iter().zip(&right) {
        let order = match (kind, other) {
            (0, 0) => {
                let (l, r) = (l.trim_start_matches('0'), r.trim_start_matches('0'));
                l.len().cmp(&r.len()).then_with(|| l.cmp(r))
            }
            _ => kind.cmp(other).then_with(|| l.cmp(r)),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}
