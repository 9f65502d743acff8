//! What was read from a source, ready for views of it.

use crate::dicom;
use crate::dicom::files::Blob;
use crate::dicom::series::no_volume;
use crate::render::{ChosenWindow, intensities, render_with};
use crate::volume_io::read::ReadVolume;
use loupe_core::limits::DecodeLimits;
use loupe_core::loader::Intensities;
use loupe_core::media::{MediaError, Plane, View, WindowChoice};
use loupe_core::picture::Picture;
use std::sync::{Arc, Mutex, PoisonError};

/// Does a view speak of a place in space, so that a DICOM file must be taken as a volume?
pub(super) fn in_space(view: &View) -> bool {
    view.slice.is_some() || view.plane != Plane::Stored
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
            Self::Volume(volume) => intensities(&volume.read.volume, view),
            Self::Image(image) => {
                image.check_memory(None, limits)?;
                image.intensities(view)
            }
            Self::Frames(frames) => {
                let (image, own) = frame_of(frames, view, limits)?;
                image.intensities(&own)
            }
        }
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

    /// The slice of a view with its frame and the reader's decisions on record.
    fn slice(&self, view: &View) -> Result<Picture, MediaError> {
        let window = self.window(view.window.as_ref())?;
        let mut picture = render_with(&self.read.volume, view, &window)?;
        picture.origin.steps.splice(0..0, self.read.notes.iter().cloned());
        picture.origin.frame = (self.read.frames > 1).then(|| view.frame.unwrap_or(0));
        Ok(picture)
    }
}
