//! Answers batches of asks: computes what prompts share once, prefills the rest together, decodes
//! together. Finished rows leave the batch.

use crate::arch::Architecture;
use crate::cache::{Found, Key, Place, PrefixCache};
use crate::checkpoint::Checkpoint;
use crate::dump::Dump;
use crate::families::Family;
use crate::generate::row::Row;
use crate::layers::kv::{Group, Piece};
use crate::plan::{self, Run};
use crate::prompt::{Placed, Prompt};
use crate::template::ChatTemplate;
use crate::tokens::Tokens;
use crate::weights::{Dtype, Numbers, Weights};
use crate::{DeviceChoice, LoadError, LoadOptions, Resample};
use candle_core::{Device, Tensor};
use loupe_core::dialect::{PictureSizes, SpokenPicture, dialect};
use loupe_core::model::{AskId, AskSource, CheckpointRecord, Next, Provenance};
use loupe_core::{Ask, Counts, ModelError, ModelInfo, Reply, ReplySink, Stop, Timing, VisionLanguageModel};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Replies that are generated at a time.
const ROWS: usize = 64;
/// Prompt tokens that run through the network at a time (one longer run goes alone).
const WAVE_TOKENS: usize = 4096;
/// Room for generated tokens that is made at once.
const RESERVE: usize = 64;

/// A loaded model of any family.
pub(crate) struct Engine<A> {
    arch: A,
    tokens: Tokens,
    template: ChatTemplate,
    ends: BTreeSet<u32>,
    info: ModelInfo,
    cache: PrefixCache,
    fingerprint: Vec<u8>,
    dump: Option<PathBuf>,
}

/// A prompt that is being answered.
struct Job<'a> {
    id: AskId,
    ask: &'a Ask,
    prompt: Prompt,
    found: Found,
    reused: usize,
}

/// A run of tokens that was computed and what is needed to continue it.
struct Done {
    pieces: Vec<Piece>,
    place: Option<Place>,
}

/// Rows whose last prompt token was computed.
#[derive(Default)]
struct Started {
    groups: Vec<Group>,
    /// For each group: job of each row, where its own tokens start, where the prefix is stored.
    rows: Vec<Vec<(usize, usize, Option<Place>)>>,
    /// Logits of each row.
    logits: Vec<Vec<f32>>,
}

// By value, because it is what `map_err` hands over.
#[allow(clippy::needless_pass_by_value)]
fn compute(error: impl ToString) -> ModelError {
    ModelError::Compute(error.to_string())
}

impl<A: Architecture> Engine<A> {
    /// Opens everything a checkpoint has; `build` makes the network and uses every tensor.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        family: &'static Family,
        resample: Resample,
        fallback_template: &str,
        canonical: impl Fn(&str) -> Option<String>,
        build: impl FnOnce(&Weights) -> Result<A, LoadError>,
    ) -> Result<Box<dyn VisionLanguageModel>, LoadError>
    where
        A: 'static,
    {
        let (device, name) = open_device(options.device)?;
        let preferred = if device.is_cpu() { Dtype::F32 } else { Dtype::Bf16 };
        let dtype = options.dtype.unwrap_or(preferred);
        let (built, digest) = std::thread::scope(|scope| {
            // Hashing reads the files once more, from memory, while the weights are arranged.
            let digest = scope.spawn(|| checkpoint.weights_sha256());
            let built =
                Weights::open(checkpoint, Numbers::new(device, dtype), canonical).and_then(|weights| {
                    let arch = build(&weights)?;
                    let parameters = weights.parameters();
                    weights.finish()?;
                    Ok((arch, parameters))
                });
            (built, digest.join())
        });
        let (arch, parameters) = built?;
        let weights_sha256 =
            digest.map_err(|_| LoadError::Compute("hashing the weights failed".into()))??;
        let config = checkpoint.need_json("config.json")?;
        let shape = &arch.decoder().config;
        let tokens = Tokens::read(checkpoint, shape.vocab)?;
        let template = ChatTemplate::read(checkpoint, fallback_template)?;
        let info = ModelInfo {
            family: family.name.to_owned(),
            name: checkpoint.name(),
            box_dialect: family.box_dialect.to_owned(),
            context_tokens: Some(shape.context),
            from: Provenance::Checkpoint(CheckpointRecord {
                weights_sha256,
                adapter_sha256: None,
                tokenizer_sha256: Some(tokens.sha256.clone()),
                template_sha256: Some(template.sha256().to_owned()),
                parameters,
                dtype: dtype.name().to_owned(),
                device: name,
                resample: resample.name().to_owned(),
            }),
        };
        let limit = if options.dump.is_some() { 0 } else { options.cache_bytes };
        Ok(Box::new(Self {
            template,
            ends: tokens.end_tokens(checkpoint, &config)?,
            fingerprint: arch.fingerprint(),
            arch,
            tokens,
            info,
            cache: PrefixCache::new(limit),
            dump: options.dump.clone(),
        }))
    }

    /// Answers up to [`ROWS`] prompts.
    fn answer(
        &mut self,
        mut jobs: Vec<Job<'_>>,
        sink: &mut dyn ReplySink,
    ) -> Vec<(AskId, Result<Reply, ModelError>)> {
        let asks: Vec<AskId> = jobs.iter().map(|j| j.id).collect();
        match self.try_answer(&mut jobs, sink) {
            Ok(replies) => asks.into_iter().zip(replies).collect(),
            // What fails here is the device or memory, not one of the asks.
            Err(error) => asks.into_iter().map(|a| (a, Err(error.clone()))).collect(),
        }
    }

    fn try_answer(
        &mut self,
        jobs: &mut [Job<'_>],
        sink: &mut dyn ReplySink,
    ) -> Result<Vec<Result<Reply, ModelError>>, ModelError> {
        let began = Instant::now();
        let mut rows: Vec<Result<Row, ModelError>> = jobs
            .iter()
            .map(|job| {
                let room = self.arch.decoder().config.context - job.prompt.ids.len();
                Row::new(&job.ask.limits, &job.prompt.ids, room)
            })
            .collect();
        let started = self.prefill(jobs)?;
        let prefill_s = began.elapsed().as_secs_f64() / jobs.len() as f64;
        let began = Instant::now();
        let dump = self.dump.is_some().then(|| self.dumped(jobs, &started)).transpose()?;
        self.decode(jobs, started, &mut rows, sink)?;
        let decode_s = began.elapsed().as_secs_f64() / jobs.len() as f64;
        if let (Some(mut dump), Some(folder), Some(Ok(row))) = (dump, &self.dump, rows.last()) {
            dump.generated.clone_from(&row.ids);
            dump.write(folder).map_err(|e| compute(format!("the dump cannot be written: {e}")))?;
        }
        let timing = Timing { prefill_s, decode_s };
        let replies = jobs.iter().zip(rows).map(|(job, row)| self.reply(job, &row?, timing));
        Ok(replies.collect())
    }

    /// Computes everything up to the last prompt tokens.
    fn prefill(&mut self, jobs: &mut [Job<'_>]) -> Result<Started, ModelError> {
        let sharing = self.dump.is_none();
        if sharing {
            for job in jobs.iter_mut() {
                job.found = self.cache.find(&job.prompt.keys);
                let most = job.prompt.keys.len() - 1;
                job.found.shorten(most);
            }
        }
        // Prompts that continue the same stored run go together, from where all of them still agree.
        let mut families: BTreeMap<Vec<u64>, Vec<usize>> = BTreeMap::new();
        for (j, job) in jobs.iter().enumerate() {
            families.entry(job.found.nodes()).or_default().push(j);
        }
        let keys: Vec<Vec<Key>> = jobs.iter().map(|j| j.prompt.keys.clone()).collect();
        let keys: Vec<&[Key]> = keys.iter().map(Vec::as_slice).collect();
        let mut todo: Vec<Run> = Vec::new();
        for members in families.values() {
            let least = members.iter().map(|j| jobs[*j].found.tokens).min().unwrap_or(0);
            for j in members {
                jobs[*j].found.shorten(least);
                jobs[*j].reused = least;
            }
            let offset = todo.len();
            if sharing {
                let mut runs = Vec::new();
                plan::runs(&keys, members, least, &mut runs);
                runs.iter_mut().for_each(|r| r.parent = r.parent.map(|p| p + offset));
                todo.extend(runs);
            } else {
                let whole =
                    |j: &usize| Run { parent: None, prompt: *j, from: 0, to: keys[*j].len(), last: true };
                todo.extend(members.iter().map(whole));
            }
        }
        let mut features: HashMap<[u8; 32], Tensor> = HashMap::new();
        let mut done: Vec<Option<Done>> = todo.iter().map(|_| None).collect();
        loop {
            let ready = |(i, run): &(usize, &Run)| {
                !run.last && done[*i].is_none() && run.parent.is_none_or(|p| done[p].is_some())
            };
            let wave: Vec<usize> = todo.iter().enumerate().filter(ready).map(|(i, _)| i).collect();
            if wave.is_empty() {
                break;
            }
            for part in in_waves(&todo, &wave) {
                let (groups, _) = self.run_wave(jobs, &todo, &done, &part, &mut features, 0)?;
                for (group, members) in &groups {
                    for (row, &i) in members.iter().enumerate() {
                        let segment = Arc::new(group.segment(row).map_err(compute)?);
                        let (run, parent) = (&todo[i], self.parent(jobs, &todo, &done, i));
                        let keys = keys[run.prompt][run.from..run.to].to_vec();
                        let place = match (parent.place, run.from) {
                            (None, 1..) => None,
                            (place, _) => self.cache.insert(place, keys, Arc::clone(&segment)),
                        };
                        let mut pieces = parent.pieces;
                        pieces.push(Piece { tokens: segment.tokens, segment });
                        done[i] = Some(Done { pieces, place });
                    }
                }
            }
        }
        // The first prompt of a shared run computed it; for the others it was there.
        for run in todo.iter().filter(|r| r.last) {
            let mut at = run.parent;
            while let Some(p) = at {
                if todo[p].prompt != run.prompt {
                    jobs[run.prompt].reused += todo[p].to - todo[p].from;
                }
                at = todo[p].parent;
            }
        }
        let last: Vec<usize> = todo.iter().enumerate().filter(|(_, r)| r.last).map(|(i, _)| i).collect();
        let mut started = Started::default();
        for part in in_waves(&todo, &last) {
            let reserve =
                part.iter().map(|i| jobs[todo[*i].prompt].ask.limits.max_new_tokens).max().unwrap_or(0);
            let reserve = reserve.clamp(1, RESERVE);
            let (groups, hidden) = self.run_wave(jobs, &todo, &done, &part, &mut features, reserve)?;
            let mut ends = Vec::new();
            let mut at = 0u32;
            for i in groups.iter().flat_map(|(_, members)| members) {
                at += (todo[*i].to - todo[*i].from) as u32;
                ends.push(at - 1);
            }
            let logits = Tensor::new(ends, hidden.device())
                .and_then(|ends| hidden.index_select(&ends, 0))
                .and_then(|h| self.arch.decoder().logits(&h))
                .and_then(|l| l.to_vec2::<f32>());
            started.logits.extend(logits.map_err(compute)?);
            for (group, members) in groups {
                let row = |i: &usize| {
                    let run = &todo[*i];
                    (run.prompt, run.from, self.parent(jobs, &todo, &done, *i).place)
                };
                started.rows.push(members.iter().map(row).collect());
                started.groups.push(group);
            }
        }
        Ok(started)
    }

    /// What run `i` continues.
    fn parent(&self, jobs: &[Job<'_>], todo: &[Run], done: &[Option<Done>], i: usize) -> Done {
        match todo[i].parent.and_then(|p| done[p].as_ref()) {
            Some(d) => Done { pieces: d.pieces.clone(), place: d.place },
            None => {
                let found = &jobs[todo[i].prompt].found;
                Done { pieces: self.cache.pieces(found), place: found.end() }
            }
        }
    }

    /// Runs some runs through the network, those with the same prefix as one group; returns the
    /// groups with their members, and the last hidden states.
    #[allow(clippy::type_complexity)]
    fn run_wave(
        &mut self,
        jobs: &[Job<'_>],
        todo: &[Run],
        done: &[Option<Done>],
        wave: &[usize],
        features: &mut HashMap<[u8; 32], Tensor>,
        reserve: usize,
    ) -> Result<(Vec<(Group, Vec<usize>)>, Tensor), ModelError> {
        // Same parent run, or same stored runs and no parent: same prefix.
        let mut members: Vec<((Option<usize>, Vec<u64>), Vec<usize>)> = Vec::new();
        for &i in wave {
            let stored =
                if todo[i].parent.is_none() { jobs[todo[i].prompt].found.nodes() } else { Vec::new() };
            let key = (todo[i].parent, stored);
            match members.iter_mut().find(|(k, _)| *k == key) {
                Some((_, list)) => list.push(i),
                None => members.push((key, vec![i])),
            }
        }
        let layers = self.arch.decoder().config.layers.len();
        let mut groups = Vec::with_capacity(members.len());
        let mut lists = Vec::with_capacity(members.len());
        let mut embedded = Vec::new();
        let mut positions = Vec::new();
        for (_, list) in members {
            let prefix = self.parent(jobs, todo, done, list[0]).pieces;
            let lengths = list.iter().map(|i| todo[*i].to - todo[*i].from).collect();
            groups.push(Group::new(prefix, lengths, layers, reserve));
            for i in &list {
                let (prompt, from, to) = (&jobs[todo[*i].prompt].prompt, todo[*i].from, todo[*i].to);
                self.embed(prompt, from, to, features, &mut embedded)?;
                positions.extend_from_slice(&prompt.positions[from..to]);
            }
            lists.push(list);
        }
        let x = Tensor::cat(&embedded, 0).map_err(compute)?;
        let hidden = self.arch.decoder().forward(x, &positions, &mut groups).map_err(compute)?;
        Ok((groups.into_iter().zip(lists).collect(), hidden))
    }

    /// Embeddings of tokens `from..to`, pictures by their features.
    fn embed(
        &mut self,
        prompt: &Prompt,
        from: usize,
        to: usize,
        features: &mut HashMap<[u8; 32], Tensor>,
        out: &mut Vec<Tensor>,
    ) -> Result<(), ModelError> {
        let mut at = from;
        for placed in &prompt.pictures {
            let (start, end) = (placed.start.max(from), (placed.start + placed.shown.tokens).min(to));
            if start >= end {
                continue;
            }
            if at < start {
                out.push(self.arch.decoder().embed(&prompt.ids[at..start]).map_err(compute)?);
            }
            let all = match features.get(&placed.digest) {
                Some(all) => all.clone(),
                None => self.features(placed)?,
            };
            features.insert(placed.digest, all.clone());
            out.push(all.narrow(0, start - placed.start, end - start).map_err(compute)?);
            at = end;
        }
        if at < to {
            out.push(self.arch.decoder().embed(&prompt.ids[at..to]).map_err(compute)?);
        }
        Ok(())
    }

    /// Features of a picture, stored or computed.
    fn features(&mut self, placed: &Placed) -> Result<Tensor, ModelError> {
        if let Some(stored) = self.cache.features(&placed.digest) {
            return Ok(stored);
        }
        let patches = self.arch.patches(&placed.picture, &placed.shown).map_err(compute)?;
        let features = self.arch.encode(&patches, &placed.shown).map_err(compute)?;
        self.cache.keep_features(placed.digest, &features);
        Ok(features)
    }

    /// Generates until every row has stopped.
    fn decode(
        &mut self,
        jobs: &[Job<'_>],
        started: Started,
        rows: &mut [Result<Row, ModelError>],
        sink: &mut dyn ReplySink,
    ) -> Result<(), ModelError> {
        let Started { mut groups, rows: mut members, mut logits } = started;
        loop {
            let mut at = 0;
            let mut fed: Vec<u32> = Vec::new();
            let mut positions: Vec<[u32; 3]> = Vec::new();
            for (group, list) in groups.iter_mut().zip(&mut members) {
                let mut kept = Vec::new();
                for (r, (job, from, place)) in list.iter().enumerate() {
                    let line = &logits[at];
                    at += 1;
                    let Ok(row) = &mut rows[*job] else { continue };
                    if row.stop.is_none() {
                        let piece = row.take(line, &self.ends, &self.tokens)?;
                        if !piece.is_empty() {
                            let _ = sink.piece(jobs[*job].id, &piece);
                        }
                    }
                    if row.stop.is_none() {
                        kept.push(r);
                        fed.extend(row.ids.last());
                        positions.push([jobs[*job].prompt.next + row.ids.len() as u32 - 1; 3]);
                    } else {
                        let tokens = jobs[*job].prompt.keys[*from..].iter().copied();
                        let tokens = tokens.chain(row.ids.iter().map(|id| Key::from(*id)));
                        keep_row(&mut self.cache, group, r, tokens, *from, *place).map_err(compute)?;
                    }
                }
                group.keep(&kept).map_err(compute)?;
                *list = kept.into_iter().map(|r| list[r]).collect();
            }
            members.retain(|list| !list.is_empty());
            groups.retain(|group| group.rows() > 0);
            if groups.is_empty() {
                return Ok(());
            }
            let decoder = self.arch.decoder();
            let next = decoder
                .embed(&fed)
                .and_then(|x| decoder.forward(x, &positions, &mut groups))
                .and_then(|hidden| decoder.logits(&hidden))
                .and_then(|l| l.to_vec2::<f32>());
            logits = next.map_err(compute)?;
        }
    }

    fn reply(&self, job: &Job<'_>, row: &Row, timing: Timing) -> Result<Reply, ModelError> {
        let ids = row.reply_ids();
        let mut reply = Reply::from_text(row.text());
        reply.token_ids = ids.to_vec();
        reply.logprobs = job.ask.limits.logprobs.map(|_| row.logprobs.clone());
        reply.stop = row.stop.unwrap_or(Stop::Length);
        reply.timing = timing;
        reply.counts = Counts {
            prompt_tokens: job.prompt.ids.len(),
            reused_tokens: job.reused,
            picture_tokens: job.prompt.picture_tokens(),
            new_tokens: ids.len(),
        };
        if let Some(dialect) = dialect(&self.info.box_dialect).filter(|_| !job.prompt.shown.is_empty()) {
            // Some dialects are made of special tokens, which the reply's words leave out.
            let words = self.tokens.decode(ids, true).map_err(compute)?;
            let pictures = job.prompt.shown.iter().zip(&job.ask.pictures);
            let pictures: Vec<SpokenPicture<'_>> = pictures
                .map(|(shown, picture)| SpokenPicture {
                    sizes: PictureSizes {
                        given: [picture.width(), picture.height()],
                        model_input: shown.resized,
                    },
                    origin: &picture.origin,
                })
                .collect();
            // Where the dialect cannot name a picture, the last one is meant.
            let parsed = dialect.parse(&words);
            reply.findings = dialect.place(&parsed, &pictures, pictures.len() - 1).findings;
            if !reply.findings.is_empty() {
                reply.repairs = parsed.repairs.iter().map(|r| r.name()).collect();
            }
        }
        Ok(reply)
    }

    /// What goes into the dump of the last prompt, but for the generated tokens.
    fn dumped(&self, jobs: &[Job<'_>], started: &Started) -> Result<Dump, ModelError> {
        let last = jobs.len() - 1;
        let at = started.rows.iter().flatten().position(|(job, ..)| *job == last);
        let prompt = &jobs[last].prompt;
        let mut dump = Dump {
            input_ids: prompt.ids.clone(),
            positions: prompt.positions.clone(),
            grids: prompt.pictures.iter().map(|p| p.shown.grid).collect(),
            patches: Vec::new(),
            features: Vec::new(),
            logits: at.and_then(|at| started.logits.get(at)).cloned().unwrap_or_default(),
            generated: Vec::new(),
        };
        for placed in &prompt.pictures {
            let patches = self.arch.patches(&placed.picture, &placed.shown).map_err(compute)?;
            dump.features.push(self.arch.encode(&patches, &placed.shown).map_err(compute)?);
            dump.patches.push(patches);
        }
        Ok(dump)
    }
}

/// Stores a finished row, so that a conversation can go on from it.
fn keep_row(
    cache: &mut PrefixCache,
    group: &Group,
    row: usize,
    tokens: impl Iterator<Item = Key>,
    from: usize,
    place: Option<Place>,
) -> candle_core::Result<()> {
    // Without its beginning a run cannot be found again.
    if !cache.is_on() || (from > 0 && place.is_none()) {
        return Ok(());
    }
    let segment = Arc::new(group.segment(row)?);
    let keys = tokens.take(segment.tokens).collect();
    cache.insert(place, keys, segment);
    Ok(())
}

/// Cuts a list of runs where more than [`WAVE_TOKENS`] would run at a time.
fn in_waves(todo: &[Run], wave: &[usize]) -> Vec<Vec<usize>> {
    let mut out: Vec<Vec<usize>> = Vec::new();
    let mut tokens = 0;
    for &i in wave {
        let n = todo[i].to - todo[i].from;
        if tokens + n > WAVE_TOKENS || out.is_empty() {
            out.push(Vec::new());
            tokens = 0;
        }
        tokens += n;
        if let Some(part) = out.last_mut() {
            part.push(i);
        }
    }
    out
}

pub(crate) fn open_device(choice: DeviceChoice) -> Result<(Device, String), LoadError> {
    match choice {
        DeviceChoice::Cpu => Ok((Device::Cpu, "cpu".to_owned())),
        DeviceChoice::Cuda(number) => {
            let device = format!("cuda:{number}");
            if !cfg!(feature = "cuda") {
                let problem = "this program was built without CUDA; see docs/reference/cuda.md".to_owned();
                return Err(LoadError::Device { device, problem });
            }
            let opened = Device::new_cuda(number);
            opened
                .map(|d| (d, device.clone()))
                .map_err(|e| LoadError::Device { device, problem: e.to_string() })
        }
    }
}

impl<A: Architecture> VisionLanguageModel for Engine<A> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        let mut more = true;
        while more {
            let mut wave = Vec::new();
            while wave.len() < ROWS {
                match asks.next(wave.is_empty()) {
                    Next::Ask(id, ask) => wave.push((id, ask)),
                    Next::NotYet => break,
                    Next::NoMore => {
                        more = false;
                        break;
                    }
                }
            }
            self.answer_wave(&wave, replies);
        }
    }
}

impl<A: Architecture> Engine<A> {
    fn answer_wave(&mut self, wave: &[(AskId, Ask)], replies: &mut dyn ReplySink) {
        let mut jobs = Vec::new();
        for (id, ask) in wave {
            match Prompt::new(ask, &self.arch, &self.tokens, &self.template, &self.fingerprint) {
                Ok(prompt) => jobs.push(Job { id: *id, ask, prompt, found: Found::default(), reused: 0 }),
                Err(error) => replies.done(*id, Err(error)),
            }
        }
        if !jobs.is_empty() {
            for (id, result) in self.answer(jobs, replies) {
                replies.done(id, result);
            }
        }
    }
}
