//! Everything that an engine has in work during one call.

use super::architecture::PromptPicture;
use super::cache::Prefix;
use super::dump::Dump;
use super::job::Job;
use super::memory::Budget;
use super::prompt::Prompt;
use crate::layers::kv::{Group, Segment};
use loupe_core::model::{AskId, Go};
use loupe_core::{ModelError, ReplySink};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Weak};

/// A run of a prompt's tokens that is to be computed.
pub(crate) struct Run<P> {
    /// Number of the run within the call.
    pub(crate) number: u64,
    /// The run that has to be computed before.
    pub(crate) parent: Option<u64>,
    /// The prompt it is taken from, and whose that is.
    pub(crate) prompt: Arc<Prompt<P>>,
    pub(crate) owner: AskId,
    /// Tokens `from..to` of the prompt.
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// What it continues, once there is no parent.
    pub(crate) prefix: Prefix,
    /// The job whose prompt it ends; without one, several jobs continue it.
    pub(crate) job: Option<Job<P>>,
    /// Seconds spent on it.
    pub(crate) spent: f64,
}

impl<P> Run<P> {
    pub(crate) fn tokens(&self) -> usize {
        self.to - self.from
    }
}

/// A run too long for one step, computed up to some token.
pub(crate) struct OpenRun<P> {
    pub(crate) run: Run<P>,
    pub(crate) group: Group,
    /// Tokens of the run that were computed.
    pub(crate) computed: usize,
}

/// Rows that are decoded together, because they continue the same prefix.
pub(crate) struct LiveGroup<P> {
    pub(crate) group: Group,
    /// The job of each row.
    pub(crate) jobs: Vec<Job<P>>,
}

impl<P> LiveGroup<P> {
    /// What all rows continue.
    pub(crate) fn prefix(&self) -> Option<&Prefix> {
        self.jobs.first().map(|job| &job.prefix)
    }
}

/// Everything that is in work.
pub(crate) struct Work<P> {
    /// Asks that wait: for memory, or for what another one is just computing.
    pub(crate) queue: VecDeque<Job<P>>,
    /// Runs to compute, parents before those that continue them.
    pub(crate) runs: VecDeque<Run<P>>,
    pub(crate) open: Option<OpenRun<P>>,
    pub(crate) live: Vec<LiveGroup<P>>,
    /// Segments that rows read and the cache does not hold.
    pub(crate) loose: Vec<Weak<Segment>>,
    next_run: u64,
    /// What is to be dumped of the ask in work.
    pub(crate) dump: Option<Dump>,
}

impl<P: PromptPicture> Work<P> {
    pub(crate) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            runs: VecDeque::new(),
            open: None,
            live: Vec::new(),
            loose: Vec::new(),
            next_run: 0,
            dump: None,
        }
    }

    /// A number for a new run.
    pub(crate) fn number(&mut self) -> u64 {
        self.next_run += 1;
        self.next_run
    }

    fn pending(&self) -> impl Iterator<Item = &Run<P>> {
        self.runs.iter().chain(self.open.as_ref().map(|open| &open.run))
    }

    /// Jobs that memory is set aside for.
    pub(crate) fn admitted(&self) -> impl Iterator<Item = &Job<P>> {
        let live = self.live.iter().flat_map(|l| &l.jobs);
        self.pending().filter_map(|run| run.job.as_ref()).chain(live)
    }

    /// Asks in work, those that wait included.
    pub(crate) fn asks(&self) -> usize {
        self.queue.len() + self.admitted().count()
    }

    /// Rows that are being decoded.
    pub(crate) fn rows(&self) -> usize {
        self.live.iter().map(|l| l.jobs.len()).sum()
    }

    /// Is anything being computed?
    pub(crate) fn is_busy(&self) -> bool {
        !(self.runs.is_empty() && self.open.is_none() && self.live.is_empty())
    }

    /// Bytes that are in use or set aside, without those that the cache counts.
    pub(crate) fn bytes(&mut self, budget: &Budget) -> u64 {
        self.loose.retain(|segment| segment.strong_count() > 0);
        let loose: u64 = self.loose.iter().filter_map(Weak::upgrade).map(|s| s.bytes()).sum();
        let shared = self.pending().filter(|run| run.job.is_none()).map(|run| budget.kv(run.tokens()));
        let pending = self.pending().filter_map(|run| run.job.as_ref()).map(|job| job.reserved);
        // Rows of different lengths lie in one rectangle, which may be more than what is set aside for each.
        let live = self.live.iter().map(|l| l.group.bytes().max(l.jobs.iter().map(|j| j.reserved).sum()));
        loose + shared.sum::<u64>() + pending.sum::<u64>() + live.sum::<u64>()
    }

    /// Places in `runs` of the jobs' runs that continue run `number`, directly or through others.
    pub(crate) fn descendants(&self, number: u64) -> Vec<usize> {
        let mut family = BTreeSet::from([number]);
        let mut out = Vec::new();
        // Parents stand before their children.
        for (place, run) in self.runs.iter().enumerate() {
            if run.parent.is_some_and(|p| family.contains(&p)) {
                family.insert(run.number);
                if run.job.is_some() {
                    out.push(place);
                }
            }
        }
        out
    }

    /// A shared run was computed, and is the end of `prefix`: what continues it may begin.
    pub(crate) fn shared_run_is_done(&mut self, run: &Run<P>, prefix: &Prefix) {
        let family = self.descendants(run.number);
        let share = run.spent / family.len().max(1) as f64;
        for place in family {
            let Some(job) = self.runs.get_mut(place).and_then(|r| r.job.as_mut()) else { continue };
            job.timing.prefill_s += share;
            // The first prompt of a shared run computed it; for the others it was there.
            if job.id != run.owner {
                job.reused += run.tokens();
            }
        }
        for child in self.runs.iter_mut().filter(|child| child.parent == Some(run.number)) {
            child.parent = None;
            child.prefix = prefix.clone();
        }
    }

    /// Ends a run that cannot be computed, and all that continue it.
    pub(crate) fn fail(&mut self, run: Run<P>, error: &ModelError, replies: &mut dyn ReplySink) {
        if let Some(job) = run.job {
            replies.done(job.id, Err(error.clone()));
            return;
        }
        for place in self.descendants(run.number).into_iter().rev() {
            if let Some(job) = self.runs.remove(place).and_then(|run| run.job) {
                replies.done(job.id, Err(error.clone()));
            }
        }
        self.prune();
    }

    /// Asks of every job that is not yet decoded whether its reply is still wanted, and drops those that are
    /// not.
    pub(crate) fn drop_unwanted(&mut self, replies: &mut dyn ReplySink) {
        let mut wanted = |job: &Job<P>| {
            let go = replies.piece(job.id, "") == Go::On;
            if !go {
                replies.done(job.id, Err(ModelError::Cancelled));
            }
            go
        };
        self.queue.retain(&mut wanted);
        self.runs.retain(|run| run.job.as_ref().is_none_or(&mut wanted));
        if self.open.as_ref().and_then(|open| open.run.job.as_ref()).is_some_and(|job| !wanted(job)) {
            self.open = None;
        }
        self.prune();
    }

    /// Drops shared runs that no job continues any more.
    fn prune(&mut self) {
        loop {
            let orphan = |run: &Run<P>| run.job.is_none() && self.descendants(run.number).is_empty();
            let Some(place) = self.runs.iter().position(orphan) else { break };
            self.runs.remove(place);
        }
        let orphan = |run: &Run<P>| run.job.is_none() && self.descendants(run.number).is_empty();
        if self.open.as_ref().is_some_and(|open| orphan(&open.run)) {
            self.open = None;
        }
    }
}
