//! Options whose probabilities are wanted instead of a reply in words.

use super::family::EncoderDecoder;
use super::job::{Course, Job};
use super::serve::{Engine, compute};
use crate::chat::tokens::Encoded;
use crate::engine::options::logprobs;
use crate::networks::bart::Writing;
use loupe_core::{ModelError, Reply, Stop};

/// Spellings computed at a time.
pub(super) const ROWS: usize = 64;

impl<A: EncoderDecoder> Engine<A> {
    /// Tokens of an option as a reply.
    pub(super) fn option_tokens(&self, option: &str) -> Result<Vec<u32>, ModelError> {
        let encoded =
            self.tokens.encode_behind(&self.tokens.protect(option)).map_err(ModelError::Template)?;
        let id = |e: &Encoded| if let Encoded::Token(id) = e { Some(*id) } else { None };
        Ok(encoded.iter().filter_map(id).collect())
    }

    /// The reply of a job whose prompt is read.
    pub(super) fn options_reply(&self, job: &mut Job) -> Result<Reply, ModelError> {
        let (Course::Options(options), Some(mut writing)) = (&job.course, job.writing.take()) else {
            return Err(ModelError::Compute("there are no options".into()));
        };
        // What every reply begins with.
        let begin = std::iter::once(self.settings.start).chain(self.settings.rules.first);
        let mut first = Vec::new();
        for token in begin {
            first = self.row(&[token], &mut writing)?.into_iter().next().unwrap_or_default();
        }
        let mut found = logprobs(&first, options.spellings.iter().filter_map(|s| s.ids.first().copied()))?;
        let long: Vec<usize> = (0..found.len()).filter(|n| options.spellings[*n].ids.len() > 1).collect();
        for part in long.chunks(ROWS) {
            let mut writing = writing.clone();
            writing.reorder(&vec![0; part.len()]).map_err(compute)?;
            let longest = part.iter().map(|n| options.spellings[*n].ids.len()).max().unwrap_or(0);
            for at in 1..longest {
                // Those that are over go on with their last token, and nobody looks.
                let token = |n: &usize| {
                    let ids = &options.spellings[*n].ids;
                    ids.get(at - 1).or(ids.last()).copied().unwrap_or_default()
                };
                let rows = self.row(&part.iter().map(token).collect::<Vec<_>>(), &mut writing)?;
                for (n, logits) in part.iter().zip(rows) {
                    if let Some(id) = options.spellings[*n].ids.get(at) {
                        found[*n] += logprobs(&logits, std::iter::once(*id))?.iter().sum::<f64>();
                    }
                }
            }
        }
        let scores = options.scores(&found);
        job.logits = first;
        let mut reply = self.reply(job)?;
        reply.text = scores.best().map(|best| best.text.clone()).unwrap_or_default();
        reply.stop = Stop::EndOfTurn;
        reply.options = Some(scores);
        Ok(reply)
    }

    fn row(&self, tokens: &[u32], writing: &mut Writing) -> Result<Vec<Vec<f32>>, ModelError> {
        let logits = self.arch.network().write(tokens, &mut [writing]);
        logits.and_then(|logits| logits.to_vec2::<f32>()).map_err(compute)
    }
}
