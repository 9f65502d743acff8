//! From an ask to a job.

use super::family::{EncoderDecoder, ReadPrompt};
use super::job::{Course, Job};
use super::options::ROWS;
use super::serve::Engine;
use crate::engine::generate::beams::{BeamSearch, BeamSettings, MOST_BEAMS, SearchRules};
use crate::engine::generate::row::Row;
use crate::engine::options::Options;
use loupe_core::model::AskId;
use loupe_core::{Ask, GenerationLimits, ModelError, Sampling, Timing};

impl<A: EncoderDecoder> Engine<A> {
    /// Makes an ask ready to be computed.
    pub(super) fn prepare(&self, id: AskId, ask: &Ask) -> Result<Job, ModelError> {
        let config = &self.arch.network().config;
        if ask.limits.form.is_some() {
            let problem =
                format!("{} was not taught to reply in a given form; leave it out", self.info.family);
            return Err(ModelError::Setting { setting: "form", problem });
        }
        // What cannot fit need not be read.
        let bytes: usize = ask.turns.iter().map(|turn| turn.words().len()).sum();
        if let Some(tokens) = self.tokens.too_long(bytes, config.context) {
            return Err(ModelError::TooLong { tokens, limit: config.context });
        }
        let ReadPrompt { picture: number, words, says_boxes } = self.arch.prompt(ask, &self.tokens)?;
        let Some(picture) = ask.pictures.get(number).cloned() else {
            let count = ask.pictures.len();
            return Err(ModelError::NoSuchPicture { turn: 0, index: number, count });
        };
        let shown = self.arch.show(&picture);
        let shown = shown.map_err(|problem| ModelError::Picture { index: number, problem })?;
        let mut limits = ask.limits.clone();
        limits.repetition_penalty.get_or_insert(self.settings.repetition_penalty);
        let beams = self.beams(&limits)?;
        let most = limits.max_new_tokens.min(config.context);
        let options = Options::read(ask, |option| self.option_tokens(option))?;
        let rows = if options.is_empty() { beams } else { options.spellings.len().min(ROWS) };
        let written = if options.is_empty() { most } else { options.longest() + 1 };
        let course = self.course(&limits, beams, most, options)?;
        let mut job = Job {
            id,
            picture,
            number,
            shown,
            words,
            says_boxes,
            limits,
            course,
            writing: None,
            next: vec![self.settings.start],
            bytes: 0,
            read_bytes: 0,
            timing: Timing::default(),
            logits: Vec::new(),
        };
        let tokens = job.prompt_tokens();
        if tokens > config.context || written > config.context {
            return Err(ModelError::TooLong { tokens: tokens.max(written), limit: config.context });
        }
        let numbers = |count: usize| (count * self.number_bytes) as u64;
        // Keys and values are copied when they grow; logits and their order.
        let kept = config.kept() * (tokens + 2 * rows * written);
        job.bytes = numbers(kept) + (rows * config.vocab * 16) as u64;
        job.read_bytes = numbers(config.read_numbers(tokens)).max(self.arch.encode_bytes());
        let needed = job.bytes + job.read_bytes;
        if needed > self.memory {
            return Err(ModelError::Memory { needed, limit: self.memory });
        }
        Ok(job)
    }

    /// Sequences to follow.
    fn beams(&self, limits: &GenerationLimits) -> Result<usize, ModelError> {
        let wrong = |problem: String| Err(ModelError::Setting { setting: "beams", problem });
        match (limits.sampling, limits.beams) {
            (_, Some(n)) if n == 0 || n > MOST_BEAMS => {
                wrong(format!("{n} must lie between 1 and {MOST_BEAMS}"))
            }
            (Sampling::Random { .. }, Some(n)) if n > 1 => {
                wrong(format!("{n} sequences are followed without drawing alone; leave out the temperature"))
            }
            (Sampling::Random { .. }, _) => Ok(1),
            (Sampling::Greedy, given) => Ok(given.unwrap_or(self.settings.beams.beams)),
        }
    }

    fn course(
        &self,
        limits: &GenerationLimits,
        beams: usize,
        most: usize,
        options: Options,
    ) -> Result<Course, ModelError> {
        let (start, rules) = (self.settings.start, self.settings.rules.clone());
        let context = self.arch.network().config.context;
        // It checks the settings of sampling in any case.
        let row = Row::new(limits, &[start], context)?.with_rules(rules.clone(), start);
        if !options.is_empty() {
            return Ok(Course::Options(options));
        }
        if beams == 1 || most == 0 {
            return Ok(Course::One(Box::new(row)));
        }
        let how = SearchRules {
            settings: BeamSettings { beams, ..self.settings.beams },
            rules,
            ends: self.ends.clone(),
            repetition_penalty: limits.repetition_penalty.unwrap_or(1.0),
            most,
            logprobs: limits.logprobs,
        };
        Ok(Course::Beams(Box::new(BeamSearch::new(how, start))))
    }
}
