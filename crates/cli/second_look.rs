//! Protocols and strategies of `rethink` behind the seam of a run.

use loupe_core::{MediaLoader, ModelInfo, Resampler, VisionLanguageModel};
use loupe_eval::run::{Answer, Answerer, Work};
use loupe_rethink::{Budget, Models, Request, Settings};
use serde_json::Value;

/// Answers every sample with a protocol or strategy.
pub(crate) struct SecondLook<'a> {
    pub(crate) name: &'a str,
    pub(crate) model: &'a mut dyn VisionLanguageModel,
    pub(crate) resampler: &'a dyn Resampler,
    pub(crate) loader: &'a dyn MediaLoader,
    pub(crate) settings: Settings,
    pub(crate) budget: Budget,
}

impl Answerer for SecondLook<'_> {
    fn model(&self) -> &ModelInfo {
        self.model.info()
    }

    fn strategy(&self) -> Value {
        serde_json::json!({ "name": self.name, "settings": self.settings, "budget": self.budget })
    }

    fn answer(&mut self, work: &[Work]) -> Vec<Answer> {
        work.iter().map(|w| self.one(w)).collect()
    }
}

impl SecondLook<'_> {
    fn one(&mut self, work: &Work) -> Answer {
        let mut request = Request::of_sample(&work.sample, &work.ask);
        request.budget = self.budget.clone();
        // Other slices and windows can be had only of images that have them.
        if request.pictures.iter().all(|p| p.origin.slice.is_none() && p.origin.window.is_none()) {
            request.media.clear();
        }
        let models = Models {
            first: &mut *self.model,
            second: None,
            segmenter: None,
            resampler: self.resampler,
            loader: Some(self.loader),
        };
        match loupe_rethink::run(self.name, models, &request, &self.settings) {
            Ok(outcome) => {
                let trace = serde_json::to_value(&outcome.trace).unwrap_or(Value::Null);
                Answer { outcome: Ok(outcome.reply), trace }
            }
            Err(error) => Answer { outcome: Err(error.to_string()), trace: Value::Null },
        }
    }
}
