//! From a reference to the picture it means, whatever the format.

use crate::dicom;
use crate::dicom::files::{self, Blob};
use crate::dicom::series::{Content, Options as SeriesOptions, choose, is_series_folder, no_volume};
use crate::nifti::Xform;
use crate::picture_io;
use crate::render::{ChosenWindow, intensities, render_with};
use crate::volume_io::{ReadVolume, VolumeFormat, open_bytes, read_volume};
use loupe_core::limits::{DecodeLimits, io_error};
use loupe_core::loader::{Intensities, MediaLoader};
use loupe_core::media::{MediaError, MediaRef, MediaSource, Plane, View, WindowChoice};
use loupe_core::picture::Picture;
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
    /// A zip archive, which may hold DICOM files.
    Zip,
}

impl Kind {
    /// Tells by the contents, never by the name.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.get(128..132) == Some(b"DICM") {
            return Some(Self::Dicom);
        }
        if bytes.starts_with(files::ZIP) {
            return Some(Self::Zip);
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

/// A file as it was when it was read, and what was made of it.
#[derive(PartialEq, Eq)]
struct Fingerprint {
    path: PathBuf,
    bytes: u64,
    changed: Option<SystemTime>,
    part: Part,
}

/// Which part of a file was kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A frame of a research volume.
    Frame(usize),
    /// A phase of a DICOM series, as a volume.
    Phase(usize),
    /// All frames of a DICOM image, or of a series without a common geometry.
    Frames,
}

impl Fingerprint {
    fn of(path: &Path, part: Part) -> Result<Self, MediaError> {
        let facts = std::fs::metadata(path).map_err(|e| io_error(&e))?;
        Ok(Self { path: path.to_owned(), bytes: facts.len(), changed: facts.modified().ok(), part })
    }
}

/// What was read last.
#[derive(Clone)]
enum Held {
    Volume(Arc<Windowed>),
    Image(Arc<dicom::Image>),
    /// Images of a series without a common geometry.
    Frames(Arc<Vec<(Blob, usize)>>),
}

/// A volume, and the windows that had to be worked out from all of its values.
struct Windowed {
    read: Arc<ReadVolume>,
    windows: Mutex<Vec<(Option<WindowChoice>, ChosenWindow)>>,
}

impl Windowed {
    fn new(read: ReadVolume) -> Self {
        Self { read: Arc::new(read), windows: Mutex::default() }
    }

    /// [`ReadVolume::window`], worked out once.
    fn window(&self, choice: Option<&WindowChoice>) -> Result<ChosenWindow, MediaError> {
        let known = |all: &[(Option<WindowChoice>, ChosenWindow)]| {
            all.iter().find(|(c, _)| c.as_ref() == choice).map(|(_, window)| window.clone())
        };
        if let Some(window) = known(&self.windows.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(window);
        }
        let chosen = self.read.window(choice)?;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        // Views of one volume ask for a handful of windows; a stream of ever new ones is not kept.
        windows.truncate(15);
        windows.push((choice.cloned(), chosen.clone()));
        Ok(chosen)
    }

    /// The slice of a view with its frame and the reader's decisions on record.
    fn slice(&self, view: &View) -> Result<Picture, MediaError> {
        let window = self.window(view.window.as_ref())?;
        let mut picture = render_with(&self.read.volume, view, &window)?;
        picture.origin.steps.splice(0..0, self.read.notes.iter().cloned());
        picture.origin.frame = (self.read.frames > 1).then(|| view.frame.unwrap_or(0));
        Ok(picture)
    }
}

/// Does a view speak of a place in space, so that a DICOM file must be taken as a volume?
fn in_space(view: &View) -> bool {
    view.slice.is_some() || view.plane != Plane::Stored
}

/// Decodes references; see [`Loader::new`].
pub struct Loader {
    limits: DecodeLimits,
    xform: Xform,
    series: SeriesOptions,
    folder: Option<PathBuf>,
    /// What was read last: many slices or frames of one file are usually asked for in turn.
    last: Mutex<Option<(Fingerprint, Held)>>,
}

impl Loader {
    /// A loader that reads any path, with nibabel's choice of NIfTI matrix; irregular DICOM series are
    /// refused.
    pub fn new(limits: DecodeLimits) -> Self {
        let series = SeriesOptions { limits, ..SeriesOptions::default() };
        Self { limits, xform: Xform::Nibabel, series, folder: None, last: Mutex::new(None) }
    }

    /// With another convention for NIfTI matrices.
    #[must_use]
    pub fn with_xform(mut self, xform: Xform) -> Self {
        self.xform = xform;
        self
    }

    /// With other rules for DICOM series (their limits stay those of the loader).
    #[must_use]
    pub fn with_series(mut self, series: SeriesOptions) -> Self {
        self.series = SeriesOptions { limits: self.limits, ..series };
        self
    }

    /// Refuses files outside `folder` (and links that lead out of it): for manifests by others.
    #[must_use]
    pub fn within(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The limits it reads within.
    pub fn limits(&self) -> &DecodeLimits {
        &self.limits
    }

    /// The volume that a reference means, for recipes and segmentation: a research volume, a series in
    /// a folder, zip archive or DICOMDIR, or a multi-frame DICOM file whose frames have places.
    ///
    /// # Errors
    /// When it is a flat picture, or cannot be read.
    pub fn load_volume(&self, media: &MediaRef) -> Result<Arc<ReadVolume>, MediaError> {
        let frame = media.view.frame.unwrap_or(0);
        let flat = |what: &str| MediaError::View(format!("a volume is needed, but this is a {what} picture"));
        let volume = |held| match held {
            Held::Volume(volume) => Ok(Arc::clone(&volume.read)),
            Held::Image(_) | Held::Frames(_) => Err(no_volume()),
        };
        match &media.source {
            MediaSource::File(path) if !path.is_dir() => {
                self.check(path)?;
                for part in [Part::Frame(frame), Part::Phase(frame)] {
                    if let Some(kept) = self.kept(&Fingerprint::of(path, part)?) {
                        return volume(kept);
                    }
                }
                let bytes = self.limits.read_file(path)?;
                match Kind::sniff(&bytes) {
                    Some(Kind::Picture(name)) => Err(flat(name)),
                    Some(Kind::Dicom | Kind::Zip) => volume(self.series_of(path, frame)?),
                    _ => volume(self.volume_file(path, &bytes, frame)?),
                }
            }
            MediaSource::Bytes(bytes) => match Kind::sniff(bytes) {
                Some(Kind::Picture(name)) => Err(flat(name)),
                Some(Kind::Dicom | Kind::Zip) => {
                    volume(self.phase(files::collect_bytes(bytes.to_vec(), &self.limits)?, frame)?)
                }
                _ => read_volume(bytes, frame, self.xform, &self.limits).map(Arc::new),
            },
            MediaSource::File(folder) | MediaSource::Folder(folder) => {
                self.check(folder)?;
                if is_series_folder(folder, &self.limits) {
                    return volume(self.series_of(folder, frame)?);
                }
                Err(MediaError::View("a volume is needed, but the folder holds no DICOM series".to_owned()))
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

    fn kept(&self, wanted: &Fingerprint) -> Option<Held> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(print, _)| print == wanted).map(|(_, held)| held.clone())
    }

    fn keep(&self, print: Fingerprint, held: &Held) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((print, held.clone()));
    }

    /// Frame `frame` of a research volume.
    fn volume_file(&self, path: &Path, bytes: &[u8], frame: usize) -> Result<Held, MediaError> {
        let read = open_bytes(path, bytes, frame, self.xform, &self.limits)?;
        let held = Held::Volume(Arc::new(Windowed::new(read)));
        self.keep(Fingerprint::of(path, Part::Frame(frame))?, &held);
        Ok(held)
    }

    /// Phase `phase` of the DICOM series in a folder, zip archive, DICOMDIR or file, or its frames.
    fn series_of(&self, path: &Path, phase: usize) -> Result<Held, MediaError> {
        let of_phase = Fingerprint::of(path, Part::Phase(phase))?;
        // Frames are counted through whichever is asked for, so they are kept without a number.
        let of_all = Fingerprint::of(path, Part::Frames)?;
        let frames = self.kept(&of_all).filter(|held| matches!(held, Held::Frames(_)));
        if let Some(kept) = self.kept(&of_phase).or(frames) {
            return Ok(kept);
        }
        let held = self.phase(files::collect(path, &self.limits)?, phase)?;
        self.keep(if matches!(held, Held::Frames(_)) { of_all } else { of_phase }, &held);
        Ok(held)
    }

    fn phase(&self, blobs: Vec<Blob>, phase: usize) -> Result<Held, MediaError> {
        let (content, series) = choose(blobs, &self.series)?;
        let volumes = match content {
            Content::Volumes(volumes) => volumes,
            Content::Frames(frames) => return Ok(Held::Frames(Arc::new(frames))),
        };
        let frames = volumes.len();
        let volume = volumes.into_iter().nth(phase);
        let volume =
            volume.ok_or_else(|| MediaError::View(format!("phase {phase} of {frames} (counted from 0)")))?;
        Ok(Held::Volume(Arc::new(Windowed::new(ReadVolume {
            volume,
            frames,
            stored_window: series.window,
            stored_type: "DICOM series",
            label_names: std::collections::BTreeMap::new(),
            notes: series.notes,
        }))))
    }

    fn show(&self, held: &Held, view: &View) -> Result<Picture, MediaError> {
        match held {
            Held::Volume(volume) => volume.slice(view),
            Held::Image(image) => image.picture(view),
            Held::Frames(_) if in_space(view) => Err(no_volume()),
            Held::Frames(frames) => {
                let wanted = view.frame.unwrap_or(0);
                let (blob, frame) = frames.get(wanted).ok_or_else(|| {
                    MediaError::View(format!("frame {wanted} of {} (counted from 0)", frames.len()))
                })?;
                let image = dicom::Image::parse(blob.read(&self.limits)?, &self.limits)?;
                let mut picture = image.picture(&View { frame: Some(*frame), ..view.clone() })?;
                picture.origin.frame = (frames.len() > 1).then_some(wanted);
                Ok(picture)
            }
        }
    }

    fn file(&self, path: &Path, view: &View) -> Result<Picture, MediaError> {
        if path.is_dir() {
            return self.folder_picture(path, view);
        }
        let frame = view.frame.unwrap_or(0);
        // Slices of a DICOM file are those of its volume, its frames those of the image.
        let other = if in_space(view) { Part::Phase(frame) } else { Part::Frames };
        for part in [Part::Frame(frame), other] {
            if let Some(held) = self.kept(&Fingerprint::of(path, part)?) {
                return self.show(&held, view);
            }
        }
        let bytes = self.limits.read_file(path)?;
        match Kind::sniff(&bytes) {
            Some(Kind::Picture(_)) => picture_io::decode(&bytes, view, &self.limits),
            Some(Kind::Dicom) if !in_space(view) && !files::is_directory(path) => {
                let image = Arc::new(dicom::Image::parse(bytes, &self.limits)?);
                if image.format().frames > 1 {
                    self.keep(Fingerprint::of(path, Part::Frames)?, &Held::Image(Arc::clone(&image)));
                }
                image.picture(view)
            }
            Some(Kind::Dicom | Kind::Zip) => self.show(&self.series_of(path, frame)?, view),
            // The voxel half of a .hdr/.img pair has no header of its own, so the reader decides.
            Some(Kind::Volume(_)) | None => self.show(&self.volume_file(path, &bytes, frame)?, view),
        }
    }

    fn folder_picture(&self, folder: &Path, view: &View) -> Result<Picture, MediaError> {
        if is_series_folder(folder, &self.limits) {
            let held = self.series_of(folder, view.frame.unwrap_or(0))?;
            return self.show(&held, view);
        }
        picture_io::open_frame(folder, view, &self.limits)
    }

    fn bytes(&self, bytes: &[u8], view: &View) -> Result<Picture, MediaError> {
        let frame = view.frame.unwrap_or(0);
        match Kind::sniff(bytes) {
            Some(Kind::Picture(_)) => picture_io::decode(bytes, view, &self.limits),
            Some(Kind::Dicom) if !in_space(view) => {
                dicom::Image::parse(bytes.to_vec(), &self.limits)?.picture(view)
            }
            Some(Kind::Dicom | Kind::Zip) => {
                let held = self.phase(files::collect_bytes(bytes.to_vec(), &self.limits)?, frame)?;
                self.show(&held, view)
            }
            Some(Kind::Volume(_)) => {
                Windowed::new(read_volume(bytes, frame, self.xform, &self.limits)?).slice(view)
            }
            None => Err(MediaError::UnknownFormat(
                "the contents are none of DICOM, NIfTI, MetaImage, NRRD, NPY, PNG, JPEG, TIFF, BMP, WebP, GIF, PNM".into(),
            )),
        }
    }
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

    fn intensities(&self, media: &MediaRef) -> Result<Option<Intensities>, MediaError> {
        let view = &media.view;
        let frame = |bytes: Vec<u8>| dicom::Image::parse(bytes, &self.limits)?.intensities(view);
        let volume = || intensities(&self.load_volume(media)?.volume, view);
        let bytes = match &media.source {
            MediaSource::File(path) if !path.is_dir() => {
                self.check(path)?;
                self.limits.read_file(path)?
            }
            MediaSource::Bytes(bytes) => bytes.to_vec(),
            MediaSource::File(path) | MediaSource::Folder(path) => {
                self.check(path)?;
                return if is_series_folder(path, &self.limits) { volume() } else { Ok(None) };
            }
        };
        match Kind::sniff(&bytes) {
            Some(Kind::Picture(_)) => Ok(None),
            Some(Kind::Dicom) if !in_space(view) => frame(bytes),
            _ => volume(),
        }
    }
}
