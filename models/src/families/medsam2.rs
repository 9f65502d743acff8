//! MedSAM2: SAM 2.1 tiny at 512 × 512 pixels, fine-tuned on slices of CT, MR and ultrasound.

use super::sam2::claims;
use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::networks::sam2::segmenter::Sam2;
use crate::options::LoadOptions;
use crate::processors::levels::{IMAGENET, Levels};
use crate::processors::sam2::Squashed;
use loupe_preprocess::resize::{Backend, Filter};

/// The table entry.
pub const FAMILY: Family = Family {
    name: "medsam2",
    paper: "MedSAM2, arXiv 2504.03600",
    examples: &["wanglab/MedSAM2 MedSAM2_latest", "wanglab/MedSAM2 MedSAM2_CTLesion"],
    layouts: "Hugging Face folders, and the original names, as published (.pth, .pt) and as safetensors",
    licence: "Apache-2.0; the model card has limits of use",
    parity: "transformers 5.23: embeddings 1e-5, mask logits 5e-5; memory step by step 5e-5",
    input: "grey levels 0–255 (a volume clipped to its window, then from its minimum to its maximum, whole \
             numbers), as RGB squashed to 512 × 512 (Pillow, bicubic), ImageNet mean and deviation; logits bilinear \
             to the slice, above 0; every direction starts from the prompted slice alone",
    architectures: &[],
    claims: |clues| clues.is_called("medsam2") && claims(clues),
    box_dialect: None,
    load: Loader::Segments(|checkpoint, options| Ok(Box::new(load(checkpoint, options)?))),
};

/// Loads `model.safetensors` in the names of the `sam2` repository or of `transformers`, with the
/// input pipeline of the authors' inference scripts (`medsam2_infer_3D_CT.py`). Processor files are
/// not read.
///
/// # Errors
/// When a tensor is missing, unexpected or wrongly shaped.
pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Sam2, LoadError> {
    Sam2::load(checkpoint, options, FAMILY.name, 512, &|_, side| {
        let backend = options.resample.unwrap_or(Backend::Pillow);
        Ok(Box::new(Squashed::new(side, Filter::Bicubic, backend, Levels::new(1.0 / 255.0, IMAGENET))))
    })
}
