//! Who hears how the work goes on.

use loupe_core::sample::Outcome;
use loupe_run::{Progress, ReplyLine};
use std::time::Instant;

/// Hears how the work goes on; `()` does not listen. Called from several threads at once.
pub trait Listener: Sync {
    /// Words for people: what was decided on the way, what was left out.
    fn say(&self, _words: &str) {}

    /// Work of so many parts begins; 0 where nobody knows how many.
    fn begin(&self, _parts: u64) {}

    /// So many parts are done.
    fn reach(&self, _done: u64) {}

    /// One more part is done, of so many in all.
    fn advance(&self, _of: u64) {}

    /// Words that stand beside the progress until others do.
    fn note(&self, _words: &str) {}

    /// The work that began is over.
    fn end(&self) {}

    /// While this holds, [`Listener::go_on`] is asked often, so that a wish to end is best kept for it. Else nobody asks, and nothing is lost by
    /// ending at once.
    fn may_be_stopped(&self, _now: bool) {}

    /// Does somebody see the progress as it goes on? Where not, long work says in words how it goes.
    fn is_watched(&self) -> bool {
        false
    }

    /// Asked before every prompt of a run; `false` ends it early and cleanly.
    fn go_on(&self) -> bool {
        true
    }
}

impl Listener for () {}

/// The progress of a run as a listener hears it.
pub(crate) struct RunProgress<'a> {
    listener: &'a dyn Listener,
    total: u64,
    failed: usize,
    began: Instant,
    /// Tokens that went through the model: of prompts, as far as they were computed, and of replies.
    tokens: usize,
}

impl<'a> RunProgress<'a> {
    pub(crate) fn new(listener: &'a dyn Listener) -> Self {
        Self { listener, total: 0, failed: 0, began: Instant::now(), tokens: 0 }
    }

    /// `41.2 tokens/s, 2 failed`, as far as there is something to say.
    fn words(&self) -> String {
        let rate = self.tokens as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        let said = [
            (self.tokens > 0).then(|| format!("{rate:.1} tokens/s")),
            (self.failed > 0).then(|| format!("{} failed", self.failed)),
        ];
        said.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Progress for RunProgress<'_> {
    fn started(&mut self, total: usize, already: usize) {
        self.total = total as u64;
        self.began = Instant::now();
        self.listener.may_be_stopped(true);
        self.listener.begin(self.total);
        self.listener.reach(already as u64);
    }

    fn recorded(&mut self, line: &ReplyLine) {
        self.listener.advance(self.total);
        match &line.prediction.outcome {
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Reply(reply) => {
                let counts = reply.counts;
                self.tokens += counts.prompt_tokens.saturating_sub(counts.reused_tokens) + counts.new_tokens;
            }
        }
        self.listener.note(&self.words());
    }

    fn go_on(&mut self) -> bool {
        self.listener.go_on()
    }
}
