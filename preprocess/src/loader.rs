//! From a reference to the picture it means, whatever the format.

use crate::dicom::series::{Options as SeriesOptions, is_series_folder, load_series};
use crate::limits::{Limits, io_error};
use crate::nifti::Xform;
use crate::picture_io;
use crate::render::{ChosenWindow, render_with, window_for};
use crate::volume_io::{ReadVolume, VolumeFormat, open_bytes, read_volume};
use loupe_core::media::{MediaError, MediaRef, MediaSource, View, WindowChoice};
use loupe_core::picture::Picture;
use loupe_core::seam::MediaLoader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// What the contents of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// DICOM, with or without preamble.
    Dicom,
    /// A research volume.
    Volume(VolumeFormat),
    /// A flat picture; the format's name.
    Picture(&'static str),
}

impl Kind {
    /// Tells by the contents, never by the name.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.get(128..132) == Some(b"DICM") {
            return Some(Self::Dicom);
        }
        if let Some(name) = picture_io::sniff(bytes) {
            return Some(Self::Picture(name));
        }
        if let Some(format) = VolumeFormat::sniff(bytes) {
            return Some(Self::Volume(format));
        }
        looks_like_dataset(bytes).then_some(Self::Dicom)
    }
}

/// A DICOM data set without preamble: it begins with an element of group 0002 or 0008 whose VR (or
/// length, when the VR is implicit) makes sense.
fn looks_like_dataset(bytes: &[u8]) -> bool {
    let Some(&[g0, g1, e0, e1, v0, v1, l0, l1]) = bytes.first_chunk::<8>() else { return false };
    let group = [u16::from_le_bytes([g0, g1]), u16::from_be_bytes([g0, g1])];
    let element = u16::from_le_bytes([e0, e1]).min(u16::from_be_bytes([e0, e1]));
    let explicit = v0.is_ascii_uppercase() && v1.is_ascii_uppercase();
    let implicit = u32::from_le_bytes([v0, v1, l0, l1]) <= 1024;
    group.iter().any(|g| matches!(g, 0x0002 | 0x0008)) && element <= 0x0100 && (explicit || implicit)
}

/// A volume file as it was when it was read.
#[derive(PartialEq, Eq)]
struct Fingerprint {
    path: PathBuf,
    bytes: u64,
    changed: Option<SystemTime>,
    frame: usize,
}

/// Decodes references; see [`Loader::new`].
pub struct Loader {
    limits: Limits,
    xform: Xform,
    folder: Option<PathBuf>,
    /// The volume read last: many slices of one file are usually asked for in turn.
    last: Mutex<Option<(Fingerprint, Arc<ReadVolume>)>>,
}

impl Loader {
    /// A loader that reads any path, with nibabel's choice of NIfTI matrix.
    pub fn new(limits: Limits) -> Self {
        Self { limits, xform: Xform::Nibabel, folder: None, last: Mutex::new(None) }
    }

    /// With another convention for NIfTI matrices.
    #[must_use]
    pub fn with_xform(mut self, xform: Xform) -> Self {
        self.xform = xform;
        self
    }

    /// Refuses files outside `folder` (and links that lead out of it): for manifests by others.
    #[must_use]
    pub fn within(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The volume that a reference means, for recipes and segmentation.
    ///
    /// # Errors
    /// When it is a flat picture, or cannot be read.
    pub fn load_volume(&self, media: &MediaRef) -> Result<Arc<ReadVolume>, MediaError> {
        let frame = media.view.frame.unwrap_or(0);
        let flat = |what: &str| MediaError::View(format!("a volume is needed, but this is a {what} picture"));
        match &media.source {
            MediaSource::File(path) => {
                self.check(path)?;
                self.volume_of(path, frame, || {
                    let bytes = self.limits.read_file(path)?;
                    match Kind::sniff(&bytes) {
                        Some(Kind::Picture(name)) => Err(flat(name)),
                        Some(Kind::Dicom) => Err(flat("single DICOM")),
                        _ => open_bytes(path, &bytes, frame, self.xform, &self.limits),
                    }
                })
            }
            MediaSource::Bytes(bytes) => match Kind::sniff(bytes) {
                Some(Kind::Picture(name)) => Err(flat(name)),
                Some(Kind::Dicom) => Err(flat("single DICOM")),
                _ => read_volume(bytes, frame, self.xform, &self.limits).map(Arc::new),
            },
            MediaSource::Folder(folder) => {
                self.check(folder)?;
                if is_series_folder(folder, &self.limits) {
                    return self.series(folder, frame);
                }
                Err(flat("folder of"))
            }
        }
    }

    fn check(&self, path: &Path) -> Result<(), MediaError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let base = folder.canonicalize().map_err(|e| io_error(&e))?;
        let full = path.canonicalize().map_err(|e| io_error(&e))?;
        if full.starts_with(base) {
            return Ok(());
        }
        Err(MediaError::View(
            "the manifest points outside its folder; allow that only for manifests you trust".into(),
        ))
    }

    fn volume_of(
        &self,
        path: &Path,
        frame: usize,
        read: impl FnOnce() -> Result<ReadVolume, MediaError>,
    ) -> Result<Arc<ReadVolume>, MediaError> {
        let facts = std::fs::metadata(path).map_err(|e| io_error(&e))?;
        let now =
            Fingerprint { path: path.to_owned(), bytes: facts.len(), changed: facts.modified().ok(), frame };
        if let Some(kept) = self.kept(&now) {
            return Ok(kept);
        }
        let fresh = Arc::new(read()?);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&fresh)));
        Ok(fresh)
    }

    fn kept(&self, wanted: &Fingerprint) -> Option<Arc<ReadVolume>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(print, _)| print == wanted).map(|(_, volume)| Arc::clone(volume))
    }

    fn file(&self, path: &Path, view: &View) -> Result<Picture, MediaError> {
        if path.is_dir() {
            return self.folder_picture(path, view);
        }
        let frame = view.frame.unwrap_or(0);
        if let Ok(facts) = std::fs::metadata(path) {
            let print = Fingerprint {
                path: path.to_owned(),
                bytes: facts.len(),
                changed: facts.modified().ok(),
                frame,
            };
            if let Some(volume) = self.kept(&print) {
                return slice_of(&volume, view);
            }
        }
        let bytes = self.limits.read_file(path)?;
        match Kind::sniff(&bytes) {
            Some(Kind::Picture(_)) => picture_io::decode(&bytes, view, &self.limits),
            Some(Kind::Dicom) => dicom_picture(&bytes, view, &self.limits),
            // The voxel half of a .hdr/.img pair has no header of its own, so the reader decides.
            Some(Kind::Volume(_)) | None => {
                let volume = self
                    .volume_of(path, frame, || open_bytes(path, &bytes, frame, self.xform, &self.limits))?;
                slice_of(&volume, view)
            }
        }
    }

    /// One phase of the DICOM series in a folder.
    fn series(&self, folder: &Path, phase: usize) -> Result<Arc<ReadVolume>, MediaError> {
        self.volume_of(folder, phase, || {
            let options = SeriesOptions { limits: self.limits, ..SeriesOptions::default() };
            let (volumes, series) = load_series(folder, &options)?;
            let frames = volumes.len();
            let volume = volumes.into_iter().nth(phase);
            let volume = volume
                .ok_or_else(|| MediaError::View(format!("phase {phase} of {frames} (counted from 0)")))?;
            Ok(ReadVolume {
                volume,
                frames,
                stored_window: series.window,
                stored_type: "DICOM series",
                label_names: std::collections::BTreeMap::new(),
                notes: series.notes,
            })
        })
    }

    fn folder_picture(&self, folder: &Path, view: &View) -> Result<Picture, MediaError> {
        if is_series_folder(folder, &self.limits) {
            let read = self.series(folder, view.frame.unwrap_or(0))?;
            return slice_of(&read, view);
        }
        picture_io::open_frame(folder, view, &self.limits)
    }

    fn bytes(&self, bytes: &[u8], view: &View) -> Result<Picture, MediaError> {
        match Kind::sniff(bytes) {
            Some(Kind::Picture(_)) => picture_io::decode(bytes, view, &self.limits),
            Some(Kind::Dicom) => dicom_picture(bytes, view, &self.limits),
            Some(Kind::Volume(_)) => {
                slice_of(&read_volume(bytes, view.frame.unwrap_or(0), self.xform, &self.limits)?, view)
            }
            None => Err(MediaError::UnknownFormat(
                "the contents are none of DICOM, NIfTI, MetaImage, NRRD, NPY, PNG, JPEG, TIFF, BMP, WebP, GIF".into(),
            )),
        }
    }
}

fn dicom_picture(bytes: &[u8], view: &View, limits: &Limits) -> Result<Picture, MediaError> {
    crate::dicom::Image::parse(bytes.to_vec(), limits)?.picture(view)
}

/// The slice of a volume with its frame and the reader's decisions on record. Without a choice the
/// file's own window is used when it has one.
fn slice_of(read: &ReadVolume, view: &View) -> Result<Picture, MediaError> {
    let window = match (&view.window, read.stored_window) {
        (None | Some(WindowChoice::Stored(0)), Some(window)) => {
            ChosenWindow { window, step: "window stored in the file".into() }
        }
        (choice, _) => {
            let values: Vec<f32>;
            let all = match read.volume.voxels.as_slice() {
                Some(all) => all,
                None => {
                    values = read.volume.voxels.iter().copied().collect();
                    &values
                }
            };
            window_for(choice.as_ref(), all, Some(read.volume.modality))?
        }
    };
    let mut picture = render_with(&read.volume, view, &window)?;
    picture.origin.steps.splice(0..0, read.notes.iter().cloned());
    picture.origin.frame = (read.frames > 1).then(|| view.frame.unwrap_or(0));
    Ok(picture)
}

impl MediaLoader for Loader {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        let mut picture = match &media.source {
            MediaSource::File(path) => {
                self.check(path)?;
                self.file(path, &media.view)
            }
            MediaSource::Folder(path) => {
                self.check(path)?;
                self.folder_picture(path, &media.view)
            }
            MediaSource::Bytes(bytes) => self.bytes(bytes, &media.view),
        }?;
        if !media.name.is_empty() {
            picture.origin.source = Some(media.name.clone());
        }
        Ok(picture)
    }
}
