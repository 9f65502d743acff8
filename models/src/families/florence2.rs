//! Florence-2 (Xiao et al. 2023, arXiv 2311.06242): a DaViT tower whose features a BART reads before the words of a task.
//! Places are said in tokens, `<loc_0>` to `<loc_999>` across each side.

use super::florence2_tasks::{TASKS, added_tokens, located};
use crate::chat::tokens::{Encoded, Tokens};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::checkpoint::token_ids::token_text;
use crate::checkpoint::weights::Weights;
use crate::engine::architecture::{Features, Span, SpannedPicture, digest};
use crate::engine::encoder_decoder::family::{EncoderDecoder, ReadPrompt};
use crate::engine::encoder_decoder::load::{Assembly, assemble};
use crate::engine::encoder_decoder::settings::Source;
use crate::error::LoadError;
use crate::family::{Clues, Family, Loader};
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use crate::networks::bart::{Bart, BartConfig};
use crate::networks::davit::{Davit, DavitConfig};
use crate::options::LoadOptions;
use crate::processors::centred::{Centred, Fit};
use crate::processors::letterbox::letterboxed;
use crate::processors::levels::{IMAGENET, Levels};
use candle_core::{Device, Tensor};
use loupe_core::{Ask, ModelError, Part, Picture, Role, VisionLanguageModel};
use serde_json::{Value, json};

const ARCHITECTURES: &[&str] = &["Florence2ForConditionalGeneration"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "florence2",
    paper: "Florence-2, arXiv 2311.06242",
    examples: &[
        "microsoft/Florence-2-base-ft",
        "microsoft/Florence-2-large",
        "florence-community/Florence-2-base",
    ],
    layouts: "Hugging Face folders of transformers 5, and the authors' own; with tokenizer.json",
    licence: "MIT; fine-tunes add theirs",
    parity: "transformers 5.23, 4 shapes, both layouts: ids and 8-bit pixels equal; features 1e-5, logits 5e-5, 32 greedy \
             tokens equal; beams of 3: sequences equal, scores 1e-5",
    input: "squashed to 768 × 768 (bicubic), ImageNet mean and deviation; one picture and one text, task prompts such as \
            <CAPTION>, <OD> and <CAPTION_TO_PHRASE_GROUNDING>…; beam search as the checkpoint says",
    architectures: ARCHITECTURES,
    claims: is_member,
    box_dialect: Some("florence2"),
    load: Loader::Answers(|checkpoint, options| load(checkpoint, options, &FAMILY, None)),
};

/// Does a checkpoint show the marks of the architecture?
pub(super) fn is_member(clues: &Clues<'_>) -> bool {
    clues.is(ARCHITECTURES, "florence2")
}

/// `transformers`' name of a tensor of either layout.
fn canonical(name: &str) -> Option<String> {
    const PROJECTOR: &str = "model.multi_modal_projector";
    // Parts of the authors' names of blocks.
    const PARTS: &[(&str, &str)] = &[
        (".fn.dw.", "."),
        (".window_attn.norm.", ".norm1."),
        (".channel_attn.norm.", ".norm1."),
        (".window_attn.fn.", ".window_attn."),
        (".channel_attn.fn.", ".channel_attn."),
        (".ffn.norm.", ".norm2."),
        (".ffn.fn.net.", ".ffn."),
        (".proj.", ".conv."),
    ];
    if name.starts_with("image_proj") || name.starts_with("visual_temporal_embed.") {
        return Some(format!("{PROJECTOR}.{name}"));
    }
    if let Some(rest) = name.strip_prefix("image_pos_embed.") {
        return Some(format!("{PROJECTOR}.image_position_embed.{rest}"));
    }
    if let Some(rest) = name.strip_prefix("language_model.") {
        return Some(match rest.strip_prefix("model.") {
            Some(rest) => format!("model.language_model.{rest}"),
            None => rest.to_owned(),
        });
    }
    if let Some(rest) = name.strip_prefix("vision_tower.") {
        let is_stem = rest.starts_with("convs.");
        let parts = PARTS.iter().filter(|(theirs, _)| is_stem == (*theirs == ".proj."));
        let own = parts.fold(rest.to_owned(), |own, (theirs, ours)| own.replace(theirs, ours));
        return Some(format!("model.vision_tower.{own}"));
    }
    Some(name.to_owned())
}

/// Loads a checkpoint of the family or a relative; with a side, pictures are put into a square of so many pixels first.
pub(super) fn load(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    family: &'static Family,
    letterbox: Option<usize>,
) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    options.pixels.refuse(family.name)?;
    let config = checkpoint.need_json("config.json")?;
    let root = Fields::new(&config, "config.json");
    let (text, vision) = (root.object_or_defaults("text_config")?, root.object_or_defaults("vision_config")?);
    // The authors' code has other names, and calls the text model by itself.
    let is_authors = vision.get("embed_dim").is_none() && vision.get("dim_embed").is_some();
    let bart = BartConfig::read(&text, root.bool_or("tie_word_embeddings", true)?)?;
    let davit = DavitConfig::read(&vision)?;
    let projects = [
        (&vision, vision.usize_or("projection_dim", 1024)?),
        (&root, root.usize_or("projection_dim", bart.width)?),
    ];
    if let Some((fields, width)) = projects.iter().find(|(_, width)| *width != bart.width) {
        let problem = format!("{width} does not fit the text model's width of {}", bart.width);
        return Err(fields.bad("projection_dim", problem));
    }
    let pooled = json!(["spatial_avg_pool", "temporal_avg_pool"]).to_string();
    vision.only(&[("image_feature_source", pooled.as_str())])?;
    let file = ProcessorFile::read(checkpoint, &config)?;
    let class = file.class(&["CLIPImageProcessor", "CLIPFeatureExtractor"])?;
    let backend = options.resample.unwrap_or_else(|| file.backend(&class));
    let picture = picture_processor(&file, backend)?;
    let side = picture.square.side;
    let grid = davit.places(side).filter(|n| *n > 0);
    let grid = grid.ok_or_else(|| file.fields().bad("size", format!("{side} pixels are too few")))?;
    let expected = grid.saturating_mul(grid).saturating_add(1);
    if grid >= bart.context || expected >= bart.context {
        let problem =
            format!("a picture of {side} pixels has more tokens than the {} of a prompt", bart.context);
        return Err(file.fields().bad("size", problem));
    }
    if file.fields().usize_or("image_seq_length", expected)? != expected {
        let problem = format!("a picture of {side} pixels has {expected} tokens");
        return Err(file.fields().bad("image_seq_length", problem));
    }
    let feature_token = root.usize_or("image_token_id", bart.vocab)? as u32;
    let [begin, end] = frame(checkpoint)?;
    let assembly = Assembly {
        family,
        resample: backend.name(),
        default_processor: file.is_absent(),
        canonical,
        mark: "<image>",
        added_tokens: if is_authors { added_tokens() } else { Vec::new() },
        config: &config,
        generation: if is_authors { Source::TextConfig } else { Source::File },
    };
    assemble(checkpoint, options, &assembly, |w| {
        Ok(Florence2 {
            tower: Davit::load(w, "model.vision_tower", davit)?,
            projector: Projector::load(w, grid, bart.width)?,
            bart: Bart::load(w, "model.language_model", bart)?,
            device: w.numbers.device.clone(),
            picture,
            letterbox,
            tokens: expected,
            feature_token,
            begin,
            end,
            strips_input: !is_authors,
        })
    })
}

/// How the file prepares pictures; without one, as the published checkpoints do.
fn picture_processor(
    file: &ProcessorFile,
    backend: loupe_preprocess::resize::Backend,
) -> Result<Centred, LoadError> {
    const SIDE: usize = 768;
    if file.is_absent() {
        let mut plain = Centred::plain(SIDE, backend);
        (plain.fit, plain.square.levels) = (Fit::Squash, Levels::new(1.0 / 255.0, IMAGENET));
        return Ok(plain);
    }
    let size = file.fields().get("size").is_some_and(Value::is_object);
    let size = if size { file.fields().object("size")? } else { None };
    let side = size.map(|size| size.positive_or("height", SIDE)).transpose()?;
    let read = Centred::read(file, side.unwrap_or(SIDE), backend)?;
    match read.fit == Fit::Squash && read.pad.is_none() {
        true => Ok(read),
        false => {
            Err(file.fields().bad("size", "height and width are needed, so that the whole picture is seen"))
        }
    }
}

/// The tokens around a text.
fn frame(checkpoint: &Checkpoint) -> Result<[String; 2], LoadError> {
    let settings = checkpoint.json("tokenizer_config.json")?.unwrap_or(Value::Null);
    let named =
        |field: &str, default: &str| settings.get(field).and_then(token_text).unwrap_or(default).to_owned();
    Ok([named("bos_token", "<s>"), named("eos_token", "</s>")])
}

/// From places of the tower to embeddings of the text model.
struct Projector {
    /// Of every place, and of a single frame: (places, channels).
    positions: Tensor,
    projection: Linear,
    norm: Norm,
}

impl Projector {
    /// For a grid of `side` × `side` places and a text model of this width.
    fn load(w: &Weights, side: usize, width: usize) -> Result<Self, LoadError> {
        let name = |part: &str| format!("model.multi_modal_projector.{part}");
        let along = |axis: &str| {
            let name = name(&format!("image_position_embed.{axis}_embeddings.weight"));
            // Where it is too small, the message names the least shape that there should be.
            let shape = w.shape(&name).filter(|shape| shape.len() == 2);
            w.tensor(&name, &shape.map_or(vec![side, 1], |shape| vec![shape[0].max(side), shape[1]]))
        };
        let (down, across) = (along("row")?, along("column")?);
        let (down, across) = (down.narrow(0, 0, side)?, across.narrow(0, 0, side)?);
        let channels = down.dim(1)? + across.dim(1)?;
        let spread = |t: &Tensor, axis: usize| -> candle_core::Result<Tensor> {
            let n = t.dim(1)?;
            t.unsqueeze(axis)?.broadcast_as((side, side, n))?.reshape((side * side, n))
        };
        let places = Tensor::cat(&[spread(&across, 0)?, spread(&down, 1)?], 1)?;
        let stored = name("visual_temporal_embed.pos_idx_to_embed");
        let first = match w.shape(&stored) {
            Some(shape) if shape.len() == 2 => {
                w.tensor(&stored, &[shape[0].max(1), channels])?.narrow(0, 0, 1)?
            }
            // Sines and cosines of 0.
            _ => {
                let wave: Vec<f32> = (0..channels).map(|n| (n % 2) as f32).collect();
                let wave = Tensor::from_vec(wave, (1, channels), &Device::Cpu)?;
                wave.to_dtype(places.dtype())?.to_device(places.device())?
            }
        };
        let theirs = name("image_projection");
        let projection = match w.shape(&theirs) {
            None => Linear::load(w, &theirs, channels, width, false)?,
            // The authors multiply from the other side.
            Some(_) => {
                let stored = w.f32(&theirs, &[channels, width])?;
                let value = |n: usize| stored[n % channels * width + n / channels];
                Linear::from_values(w, (0..channels * width).map(value).collect(), None, channels, width)?
            }
        };
        Ok(Self {
            positions: places.broadcast_add(&first)?,
            projection,
            norm: Norm::layer(w, &name("image_proj_norm"), width, 1e-5)?,
        })
    }

    /// (places, channels) to (1 + places, width): the mean of all places, then each.
    fn forward(&self, places: &Tensor) -> candle_core::Result<Tensor> {
        let places = (places + &self.positions)?;
        let all = Tensor::cat(&[&places.mean_keepdim(0)?, &places], 0)?;
        self.norm.forward(&self.projection.forward(&all)?)
    }
}

/// Network, picture processor and words.
struct Florence2 {
    tower: Davit,
    projector: Projector,
    bart: Bart,
    device: Device,
    picture: Centred,
    letterbox: Option<usize>,
    /// Tokens of a picture.
    tokens: usize,
    feature_token: u32,
    begin: String,
    end: String,
    /// Is white space around the input of a task left out?
    strips_input: bool,
}

impl Florence2 {
    /// What is said in place of `text`, ready to be tokenised, and whether the reply has shapes that are no boxes.
    fn construct(&self, text: &str, tokens: &Tokens) -> Result<(String, bool), ModelError> {
        let Some(task) = TASKS.iter().find(|task| text.contains(task.token)) else {
            return Ok((tokens.protect(text), false));
        };
        let Some((before, behind)) = task.words.split_once("{input}") else {
            if text != task.token {
                let problem = format!("{} is a whole prompt; leave out the words beside it", task.token);
                return Err(ModelError::Setting { setting: "question", problem });
            }
            return Ok((task.words.to_owned(), task.has_shapes));
        };
        let input = text.replace(task.token, "");
        let input = if self.strips_input { input.trim() } else { &input };
        // Regions are given in location tokens.
        let input = if task.token.starts_with("<REGION_TO_") {
            located(input, tokens)
        } else {
            tokens.protect(input)
        };
        Ok((format!("{before}{input}{behind}"), task.has_shapes))
    }
}

impl EncoderDecoder for Florence2 {
    fn network(&self) -> &Bart {
        &self.bart
    }

    fn settings(&self) -> Value {
        json!({
            "text": self.bart.config.settings(), "vision": self.tower.config.settings(),
            "pictures": self.picture.settings(), "letterbox": self.letterbox, "strips_input": self.strips_input,
        })
    }

    fn feature_token(&self) -> u32 {
        self.feature_token
    }

    fn prompt(&self, ask: &Ask, tokens: &Tokens) -> Result<ReadPrompt, ModelError> {
        let one = |setting, problem: &str| Err(ModelError::Setting { setting, problem: problem.to_owned() });
        let [turn] = ask.turns.as_slice() else {
            return one("turns", "this model reads one question, without instructions or earlier turns");
        };
        if turn.role != Role::User {
            return one("turns", "this model reads a question of the user");
        }
        let picture = |part: &Part| if let Part::Picture(index) = part { Some(*index) } else { None };
        let mut pictures = turn.parts.iter().filter_map(picture);
        let Some(picture) = pictures.next() else {
            return one("pictures", "this model reads one picture and its question, and there is none");
        };
        if let Some(index) = pictures.next() {
            let problem = "this model reads one picture at a time; ask about each by itself".to_owned();
            return Err(ModelError::Picture { index, problem });
        }
        let (text, has_shapes) = self.construct(&turn.words(), tokens)?;
        let marks = [&self.begin, &self.end].map(|mark| {
            tokens
                .id(mark)
                .ok_or_else(|| ModelError::Template(format!("the tokenizer has no token {mark:?}")))
        });
        let [begin, end] = marks;
        let mut words = vec![begin?];
        let encoded = tokens.encode(&text).map_err(ModelError::Template)?;
        words
            .extend(encoded.iter().filter_map(|e| if let Encoded::Token(id) = e { Some(*id) } else { None }));
        words.push(end?);
        Ok(ReadPrompt { picture, words, says_boxes: !has_shapes })
    }

    fn show(&self, picture: &Picture) -> Result<SpannedPicture, String> {
        let mut settings = self.picture.fingerprint();
        settings.extend(self.letterbox.unwrap_or(0).to_le_bytes());
        let frame = self.letterbox.unwrap_or(self.picture.square.side);
        Ok(SpannedPicture {
            spans: vec![Span::Features { tokens: self.tokens }],
            frame: [frame; 2],
            digest: digest(picture, &settings),
        })
    }

    fn pixels(&self, picture: &Picture) -> Result<Tensor, String> {
        let planes = match self.letterbox {
            Some(side) => self.picture.planes(&letterboxed(picture, side)?)?,
            None => self.picture.planes(picture)?,
        };
        let side = self.picture.square.side;
        let planes = Tensor::from_vec(planes, (3, side, side), &Device::Cpu);
        planes.and_then(|p| p.to_device(&self.device)).map_err(|e| e.to_string())
    }

    fn encode(&self, pixels: &Tensor) -> candle_core::Result<Features> {
        let places = self.tower.forward(pixels)?;
        Ok(Features { rows: self.projector.forward(&places)?, deep: Vec::new() })
    }

    fn encode_bytes(&self) -> u64 {
        self.tower.bytes(self.picture.square.side)
    }
}
