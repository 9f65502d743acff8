//! A loaded SAM of any family: the picture is encoded once and kept by content, prompts that look
//! alike are decoded together.

use super::config::{SamConfig, Vision};
use super::decoder::{DecoderOutput, MaskDecoder};
use super::encoder::Vit;
use super::pipeline::{self, Answer, InputPipeline};
use super::prompt::{PromptEncoder, SparsePrompt};
use super::tiny_vit::TinyVit;
use super::upsample::Plane;
use super::{infer, names};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::Dtype;
use crate::checkpoint::weights::Weights;
use crate::error::{LoadError, computation};
use crate::layers::vars::Vars;
use crate::layers::{all_finite, is_finite, on_pool};
use crate::options::LoadOptions;
use crate::options::open_device;
use candle_core::{DType, Device, Tensor};
use loupe_core::model::{CheckpointRecord, Provenance};
use loupe_core::segmenter::Refined;
use loupe_core::{Mask, ModelInfo, Picture, Segment, SegmentError, SegmentPrompt, Segmenter};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of pictures' embeddings that are kept (4 MB a picture for SAM at 1024 pixels, 21 for SAM 2).
const KEPT_BYTES: usize = 256 << 20;
/// Prompts decoded together; each needs about 60 MB on SAM's 64 × 64 grid.
const TOGETHER: usize = 8;

/// A loaded SAM.
#[derive(Debug)]
pub struct Sam {
    family: &'static str,
    info: ModelInfo,
    side: usize,
    network: Arc<dyn Network>,
    pipeline: Box<dyn InputPipeline>,
    device: Device,
    /// Embeddings by picture content, least recently used first.
    kept: Vec<([u8; 32], Vec<Tensor>)>,
}

/// A network that encodes a picture once and decodes prompts on it.
pub(crate) trait Network: std::fmt::Debug + Send + Sync {
    /// `(1, 3, S, S)` to whatever the decoder needs, the embedding `(1, C, G, G)` first.
    fn encode(&self, pixels: &Tensor) -> candle_core::Result<Vec<Tensor>>;

    /// Decodes prompts with equal numbers of points, boxes and masks; `masks` are logits
    /// `(N, 1, 4G, 4G)`.
    fn decode(
        &self,
        image: &[Tensor],
        prompts: &[&SparsePrompt],
        masks: Option<&Tensor>,
    ) -> candle_core::Result<DecoderOutput>;

    /// The prompt encoder.
    fn prompts(&self) -> &PromptEncoder;

    /// The largest logit, either side of 0, of a mask that is given back as a prompt.
    fn most_logit(&self) -> Option<f32> {
        None
    }

    /// The mask that stands for the single-mask output of one prompt.
    fn single(&self, _masks: &[Vec<f32>], _quality: &[f32]) -> usize {
        0
    }
}

/// The network of SAM and its relatives.
#[derive(Debug)]
struct First {
    encoder: Encoder,
    prompts: PromptEncoder,
    decoder: MaskDecoder,
    positions: Tensor,
}

impl Network for First {
    fn encode(&self, pixels: &Tensor) -> candle_core::Result<Vec<Tensor>> {
        Ok(vec![self.encoder.forward(pixels)?])
    }

    fn decode(
        &self,
        image: &[Tensor],
        prompts: &[&SparsePrompt],
        masks: Option<&Tensor>,
    ) -> candle_core::Result<DecoderOutput> {
        let [image] = image else { candle_core::bail!("SAM has one embedding a picture") };
        let (sparse, dense) = self.prompts.both(prompts, masks)?;
        self.decoder.forward(image, &self.positions, &sparse, &dense, &[])
    }

    fn prompts(&self) -> &PromptEncoder {
        &self.prompts
    }
}

/// A checkpoint whose weights are being read.
pub(crate) struct Opened {
    pub(crate) config: Option<Value>,
    pub(crate) weights: Weights,
    device: Device,
    device_name: String,
    dtype: Dtype,
}

impl Opened {
    /// Opens config.json, if there is one, and the weights under their canonical names.
    pub(crate) fn open(
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        canonical: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, LoadError> {
        let place = open_device(options.device)?;
        // On the processor everything is computed in f32; half precision is for those who ask.
        let dtype = options.dtype.filter(|_| !place.packs).unwrap_or(Dtype::F32);
        let config = checkpoint.json("config.json")?;
        let weights = Weights::open(checkpoint, place.numbers(dtype), canonical)?;
        Ok(Self { config, weights, device: place.device, device_name: place.name, dtype })
    }
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
    /// SAM 2: the logit of "there is such an object".
    pub object_score: Option<f32>,
}

impl Decoded {
    /// Itself, when every number that a mask or its score is read from is finite.
    fn finite(self) -> Result<Self, SegmentError> {
        if !self.low_resolution.iter().all(|logits| all_finite(logits)) {
            return Err(SegmentError::NotFinite("mask logits"));
        }
        if !all_finite(&self.predicted_iou) || self.object_score.is_some_and(|score| !score.is_finite()) {
            return Err(SegmentError::NotFinite("scores of masks"));
        }
        Ok(self)
    }

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
pub(crate) struct SamSettings<'a> {
    /// Its name.
    pub(crate) family: &'static str,
    /// Side of the input, when the encoder is a TinyViT.
    pub(crate) tiny_vit: Option<usize>,
    /// What it does around the network.
    pub(crate) pipeline: MakePipeline<'a>,
}

/// Makes a pipeline from config.json (`null` without one) and the side of the input.
pub(crate) type MakePipeline<'a> = &'a dyn Fn(&Value, usize) -> Result<Box<dyn InputPipeline>, LoadError>;

impl Sam {
    /// Loads a checkpoint in the Hugging Face layout, or one with `model.safetensors` in the
    /// original names and no config.json.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        settings: &SamSettings<'_>,
    ) -> Result<Self, LoadError> {
        let original = !checkpoint.has("config.json");
        let opened = Opened::open(checkpoint, options, |name| names::canonical(name, original))?;
        let sizes = match &opened.config {
            Some(config) => SamConfig::read(config)?,
            None => infer::config_from_shapes(&opened.weights, settings.tiny_vit)?,
        };
        let extent = [sizes.vision.side(), sizes.vision.grid()];
        let pipeline = (settings.pipeline)(opened.config.as_ref().unwrap_or(&Value::Null), extent[0])?;
        let vars = Vars::root(&opened.weights);
        let features = sizes.prompt.num_pos_feats;
        let frequencies = vars.get(&[2, features], "shared_image_embedding.positional_embedding")?;
        let encoder = Encoder::load(&sizes.vision, &vars.pp("vision_encoder"))?;
        let prompts = PromptEncoder::load(&sizes.prompt, extent, &vars.pp("prompt_encoder"), frequencies)?;
        let decoder = MaskDecoder::load(&sizes.decoder, &vars.pp("mask_decoder"))?;
        let positions = prompts.grid_positions()?;
        let network = First { encoder, prompts, decoder, positions };
        Self::assemble(checkpoint, opened, settings.family, Arc::new(network), pipeline)
    }

    /// Puts a network and a pipeline together; every tensor of the files must have been used.
    pub(crate) fn assemble(
        checkpoint: &Checkpoint,
        opened: Opened,
        family: &'static str,
        network: Arc<dyn Network>,
        pipeline: Box<dyn InputPipeline>,
    ) -> Result<Self, LoadError> {
        let parameters = opened.weights.parameters();
        opened.weights.finish()?;
        let info = ModelInfo {
            family: family.to_owned(),
            name: checkpoint.name(),
            box_dialect: "none".to_owned(),
            context_tokens: None,
            from: Provenance::Checkpoint(CheckpointRecord {
                resample: pipeline.resample().to_owned(),
                ..checkpoint.record(parameters, opened.dtype.name(), opened.device_name)?
            }),
        };
        let side = network.prompts().image_size();
        Ok(Self { family, info, side, network, pipeline, device: opened.device, kept: Vec::new() })
    }

    /// The embedding of a picture, `(C, G, G)` values in row order; computed once a content.
    ///
    /// # Errors
    /// When the computation fails.
    pub fn embedding(&mut self, picture: &Picture) -> Result<Vec<f32>, SegmentError> {
        let embedding = self.embed(picture)?;
        let first = embedding.first().ok_or_else(|| SegmentError::Compute("no embedding".to_owned()))?;
        first.to_dtype(DType::F32).and_then(|e| e.flatten_all()?.to_vec1()).map_err(failed)
    }

    pub(crate) fn embed(&mut self, picture: &Picture) -> Result<Vec<Tensor>, SegmentError> {
        let key = picture.content_key();
        if let Some(at) = self.kept.iter().position(|(k, _)| *k == key) {
            let entry = self.kept.remove(at);
            let embedding = entry.1.clone();
            self.kept.push(entry);
            return Ok(embedding);
        }
        let pixels = self.pipeline.pixels(picture)?;
        let embedding = Tensor::from_vec(pixels, (1, 3, self.side, self.side), &Device::Cpu)
            .and_then(|p| p.to_dtype(self.network.prompts().dtype())?.to_device(&self.device))
            .and_then(|p| self.network.encode(&p))
            .map_err(failed)?;
        for part in &embedding {
            if !is_finite(part).map_err(failed)? {
                return Err(SegmentError::NotFinite("vision features"));
            }
        }
        self.kept.push((key, embedding.clone()));
        let bytes = |(_, kept): &([u8; 32], Vec<Tensor>)| -> usize {
            kept.iter().map(|t| t.elem_count() * t.dtype().size_in_bytes()).sum()
        };
        while self.kept.len() > 1 && self.kept.iter().map(bytes).sum::<usize>() > KEPT_BYTES {
            self.kept.remove(0);
        }
        Ok(embedding)
    }

    /// All masks for one object. `previous` are low-resolution logits of an earlier round; they
    /// stand in for a mask prompt.
    ///
    /// # Errors
    /// When a prompt cannot be used or the computation fails.
    pub fn decode(
        &mut self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
        previous: Option<&[f32]>,
    ) -> Result<Decoded, SegmentError> {
        let mut prepared = self.prepare(picture, prompts)?;
        if let Some(logits) = previous {
            let side = self.network.prompts().mask_side();
            if prepared.mask.is_some() {
                return Err(SegmentError::BadPrompt("give a mask or earlier logits, not both".to_owned()));
            }
            if logits.len() != side * side {
                let problem = format!("earlier logits have {side} × {side} values for this model");
                return Err(SegmentError::BadPrompt(problem));
            }
            prepared.mask = Some(logits.to_vec());
        }
        let image = self.embed(picture)?;
        let mut decoded = self.decode_alike(&image, &[&prepared]).map_err(failed)?;
        decoded.pop().ok_or_else(|| SegmentError::Compute("the decoder gave nothing".to_owned()))?.finite()
    }

    /// Logits at the picture's own size in row order, for low-resolution logits of [`Sam::decode`];
    /// the object is where they are above 0.
    pub fn upsampled(&self, decoded: &Decoded, index: usize, picture: &Picture) -> Option<Vec<f32>> {
        let low = decoded.plane(index)?;
        Some(self.pipeline.finish(&low, picture.width(), picture.height()).values)
    }

    /// What the prompts about one object say, in pixels of the model's input.
    pub(crate) fn given(
        &self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
    ) -> Result<(SparsePrompt, Option<Mask>), SegmentError> {
        pipeline::sparse_prompt(self.family, self.pipeline.as_ref(), picture, prompts)
    }

    /// Logits of the decoder at the size of a picture.
    pub(crate) fn finish(&self, low: &Plane, width: usize, height: usize) -> Plane {
        self.pipeline.finish(low, width, height)
    }

    fn prepare(&self, picture: &Picture, prompts: &[SegmentPrompt]) -> Result<Prepared, SegmentError> {
        let (sparse, mask) = self.given(picture, prompts)?;
        let low = self.network.prompts().mask_side();
        let mask = mask.map(|m| pipeline::mask_logits(self.pipeline.as_ref(), &m, self.side, low));
        Ok(Prepared { sparse, mask })
    }

    /// Decodes objects with equal numbers of points, boxes and masks.
    fn decode_alike(&self, image: &[Tensor], objects: &[&Prepared]) -> candle_core::Result<Vec<Decoded>> {
        let prompts: Vec<&SparsePrompt> = objects.iter().map(|o| &o.sparse).collect();
        let values: Vec<f32> = objects.iter().filter_map(|o| o.mask.as_ref()).flatten().copied().collect();
        let own = self.network.prompts();
        let mut given = None;
        if !values.is_empty() {
            let low = own.mask_side();
            let masks = Tensor::from_vec(values, (objects.len(), 1, low, low), &self.device)?;
            given = Some(masks.to_dtype(own.dtype())?);
        }
        let network = self.network.as_ref();
        let out = on_pool(&self.device, || network.decode(image, &prompts, given.as_ref()))?;
        let scores = match &out.object_score {
            Some(scores) => scores.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?,
            None => Vec::new(),
        };
        let (masks, quality) = (out.masks, out.quality);
        let (n, count, side, _) = masks.dims4()?;
        let masks: Vec<Vec<Vec<f32>>> =
            masks.to_dtype(DType::F32)?.reshape((n, count, side * side))?.to_vec3()?;
        let quality: Vec<Vec<f32>> = quality.to_dtype(DType::F32)?.to_vec2()?;
        let both = masks.into_iter().zip(quality).enumerate();
        Ok(both
            .map(|(n, (low_resolution, predicted_iou))| Decoded {
                side,
                low_resolution,
                predicted_iou,
                object_score: scores.get(n).copied(),
            })
            .collect())
    }

    /// The masks that answer `prompts`, best first.
    fn answers(
        &self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
        decoded: &Decoded,
    ) -> Result<Vec<Segment>, SegmentError> {
        let iou = |n: usize| decoded.predicted_iou.get(n).copied().unwrap_or_default();
        let mut many: Vec<usize> = (1..decoded.low_resolution.len()).collect();
        many.sort_by(|a, b| iou(*b).total_cmp(&iou(*a)));
        let chosen = match self.pipeline.answer(prompts) {
            Answer::Candidates if !many.is_empty() => many,
            Answer::Best if !many.is_empty() => many[..1].to_vec(),
            _ => vec![self.network.single(&decoded.low_resolution, &decoded.predicted_iou)],
        };
        chosen.into_iter().map(|n| self.at_size(picture, decoded, n)).collect()
    }

    /// Mask `n` in the picture's own pixels.
    fn at_size(&self, picture: &Picture, decoded: &Decoded, n: usize) -> Result<Segment, SegmentError> {
        let logits = self.upsampled(decoded, n, picture);
        let bits = logits.map(|logits| logits.iter().map(|&v| v > 0.0).collect());
        let mask = bits.and_then(|bits| Mask::new(picture.width(), picture.height(), bits));
        let other = || SegmentError::Compute("the mask has another size than the picture".to_owned());
        let predicted_iou = Some(decoded.predicted_iou.get(n).copied().unwrap_or_default());
        Ok(Segment { mask: mask.ok_or_else(other)?, predicted_iou })
    }
}

// By value, because it is what `map_err` hands over.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn failed(error: candle_core::Error) -> SegmentError {
    SegmentError::Compute(computation(&error))
}

impl Segmenter for Sam {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn segment(
        &mut self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
    ) -> Result<Vec<Segment>, SegmentError> {
        let decoded = self.decode(picture, prompts, None)?;
        self.answers(picture, prompts, &decoded)
    }

    /// The best of the multimask outputs (`multimask_output=True` and arg-max of the scores), the first of equals.
    fn refine(
        &mut self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
        earlier: Option<&[f32]>,
    ) -> Result<Refined, SegmentError> {
        let mut decoded = self.decode(picture, prompts, earlier)?;
        let first = usize::from(decoded.low_resolution.len() > 1);
        let score = |n: usize| decoded.predicted_iou.get(n).copied().unwrap_or_default();
        let count = decoded.low_resolution.len();
        let best = (first..count).reduce(|best, n| if score(n) > score(best) { n } else { best });
        let best = best.ok_or_else(|| SegmentError::Compute("the decoder gave nothing".to_owned()))?;
        let segment = self.at_size(picture, &decoded, best)?;
        let mut logits = decoded.low_resolution.swap_remove(best);
        if let Some(most) = self.network.most_logit() {
            logits.iter_mut().for_each(|v| *v = v.clamp(-most, most));
        }
        Ok(Refined { segment, logits: Some(logits) })
    }

    fn segment_all(
        &mut self,
        picture: &Picture,
        objects: &[Vec<SegmentPrompt>],
    ) -> Vec<Result<Vec<Segment>, SegmentError>> {
        let prepared: Vec<_> = objects.iter().map(|prompts| self.prepare(picture, prompts)).collect();
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
            let decoded = decoded.remove(&n).ok_or_else(missing)??.finite()?;
            self.answers(picture, &objects[n], &decoded)
        };
        prepared.into_iter().enumerate().map(finish).collect()
    }
}
