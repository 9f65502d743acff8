//! MedCLIP: a Swin transformer or a ResNet that reads grey pictures, and a BERT of which the states behind the first, the
//! second and the last layer count. Its files are state dicts without settings; sizes follow from the tensors.

use super::pairs::{Described, Towers, assemble, number};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::layers::linear::Linear;
use crate::networks::bert::{Bert, BertConfig};
use crate::networks::resnet::ResNet;
use crate::networks::swin::Swin;
use crate::options::LoadOptions;
use crate::processors::grey_square;
use crate::processors::levels::Levels;
use crate::processors::square::Square;
use candle_core::{Result as Computed, Tensor};
use loupe_core::{PairEncoder, PairLogit, PairReading, Picture};
use loupe_preprocess::resize::{Backend, Filter};

/// The table entry.
pub const FAMILY: Family = Family {
    name: "medclip",
    paper: "MedCLIP, arXiv 2210.10163",
    examples: &["RyanWangZF/MedCLIP medclip-vit", "RyanWangZF/MedCLIP medclip-resnet"],
    layouts: "its own state dicts (pytorch_model.bin) or safetensors, with vocab.txt or tokenizer.json of Bio_ClinicalBERT \
              beside them",
    licence: "BSD, as its Python package says; Bio_ClinicalBERT is MIT",
    parity: "transformers 5.24 and torchvision 0.29 put together as medclip 0.0.3 does, 3 shapes: vectors 1e-5, logits 5e-5",
    input: "made grey, in the middle of a black square of at least 224 pixels, scaled to 224 (bicubic, Pillow); one mean \
            and deviation; texts of at most 77 tokens, each by itself",
    architectures: &[],
    claims: |clues| {
        clues.has_tensor("vision_model.model.") && clues.has_tensor("text_model.projection_head.weight")
    },
    box_dialect: None,
    load: Loader::Pairs(load),
};

const SIDE: usize = 224;
const MEAN: f64 = 0.586_278_580_304_383_8;
const DEVIATION: f64 = 0.279_500_889_686_443_04;
/// Tokens of the longest text that its processor makes.
const LONGEST: usize = 77;
/// The scale of logits is kept below the logarithm of 100.
const MOST_SCALE: f64 = 4.6052;
/// The early states that count beside the last one.
const EARLY: [usize; 2] = [1, 2];

/// The tower that reads pictures.
enum Vision {
    Swin(Swin, Linear),
    ResNet(ResNet),
}

/// The towers, with what is before them.
struct MedClip {
    square: Square,
    vision: Vision,
    bert: Bert,
    projection: Linear,
}

/// BERT's own names for the text model; heads that are not used and buffers are left out.
fn canonical(name: &str) -> Option<String> {
    let left_out = name.starts_with("text_model.model.pooler.")
        || [".position_ids", ".token_type_ids", ".relative_position_index", ".num_batches_tracked"]
            .iter()
            .any(|buffer| name.ends_with(buffer));
    (!left_out).then(|| name.strip_prefix("text_model.model.").unwrap_or(name).to_owned())
}

/// Rows of a projection without bias.
fn rows(w: &Weights, name: &str) -> usize {
    w.shape(name).and_then(|shape| shape.first().copied()).unwrap_or_default()
}

fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Box<dyn PairEncoder>, LoadError> {
    let backend = options.resample.unwrap_or(Backend::Pillow);
    let levels = Levels::new(1.0 / 255.0, [[MEAN; 3], [DEVIATION; 3]]);
    let square = Square { side: SIDE, filter: Filter::Bicubic, backend, levels };
    assemble(checkpoint, options, canonical, |w| {
        let width = rows(w, "text_model.projection_head.weight");
        let config = BertConfig::of_tensors(w).filter(|c| c.depth >= EARLY[1] && c.width == 64 * c.heads);
        let config = config.ok_or_else(|| LoadError::File {
            file: checkpoint.weight_files().map(|files| files.join(", ")).unwrap_or_default(),
            problem: "the tensors of text_model.model are not those of a BERT of two layers or more, with heads of 64"
                .to_owned(),
        })?;
        let vision = match w.shape("vision_model.projection_head.weight") {
            Some(_) => {
                let swin = Swin::load(w, "vision_model.model.", SIDE)?;
                let head = Linear::load(w, "vision_model.projection_head", swin.width, width, false)?;
                Vision::Swin(swin, head)
            }
            None => Vision::ResNet(ResNet::load(w, "vision_model.model.", width)?),
        };
        let projection = Linear::load(w, "text_model.projection_head", config.width, width, false)?;
        let scale = number(w, "logit_scale")?.clamp(0.0, MOST_SCALE).exp();
        let length = LONGEST.min(config.places);
        let described = Described { family: FAMILY.name, vocab: config.vocab, length, width, backend };
        let towers = MedClip { square, vision, bert: Bert::load(w, &config)?, projection };
        Ok((towers, PairLogit { scale, bias: 0.0, reading: PairReading::Among }, described))
    })
}

impl Towers for MedClip {
    fn planes(&self, picture: &Picture) -> Result<(Vec<f32>, usize), String> {
        Ok((grey_square::planes(picture, &self.square)?, SIDE))
    }

    fn picture(&self, planes: &Tensor) -> Computed<Tensor> {
        match &self.vision {
            Vision::Swin(swin, head) => head.forward(&swin.forward(planes)?),
            Vision::ResNet(resnet) => resnet.forward(planes),
        }
    }

    fn text(&self, ids: Vec<u32>) -> Computed<Tensor> {
        // The package takes padding into the mean; alone a text has none.
        let mut sum = self.bert.forward(&[&ids], usize::MAX)?;
        for layer in EARLY {
            sum = (sum + self.bert.forward(&[&ids], layer)?)?;
        }
        self.projection.forward(&(sum.mean_keepdim(0)? / (EARLY.len() + 1) as f64)?)
    }
}
