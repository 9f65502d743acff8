//! From a picture to the patches a Qwen vision tower reads: `Qwen2VLImageProcessor`.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::error::LoadError;
use crate::networks::qwen_vit::merged_order;
use crate::options::{LoadOptions, PixelBounds};
use crate::processors::levels::{CLIP, Levels};
use crate::processors::sliver::refuse_sliver;
use loupe_core::Picture;
use loupe_preprocess::resize::{Backend, Filter, resize};
use serde_json::{Value, json};

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
    pub(super) do_resize: bool,
    pub(super) levels: Levels,
}

/// Size of a picture in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PatchLayout {
    /// Frames, rows and columns of patches.
    pub(crate) grid: [usize; 3],
    /// Tokens in the prompt.
    pub(crate) tokens: usize,
    /// Width and height after resizing, in pixels.
    pub(crate) resized: [usize; 2],
}

impl ImageProcessor {
    /// Reads preprocessor_config.json or processor_config.json in any dialect; the options override the
    /// library whose resizing is reproduced and the bounds on a picture's pixels.
    pub(crate) fn read(
        checkpoint: &Checkpoint,
        config: &Value,
        options: &LoadOptions,
    ) -> Result<Self, LoadError> {
        let file = ProcessorFile::read(checkpoint, config)?;
        let class = file.class(&["Qwen2VLImageProcessor", "Qwen2_5_VLImageProcessor"])?;
        let backend = options.resample.unwrap_or_else(|| file.backend(&class));
        Self::from_file(&file, backend, options.pixels)
    }

    fn from_file(file: &ProcessorFile, backend: Backend, wish: PixelBounds) -> Result<Self, LoadError> {
        let fields = file.fields();
        file.need_steps(&[], &["do_resize", "do_rescale", "do_normalize"])?;
        let [min_pixels, max_pixels] = bounds(&fields, wish)?;
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
            filter: file.filter(3)?,
            backend,
            do_resize: fields.bool_or("do_resize", true)?,
            levels: Levels::read(&fields, CLIP)?,
        })
    }

    /// One whose sizes are decided elsewhere.
    pub(crate) fn stills(
        patch: usize,
        merge: usize,
        filter: Filter,
        backend: Backend,
        levels: Levels,
    ) -> Self {
        Self {
            min_pixels: 0,
            max_pixels: 0,
            patch,
            merge,
            temporal: 1,
            filter,
            backend,
            do_resize: true,
            levels,
        }
    }

    /// Everything that changes the patches of a picture, for the record of a run.
    pub(crate) fn settings(&self) -> Value {
        json!({
            "min_pixels": self.min_pixels,
            "max_pixels": self.max_pixels,
            "patch_size": self.patch,
            "merge_size": self.merge,
            "temporal_patch_size": self.temporal,
            "do_resize": self.do_resize,
            "filter": self.filter.name(),
            "levels": self.levels.settings(),
        })
    }

    /// Everything that changes the patches of a picture, for keys of caches.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let numbers = [self.min_pixels, self.max_pixels, self.patch, self.merge, self.temporal];
        let mut out: Vec<u8> = numbers.iter().flat_map(|n| (*n as u64).to_le_bytes()).collect();
        out.extend(self.levels.channels().iter().flatten().flat_map(|v| v.to_le_bytes()));
        out.push(u8::from(self.do_resize));
        out.extend(self.backend.name().bytes().chain(self.filter.name().bytes()));
        out
    }

    /// The size of a `width` × `height` picture in the model.
    ///
    /// # Errors
    /// Says why the picture cannot be shown.
    pub(crate) fn layout(&self, width: usize, height: usize) -> Result<PatchLayout, String> {
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
        Ok(PatchLayout { grid: [1, rows, columns], tokens, resized: [w, h] })
    }

    /// The picture as the model sees it, 8 bits.
    pub(crate) fn resized(&self, picture: &Picture, layout: &PatchLayout) -> Result<Picture, String> {
        let [w, h] = layout.resized;
        let out = resize(picture, w, h, self.filter, self.backend).map_err(|e| e.to_string())?;
        Ok(out.to_rgb())
    }

    /// Patches, one a row: (channel, frame, row, column) within a patch; patches of one merged
    /// token side by side. The still is repeated over the frames of a temporal patch.
    pub(crate) fn patches(&self, picture: &Picture, layout: &PatchLayout) -> Result<Vec<f32>, String> {
        let picture = self.resized(picture, layout)?;
        let pixels = picture.pixels();
        let [_, rows, columns] = layout.grid;
        let (p, m, width) = (self.patch, self.merge, layout.resized[0]);
        let mut out = Vec::with_capacity(rows * columns * 3 * self.temporal * p * p);
        for (row, column) in merged_order(rows, columns, m) {
            for (channel, levels) in self.levels.channels().iter().enumerate() {
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

/// Least and most pixels of a picture in the model. The file gives them as `min_pixels` and `max_pixels`, or under
/// `size` as `shortest_edge` and `longest_edge`, which are numbers of pixels too; the former win, as in
/// `Qwen2VLImageProcessor`. The class defaults hold only where the file says nothing.
fn bounds(fields: &Fields<'_>, wish: PixelBounds) -> Result<[usize; 2], LoadError> {
    const EDGES: [&str; 2] = ["shortest_edge", "longest_edge"];
    const OLD: [&str; 2] = ["min_pixels", "max_pixels"];
    let mut found = [56 * 56, 28 * 28 * 1280];
    if let Some(size) = fields.object("size")? {
        let odd = size.names().find(|name| !EDGES.contains(name) && !OLD.contains(name));
        if let Some(name) = odd {
            return Err(size.bad(
                name,
                "pictures of this family are bounded by shortest_edge and longest_edge, their least and most pixels; \
                 height and width do not apply. Write those two, or min_pixels and max_pixels",
            ));
        }
        for pair in [OLD, EDGES] {
            match pair.map(|edge| size.get(edge).is_some()) {
                [true, true] => found = [size.usize(pair[0])?, size.usize(pair[1])?],
                [false, false] => {}
                [low, _] => {
                    let missing = pair[usize::from(low)];
                    return Err(
                        size.bad(missing, format!("missing; {} stands alone", pair[usize::from(!low)]))
                    );
                }
            }
        }
    }
    for (bound, old) in found.iter_mut().zip(OLD) {
        *bound = fields.usize_or(old, *bound)?;
    }
    let [mut least, mut most] = found;
    if least == 0 || most < least {
        let problem = format!("min_pixels {least} and max_pixels {most} leave no size");
        return Err(fields.bad("size", problem));
    }
    least = wish.min.unwrap_or(least);
    most = wish.max.unwrap_or(most);
    if least == 0 || most < least {
        let option = if wish.max.is_some() { "--max-pixels" } else { "--min-pixels" };
        let problem = format!(
            "from {least} to {most} pixels leave no size; give --min-pixels and --max-pixels together"
        );
        return Err(LoadError::Option { option, problem });
    }
    Ok([least, most])
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
    refuse_sliver(width, height)?;
    let (w, h, f) = (width as f64, height as f64, factor as f64);
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
