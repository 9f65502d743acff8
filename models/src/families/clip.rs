//! CLIP and its medical fine-tunes: a tower for pictures and one for texts, trained to find the text of a picture among
//! those of others.

use super::pairs::{Described, Towers, assemble, number};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::checkpoint::token_ids;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::networks::clip::{PictureTower, TextTower, stack, vision};
use crate::networks::stack::StackConfig;
use crate::options::LoadOptions;
use crate::processors::centred::Centred;
use candle_core::{Error, Result as Computed, Tensor};
use loupe_core::{PairEncoder, PairLogit, PairReading, Picture};
use serde_json::Value;

const ARCHITECTURES: &[&str] = &["CLIPModel"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "clip",
    paper: "CLIP, arXiv 2103.00020; PubMedCLIP, arXiv 2112.13906; PLIP, doi 10.1038/s41591-023-02504-3",
    examples: &[
        "openai/clip-vit-large-patch14-336",
        "flaviagiammarino/pubmed-clip-vit-base-patch32",
        "vinid/plip",
    ],
    layouts: "Hugging Face folders of transformers 4.x and 5, in safetensors or pytorch_model.bin, with tokenizer.json",
    licence: "MIT for CLIP and PubMedCLIP; fine-tunes add theirs",
    parity: "transformers 5.24, 3 shapes: vectors 1e-5, logits 5e-5",
    input: "the shorter side scaled (bicubic) and the middle cut out; CLIP's mean and deviation; texts of at most 77 tokens",
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "clip"),
    box_dialect: None,
    load: Loader::Pairs(load),
};

/// How the token is found whose vector is the text's.
#[derive(Clone, Copy)]
enum End {
    /// The first with this id.
    Token(u32),
    /// The first with the highest id: so do files that call the end token 2, from before it was read.
    Highest,
}

/// The towers, with what is before them.
struct Clip {
    pictures: Centred,
    vision: PictureTower,
    text: TextTower,
    end: End,
}

/// Names of `CLIPModel`; older writers saved buffers.
fn canonical(name: &str) -> Option<String> {
    (!name.ends_with("embeddings.position_ids")).then(|| name.to_owned())
}

/// The settings of a tower. The older field counts where a file has both.
pub(super) fn part<'a>(root: &Fields<'a>, name: &str) -> Result<Fields<'a>, LoadError> {
    match root.object(&format!("{name}_dict"))? {
        Some(older) => Ok(older),
        None => root.object_or_defaults(name),
    }
}

/// How `CLIPImageProcessor` prepares pictures of `side` pixels.
pub(super) fn pictures(
    checkpoint: &Checkpoint,
    config: &Value,
    side: usize,
    options: &LoadOptions,
) -> Result<Centred, LoadError> {
    let file = ProcessorFile::read(checkpoint, config)?;
    let class = file.class(&["CLIPImageProcessor", "CLIPFeatureExtractor"])?;
    let backend = options.resample.unwrap_or_else(|| file.backend(&class));
    Centred::read(&file, side, backend)
}

fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Box<dyn PairEncoder>, LoadError> {
    let config = checkpoint.need_json("config.json")?;
    let root = Fields::new(&config, "config.json");
    let (text, picture) = (part(&root, "text_config")?, part(&root, "vision_config")?);
    let width = root.positive_or("projection_dim", 512)?;
    let vision = vision(&picture, [768, 3072, 12, 12], 224, 32)?;
    let layers = StackConfig::read(&text, stack([512, 2048, 12, 8], true))?;
    let vocab = text.positive_or("vocab_size", 49_408)?;
    let length = text.positive_or("max_position_embeddings", 77)?;
    token_ids::known(&text, &["eos_token_id"], vocab)?;
    let end = match text.usize_or("eos_token_id", 49_407)? {
        2 => End::Highest,
        id => End::Token(id as u32),
    };
    let pictures = pictures(checkpoint, &config, vision.side, options)?;
    let backend = pictures.square.backend;
    assemble(checkpoint, options, canonical, |w| {
        let scale = number(w, "logit_scale")?.exp();
        let towers = Clip {
            pictures,
            vision: PictureTower::load(w, vision, width)?,
            text: TextTower::load(w, layers, [vocab, length, width])?,
            end,
        };
        let described = Described { family: FAMILY.name, vocab, length, width, backend };
        Ok((towers, PairLogit { scale, bias: 0.0, reading: PairReading::Among }, described))
    })
}

impl Towers for Clip {
    fn planes(&self, picture: &Picture) -> Result<(Vec<f32>, usize), String> {
        Ok((self.pictures.planes(picture)?, self.pictures.square.side))
    }

    fn attributed(&self) -> Option<(&PictureTower, &Centred)> {
        Some((&self.vision, &self.pictures))
    }

    fn picture(&self, planes: &Tensor) -> Computed<Tensor> {
        self.vision.forward(planes)
    }

    fn text(&self, ids: Vec<u32>) -> Computed<Tensor> {
        let wanted = match self.end {
            End::Token(id) => Some(id),
            End::Highest => ids.iter().copied().max(),
        };
        let at = ids.iter().position(|id| Some(*id) == wanted);
        let at = at.ok_or_else(|| {
            let problem = "the tokenizer puts no end token (eos_token_id of config.json) behind texts";
            Error::Msg(problem.to_owned())
        })?;
        self.text.forward(&ids, at)
    }
}
