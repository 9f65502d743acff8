//! Who hears how the work goes on.

use loupe_core::sample::Outcome;
use loupe_run::{Progress, ReplyLine};

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
}

impl<'a> RunProgress<'a> {
    pub(crate) fn new(listener: &'a dyn Listener) -> Self {
        Self { listener, total: 0, failed: 0 }
    }
}

impl Progress for RunProgress<'_> {
    fn started(&mut self, total: usize, already: usize) {
        self.total = total as u64;
        self.listener.may_be_stopped(true);
        self.listener.begin(self.total);
        self.listener.reach(already as u64);
    }

    fn recorded(&mut self, line: &ReplyLine) {
        self.listener.advance(self.total);
        if matches!(line.prediction.outcome, Outcome::Failed(_)) {
            self.failed += 1;
            self.listener.note(&format!("{} failed", self.failed));
        }
    }

    fn go_on(&mut self) -> bool {
        self.listener.go_on()
    }
}
