//! From an ask to the body of a request: pictures as lossless PNG in the order of the turns, every field of sampling
//! with a value of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use loupe_core::words::hex;
use loupe_core::{
    Ask, GenerationLimits, ModelError, Part, Picture, ReplyForm, Resampler, Role, Sampling, SentPicture, Turn,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Likeliest tokens that are asked for where options are read from them: the most that OpenAI's API gives.
pub(crate) const TOP_LOGPROBS: usize = 20;
/// Least side of a picture that is reduced to fit a bound.
const LEAST_SIDE: usize = 32;

/// How pictures are sent.
#[derive(Clone, Default)]
pub struct PictureBound {
    /// Most bytes of a picture's file; larger ones are reduced with `resampler` until they fit.
    pub bytes: Option<usize>,
    /// What reduces them.
    pub resampler: Option<Arc<dyn Resampler>>,
}

impl std::fmt::Debug for PictureBound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PictureBound({:?})", self.bytes)
    }
}

/// What a server is known to refuse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Manners {
    /// It wants `max_completion_tokens` in place of `max_tokens`.
    pub(crate) completion_tokens: bool,
    /// Fields that it does not take.
    pub(crate) without: BTreeSet<&'static str>,
    /// Where it reads a grammar.
    pub(crate) grammar: GrammarField,
}

/// Where a server reads the grammar of a reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum GrammarField {
    /// `structured_outputs.grammar`: vLLM.
    #[default]
    StructuredOutputs,
    /// `grammar`: llama.cpp.
    Grammar,
    /// `ebnf`: SGLang.
    Ebnf,
}

impl GrammarField {
    pub(crate) const ALL: [Self; 3] = [Self::StructuredOutputs, Self::Grammar, Self::Ebnf];
}

impl Manners {
    /// Fields of OpenAI's own API alone.
    pub(crate) fn strict() -> Self {
        Self {
            completion_tokens: true,
            without: BTreeSet::from(["top_k", "min_p", "repetition_penalty", "return_token_ids"]),
            grammar: GrammarField::default(),
        }
    }
}

/// The body of a question in words alone that is answered as repeatably as a server can: every field of sampling has its value here,
/// because servers fill those that are missing from the checkpoint's own file. How long the reply may be is the server's.
pub(crate) fn question(model: &str, prompt: &str, manners: &Manners) -> Result<Value, ModelError> {
    let mut body = Map::new();
    body.insert("model".into(), json!(model));
    body.insert("messages".into(), json!([{ "role": "user", "content": prompt }]));
    sampling(&mut body, &GenerationLimits::default(), manners)?;
    body.remove("return_token_ids");
    Ok(Value::Object(body))
}

/// The body of a request, and what is on record of it.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) body: String,
    pub(crate) sha256: String,
    pub(crate) pictures: Vec<SentPicture>,
    /// Fields that were left out because the server refuses them.
    pub(crate) not_sent: Vec<String>,
}

impl Written {
    fn new(body: &Value, pictures: Vec<SentPicture>, not_sent: Vec<String>) -> Self {
        let body = body.to_string();
        Self { sha256: hex(&Sha256::digest(&body)), body, pictures, not_sent }
    }
}

/// A picture's file as text, and what is on record of it.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    uri: String,
    record: SentPicture,
}

/// The pictures of an ask as they are sent.
///
/// # Errors
/// When one cannot be written, or not within the bound.
pub(crate) fn shown(ask: &Ask, bound: &PictureBound) -> Result<Vec<Shown>, ModelError> {
    let one = |(index, picture): (usize, &Arc<Picture>)| {
        let wrong = |problem: String| ModelError::Picture { index, problem };
        let (file, size) = within(picture, bound).map_err(wrong)?;
        let record = SentPicture { sha256: hex(&Sha256::digest(&file)), bytes: file.len(), size };
        Ok(Shown { uri: format!("data:image/png;base64,{}", STANDARD.encode(&file)), record })
    };
    ask.pictures.iter().enumerate().map(one).collect()
}

/// The picture's PNG, reduced where a bound wants it, and its size.
fn within(picture: &Picture, bound: &PictureBound) -> Result<(Vec<u8>, [usize; 2]), String> {
    let mut file = png_of(picture)?;
    let mut size = [picture.width(), picture.height()];
    let Some(most) = bound.bytes else { return Ok((file, size)) };
    while file.len() > most {
        let problem = || {
            format!("its PNG has {} bytes, the bound is {most}; allow more with --picture-bytes", file.len())
        };
        let resampler = bound.resampler.as_ref().ok_or_else(problem)?;
        // Bytes go with the area; a little less than that, so that few steps are needed.
        let share = (most as f64 / file.len() as f64).sqrt().min(0.95) * 0.98;
        let smaller = size.map(|side| ((side as f64 * share) as usize).max(1));
        if smaller.iter().any(|side| *side < LEAST_SIDE) {
            return Err(problem());
        }
        let reduced =
            resampler.resize(picture, smaller[0], smaller[1], "lanczos").map_err(|e| e.to_string())?;
        (file, size) = (png_of(&reduced)?, smaller);
    }
    Ok((file, size))
}

/// A picture as PNG: 8 bits, grey or RGB, no loss.
fn png_of(picture: &Picture) -> Result<Vec<u8>, String> {
    let side = |n: usize| u32::try_from(n).map_err(|_| "it is too large for a PNG".to_owned());
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side(picture.width())?, side(picture.height())?);
    encoder.set_color(if picture.channels() == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(picture.pixels())?;
        writer.finish()
    });
    written.map_err(|e| format!("it could not be written as PNG: {e}"))?;
    Ok(file)
}

/// The words and pictures of a turn in order, words that follow each other joined: some servers put a line break
/// between parts.
enum Piece<'a> {
    Words(String),
    Picture(&'a Shown),
}

fn pieces<'a>(turn: &Turn, number: usize, shown: &'a [Shown]) -> Result<Vec<Piece<'a>>, ModelError> {
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    for part in &turn.parts {
        match (part, pieces.last_mut()) {
            (Part::Text(text), Some(Piece::Words(words))) => words.push_str(text),
            (Part::Text(text), _) => pieces.push(Piece::Words(text.clone())),
            (Part::Picture(index), _) => {
                let missing = ModelError::NoSuchPicture { turn: number, index: *index, count: shown.len() };
                pieces.push(Piece::Picture(shown.get(*index).ok_or(missing)?));
            }
        }
    }
    Ok(pieces)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// A request of `chat/completions`.
///
/// # Errors
/// When a turn refers to a picture that is not there, or the server refuses a field that is needed.
pub(crate) fn chat(
    ask: &Ask,
    model: &str,
    shown: &[Shown],
    manners: &Manners,
    stream: bool,
) -> Result<Written, ModelError> {
    let mut messages = Vec::with_capacity(ask.turns.len());
    for (number, turn) in ask.turns.iter().enumerate() {
        let pieces = pieces(turn, number, shown)?;
        let content = match pieces.as_slice() {
            [] => json!(""),
            [Piece::Words(words)] => json!(words),
            pieces => pieces.iter().map(chat_part).collect(),
        };
        messages.push(json!({ "role": role(turn.role), "content": content }));
    }
    let mut body = Map::new();
    body.insert("model".into(), json!(model));
    body.insert("messages".into(), Value::Array(messages));
    let not_sent = sampling(&mut body, &ask.limits, manners)?;
    let by_options = ask.limits.options.as_ref().is_some_and(|o| !o.is_empty());
    let tokens = if by_options { 1 } else { ask.limits.max_new_tokens };
    let name = if manners.completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    body.insert(name.into(), json!(tokens));
    if !ask.limits.stop.is_empty() {
        body.insert("stop".into(), json!(ask.limits.stop));
    }
    if let Some(form) = ask.limits.form.as_ref().filter(|_| !by_options) {
        let (name, value) = formed(form, manners.grammar);
        body.insert(name.into(), value);
    }
    let top = if by_options { Some(TOP_LOGPROBS) } else { ask.limits.logprobs };
    if let Some(top) = top {
        body.insert("logprobs".into(), json!(true));
        body.insert("top_logprobs".into(), json!(top.min(TOP_LOGPROBS)));
    }
    body.insert("stream".into(), json!(stream));
    if stream {
        body.insert("stream_options".into(), json!({ "include_usage": true }));
    }
    let records = shown.iter().map(|s| s.record.clone()).collect();
    Ok(Written::new(&Value::Object(body), records, not_sent))
}

/// The field that holds a server to the form of a reply.
fn formed(form: &ReplyForm, grammar: GrammarField) -> (&'static str, Value) {
    match (form, grammar) {
        (ReplyForm::Json(json), _) => {
            let schema = json.schema.as_value();
            let format = json!({ "name": "reply", "strict": true, "schema": schema });
            ("response_format", json!({ "type": "json_schema", "json_schema": format }))
        }
        (ReplyForm::Grammar(words), GrammarField::StructuredOutputs) => {
            ("structured_outputs", json!({ "grammar": words }))
        }
        (ReplyForm::Grammar(words), GrammarField::Grammar) => ("grammar", json!(words)),
        (ReplyForm::Grammar(words), GrammarField::Ebnf) => ("ebnf", json!(words)),
    }
}

fn chat_part(piece: &Piece<'_>) -> Value {
    match piece {
        Piece::Words(words) => json!({ "type": "text", "text": words }),
        Piece::Picture(shown) => {
            json!({ "type": "image_url", "image_url": { "url": shown.uri, "detail": "high" } })
        }
    }
}

/// Every field of sampling, as a server fills what is missing from the checkpoint's own file; those that were left
/// out because the server refuses them.
fn sampling(
    body: &mut Map<String, Value>,
    limits: &GenerationLimits,
    manners: &Manners,
) -> Result<Vec<String>, ModelError> {
    let (temperature, top_p, top_k, seed) = match limits.sampling {
        Sampling::Greedy => (0.0, 1.0, 0, 0),
        Sampling::Random { temperature, top_p, top_k, seed } => (temperature, top_p, top_k, seed),
    };
    let greedy = limits.sampling == Sampling::Greedy;
    if let Some(beams) = limits.beams.filter(|beams| *beams > 1) {
        let problem = format!("{beams} were asked for, and servers follow one sequence; leave beams out");
        return Err(ModelError::Setting { setting: "beams", problem });
    }
    let penalty = limits.repetition_penalty.unwrap_or(1.0);
    let all = if top_k == 0 { json!(-1) } else { json!(top_k) };
    // Name, value, and whether the field changes nothing at this value.
    let fields = [
        ("temperature", json!(temperature), false),
        ("top_p", json!(top_p), top_p == 1.0),
        ("seed", json!(seed & i64::MAX.unsigned_abs()), greedy),
        ("n", json!(1), true),
        ("presence_penalty", json!(0.0), true),
        ("frequency_penalty", json!(0.0), true),
        ("top_k", all, top_k == 0),
        ("min_p", json!(0.0), true),
        ("repetition_penalty", json!(penalty), penalty == 1.0),
        ("return_token_ids", json!(true), true),
    ];
    let mut not_sent = Vec::new();
    for (name, value, changes_nothing) in fields {
        match (manners.without.contains(name), changes_nothing) {
            (false, _) => drop(body.insert(name.into(), value)),
            (true, true) => not_sent.push(name.to_owned()),
            (true, false) => return Err(refused_field(name, &value)),
        }
    }
    Ok(not_sent)
}

/// A field that the server refuses and that cannot be left out, because replies would be others without it.
fn refused_field(name: &str, value: &Value) -> ModelError {
    ModelError::Served {
        reason: format!(
            "the server does not take {name} {value}; leave that option out or give a value that it takes (replies that were sampled in another way would stand in the run otherwise)"
        ),
        retry: loupe_core::Retry::Barred,
    }
}

/// Fields that some servers refuse.
const REFUSABLE: [&str; 10] = [
    "temperature",
    "top_p",
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "top_k",
    "min_p",
    "repetition_penalty",
    "return_token_ids",
];

/// What a refusal says about the request's fields: the manners that would suit the server, if they are new.
pub(crate) fn mannered(says: &str, known: &Manners) -> Option<Manners> {
    let words: Vec<&str> =
        says.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    let mut manners = known.clone();
    if words.contains(&"max_completion_tokens") && words.contains(&"max_tokens") {
        manners.completion_tokens = true;
    }
    let refuses = [
        "unrecognized",
        "unsupported",
        "unknown",
        "unexpected",
        "extra",
        "permitted",
        "support",
        "supported",
    ];
    let lower = says.to_lowercase();
    if refuses.iter().any(|word| lower.contains(word)) {
        let named = REFUSABLE.into_iter().filter(|field| match *field {
            // A single letter stands in many sentences.
            "n" => says.contains("'n'") || says.contains("\"n\"") || says.contains("`n`"),
            field => words.contains(&field),
        });
        manners.without.extend(named);
    }
    (manners != *known).then_some(manners)
}

/// Where a request for a decision has the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// At the end of the conversation, which is then the same as in any other request.
    InInput,
    /// In the question's instructions, for servers that want some: what stands before it is the input.
    InInstructions,
}

/// A request of `decisions`: which of the options is the reply.
///
/// # Errors
/// When a turn refers to a picture that is not there.
pub(crate) fn decision(
    ask: &Ask,
    model: &str,
    shown: &[Shown],
    options: &[String],
    asking: Asking,
) -> Result<Written, ModelError> {
    let mut input = Vec::new();
    let mut instructions = String::new();
    for (number, turn) in ask.turns.iter().enumerate() {
        let mut pieces = pieces(turn, number, shown)?;
        if asking == Asking::InInstructions
            && number + 1 == ask.turns.len()
            && let Some(Piece::Words(words)) = pieces.last_mut()
        {
            instructions = std::mem::take(words);
            pieces.pop();
        }
        let kind = if turn.role == Role::Assistant { "output_text" } else { "input_text" };
        let part = |piece: &Piece<'_>| match piece {
            Piece::Words(words) => json!({ "type": kind, "text": words }),
            Piece::Picture(shown) => {
                json!({ "type": "input_image", "image_url": shown.uri, "detail": "high" })
            }
        };
        let parts: Vec<Value> = pieces.iter().map(part).collect();
        if !parts.is_empty() {
            input.push(json!({ "role": role(turn.role), "content": parts }));
        }
    }
    let choices: Vec<Value> = options.iter().map(|option| json!({ "value": option })).collect();
    let mut question = json!({ "type": "choice", "name": "reply", "choices": choices });
    if asking == Asking::InInstructions {
        question["instructions"] = json!(instructions);
    }
    let input = if input.is_empty() { json!(instructions) } else { Value::Array(input) };
    let body = json!({ "model": model, "input": input, "questions": [question] });
    Ok(Written::new(&body, shown.iter().map(|s| s.record.clone()).collect(), Vec::new()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn ask() -> Ask {
        let picture = |level| Arc::new(Picture::new(3, 2, 1, vec![level; 6]).unwrap());
        let parts = vec![
            Part::Text("Compare ".into()),
            Part::Text("this:".into()),
            Part::Picture(1),
            Part::Text("with:".into()),
            Part::Picture(0),
            Part::Text("Same?".into()),
        ];
        let turns = vec![Turn::text(Role::System, "Be brief."), Turn { role: Role::User, parts }];
        Ask { pictures: vec![picture(9), picture(200)], turns, limits: GenerationLimits::default() }
    }

    fn body(ask: &Ask, manners: &Manners) -> Value {
        let shown = shown(ask, &PictureBound::default()).unwrap();
        serde_json::from_str(&chat(ask, "m", &shown, manners, false).unwrap().body).unwrap()
    }

    #[test]
    fn pictures_stand_where_the_turn_has_them_and_are_sent_without_loss() {
        let ask = ask();
        let sent = body(&ask, &Manners::default());
        assert_eq!(sent["messages"][0]["content"], "Be brief.");
        let parts = sent["messages"][1]["content"].as_array().unwrap();
        let kinds: Vec<&str> = parts.iter().map(|p| p["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["text", "image_url", "text", "image_url", "text"]);
        assert_eq!(parts[0]["text"], "Compare this:");
        let shown = shown(&ask, &PictureBound::default()).unwrap();
        for (part, (picture, shown)) in
            [(3, (&ask.pictures[0], &shown[0])), (1, (&ask.pictures[1], &shown[1]))]
        {
            let uri = parts[part]["image_url"]["url"].as_str().unwrap();
            let file = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
            assert_eq!(shown.record.sha256, hex(&Sha256::digest(&file)));
            let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).unwrap();
            assert_eq!(pixels, picture.pixels());
        }
    }

    #[test]
    fn every_field_of_sampling_is_sent_and_only_neutral_ones_may_be_left_out() {
        let mut ask = ask();
        let sent = body(&ask, &Manners::default());
        for (field, value) in [
            ("temperature", json!(0.0)),
            ("top_p", json!(1.0)),
            ("top_k", json!(-1)),
            ("min_p", json!(0.0)),
            ("repetition_penalty", json!(1.0)),
            ("presence_penalty", json!(0.0)),
            ("frequency_penalty", json!(0.0)),
            ("seed", json!(0)),
            ("n", json!(1)),
            ("max_tokens", json!(256)),
        ] {
            assert_eq!(sent[field], value, "{field}");
        }
        let strict = body(&ask, &Manners::strict());
        assert!(strict.get("top_k").is_none() && strict.get("max_tokens").is_none());
        assert_eq!(strict["max_completion_tokens"], 256);
        ask.limits.sampling = Sampling::Random { temperature: 0.7, top_k: 5, top_p: 0.9, seed: 11 };
        let sent = body(&ask, &Manners::default());
        assert_eq!((&sent["top_k"], &sent["seed"]), (&json!(5), &json!(11)));
        let shown = shown(&ask, &PictureBound::default()).unwrap();
        let refused = chat(&ask, "m", &shown, &Manners::strict(), false).unwrap_err();
        assert!(refused.to_string().contains("top_k 5"), "{refused}");
        assert_eq!(refused.retry(), loupe_core::Retry::Barred);
    }

    #[test]
    fn what_a_server_refuses_is_read_from_its_words() {
        let after = |says: &str| mannered(says, &Manners::default());
        let known = after(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        );
        assert!(known.unwrap().completion_tokens);
        let known =
            after("Unrecognized request arguments supplied: min_p, repetition_penalty, top_k").unwrap();
        assert_eq!(known.without, BTreeSet::from(["min_p", "repetition_penalty", "top_k"]));
        assert_eq!(after("This model's maximum context length is 4096 tokens"), None);
        assert_eq!(after("top_p must be at most 1"), None);
    }

    #[test]
    fn a_decision_ends_with_the_question_and_offers_the_options() {
        let ask = ask();
        let shown = shown(&ask, &PictureBound::default()).unwrap();
        let options = ["yes".to_owned(), "no".to_owned()];
        let sent = |asking| -> Value {
            serde_json::from_str(&decision(&ask, "m", &shown, &options, asking).unwrap().body).unwrap()
        };
        let whole = sent(Asking::InInput);
        assert_eq!(whole["input"][1]["content"][4]["text"], "Same?");
        assert!(whole["questions"][0].get("instructions").is_none());
        let sent = sent(Asking::InInstructions);
        let question = &sent["questions"][0];
        assert_eq!(question["instructions"], "Same?");
        assert_eq!(question["choices"], json!([{ "value": "yes" }, { "value": "no" }]));
        let parts = sent["input"][1]["content"].as_array().unwrap();
        assert_eq!(parts.len(), 4);
        assert_eq!(parts[3]["type"], "input_image");
    }
}
