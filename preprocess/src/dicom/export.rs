//! De-identified copies of files in a folder.

use super::Image;
use super::blank::{Blank, blank};
use super::files::Blob;
use loupe_core::files::read_at_most;
use loupe_core::guard::guarded;
use loupe_core::limits::{DecodeLimits, io_error};
use loupe_core::media::MediaError;
use loupe_dicom::deid::{self, Options, Subject, deidentify};
use loupe_dicom::object::{Object, unsupported};
use loupe_dicom::{Tag, tags, uid};
use loupe_dicom::{parse, write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is done to each file.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The profile and its options.
    pub profile: Options,
    /// What is blanked.
    pub blank: Vec<Blank>,
    /// Make no copy of an image whose pixels may show names, unless they were blanked.
    pub refuse_burned_in: bool,
}

/// Writes de-identified copies below one folder: a folder a patient, a study and a series. Names are made of pseudonyms and new UIDs.
#[derive(Debug)]
pub struct Export {
    folder: PathBuf,
    rules: Rules,
    limits: DecodeLimits,
    /// Copies whose own UID is no name.
    unnamed: usize,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A copy was written, read back and found to be what was meant.
    Written {
        /// Warnings for it.
        warnings: Vec<String>,
        /// Why its pixels may show names, when they may.
        burned_in: Option<&'static str>,
    },
    /// It is not DICOM.
    NotDicom,
}

impl Export {
    /// Copies go below `folder`, which is made when the first is written.
    pub fn new(folder: &Path, rules: Rules, limits: DecodeLimits) -> Self {
        Self { folder: folder.to_owned(), rules, limits, unnamed: 0 }
    }

    /// Writes the copy of one file. An existing file is never replaced. `subject` says who stands for a patient.
    ///
    /// # Errors
    /// When it cannot be read as DICOM, no clean and readable copy of it can be made, the copy cannot be written, or it does not
    /// hold what it should when it is read back; it is then not there.
    pub fn file(
        &mut self,
        blob: &Blob,
        subject: &mut dyn FnMut(&str) -> Result<Subject, MediaError>,
    ) -> Result<Outcome, MediaError> {
        let bytes = blob.read(&self.limits)?;
        if !parse::looks_like_dicom(&bytes) {
            return Ok(Outcome::NotDicom);
        }
        let (limits, rules) = (&self.limits, &self.rules);
        let mut made = guarded("DICOM", "data set", || {
            let original = parse::parse(bytes, limits)?;
            let subject = subject(&deid::patient(&original.data))?;
            Copy::make(&original, &subject, rules, limits)
        })?;
        let folder = made.folders.iter().fold(self.folder.clone(), |folder, name| folder.join(name));
        let stem = made.name.take().unwrap_or_else(|| {
            self.unnamed += 1;
            format!("object-{}", self.unnamed)
        });
        std::fs::create_dir_all(&folder).map_err(|e| io_error(&e))?;
        let path = write_new(&folder, &stem, &made.bytes)?;
        let read_back = read_at_most(&path, u64::MAX).map_err(|e| io_error(&e));
        let checked = read_back
            .and_then(|found| guarded("DICOM", "data set", || deid::check(found, &made.object, limits)));
        if let Err(error) = checked {
            // A broken copy is none.
            std::fs::remove_file(&path).map_err(|e| io_error(&e))?;
            return Err(error);
        }
        Ok(Outcome::Written { warnings: made.warnings, burned_in: made.burned_in })
    }
}

/// A copy before it is written.
struct Copy {
    bytes: Vec<u8>,
    object: Object,
    folders: [String; 3],
    name: Option<String>,
    warnings: Vec<String>,
    burned_in: Option<&'static str>,
}

impl Copy {
    fn make(
        original: &Object,
        subject: &Subject,
        rules: &Rules,
        limits: &DecodeLimits,
    ) -> Result<Self, MediaError> {
        let done = deidentify(original, &rules.profile, subject)?;
        let (mut object, mut warnings, mut burned_in) = (done.object, done.warnings, done.burned_in);
        if let Some(said) = blank(&mut object, &original.data, &rules.blank, limits)? {
            warnings.push(said);
            burned_in = None;
        }
        if let Some(why) = burned_in.filter(|_| rules.refuse_burned_in) {
            return Err(unsupported(
                "an image that may show names in its pixels",
                format!("{why}; blank it, or look at it and allow it"),
            ));
        }
        // What could be read as an image must be readable still.
        let image = |object: &Object| Image::new(Arc::new(object.clone()), limits);
        if image(original).is_ok() {
            image(&object)?;
        }
        let uid =
            |tag: Tag, none: &str| name(&object, tag, &rules.profile).unwrap_or_else(|| none.to_owned());
        let folders = [
            subject.pseudonym.clone(),
            uid(tags::STUDY_INSTANCE_UID, "no-study"),
            uid(tags::SERIES_INSTANCE_UID, "no-series"),
        ];
        let name = name(&object, tags::SOP_INSTANCE_UID, &rules.profile);
        Ok(Self { bytes: write::file(&object)?, object, folders, name, warnings, burned_in })
    }
}

/// A UID that can stand as a name. Where old UIDs stay in the copy, they do not in its name.
fn name(object: &Object, tag: Tag, options: &Options) -> Option<String> {
    let uid = object.data.text(tag).filter(|uid| uid::is_valid(uid))?;
    Some(if options.keep_uids { uid::hashed(&options.secret, uid.as_bytes()) } else { uid })
}

/// Writes `STEM.dcm`, or `STEM-2.dcm` and so on when two objects share a UID.
fn write_new(folder: &Path, stem: &str, bytes: &[u8]) -> Result<PathBuf, MediaError> {
    use std::io::Write;
    for n in 1..10_000 {
        let suffix = if n == 1 { String::new() } else { format!("-{n}") };
        let path = folder.join(format!("{stem}{suffix}.dcm"));
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                let written = file.write_all(bytes).and_then(|()| file.sync_all());
                if let Err(error) = written {
                    // Half a copy must not be taken for one.
                    let _ = std::fs::remove_file(&path);
                    return Err(io_error(&error));
                }
                return Ok(path);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(io_error(&e)),
        }
    }
    Err(MediaError::Io("too many objects share one UID".to_owned()))
}
