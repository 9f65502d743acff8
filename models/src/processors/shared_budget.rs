//! Pictures whose tokens share one budget: `HulumedImageProcessor` (ZJUI-AI4H/Hulu-Med at a0060ad,
//! `image_processing_hulumed.py`, `simple_batched_resize`), after `VideoLLaMA` 3.

use super::levels::{HALVES, Levels};
use super::qwen_vl::{ImageProcessor, PatchLayout};
use super::sliver::refuse_sliver;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::error::LoadError;
use loupe_core::Picture;
use loupe_preprocess::resize::Backend;
use serde_json::{Value, json};

/// How pictures become patches.
pub(crate) struct SharedBudget {
    /// Least tokens of a picture.
    least: usize,
    /// Most tokens of all pictures of a prompt together.
    most: usize,
    /// Patches of single pictures.
    plain: ImageProcessor,
}

/// Patches of a side of the square that one token stands for in slices of a volume.
pub(crate) const VOLUME_MERGE: usize = 2;

/// A token of a slice is shown when its patches differ from those of the slice before by more than this, on average and in
/// the units that the network reads (`_get_compression_mask`).
const CHANGE: f32 = 0.1;

impl SharedBudget {
    /// Reads the processor's file; where there is none, the numbers are those of ZJU-AI4H/SigLip-NaViT.
    pub(crate) fn read(
        file: &ProcessorFile,
        patch: usize,
        resample: Option<Backend>,
    ) -> Result<Self, LoadError> {
        file.class(&["HulumedImageProcessor"])?;
        file.need_steps(&["do_resize"], &["do_rescale", "do_normalize"])?;
        let fields = file.fields();
        if fields.usize_or("patch_size", patch)? != patch {
            return Err(fields.bad("patch_size", format!("the vision tower reads patches of {patch}")));
        }
        let (least, most) =
            (fields.positive_or("min_tokens", 16)?, fields.positive_or("max_tokens", 16_384)?);
        if least > most {
            return Err(fields.bad("min_tokens", format!("{least} is above max_tokens {most}")));
        }
        if most > 1 << 24 {
            return Err(fields.bad("max_tokens", format!("{most} is out of range")));
        }
        let levels = Levels::read(&fields, HALVES)?;
        // The processor resizes with Pillow, whatever version of transformers wrote the file.
        let backend = resample.unwrap_or(Backend::Pillow);
        Ok(Self { least, most, plain: ImageProcessor::stills(patch, 1, file.filter(3)?, backend, levels) })
    }

    /// Whose resizing it is.
    pub(crate) fn resample(&self) -> &'static str {
        self.plain.backend.name()
    }

    /// Everything that changes patches, for the record of a run.
    pub(crate) fn settings(&self) -> Value {
        let mut out = self.plain.settings();
        out["min_tokens"] = json!(self.least);
        out["max_tokens"] = json!(self.most);
        out
    }

    /// Everything that changes the patches of a picture of a given layout, for keys of caches.
    pub(crate) fn fingerprint(&self, layout: &PatchLayout, merge: usize) -> Vec<u8> {
        let numbers = [layout.resized[0], layout.resized[1], merge];
        let own = numbers.iter().flat_map(|n| (*n as u64).to_le_bytes());
        self.plain.fingerprint().into_iter().chain(own).collect()
    }

    /// The size of each of `count` pictures that are shown together.
    ///
    /// The processor reads a picture's size from Pillow, which gives the width first, as if the height came first: a
    /// picture that is not square is squashed to the turned size. Slices of volumes come to it as arrays and keep their
    /// shape. Models were trained on such pictures, so both are done as published.
    ///
    /// # Errors
    /// Says why a picture cannot be shown.
    pub(crate) fn layout(
        &self,
        picture: &Picture,
        count: usize,
        volume: bool,
    ) -> Result<PatchLayout, String> {
        let merge = if volume { VOLUME_MERGE } else { 1 };
        let patch = self.plain.patch;
        let (mut height, mut width) = (picture.height(), picture.width());
        refuse_sliver(width, height)?;
        if !volume {
            (height, width) = (width, height);
        }
        let factor = patch * merge;
        let most = (self.most * factor * factor / count.max(1)) as f64;
        let least = (self.least * factor * factor) as f64;
        let (h, w, f) = (height as f64, width as f64, factor as f64);
        let mut size = [h, w].map(|v| (v / f).round_ties_even() * f);
        if size[0] * size[1] > most {
            let beta = (h * w / most).sqrt();
            size = [h, w].map(|v| (v / beta / f).floor() * f);
        }
        if size[0] * size[1] < least {
            let beta = (least / (h * w)).sqrt();
            size = [h, w].map(|v| (v * beta / f).ceil() * f);
        }
        let [rows, columns] = size.map(|v| v as usize / patch);
        if rows == 0 || columns == 0 {
            let [w, h] = [picture.width(), picture.height()];
            return Err(format!("{w}×{h} pixels leave no patch of the budget of {} tokens", self.most));
        }
        let grid = [1, rows, columns];
        Ok(PatchLayout {
            grid,
            tokens: rows * columns / (merge * merge),
            resized: [size[1] as usize, size[0] as usize],
        })
    }

    /// Patches, one a row, those of a token side by side.
    pub(crate) fn patches(
        &self,
        picture: &Picture,
        layout: &PatchLayout,
        merge: usize,
    ) -> Result<Vec<f32>, String> {
        ImageProcessor { merge, ..self.plain.clone() }.patches(picture, layout)
    }

    /// Which tokens of a slice are shown: those that changed since the slice before it, `before`; the first of them when
    /// none did.
    pub(crate) fn changed(before: &[f32], patches: &[f32], tokens: usize) -> Vec<bool> {
        let values = patches.len() / tokens.max(1);
        let pairs = patches.chunks_exact(values.max(1)).zip(before.chunks_exact(values.max(1)));
        let mean = |(a, b): (&[f32], &[f32])| {
            a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / values as f32
        };
        let mut kept: Vec<bool> = pairs.map(|pair| mean(pair) > CHANGE).collect();
        if let (false, Some(first)) = (kept.contains(&true), kept.first_mut()) {
            *first = true;
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use loupe_preprocess::resize::Filter;

    #[test]
    fn slivers_have_no_share_of_the_budget() {
        let levels = Levels::new(1.0 / 255.0, HALVES);
        let plain = ImageProcessor::stills(14, 1, Filter::Bicubic, Backend::Pillow, levels);
        let budget = SharedBudget { least: 16, most: 16_384, plain };
        let layout = |height: usize| {
            let picture = Picture::new(1, height, 1, vec![0; height]).unwrap();
            [true, false].map(|volume| budget.layout(&picture, 1, volume))
        };
        assert!(layout(200).iter().all(Result::is_ok));
        for problem in layout(4000).map(Result::unwrap_err) {
            assert!(problem.contains("up to 200 times"), "{problem}");
        }
    }
}
