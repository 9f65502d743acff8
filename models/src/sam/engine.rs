//! A loaded SAM of any family: the picture is encoded once and kept by content, prompts that look
//! alike are decoded together.

use super::decoder::MaskDecoder;
use super::encoder::Vit;
use super::prompt::{PromptEncoder, SparsePrompt};
use super::recipe::{self, Answer, Recipe};
use super::tiny_vit::TinyVit;
use super::{Plane, SamConfig, Vars, Vision, infer, names};
use crate::checkpoint::Checkpoint;
use crate::engine::open_device;
use crate::weights::{Numbers, Weights};
use crate::{Dtype, LoadError, LoadOptions};
use candle_core::{DType, Device, Tensor};
use loupe_core::{Hint, Mask, ModelInfo, Picture, Segment, SegmentError, Segmenter};
use serde_json::Value;
use std::collections::BTreeMap;

/// How many pictures' embeddings are kept (4 MB each for SAM's 256 × 64 × 64 grid).
const KEPT_PICTURES: usize = 16;
/// Prompts decoded together; each needs about 60 MB on SAM's 64 × 64 grid.
const TOGETHER: usize = 8;

/// A loaded SAM.
#[derive(Debug)]
pub struct Sam {
    family: &'static str,
    info: ModelInfo,
    side: usize,
    encoder: Encoder,
    prompts: PromptEncoder,
    decoder: MaskDecoder,
    positions: Tensor,
    recipe: Box<dyn Recipe>,
    device: Device,
    /// Embeddings by picture content, least recently used first.
    kept: Vec<([u8; 32], Tensor)>,
}

#[derive(Debug)]
enum Encoder {
    Vit(Vit),
    TinyVit(TinyVit),
}

impl Encoder {
    fn load(vision: &Vision, vars: &Vars<'_>) -> Result<Self, LoadError> {
        Ok(match vision {
            Vision::Vit(config) => Self::Vit(Vit::load(config, vars)?),
            Vision::TinyVit { width, .. } => Self::TinyVit(TinyVit::load(*width, vars)?),
        })
    }

    /// `(1, 3, S, S)` to `(1, C, G, G)`.
    fn forward(&self, pixels: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Vit(encoder) => encoder.forward(pixels),
            Self::TinyVit(encoder) => encoder.forward(pixels),
        }
    }
}

/// The raw output for one object.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// Side of the low-resolution masks.
    pub side: usize,
    /// Mask logits, `side × side` values each in row order: the single-mask output first, then the
    /// multimask outputs.
    pub low_resolution: Vec<Vec<f32>>,
    /// Predicted IoU, one a mask.
    pub predicted_iou: Vec<f32>,
}

impl Decoded {
    /// The low-resolution logits of mask `index`; none when there are fewer.
    fn plane(&self, index: usize) -> Option<Plane> {
        let values = self.low_resolution.get(index)?.clone();
        Some(Plane { width: self.side, height: self.side, values })
    }
}

/// One object ready for the decoder.
struct Prepared {
    sparse: SparsePrompt,
    /// Low-resolution logits.
    mask: Option<Vec<f32>>,
}

/// What a family has that a checkpoint does not say.
pub(crate) struct Family<'a> {
    /// Its name.
    pub(crate) name: &'static str,
    /// Side of the input, when the encoder is a TinyViT.
    pub(crate) tiny_vit: Option<usize>,
    /// What it does around the network.
    pub(crate) recipe: MakeRecipe<'a>,
}

/// Makes a recipe from config.json (`null` without one) and the side of the input.
pub(crate) type MakeRecipe<'a> = &'a dyn Fn(&Value, usize) -> Result<Box<dyn Recipe>, LoadError>;

impl Sam {
    /// Loads a checkpoint in the Hugging Face layout, or one with `model.safetensors` in the
    /// original names and no config.json.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        family: &Family<'_>,
    ) -> Result<Self, LoadError> {
        let (device, device_name) = open_device(options.device)?;
        // On the processor everything is computed in f32; half precision is for those who ask.
        let dtype = options.dtype.filter(|_| !device.is_cpu()).unwrap_or(Dtype::F32);
        let config = checkpoint.json("config.json")?;
        let original = config.is_none();
        let numbers = Numbers::new(device.clone(), dtype);
        let weights = Weights::open(checkpoint, numbers, |name| names::canonical(name, original))?;
        let sizes = match &config {
            Some(config) => SamConfig::read(config)?,
            None => infer::config_from_shapes(&weights, family.tiny_vit)?,
        };
        let side = sizes.vision.side();
        let recipe = (family.recipe)(config.as_ref().unwrap_or(&Value::Null), side)?;
        let vars = Vars::root(&weights);
        let features = sizes.prompt.num_pos_feats;
        let frequencies = vars.get(&[2, features], "shared_image_embedding.positional_embedding")?;
        let encoder = Encoder::load(&sizes.vision, &vars.pp("vision_encoder"))?;
        let prompts =
            PromptEncoder::load(&sizes.prompt, &sizes.vision, &vars.pp("prompt_encoder"), frequencies)?;
        let decoder = MaskDecoder::load(&sizes.decoder, &vars.pp("mask_decoder"))?;
        let parameters = weights.parameters();
        weights.finish()?;
        let positions = prompts.grid_positions()?;
        let info = ModelInfo {
            family: family.name.to_owned(),
            name: checkpoint.name(),
            weights_sha256: checkpoint.weights_sha256()?,
            parameters,
            dtype: dtype.name().to_owned(),
            device: device_name,
            resample: recipe.resample().to_owned(),
            box_dialect: "none".to_owned(),
            context_tokens: 0,
        };
        Ok(Self {
            family: family.name,
            info,
            side,
            encoder,
            prompts,
            decoder,
            positions,
            recipe,
            device,
            kept: Vec::new(),
        })
    }

    /// The embedding of a picture, `(C, G, G)` values in row order; computed once a content.
    ///
    /// # Errors
    /// When the computation fails.
    pub fn embedding(&mut self, picture: &Picture) -> Result<Vec<f32>, SegmentError> {
        let embedding = self.embed(picture)?.to_dtype(DType::F32).and_then(|e| e.flatten_all());
        embedding.and_then(|e| e.to_vec1()).map_err(failed)
    }

    fn embed(&mut self, picture: &Picture) -> Result<Tensor, SegmentError> {
        let key = picture.content_key();
        if let Some(at) = self.kept.iter().position(|(k, _)| *k == key) {
            let entry = self.kept.remove(at);
            let embedding = entry.1.clone();
            self.kept.push(entry);
            return Ok(embedding);
        }
        let pixels = self.recipe.pixels(picture)?;
        let embedding = Tensor::from_vec(pixels, (1, 3, self.side, self.side), &Device::Cpu)
            .and_then(|p| p.to_dtype(self.prompts.dtype())?.to_device(&self.device))
            .and_then(|p| self.encoder.forward(&p))
            .map_err(failed)?;
        if self.kept.len() >= KEPT_PICTURES {
            self.kept.remove(0);
        }
        self.kept.push((key, embedding.clone()));
        Ok(embedding)
    }

    /// All masks for one object. `previous` are low-resolution logits of an earlier round; they
    /// stand in for a mask hint.
    ///
    /// # Errors
    /// When a hint cannot be used or the computation fails.
    pub fn decode(
        &mut self,
        picture: &Picture,
        hints: &[Hint],
        previous: Option<&[f32]>,
    ) -> Result<Decoded, SegmentError> {
        let mut prepared = self.prepare(picture, hints)?;
        if let Some(logits) = previous {
            let side = self.prompts.mask_side();
            if prepared.mask.is_some() {
                return Err(SegmentError::BadHint("give a mask or earlier logits, not both".to_owned()));
            }
            if logits.len() != side * side {
                let problem = format!("earlier logits have {side} × {side} values for this model");
                return Err(SegmentError::BadHint(problem));
            }
            prepared.mask = Some(logits.to_vec());
        }
        let image = self.embed(picture)?;
        let mut decoded = self.decode_alike(&image, &[&prepared]).map_err(failed)?;
        decoded.pop().ok_or_else(|| SegmentError::Compute("the decoder gave nothing".to_owned()))
    }

    /// Logits at the picture's own size in row order, for low-resolution logits of [`Sam::decode`];
    /// the object is where they are above 0.
    pub fn upsampled(&self, decoded: &Decoded, index: usize, picture: &Picture) -> Option<Vec<f32>> {
        let low = decoded.plane(index)?;
        Some(self.recipe.finish(&low, picture.width(), picture.height()).values)
    }

    fn prepare(&self, picture: &Picture, hints: &[Hint]) -> Result<Prepared, SegmentError> {
        let (sparse, mask) = recipe::prompt(self.family, self.recipe.as_ref(), picture, hints)?;
        let low = self.prompts.mask_side();
        let mask = mask.map(|m| recipe::mask_logits(self.recipe.as_ref(), &m, self.side, low));
        Ok(Prepared { sparse, mask })
    }

    /// Decodes objects with equal numbers of points, boxes and masks.
    fn decode_alike(&self, image: &Tensor, objects: &[&Prepared]) -> candle_core::Result<Vec<Decoded>> {
        let prompts: Vec<&SparsePrompt> = objects.iter().map(|o| &o.sparse).collect();
        let sparse = self.prompts.sparse(&prompts)?;
        let masks: Vec<f32> = objects.iter().filter_map(|o| o.mask.as_ref()).flatten().copied().collect();
        let dense = if masks.is_empty() {
            self.prompts.dense_without_mask()?
        } else {
            let low = self.prompts.mask_side();
            let masks = Tensor::from_vec(masks, (objects.len(), 1, low, low), &self.device)?;
            self.prompts.dense(&masks.to_dtype(self.prompts.dtype())?)?
        };
        let (masks, quality) = self.decoder.forward(image, &self.positions, &sparse, &dense)?;
        let (n, count, side, _) = masks.dims4()?;
        let masks: Vec<Vec<Vec<f32>>> =
            masks.to_dtype(DType::F32)?.reshape((n, count, side * side))?.to_vec3()?;
        let quality: Vec<Vec<f32>> = quality.to_dtype(DType::F32)?.to_vec2()?;
        let both = masks.into_iter().zip(quality);
        Ok(both
            .map(|(low_resolution, predicted_iou)| Decoded { side, low_resolution, predicted_iou })
            .collect())
    }

    /// The masks that answer `hints`, best first.
    fn answers(
        &self,
        picture: &Picture,
        hints: &[Hint],
        decoded: &Decoded,
    ) -> Result<Vec<Segment>, SegmentError> {
        let iou = |n: usize| decoded.predicted_iou.get(n).copied().unwrap_or_default();
        let mut many: Vec<usize> = (1..decoded.low_resolution.len()).collect();
        many.sort_by(|a, b| iou(*b).total_cmp(&iou(*a)));
        let chosen = match self.recipe.answer(hints) {
            Answer::Candidates if !many.is_empty() => many,
            Answer::Best if !many.is_empty() => many[..1].to_vec(),
            _ => vec![0],
        };
        let segment = |n: usize| {
            let logits = self.upsampled(decoded, n, picture)?;
            let bits = logits.iter().map(|&v| v > 0.0).collect();
            let mask = Mask::new(picture.width(), picture.height(), bits)?;
            Some(Segment { mask, predicted_iou: Some(iou(n)) })
        };
        let found: Option<Vec<Segment>> = chosen.into_iter().map(segment).collect();
        found.ok_or_else(|| SegmentError::Compute("the mask has another size than the picture".to_owned()))
    }
}

// By value, because it is what `map_err` hands over.
#[allow(clippy::needless_pass_by_value)]
fn failed(error: candle_core::Error) -> SegmentError {
    SegmentError::Compute(error.to_string())
}

impl Segmenter for Sam {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn segment(&mut self, picture: &Picture, hints: &[Hint]) -> Result<Vec<Segment>, SegmentError> {
        let decoded = self.decode(picture, hints, None)?;
        self.answers(picture, hints, &decoded)
    }

    fn segment_all(
        &mut self,
        picture: &Picture,
        objects: &[Vec<Hint>],
    ) -> Vec<Result<Vec<Segment>, SegmentError>> {
        let prepared: Vec<_> = objects.iter().map(|hints| self.prepare(picture, hints)).collect();
        // Objects whose prompts have the same shape go through the decoder together.
        let mut alike: BTreeMap<(usize, bool, bool), Vec<usize>> = BTreeMap::new();
        for (n, one) in prepared.iter().enumerate() {
            if let Ok(one) = one {
                let shape = (one.sparse.points.len(), one.sparse.region.is_some(), one.mask.is_some());
                alike.entry(shape).or_default().push(n);
            }
        }
        let mut decoded: BTreeMap<usize, Result<Decoded, SegmentError>> = BTreeMap::new();
        for members in alike.values().flat_map(|all| all.chunks(TOGETHER)) {
            let ready: Vec<&Prepared> = members.iter().filter_map(|n| prepared[*n].as_ref().ok()).collect();
            let done =
                self.embed(picture).and_then(|image| self.decode_alike(&image, &ready).map_err(failed));
            match done {
                Ok(all) => decoded.extend(members.iter().copied().zip(all.into_iter().map(Ok))),
                Err(error) => decoded.extend(members.iter().map(|n| (*n, Err(error.clone())))),
            }
        }
        let finish = |(n, one): (usize, Result<Prepared, SegmentError>)| {
            one?;
            let missing = || SegmentError::Compute("the decoder gave nothing".to_owned());
            let decoded = decoded.remove(&n).ok_or_else(missing)??;
            self.answers(picture, &objects[n], &decoded)
        };
        prepared.into_iter().enumerate().map(finish).collect()
    }
}
