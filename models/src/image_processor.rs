//! From a picture to the patches a Qwen vision tower reads: `Qwen2VLImageProcessor`.

use crate::LoadError;
use crate::checkpoint::Checkpoint;
use crate::fields::Fields;
use loupe_core::Picture;
use loupe_preprocess::resize::{Backend, Filter, resize};
use serde_json::Value;

/// CLIP's mean and standard deviation, the class defaults.
const MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// How a picture becomes patches.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ImageProcessor {
    pub(crate) min_pixels: usize,
    pub(crate) max_pixels: usize,
    pub(crate) patch: usize,
    pub(crate) merge: usize,
    pub(crate) temporal: usize,
    pub(crate) filter: Filter,
    pub(crate) backend: Backend,
    do_resize: bool,
    /// Value of every level of every channel.
    levels: [[f32; 256]; 3],
}

/// The settings of an image processor, from whichever file a checkpoint keeps them in.
pub(crate) struct ProcessorFile {
    value: Value,
    file: &'static str,
    by_five: bool,
}

impl ProcessorFile {
    /// Reads processor_config.json or preprocessor_config.json; without either, every setting has
    /// the default of its class.
    pub(crate) fn read(checkpoint: &Checkpoint, config: &Value) -> Result<Self, LoadError> {
        const OLD: &str = "preprocessor_config.json";
        const NEW: &str = "processor_config.json";
        // 5.x writes one processor_config.json with everything, and reads it first.
        let nested = checkpoint.json(NEW)?.filter(|v| v.get("image_processor").is_some_and(Value::is_object));
        if let Some(value) = nested {
            return Ok(Self { value, file: NEW, by_five: true });
        }
        let value = checkpoint.json(OLD)?.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        Ok(Self { value, file: OLD, by_five: written_by_five(config) })
    }

    pub(crate) fn fields(&self) -> Fields<'_> {
        let whole = Fields::new(&self.value, self.file);
        whole.object("image_processor").unwrap_or(whole)
    }

    /// The library whose resizing the class uses.
    pub(crate) fn backend(&self, class: &str) -> Backend {
        if class.ends_with("Pil") {
            Backend::Pillow
        } else if class.ends_with("Fast") || self.by_five {
            Backend::Torchvision
        } else {
            Backend::Pillow
        }
    }
}

/// Size of a picture in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Frames, rows and columns of patches.
    pub(crate) grid: [usize; 3],
    /// Tokens in the prompt.
    pub(crate) tokens: usize,
    /// Width and height after resizing, in pixels.
    pub(crate) resized: [usize; 2],
}

impl ImageProcessor {
    /// Reads preprocessor_config.json or processor_config.json in any dialect; `wish` overrides the
    /// library whose resizing is reproduced.
    pub(crate) fn read(
        checkpoint: &Checkpoint,
        config: &Value,
        wish: Option<Backend>,
    ) -> Result<Self, LoadError> {
        let file = ProcessorFile::read(checkpoint, config)?;
        let fields = file.fields();
        let class = fields.text("image_processor_type").or_else(|| fields.text("feature_extractor_type"));
        let class = class.unwrap_or("Qwen2VLImageProcessor");
        if !class.starts_with("Qwen2VLImageProcessor") && !class.starts_with("Qwen2_5_VLImageProcessor") {
            let problem = format!("{class:?} does not prepare pictures for this family");
            return Err(fields.bad("image_processor_type", problem));
        }
        let backend = wish.unwrap_or_else(|| file.backend(class));
        Self::from_fields(&fields, backend)
    }

    fn from_fields(fields: &Fields<'_>, backend: Backend) -> Result<Self, LoadError> {
        let size = fields.object("size");
        let bound = |old: &str, edge: &str, default: usize| -> Result<usize, LoadError> {
            if fields.get(old).is_some() {
                return fields.usize(old);
            }
            let Some(size) = &size else { return Ok(default) };
            match size.get(edge) {
                Some(_) => size.usize(edge),
                None => size.usize_or(old, default),
            }
        };
        // The class defaults hold only where the file says nothing.
        let min_pixels = bound("min_pixels", "shortest_edge", 56 * 56)?;
        let max_pixels = bound("max_pixels", "longest_edge", 28 * 28 * 1280)?;
        if min_pixels == 0 || max_pixels < min_pixels {
            let problem = format!("min_pixels {min_pixels} and max_pixels {max_pixels} leave no size");
            return Err(fields.bad("size", problem));
        }
        let filter = fields.usize_or("resample", 3)?;
        let filter = Filter::from_pil_constant(filter as u64)
            .ok_or_else(|| fields.bad("resample", format!("{filter} is not a filter")))?;
        let factor = fields.f64_or("rescale_factor", 1.0 / 255.0)?;
        let rescale = fields.bool_or("do_rescale", true)?;
        let normalize = fields.bool_or("do_normalize", true)?;
        let (mean, std) = (fields.numbers("image_mean", MEAN)?, fields.numbers("image_std", STD)?);
        if std.contains(&0.0) {
            return Err(fields.bad("image_std", "has a zero"));
        }
        let mut levels = [[0f32; 256]; 3];
        for (channel, row) in levels.iter_mut().enumerate() {
            for (level, value) in row.iter_mut().enumerate() {
                let v = level as f64 * if rescale { factor } else { 1.0 };
                *value = if normalize { (v - mean[channel]) / std[channel] } else { v } as f32;
            }
        }
        let side = |field: &str, default: usize| match fields.usize_or(field, default)? {
            n @ 1..=256 => Ok(n),
            n => Err(fields.bad(field, format!("{n} is out of range"))),
        };
        Ok(Self {
            min_pixels,
            max_pixels,
            patch: side("patch_size", 14)?,
            merge: side("merge_size", 2)?,
            temporal: side("temporal_patch_size", 2)?,
            filter,
            backend,
            do_resize: fields.bool_or("do_resize", true)?,
            levels,
        })
    }

    /// Everything that changes the patches of a picture, for keys of caches.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let numbers = [self.min_pixels, self.max_pixels, self.patch, self.merge, self.temporal];
        let mut out: Vec<u8> = numbers.iter().flat_map(|n| (*n as u64).to_le_bytes()).collect();
        out.extend(self.levels.iter().flatten().flat_map(|v| v.to_le_bytes()));
        out.push(u8::from(self.do_resize));
        out.extend(self.backend.name().bytes().chain(self.filter.name().bytes()));
        out
    }

    /// The size of a `width` × `height` picture in the model.
    ///
    /// # Errors
    /// Says why the picture cannot be shown.
    pub(crate) fn layout(&self, width: usize, height: usize) -> Result<Layout, String> {
        let factor = self.patch * self.merge;
        let [w, h] = if self.do_resize {
            smart_resize(width, height, factor, self.min_pixels, self.max_pixels)?
        } else if width.is_multiple_of(factor) && height.is_multiple_of(factor) {
            [width, height]
        } else {
            return Err(format!(
                "{width}×{height} pixels are not multiples of {factor}, and do_resize is off"
            ));
        };
        let (rows, columns) = (h / self.patch, w / self.patch);
        let tokens = rows * columns / (self.merge * self.merge);
        Ok(Layout { grid: [1, rows, columns], tokens, resized: [w, h] })
    }

    /// The picture as the model sees it, 8 bits.
    pub(crate) fn resized(&self, picture: &Picture, layout: &Layout) -> Result<Picture, String> {
        let [w, h] = layout.resized;
        let out = resize(picture, w, h, self.filter, self.backend).map_err(|e| e.to_string())?;
        Ok(out.to_rgb())
    }

    /// Patches, one a row: (channel, frame, row, column) within a patch; patches of one merged
    /// token side by side. The still is repeated over the frames of a temporal patch.
    pub(crate) fn patches(&self, picture: &Picture, layout: &Layout) -> Result<Vec<f32>, String> {
        let picture = self.resized(picture, layout)?;
        let pixels = picture.pixels();
        let [_, rows, columns] = layout.grid;
        let (p, m, width) = (self.patch, self.merge, layout.resized[0]);
        let mut out = Vec::with_capacity(rows * columns * 3 * self.temporal * p * p);
        for (row, column) in merged_order(rows, columns, m) {
            for (channel, levels) in self.levels.iter().enumerate() {
                let start = out.len();
                for y in 0..p {
                    let at = ((row * p + y) * width + column * p) * 3;
                    let line = &pixels[at..at + p * 3];
                    out.extend(line.iter().skip(channel).step_by(3).map(|&v| levels[usize::from(v)]));
                }
                for _ in 1..self.temporal {
                    out.extend_from_within(start..start + p * p);
                }
            }
        }
        Ok(out)
    }
}

/// Rows and columns of patches, block by block of `merge` × `merge`.
pub(crate) fn merged_order(
    rows: usize,
    columns: usize,
    merge: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let blocks = (0..rows / merge).flat_map(move |by| (0..columns / merge).map(move |bx| (by, bx)));
    blocks.flat_map(move |(by, bx)| {
        (0..merge).flat_map(move |y| (0..merge).map(move |x| (by * merge + y, bx * merge + x)))
    })
}

/// Was config.json written by transformers 5 or later?
fn written_by_five(config: &Value) -> bool {
    let version = config.get("transformers_version").and_then(Value::as_str).unwrap_or_default();
    version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 5)
}

/// Width and height in multiples of `factor` with an area between the bounds and nearly the same
/// aspect (`smart_resize`; ties round to even, as Python does).
pub(crate) fn smart_resize(
    width: usize,
    height: usize,
    factor: usize,
    min_pixels: usize,
    max_pixels: usize,
) -> Result<[usize; 2], String> {
    let (w, h, f) = (width as f64, height as f64, factor as f64);
    let aspect = w.max(h) / w.min(h);
    if aspect > 200.0 {
        return Err(format!(
            "{width}×{height} is too elongated: the sides may differ by a factor of 200 at most"
        ));
    }
    let (mut w_bar, mut h_bar) = ((w / f).round_ties_even() * f, (h / f).round_ties_even() * f);
    if h_bar * w_bar > max_pixels as f64 {
        let beta = (h * w / max_pixels as f64).sqrt();
        h_bar = f.max((h / beta / f).floor() * f);
        w_bar = f.max((w / beta / f).floor() * f);
    } else if h_bar * w_bar < min_pixels as f64 {
        let beta = (min_pixels as f64 / (h * w)).sqrt();
        h_bar = (h * beta / f).ceil() * f;
        w_bar = (w * beta / f).ceil() * f;
    }
    if w_bar < f || h_bar < f {
        return Err(format!(
            "{width}×{height} becomes {w_bar}×{h_bar} pixels, less than a patch of {factor}"
        ));
    }
    Ok([w_bar as usize, h_bar as usize])
}
