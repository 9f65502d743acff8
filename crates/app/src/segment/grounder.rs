//! What finds the place of a phrase.

use super::salient::SaliencyOptions;
use crate::error::{AppError, InStep};
use crate::open::ModelOptions;
use crate::served::is_address;
use loupe_core::{PairEncoder, VisionLanguageModel};
use loupe_models::{Checkpoint, Loader, families, load_pair_encoder};
use std::path::Path;

/// What finds the place of a phrase.
pub enum Grounder<'a> {
    /// A model that is asked for boxes.
    Answers(&'a mut dyn VisionLanguageModel),
    /// An encoder of pictures and texts, which shows what of the picture bears on the phrase.
    Compares(&'a mut dyn PairEncoder, SaliencyOptions),
}

/// A loaded one.
pub enum LoadedGrounder {
    /// A model that is asked for boxes.
    Answers(Box<dyn VisionLanguageModel>),
    /// An encoder of pictures and texts.
    Compares(Box<dyn PairEncoder>, SaliencyOptions),
}

impl LoadedGrounder {
    /// What the options name: an encoder, where its family is one, and else a model that answers. How a place is found
    /// by an encoder is `saliency`, where anything was said of it.
    ///
    /// # Errors
    /// When it cannot be loaded, or something was said about saliency and it is no encoder.
    pub fn open(model: &ModelOptions, saliency: Option<SaliencyOptions>) -> Result<Self, AppError> {
        if let Some(dir) = model.folder.as_ref().filter(|dir| !is_address(dir)) {
            let checkpoint = Checkpoint::directory(dir);
            let failed =
                || format!("the model that finds phrases, in {}, could not be loaded", dir.display());
            let family = families::find(&checkpoint, None).step(failed)?;
            if matches!(family.load, Loader::Pairs(_)) {
                let encoder = load_pair_encoder(&checkpoint, &model.load).step(failed)?;
                return Ok(Self::Compares(encoder, saliency.unwrap_or_default()));
            }
        }
        if saliency.is_some() {
            let found = model.folder.as_deref().map_or("the built-in model".into(), Path::to_string_lossy);
            return Err(AppError::input(format!(
                "the options --saliency-… are about encoders of images and texts, such as BiomedCLIP, and {found} is none; \
                 name one with --grounder"
            )));
        }
        Ok(Self::Answers(model.open()?))
    }

    /// For the time of a call.
    pub fn lend(&mut self) -> Grounder<'_> {
        match self {
            Self::Answers(model) => Grounder::Answers(model.as_mut()),
            Self::Compares(encoder, how) => Grounder::Compares(encoder.as_mut(), *how),
        }
    }
}
