//! A model on this machine as judge.

use super::Judge;
use loupe_core::{Ask, GenerationLimits, Role, Stop, Turn, VisionLanguageModel};

/// Most tokens of a verdict with its reasons.
const MAX_NEW_TOKENS: usize = 1024;

/// A model that was loaded here, asked in words alone.
pub struct LocalJudge {
    model: Box<dyn VisionLanguageModel>,
    name: String,
}

impl LocalJudge {
    /// The judge; it is called by the model's name and the first twelve characters of its digest.
    pub fn new(model: Box<dyn VisionLanguageModel>) -> Self {
        let digest = model.info().identity_sha256();
        let name = format!("{}@{}", model.info().name, digest.get(..12).unwrap_or_default());
        Self { model, name }
    }
}

impl Judge for LocalJudge {
    fn model(&self) -> &str {
        &self.name
    }

    fn ask(&mut self, prompt: &str) -> Result<String, String> {
        let ask = Ask {
            pictures: Vec::new(),
            turns: vec![Turn::text(Role::User, prompt)],
            limits: GenerationLimits { max_new_tokens: MAX_NEW_TOKENS, ..GenerationLimits::default() },
        };
        match self.model.generate(&[ask]).pop() {
            Some(Ok(reply)) if reply.stop == Stop::Length => {
                Err(format!("the judge's reply was cut off at {MAX_NEW_TOKENS} tokens"))
            }
            Some(Ok(reply)) => Ok(reply.text),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the judge gave no reply".to_owned()),
        }
    }
}
