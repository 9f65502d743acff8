//! The engine: reads the prompts that memory allows, then computes the next token of every reply in work together, so
//! that replies leave and asks join at any step. What a reply says does not depend on its company.

use super::family::EncoderDecoder;
use super::job::{Course, Job};
use super::settings::GenerationSettings;
use crate::chat::tokens::Tokens;
use crate::engine::architecture::PromptPicture;
use crate::engine::cache::PrefixCache;
use crate::error::computation;
use crate::networks::bart::Writing;
use candle_core::Tensor;
use loupe_core::model::{AskSource, Go, Next, Vocabulary};
use loupe_core::{ModelError, ModelInfo, ReplySink, VisionLanguageModel};
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// A loaded model of any family of encoder–decoders.
pub(crate) struct Engine<A> {
    pub(super) arch: A,
    pub(super) tokens: Tokens,
    pub(super) info: ModelInfo,
    pub(super) settings: GenerationSettings,
    pub(super) ends: BTreeSet<u32>,
    /// Tokens that frame texts and are never part of what is said.
    pub(super) frame: BTreeSet<u32>,
    /// Features of pictures.
    pub(super) cache: PrefixCache,
    /// Bytes that may be taken beyond the weights.
    pub(super) memory: u64,
    /// Bytes of a number in work.
    pub(super) number_bytes: usize,
    /// Most asks in work.
    pub(super) rows: usize,
    /// Where the ask that was answered last is dumped. Then one ask is in work at a time.
    pub(super) dump: Option<PathBuf>,
}

// By value, because it is what `map_err` hands over.
#[allow(clippy::needless_pass_by_value)]
pub(super) fn compute(error: candle_core::Error) -> ModelError {
    ModelError::Compute(computation(&error))
}

/// Everything in work during one call.
#[derive(Default)]
struct Work {
    /// Asks whose prompts wait for memory.
    queue: VecDeque<Job>,
    live: Vec<Job>,
}

impl<A: EncoderDecoder> Engine<A> {
    /// Takes asks while there is room. False when there will be no more.
    fn pull(&mut self, asks: &mut dyn AskSource, work: &mut Work, replies: &mut dyn ReplySink) -> bool {
        while work.queue.len() + work.live.len() < self.rows {
            match asks.next(work.queue.is_empty() && work.live.is_empty()) {
                Next::Ask(id, ask) => match self.prepare(id, &ask) {
                    Ok(job) => work.queue.push_back(job),
                    Err(error) => replies.done(id, Err(error)),
                },
                Next::NotYet => break,
                Next::NoMore => return false,
            }
        }
        true
    }

    /// Reads the prompts that there is memory for, in turn.
    fn read_prompts(&mut self, work: &mut Work, replies: &mut dyn ReplySink) {
        work.queue.retain(|job| is_wanted(job, replies));
        while let Some(job) = work.queue.front() {
            let used: u64 = work.live.iter().map(|job| job.bytes).sum();
            let needed = used + job.bytes + job.read_bytes;
            // What was computed earlier makes room for what is asked now.
            self.cache.shrink(self.memory.saturating_sub(needed));
            if !work.live.is_empty() && needed + self.cache.bytes() > self.memory {
                break;
            }
            let Some(mut job) = work.queue.pop_front().filter(|job| is_wanted(job, replies)) else {
                continue;
            };
            let began = Instant::now();
            let read = self.read(&mut job);
            job.timing.prefill_s += began.elapsed().as_secs_f64();
            match read {
                Err(error) => replies.done(job.id, Err(error)),
                Ok(()) => match &job.course {
                    Course::Options(_) => replies.done(job.id, self.options_reply(&mut job)),
                    Course::One(row) if row.stop.is_some() => replies.done(job.id, self.reply(&job)),
                    _ => work.live.push(job),
                },
            }
        }
    }

    /// Reads the prompt of a job.
    fn read(&mut self, job: &mut Job) -> Result<(), ModelError> {
        let digest = job.shown.digest();
        let features = match self.cache.features(&digest) {
            Some(stored) => stored,
            None => {
                let pixels = self.arch.pixels(&job.picture).map_err(ModelError::Compute)?;
                let features = self.arch.encode(&pixels).map_err(compute)?.finite()?;
                self.cache.keep_features(digest, &features);
                features
            }
        };
        let network = self.arch.network();
        let words = network.embed(&job.words).map_err(compute)?;
        let words = words.to_dtype(features.rows.dtype()).map_err(compute)?;
        let prompt = Tensor::cat(&[&features.rows, &words], 0).map_err(compute)?;
        job.writing = Some(network.read(prompt, 1).map_err(compute)?);
        Ok(())
    }

    /// The next token of every reply.
    fn step(&mut self, work: &mut Work, replies: &mut dyn ReplySink) {
        if work.live.is_empty() {
            return;
        }
        let began = Instant::now();
        let logits = self.logits(&mut work.live);
        let share = began.elapsed().as_secs_f64() / work.live.len() as f64;
        let mut kept = Vec::with_capacity(work.live.len());
        for (mut job, logits) in std::mem::take(&mut work.live).into_iter().zip(logits) {
            job.timing.decode_s += share;
            match logits.and_then(|logits| self.choose(&mut job, &logits, replies)) {
                Err(error) => replies.done(job.id, Err(error)),
                Ok(true) => kept.push(job),
                Ok(false) => {
                    let reply = self.finished(&job, replies);
                    replies.done(job.id, reply);
                }
            }
        }
        work.live = kept;
    }

    /// Logits of the rows of each job; where computing them together fails, each by itself, to tell which it is.
    fn logits(&self, jobs: &mut [Job]) -> Vec<Result<Vec<Vec<f32>>, ModelError>> {
        match self.logits_of(jobs) {
            Ok(all) => all.into_iter().map(Ok).collect(),
            Err(error) if jobs.len() == 1 => vec![Err(error)],
            Err(_) => {
                let alone = |job: &mut Job| {
                    let rows = self.logits_of(std::slice::from_mut(job))?;
                    rows.into_iter().next().ok_or_else(|| ModelError::Compute("no logits".into()))
                };
                jobs.iter_mut().map(alone).collect()
            }
        }
    }

    fn logits_of(&self, jobs: &mut [Job]) -> Result<Vec<Vec<Vec<f32>>>, ModelError> {
        let ids: Vec<u32> = jobs.iter().flat_map(|job| job.next.iter().copied()).collect();
        let counts: Vec<usize> = jobs.iter().map(|job| job.next.len()).collect();
        let mut writings: Vec<&mut Writing> =
            jobs.iter_mut().filter_map(|job| job.writing.as_mut()).collect();
        let logits = self.arch.network().write(&ids, &mut writings);
        let mut rows = logits.and_then(|logits| logits.to_vec2::<f32>()).map_err(compute)?.into_iter();
        Ok(counts.into_iter().map(|n| rows.by_ref().take(n).collect()).collect())
    }

    /// Chooses the next tokens of a job; false when its reply is over. Fails when nobody wants it any more.
    fn choose(
        &self,
        job: &mut Job,
        logits: &[Vec<f32>],
        replies: &mut dyn ReplySink,
    ) -> Result<bool, ModelError> {
        let first = logits.first().map(Vec::as_slice).unwrap_or_default();
        if job.logits.is_empty() && self.dump.is_some() {
            job.logits = first.to_vec();
        }
        let (piece, goes_on) = match &mut job.course {
            Course::One(row) => {
                let piece = row.take(first, &self.ends, &self.tokens)?;
                job.next = row.ids.last().copied().into_iter().collect();
                (piece, row.stop.is_none())
            }
            Course::Beams(search) => {
                // At first there is one row, for the token that starts every sequence.
                let onward = match logits {
                    [one] => search.advance(&vec![one.clone(); search.width()])?,
                    all => search.advance(all)?,
                };
                let goes_on = onward.is_some();
                if let (Some(onward), Some(writing)) = (onward, &mut job.writing) {
                    let parents: Vec<u32> = match logits.len() {
                        1 => vec![0; onward.parents.len()],
                        _ => onward.parents,
                    };
                    writing.reorder(&parents).map_err(compute)?;
                    job.next = onward.tokens;
                }
                (String::new(), goes_on)
            }
            Course::Options(_) => return Ok(false),
        };
        // Where places are kept in the words, these come at the end.
        let piece = if job.says_boxes { piece.as_str() } else { "" };
        match replies.piece(job.id, piece) {
            Go::On => Ok(goes_on),
            Go::Stop => Err(ModelError::Cancelled),
        }
    }
}

/// Is the reply still wanted? Says so where it is not.
fn is_wanted(job: &Job, replies: &mut dyn ReplySink) -> bool {
    let is_wanted = replies.piece(job.id, "") == Go::On;
    if !is_wanted {
        replies.done(job.id, Err(ModelError::Cancelled));
    }
    is_wanted
}

impl<A: EncoderDecoder> VisionLanguageModel for Engine<A> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn vocabulary(&self) -> Option<Arc<dyn Vocabulary>> {
        Some(Arc::new(self.tokens.vocabulary()))
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        let mut work = Work::default();
        let mut more = true;
        loop {
            more = more && self.pull(asks, &mut work, replies);
            if work.queue.is_empty() && work.live.is_empty() {
                if more {
                    continue;
                }
                return;
            }
            self.read_prompts(&mut work, replies);
            self.step(&mut work, replies);
        }
    }
}
