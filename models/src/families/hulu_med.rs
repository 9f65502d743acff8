//! Hulu-Med (arXiv 2510.08668): SigLIP's tower made to read pictures of any size, as `VideoLLaMA` 3 has it, before Qwen's text
//! model. All pictures of a prompt share one budget of tokens; slices of a volume are one input, whose tokens stand for
//! 2 × 2 patches and are left out where nothing changed since the slice before.
//!
//! Two layouts are published: that of the main branches, with code for `transformers` beside the weights, and the
//! original one for ZJUI-AI4H/Hulu-Med at a0060ad, whose weights lie one level deeper and whose 14B calls itself
//! `hulumed_qwen2` although its text model is Qwen3's; what is stored decides.

use super::patched::PatchedPicture;
use super::text_only::{QWEN2, QWEN3, settings, stored_names, tie_flag};
use crate::chat::chat_ml::chat_ml;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::checkpoint::weights::Numbers;
use crate::engine::architecture::{Architecture, Features, Network, Span, digest};
use crate::engine::load::{Assembly, assemble};
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::networks::decoder::{Decoder, DecoderConfig};
use crate::networks::mlp_projector::MlpProjector;
use crate::networks::siglip_navit::{NaVit, NaVitConfig};
use crate::options::LoadOptions;
use crate::processors::qwen_vl::PatchLayout;
use crate::processors::shared_budget::{SharedBudget, VOLUME_MERGE};
use candle_core::Tensor;
use loupe_core::{Picture, VisionLanguageModel};
use serde_json::{Value, json};
use std::sync::Arc;

const ARCHITECTURES: &[&str] = &["HulumedQwen2ForCausalLM", "HulumedQwen3ForCausalLM"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "hulu-med",
    paper: "Hulu-Med, arXiv 2510.08668; VideoLLaMA 3, arXiv 2501.13106",
    examples: &["ZJU-AI4H/Hulu-Med-7B", "ZJU-AI4H/Hulu-Med-14B", "ZJU-AI4H/Hulu-Med-4B"],
    layouts: "Hugging Face folders of the main branches, and the original layout, with tokenizer.json",
    licence: "Apache-2.0",
    parity: "the authors' processor and tower before transformers 5.24, 4 shapes, a volume among them: ids, grids and 8-bit pixels equal; features 1e-5, logits 5e-5, 32 greedy tokens equal",
    input: "sides to multiples of 14 pixels within a budget of 16384 tokens over all pictures (bicubic); as published, width \
            and height change places before, which squashes pictures that are not square; levels from -1 to 1; slices of a \
            volume keep their shape, in multiples of 28",
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "hulumed_qwen2") || clues.is(ARCHITECTURES, "hulumed_qwen3"),
    box_dialect: None,
    load: Loader::Answers(load),
};

/// Where a picture stands; also the token under its features.
const MARK: &str = "<image>";

/// What stands in for a missing template: `DEFAULT_CHAT_TEMPLATE` of the authors' `processor.py`.
const TEMPLATE: &str = chat_ml!(
    "",
    "<image>\n",
    "{%- elif part.type == 'video' -%}{%- for n in range(part.num_frames) -%}{{- '<image>' ~ ('\n' if loop.last else ',') -}}{%- endfor -%}\n"
);

fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    let root = Fields::new(&config, "config.json");
    options.pixels.refuse(FAMILY.name)?;
    root.only(&[("quantization_config", "null"), ("mm_projector_type", "\"mlp2x_gelu\"")])?;
    let third = checkpoint.tensors()?.iter().any(|t| t.name.ends_with(".self_attn.q_norm.weight"));
    let text = settings(&root, if third { QWEN3 } else { QWEN2 })?;
    let tied = tie_flag(&root, &root)?;
    let tower = root.object("vision_encoder_config")?;
    let vision = NaVitConfig::read(&root.object_or_defaults("vision_encoder_config")?, tower.is_none())?;
    let image_token = checkpoint.added_token(MARK)?;
    // The class's default is -1, for a file that says nothing.
    let said = root.get("image_token_index").and_then(Value::as_u64);
    if said.is_some_and(|said| said != u64::from(image_token)) {
        let problem = format!("the tokenizer has {MARK} as {image_token}");
        return Err(root.bad("image_token_index", problem));
    }
    let compress = root.bool_or("use_token_compression", true)?;
    let file = ProcessorFile::read(checkpoint, &config)?;
    let budget = SharedBudget::read(&file, vision.patch, options.resample)?;
    let assembly = Assembly {
        family: &FAMILY,
        resample: budget.resample(),
        default_processor: file.is_absent(),
        template: TEMPLATE,
        instead: None,
        canonical,
    };
    assemble(checkpoint, options, &assembly, |weights| {
        let stored = weights.shape("lm_head.weight").is_some();
        let text = DecoderConfig { tied: tied.unwrap_or(!stored), ..text };
        let widths = [vision.stack.hidden, text.hidden, text.hidden];
        Ok(HuluMed {
            projector: MlpProjector::load(weights, "model.multi_modal_projector.", widths, false, true)?,
            tower: NaVit::load(weights, "model.vision_tower.", vision)?,
            decoder: Decoder::load(weights, "model.language_model.", text)?,
            budget,
            compress,
            image_token,
            numbers: weights.numbers.clone(),
        })
    })
}

/// Names of `transformers` 5 for what is stored under `model.vision_encoder.` (in the original layout one level deeper),
/// `model.mm_projector.readout.` and Qwen's own names.
fn canonical(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("model.vision_encoder.") {
        return Some(format!("model.vision_tower.{}", rest.strip_prefix("vision_encoder.").unwrap_or(rest)));
    }
    for (layer, own) in [("0.", "linear_1."), ("2.", "linear_2.")] {
        if let Some(rest) = name.strip_prefix(&format!("model.mm_projector.readout.{layer}")) {
            return Some(format!("model.multi_modal_projector.{own}{rest}"));
        }
    }
    stored_names(name.strip_prefix("model.").unwrap_or(name))
}

/// The network and its picture settings.
struct HuluMed {
    tower: NaVit,
    projector: MlpProjector,
    decoder: Decoder,
    budget: SharedBudget,
    /// Are tokens of slices left out where nothing changed?
    compress: bool,
    image_token: u32,
    numbers: Numbers,
}

/// What is shown of a picture, or of a slice of a volume.
struct Kept {
    /// Patches of a side of the square that a token stands for.
    merge: usize,
    /// The tokens that are shown, where some are left out.
    tokens: Option<Vec<u32>>,
}

impl HuluMed {
    /// A picture with the tokens that are shown of it.
    fn patched(
        &self,
        picture: &Picture,
        layout: PatchLayout,
        merge: usize,
        kept: Option<Vec<u32>>,
    ) -> PatchedPicture<Kept> {
        let mut settings = self.budget.fingerprint(&layout, merge);
        settings.extend(kept.iter().flatten().flat_map(|token| token.to_le_bytes()));
        let tokens = kept.as_ref().map_or(layout.tokens, Vec::len);
        PatchedPicture {
            layout,
            span: Span::Features { tokens },
            digest: digest(picture, &settings),
            own: Kept { merge, tokens: kept },
        }
    }

    /// The slices of a volume, each with the tokens that changed since the one before. Of the first of several one token is
    /// shown: where the published code means to keep all of it, it divides by 255 what was not multiplied by it
    /// (`_get_compression_mask`), and models were trained on that.
    fn slices(&self, pictures: &[Arc<Picture>]) -> Vec<Result<PatchedPicture<Kept>, String>> {
        let mut before: Option<Vec<f32>> = None;
        let mut slice = |picture: &Arc<Picture>| -> Result<PatchedPicture<Kept>, String> {
            let layout = self.budget.layout(picture, pictures.len(), true)?;
            let mut kept = None;
            if self.compress && pictures.len() > 1 {
                let patches = self.budget.patches(picture, &layout, VOLUME_MERGE)?;
                let shown = match &before {
                    Some(before) => {
                        let changed = SharedBudget::changed(before, &patches, layout.tokens);
                        (0u32..).zip(changed).filter_map(|(token, kept)| kept.then_some(token)).collect()
                    }
                    None => vec![0],
                };
                kept = Some(shown).filter(|kept| kept.len() < layout.tokens);
                before = Some(patches);
            }
            Ok(self.patched(picture, layout, VOLUME_MERGE, kept))
        };
        pictures.iter().map(&mut slice).collect()
    }
}

impl Architecture for HuluMed {
    type Picture = PatchedPicture<Kept>;

    fn network(&self) -> Network<'_> {
        Network::Decoder(&self.decoder)
    }

    fn settings(&self) -> Value {
        json!({
            "text": self.decoder.config.settings(),
            "image_token_id": self.image_token,
            "vision": format!("{:?}", self.tower.config),
            "use_token_compression": self.compress,
            "pictures": self.budget.settings(),
        })
    }

    fn mark(&self) -> &str {
        MARK
    }

    fn feature_token(&self) -> u32 {
        self.image_token
    }

    /// The processor hands the mark to the template.
    fn template_values(&self) -> &[(&str, &str)] {
        &[("image_token", MARK)]
    }

    fn takes_volumes(&self) -> bool {
        true
    }

    fn show(&self, picture: &Picture) -> Result<PatchedPicture<Kept>, String> {
        let layout = self.budget.layout(picture, 1, false)?;
        Ok(self.patched(picture, layout, 1, None))
    }

    fn show_all(&self, pictures: &[Arc<Picture>], volume: bool) -> Vec<Result<PatchedPicture<Kept>, String>> {
        if volume {
            return self.slices(pictures);
        }
        let one = |picture: &Arc<Picture>| -> Result<PatchedPicture<Kept>, String> {
            let layout = self.budget.layout(picture, pictures.len(), false)?;
            Ok(self.patched(picture, layout, 1, None))
        };
        pictures.iter().map(one).collect()
    }

    fn patches(&self, picture: &Picture, shown: &PatchedPicture<Kept>) -> Result<Tensor, String> {
        let values = self.budget.patches(picture, &shown.layout, shown.own.merge)?;
        let rows = shown.layout.grid.iter().product::<usize>();
        let shape = (rows, values.len() / rows.max(1));
        self.numbers.place(values, shape)
    }

    fn encode(&self, patches: &Tensor, shown: &PatchedPicture<Kept>) -> candle_core::Result<Features> {
        let [_, rows, columns] = shown.layout.grid;
        let mut seen = self.tower.forward(patches, [rows, columns], shown.own.merge)?;
        if let Some(kept) = &shown.own.tokens {
            seen = seen.index_select(&Tensor::new(&kept[..], seen.device())?, 0)?;
        }
        Ok(Features { rows: self.projector.forward(&seen)?, deep: Vec::new() })
    }

    fn encode_bytes(&self, shown: &PatchedPicture<Kept>) -> u64 {
        self.tower.bytes(shown.layout.grid.iter().product())
    }
}
