//! A source that was opened: what it is, decided once, and views of it.

use super::contents::{Contents, WindowedVolume, in_space};
use super::kept::{FileState, KeptContents, Serves};
use super::kind::{FileKind, left_aside};
use super::memory::SharedMemory;
use crate::dicom;
use crate::dicom::files::{self, Blob};
use crate::dicom::series::{Content, Options as SeriesOptions, Phase, choose, is_series, no_volume};
use crate::picture_io;
use crate::volume_facts::SliceInstance;
use crate::volume_facts::VolumeFacts;
use crate::volume_io::nifti::Xform;
use crate::volume_io::read::ReadVolume;
use crate::volume_io::{open_bytes, read_volume};
use loupe_core::labels::LabelledMasks;
use loupe_core::limits::DecodeLimits;
use loupe_core::loader::Intensities;
use loupe_core::media::{MediaError, MediaSource, View};
use loupe_core::picture::Picture;
use loupe_core::volume::{Modality, Volume};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The rules for reading, and what was read last.
pub(super) struct Reading {
    pub(super) limits: DecodeLimits,
    pub(super) xform: Xform,
    pub(super) series: SeriesOptions,
    pub(super) kept: KeptContents,
    pub(super) memory: SharedMemory,
}

/// Where the bytes are.
enum Place<'a> {
    File(&'a Path, FileState),
    Folder(&'a Path, FileState),
    Memory(&'a Arc<[u8]>),
}

impl Place<'_> {
    fn state(&self) -> Option<&FileState> {
        match self {
            Self::File(_, state) | Self::Folder(_, state) => Some(state),
            Self::Memory(_) => None,
        }
    }
}

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A flat picture; the format's name.
    Picture(&'static str),
    /// A folder of numbered pictures.
    PictureFolder,
    /// One DICOM file: frames, or a volume when these have places.
    DicomFile,
    /// A folder, zip archive or DICOMDIR of DICOM files.
    DicomSeries,
    /// A research volume, or the voxel half of one, which has no header of its own.
    ResearchVolume,
}

/// A source that was opened with [`Loader::open`](super::Loader::open). What it is gets decided once, by its
/// contents and only when nothing that was kept answers; its file is read at most once for all views.
pub struct OpenedSource<'a> {
    reading: &'a Reading,
    place: Place<'a>,
    form: Option<Form>,
    /// The file, from the decision until something takes it.
    bytes: Option<Vec<u8>>,
    /// The files of a folder, from the decision until something takes them.
    listed: Option<Vec<Blob>>,
    /// What was taken out last: frame number, as a volume or not, contents.
    last: Option<(usize, bool, Contents)>,
    /// What it may take at the moment.
    limits: DecodeLimits,
}

impl<'a> OpenedSource<'a> {
    pub(super) fn new(reading: &'a Reading, source: &'a MediaSource) -> Result<Self, MediaError> {
        let place = match source {
            MediaSource::Bytes(bytes) => Place::Memory(bytes),
            MediaSource::File(path) | MediaSource::Folder(path) => match FileState::of(path)? {
                (state, true) => Place::Folder(path, state),
                (state, false) => Place::File(path, state),
            },
        };
        let limits = reading.limits;
        Ok(Self { reading, place, form: None, bytes: None, listed: None, last: None, limits })
    }

    /// Does `work` with as much of the memory as it needs.
    fn bounded<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, MediaError>,
    ) -> Result<T, MediaError> {
        let Reading { kept, memory, .. } = self.reading;
        memory.within(
            || kept.bytes(),
            || kept.clear(),
            |limits| {
                self.limits = limits;
                work(self)
            },
        )
    }

    /// The picture of a view.
    ///
    /// # Errors
    /// When the source cannot be read or decoded, or has no such view.
    pub fn picture(&mut self, view: &View) -> Result<Picture, MediaError> {
        self.bounded(|source| source.picture_within(view))
    }

    fn picture_within(&mut self, view: &View) -> Result<Picture, MediaError> {
        let own = self.limits;
        let limits = &own;
        if let Some(contents) = self.seen(view)? {
            return contents.picture(view, limits);
        }
        match &self.place {
            Place::Memory(bytes) => picture_io::decode(bytes, view, limits),
            Place::File(..) | Place::Folder(..) => picture_io::decode(self.file_bytes()?, view, limits),
        }
    }

    /// The values behind a view before any window; nothing where the source holds grey levels or colours.
    ///
    /// # Errors
    /// As [`OpenedSource::picture`].
    pub fn intensities(&mut self, view: &View) -> Result<Option<Intensities>, MediaError> {
        self.bounded(|source| match source.seen(view)? {
            Some(contents) => contents.intensities(view, &source.limits),
            None => Ok(None),
        })
    }

    /// The volume: time point or phase `number` of a research volume, a series, or a DICOM file whose frames
    /// have places.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn volume(&mut self, number: usize) -> Result<Arc<ReadVolume>, MediaError> {
        match self.bounded(|source| source.contents(number, true))? {
            Some(Contents::Volume(volume)) => Ok(Arc::clone(&volume.read)),
            Some(Contents::Image(_) | Contents::Frames(_)) => Err(no_volume()),
            Some(Contents::Pictures(_)) | None => Err(MediaError::View(match self.form {
                Some(Form::Picture(name)) => {
                    format!("a volume is needed, but this is a {name} picture")
                }
                _ => "a volume is needed, but the folder holds no DICOM series".to_owned(),
            })),
        }
    }

    /// The DICOM image, where the source is one DICOM file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn image(&mut self) -> Result<Option<Arc<dicom::Image>>, MediaError> {
        Ok(match self.bounded(|source| source.contents(0, false))? {
            Some(Contents::Image(image)) => Some(image),
            _ => None,
        })
    }

    /// The DICOM objects that a view and, in a volume, its neighbours were taken from, with the number of the
    /// slice they are; nothing for other formats.
    ///
    /// # Errors
    /// As [`OpenedSource::picture`].
    pub fn instances(&mut self, view: &View) -> Result<Vec<(Option<usize>, SliceInstance)>, MediaError> {
        self.bounded(|source| match source.seen(view)? {
            Some(contents) => contents.instances(view, &source.limits),
            None => Ok(Vec::new()),
        })
    }

    /// The file as stored, where it is a flat picture, which others can show too.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn original(&mut self) -> Result<Option<Arc<[u8]>>, MediaError> {
        if !matches!(self.bounded(Self::form)?, Form::Picture(_)) {
            return Ok(None);
        }
        Ok(Some(match &self.place {
            Place::Memory(bytes) => Arc::clone(bytes),
            _ => self.bounded(|source| Ok(source.file_bytes()?.as_slice().into()))?,
        }))
    }

    /// What a view is taken of. A DICOM file whose frames fill space is a volume unless one of its frames is
    /// asked for, so that it shows its middle as volumes of other formats do.
    fn seen(&mut self, view: &View) -> Result<Option<Contents>, MediaError> {
        let frame = view.frame.unwrap_or(0);
        let found = self.contents(frame, in_space(view))?;
        match &found {
            Some(Contents::Image(image)) if view.frame.is_none() && image.fills_space() => {
                // One whose frames make no even grid is still shown frame by frame.
                match self.contents(frame, true) {
                    Ok(Some(volume @ Contents::Volume(_))) => Ok(Some(volume)),
                    _ => Ok(found),
                }
            }
            _ => Ok(found),
        }
    }

    /// Volume, image, frames or files; nothing for flat pictures.
    fn contents(&mut self, number: usize, as_volume: bool) -> Result<Option<Contents>, MediaError> {
        if let Some((n, v, contents)) = &self.last
            && (*n, *v) == (number, as_volume)
        {
            return Ok(Some(contents.clone()));
        }
        let kept = self.place.state().and_then(|s| self.reading.kept.find(s, number, as_volume));
        let found = match kept {
            Some(contents) => contents,
            None => match self.form()? {
                Form::Picture(_) => return Ok(None),
                Form::PictureFolder => self.picture_folder()?,
                Form::DicomFile if !as_volume => self.dicom_image()?,
                form @ (Form::DicomFile | Form::DicomSeries) => self.dicom_series(form, number)?,
                Form::ResearchVolume => self.research_volume(number)?,
            },
        };
        self.last = Some((number, as_volume, found.clone()));
        Ok(Some(found))
    }

    fn form(&mut self) -> Result<Form, MediaError> {
        if let Some(form) = self.form {
            return Ok(form);
        }
        let form = match &self.place {
            Place::Folder(folder, _) => {
                let listed = files::collect(folder, &self.limits).unwrap_or_default();
                let series = is_series(&listed);
                self.listed = Some(listed);
                if series { Form::DicomSeries } else { Form::PictureFolder }
            }
            Place::Memory(bytes) => Self::form_of(bytes).ok_or_else(|| {
                MediaError::UnknownFormat(
                    "the contents are none of DICOM, NIfTI, MetaImage, NRRD, NPY, PNG, JPEG, TIFF, BMP, WebP, GIF, PNM".into(),
                )
            })?,
            Place::File(path, _) => {
                let bytes = files::plain(self.limits.read_file(path)?, &self.limits)?;
                let form = match Self::form_of(&bytes) {
                    Some(Form::DicomFile) if files::is_directory(path) => Form::DicomSeries,
                    found => found.unwrap_or(Form::ResearchVolume),
                };
                self.bytes = Some(bytes);
                form
            }
        };
        Ok(*self.form.insert(form))
    }

    fn form_of(bytes: &[u8]) -> Option<Form> {
        Some(match FileKind::sniff(bytes)? {
            FileKind::Picture(name) => Form::Picture(name),
            FileKind::Dicom => Form::DicomFile,
            FileKind::Zip => Form::DicomSeries,
            FileKind::Volume(_) => Form::ResearchVolume,
        })
    }

    /// The bytes of the file, which stay.
    fn file_bytes(&mut self) -> Result<&Vec<u8>, MediaError> {
        let bytes = self.take_bytes()?;
        Ok(self.bytes.insert(bytes))
    }

    /// The bytes of the file, to be kept by whoever takes them.
    fn take_bytes(&mut self) -> Result<Vec<u8>, MediaError> {
        match (self.bytes.take(), &self.place) {
            (Some(bytes), _) => Ok(bytes),
            (None, Place::Memory(bytes)) => files::plain(bytes.to_vec(), &self.limits),
            (None, Place::File(path, _) | Place::Folder(path, _)) => {
                files::plain(self.limits.read_file(path)?, &self.limits)
            }
        }
    }

    /// Keeps what was read for views to come.
    fn keep(&self, serves: Serves, contents: &Contents) {
        if let Some(state) = self.place.state() {
            self.reading.kept.put(state, serves, contents);
        }
    }

    /// The files of a folder of pictures, listed once for all of them.
    fn picture_folder(&mut self) -> Result<Contents, MediaError> {
        let files = match &self.place {
            Place::Folder(folder, _) => picture_io::frame_files(folder)?,
            Place::File(..) | Place::Memory(_) => Vec::new(),
        };
        let aside = self.listed.take().and_then(|listed| left_aside(&listed, &files));
        let contents = Contents::Pictures(Arc::new((files, aside)));
        self.keep(Serves { number: None, as_volume: None }, &contents);
        Ok(contents)
    }

    fn dicom_image(&mut self) -> Result<Contents, MediaError> {
        let image = dicom::Image::parse(self.take_bytes()?, &self.limits)?;
        // Kept for other views, which are given memory of their own.
        let image = image.with_limits(self.reading.limits);
        let several = image.format().frames > 1;
        let contents = Contents::Image(Arc::new(image));
        if several {
            self.keep(Serves { number: None, as_volume: Some(false) }, &contents);
        }
        Ok(contents)
    }

    /// Phase `phase` of a DICOM series, or its frames.
    fn dicom_series(&mut self, form: Form, phase: usize) -> Result<Contents, MediaError> {
        let own = self.limits;
        let limits = &own;
        let blobs = match (form, &self.place) {
            (Form::DicomSeries, Place::Folder(path, _)) => match self.listed.take() {
                Some(listed) => listed,
                None => files::collect(path, limits)?,
            },
            (Form::DicomSeries, Place::File(path, _)) if files::is_directory(path) => {
                files::collect(path, limits)?
            }
            (Form::DicomSeries, _) => files::collect_bytes(self.take_bytes()?, limits)?,
            _ => {
                let bytes = self.take_bytes()?;
                if let Some(masks) = dicom::seg::on_its_own(&bytes, limits)? {
                    let contents = Contents::Volume(Arc::new(WindowedVolume::new(labels_as_volume(masks)?)));
                    self.keep(Serves { number: None, as_volume: Some(true) }, &contents);
                    return Ok(contents);
                }
                vec![Blob::Memory(bytes.into())]
            }
        };
        let (content, series) = choose(blobs, &SeriesOptions { limits: *limits, ..self.reading.series })?;
        // The frames of one file are another matter than its volume; those of a series are all there is.
        let as_volume = (form == Form::DicomFile).then_some(true);
        let (number, contents) = match content {
            Content::Frames(frames) => (None, Contents::Frames(Arc::new(frames))),
            Content::Volumes(phases) => {
                let frames = phases.len();
                let Phase { volume, facts } = phases
                    .into_iter()
                    .nth(phase)
                    .ok_or_else(|| MediaError::View(format!("phase {phase} of {frames} (counted from 0)")))?;
                let mut notes = series.notes;
                notes.extend(facts.notes());
                let read = ReadVolume {
                    volume,
                    frames,
                    facts,
                    stored_type: "DICOM series",
                    label_names: BTreeMap::new(),
                    notes,
                };
                (Some(phase), Contents::Volume(Arc::new(WindowedVolume::new(read))))
            }
        };
        self.keep(Serves { number, as_volume }, &contents);
        Ok(contents)
    }

    fn research_volume(&mut self, frame: usize) -> Result<Contents, MediaError> {
        let (xform, limits) = (self.reading.xform, self.limits);
        let limits = &limits;
        let read = match &self.place {
            Place::Memory(bytes) => read_volume(bytes, frame, xform, limits)?,
            Place::File(path, _) | Place::Folder(path, _) => {
                let path = *path;
                let bytes = self.take_bytes()?;
                open_bytes(path, &bytes, frame, xform, limits)?
            }
        };
        let contents = Contents::Volume(Arc::new(WindowedVolume::new(read)));
        self.keep(Serves { number: Some(frame), as_volume: None }, &contents);
        Ok(contents)
    }
}

/// A segmentation as a volume of its segments' numbers, where no two overlap.
fn labels_as_volume(masks: LabelledMasks) -> Result<ReadVolume, MediaError> {
    let labels = masks.flat().map_err(|e| MediaError::View(e.to_string()))?;
    Ok(ReadVolume {
        volume: Volume {
            voxels: labels.labels.mapv(f32::from),
            lps_from_index: labels.lps_from_index,
            modality: Modality::Labels,
        },
        frames: 1,
        facts: VolumeFacts::default(),
        stored_type: "DICOM segmentation",
        label_names: labels.names,
        notes: masks.notes,
    })
}
