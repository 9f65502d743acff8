//! Where DICOM files come from: one file, a folder tree, a DICOMDIR, a zip archive.

use crate::volume_io::elements::{is_gzip, unpacked};
use crate::volume_io::read::inside;
use loupe_core::limits::{DecodeLimits, room};
use loupe_core::media::MediaError;
use loupe_dicom::parse;
use loupe_dicom::tags;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most files of a folder or archive.
const MAX_FILES: usize = 200_000;
/// How a zip archive with members begins.
pub(crate) const ZIP: &[u8] = b"PK\x03\x04";
/// Bytes of a member that tell whether it is DICOM.
const HEAD: usize = 4096;
/// Deepest folder below the one that was named.
const MAX_FOLDER_DEPTH: usize = 16;

/// The bytes of a file, on disk or out of an archive.
#[derive(Debug, Clone)]
pub enum Blob {
    /// On disk.
    File(PathBuf),
    /// In memory.
    Memory(Arc<[u8]>),
}

impl Blob {
    /// Its bytes.
    ///
    /// # Errors
    /// When it cannot be read or is larger than the limits.
    pub fn read(&self, limits: &DecodeLimits) -> Result<Vec<u8>, MediaError> {
        match self {
            Self::File(path) => plain(limits.read_file(path)?, limits),
            Self::Memory(bytes) => Ok(bytes.to_vec()),
        }
    }
}

/// `bytes` as they are, or what is packed in them where that is a DICOM file (`.dcm.gz`). Volumes of other formats
/// are unpacked by their own readers.
///
/// # Errors
/// When the file inside is damaged or larger than the limits.
pub fn plain(bytes: Vec<u8>, limits: &DecodeLimits) -> Result<Vec<u8>, MediaError> {
    if !is_gzip(&bytes) || !begins_as_dicom(&bytes) {
        return Ok(bytes);
    }
    // The buffer that grows is copied at most once.
    let most = limits.max_memory_bytes.saturating_sub(bytes.len() as u64) / 2;
    let mut out = Vec::new();
    let read = unpacked(&bytes).take(most.saturating_add(1)).read_to_end(&mut out);
    let damaged = || MediaError::Malformed {
        format: "gzip",
        field: "contents".to_owned(),
        problem: "damaged or cut off".to_owned(),
    };
    let read = read.map_err(|_| damaged())? as u64;
    if read > most {
        limits.together(&[(bytes.len(), 1), (usize::try_from(read).unwrap_or(usize::MAX), 2)])?;
    }
    Ok(out)
}

/// Is the beginning of a file that of DICOM, packed or not?
pub fn begins_as_dicom(head: &[u8]) -> bool {
    if !is_gzip(head) {
        return parse::looks_like_dicom(head);
    }
    let mut start = Vec::new();
    // What is cut off still gives its beginning.
    let _ = unpacked(head).take(4096).read_to_end(&mut start);
    parse::looks_like_dicom(&start)
}

/// All files at `path`, in the order of their names: the file itself, the members of a zip archive,
/// the files that a DICOMDIR names, or everything below a folder.
///
/// # Errors
/// When the path cannot be read, or an archive is damaged or beyond the limits.
pub fn collect(path: &Path, limits: &DecodeLimits) -> Result<Vec<Blob>, MediaError> {
    let facts = std::fs::metadata(path).map_err(|e| loupe_core::limits::io_error(&e))?;
    if facts.is_dir() {
        let mut found = Vec::new();
        walk(path, 0, &mut found)?;
        found.sort();
        return Ok(found.into_iter().map(Blob::File).collect());
    }
    let bytes = limits.read_file(path)?;
    if bytes.starts_with(ZIP) {
        return unzip(bytes, limits);
    }
    if is_directory(path) && parse::looks_like_dicom(&bytes) {
        let folder = path.parent().unwrap_or(Path::new("."));
        return directory(bytes, folder, limits);
    }
    Ok(vec![Blob::File(path.to_owned())])
}

/// The files in `bytes`: the members of a zip archive, or the one file that they are.
///
/// # Errors
/// As [`collect`].
pub fn collect_bytes(bytes: Vec<u8>, limits: &DecodeLimits) -> Result<Vec<Blob>, MediaError> {
    match bytes.starts_with(ZIP) {
        true => unzip(bytes, limits),
        false => Ok(vec![Blob::Memory(plain(bytes, limits)?.into())]),
    }
}

/// Is the file one that lists others, by the name that the standard fixes (PS3.10 8.6)?
pub fn is_directory(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.eq_ignore_ascii_case("DICOMDIR"))
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), MediaError> {
    if depth > MAX_FOLDER_DEPTH {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).map_err(|e| loupe_core::limits::io_error(&e))?;
    for entry in entries.flatten() {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        // Links are not followed: they could leave the folder or lead in circles.
        let Ok(kind) = entry.file_type() else { continue };
        if hidden || kind.is_symlink() {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), depth + 1, found)?;
        } else if kind.is_file() && !entry.file_name().eq_ignore_ascii_case("DICOMDIR") {
            found.push(entry.path());
        }
        if found.len() > MAX_FILES {
            return Err(too_many(found.len()));
        }
    }
    Ok(())
}

fn too_many(got: usize) -> MediaError {
    MediaError::Limit {
        what: "the number of files",
        got: got as u64,
        limit: MAX_FILES as u64,
        option: "one folder for each study",
    }
}

/// The files that a DICOMDIR refers to. Names that lead out of its folder are refused.
fn directory(bytes: Vec<u8>, folder: &Path, limits: &DecodeLimits) -> Result<Vec<Blob>, MediaError> {
    let object = parse::parse(bytes, limits)?;
    let mut found = Vec::new();
    for record in object.data.items(tags::DIRECTORY_RECORD_SEQUENCE) {
        let Some(name) = record.text(tags::REFERENCED_FILE_ID) else { continue };
        let relative: PathBuf = name.split('\\').map(str::trim).collect();
        match inside(folder, &relative.to_string_lossy()) {
            Ok(path) => found.push(Blob::File(path)),
            // Entries without a file are common on incomplete copies; the others are still of use.
            Err(MediaError::NotFound) => {}
            Err(_) => {
                return Err(loupe_dicom::object::malformed(
                    tags::REFERENCED_FILE_ID,
                    "leads out of the DICOMDIR's folder",
                ));
            }
        }
    }
    Ok(found)
}

/// The members of a zip archive, inflated in memory and counted.
fn unzip(bytes: Vec<u8>, limits: &DecodeLimits) -> Result<Vec<Blob>, MediaError> {
    let broken = |problem: &str| MediaError::Malformed {
        format: "zip",
        field: "archive".to_owned(),
        problem: problem.to_owned(),
    };
    let packed = bytes.len();
    let mut archive =
        zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|_| broken("its directory is damaged"))?;
    if archive.len() > MAX_FILES {
        return Err(too_many(archive.len()));
    }
    let (mut held, mut found) = (0u64, Vec::new());
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(|_| broken("a member is damaged or encrypted"))?;
        // Nothing is written to disk, but a name that leads out of the archive is a sign of malice.
        if member.enclosed_name().is_none() {
            return Err(broken("a member's name leads out of the archive"));
        }
        if !member.is_file() {
            continue;
        }
        // What is no DICOM file is not inflated any further than to tell.
        let mut head = Vec::with_capacity(HEAD);
        let read = (&mut member).take(HEAD as u64).read_to_end(&mut head);
        read.map_err(|_| broken("a member is damaged"))?;
        if !begins_as_dicom(&head) {
            continue;
        }
        // The archive says how large a member is; one that is larger is not what it says. It is copied once.
        let size = member.size();
        held = held.saturating_add(size);
        let most = usize::try_from(held.saturating_add(size)).unwrap_or(usize::MAX);
        limits.together(&[(packed, 1), (most, 1)])?;
        let mut contents = room(usize::try_from(size).unwrap_or(usize::MAX))?;
        contents.extend_from_slice(&head);
        let rest =
            (&mut member).take((size + 1).saturating_sub(head.len() as u64)).read_to_end(&mut contents);
        rest.map_err(|_| broken("a member is damaged"))?;
        if contents.len() as u64 != size {
            return Err(broken("a member has another size than the archive says"));
        }
        // A member may be packed once more.
        let contents = plain(contents, limits)?;
        held = held.saturating_add((contents.len() as u64).saturating_sub(size));
        limits.together(&[
            (packed, 1),
            (usize::try_from(held).unwrap_or(usize::MAX), 1),
            (contents.len(), 1),
        ])?;
        found.push(Blob::Memory(contents.into()));
    }
    Ok(found)
}
