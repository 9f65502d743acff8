//! What was read from a source, ready for views of it.

use crate::dicom;
use crate::dicom::files::Blob;
use crate::dicom::series::no_volume;
use crate::picture_io;
use crate::render::{ChosenWindow, intensities, render, stored_slice};
use crate::volume_facts::SliceInstance;
use crate::volume_io::read::ReadVolume;
use loupe_core::limits::DecodeLimits;
use loupe_core::loader::Intensities;
use loupe_core::media::{MediaError, Plane, View, WindowChoice};
use loupe_core::picture::{Picture, first_of};
use loupe_dicom::tags;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Does a view speak of a place in space, so that a DICOM file must be taken as a volume?
pub(super) fn in_space(view: &View) -> bool {
    view.slice.is_some() || !matches!(view.plane, Plane::Upright | Plane::Stored)
}

/// Something that views are taken of.
#[derive(Clone)]
pub(super) enum Contents {
    /// A research volume or a DICOM series.
    Volume(Arc<WindowedVolume>),
    /// One DICOM file, frame by frame.
    Image(Arc<dicom::Image>),
    /// Images of a series without a common geometry: the file of each and its number there.
    Frames(Arc<Vec<(Blob, usize)>>),
    /// The files of a folder of pictures, in their order, and what there is to say of the others in it.
    Pictures(Arc<(Vec<PathBuf>, Option<String>)>),
}

impl Contents {
    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Volume(volume) => (volume.read.volume.voxels.len() * size_of::<f32>()) as u64,
            Self::Image(image) => image.encoded_bytes() as u64,
            Self::Frames(frames) => {
                let held = |blob: &Blob| if let Blob::Memory(bytes) = blob { bytes.len() } else { 0 };
                frames.iter().map(|(blob, _)| held(blob) as u64).sum()
            }
            Self::Pictures(files) => files.0.iter().map(|path| path.as_os_str().len() as u64 + 64).sum(),
        }
    }

    /// The picture of a view.
    pub(super) fn picture(&self, view: &View, limits: &DecodeLimits) -> Result<Picture, MediaError> {
        match self {
            Self::Volume(volume) => volume.slice(view),
            Self::Image(image) => {
                image.check_memory(view.window.as_ref(), limits)?;
                image.picture(view)
            }
            Self::Frames(frames) => {
                let (image, own) = frame_of(frames, view, limits)?;
                let mut picture = image.picture(&own)?;
                picture.origin.frame = (frames.len() > 1).then_some(view.frame.unwrap_or(0));
                picture.origin.steps.extend(unchosen(view, frames.len()));
                Ok(picture)
            }
            Self::Pictures(folder) => {
                let (files, aside) = &**folder;
                let mut picture = picture_io::open_frame(files, view, limits)?;
                picture.origin.steps.extend(aside.clone());
                picture.origin.steps.extend(unchosen(view, files.len()));
                Ok(picture)
            }
        }
    }

    /// The values behind that picture.
    pub(super) fn intensities(
        &self,
        view: &View,
        limits: &DecodeLimits,
    ) -> Result<Option<Intensities>, MediaError> {
        match self {
            Self::Volume(volume) => volume.intensities(view),
            Self::Image(image) => {
                image.check_memory(None, limits)?;
                image.intensities(view)
            }
            Self::Frames(frames) => {
                let (image, own) = frame_of(frames, view, limits)?;
                image.intensities(&own)
            }
            Self::Pictures(_) => Ok(None),
        }
    }
}

impl Contents {
    /// The objects behind every slice of a volume, with its number, or behind the frame of a view.
    pub(super) fn instances(
        &self,
        view: &View,
        limits: &DecodeLimits,
    ) -> Result<Vec<(Option<usize>, SliceInstance)>, MediaError> {
        Ok(match self {
            Self::Volume(volume) => {
                let slices = volume.read.facts.slices.iter().enumerate();
                slices.flat_map(|(k, s)| s.instances.iter().map(move |i| (Some(k), i.clone()))).collect()
            }
            Self::Image(image) => vec![(None, instance_of(image, view))],
            Self::Frames(frames) => {
                let (image, own) = frame_of(frames, view, limits)?;
                vec![(None, instance_of(&image, &own))]
            }
            Self::Pictures(_) => Vec::new(),
        })
    }
}

/// What is said of one of `frames` frames that no view chose.
fn unchosen(view: &View, frames: usize) -> Option<String> {
    view.frame.is_none().then(|| first_of(frames, true)).flatten()
}

/// The object of an image and the number of a frame of it.
fn instance_of(image: &dicom::Image, view: &View) -> SliceInstance {
    let data = &image.object().data;
    SliceInstance {
        sop_instance_uid: data.text(tags::SOP_INSTANCE_UID),
        instance_number: data.integer(tags::INSTANCE_NUMBER),
        frame: (image.format().frames > 1).then_some(view.frame.unwrap_or(0)),
    }
}

/// The image that holds the frame of a view, and the view of it.
fn frame_of(
    frames: &[(Blob, usize)],
    view: &View,
    limits: &DecodeLimits,
) -> Result<(dicom::Image, View), MediaError> {
    if in_space(view) {
        return Err(no_volume());
    }
    let wanted = view.frame.unwrap_or(0);
    let (blob, frame) = frames
        .get(wanted)
        .ok_or_else(|| MediaError::View(format!("frame {wanted} of {} (counted from 0)", frames.len())))?;
    let image = dicom::Image::parse(blob.read(limits)?, limits)?;
    Ok((image, View { frame: Some(*frame), ..view.clone() }))
}

/// A volume, and the windows that had to be worked out from all of its values.
pub(super) struct WindowedVolume {
    /// The volume.
    pub(super) read: Arc<ReadVolume>,
    windows: Mutex<Vec<(Option<WindowChoice>, ChosenWindow)>>,
}

impl WindowedVolume {
    pub(super) fn new(read: ReadVolume) -> Self {
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

    /// DICOM slices are upright as they are stored, or no viewer would show them so.
    fn own_view(&self, view: &View) -> View {
        let plane = match view.plane {
            Plane::Upright if self.read.facts.upright => Plane::Stored,
            plane => plane,
        };
        View { plane, ..view.clone() }
    }

    /// The slice of a view with its frame and the reader's decisions on record.
    fn slice(&self, view: &View) -> Result<Picture, MediaError> {
        let (read, view) = (&self.read, self.own_view(view));
        let stored = stored_slice(&read.volume, &view)?;
        let grey = read.grey_scale(view.window.as_ref(), stored, |choice| self.window(choice))?;
        let mut picture = render(&read.volume, read.facts.padding.as_ref(), &view, &grey)?;
        let making = stored.and_then(|k| read.facts.slice(k)).and_then(|slice| slice.making.note());
        picture.origin.steps.splice(0..0, read.notes.iter().cloned());
        picture.origin.spacing_note = making.map(str::to_owned);
        picture.origin.frame = (read.frames > 1).then(|| view.frame.unwrap_or(0));
        picture.origin.steps.extend(unchosen(&view, read.frames));
        Ok(picture)
    }

    /// The values of that slice before any window; nothing where it shows grey levels of 8 bits as they are.
    fn intensities(&self, view: &View) -> Result<Option<Intensities>, MediaError> {
        let (read, view) = (&self.read, self.own_view(view));
        let stored = stored_slice(&read.volume, &view)?;
        if stored.and_then(|k| read.facts.slice(k)).is_some_and(|slice| slice.presentation.eight_bits) {
            return Ok(None);
        }
        let mut found = intensities(&read.volume, read.facts.padding.as_ref(), &view)?;
        if let Some(found) = &mut found {
            found.inverted = read.facts.inverted(stored)?;
        }
        Ok(found)
    }
}
