//! An image object: its frames as stored values, as values of the modality and as pictures.

use super::codec;
use super::colour;
use super::format::Format;
use super::frames::Frames;
use super::geometry::{FramePlane, calibration};
use super::samples::{self, Samples, with_samples};
use super::values::{Transform, voi_tables, windows};
use loupe_core::guard::guarded;
use loupe_core::limits::{DecodeLimits, gathered, room};
use loupe_core::loader::Intensities;
use loupe_core::media::{MediaError, WindowChoice};
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
    full_range: OnceLock<(f64, f64)>,
    /// The percentiles worked out last, and their values.
    percentiles: Mutex<Option<[(f64, f64); 2]>>,
}

/// Models are trained on colours as stored, and Pillow and pydicom leave them so too.
pub(crate) const ICC_NOTE: &str = "icc profile not applied: colours as stored";

/// How grey levels are made, once everything the view and the file say has been weighed.
enum Grey {
    Window(Window),
    Table(super::lut::Lut, usize),
}

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
        let stored = self.stored(frame)?;
        #[expect(clippy::unnecessary_cast, clippy::cast_lossless, reason = "one arm is the identity")]
        let values = with_samples!(&stored, v => gathered(v.len(), v.iter().map(|v| transform.apply(*v as f64) as f32)));
        values
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

    /// The windows that the file has for a frame, with their names.
    pub fn windows(&self, frame: usize) -> Vec<(Window, Option<String>)> {
        windows(&self.object.data, frame)
    }

    /// Where a frame lies, when the file says so.
    pub fn plane(&self, frame: usize) -> Option<FramePlane> {
        FramePlane::read(&self.object.data, frame)
    }

    /// Is a stored value padding (PS3.3 C.7.5.1.1.2)?
    fn padding(&self) -> impl Fn(f64) -> bool + use<> {
        let data = &self.object.data;
        let bits = i64::from(self.format.bits_stored);
        // The attribute's VR depends on Pixel Representation, which implicit files do not repeat.
        let signed = self.format.signed;
        let read = |tag| {
            data.integer(tag).map(|v| match (signed, bits) {
                (true, ..=32) => (v << (64 - bits) >> (64 - bits)) as f64,
                _ => (v & ((1 << bits.min(32)) - 1)) as f64,
            })
        };
        let first = read(tags::PIXEL_PADDING_VALUE);
        let last = read(tags::PIXEL_PADDING_RANGE_LIMIT).or(first);
        move |v| match (first, last) {
            (Some(a), Some(b)) => v >= a.min(b) && v <= a.max(b),
            _ => false,
        }
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
        let padding = self.padding();
        let mut range: Option<(f64, f64)> = None;
        for frame in 0..self.format.frames {
            let transform = self.transform(frame)?;
            let found = match transform {
                Transform::Linear { .. } => self.stored(frame)?.range(|v| !padding(v)).map(|(low, high)| {
                    let (a, b) = (transform.apply(low), transform.apply(high));
                    (a.min(b), a.max(b))
                }),
                // A table need not be monotone.
                Transform::Table(_) => {
                    let values: Vec<f64> =
                        self.stored(frame)?.to_f64()?.iter().map(|v| transform.apply(*v)).collect();
                    Samples::F64(values).range(|_| true)
                }
            };
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
        let padding = self.padding();
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
    fn grey(&self, frame: usize, choice: Option<&WindowChoice>) -> Result<Grey, MediaError> {
        let between = |(low, high): (f64, f64)| {
            // A constant image has no range; one unit makes it black without dividing by zero.
            Window::between(low, if high > low { high } else { low + 1.0 })
        };
        let stored = windows(&self.object.data, frame);
        let tables = || voi_tables(&self.object.data, frame, self.signed_values(frame));
        let window = match choice {
            Some(WindowChoice::Numbers(window)) if window.is_valid() => *window,
            Some(WindowChoice::Numbers(window)) => {
                return Err(MediaError::View(format!("a window of width {} is not possible", window.width)));
            }
            Some(WindowChoice::Preset(name)) => crate::windows::preset(name)?,
            Some(WindowChoice::FullRange) => between(self.full_range()?),
            Some(WindowChoice::Percentiles(low, high)) => between(self.percentiles(*low, *high)?),
            Some(WindowChoice::Stored(n)) => match stored.get(*n) {
                Some((window, _)) if window.is_valid() => *window,
                Some(_) => return Err(malformed(tags::WINDOW_WIDTH, "not a possible width")),
                None => {
                    // Tables are counted after the windows.
                    let at = n - stored.len();
                    let table = tables()?.into_iter().nth(at);
                    let table = table.ok_or_else(|| {
                        MediaError::View(format!("the file has no window {n} (counted from 0)"))
                    })?;
                    return Ok(Grey::Table(table, at));
                }
            },
            None => match stored.iter().find(|(window, _)| window.is_valid()) {
                Some((window, _)) => *window,
                None => match tables()?.into_iter().next() {
                    Some(table) => return Ok(Grey::Table(table, 0)),
                    None if self.fills_eight_bits(frame)? => Window::between(0.0, 255.0),
                    None => between(self.full_range()?),
                },
            },
        };
        Ok(Grey::Window(window))
    }

    fn signed_values(&self, frame: usize) -> bool {
        match self.transform(frame) {
            Ok(Transform::Linear { intercept, .. }) => self.format.signed || intercept < 0.0,
            _ => false,
        }
    }

    fn fills_eight_bits(&self, frame: usize) -> Result<bool, MediaError> {
        let format = &self.format;
        Ok(format.bits_stored == 8 && !format.signed && self.transform(frame)?.is_identity())
    }

    /// The picture of the frame that `view` names (the first when it names none).
    ///
    /// # Errors
    /// When there is no such frame, window or preset, or the frame is damaged.
    pub fn picture(&self, view: &View) -> Result<Picture, MediaError> {
        let frame = view.frame.unwrap_or(0);
        let mut origin = self.origin(frame);
        let (pixels, channels) = if self.format.photometric.is_grey() {
            let inverted = self.format.photometric == super::format::Photometric::Monochrome1;
            let stored = self.stored(frame)?;
            let transform = self.transform(frame)?;
            let grey = self.grey(frame, view.window.as_ref())?;
            let level = |value: f64| {
                let value = transform.apply(value);
                let level = match &grey {
                    Grey::Window(window) => window.level(value),
                    Grey::Table(table, _) => {
                        let top = f64::from((1u32 << table.bits) - 1);
                        (f64::from(table.apply(value.round() as i64)) / top * 255.0).round_ties_even() as u8
                    }
                };
                if inverted { 255 - level } else { level }
            };
            let pixels = levels(&stored, level)?;
            match &grey {
                Grey::Window(window) => origin.window = Some(*window),
                Grey::Table(_, n) => origin.steps.push(format!("voi lut {n}")),
            }
            if inverted {
                origin.steps.push("monochrome1 inverted".to_owned());
            }
            (pixels, 1)
        } else {
            (self.rgb(frame)?, 3)
        };
        let picture = Picture::new(self.format.columns, self.format.rows, channels, pixels);
        let picture = picture.map_err(|e| malformed(tags::PIXEL_DATA, e.to_string()))?;
        Ok(picture.with_origin(origin))
    }

    /// The values of the frame that `view` names, before any window; nothing for colours and for
    /// grey levels that fill eight bits.
    ///
    /// # Errors
    /// When there is no such frame or it is damaged.
    pub fn intensities(&self, view: &View) -> Result<Option<Intensities>, MediaError> {
        let frame = view.frame.unwrap_or(0);
        if !self.format.photometric.is_grey() || self.fills_eight_bits(frame)? {
            return Ok(None);
        }
        Ok(Some(Intensities {
            width: self.format.columns,
            height: self.format.rows,
            values: self.values(frame)?,
            inverted: self.format.photometric == super::format::Photometric::Monochrome1,
            hounsfield: self.modality() == Modality::Ct,
        }))
    }

    fn origin(&self, frame: usize) -> Origin {
        let mut origin = Origin::of_size(self.format.columns, self.format.rows);
        if self.format.frames > 1 {
            origin.frame = Some(frame);
        }
        if let Some((spacing, note)) = calibration(&self.object.data, frame) {
            origin.spacing_mm = Some(spacing);
            origin.steps.extend(note.map(str::to_owned));
        }
        origin.lps_from_source = self.plane(frame).map(|plane| plane.lps_from_plane());
        if !self.format.photometric.is_grey() && self.object.data.get(tags::ICC_PROFILE).is_some() {
            origin.steps.push(ICC_NOTE.to_owned());
        }
        if let Some(tag) = self.object.truncated_in {
            origin.steps.push(parse::truncation_note(tag));
        }
        origin
    }
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

/// What the attribute Modality (0008,0060) says.
pub fn modality_of(object: &Object) -> Modality {
    match object.data.text(tags::MODALITY).as_deref() {
        Some("CT") => Modality::Ct,
        Some("MR") => Modality::Mr,
        Some("PT") => Modality::Pt,
        Some("US" | "IVUS") => Modality::Us,
        Some("CR" | "DX" | "MG" | "XA" | "RF" | "IO" | "PX") => Modality::Xray,
        Some("SEG" | "RTSTRUCT") => Modality::Labels,
        _ => Modality::Other,
    }
}
