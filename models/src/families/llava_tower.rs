//! The vision tower of LLaVA in the authors' layout, which names it: its tensors may be in the checkpoint, in a folder
//! within it or in another one on this computer, and its settings in such a folder or nowhere.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::networks::class_vit::{ClassVit, ClassVitConfig};
use crate::networks::clip;
use crate::processors::centred::Centred;
use loupe_preprocess::resize::Backend;
use serde_json::Value;
use std::path::Path;

/// The field that names the tower.
pub(super) const TOWER: &str = "mm_vision_tower";
/// Of its tensors.
const PREFIX: &str = "model.vision_tower.";

/// Where the vision tower and its settings are.
#[expect(clippy::large_enum_variant, reason = "one a load")]
pub(super) enum Tower {
    /// All is known.
    Here { config: ClassVitConfig, pictures: Centred },
    /// The authors' layout names it.
    Named { name: String, folder: Option<Checkpoint>, pad: bool },
}

/// The folder of a tower: within the checkpoint, on its own, or in a Hugging Face cache; none where there is no
/// config.json.
pub(super) fn folder_of(checkpoint: &Checkpoint, name: &str) -> Option<Checkpoint> {
    let within = match checkpoint {
        Checkpoint::Directory(dir) => Some(Checkpoint::directory(&dir.join(name))),
        _ => None,
    };
    let found = within.into_iter().chain([Checkpoint::directory(Path::new(name))]);
    found.into_iter().find(|folder| folder.has("config.json"))
}

/// A vision tower with what is before it.
pub(super) struct Found {
    pub(super) tower: ClassVit,
    pub(super) pictures: Centred,
    /// Of the weights, where they are not the checkpoint's.
    pub(super) sha256: Option<String>,
}

impl Tower {
    /// Reads it; `weights` are those of the checkpoint.
    pub(super) fn load(
        self,
        checkpoint: &Checkpoint,
        weights: &Weights,
        root: &Fields<'_>,
        backend: Backend,
    ) -> Result<Found, LoadError> {
        let (name, folder, pad) = match self {
            Self::Here { config, pictures } => {
                return Ok(Found { tower: ClassVit::load(weights, PREFIX, config)?, pictures, sha256: None });
            }
            Self::Named { name, folder, pad } => (name, folder, pad),
        };
        let inside = weights.names().any(|tensor| tensor.starts_with(PREFIX));
        let settings = folder.as_ref().map(|f| f.need_json("config.json")).transpose()?;
        let config = match (root.object("vision_config")?, &settings) {
            (Some(own), _) => clip::vision(&own, [768, 3072, 12, 12], 224, 32)?,
            (None, Some(settings)) => {
                let whole = Fields::new(settings, "config.json of the vision tower");
                let v = whole.object("vision_config")?.unwrap_or(whole);
                clip::vision(&v, [768, 3072, 12, 12], 224, 32)?
            }
            (None, None) if inside => of_shapes(weights, root, &name)?,
            (None, None) => {
                let problem = format!(
                    "{name:?} is neither in the checkpoint nor on this computer; put its folder into that of the \
                     checkpoint under this name"
                );
                return Err(root.bad(TOWER, problem));
            }
        };
        // Its processor is the one that stands beside it, or else the checkpoint's.
        let mut beside = None;
        for place in [folder.as_ref(), Some(checkpoint)].into_iter().flatten() {
            let file = ProcessorFile::read(place, settings.as_ref().unwrap_or(&Value::Null))?;
            if beside.is_none() && !file.is_absent() {
                file.class(&["CLIPImageProcessor", "CLIPFeatureExtractor"])?;
                beside = Some(Centred::read(&file, config.side, backend)?);
            }
        }
        let pictures = beside.unwrap_or_else(|| Centred::plain(config.side, backend));
        let pictures = if pad { pictures.padding() } else { pictures };
        let (tower, sha256) = match folder {
            Some(folder) if !inside => {
                let own = Weights::open(&folder, weights.numbers.clone(), tower_alone)?;
                let tower = ClassVit::load(&own, PREFIX, config)?;
                own.finish()?;
                (tower, Some(folder.weights_sha256()?))
            }
            _ => (ClassVit::load(weights, PREFIX, config)?, None),
        };
        Ok(Found { tower, pictures, sha256 })
    }
}

/// The settings of a tower of OpenAI's CLIP by its tensors, as `build_model` of CLIP finds them: heads of 64.
fn of_shapes(w: &Weights, root: &Fields<'_>, name: &str) -> Result<ClassVitConfig, LoadError> {
    let unknown = |problem: &str| {
        let advice =
            "put the folder of the tower, with its config.json, into that of the checkpoint under this name";
        root.bad(TOWER, format!("{name:?}: {problem}; {advice}"))
    };
    let plain = name.rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase().replace(['_', '-'], "");
    if !plain.starts_with("clipvit") || name.to_lowercase().contains("laion") {
        return Err(unknown("its settings are not known"));
    }
    let shape = |part: &str| w.shape(&format!("{PREFIX}{part}")).unwrap_or_default();
    let kernel = shape("embeddings.patch_embedding.weight");
    let places = shape("embeddings.position_embedding.weight");
    let wide = shape("encoder.layers.0.mlp.fc1.weight");
    let (&[hidden, _, patch, _], &[count, _], &[intermediate, _]) = (&kernel[..], &places[..], &wide[..])
    else {
        return Err(unknown("its tensors in the checkpoint are not those of CLIP"));
    };
    let depth = w.names().filter(|n| n.starts_with(PREFIX) && n.ends_with(".mlp.fc1.weight")).count();
    let side = count.saturating_sub(1).isqrt() * patch;
    if hidden == 0 || !hidden.is_multiple_of(64) || side == 0 || side > 16_384 {
        return Err(unknown("its number of heads does not follow from its tensors"));
    }
    let stack = clip::stack([hidden, intermediate, depth, hidden / 64], false);
    Ok(ClassVitConfig { stack, side, patch, patch_bias: false, pre_norm: true })
}

/// A tensor of the tower; the norm behind its last layer is for the class token alone.
pub(super) fn in_tower(rest: &str) -> Option<String> {
    let unused = rest.starts_with("post_layernorm.") || rest == "embeddings.position_ids";
    (!unused).then(|| format!("{PREFIX}{rest}"))
}

/// Names of a tower by itself, or of both towers of CLIP.
fn tower_alone(name: &str) -> Option<String> {
    in_tower(name.strip_prefix("vision_model.")?)
}
