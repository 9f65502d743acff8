//! An image object: its frames as stored values, as values of the modality and as pictures.

use super::codec;
use super::colour;
use super::format::{Format, Photometric};
use super::frames::Frames;
use super::geometry::{Calibration, FramePlane};
use super::lut::Palette;
use super::overlays::announcement;
use super::padding::Padding;
use super::samples::{self, Samples, with_samples};
use super::values::{Transform, presentation};
use crate::presentation::{Curve, GreyScale, Presentation, median_window};
use loupe_core::guard::guarded;
use loupe_core::limits::{DecodeLimits, gathered, room};
use loupe_core::loader::Intensities;
use loupe_core::media::{MediaError, WindowChoice};
use loupe_core::picture::first_of;
use loupe_core::volume::Modality;
use loupe_core::window::Window;
use loupe_core::{Origin, Picture, View};
use loupe_dicom::object::{Object, malformed};
use loupe_dicom::parse;
use loupe_dicom::syntax::Coding;
use loupe_dicom::tags;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A DICOM image, its frames decoded when asked for.
pub struct Image {
    object: Arc<Object>,
    format: Format,
    frames: Frames,
    limits: DecodeLimits,
    padding: Option<Padding>,
    full_range: OnceLock<(f64, f64)>,
    /// The percentiles worked out last, and their values.
    percentiles: Mutex<Option<[(f64, f64); 2]>>,
}

/// Models are trained on colours as stored, and Pillow and pydicom leave them so too.
pub(crate) const ICC_NOTE: &str = "icc profile not applied: colours as stored";

impl Image {
    /// Parses a file and checks that its frames can be found.
    ///
    /// # Errors
    /// When the file is not DICOM, holds no image, or cannot be decoded for a reason that is named.
    pub fn parse(bytes: Vec<u8>, limits: &DecodeLimits) -> Result<Self, MediaError> {
        let object = guarded("DICOM", "data set", || parse::parse(bytes, limits))?;
        Self::new(Arc::new(object), limits)
    }

    /// The image of a parsed file.
    ///
    /// # Errors
    /// As [`Image::parse`].
    pub fn new(object: Arc<Object>, limits: &DecodeLimits) -> Result<Self, MediaError> {
        let format = Format::read(&object, limits)?;
        let frames = Frames::find(&object, &format)?;
        Ok(Self {
            padding: Padding::read(&object.data, &format),
            object,
            format,
            frames,
            limits: *limits,
            full_range: OnceLock::new(),
            percentiles: Mutex::default(),
        })
    }

    /// The file it is in.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Size and layout.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Bytes of all frames as they are in the file.
    pub(crate) fn encoded_bytes(&self) -> usize {
        self.frames.total_bytes()
    }

    /// The standard's name of the transfer syntax.
    pub fn syntax_name(&self) -> &'static str {
        self.frames.syntax_name
    }

    /// What took it.
    pub fn modality(&self) -> Modality {
        modality_of(&self.object)
    }

    /// Stored values of a frame, from 0: (row, column, sample).
    ///
    /// # Errors
    /// When there is no such frame or it is damaged. A frame is never made up.
    pub fn stored(&self, frame: usize) -> Result<Samples, MediaError> {
        Ok(self.decode(frame)?.0)
    }

    fn decode(&self, frame: usize) -> Result<(Samples, Option<bool>), MediaError> {
        if frame >= self.format.frames {
            return Err(MediaError::View(format!(
                "frame {frame} of {} (counted from 0)",
                self.format.frames
            )));
        }
        self.check_memory(None, &self.limits)?;
        if self.frames.coding == Coding::Native {
            let (bytes, bit) = self.frames.bytes(frame, &self.format)?;
            return Ok((samples::native(&bytes, bit, &self.format)?, None));
        }
        guarded("DICOM", "PixelData", || {
            let (bytes, bit) = self.frames.bytes(frame, &self.format)?;
            let decoded = codec::decode(self.frames.coding, &bytes, &self.format)?;
            let (values, ybr) = samples::unpack(decoded, bit, &self.format)?;
            let need = self.format.pixels() * self.format.samples;
            if values.len() != need {
                return Err(malformed(tags::PIXEL_DATA, format!("{} samples, not {need}", values.len())));
            }
            Ok((values, ybr))
        })
    }

    /// Bounds what a frame takes on its way: the file, what its decoder needs, the stored values, the values in
    /// the modality's unit (in double precision where they are wide), the levels and a copy of them; for
    /// percentiles the values of all frames.
    ///
    /// # Errors
    /// [`MediaError::Limit`].
    pub(crate) fn check_memory(
        &self,
        window: Option<&WindowChoice>,
        limits: &DecodeLimits,
    ) -> Result<(), MediaError> {
        let samples = self.format.pixels().saturating_mul(self.format.samples);
        let stored = usize::from(self.format.bits_allocated.div_ceil(8));
        let wide = if stored <= 2 && self.format.photometric.is_grey() { 4 } else { 8 };
        let decoder = codec::bytes_a_sample(self.frames.coding, stored);
        let all = match window {
            Some(WindowChoice::Percentiles(..)) => samples.saturating_mul(self.format.frames),
            _ => 0,
        };
        let file = self.frames.total_bytes();
        limits.together(&[(file, 1), (samples, decoder + stored + wide + 2), (all, 8)]).map(drop)
    }

    /// The same under other limits from now on.
    #[must_use]
    pub(crate) fn with_limits(self, limits: DecodeLimits) -> Self {
        Self { limits, ..self }
    }

    /// The transform of a frame's stored values.
    ///
    /// # Errors
    /// When it is broken.
    pub fn transform(&self, frame: usize) -> Result<Transform, MediaError> {
        Transform::read(&self.object, frame, self.format.signed)
    }

    /// Values of a grey frame in the modality's unit: (row, column).
    ///
    /// # Errors
    /// When the frame is in colour or damaged.
    pub fn values(&self, frame: usize) -> Result<Vec<f32>, MediaError> {
        if !self.format.photometric.is_grey() {
            return Err(MediaError::View("a colour image has no intensities; ask for a picture".to_owned()));
        }
        let transform = self.transform(frame)?;
        transformed(&self.stored(frame)?, &transform)
    }

    /// [`Image::values`], and which of them are padding; nothing where none is.
    ///
    /// # Errors
    /// As [`Image::values`].
    pub fn values_and_padding(&self, frame: usize) -> Result<(Vec<f32>, Option<Vec<bool>>), MediaError> {
        let Some(padding) = self.padding else { return Ok((self.values(frame)?, None)) };
        if !self.format.photometric.is_grey() {
            return Ok((self.values(frame)?, None));
        }
        let (transform, stored) = (self.transform(frame)?, self.stored(frame)?);
        #[expect(clippy::unnecessary_cast, clippy::cast_lossless, reason = "one arm is the identity")]
        let padded: Vec<bool> =
            with_samples!(&stored, v => gathered(v.len(), v.iter().map(|v| padding.holds(*v as f64))))?;
        let padded = padded.contains(&true).then_some(padded);
        Ok((transformed(&stored, &transform)?, padded))
    }

    /// Red, green, blue of a colour frame.
    ///
    /// # Errors
    /// When the frame is grey or damaged.
    pub fn rgb(&self, frame: usize) -> Result<Vec<u8>, MediaError> {
        if self.format.photometric.is_grey() {
            return Err(MediaError::View("a grey image has no colours".to_owned()));
        }
        let (samples, ybr) = self.decode(frame)?;
        colour::to_rgb(&self.object, &self.format, &samples, ybr)
    }

    /// What the file says about the grey levels of a frame.
    ///
    /// # Errors
    /// When the transform of the frame is broken.
    pub fn presentation(&self, frame: usize) -> Result<Presentation, MediaError> {
        let transform = self.transform(frame)?;
        Ok(presentation(&self.object.data, frame, &self.format, &transform))
    }

    /// Where a frame lies, when the file says so.
    pub fn plane(&self, frame: usize) -> Option<FramePlane> {
        FramePlane::read(&self.object.data, frame)
    }

    /// Do its frames lie at different places, so that they may make a volume?
    pub fn fills_space(&self) -> bool {
        let frames = self.format.frames;
        let place = |frame| FramePlane::among(&self.object.data, frame, frames).map(|plane| plane.position);
        frames > 1
            && self.format.photometric.is_grey()
            && place(0).zip(place(frames - 1)).is_some_and(|(first, last)| first != last)
    }

    /// What is to be said of the palette, where there is one.
    pub(super) fn palette_note(&self) -> Option<String> {
        if self.format.photometric != Photometric::PaletteColor {
            return None;
        }
        Palette::read(&self.object.data, self.format.signed).ok()?.note()
    }

    /// Which values are padding, in words.
    pub(super) fn padding_note(&self) -> Option<String> {
        self.padding.map(|padding| format!("{padding}: no part in windows and statistics"))
    }

    /// Is a stored value padding (PS3.3 C.7.5.1.1.2)?
    fn is_padding(&self) -> impl Fn(f64) -> bool + use<> {
        let padding = self.padding;
        move |v| padding.is_some_and(|padding| padding.holds(v))
    }

    /// Smallest and largest value over *all* frames without padding, so that frames of one image
    /// keep their relation.
    ///
    /// # Errors
    /// When a frame is damaged or nothing but padding is found.
    pub fn full_range(&self) -> Result<(f64, f64), MediaError> {
        if let Some(range) = self.full_range.get() {
            return Ok(*range);
        }
        let padding = self.is_padding();
        let mut range: Option<(f64, f64)> = None;
        for frame in 0..self.format.frames {
            let found = range_of(&self.stored(frame)?, &self.transform(frame)?, &padding)?;
            range = match (range, found) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (a, b) => a.or(b),
            };
        }
        let range = range.ok_or_else(|| malformed(tags::PIXEL_DATA, "holds nothing but padding"))?;
        Ok(*self.full_range.get_or_init(|| range))
    }

    /// The values at two percentiles (0 to 100, linear between ranks) over all frames.
    ///
    /// # Errors
    /// When a frame is damaged or the percentiles are not in order.
    pub fn percentiles(&self, low: f64, high: f64) -> Result<(f64, f64), MediaError> {
        if !(0.0 <= low && low < high && high <= 100.0) {
            return Err(MediaError::View(format!(
                "percentiles {low} and {high} are not in order within 0 to 100"
            )));
        }
        if let Some([wanted, found]) = *self.percentiles.lock().unwrap_or_else(PoisonError::into_inner)
            && wanted == (low, high)
        {
            return Ok(found);
        }
        self.check_memory(Some(&WindowChoice::Percentiles(low, high)), &self.limits)?;
        let values = self.format.pixels().saturating_mul(self.format.frames);
        let padding = self.is_padding();
        let mut all: Vec<f64> = room(values)?;
        for frame in 0..self.format.frames {
            let transform = self.transform(frame)?;
            let stored = self.stored(frame)?.to_f64()?;
            all.extend(stored.iter().filter(|v| !v.is_nan() && !padding(**v)).map(|v| transform.apply(*v)));
        }
        all.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share / 100.0 * (all.len().saturating_sub(1)) as f64;
            let (below, part) = (place.floor() as usize, place.fract());
            let value = *all.get(below)?;
            let next = all.get(below + 1).copied().unwrap_or(value);
            Some(value + (next - value) * part)
        };
        let found = at(low).zip(at(high));
        let found = found.ok_or_else(|| malformed(tags::PIXEL_DATA, "holds nothing but padding"))?;
        *self.percentiles.lock().unwrap_or_else(PoisonError::into_inner) = Some([(low, high), found]);
        Ok(found)
    }

    /// How the grey levels of a frame are made. Without a choice: the file's first window, else its
    /// first VOI table, else the levels as they are when they fill 8 bits, else the full range.
    fn grey(&self, frame: usize, choice: Option<&WindowChoice>) -> Result<GreyScale, MediaError> {
        let between = |(low, high): (f64, f64)| {
            // A constant image has no range; one unit makes it black without dividing by zero.
            Curve::Window(Window::between(low, if high > low { high } else { low + 1.0 }))
        };
        let stored = self.presentation(frame)?;
        let curve = match choice {
            Some(WindowChoice::Numbers(window)) if window.has_width() => {
                Curve::Window(window.for_values(stored.whole.unwrap_or(true)))
            }
            Some(WindowChoice::Exactly(window)) if window.is_valid() => Curve::Window(*window),
            Some(WindowChoice::Numbers(window) | WindowChoice::Exactly(window)) => {
                return Err(MediaError::View(format!("a window of width {} is not possible", window.width)));
            }
            Some(WindowChoice::Preset(name)) => Curve::Window(crate::windows::preset(name)?),
            Some(WindowChoice::FullRange) => between(self.full_range()?),
            Some(WindowChoice::Percentiles(low, high)) => between(self.percentiles(*low, *high)?),
            Some(WindowChoice::Stored(n)) => match (stored.curve(*n), stored.windows.get(*n)) {
                (Some(curve), _) => curve,
                (None, Some(_)) => return Err(malformed(tags::WINDOW_WIDTH, "not a possible width")),
                (None, None) => {
                    return Err(MediaError::View(format!("the file has no window {n} (counted from 0)")));
                }
            },
            Some(WindowChoice::Median(n)) => {
                let all: Vec<Presentation> = (0..self.format.frames)
                    .map(|frame| self.presentation(frame))
                    .collect::<Result<_, _>>()?;
                Curve::Window(median_window(all.iter(), *n)?)
            }
            None => match stored.first() {
                Some(curve) => curve,
                None => between(self.full_range()?),
            },
        };
        Ok(GreyScale { curve, inverted: stored.inverted, steps: stored.notes })
    }

    /// The picture of the frame that `view` names (the first when it names none).
    ///
    /// # Errors
    /// When there is no such frame, window or preset, or the frame is damaged.
    pub fn picture(&self, view: &View) -> Result<Picture, MediaError> {
        let frame = view.frame.unwrap_or(0);
        let mut origin = self.origin(frame);
        if view.frame.is_none() {
            origin.steps.extend(first_of(self.format.frames, true));
        }
        let (pixels, channels) = if self.format.photometric.is_grey() {
            let stored = self.stored(frame)?;
            let transform = self.transform(frame)?;
            let grey = self.grey(frame, view.window.as_ref())?;
            let pixels = levels(&stored, |value| grey.level(transform.apply(value)))?;
            origin.window = grey.window();
            origin.steps.extend(grey.record());
            let range = range_of(&stored, &transform, &self.is_padding())?;
            origin.steps.extend(grey.missed(range.map(|(low, high)| [low, high])));
            (pixels, 1)
        } else {
            (self.rgb(frame)?, 3)
        };
        let picture = Picture::new(self.format.columns, self.format.rows, channels, pixels);
        let picture = picture.map_err(|e| malformed(tags::PIXEL_DATA, e.to_string()))?;
        Ok(picture.with_origin(origin))
    }

    /// The values of the frame that `view` names, before any window, padding as NaN; nothing for colours
    /// and for grey levels that fill eight bits.
    ///
    /// # Errors
    /// When there is no such frame or it is damaged.
    pub fn intensities(&self, view: &View) -> Result<Option<Intensities>, MediaError> {
        let frame = view.frame.unwrap_or(0);
        if !self.format.photometric.is_grey() {
            return Ok(None);
        }
        let presentation = self.presentation(frame)?;
        if presentation.eight_bits {
            return Ok(None);
        }
        let (mut values, padding) = self.values_and_padding(frame)?;
        for (value, _) in values.iter_mut().zip(padding.iter().flatten()).filter(|(_, padded)| **padded) {
            *value = f32::NAN;
        }
        Ok(Some(Intensities {
            width: self.format.columns,
            height: self.format.rows,
            values,
            inverted: presentation.inverted,
            hounsfield: self.modality() == Modality::Ct,
        }))
    }

    fn origin(&self, frame: usize) -> Origin {
        let mut origin = Origin::of_size(self.format.columns, self.format.rows);
        if self.format.frames > 1 {
            origin.frame = Some(frame);
        }
        let calibration = Calibration::read(&self.object.data, frame);
        origin.spacing_mm = calibration.spacing_mm;
        origin.spacing_note = calibration.note;
        origin.calibrated_xyxy = calibration.region_xyxy;
        origin.lps_from_source = self.plane(frame).map(|plane| plane.lps_from_plane());
        if !self.format.photometric.is_grey() && self.object.data.get(tags::ICC_PROFILE).is_some() {
            origin.steps.push(ICC_NOTE.to_owned());
        }
        origin.steps.extend(self.palette_note());
        origin.steps.extend(announcement(&self.object.data));
        if let Some(tag) = self.object.truncated_in {
            origin.steps.push(parse::truncation_note(tag));
        }
        origin
    }
}

/// Smallest and largest value in the modality's unit, without padding.
fn range_of(
    stored: &Samples,
    transform: &Transform,
    padding: &impl Fn(f64) -> bool,
) -> Result<Option<(f64, f64)>, MediaError> {
    Ok(match transform {
        Transform::Linear { .. } => stored.range(|v| !padding(v)).map(|(low, high)| {
            let (a, b) = (transform.apply(low), transform.apply(high));
            (a.min(b), a.max(b))
        }),
        // A table need not be monotone.
        Transform::Table(_) => {
            let image = stored.to_f64()?.into_iter().filter(|v| !padding(*v));
            Samples::F64(image.map(|v| transform.apply(v)).collect()).range(|_| true)
        }
    })
}

/// Stored values in the modality's unit.
fn transformed(stored: &Samples, transform: &Transform) -> Result<Vec<f32>, MediaError> {
    #[expect(clippy::unnecessary_cast, clippy::cast_lossless, reason = "one arm is the identity")]
    let values =
        with_samples!(stored, v => gathered(v.len(), v.iter().map(|v| transform.apply(*v as f64) as f32)));
    values
}

/// The levels of all stored values: through a table when they are integers of a small range.
fn levels(stored: &Samples, level: impl Fn(f64) -> u8) -> Result<Vec<u8>, MediaError> {
    fn by_table<T: Copy + Ord + Into<i32>>(
        values: &[T],
        level: impl Fn(f64) -> u8,
    ) -> Result<Vec<u8>, MediaError> {
        let Some(first) = values.first() else { return Ok(Vec::new()) };
        let low: i32 = values.iter().fold(*first, |a, b| a.min(*b)).into();
        let high: i32 = values.iter().fold(*first, |a, b| a.max(*b)).into();
        // A place for each pattern of 16 bits, so that no look-up is checked; only what occurs is filled in.
        let place = |v: i32| usize::from(v as u16);
        let mut table = vec![0u8; 1 << 16];
        let Ok(table) = <&mut [u8; 1 << 16]>::try_from(table.as_mut_slice()) else { return Ok(Vec::new()) };
        (low..=high).for_each(|v| table[place(v)] = level(f64::from(v)));
        gathered(values.len(), values.iter().map(|v| table[place((*v).into())]))
    }
    match stored {
        Samples::U8(values) => by_table(values, level),
        Samples::U16(values) => by_table(values, level),
        Samples::I16(values) => by_table(values, level),
        other => gathered(other.len(), other.to_f64()?.iter().map(|v| level(*v))),
    }
}

/// What the attribute Modality (0008,0060) says, or the SOP class where it is left out.
pub fn modality_of(object: &Object) -> Modality {
    match object.data.text(tags::MODALITY).as_deref() {
        Some("CT") => Modality::Ct,
        Some("MR") => Modality::Mr,
        Some("PT") => Modality::Pt,
        Some("US" | "IVUS") => Modality::Us,
        Some("CR" | "DX" | "MG" | "XA" | "RF" | "IO" | "PX") => Modality::Xray,
        Some("SEG" | "RTSTRUCT") => Modality::Labels,
        Some(_) => Modality::Other,
        None => class_modality(object.data.text(tags::SOP_CLASS_UID).as_deref().unwrap_or_default()),
    }
}

/// Does its SOP class, or its modality where that is left out, say that it holds pixels?
pub(crate) fn is_image_class(object: &Object) -> bool {
    let class = object.data.text(tags::SOP_CLASS_UID);
    let kind = class.map_or_else(|| modality_of(object), |class| class_modality(&class));
    !matches!(kind, Modality::Labels | Modality::Other)
}

/// The modality of a storage class (PS3.4 B.5); secondary captures and the like have none.
fn class_modality(uid: &str) -> Modality {
    match uid.strip_prefix("1.2.840.10008.5.1.4.1.1.") {
        Some("2" | "2.1" | "2.2") => Modality::Ct,
        Some("4" | "4.1" | "4.3" | "4.4") => Modality::Mr,
        Some("128" | "128.1" | "130") => Modality::Pt,
        Some("3.1" | "6.1" | "6.2") => Modality::Us,
        Some("1" | "1.1" | "1.1.1" | "1.2" | "1.2.1" | "1.3" | "1.3.1" | "12.1" | "12.2") => Modality::Xray,
        Some("66.4" | "66.7" | "481.3") => Modality::Labels,
        _ => Modality::Other,
    }
}
