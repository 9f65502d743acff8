//! A picture squashed to a square, the aspect not kept: `SiglipImageProcessor`, and with crops of elongated
//! pictures `Gemma3ImageProcessor`.

use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::error::LoadError;
use crate::processors::levels::Levels;
use loupe_core::{Box2, Picture};
use loupe_preprocess::resize::{Backend, Filter, resize};

/// Squashes pictures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Square {
    /// Pixels of a side.
    pub(crate) side: usize,
    pub(crate) filter: Filter,
    pub(crate) backend: Backend,
    pub(crate) levels: Levels,
}

impl Square {
    /// With the numbers of a processor file whose class is `class`, or its first name without one; the network
    /// reads `side` pixels. `default` is the filter in Pillow's numbering and mean and deviation.
    pub(crate) fn read(
        file: &ProcessorFile,
        side: usize,
        backend: Backend,
        default: (usize, [[f64; 3]; 2]),
    ) -> Result<Self, LoadError> {
        file.need_side(side, &[("size", "height"), ("size", "width")])?;
        file.need_steps(&["do_resize", "do_rescale", "do_normalize"], &["do_pan_and_scan"])?;
        let levels = Levels::read(&file.fields(), default.1)?;
        Ok(Self { side, filter: file.filter(default.0)?, backend, levels })
    }

    /// The picture as the network sees it, 8 bits, RGB.
    pub(crate) fn squashed(&self, picture: &Picture) -> Result<Picture, String> {
        let small = resize(picture, self.side, self.side, self.filter, self.backend);
        Ok(small.map_err(|e| e.to_string())?.to_rgb())
    }

    /// Its values plane after plane: (3, side, side).
    pub(crate) fn planes(&self, picture: &Picture) -> Result<Vec<f32>, String> {
        Ok(self.levels.planes(&self.squashed(picture)?))
    }

    /// Everything that changes the values of a picture, for keys of caches.
    pub(crate) fn fingerprint(&self) -> Vec<u8> {
        let mut out = (self.side as u64).to_le_bytes().to_vec();
        out.extend(self.levels.channels().iter().flatten().flat_map(|v| v.to_le_bytes()));
        out.extend(self.backend.name().bytes().chain(self.filter.name().bytes()));
        out
    }
}

/// Crops of an elongated picture along its longer side, shown after the whole picture (Gemma 3 Technical Report,
/// arXiv 2503.19786, "pan and scan").
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PanAndScan {
    /// Fewest pixels of a side of a crop.
    pub(crate) least_side: usize,
    /// Most crops of a picture.
    pub(crate) most_crops: usize,
    /// Longer over shorter side from which a picture is cropped.
    pub(crate) least_aspect: f64,
}

impl PanAndScan {
    /// The numbers of a processor file, or those of `Gemma3Processor`.
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, LoadError> {
        Ok(Self {
            least_side: fields.positive_or("pan_and_scan_min_crop_size", 256)?,
            most_crops: fields.positive_or("pan_and_scan_max_num_crops", 4)?,
            least_aspect: fields.f64_or("pan_and_scan_min_ratio_to_activate", 1.2)?,
        })
    }

    /// The crops of a `width` × `height` picture in order; none of one that is square enough or too small
    /// (`pan_and_scan`).
    pub(crate) fn crops(self, width: usize, height: usize) -> Vec<Box2<loupe_core::Given>> {
        let (long, short) = (width.max(height), width.min(height));
        let aspect = long as f64 / short as f64;
        if aspect < self.least_aspect {
            return Vec::new();
        }
        // Half rounds up.
        let wanted = ((aspect + 0.5).floor() as usize).min(long / self.least_side);
        let count = wanted.max(2).min(self.most_crops);
        let step = long.div_ceil(count);
        if step.min(short) < self.least_side {
            return Vec::new();
        }
        let crop = |n: usize| {
            let (from, to) = ((n * step) as f64, ((n + 1) * step).min(long) as f64);
            if width >= height {
                Box2::new(from, 0.0, to, height as f64)
            } else {
                Box2::new(0.0, from, width as f64, to)
            }
        };
        // Rounding up can leave nothing for the last.
        (0..count).filter(|n| n * step < long).map(crop).collect()
    }

    /// Everything that changes the crops, for keys of caches.
    pub(crate) fn fingerprint(self) -> Vec<u8> {
        let sizes = [self.least_side as u64, self.most_crops as u64, self.least_aspect.to_bits()];
        sizes.iter().flat_map(|n| n.to_le_bytes()).collect()
    }
}
