//! De-identified copies of files in a folder.

use super::files::Blob;
use loupe_core::guard::guarded;
use loupe_core::limits::{DecodeLimits, io_error};
use loupe_core::media::MediaError;
use loupe_dicom::deid::{Options, deidentify};
use loupe_dicom::object::Object;
use loupe_dicom::{Tag, tags, uid};
use loupe_dicom::{parse, write};
use std::path::{Path, PathBuf};

/// Writes de-identified copies below one folder, a folder a series. Names are made of the new UIDs.
#[derive(Debug)]
pub struct Export {
    folder: PathBuf,
    options: Options,
    limits: DecodeLimits,
    /// Copies whose own UID is no name.
    unnamed: usize,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A copy was written; these are the warnings for it.
    Written(Vec<String>),
    /// It is not DICOM.
    NotDicom,
}

impl Export {
    /// Copies go below `folder`, which is made when the first is written.
    pub fn new(folder: &Path, options: Options, limits: DecodeLimits) -> Self {
        Self { folder: folder.to_owned(), options, limits, unnamed: 0 }
    }

    /// Writes the copy of one file. An existing file is never replaced.
    ///
    /// # Errors
    /// When it cannot be read as DICOM or the copy cannot be written.
    pub fn file(&mut self, blob: &Blob) -> Result<Outcome, MediaError> {
        let bytes = blob.read(&self.limits)?;
        if !parse::looks_like_dicom(&bytes) {
            return Ok(Outcome::NotDicom);
        }
        let (limits, options) = (&self.limits, &self.options);
        let (copy, uids, warnings) = guarded("DICOM", "data set", || {
            let done = deidentify(&parse::parse(bytes, limits)?, options);
            let uids = [tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID].map(|tag| name(&done.object, tag));
            Ok((write::file(&done.object)?, uids, done.warnings))
        })?;
        let [series, object] = uids;
        let folder = self.folder.join(series.unwrap_or_else(|| "no-series".to_owned()));
        let stem = object.unwrap_or_else(|| {
            self.unnamed += 1;
            format!("object-{}", self.unnamed)
        });
        std::fs::create_dir_all(&folder).map_err(|e| io_error(&e))?;
        write_new(&folder, &stem, &copy)?;
        Ok(Outcome::Written(warnings))
    }
}

/// A UID that can stand as a name.
fn name(object: &Object, tag: Tag) -> Option<String> {
    object.data.text(tag).filter(|uid| uid::is_valid(uid))
}

/// Writes `STEM.dcm`, or `STEM-2.dcm` and so on when two objects share a UID.
fn write_new(folder: &Path, stem: &str, bytes: &[u8]) -> Result<(), MediaError> {
    use std::io::Write;
    for n in 1..10_000 {
        let suffix = if n == 1 { String::new() } else { format!("-{n}") };
        match std::fs::File::create_new(folder.join(format!("{stem}{suffix}.dcm"))) {
            Ok(mut file) => return file.write_all(bytes).map_err(|e| io_error(&e)),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(io_error(&e)),
        }
    }
    Err(MediaError::Io("too many objects share one UID".to_owned()))
}
