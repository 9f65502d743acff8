//! Who answers: a model directly, or a strategy over one.

use loupe_core::{Ask, ModelInfo, Reply, Sample, VisionLanguageModel};

/// One prompt to answer.
#[derive(Debug, Clone)]
pub struct Work {
    /// The sample it comes from; a strategy must not look at `target`.
    pub sample: Sample,
    /// The prompt as the recipe makes it, with decoded pictures.
    pub ask: Ask,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The reply, or the reason why there is none.
    pub outcome: Result<Reply, String>,
    /// Rounds of a strategy; `null` for a single pass.
    pub trace: serde_json::Value,
}

/// Answers prompts: a model directly ([`Direct`]) or a strategy over it (the think–act–rethink loop).
/// Stateless: the answer to a prompt does not depend on the others of the batch or on earlier ones.
pub trait Answerer {
    /// The model behind it.
    fn model(&self) -> &ModelInfo;

    /// Name and settings of the strategy for run.json; `null` for a single pass.
    fn strategy(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// One answer a prompt, in order.
    fn answer(&mut self, work: &[Work]) -> Vec<Answer>;
}

/// A single pass through the model.
pub struct Direct<'a>(pub &'a mut dyn VisionLanguageModel);

impl Answerer for Direct<'_> {
    fn model(&self) -> &ModelInfo {
        self.0.info()
    }

    fn answer(&mut self, work: &[Work]) -> Vec<Answer> {
        let asks: Vec<Ask> = work.iter().map(|w| w.ask.clone()).collect();
        self.0
            .generate(&asks, &mut ())
            .into_iter()
            .map(|r| Answer { outcome: r.map_err(|e| e.to_string()), trace: serde_json::Value::Null })
            .collect()
    }
}
