//! A model that answers from a trace.

use loupe_core::PictureRecord;
use loupe_core::model::{self, AskSource};
use loupe_core::trace::Trace;
use loupe_core::{Ask, ModelError, ModelInfo, Reply, ReplySink, VisionLanguageModel};

/// Gives the replies of a trace again, in order, and refuses a prompt that is not the one on record:
/// other turns, or pictures with another content.
pub struct Replay {
    info: ModelInfo,
    trace: Trace,
    next: usize,
}

impl Replay {
    /// A model that answers as `trace` says.
    pub fn new(trace: Trace, box_dialect: impl Into<String>) -> Self {
        let name = trace.rounds.first().map(|r| r.model.clone()).unwrap_or_default();
        let info = ModelInfo::scripted("replay", name, box_dialect);
        Self { info, trace, next: 0 }
    }

    /// True when every round has been asked for.
    pub fn is_done(&self) -> bool {
        self.next == self.trace.rounds.len()
    }

    fn answer(&mut self, ask: &Ask) -> Result<Reply, ModelError> {
        let other = |what: &str| {
            Err(ModelError::Compute(format!("round {} of the trace has other {what}", self.next)))
        };
        let Some(round) = self.trace.rounds.get(self.next) else {
            return Err(ModelError::Compute("the trace has no further round".into()));
        };
        if self.trace.turns_of(self.next).as_ref() != Some(&ask.turns) {
            return other("turns");
        }
        let on_record = round.pictures.iter().filter_map(|&n| self.trace.pictures.get(n)).map(|p| &p.sha256);
        if !on_record.eq(ask.pictures.iter().map(|p| PictureRecord::of(p).sha256).collect::<Vec<_>>().iter())
        {
            return other("pictures");
        }
        self.next += 1;
        match (&round.reply, &round.error) {
            (Some(reply), _) => Ok(reply.clone()),
            (None, error) => Err(ModelError::Compute(error.clone().unwrap_or_default())),
        }
    }
}

impl VisionLanguageModel for Replay {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        model::one_by_one(asks, replies, |ask| self.answer(&ask));
    }
}
