//! Which of the waiting asks are begun, and what they share.

use super::architecture::Architecture;
use super::cache::{Key, LEAST_GAIN, Prefix};
use super::job::Job;
use super::plan::{self, LEAST_SAVING, PromptKeys};
use super::serve::Engine;
use super::work::{Run, Work};
use loupe_core::ReplySink;
use loupe_core::model::AskId;
use std::sync::Arc;

/// What there is of a prompt, or that it is about to be computed.
enum Beginning {
    /// This much is computed.
    Computed(Prefix),
    /// Another ask is just computing more of it.
    Coming,
}

impl<A: Architecture> Engine<A> {
    /// Begins as many of the waiting asks as memory allows; those that begin alike with one in work wait for
    /// what it computes.
    pub(super) fn admit(&mut self, work: &mut Work<A::Picture>, replies: &mut dyn ReplySink) {
        if work.queue.is_empty() {
            return;
        }
        work.drop_unwanted(replies);
        let mut admitted: Vec<Job<A::Picture>> = Vec::new();
        let mut waiting = std::mem::take(&mut work.queue);
        while let Some(mut job) = waiting.pop_front() {
            job.prefix = match self.beginning(&job, work) {
                Beginning::Computed(prefix) => prefix,
                Beginning::Coming => {
                    work.queue.push_back(job);
                    continue;
                }
            };
            let shared = admitted.iter().map(|other| common(&other.prompt.keys, &job.prompt.keys)).max();
            let own = job.prompt.ids.len() - job.prefix.tokens.max(shared.unwrap_or(0));
            job.reserved = self.budget.kv(own + job.most);
            if !self.fits(&job, &admitted, work) {
                // In turn: a large ask is not passed by small ones for ever.
                work.queue.push_back(job);
                break;
            }
            admitted.push(job);
        }
        work.queue.append(&mut waiting);
        if !admitted.is_empty() {
            self.align(&mut admitted, work);
            self.plan(admitted, work);
        }
    }

    /// Is there memory for one more?
    fn fits(
        &mut self,
        job: &Job<A::Picture>,
        admitted: &[Job<A::Picture>],
        work: &mut Work<A::Picture>,
    ) -> bool {
        let rows = work.admitted().count() + admitted.len() + 1;
        let all = work.admitted().chain(admitted).chain([job]);
        let encode = all.map(|j| j.encode_bytes).max().unwrap_or(0);
        let reserved: u64 = admitted.iter().map(|j| j.reserved).sum();
        let needed = work.bytes(&self.budget)
            + reserved
            + job.reserved
            + self.budget.step(self.budget.step_tokens, rows)
            + encode;
        // What was computed earlier makes room for what is asked now.
        self.cache.shrink(self.budget.limit.saturating_sub(needed));
        let alone = !work.is_busy() && admitted.is_empty();
        alone || needed + self.cache.bytes() <= self.budget.limit
    }

    /// The longest computed beginning of a prompt that leaves it a token of its own.
    fn beginning(&mut self, job: &Job<A::Picture>, work: &mut Work<A::Picture>) -> Beginning {
        if self.dump.is_some() {
            return Beginning::Computed(Prefix::default());
        }
        let (prompt, keys) = (&job.prompt, &job.prompt.keys);
        let most = keys.len() - 1;
        let mut found = self.cache.find(keys);
        found.shorten(prompt.cut(found.tokens.min(most)));
        if !self.cache.is_on() {
            return Beginning::Computed(found);
        }
        // What the rows in work share with it and have computed, and what they will have.
        let usable = |other: &[Key]| prompt.cut(common(other, keys).min(most));
        let coming = work.runs.iter().map(|run| usable(&run.prompt.keys).min(run.to));
        let coming =
            coming.chain(work.open.as_ref().map(|open| usable(&open.run.prompt.keys).min(open.run.to)));
        let coming = coming.max().unwrap_or(0);
        let mut best: Option<(usize, usize, usize)> = None;
        for (g, live) in work.live.iter().enumerate() {
            for (r, other) in live.jobs.iter().enumerate() {
                let tokens = usable(&other.prompt.keys);
                if best.is_none_or(|(_, _, most)| tokens > most) {
                    best = Some((g, r, tokens));
                }
            }
        }
        let live = best.map_or(0, |(_, _, tokens)| tokens);
        if coming >= found.tokens.max(live) + LEAST_SAVING {
            return Beginning::Coming;
        }
        let Some((g, r, tokens)) = best.filter(|(_, _, n)| *n >= found.tokens + LEAST_SAVING) else {
            return Beginning::Computed(found);
        };
        let (group, other) = (&work.live[g].group, &work.live[g].jobs[r]);
        let mut prefix = other.prefix.clone();
        if tokens <= prefix.tokens {
            prefix.shorten(tokens);
            return Beginning::Computed(prefix);
        }
        // Its own copy, so that it outlives the row.
        let own = tokens - prefix.tokens;
        match group.segment(r, 0, own) {
            Ok(segment) => {
                let run = keys[prefix.tokens..tokens].to_vec();
                Beginning::Computed(self.extend(&prefix, run, segment, work))
            }
            // Computed again instead.
            Err(_) => Beginning::Computed(found),
        }
    }

    /// Lets prefixes end where those of others do when that costs few tokens: rows with the same prefix run
    /// together.
    fn align(&self, admitted: &mut [Job<A::Picture>], work: &Work<A::Picture>) {
        let live = work.live.iter().filter_map(|l| l.prefix());
        let ends: Vec<Prefix> = live.chain(admitted.iter().map(|job| &job.prefix)).cloned().collect();
        for job in admitted {
            let near = |end: &&Prefix| {
                let less = job.prefix.tokens.saturating_sub(end.tokens);
                end.tokens > 0 && less > 0 && less < LEAST_GAIN && end.begins(&job.prefix)
            };
            let end = ends.iter().filter(near).map(|end| end.tokens).min();
            if let Some(tokens) = end.filter(|n| job.prompt.cut(*n) == *n) {
                job.prefix.shorten(tokens);
            }
        }
    }

    /// Turns asks into runs: what several share, and what each has for itself.
    fn plan(&self, admitted: Vec<Job<A::Picture>>, work: &mut Work<A::Picture>) {
        let mut families: Vec<Vec<Job<A::Picture>>> = Vec::new();
        for mut job in admitted {
            job.reused = job.prefix.tokens;
            let same = |family: &&mut Vec<Job<A::Picture>>| {
                self.dump.is_none() && family.first().is_some_and(|first| first.prefix.is(&job.prefix))
            };
            match families.iter_mut().find(same) {
                Some(family) => family.push(job),
                None => families.push(vec![job]),
            }
        }
        for family in families {
            let keys: Vec<PromptKeys<'_>> =
                family.iter().map(|j| PromptKeys { keys: &j.prompt.keys, spans: &j.prompt.spans }).collect();
            let prefix = family.first().map(|job| job.prefix.clone()).unwrap_or_default();
            let mut planned = Vec::new();
            plan::runs(&keys, &(0..family.len()).collect::<Vec<_>>(), prefix.tokens, &mut planned);
            let numbers: Vec<u64> = planned.iter().map(|_| work.number()).collect();
            let owners: Vec<(AskId, _)> = family.iter().map(|j| (j.id, Arc::clone(&j.prompt))).collect();
            let mut jobs: Vec<Option<Job<A::Picture>>> = family.into_iter().map(Some).collect();
            for (run, number) in planned.into_iter().zip(&numbers) {
                let mut job = if run.last { jobs[run.prompt].take() } else { None };
                if let Some(job) = &mut job {
                    job.reserved = self.budget.kv(run.to - run.from + job.most);
                }
                let (owner, prompt) = owners[run.prompt].clone();
                let parent = run.parent.map(|p| numbers[p]);
                let prefix = if parent.is_none() { prefix.clone() } else { Prefix::default() };
                let (number, from, to) = (*number, run.from, run.to);
                work.runs.push_back(Run { number, parent, prompt, owner, from, to, prefix, job, spent: 0.0 });
            }
        }
    }
}

fn common(a: &[Key], b: &[Key]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}
