//! What the families of Qwen's vision-language models share: files, names, and how pictures enter. A family says how its
//! text model and its tower are described (`qwen2_vl.rs`, `qwen2_5_vl.rs`, `qwen3_vl.rs`).

use super::patched::PatchedPicture;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::checkpoint::weights::Numbers;
use crate::engine::architecture::{Architecture, Features, Network, Span, digest};
use crate::engine::load::{Assembly, assemble};
use crate::error::LoadError;
use crate::family::Family;
use crate::layers::activation::Activation;
use crate::networks::decoder::{Decoder, DecoderConfig};
use crate::networks::qwen_vit::{QwenVit, Tower, VitConfig};
use crate::options::LoadOptions;
use crate::processors::qwen_vl::ImageProcessor;
use candle_core::Tensor;
use loupe_core::{Picture, VisionLanguageModel};
use serde_json::{Value, json};

/// What a family says of its files.
pub(super) struct Described {
    pub(super) family: &'static Family,
    /// Stands in for a missing chat template.
    pub(super) template: &'static str,
    /// Reads the settings of the text model from config.json.
    pub(super) text: fn(&Fields<'_>) -> Result<DecoderConfig, LoadError>,
    /// Reads `vision_config`, for a text model of a given width.
    pub(super) tower: fn(&Fields<'_>, usize) -> Result<VitConfig, LoadError>,
}

/// Loads a checkpoint.
pub(super) fn load(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    described: &Described,
) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    let root = Fields::new(&config, "config.json");
    root.only(&[("quantization_config", "null")])?;
    let text = (described.text)(&root)?;
    let v = root.object_or_defaults("vision_config")?;
    let vision = (described.tower)(&v, text.hidden)?;
    let head = Head::read(&root)?;
    let image_token = root.usize_or("image_token_id", 151_655)?;
    if image_token >= text.vocab {
        return Err(root.bad("image_token_id", format!("{image_token} is outside the vocabulary")));
    }
    let processor = ImageProcessor::read(checkpoint, &config, options)?;
    if (processor.patch, processor.merge, processor.temporal) != (vision.patch, vision.merge, vision.temporal)
    {
        return Err(LoadError::Field {
            file: "preprocessor_config.json",
            field: "patch_size, merge_size, temporal_patch_size".into(),
            problem: "differ from vision_config in config.json".into(),
        });
    }
    let default_processor = ProcessorFile::read(checkpoint, &config)?.is_absent();
    let resample = processor.backend.name();
    let Described { family, template, .. } = *described;
    let assembly = Assembly { family, resample, default_processor, template, instead: None, canonical };
    assemble(checkpoint, options, &assembly, |weights| {
        let stored = weights.shape("lm_head.weight").is_some();
        let text = DecoderConfig { tied: head.is_tied(stored), ..text };
        Ok(QwenVl {
            vision: QwenVit::load(weights, "model.visual.", vision)?,
            decoder: Decoder::load(weights, "model.language_model.", text)?,
            processor,
            image_token: image_token as u32,
            numbers: weights.numbers.clone(),
        })
    })
}

/// Names of transformers 4.52 and later; older files have `visual.` and `model.` at the top.
fn canonical(name: &str) -> Option<String> {
    if name.ends_with("rotary_emb.inv_freq") || name.ends_with("rotary_pos_emb.inv_freq") {
        return None;
    }
    let own = if name.starts_with("visual.") {
        format!("model.{name}")
    } else if let Some(rest) = name.strip_prefix("language_model.") {
        format!("model.language_model.{}", rest.strip_prefix("model.").unwrap_or(rest))
    } else {
        match name.strip_prefix("model.") {
            Some(rest) if !rest.starts_with("visual.") && !rest.starts_with("language_model.") => {
                format!("model.language_model.{rest}")
            }
            _ => name.to_owned(),
        }
    };
    Some(own)
}

/// Whose weights make the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// `lm_head.weight`.
    Own,
    /// The embeddings; an `lm_head.weight` may be stored, but only with the same values.
    Tied,
    /// `lm_head.weight` where it is stored, otherwise the embeddings.
    OwnWhereStored,
}

impl Head {
    /// Of the two flags the outer one decides (transformers 5); earlier versions looked at the one of the text
    /// model. A head is never dropped on the word of one of them.
    pub(super) fn read(root: &Fields<'_>) -> Result<Self, LoadError> {
        const FLAG: &str = "tie_word_embeddings";
        let outer = root.bool_or(FLAG, false)?;
        let inner = root.object("text_config")?.map_or(Ok(false), |text| text.bool_or(FLAG, false))?;
        Ok(match (outer, inner) {
            (false, false) => Self::Own,
            (false, true) if root.get(FLAG).is_some() => Self::OwnWhereStored,
            _ => Self::Tied,
        })
    }

    fn is_tied(self, stored: bool) -> bool {
        match self {
            Self::Own => false,
            Self::Tied => true,
            Self::OwnWhereStored => !stored,
        }
    }
}

/// What all towers are described by.
pub(super) struct VitShape {
    pub(super) patch: usize,
    pub(super) merge: usize,
    temporal: usize,
    hidden: usize,
    heads: usize,
    pub(super) depth: usize,
    theta: f64,
    activation: Activation,
}

impl VitShape {
    /// `default` has patch and depth where the file has none.
    pub(super) fn read(
        v: &Fields<'_>,
        hidden: usize,
        activation: Activation,
        default: [usize; 2],
    ) -> Result<Self, LoadError> {
        let heads = v.positive_or("num_heads", 16)?;
        if !hidden.is_multiple_of(heads) || !(hidden / heads).is_multiple_of(4) {
            return Err(v.bad(
                "num_heads",
                format!("{heads} heads of {hidden} dimensions do not split into quarters"),
            ));
        }
        if v.usize_or("in_channels", v.usize_or("in_chans", 3)?)? != 3 {
            return Err(v.bad("in_channels", "only 3 is supported"));
        }
        let side = |field: &str, default: usize| match v.usize_or(field, default)? {
            n @ 1..=256 => Ok(n),
            n => Err(v.bad(field, format!("{n} is out of range"))),
        };
        let activation = match v.text("hidden_act")? {
            None => activation,
            Some(name) => Activation::named(name)
                .ok_or_else(|| v.bad("hidden_act", format!("{name:?} is not supported")))?,
        };
        let rope = v.object("rope_parameters")?;
        Ok(Self {
            patch: side("patch_size", default[0])?,
            merge: side("spatial_merge_size", 2)?,
            temporal: side("temporal_patch_size", 2)?,
            hidden,
            heads,
            depth: v.usize_or("depth", default[1])?,
            theta: rope.map_or(Ok(10_000.0), |r| r.positive_f64_or("rope_theta", 10_000.0))?,
            activation,
        })
    }

    /// `out` is the field with the width of the features, and the text model's width, which it must equal.
    pub(super) fn into_config(
        self,
        v: &Fields<'_>,
        tower: Tower,
        intermediate: usize,
        out: (&'static str, usize),
    ) -> Result<VitConfig, LoadError> {
        let (field, text_width) = out;
        let width = v.positive_or(field, 3584)?;
        if width != text_width {
            let problem = format!("{width} does not fit the text model's hidden_size {text_width}");
            return Err(v.bad(field, problem));
        }
        Ok(VitConfig {
            tower,
            depth: self.depth,
            hidden: self.hidden,
            intermediate,
            heads: self.heads,
            channels: 3,
            patch: self.patch,
            merge: self.merge,
            temporal: self.temporal,
            out: width,
            theta: self.theta,
            activation: self.activation,
        })
    }
}

/// The network and the picture settings.
struct QwenVl {
    vision: QwenVit,
    decoder: Decoder,
    processor: ImageProcessor,
    image_token: u32,
    numbers: Numbers,
}

impl Architecture for QwenVl {
    type Picture = PatchedPicture;

    fn network(&self) -> Network<'_> {
        Network::Decoder(&self.decoder)
    }

    fn settings(&self) -> Value {
        let v = &self.vision.config;
        json!({
            "text": self.decoder.config.settings(),
            "image_token_id": self.image_token,
            "vision": {
                "tower": format!("{:?}", v.tower), "depth": v.depth, "hidden_size": v.hidden,
                "intermediate_size": v.intermediate, "num_heads": v.heads, "patch_size": v.patch,
                "spatial_merge_size": v.merge, "temporal_patch_size": v.temporal, "out": v.out,
                "rope_theta": v.theta, "activation": format!("{:?}", v.activation),
            },
            "pictures": self.processor.settings(),
        })
    }

    fn mark(&self) -> &str {
        "<|image_pad|>"
    }

    fn feature_token(&self) -> u32 {
        self.image_token
    }

    fn show(&self, picture: &Picture) -> Result<PatchedPicture, String> {
        let layout = self.processor.layout(picture.width(), picture.height())?;
        let digest = digest(picture, &self.processor.fingerprint());
        Ok(PatchedPicture { layout, span: Span::Features { tokens: layout.tokens }, digest, own: () })
    }

    fn patches(&self, picture: &Picture, shown: &PatchedPicture) -> Result<Tensor, String> {
        let values = self.processor.patches(picture, &shown.layout)?;
        let rows = shown.layout.grid.iter().product::<usize>();
        let shape = (rows, values.len() / rows.max(1));
        self.numbers.place(values, shape)
    }

    fn encode(&self, patches: &Tensor, shown: &PatchedPicture) -> candle_core::Result<Features> {
        let (rows, deep) = self.vision.forward(patches, shown.layout.grid)?;
        Ok(Features { rows, deep })
    }

    fn encode_bytes(&self, shown: &PatchedPicture) -> u64 {
        let patches = shown.layout.grid.iter().product::<usize>();
        self.vision.bytes(patches)
    }

    /// `get_rope_index`: rows and columns of merged patches count up from `next`; what follows
    /// starts after the longer side, not after the number of tokens.
    fn positions(&self, shown: &PatchedPicture, _: usize, next: u32) -> (Vec<[u32; 3]>, u32) {
        let merge = self.processor.merge;
        let [_, rows, columns] = shown.layout.grid;
        let (rows, columns) = ((rows / merge) as u32, (columns / merge) as u32);
        let cells = (0..rows).flat_map(|y| (0..columns).map(move |x| [next, next + y, next + x]));
        (cells.collect(), next + rows.max(columns))
    }
}
