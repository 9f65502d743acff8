//! What is asked of a vision-language model and what it says.

use crate::finding::{Finding, FormerBox, FormerMask, FormerPoint};
use crate::geometry::{Box2, Given, Point2};
use crate::mask::Rle;
use crate::picture::Picture;
use crate::reply_form::ReplyForm;
use crate::served::ServedRecord;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use std::sync::Arc;

/// Who speaks in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that precede the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// A piece of a turn; pictures are numbered in [`Ask::pictures`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Words, taken literally (special tokens inside are not interpreted).
    Text(String),
    /// The picture with this index, from 0.
    Picture(usize),
}

/// One turn of the conversation; interleaving of text and pictures is the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What, in order.
    pub parts: Vec<Part>,
}

impl Turn {
    /// A turn of words only.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text(text.into())] }
    }

    /// The words of the turn, pictures left out.
    pub fn words(&self) -> String {
        self.parts
            .iter()
            .filter_map(|p| if let Part::Text(t) = p { Some(t.as_str()) } else { None })
            .collect()
    }
}

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// The likeliest token.
    Greedy,
    /// Drawn from the filtered distribution; the same seed gives the same text.
    Random {
        /// Divides the logits; above 0.
        temperature: f64,
        /// Only the k likeliest; 0 for all.
        top_k: usize,
        /// Only the smallest set with this much probability; 1 for all.
        top_p: f64,
        /// Seed of the generator.
        seed: u64,
    },
}

/// Bounds and choices of generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationLimits {
    /// Most tokens to generate.
    pub max_new_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Divides (positive) or multiplies (negative) logits of tokens already seen; 1 for none
    /// (`RepetitionPenaltyLogitsProcessor`: prompt and reply both count). Without one the model's own holds, as its
    /// checkpoint has it.
    pub repetition_penalty: Option<f64>,
    /// Sequences that are followed at a time where the likeliest is looked for (beam search); 1 takes the likeliest token
    /// each time. Without a number the model's own holds, as its checkpoint has it. Models that write replies with the
    /// stack of layers that read the prompt follow one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beams: Option<usize>,
    /// Generation ends before the first of these strings.
    pub stop: Vec<String>,
    /// Log-probabilities wanted: `Some(k)` for the chosen token and the k likeliest.
    pub logprobs: Option<usize>,
    /// Wanted is how probable each of these replies is, instead of words ([`Reply::options`]). An empty list stands for the options
    /// of the question, which a prompt template fills in; where a question has none, it is answered in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
    /// The form that replies in words must have; any when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<ReplyForm>,
}

impl Default for GenerationLimits {
    fn default() -> Self {
        Self {
            max_new_tokens: 256,
            sampling: Sampling::Greedy,
            repetition_penalty: None,
            beams: None,
            stop: Vec::new(),
            logprobs: None,
            options: None,
            form: None,
        }
    }
}

/// A whole prompt: pictures, turns and bounds. Stateless: what was said before is in the turns.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Pictures that the turns refer to.
    pub pictures: Vec<Arc<Picture>>,
    /// The conversation so far; the last turn is the one to answer.
    pub turns: Vec<Turn>,
    /// Bounds and choices of generation.
    pub limits: GenerationLimits,
}

impl Ask {
    /// One user turn: the pictures in order, then the question.
    pub fn pictures_then(
        pictures: Vec<Arc<Picture>>,
        question: impl Into<String>,
        limits: GenerationLimits,
    ) -> Self {
        let mut parts: Vec<Part> = (0..pictures.len()).map(Part::Picture).collect();
        parts.push(Part::Text(question.into()));
        Self { pictures, turns: vec![Turn { role: Role::User, parts }], limits }
    }
}

/// Why generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stop {
    /// The model said it was done.
    EndOfTurn,
    /// A stop string was met.
    StopString,
    /// `max_new_tokens` was reached.
    Length,
    /// The model's context is full.
    ContextFull,
}

/// Log-probability of a generated token and of its likeliest rivals (natural logarithm).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// Token chosen.
    pub id: u32,
    /// Its log-probability under the unfiltered distribution.
    pub logprob: f32,
    /// The likeliest tokens with their log-probabilities, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<(u32, f32)>,
}

/// How probable each of the options of an ask is as the model's reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptionScores {
    /// The probability that the reply begins with any of the options; low where the model would say something else. 1 where a
    /// server gives shares alone ([`crate::served::OptionsFrom::Shares`]).
    pub mass: f64,
    /// In the order of the ask.
    pub each: Vec<OptionScore>,
}

impl OptionScores {
    /// The most probable option, the first of equals.
    pub fn best(&self) -> Option<&OptionScore> {
        self.each.iter().reduce(|best, other| if other.probability > best.probability { other } else { best })
    }
}

/// How probable one option is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptionScore {
    /// The option as it was given.
    pub text: String,
    /// Its share of the mass; the shares of all options add up to 1.
    pub probability: f64,
}

/// How much work a reply took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Tokens of the prompt, pictures included.
    pub prompt_tokens: usize,
    /// Prompt tokens whose computation was reused.
    pub reused_tokens: usize,
    /// Tokens of the prompt that stand for pictures.
    pub picture_tokens: usize,
    /// Generated tokens, the end token not counted.
    pub new_tokens: usize,
    /// Tokens that prompt look-up proposed; 0 without it.
    #[serde(skip_serializing_if = "is_zero")]
    pub proposed_tokens: usize,
    /// Proposed tokens that were generated.
    #[serde(skip_serializing_if = "is_zero")]
    pub accepted_tokens: usize,
}

// By reference, because that is how serde asks.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub(crate) fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.reused_tokens += other.reused_tokens;
        self.picture_tokens += other.picture_tokens;
        self.new_tokens += other.new_tokens;
        self.proposed_tokens += other.proposed_tokens;
        self.accepted_tokens += other.accepted_tokens;
    }
}

/// Seconds spent. Never part of anything that must be reproducible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timing {
    /// Seconds of this ask's share of encoding and prefill.
    pub prefill_s: f64,
    /// Seconds of this ask's share of decoding.
    pub decode_s: f64,
}

impl AddAssign for Timing {
    fn add_assign(&mut self, other: Self) {
        self.prefill_s += other.prefill_s;
        self.decode_s += other.decode_s;
    }
}

/// What the model said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "ReplyRecord")]
pub struct Reply {
    /// The words, special tokens and stop string left out.
    pub text: String,
    /// All the words, where `text` is the one member of a JSON document that is the answer ([`crate::JsonForm::answer`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// Generated token ids, without the end token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_ids: Vec<u32>,
    /// One entry a generated token, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprob>>,
    /// What the reply was chosen by where several sequences were followed: the sum of the log-probabilities of its
    /// tokens, the end token included, divided by their number to the power of the length penalty. A token that the
    /// checkpoint's settings force counts 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beam_score: Option<f64>,
    /// How probable each option is, when asked for; `text` is then the most probable one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<OptionScores>,
    /// What the reply points at: boxes and points read from the words with the family's dialect undone,
    /// masks of a segmenter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Repairs that were needed to read boxes or points, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<String>,
    /// Why it ended.
    pub stop: Stop,
    /// Work done.
    #[serde(default)]
    pub counts: Counts,
    /// Seconds spent.
    #[serde(default)]
    pub timing: Timing,
    /// What was sent and what else came back, where a server answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Box<ServedRecord>>,
}

impl Reply {
    /// A reply of words only (fakes, imports from other tools).
    pub fn from_text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            said: None,
            token_ids: Vec::new(),
            logprobs: None,
            beam_score: None,
            options: None,
            findings: Vec::new(),
            repairs: Vec::new(),
            stop: Stop::EndOfTurn,
            counts: Counts::default(),
            timing: Timing::default(),
            served: None,
        }
    }

    /// How sure the model was: the probability of the option that it chose, else that of all tokens of the reply
    /// together; nothing where neither was asked for.
    pub fn confidence(&self) -> Option<f64> {
        let sum = |all: &Vec<TokenLogprob>| all.iter().map(|t| f64::from(t.logprob)).sum::<f64>().exp();
        match self.options.as_ref().and_then(OptionScores::best) {
            Some(best) => Some(best.probability),
            None => self.logprobs.as_ref().filter(|all| !all.is_empty()).map(sum),
        }
    }

    /// Boxes among the findings, in order.
    pub fn boxes(&self) -> impl Iterator<Item = (&Finding, Box2<Given>)> {
        self.findings.iter().filter_map(|f| Some((f, f.as_box()?)))
    }

    /// Points among the findings, in order.
    pub fn points(&self) -> impl Iterator<Item = (&Finding, Point2<Given>)> {
        self.findings.iter().filter_map(|f| Some((f, f.as_point()?)))
    }

    /// Masks among the findings, in order.
    pub fn masks(&self) -> impl Iterator<Item = (&Finding, &Rle)> {
        self.findings.iter().filter_map(|f| Some((f, f.as_mask()?)))
    }
}

/// [`Reply`] as files hold it, those of the first layout of run folders included.
#[derive(Deserialize)]
struct ReplyRecord {
    text: String,
    #[serde(default)]
    said: Option<String>,
    #[serde(default)]
    token_ids: Vec<u32>,
    #[serde(default)]
    logprobs: Option<Vec<TokenLogprob>>,
    #[serde(default)]
    beam_score: Option<f64>,
    #[serde(default)]
    options: Option<OptionScores>,
    #[serde(default)]
    findings: Vec<Finding>,
    #[serde(default)]
    boxes: Vec<FormerBox>,
    #[serde(default)]
    points: Vec<FormerPoint>,
    #[serde(default)]
    masks: Vec<FormerMask>,
    #[serde(default)]
    repairs: Vec<String>,
    stop: Stop,
    #[serde(default)]
    counts: Counts,
    #[serde(default)]
    timing: Timing,
    #[serde(default)]
    served: Option<Box<ServedRecord>>,
}

impl From<ReplyRecord> for Reply {
    fn from(r: ReplyRecord) -> Self {
        let mut findings = r.findings;
        findings.extend(r.boxes.into_iter().map(Finding::from));
        findings.extend(r.points.into_iter().map(Finding::from));
        findings.extend(r.masks.into_iter().map(Finding::from));
        Self {
            text: r.text,
            said: r.said,
            token_ids: r.token_ids,
            logprobs: r.logprobs,
            beam_score: r.beam_score,
            options: r.options,
            findings,
            repairs: r.repairs,
            stop: r.stop,
            counts: r.counts,
            timing: r.timing,
            served: r.served,
        }
    }
}
