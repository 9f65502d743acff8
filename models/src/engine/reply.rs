//! From an ask to a job, and from a job to its reply.

use super::architecture::Architecture;
use super::cache::Prefix;
use super::generate::lookup::Lookup;
use super::generate::row::Row;
use super::job::Job;
use super::prompt::Prompt;
use super::serve::Engine;
use loupe_core::dialect::{PictureSizes, SpokenPicture, dialect};
use loupe_core::model::AskId;
use loupe_core::{Ask, Counts, ModelError, Picture, Reply, ReplyForm, Stop, Timing};
use std::sync::Arc;

impl<A: Architecture> Engine<A> {
    /// Makes an ask ready to be computed.
    pub(super) fn prepare(&self, id: AskId, ask: &Ask) -> Result<Job<A::Picture>, ModelError> {
        let context = self.decoder().config.context;
        if let Some(ReplyForm::Grammar(_)) = &ask.limits.form {
            let problem = "only servers write by grammars; leave it out for a checkpoint".to_owned();
            return Err(ModelError::Setting { setting: "grammar", problem });
        }
        let prompt = Prompt::new(ask, &self.arch, &self.tokens, &self.template, context)?;
        let length = prompt.ids.len();
        if ask.limits.beams.is_some_and(|beams| beams > 1) {
            let problem = format!("{} follows one sequence; leave beams out", self.info.family);
            return Err(ModelError::Setting { setting: "beams", problem });
        }
        let mut limits = ask.limits.clone();
        limits.repetition_penalty.get_or_insert(self.repetition_penalty);
        let row = Row::new(&limits, &prompt.ids, context - length)?;
        let options = &prompt.options;
        if length + options.longest() > context {
            return Err(ModelError::TooLong { tokens: length + options.longest(), limit: context });
        }
        let most = match options.is_empty() {
            true => ask.limits.max_new_tokens.min(context - length),
            false => options.long().map(|s| s.ids.len()).sum(),
        };
        let encode_bytes = prompt.pictures.iter().map(|p| self.arch.encode_bytes(&p.shown)).max();
        let encode_bytes = encode_bytes.unwrap_or(0);
        let span = prompt.spans.iter().map(|s| s.tokens.len()).max().unwrap_or(0);
        // Features are computed whole, other tokens in as many steps as it takes.
        let step = self.budget.step(span.max(self.budget.least_tokens().min(length)), 1);
        let needed = self.budget.kv(length + most) + step + encode_bytes;
        if needed > self.budget.limit {
            return Err(ModelError::Memory { needed, limit: self.budget.limit });
        }
        Ok(Job {
            id,
            given: ask.pictures.clone(),
            logprobs: ask.limits.logprobs.is_some(),
            form: ask.limits.form.clone(),
            most,
            prompt: Arc::new(prompt),
            row,
            lookup: Lookup::new(self.lookup),
            prefix: Prefix::default(),
            reused: 0,
            timing: Timing::default(),
            reserved: 0,
            encode_bytes,
        })
    }

    /// The reply of a job that is over.
    pub(super) fn reply(&self, job: &Job<A::Picture>) -> Result<Reply, ModelError> {
        let ids = job.row.reply_ids();
        let mut reply = Reply::from_text(job.row.text());
        reply.token_ids = ids.to_vec();
        reply.logprobs = job.logprobs.then(|| job.row.logprobs.clone());
        reply.stop = job.row.stop.unwrap_or(Stop::Length);
        reply.timing = job.timing;
        reply.counts = Counts {
            prompt_tokens: job.prompt.ids.len(),
            reused_tokens: job.reused,
            picture_tokens: job.prompt.picture_tokens(),
            new_tokens: ids.len(),
            proposed_tokens: job.lookup.proposed,
            accepted_tokens: job.lookup.accepted,
        };
        // Some dialects are made of special tokens, which the reply's words leave out.
        let words = self.tokens.decode(ids, true).map_err(ModelError::Compute)?;
        place(&mut reply, &self.info.box_dialect, &words, &job.prompt.frames, &job.given);
        Ok(reply)
    }
}

/// Reads out of `words` what a reply points at; `frames` are width and height that the dialect measures in, one a picture.
pub(super) fn place(
    reply: &mut Reply,
    box_dialect: &str,
    words: &str,
    frames: &[[usize; 2]],
    given: &[Arc<Picture>],
) {
    let Some(dialect) = dialect(box_dialect).filter(|_| !given.is_empty()) else { return };
    let pictures = frames.iter().zip(given).map(|(frame, picture)| SpokenPicture {
        sizes: PictureSizes { given: [picture.width(), picture.height()], model_input: *frame },
        origin: &picture.origin,
    });
    let pictures: Vec<SpokenPicture<'_>> = pictures.collect();
    // Where the dialect cannot name a picture, the last one is meant.
    let parsed = dialect.parse(words);
    reply.findings = dialect.place(&parsed, &pictures, pictures.len().saturating_sub(1)).findings;
    if !reply.findings.is_empty() {
        reply.repairs = parsed.repairs.iter().map(|r| r.name()).collect();
    }
}
