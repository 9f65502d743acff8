//! Flat 8-bit pictures that remember where they came from.

use crate::geometry::{Box2, Given, LpsFromPlane, Map2, Point2, Source};
use crate::media::{MediaRef, Plane, SliceAt, View, WindowChoice};
use crate::window::Window;
use crate::words::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};
use thiserror::Error;

/// Where a picture came from and the way back. Holds nothing that identifies a patient: `source` is
/// what the user typed or the dataset's own reference, never something read out of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The reference the user or the dataset gave for the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Frame of a multi-frame file, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<usize>,
    /// Slice of a volume along `plane`'s normal, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<usize>,
    /// Plane of the slice, when the source is a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plane: Option<Plane>,
    /// The window that turned intensities into grey levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Further steps applied, by name, in order (for the record).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// Width and height of the source in pixels.
    pub source_size: [usize; 2],
    /// Continuous pixel edges of this picture to those of the source.
    pub source_from_self: Map2<Source, Given>,
    /// Pixel size of the *source* to the right and down in mm, when it is calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing_mm: Option<[f64; 2]>,
    /// What has to be said wherever millimetres are given: how the pixel size is known when it was not measured
    /// in the patient, or that the slice was not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing_note: Option<String>,
    /// `[x0, y0, x1, y1]` in pixels of the source: where that pixel size holds, when it does not hold everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated_xyxy: Option<[f64; 4]>,
    /// Source pixels to patient millimetres, when the source says where it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lps_from_source: Option<LpsFromPlane>,
}

/// How a step begins that says that something of the source is missing.
pub const INCOMPLETE: &str = "incomplete: ";

/// How a step begins that says that the picture shows nothing of what its source holds.
pub const BLANK: &str = "blank: ";

/// How a step begins that says that the source holds several pictures of which nobody chose this one.
pub const ONE_OF_SEVERAL: &str = "one of several: ";

/// The step of a picture that was taken because none was named, of a source with so many, of which another could be where
/// `others_are_read`; nothing where it has no other.
pub fn first_of(frames: usize, others_are_read: bool) -> Option<String> {
    let advice = match others_are_read {
        true => "name the one that is meant (--frame, or frame in a row of a data set)",
        false => "the others are not read, so save the one that is meant as a file of its own",
    };
    (frames > 1).then(|| format!("{ONE_OF_SEVERAL}the first of {frames} frames; {advice}"))
}

impl Origin {
    /// Steps that say that the picture may not be what it should be, because something of its source is missing, it shows
    /// nothing of it, or the source holds others and none was chosen.
    /// They belong wherever a result is shown.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.steps
            .iter()
            .map(String::as_str)
            .filter(|step| [INCOMPLETE, BLANK, ONE_OF_SEVERAL].iter().any(|mark| step.starts_with(mark)))
    }

    /// A picture that is its own source.
    pub fn of_size(width: usize, height: usize) -> Self {
        Self {
            source: None,
            frame: None,
            slice: None,
            plane: None,
            window: None,
            steps: Vec::new(),
            source_size: [width, height],
            source_from_self: Map2::identity(),
            spacing_mm: None,
            spacing_note: None,
            calibrated_xyxy: None,
            lps_from_source: None,
        }
    }

    /// The pixel size in mm for something within `xyxy` in pixels of the source; nothing where that is not, as a whole,
    /// where the picture is calibrated.
    pub fn spacing_mm_within(&self, xyxy: [f64; 4]) -> Option<[f64; 2]> {
        self.spacing_mm.filter(|_| self.is_calibrated_within(xyxy))
    }

    /// What has to be said of the millimetres of something within `xyxy`, or of why it has none.
    pub fn spacing_note_within(&self, xyxy: [f64; 4]) -> Option<String> {
        match (self.spacing_mm, self.calibrated_xyxy) {
            (Some(_), Some([x0, y0, x1, y1])) if !self.is_calibrated_within(xyxy) => Some(format!(
                "no millimetres: the picture is calibrated from {x0},{y0} to {x1},{y1} only, and this lies outside in \
                 whole or in part"
            )),
            _ => self.spacing_note.clone(),
        }
    }

    fn is_calibrated_within(&self, [x0, y0, x1, y1]: [f64; 4]) -> bool {
        self.calibrated_xyxy
            .is_none_or(|[left, top, right, bottom]| x0 >= left && y0 >= top && x1 <= right && y1 <= bottom)
    }

    /// The origin of a picture of which nothing is known, not even its size.
    pub fn unknown() -> Self {
        Self::of_size(0, 0)
    }

    /// Is nothing known of the picture?
    pub fn is_unknown(&self) -> bool {
        *self == Self::unknown()
    }

    /// Do both pictures show (parts of) the same source image, frame and slice, whatever their
    /// windows?
    pub fn same_view(&self, other: &Self) -> bool {
        (&self.source, self.frame, self.slice, self.plane, self.source_size)
            == (&other.source, other.frame, other.slice, other.plane, other.source_size)
    }

    /// The whole view that this picture was cut from, to be read again: its number among `media`, and the
    /// same frame, slice, plane and window of it. `None` when none of them has the source's name and there
    /// are several.
    pub fn view_again(&self, media: &[MediaRef]) -> Option<(usize, MediaRef)> {
        let named = |m: &MediaRef| self.source.as_deref() == Some(m.name.as_str());
        let at = media.iter().position(named).or((media.len() == 1).then_some(0))?;
        let view = View {
            frame: self.frame,
            slice: self.slice.map(SliceAt::Index),
            plane: self.plane.unwrap_or_default(),
            window: self.window.map(WindowChoice::Exactly),
            layer: None,
        };
        Some((at, MediaRef { view, ..media.get(at)?.clone() }))
    }

    /// Patient position in mm of a position in the picture, when known.
    pub fn lps_of(&self, p: Point2<Given>) -> Option<[f64; 3]> {
        self.lps_from_source.map(|lps| lps.apply(self.source_from_self.point(p)))
    }
}

/// A picture as it stands on record: no pixels, but where they came from and their digest, so that a replay
/// can prove that it shows the same ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "PictureRecordFile")]
pub struct PictureRecord {
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// 1 for grey, 3 for RGB; 0 where no pixels were at hand.
    pub channels: usize,
    /// SHA-256 of size and pixels ([`Picture::content_key`]), in hexadecimal; empty where no pixels were at
    /// hand (imported replies, run folders of the first layout).
    pub sha256: String,
    /// Where it came from and the way back.
    pub origin: Origin,
}

/// [`PictureRecord`] as files hold it, those of the first layout of run folders included.
#[derive(Deserialize)]
struct PictureRecordFile {
    #[serde(default)]
    size: Option<[usize; 2]>,
    #[serde(default)]
    width: usize,
    #[serde(default)]
    height: usize,
    #[serde(default)]
    channels: usize,
    #[serde(default)]
    sha256: String,
    origin: Origin,
}

impl From<PictureRecordFile> for PictureRecord {
    fn from(f: PictureRecordFile) -> Self {
        let size = f.size.unwrap_or([f.width, f.height]);
        Self { size, channels: f.channels, sha256: f.sha256, origin: f.origin }
    }
}

impl PictureRecord {
    /// Has `picture` these pixels? A record of pixels that were not at hand fits every picture.
    pub fn is_of(&self, picture: &Picture) -> bool {
        self.sha256.is_empty() || self.sha256 == hex(&picture.content_key())
    }

    /// The record of `picture`.
    pub fn of(picture: &Picture) -> Self {
        Self {
            size: [picture.width(), picture.height()],
            channels: picture.channels(),
            sha256: hex(&picture.content_key()),
            origin: picture.origin.clone(),
        }
    }

    /// The record of a picture of this size whose pixels are not at hand.
    pub fn without_pixels(size: [usize; 2]) -> Self {
        let origin = Origin::of_size(size[0], size[1]);
        Self { size, channels: 0, sha256: String::new(), origin }
    }
}

/// Why pixels do not make a picture.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PictureError {
    /// Width or height is zero.
    #[error("a picture needs at least one pixel, got {width}×{height}")]
    Empty {
        /// Number of columns.
        width: usize,
        /// Number of rows.
        height: usize,
    },
    /// Neither grey (1) nor RGB (3).
    #[error("a picture has 1 (grey) or 3 (RGB) channels, got {0}")]
    Channels(usize),
    /// The number of bytes is not width × height × channels.
    #[error("{width}×{height}×{channels} needs {} bytes, got {got}", width * height * channels)]
    Length {
        /// Number of columns.
        width: usize,
        /// Number of rows.
        height: usize,
        /// Channels, 1 or 3.
        channels: usize,
        /// Bytes received.
        got: usize,
    },
    /// A crop that covers no whole pixel of the picture.
    #[error("the region covers no pixel of the {width}×{height} picture")]
    NothingLeft {
        /// Number of columns.
        width: usize,
        /// Number of rows.
        height: usize,
    },
}

/// 8-bit pixels, rows from the top, channels interleaved; shared on clone.
#[derive(Debug, Clone)]
pub struct Picture {
    width: usize,
    height: usize,
    channels: usize,
    /// Not a boxed slice: that would copy what every decoder hands over as a vector.
    pixels: Arc<Vec<u8>>,
    key: Arc<OnceLock<[u8; 32]>>,
    /// Where the pixels came from.
    pub origin: Origin,
}

impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        (self.width, self.height, self.channels) == (other.width, other.height, other.channels)
            && self.pixels == other.pixels
            && self.origin == other.origin
    }
}

impl Picture {
    /// A picture of `pixels` in (row, column, channel) order.
    ///
    /// # Errors
    /// When a side is zero, `channels` is not 1 or 3, or the length does not fit.
    pub fn new(
        width: usize,
        height: usize,
        channels: usize,
        pixels: impl Into<Vec<u8>>,
    ) -> Result<Self, PictureError> {
        let pixels: Vec<u8> = pixels.into();
        if width == 0 || height == 0 {
            return Err(PictureError::Empty { width, height });
        }
        if channels != 1 && channels != 3 {
            return Err(PictureError::Channels(channels));
        }
        let need = width.checked_mul(height).and_then(|n| n.checked_mul(channels));
        if need != Some(pixels.len()) {
            return Err(PictureError::Length { width, height, channels, got: pixels.len() });
        }
        Ok(Self {
            width,
            height,
            channels,
            pixels: Arc::new(pixels),
            key: Arc::default(),
            origin: Origin::of_size(width, height),
        })
    }

    /// The same pixels with another origin.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// 1 for grey, 3 for RGB.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Bytes in (row, column, channel) order.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixel in column `x` and row `y`, or `None` outside.
    pub fn pixel(&self, x: usize, y: usize) -> Option<&[u8]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let at = (y * self.width + x) * self.channels;
        self.pixels.get(at..at + self.channels)
    }

    /// The whole picture as a box.
    pub fn bounds(&self) -> Box2<Given> {
        Box2::new(0.0, 0.0, self.width as f64, self.height as f64)
    }

    /// SHA-256 of size and pixels: equal for equal pixels, whatever their origin. Computed once.
    pub fn content_key(&self) -> [u8; 32] {
        *self.key.get_or_init(|| {
            let mut hash = Sha256::new();
            for n in [self.width, self.height, self.channels] {
                hash.update((n as u64).to_le_bytes());
            }
            hash.update(self.pixels());
            hash.finalize().into()
        })
    }

    /// RGB pixels, grey replicated.
    pub fn to_rgb(&self) -> Picture {
        if self.channels == 3 {
            return self.clone();
        }
        let mut pixels = vec![0; self.pixels.len() * 3];
        pixels.as_chunks_mut::<3>().0.iter_mut().zip(self.pixels()).for_each(|(rgb, &v)| *rgb = [v; 3]);
        Picture { channels: 3, pixels: Arc::new(pixels), key: Arc::default(), ..self.clone() }
    }

    /// Cuts out whole pixels: `region` is clipped to the picture, its edges rounded outwards. The
    /// result knows its way back to the source.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn crop(&self, region: Box2<Given>) -> Result<Picture, PictureError> {
        let nothing = PictureError::NothingLeft { width: self.width, height: self.height };
        if !region.is_proper() {
            return Err(nothing);
        }
        let r = region.clipped(self.width as f64, self.height as f64);
        let (x0, y0) = (r.x0.floor() as usize, r.y0.floor() as usize);
        let (x1, y1) = (r.x1.ceil() as usize, r.y1.ceil() as usize);
        if x1 <= x0 || y1 <= y0 {
            return Err(nothing);
        }
        let (w, h) = (x1 - x0, y1 - y0);
        let mut out = Vec::with_capacity(w * h * self.channels);
        for y in y0..y1 {
            let at = (y * self.width + x0) * self.channels;
            out.extend_from_slice(&self.pixels[at..at + w * self.channels]);
        }
        let mut origin = self.origin.clone();
        let self_from_crop: Map2<Given, Given> = Map2::scale_then_shift(1.0, 1.0, x0 as f64, y0 as f64);
        origin.source_from_self = origin.source_from_self.after(&self_from_crop);
        origin.steps.push(format!("crop {x0},{y0},{x1},{y1}"));
        Ok(Picture::new(w, h, self.channels, out)?.with_origin(origin))
    }

    /// The picture in the middle of a square of its longer side, the rest filled with a colour: a grey picture becomes
    /// RGB where the colour is none. The smaller half of an odd padding goes left or above. The result knows its way
    /// back to the source.
    ///
    /// # Errors
    /// When the square has more pixels than can be counted.
    pub fn padded_to_square(&self, colour: [u8; 3]) -> Result<Picture, PictureError> {
        let side = self.width.max(self.height);
        if self.width == self.height {
            return Ok(self.clone());
        }
        if self.channels == 1 && colour != [colour[0]; 3] {
            return self.to_rgb().padded_to_square(colour);
        }
        let (left, above) = ((side - self.width) / 2, (side - self.height) / 2);
        let too_large = PictureError::Length { width: side, height: side, channels: self.channels, got: 0 };
        let bytes = side.checked_mul(side).and_then(|n| n.checked_mul(self.channels)).ok_or(too_large)?;
        let mut out: Vec<u8> = match self.channels {
            1 => vec![colour[0]; bytes],
            _ => colour.iter().copied().cycle().take(bytes).collect(),
        };
        let (row, line) = (self.width * self.channels, side * self.channels);
        for (to, from) in out.chunks_exact_mut(line).skip(above).zip(self.pixels.chunks_exact(row)) {
            to[left * self.channels..][..row].copy_from_slice(from);
        }
        let mut origin = self.origin.clone();
        let self_from_square: Map2<Given, Given> =
            Map2::scale_then_shift(1.0, 1.0, -(left as f64), -(above as f64));
        origin.source_from_self = origin.source_from_self.after(&self_from_square);
        origin.steps.push(format!("pad to square {side}"));
        Ok(Picture::new(side, side, self.channels, out)?.with_origin(origin))
    }

    /// The picture with other pixels in the same place (same size; drawing, filtering).
    ///
    /// # Errors
    /// When the length does not fit.
    pub fn with_pixels(
        &self,
        channels: usize,
        pixels: impl Into<Vec<u8>>,
        step: &str,
    ) -> Result<Picture, PictureError> {
        let mut origin = self.origin.clone();
        origin.steps.push(step.to_owned());
        Ok(Picture::new(self.width, self.height, channels, pixels)?.with_origin(origin))
    }

    /// The origin of this picture resized to `width` × `height` (same field of view).
    pub fn origin_after_resize(&self, width: usize, height: usize, step: &str) -> Origin {
        let mut origin = self.origin.clone();
        let self_from_resized: Map2<Given, Given> = Map2::scale_then_shift(
            self.width as f64 / width as f64,
            self.height as f64 / height as f64,
            0.0,
            0.0,
        );
        origin.source_from_self = origin.source_from_self.after(&self_from_resized);
        origin.steps.push(step.to_owned());
        origin
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn a_view_is_read_again_as_it_was() {
        let media = |name: &str| MediaRef { name: name.into(), ..MediaRef::file(name) };
        let mut origin = Origin::of_size(40, 30);
        (origin.source, origin.slice, origin.plane) = (Some("b".into()), Some(4), Some(Plane::Coronal));
        origin.window = Some(Window::linear(40.0, 80.0));
        let (n, again) = origin.view_again(&[media("a"), media("b")]).unwrap();
        let window = Some(WindowChoice::Exactly(Window::linear(40.0, 80.0)));
        let view = View { slice: Some(SliceAt::Index(4)), plane: Plane::Coronal, window, ..View::default() };
        assert_eq!((n, again), (1, MediaRef { view, ..media("b") }));
        // Without a name there must be no choice.
        origin.source = None;
        assert_eq!(origin.view_again(&[media("a"), media("b")]), None);
        assert_eq!(origin.view_again(&[media("a")]).unwrap().0, 0);
    }
}
