//! From what a server says to a reply.

use crate::error::EndpointError;
use loupe_core::dialect::{PictureSizes, SpokenPicture, dialect};
use loupe_core::limits::{LONGEST_TEXT, too_long};
use loupe_core::{Ask, Counts, Reply, ServedRecord, ServedToken, Stop};
use serde_json::Value;

/// Largest log-probability, with what single precision adds to 0.
pub(crate) const MOST_LOGPROB: f64 = 1e-6;

/// The reply in a document of `chat/completions`.
///
/// # Errors
/// When there is none, or it is not the model's own words.
pub(crate) fn chat(value: &Value, ask: &Ask) -> Result<Reply, EndpointError> {
    let choice = only_choice(value)?;
    let message = choice.get("message").filter(|m| m.is_object()).ok_or(EndpointError::NoContent)?;
    let finish = choice.get("finish_reason").and_then(Value::as_str);
    match finish {
        Some("content_filter") => return Err(EndpointError::Withheld),
        Some("tool_calls" | "function_call") => return Err(EndpointError::ToolCall),
        // Of vLLM and SGLang, and of routers of several servers.
        Some("abort" | "error") => return Err(EndpointError::GaveUp),
        _ => {}
    }
    let reasoning = ["reasoning_content", "reasoning"]
        .iter()
        .find_map(|name| message.get(name)?.as_str())
        .filter(|words| !words.is_empty())
        .map(str::to_owned);
    // Without words there is a reply only where its thoughts took all the tokens: an empty one, which no rule reads
    // an answer out of.
    let refusal = || message.get("refusal").and_then(Value::as_str).map(str::to_owned);
    let text = words(message.get("content")).or_else(refusal);
    let text = match (text, &reasoning) {
        (Some(text), _) => text,
        (None, Some(_)) => String::new(),
        (None, None) => return Err(EndpointError::NoContent),
    };
    let (text, stopped) = before_stop(text, &ask.limits.stop);
    let thoughts = reasoning.as_ref().map_or(0, String::len);
    if let Some(problem) = too_long("the reply has", text.len().max(thoughts), LONGEST_TEXT) {
        return Err(EndpointError::TooLong(problem));
    }
    let tokens = ask.limits.logprobs.and_then(|_| tokens(choice));
    if ask.limits.logprobs.is_some() && tokens.as_ref().is_none_or(Vec::is_empty) && !text.is_empty() {
        return Err(EndpointError::Field(
            "the server gives no log-probabilities of its tokens, or none that can be read; leave --logprobs out, or ask a server that has them".to_owned(),
        ));
    }
    let mut reply = Reply::from_text(text);
    reply.stop = match finish {
        // In the words of OpenAI, and of other servers behind the same protocol.
        Some("length" | "max_tokens" | "model_length") if !stopped => Stop::Length,
        _ if stopped || choice.get("stop_reason").is_some_and(Value::is_string) => Stop::StopString,
        _ => Stop::EndOfTurn,
    };
    reply.token_ids = ids(choice.get("token_ids"));
    reply.counts = counts(value);
    let owned = |name: &str| value.get(name).and_then(Value::as_str).map(name_of);
    reply.served = Some(Box::new(ServedRecord {
        model: owned("model"),
        system_fingerprint: owned("system_fingerprint"),
        reasoning,
        tokens,
        ..ServedRecord::default()
    }));
    Ok(reply)
}

/// The one choice of a document of `chat/completions`.
///
/// # Errors
/// When there is none, or there are several: nobody asked for them, and which is the reply is not said.
pub(crate) fn only_choice(value: &Value) -> Result<&Value, EndpointError> {
    match value.get("choices").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default() {
        [] => Err(EndpointError::NoContent),
        [one] => Ok(one),
        several => Err(EndpointError::Several(several.len())),
    }
}

/// What a server calls something, as far as a record holds it.
pub(crate) fn name_of(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The places in the reply's words, where the model has a dialect.
pub(crate) fn place(reply: &mut Reply, ask: &Ask, box_dialect: &str) {
    let Some(dialect) = dialect(box_dialect).filter(|_| !ask.pictures.is_empty()) else { return };
    let pictures: Vec<SpokenPicture<'_>> = ask
        .pictures
        .iter()
        .map(|p| SpokenPicture { sizes: PictureSizes::given(p.width(), p.height()), origin: &p.origin })
        .collect();
    let parsed = dialect.parse(&reply.text);
    reply.findings = dialect.place(&parsed, &pictures, pictures.len() - 1).findings;
    if !reply.findings.is_empty() {
        reply.repairs = parsed.repairs.iter().map(|r| r.name()).collect();
    }
}

/// Words, or a list of parts with words.
fn words(content: Option<&Value>) -> Option<String> {
    match content? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let of = |p: &Value| match p.get("type").and_then(Value::as_str) {
                None | Some("text" | "output_text") => p.get("text")?.as_str().map(str::to_owned),
                _ => None,
            };
            Some(parts.iter().filter_map(of).collect())
        }
        _ => None,
    }
}

/// What stands before the first stop string; servers that keep it in the reply are mended.
fn before_stop(mut text: String, stops: &[String]) -> (String, bool) {
    let first = stops.iter().filter(|s| !s.is_empty()).filter_map(|s| text.find(s.as_str())).min();
    if let Some(at) = first {
        text.truncate(at);
    }
    (text, first.is_some())
}

fn ids(value: Option<&Value>) -> Vec<u32> {
    let all = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let ids: Option<Vec<u32>> = all.iter().map(|id| u32::try_from(id.as_u64()?).ok()).collect();
    ids.unwrap_or_default()
}

/// Where servers say how many tokens a prompt and a reply have.
const PROMPT_TOKENS: [&str; 2] = ["/usage/prompt_tokens", "/usage/input_tokens"];
const REPLY_TOKENS: [&str; 2] = ["/usage/completion_tokens", "/usage/output_tokens"];

/// A number of tokens at one of these places. What no prompt can have is none.
fn count(value: &Value, places: &[&str]) -> Option<u32> {
    places.iter().find_map(|at| u32::try_from(value.pointer(at)?.as_u64()?).ok())
}

/// Does the server say how many tokens were read, and written where words were asked for?
pub(crate) fn are_counted(value: &Value) -> bool {
    let replied = value.get("choices").is_none() || count(value, &REPLY_TOKENS).is_some();
    count(value, &PROMPT_TOKENS).is_some() && replied
}

pub(crate) fn counts(value: &Value) -> Counts {
    let count = |places: &[&str]| count(value, places).map_or(0, |n| n as usize);
    Counts {
        prompt_tokens: count(&PROMPT_TOKENS),
        reused_tokens: count(&["/usage/prompt_tokens_details/cached_tokens"]),
        picture_tokens: count(&["/usage/prompt_tokens_details/image_tokens"]),
        new_tokens: count(&REPLY_TOKENS),
        ..Counts::default()
    }
}

/// The tokens of a choice with their log-probabilities; nothing where one of them cannot be read.
pub(crate) fn tokens(choice: &Value) -> Option<Vec<ServedToken>> {
    let all = choice.pointer("/logprobs/content")?.as_array()?;
    let logprob = |t: &Value| t.get("logprob")?.as_f64().filter(|l| *l <= MOST_LOGPROB);
    let pair = |t: &Value| Some((t.get("token")?.as_str()?.to_owned(), logprob(t)?));
    let one = |t: &Value| {
        let (text, logprob) = pair(t)?;
        let top = match t.get("top_logprobs") {
            None | Some(Value::Null) => Vec::new(),
            Some(top) => top.as_array()?.iter().map(pair).collect::<Option<_>>()?,
        };
        Some(ServedToken { text, logprob, top })
    };
    all.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use loupe_core::{GenerationLimits, Picture};
    use serde_json::json;
    use std::sync::Arc;

    fn ask() -> Ask {
        Ask::pictures_then(Vec::new(), "?", GenerationLimits::default())
    }

    fn read(choice: &Value) -> Result<Reply, EndpointError> {
        let usage = json!({ "prompt_tokens": 31, "completion_tokens": 2 });
        chat(&json!({ "choices": [choice], "usage": usage, "model": "m-1" }), &ask())
    }

    #[test]
    fn thoughts_are_kept_apart_and_never_stand_as_the_reply() {
        let message = json!({ "content": "B", "reasoning_content": "It is A. No, B." });
        let reply = read(&json!({ "message": message, "finish_reason": "stop" })).unwrap();
        assert_eq!(reply.text, "B");
        let served = reply.served.unwrap();
        assert_eq!(served.reasoning.as_deref(), Some("It is A. No, B."));
        assert_eq!(served.model.as_deref(), Some("m-1"));
        assert_eq!((reply.counts.prompt_tokens, reply.counts.new_tokens), (31, 2));
        // The thoughts took all the tokens.
        let message = json!({ "content": null, "reasoning": "The answer is A, or" });
        let reply = read(&json!({ "message": message, "finish_reason": "length" })).unwrap();
        assert_eq!((reply.text.as_str(), reply.stop), ("", Stop::Length));
        assert!(loupe_core::reasoning::without_reasoning(&reply.text).is_err());
    }

    #[test]
    fn a_reply_of_any_length_is_not_believed() {
        let long = "a".repeat(LONGEST_TEXT + 1);
        for field in ["content", "reasoning_content"] {
            let mut message = json!({ "content": "yes" });
            message[field] = long.clone().into();
            let refused = read(&json!({ "message": message, "finish_reason": "stop" })).unwrap_err();
            assert!(refused.to_string().contains("1048577 bytes") && !refused.may_pass(), "{refused}");
        }
        let whole = json!({ "message": { "content": long[1..] }, "finish_reason": "stop" });
        assert_eq!(read(&whole).unwrap().text.len(), LONGEST_TEXT);
    }

    #[test]
    fn log_probabilities_that_were_asked_for_are_there_or_the_reply_is_refused() {
        let mut ask = ask();
        ask.limits.logprobs = Some(2);
        let said = |logprobs: Value| {
            let choice =
                json!({ "message": { "content": "yes" }, "finish_reason": "stop", "logprobs": logprobs });
            chat(&json!({ "choices": [choice] }), &ask)
        };
        let token = |more: Value| {
            let mut token = json!({ "token": "yes", "logprob": -0.1 });
            token.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({ "content": [token] })
        };
        for good in [
            json!({}),
            json!({ "top_logprobs": [{ "token": "no", "logprob": -9999.0 }] }),
            json!({ "top_logprobs": null }),
        ] {
            assert_eq!(said(token(good)).unwrap().served.unwrap().tokens.unwrap()[0].logprob, -0.1);
        }
        for bad in [
            json!(null),
            json!({ "content": [] }),
            json!({ "tokens": ["yes"], "token_logprobs": [-0.1] }),
            token(json!({ "logprob": 0.7 })),
            token(json!({ "logprob": null })),
            token(json!({ "top_logprobs": { "yes": -0.1 } })),
            token(json!({ "top_logprobs": [{ "token": "no" }] })),
        ] {
            let error = said(bad.clone()).unwrap_err();
            assert!(error.to_string().contains("--logprobs") && !error.may_pass(), "{bad}: {error}");
        }
        // No token, no probability.
        let empty = json!({ "choices": [{ "message": { "content": "" }, "finish_reason": "stop", "logprobs": null }] });
        assert_eq!(chat(&empty, &ask).unwrap().text, "");
    }

    #[test]
    fn one_reply_was_asked_for() {
        let choice = |words: &str, index: u32| json!({ "index": index, "message": { "content": words } });
        let said = |choices: Value| chat(&json!({ "choices": choices }), &ask());
        assert_eq!(said(json!([choice("yes", 1)])).unwrap().text, "yes");
        for several in
            [json!([choice("yes", 0), choice("no", 0)]), json!([choice("no", 1), choice("yes", 0)])]
        {
            assert_eq!(said(several).unwrap_err(), EndpointError::Several(2));
        }
        for none in [json!([]), json!(null), json!({})] {
            assert_eq!(said(none).unwrap_err(), EndpointError::NoContent);
        }
    }

    #[test]
    fn tokens_are_counted_where_the_counts_can_be_ones() {
        for (usage, counted) in [
            (json!({ "prompt_tokens": 31, "completion_tokens": 2 }), true),
            (json!({ "input_tokens": 31, "output_tokens": 2 }), true),
            (json!({ "prompt_tokens": 31 }), false),
            (json!({ "prompt_tokens": -3, "completion_tokens": "7" }), false),
            (json!({ "prompt_tokens": u64::MAX, "completion_tokens": 2 }), false),
            (json!(null), false),
        ] {
            let value = json!({ "usage": usage, "choices": [] });
            assert_eq!(are_counted(&value), counted, "{usage}");
            assert!(counts(&value).prompt_tokens <= 31, "{usage}");
        }
    }

    #[test]
    fn why_a_reply_ended_is_read_in_the_words_of_several_servers() {
        let ended = |why: Value| read(&json!({ "message": { "content": "ye" }, "finish_reason": why }));
        for why in ["length", "max_tokens", "model_length"] {
            assert_eq!(ended(json!(why)).unwrap().stop, Stop::Length);
        }
        for why in [json!("stop"), json!("eos_token"), json!(null)] {
            assert_eq!(ended(why).unwrap().stop, Stop::EndOfTurn);
        }
        for why in ["abort", "error"] {
            let error = ended(json!(why)).unwrap_err();
            assert!(error == EndpointError::GaveUp && error.may_pass(), "{error}");
        }
    }

    #[test]
    fn what_is_no_reply_of_the_model_is_refused() {
        let none = read(&json!({ "message": { "content": null }, "finish_reason": "stop" }));
        assert_eq!(none.unwrap_err(), EndpointError::NoContent);
        let withheld = read(&json!({ "message": { "content": "" }, "finish_reason": "content_filter" }));
        assert_eq!(withheld.unwrap_err(), EndpointError::Withheld);
        let call = read(
            &json!({ "message": { "content": null, "tool_calls": [{}] }, "finish_reason": "tool_calls" }),
        );
        assert_eq!(call.unwrap_err(), EndpointError::ToolCall);
        let parts =
            json!({ "content": [{ "type": "text", "text": "yes" }, { "type": "thinking", "text": "no" }] });
        assert_eq!(read(&json!({ "message": parts })).unwrap().text, "yes");
    }

    #[test]
    fn places_are_read_in_the_dialect_that_was_declared() {
        let picture = Arc::new(Picture::new(200, 100, 1, vec![0; 20_000]).unwrap());
        let ask = Ask::pictures_then(vec![picture], "?", GenerationLimits::default());
        let mut reply = Reply::from_text(r#"[{"bbox_2d": [100, 100, 500, 500], "label": "disc"}]"#);
        place(&mut reply, &ask, "none");
        assert!(reply.findings.is_empty());
        place(&mut reply, &ask, "qwen3-vl");
        let found = reply.boxes().next().map(|(_, b)| b.xyxy());
        assert_eq!(found, Some([20.0, 10.0, 100.0, 50.0]));
    }
}
