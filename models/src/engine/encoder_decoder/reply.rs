//! From a job to its reply.

use super::family::EncoderDecoder;
use super::job::{Course, Job};
use super::serve::{Engine, compute};
use crate::engine::architecture::PromptPicture;
use crate::engine::dump::Dump;
use crate::engine::generate::beams::Beam;
use crate::engine::generate::stream::TextStream;
use crate::engine::reply::place;
use loupe_core::model::Go;
use loupe_core::{Counts, ModelError, Reply, ReplySink, Stop};

impl<A: EncoderDecoder> Engine<A> {
    /// The reply of a job that is over, after what of its words was not yet given out.
    pub(super) fn finished(&self, job: &Job, replies: &mut dyn ReplySink) -> Result<Reply, ModelError> {
        let reply = self.reply(job)?;
        let is_given = matches!(job.course, Course::One(_)) && job.says_boxes;
        match is_given || replies.piece(job.id, &reply.text) == Go::On {
            true => Ok(reply),
            false => Err(ModelError::Cancelled),
        }
    }

    /// The reply of a job that is over.
    pub(super) fn reply(&self, job: &Job) -> Result<Reply, ModelError> {
        let mut reply = match &job.course {
            Course::One(row) => {
                let mut reply = Reply::from_text(row.text());
                reply.token_ids = row.reply_ids().to_vec();
                reply.logprobs = job.limits.logprobs.map(|_| row.logprobs.clone());
                reply.stop = row.stop.unwrap_or(Stop::Length);
                reply
            }
            Course::Beams(search) => {
                let failed = || ModelError::Compute("no sequence was completed".into());
                self.beam_reply(search.result().ok_or_else(failed)?, job)?
            }
            Course::Options(_) => Reply::from_text(""),
        };
        reply.timing = job.timing;
        reply.counts = Counts {
            prompt_tokens: job.prompt_tokens(),
            reused_tokens: 0,
            picture_tokens: job.features(),
            new_tokens: reply.token_ids.len(),
            ..Counts::default()
        };
        let decode = |ids: &[u32]| self.tokens.decode(ids, true).map_err(ModelError::Compute);
        if job.says_boxes {
            // Locations are special tokens, which the reply's words leave out.
            let words = decode(&reply.token_ids)?;
            let given = std::slice::from_ref(&job.picture);
            place(&mut reply, &self.info.box_dialect, &words, &[job.shown.frame()], given);
            let score = self.confidence(job);
            for finding in &mut reply.findings {
                finding.picture = job.number;
                finding.score = finding.score.or(score);
            }
        } else {
            let said: Vec<u32> =
                reply.token_ids.iter().copied().filter(|id| !self.frame.contains(id)).collect();
            // The stop that ended the reply is none of its words here either.
            let mut stream = TextStream::default();
            stream.update(&decode(&said)?, &job.limits.stop, false);
            stream.text().clone_into(&mut reply.text);
        }
        self.write_dump(job, &reply)?;
        Ok(reply)
    }

    fn beam_reply(&self, beam: &Beam, job: &Job) -> Result<Reply, ModelError> {
        let ended = beam.ids.last().is_some_and(|last| self.ends.contains(last));
        let ids = &beam.ids[..beam.ids.len() - usize::from(ended)];
        let whole = self.tokens.decode(ids, false).map_err(ModelError::Compute)?;
        let mut stream = TextStream::default();
        let (_, stopped) = stream.update(&whole, &job.limits.stop, false);
        let mut reply = Reply::from_text(stream.text());
        reply.token_ids = ids.to_vec();
        reply.logprobs = job.limits.logprobs.map(|_| beam.logprobs.iter().take(ids.len()).cloned().collect());
        reply.beam_score = Some(f64::from(beam.score));
        reply.stop = match (stopped, ended) {
            (true, _) => Stop::StopString,
            (_, true) => Stop::EndOfTurn,
            _ if beam.ids.len() < job.limits.max_new_tokens => Stop::ContextFull,
            _ => Stop::Length,
        };
        Ok(reply)
    }

    /// How sure the model was of what it found, from 0 to 1, as AG-KD measures it: the mean of the log-probabilities of
    /// the tokens that were not forced, by the length penalty. Nothing where one sequence was followed.
    fn confidence(&self, job: &Job) -> Option<f64> {
        let Course::Beams(search) = &job.course else { return None };
        let added = &search.result()?.added;
        let (sum, chosen) = (added.iter().sum::<f32>(), added.iter().filter(|a| **a < 0.0).count());
        let length = (chosen as f64).powf(self.settings.beams.length_penalty);
        Some(if chosen == 0 { 1.0 } else { (f64::from(sum) / length).exp() })
    }

    fn write_dump(&self, job: &Job, reply: &Reply) -> Result<(), ModelError> {
        let Some(folder) = &self.dump else { return Ok(()) };
        let pixels = self.arch.pixels(&job.picture).map_err(ModelError::Compute)?;
        let features = self.arch.encode(&pixels).map_err(compute)?.rows;
        let marks = std::iter::repeat_n(self.arch.feature_token(), job.features());
        let generated = match &job.course {
            Course::One(row) => row.ids.clone(),
            Course::Beams(search) => search.result().map(|beam| beam.ids.clone()).unwrap_or_default(),
            Course::Options(_) => reply.token_ids.clone(),
        };
        let dump = Dump {
            input_ids: marks.chain(job.words.iter().copied()).collect(),
            positions: (0..job.prompt_tokens() as u32).map(|p| [p; 3]).collect(),
            patches: vec![pixels.unsqueeze(0).map_err(compute)?],
            features: vec![features],
            logits: job.logits.clone(),
            generated,
            ..Dump::default()
        };
        dump.write(folder).map_err(|e| ModelError::Compute(format!("the dump cannot be written: {e}")))
    }
}
