//! A model that says its reply word by word, holds asks until it is told to go on, and counts what it does.

use loupe_core::model::Vocabulary;
use loupe_core::{
    Ask, AskId, AskSource, CheckpointRecord, Counts, Go, ModelError, ModelInfo, Next, OptionScore,
    OptionScores, Provenance, Reply, ReplySink, Sampling, Stop, TokenLogprob, VisionLanguageModel,
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long anything is waited for before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a [`Speaker`] has done, seen and told from outside.
#[derive(Debug, Clone, Default)]
pub struct SpeakerState {
    /// Asks taken.
    pub asked: usize,
    /// Most asks held at the same time.
    pub most: usize,
    /// Asks that were given up because nobody wanted the reply.
    pub cancelled: usize,
    /// Asks that are held at the moment.
    pub held: usize,
    /// The latest asks, at most 64 of them.
    pub asks: Vec<Ask>,
    released: bool,
}

/// Reads and changes the state of a [`Speaker`] while it serves.
#[derive(Debug, Clone, Default)]
pub struct SpeakerWatch(Arc<(Mutex<SpeakerState>, Condvar)>);

impl SpeakerWatch {
    /// The state.
    pub fn state(&self) -> MutexGuard<'_, SpeakerState> {
        self.0.0.lock().unwrap()
    }

    /// Lets the asks that are held be answered.
    pub fn release(&self) {
        self.state().released = true;
        self.0.1.notify_all();
    }

    /// Waits until the state is so.
    ///
    /// # Panics
    /// When that takes for ever.
    pub fn wait_until(&self, so: impl Fn(&SpeakerState) -> bool) {
        let state = self.state();
        let (state, late) = self.0.1.wait_timeout_while(state, PATIENCE, |state| !so(state)).unwrap();
        assert!(!late.timed_out(), "not in time: {state:?}");
    }

    fn change(&self, change: impl FnOnce(&mut SpeakerState)) {
        change(&mut self.state());
        self.0.1.notify_all();
    }
}

/// Says the words of the last turn again, one at a step, for as many asks at a time as it has room for.
///
/// Some last turns are orders: `hold` waits to be released and then says "released"; `count 5` says "1 2 3 4 5"; `count on`
/// goes on for ever, in long words; `fail` fails; `late` fails after a word; `pictures` says how many pictures there are and their
/// sizes; `seed` says the seed. Options get shares by their place: the first has twice the share of the second,
/// and so on. A token is a word, and its id the number of the word in the reply.
pub struct Speaker {
    info: ModelInfo,
    room: usize,
    /// What it does.
    pub watch: SpeakerWatch,
}

struct Words;

impl Vocabulary for Words {
    fn bytes(&self, id: u32) -> Option<Vec<u8>> {
        // One token is the first byte of a character.
        if id == 1 { Some(vec![0xc3]) } else { (id < 1000).then(|| format!("w{id}").into_bytes()) }
    }
}

struct Spoken {
    id: AskId,
    ask: Ask,
    said: String,
    count: usize,
}

impl Speaker {
    /// One that holds so many asks at a time.
    pub fn with_room(room: usize) -> Self {
        let mut info = ModelInfo::scripted("speaker", "speaker-1b", "none");
        info.context_tokens = Some(4096);
        info.from = Provenance::Checkpoint(CheckpointRecord {
            weights_sha256: "ab".repeat(32),
            parameters: 1,
            dtype: "f32".into(),
            device: "cpu".into(),
            ..CheckpointRecord::default()
        });
        Self { info, room, watch: SpeakerWatch::default() }
    }

    /// The next word of the reply; none at its end.
    fn word(&self, spoken: &Spoken) -> Result<Option<String>, ModelError> {
        let turn = spoken.ask.turns.last().map(|t| t.words()).unwrap_or_default();
        let whole = match turn.as_str() {
            "hold" => "released".to_owned(),
            "fail" => return Err(ModelError::Compute("it was told to fail".into())),
            "long" => return Err(ModelError::TooLong { tokens: 5000, limit: 4096 }),
            "late" if spoken.count == 0 => "so".to_owned(),
            "late" => return Err(ModelError::Compute("it was told to fail".into())),
            "count on" => return Ok(Some(format!("{:0>400} ", spoken.count + 1))),
            "pictures" => {
                let sizes = spoken.ask.pictures.iter().map(|p| format!("{}x{}", p.width(), p.height()));
                format!("{} {}", spoken.ask.pictures.len(), sizes.collect::<Vec<_>>().join(" "))
            }
            "seed" => match spoken.ask.limits.sampling {
                Sampling::Random { seed, .. } => seed.to_string(),
                Sampling::Greedy => "none".to_owned(),
            },
            counted if counted.starts_with("count ") => {
                let to: usize = counted.trim_start_matches("count ").parse().unwrap();
                (1..=to).map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
            }
            words => words.to_owned(),
        };
        Ok(whole.split_inclusive(' ').nth(spoken.count).map(str::to_owned))
    }

    /// Says one more word. The reply, when that was the last.
    fn step(&self, spoken: &mut Spoken, replies: &mut dyn ReplySink) -> Option<Result<Reply, ModelError>> {
        let held =
            spoken.ask.turns.last().is_some_and(|t| t.words() == "hold") && !self.watch.state().released;
        if replies.piece(spoken.id, "") == Go::Stop {
            return Some(Err(ModelError::Cancelled));
        }
        if held {
            return None;
        }
        if let Some(options) = &spoken.ask.limits.options {
            return Some(Ok(scored(options)));
        }
        let word = match self.word(spoken) {
            Err(error) => return Some(Err(error)),
            Ok(word) => word.filter(|_| spoken.count < spoken.ask.limits.max_new_tokens),
        };
        let Some(word) = word else { return Some(Ok(ended(spoken))) };
        spoken.count += 1;
        spoken.said.push_str(&word);
        if let Some(at) = spoken.ask.limits.stop.iter().filter_map(|s| spoken.said.find(s.as_str())).min() {
            spoken.said.truncate(at);
            let mut reply = ended(spoken);
            reply.stop = Stop::StopString;
            return Some(Ok(reply));
        }
        match replies.piece(spoken.id, &word) {
            Go::On => None,
            Go::Stop => Some(Err(ModelError::Cancelled)),
        }
    }
}

fn ended(spoken: &Spoken) -> Reply {
    let limits = &spoken.ask.limits;
    let mut reply = Reply::from_text(&spoken.said);
    reply.token_ids = (0..spoken.count as u32).collect();
    reply.counts = Counts {
        prompt_tokens: 10,
        reused_tokens: 4,
        picture_tokens: spoken.ask.pictures.len(),
        new_tokens: spoken.count,
        proposed_tokens: 3,
        accepted_tokens: 1,
    };
    if spoken.count == limits.max_new_tokens {
        reply.stop = Stop::Length;
    }
    reply.logprobs = limits.logprobs.map(|top| {
        let token = |id: u32| TokenLogprob {
            id,
            logprob: -0.5,
            top: (0..top as u32).map(|n| (id + n, -0.5 - n as f32)).collect(),
        };
        reply.token_ids.iter().map(|id| token(*id)).collect()
    });
    reply
}

fn scored(options: &[String]) -> Reply {
    let total: f64 = (0..options.len()).map(|n| 0.5f64.powi(n as i32)).sum();
    let share = |n: usize| 0.5f64.powi(n as i32) / total;
    let each = options.iter().enumerate();
    let each = each.map(|(n, text)| OptionScore { text: text.clone(), probability: share(n) }).collect();
    let mut reply = Reply::from_text(&options[0]);
    reply.options = Some(OptionScores { mass: 0.75, each });
    reply.counts.prompt_tokens = 10;
    reply
}

impl VisionLanguageModel for Speaker {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn vocabulary(&self) -> Option<Arc<dyn Vocabulary>> {
        Some(Arc::new(Words))
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        let mut spoken: Vec<Spoken> = Vec::new();
        let mut more = true;
        loop {
            while more && spoken.len() < self.room {
                match asks.next(spoken.is_empty()) {
                    Next::Ask(id, ask) => {
                        self.watch.change(|state| {
                            state.asked += 1;
                            if state.asks.len() < 64 {
                                state.asks.push(ask.clone());
                            }
                        });
                        spoken.push(Spoken { id, ask, said: String::new(), count: 0 });
                        self.watch.change(|state| {
                            state.held = spoken.len();
                            state.most = state.most.max(spoken.len());
                        });
                    }
                    Next::NotYet => break,
                    Next::NoMore => more = false,
                }
            }
            if spoken.is_empty() && !more {
                return;
            }
            let before = spoken.len();
            spoken.retain_mut(|one| match self.step(one, replies) {
                None => true,
                Some(reply) => {
                    if reply == Err(ModelError::Cancelled) {
                        self.watch.change(|state| state.cancelled += 1);
                    }
                    replies.done(one.id, reply);
                    false
                }
            });
            if spoken.len() == before {
                // Nobody is done: others may have something to do meanwhile.
                std::thread::sleep(Duration::from_micros(200));
            }
            self.watch.change(|state| state.held = spoken.len());
        }
    }
}
