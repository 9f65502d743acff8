//! Models that need no weights.

use crate::files::copy_files;
use loupe_core::dialect::{PictureSizes, SpokenPicture, dialect};
use loupe_core::model::one_by_one;
use loupe_core::{
    Ask, AskId, AskSource, ModelError, ModelInfo, Next, Reply, ReplySink, Sampling, Stop, VisionLanguageModel,
};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// The facts of a scripted model: boxes are pixels of the picture given.
pub fn script_info(name: &str) -> ModelInfo {
    ModelInfo { context_tokens: Some(4096), ..ModelInfo::scripted("script", name, "point-detect-count") }
}

/// A reply of ten tokens a second (a token a word, at least one) to a prompt of 100.
pub fn reply(text: &str) -> Reply {
    let mut reply = Reply::from_text(text);
    reply.counts.new_tokens = text.split_whitespace().count().max(1);
    reply.counts.prompt_tokens = 100;
    reply.timing.decode_s = 0.1;
    reply
}

/// Says its lines in order, whatever it is asked, and keeps every ask. As a family does, it ends a reply at
/// the stop strings and the token limit and reads boxes in its dialect, on the last picture of the ask.
#[derive(Debug)]
pub struct Script {
    /// What it says it is.
    pub info: ModelInfo,
    lines: VecDeque<Result<Reply, ModelError>>,
    forever: bool,
    /// Every ask so far.
    pub asks: Vec<Ask>,
}

impl Script {
    /// One that says these lines and then fails.
    pub fn new(lines: &[&str]) -> Self {
        Self::of(lines.iter().map(|l| Ok(reply(l))))
    }

    /// One with these replies and failures.
    pub fn of(lines: impl IntoIterator<Item = Result<Reply, ModelError>>) -> Self {
        Self {
            info: script_info("script"),
            lines: lines.into_iter().collect(),
            forever: false,
            asks: Vec::new(),
        }
    }

    /// One that always says the same.
    pub fn forever(line: &str) -> Self {
        Self { forever: true, ..Self::new(&[line]) }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.info.name = name.into();
        self
    }

    fn say(&mut self, ask: Ask) -> Result<Reply, ModelError> {
        let line = if self.forever { self.lines.front().cloned() } else { self.lines.pop_front() };
        let mut reply = line.unwrap_or_else(|| Err(ModelError::Compute("no more lines".into())));
        if let Ok(reply) = &mut reply {
            for stop in &ask.limits.stop {
                if let Some(at) = reply.text.find(stop.as_str()) {
                    reply.text.truncate(at);
                    reply.stop = Stop::StopString;
                }
            }
            if reply.counts.new_tokens > ask.limits.max_new_tokens {
                reply.counts.new_tokens = ask.limits.max_new_tokens;
                reply.stop = Stop::Length;
            }
            if let Some(dialect) = dialect(&self.info.box_dialect) {
                let spoken = ask.pictures.iter().map(|p| SpokenPicture {
                    sizes: PictureSizes::given(p.width(), p.height()),
                    origin: &p.origin,
                });
                let spoken: Vec<_> = spoken.collect();
                let parsed = dialect.parse(&reply.text);
                reply.findings = dialect.place(&parsed, &spoken, spoken.len().saturating_sub(1)).findings;
            }
        }
        self.asks.push(ask);
        reply
    }
}

impl VisionLanguageModel for Script {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        one_by_one(asks, replies, |ask| self.say(ask));
    }
}

/// Answers from a hash of the prompt, its first picture and the seed: some right answers, some wrong ones, an
/// empty one, a refusal, JSON, and a prompt in seven that is too long. It holds `room` asks at a time and
/// answers the latest first, so that replies come in another order than asks went out.
#[derive(Debug)]
pub struct PromptHash {
    /// What it says it is.
    pub info: ModelInfo,
    /// Asks answered so far.
    pub asked: usize,
    /// When and where it leaves a copy of a run; see [`PromptHash::killed_after`].
    pub leaves: Option<(usize, PathBuf, PathBuf)>,
    /// Asks held at a time.
    pub room: usize,
    /// Models with another salt answer otherwise.
    pub salt: u64,
}

impl PromptHash {
    /// One that answers one ask at a time.
    pub fn new() -> Self {
        Self::with_room(1)
    }

    /// One that holds so many asks at a time.
    pub fn with_room(room: usize) -> Self {
        let mut info = ModelInfo::scripted("fake", "fake-1b", "none");
        info.context_tokens = Some(100);
        info.from = loupe_core::Provenance::Checkpoint(loupe_core::CheckpointRecord {
            weights_sha256: "abcd".into(),
            parameters: 1,
            dtype: "f32".into(),
            device: "cpu".into(),
            resample: "pillow".into(),
            ..Default::default()
        });
        Self { info, asked: 0, leaves: None, room: room.max(1), salt: 0 }
    }

    /// The same, which copies the folder `run` to `left` when it has given so many answers: the copy is what a
    /// process leaves that is killed at that moment.
    #[must_use]
    pub fn killed_after(mut self, answers: usize, run: &Path, left: &Path) -> Self {
        self.leaves = Some((answers, run.to_owned(), left.to_owned()));
        self
    }

    /// The same with other weights, by their digest.
    #[must_use]
    pub fn with_weights(mut self, sha256: &str) -> Self {
        if let loupe_core::Provenance::Checkpoint(record) = &mut self.info.from {
            record.weights_sha256 = sha256.into();
        }
        self
    }

    fn answer(&mut self, ask: &Ask, company: usize) -> Result<Reply, ModelError> {
        if let Some((_, from, to)) = self.leaves.take_if(|(after, ..)| *after == self.asked) {
            copy_files(&from, &to);
        }
        self.asked += 1;
        let words = ask.turns.last().map(|t| t.words()).unwrap_or_default();
        let seed = match ask.limits.sampling {
            Sampling::Random { seed, .. } => seed,
            Sampling::Greedy => 0,
        };
        let pixel = u64::from(ask.pictures.first().map_or(0, |p| p.pixels()[0]));
        let start = pixel + 31 * seed + 1009 * self.salt;
        let hash = words.bytes().fold(start, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
        let said = [
            "Yes, there is no doubt.",
            "No.",
            "The answer is liver.",
            "",
            "I'm sorry, but I cannot tell.",
            "{\"a\": \"\n\"}",
        ];
        let said = said.get((hash % 7) as usize).ok_or(ModelError::TooLong { tokens: 101, limit: 100 })?;
        let mut reply = Reply::from_text(*said);
        // What depends on the company must not reach the scores.
        reply.timing.decode_s = self.asked as f64;
        reply.counts.reused_tokens = company;
        Ok(reply)
    }
}

impl Default for PromptHash {
    fn default() -> Self {
        Self::new()
    }
}

impl VisionLanguageModel for PromptHash {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        let mut held = Held::new(self.room);
        while held.fill(asks) {
            let Some((id, ask)) = held.asks.pop_back() else { return };
            let reply = self.answer(&ask, held.asks.len() + 1);
            replies.done(id, reply);
        }
    }
}

/// Asks that a model holds at the same time.
#[derive(Debug)]
pub struct Held {
    /// The earliest first.
    pub asks: VecDeque<(AskId, Ask)>,
    room: usize,
    more: bool,
}

impl Held {
    /// None, with room for so many.
    pub fn new(room: usize) -> Self {
        Self { asks: VecDeque::new(), room, more: true }
    }

    /// Takes what there is room for, waiting a little for a source that says "not yet": what is held together
    /// must not hang on who is the faster. False when nothing is held and nothing will come.
    pub fn fill(&mut self, source: &mut dyn AskSource) -> bool {
        let mut patience = 20;
        while self.more && self.asks.len() < self.room {
            match source.next(self.asks.is_empty()) {
                Next::Ask(id, ask) => self.asks.push_back((id, ask)),
                Next::NotYet if patience > 0 => {
                    patience -= 1;
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                Next::NotYet => break,
                Next::NoMore => self.more = false,
            }
        }
        !self.asks.is_empty()
    }
}
