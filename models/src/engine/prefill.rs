//! The prompt tokens of the next step.

use super::architecture::{Architecture, Features, PromptPicture};
use super::cache::{Key, Prefix};
use super::prompt::Prompt;
use super::serve::Engine;
use super::work::{OpenRun, Run, Work};
use crate::error::computation;
use crate::layers::kv::{Group, Segment};
use candle_core::Tensor;
use loupe_core::{ModelError, ReplySink};
use std::sync::Arc;
use std::time::Instant;

/// Room for generated tokens that is made at once.
pub(crate) const RESERVE: usize = 64;
/// Prompt tokens of a step beside which replies are decoded: few enough that these do not stall, enough that
/// the weights are not read for nothing. A processor is as fast with few rows as with many.
const CHUNK_CPU: usize = 256;
const CHUNK_DEVICE: usize = 1024;

/// What a step feeds into one group.
#[derive(Clone)]
pub(crate) struct StepInput {
    /// Embeddings, (tokens, hidden).
    pub(crate) rows: Tensor,
    pub(crate) positions: Vec<[u32; 3]>,
    /// What is added to them after the first layers, a tensor of the same shape each.
    pub(crate) deep: Vec<Tensor>,
}

/// Runs with the same prefix in one step.
pub(crate) struct PrefillPart<P> {
    pub(crate) group: Group,
    pub(crate) runs: Vec<Run<P>>,
    /// Tokens of the first run that earlier steps computed.
    pub(crate) computed: usize,
    pub(crate) input: StepInput,
}

/// What was chosen for a step: runs with the same prefix, each with its number of tokens.
struct Chosen<P> {
    runs: Vec<(Run<P>, usize)>,
    /// The group of a run that earlier steps began, and what they computed of it.
    begun: Option<(Group, usize)>,
}

impl<P> Chosen<P> {
    fn goes_with(&self, run: &Run<P>) -> bool {
        let first = self.runs.first().map(|(first, _)| first).filter(|_| self.begun.is_none());
        first.is_some_and(|f| f.job.is_some() == run.job.is_some() && f.prefix.is(&run.prefix))
    }
}

impl<A: Architecture> Engine<A> {
    /// The runs of the next step, each with its embedded tokens. What fails here is one of them. Replies propose `ahead` tokens in the same
    /// step.
    pub(super) fn prefill_parts(
        &mut self,
        work: &mut Work<A::Picture>,
        ahead: usize,
        replies: &mut dyn ReplySink,
    ) -> Vec<PrefillPart<A::Picture>> {
        let chosen = self.choose(work, ahead);
        let mut parts = Vec::with_capacity(chosen.len());
        for Chosen { runs, begun } in chosen {
            let computed = begun.as_ref().map_or(0, |(_, computed)| *computed);
            let (mut inputs, mut kept) = (Vec::new(), Vec::new());
            for (mut run, tokens) in runs {
                let began = Instant::now();
                let from = run.from + computed;
                match self.embed(&run.prompt, from, from + tokens) {
                    Ok(input) => {
                        run.spent += began.elapsed().as_secs_f64();
                        inputs.push(input);
                        kept.push((run, tokens));
                    }
                    Err(error) => work.fail(run, &error, replies),
                }
            }
            if kept.is_empty() {
                continue;
            }
            let mut group = match begun {
                Some((group, _)) => group,
                None => self.new_group(&kept),
            };
            group.tokens = kept.iter().map(|(_, tokens)| *tokens).collect();
            let features =
                |(run, tokens): &(Run<_>, usize)| features_in(&run.prompt, run.from + computed, *tokens);
            group.pictures = kept.iter().map(features).collect();
            let runs: Vec<Run<A::Picture>> = kept.into_iter().map(|(run, _)| run).collect();
            match joined(inputs) {
                Ok(input) => parts.push(PrefillPart { group, runs, computed, input }),
                Err(error) => {
                    let error = ModelError::Compute(computation(&error));
                    runs.into_iter().for_each(|run| work.fail(run, &error, replies));
                }
            }
        }
        parts
    }

    /// A group for runs with the same prefix, with room for what follows the first call.
    fn new_group(&self, runs: &[(Run<A::Picture>, usize)]) -> Group {
        let prefix = runs.first().map(|(run, _)| run.prefix.pieces()).unwrap_or_default();
        let later = runs.iter().map(|(run, tokens)| run.tokens() - tokens).max().unwrap_or(0);
        let reply = runs.iter().filter_map(|(run, _)| run.job.as_ref()).map(|job| job.most.clamp(1, RESERVE));
        let lengths = runs.iter().map(|(_, tokens)| *tokens).collect();
        Group::new(prefix, lengths, self.decoder().config.layers.len(), later + reply.max().unwrap_or(0))
    }

    /// Takes runs that are ready out of work, up to the tokens of a step; a longer one goes on by itself.
    fn choose(&mut self, work: &mut Work<A::Picture>, ahead: usize) -> Vec<Chosen<A::Picture>> {
        let decoding = work.rows() > 0;
        let chunk = if self.is_cpu { CHUNK_CPU } else { CHUNK_DEVICE };
        let room = if decoding { chunk.min(self.budget.step_tokens) } else { self.budget.step_tokens };
        let mut room = room.saturating_sub(ahead);
        // Pictures are encoded whole: one at a time beside replies.
        let mut pictures = if decoding { 1 } else { usize::MAX };
        let mut chosen: Vec<Chosen<A::Picture>> = Vec::new();
        if let Some(OpenRun { run, group, computed }) = work.open.take() {
            let tokens = part_of(&run.prompt, run.from + computed, run.to, room);
            let finished = computed + tokens == run.tokens();
            room = room.saturating_sub(tokens);
            chosen.push(Chosen { runs: vec![(run, tokens)], begun: Some((group, computed)) });
            if !finished {
                return chosen;
            }
        }
        let mut place = 0;
        while let Some(run) = work.runs.get(place).filter(|_| room > 0) {
            if run.parent.is_some() {
                place += 1;
                continue;
            }
            let new = self.new_pictures(&run.prompt, run.from, run.to);
            let whole = run.tokens() <= room && new <= pictures;
            if !whole && !chosen.is_empty() {
                break;
            }
            let tokens = part_of(&run.prompt, run.from, run.to, room);
            let Some(run) = work.runs.remove(place) else { break };
            (room, pictures) = (room.saturating_sub(tokens), pictures.saturating_sub(new));
            let finished = tokens == run.tokens();
            match chosen.iter_mut().find(|c| c.goes_with(&run)) {
                Some(c) => c.runs.push((run, tokens)),
                None => chosen.push(Chosen { runs: vec![(run, tokens)], begun: None }),
            }
            if !finished {
                break;
            }
        }
        chosen
    }

    /// Pictures among tokens `from..to` whose features are not stored.
    fn new_pictures(&mut self, prompt: &Prompt<A::Picture>, from: usize, to: usize) -> usize {
        let inside = prompt.spans.iter().filter(|s| s.tokens.start < to && s.tokens.end > from);
        let mut digests: Vec<[u8; 32]> = inside.map(|s| prompt.pictures[s.picture].shown.digest()).collect();
        digests.sort_unstable();
        digests.dedup();
        digests.iter().filter(|digest| self.cache.features(digest).is_none()).count()
    }

    /// Embeddings of tokens `from..to`, pictures by their features.
    fn embed(
        &mut self,
        prompt: &Prompt<A::Picture>,
        from: usize,
        to: usize,
    ) -> Result<StepInput, ModelError> {
        let failed = |e: candle_core::Error| ModelError::Compute(computation(&e));
        let mut rows: Vec<Tensor> = Vec::new();
        let mut deep: Vec<Vec<(usize, Tensor)>> = Vec::new();
        let mut at = from;
        let mut features: Option<(usize, Features)> = None;
        for span in prompt.spans.iter().filter(|s| s.tokens.start < to && s.tokens.end > from) {
            let (start, end) = (span.tokens.start.max(from), span.tokens.end.min(to));
            if at < start {
                rows.push(self.decoder().embed(&prompt.ids[at..start]).map_err(failed)?);
            }
            let known = features.take().filter(|(picture, _)| *picture == span.picture);
            let all = match known {
                Some((_, all)) => all,
                None => self.features(prompt, span.picture)?,
            };
            let first = span.first + start - span.tokens.start;
            rows.push(all.rows.narrow(0, first, end - start).map_err(failed)?);
            deep.resize(deep.len().max(all.deep.len()), Vec::new());
            for (list, tensor) in deep.iter_mut().zip(&all.deep) {
                list.push((start - from, tensor.narrow(0, first, end - start).map_err(failed)?));
            }
            features = Some((span.picture, all));
            at = end;
        }
        if at < to {
            rows.push(self.decoder().embed(&prompt.ids[at..to]).map_err(failed)?);
        }
        let rows = Tensor::cat(&rows, 0).map_err(failed)?;
        let spread = |list: Vec<(usize, Tensor)>| spread(&rows, list).map_err(failed);
        let deep = deep.into_iter().map(spread).collect::<Result<Vec<_>, _>>()?;
        Ok(StepInput { rows, positions: prompt.positions[from..to].to_vec(), deep })
    }

    /// Features of a picture, stored or computed.
    fn features(&mut self, prompt: &Prompt<A::Picture>, picture: usize) -> Result<Features, ModelError> {
        let placed = &prompt.pictures[picture];
        let digest = placed.shown.digest();
        if let Some(stored) = self.cache.features(&digest) {
            return Ok(stored);
        }
        let patches = self.arch.patches(&placed.picture, &placed.shown).map_err(ModelError::Compute)?;
        let features = self.arch.encode(&patches, &placed.shown);
        let features = features.map_err(|e| ModelError::Compute(computation(&e)))?.finite()?;
        self.cache.keep_features(digest, &features);
        Ok(features)
    }

    /// The prefix with a computed run behind it.
    pub(super) fn extend(
        &mut self,
        prefix: &Prefix,
        keys: Vec<Key>,
        segment: Segment,
        work: &mut Work<A::Picture>,
    ) -> Prefix {
        let longer = self.cache.extend(prefix, keys, segment);
        if !longer.is_stored() {
            work.loose.extend(longer.segments().last().map(Arc::downgrade));
        }
        longer
    }
}

/// Tokens from `from` on that fit into `room`, features whole; at least one.
fn part_of<P: PromptPicture>(prompt: &Prompt<P>, from: usize, to: usize, room: usize) -> usize {
    if to - from <= room {
        return to - from;
    }
    let end = prompt.cut(from + room.max(1));
    let end = if end > from { end } else { prompt.cut_after(from + 1) };
    end.min(to) - from
}

/// Features among `tokens` tokens from `from` on: first, counted from there, and number.
fn features_in<P>(prompt: &Prompt<P>, from: usize, tokens: usize) -> Vec<(usize, usize)> {
    let inside = prompt.spans.iter().filter(|s| s.tokens.start >= from && s.tokens.end <= from + tokens);
    inside.map(|s| (s.tokens.start - from, s.tokens.len())).collect()
}

/// A tensor of zeros like `rows` with the given ones at their places.
fn spread(rows: &Tensor, parts: Vec<(usize, Tensor)>) -> candle_core::Result<Tensor> {
    let out = rows.zeros_like()?;
    for (at, part) in parts {
        out.slice_set(&part.contiguous()?, 0, at)?;
    }
    Ok(out)
}

/// The inputs of a group's rows, one after the other.
pub(crate) fn joined(inputs: Vec<StepInput>) -> candle_core::Result<StepInput> {
    let depth = inputs.iter().map(|input| input.deep.len()).max().unwrap_or(0);
    let rows: Vec<&Tensor> = inputs.iter().map(|input| &input.rows).collect();
    let mut deep = Vec::with_capacity(depth);
    for layer in 0..depth {
        let of = |input: &StepInput| match input.deep.get(layer) {
            Some(tensor) => Ok(tensor.clone()),
            None => input.rows.zeros_like(),
        };
        let parts = inputs.iter().map(of).collect::<candle_core::Result<Vec<_>>>()?;
        deep.push(Tensor::cat(&parts, 0)?);
    }
    let rows = Tensor::cat(&rows, 0)?;
    Ok(StepInput { rows, positions: inputs.into_iter().flat_map(|input| input.positions).collect(), deep })
}
