//! What a chat completion asks for.

use crate::api_error::ApiError;
use crate::fields::{CHAT_FIELDS, Fields, Rule, kind};
use crate::messages::Conversation;
use loupe_core::{GenerationLimits, Sampling};
use serde_json::Value;

/// Most stop strings.
const MOST_STOPS: usize = 16;
/// Most bytes of a stop string.
const LONGEST_STOP: usize = 1024;
/// Most likeliest tokens with their log-probabilities.
const MOST_LOGPROBS: i64 = 20;

static STREAM_OPTIONS: &[(&str, Rule)] = &[
    ("include_usage", Rule::Read),
    ("include_obfuscation", Rule::LeftAside),
    ("continuous_usage_stats", Rule::Only(&["false"])),
];

/// A chat completion, read.
#[derive(Debug)]
pub(crate) struct ChatRequest {
    pub(crate) model: String,
    pub(crate) conversation: Conversation,
    pub(crate) limits: GenerationLimits,
    pub(crate) shape: Shape,
}

/// How the reply is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// In pieces.
    pub(crate) stream: bool,
    /// With the usage at the end of the pieces.
    pub(crate) usage: bool,
    /// With the ids of its tokens.
    pub(crate) token_ids: bool,
}

impl ChatRequest {
    /// From the body; a reply has at most `most_tokens` tokens. `fresh_seed` is taken where tokens are drawn
    /// and no seed is given.
    pub(crate) fn read(mut body: Value, most_tokens: usize, fresh_seed: u64) -> Result<Self, ApiError> {
        let mut fields = Fields::of("", &mut body, CHAT_FIELDS)?;
        let model = fields.text("model")?;
        let shape = shape(&mut fields)?;
        let limits = limits(&mut fields, most_tokens, fresh_seed)?;
        let conversation = Conversation::read("messages", fields.need("messages")?)?.asking("messages")?;
        Ok(Self { model, conversation, limits, shape })
    }
}

fn shape(fields: &mut Fields<'_>) -> Result<Shape, ApiError> {
    let stream = fields.flag("stream")?;
    let mut usage = false;
    if let Some(mut options) = fields.take("stream_options") {
        if !stream {
            return Err(fields.refused("stream_options", "is for stream = true alone; leave it out"));
        }
        usage = Fields::of("stream_options", &mut options, STREAM_OPTIONS)?.flag("include_usage")?;
    }
    Ok(Shape { stream, usage, token_ids: fields.flag("return_token_ids")? })
}

fn limits(
    fields: &mut Fields<'_>,
    most_tokens: usize,
    fresh_seed: u64,
) -> Result<GenerationLimits, ApiError> {
    Ok(GenerationLimits {
        max_new_tokens: tokens(fields, most_tokens)?,
        sampling: sampling(fields, fresh_seed)?,
        repetition_penalty: match fields.number("repetition_penalty")? {
            Some(x) if x <= 0.0 => return Err(fields.refused("repetition_penalty", "must be above 0")),
            given => given,
        },
        stop: stops(fields)?,
        logprobs: logprobs(fields)?,
        options: None,
        form: None,
    })
}

fn tokens(fields: &mut Fields<'_>, most: usize) -> Result<usize, ApiError> {
    let mut bound = |name: &str| {
        let given = fields.whole(name)?;
        match given.map(usize::try_from) {
            None => Ok(None),
            Some(Ok(n)) if (1..=most).contains(&n) => Ok(Some(n)),
            Some(_) => {
                let problem = format!(
                    "must be 1 to {most}, the most tokens that a reply of this server has (--max-tokens raises it)"
                );
                Err(fields.refused(name, &problem))
            }
        }
    };
    match (bound("max_tokens")?, bound("max_completion_tokens")?) {
        (Some(a), Some(b)) if a != b => {
            Err(fields.refused("max_completion_tokens", "and max_tokens differ; give one of them"))
        }
        (a, b) => Ok(a.or(b).unwrap_or(most)),
    }
}

fn sampling(fields: &mut Fields<'_>, fresh_seed: u64) -> Result<Sampling, ApiError> {
    let temperature = fields.number("temperature")?.unwrap_or(0.0);
    let top_p = fields.number("top_p")?.unwrap_or(1.0);
    let top_k = fields.whole("top_k")?.unwrap_or(0);
    // A seed is a pattern of 64 bits; clients write it with or without a sign.
    let seed = match fields.take("seed") {
        None => fresh_seed,
        Some(value) => match (value.as_u64(), value.as_i64()) {
            (Some(seed), _) => seed,
            (None, Some(seed)) => seed as u64,
            (None, None) => return Err(fields.wrong("seed", &value, "a whole number of 64 bits")),
        },
    };
    if temperature < 0.0 {
        return Err(fields.refused("temperature", "must be 0 or more"));
    }
    if !(top_p > 0.0 && top_p <= 1.0) {
        return Err(fields.refused("top_p", "must lie above 0 and at most at 1"));
    }
    // Servers write "all" as -1 or 0.
    let Ok(top_k) = usize::try_from(if top_k == -1 { 0 } else { top_k }) else {
        return Err(fields.refused("top_k", "must be a number of tokens, or -1 or 0 for all"));
    };
    Ok(if temperature == 0.0 {
        Sampling::Greedy
    } else {
        Sampling::Random { temperature, top_k, top_p, seed }
    })
}

fn stops(fields: &mut Fields<'_>) -> Result<Vec<String>, ApiError> {
    let list = match fields.take("stop") {
        None => return Ok(Vec::new()),
        Some(Value::String(one)) => vec![Value::String(one)],
        Some(Value::Array(list)) if list.len() <= MOST_STOPS => list,
        Some(Value::Array(list)) => {
            let problem = format!("has {} strings, the limit is {MOST_STOPS}", list.len());
            return Err(fields.refused("stop", &problem));
        }
        Some(other) => return Err(fields.wrong("stop", &other, "text or a list of texts")),
    };
    let one = |value: Value| match value {
        Value::String(stop) if (1..=LONGEST_STOP).contains(&stop.len()) => Ok(stop),
        Value::String(stop) => {
            let problem = format!("holds a string of {} bytes, expected 1 to {LONGEST_STOP}", stop.len());
            Err(fields.refused("stop", &problem))
        }
        other => Err(fields.refused("stop", &format!("holds {}, expected texts", kind(&other)))),
    };
    list.into_iter().map(one).collect()
}

fn logprobs(fields: &mut Fields<'_>) -> Result<Option<usize>, ApiError> {
    let wanted = fields.flag("logprobs")?;
    match fields.whole("top_logprobs")? {
        None => Ok(wanted.then_some(0)),
        Some(0) if !wanted => Ok(None),
        Some(_) if !wanted => Err(fields.refused("top_logprobs", "needs logprobs = true")),
        Some(n @ 0..=MOST_LOGPROBS) => Ok(Some(n as usize)),
        Some(_) => Err(fields.refused("top_logprobs", &format!("must be 0 to {MOST_LOGPROBS}"))),
    }
}
