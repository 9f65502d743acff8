//! Options whose probabilities are wanted instead of a reply in words: from `/v1/decisions`, or from the likeliest
//! first tokens where these tell the options apart.

use crate::error::EndpointError;
use crate::reply::{MOST_LOGPROB, counts, name_of, only_choice};
use loupe_core::{ModelError, OptionScore, OptionScores, OptionsFrom, Reply, ServedRecord};
use serde_json::Value;

/// Most options of an ask, as for models that are computed here.
const MOST: usize = 256;
/// How far probabilities that a server gives may miss 1 in sum: some are rounded to two decimals.
const ROUNDING: f64 = 0.02;

/// The options of an ask, none where it is to be answered in words.
///
/// # Errors
/// When there are too few or too many, or two are the same.
pub(crate) fn wanted(options: Option<&Vec<String>>) -> Result<&[String], ModelError> {
    let options = options.map_or(&[][..], Vec::as_slice);
    let wrong = |problem: String| ModelError::Setting { setting: "options", problem };
    match options.len() {
        0 => return Ok(options),
        2..=MOST => {}
        n => return Err(wrong(format!("there are {n}; give 2 to {MOST}"))),
    }
    for (second, option) in options.iter().enumerate() {
        if option.trim().is_empty() {
            return Err(wrong(format!("option {} is empty", second + 1)));
        }
        if let Some(first) = options[..second].iter().position(|other| other == option) {
            return Err(wrong(format!("options {} and {} are the same", first + 1, second + 1)));
        }
    }
    Ok(options)
}

fn scored(options: &[String], probabilities: &[f64], mass: f64, from: OptionsFrom) -> Reply {
    let total: f64 = probabilities.iter().sum();
    let each = options
        .iter()
        .zip(probabilities)
        .map(|(text, p)| OptionScore { text: text.clone(), probability: p / total })
        .collect();
    let scores = OptionScores { mass, each };
    let mut reply = Reply::from_text(scores.best().map(|best| best.text.clone()).unwrap_or_default());
    reply.options = Some(scores);
    reply.served = Some(Box::new(ServedRecord { options_from: Some(from), ..ServedRecord::default() }));
    reply
}

/// The reply in a document of `decisions`.
///
/// # Errors
/// When the answer is no choice between all of the options, or its numbers are no probabilities.
pub(crate) fn decided(value: &Value, options: &[String]) -> Result<Reply, EndpointError> {
    let wrong = |problem: &str| EndpointError::Options(format!("the server's decision {problem}"));
    let answer = value.pointer("/answers/0").ok_or(EndpointError::NoContent)?;
    match answer.get("type").and_then(Value::as_str) {
        Some("choice") => {}
        Some("refusal") => return Err(EndpointError::Withheld),
        _ => return Err(wrong("is no choice")),
    }
    let list =
        answer.get("probabilities").and_then(Value::as_array).ok_or_else(|| wrong("has no probabilities"))?;
    let of = |option: &String| {
        let mut entries = list.iter().filter(|e| e.get("value").and_then(Value::as_str) == Some(option));
        let probability = entries.next()?.get("probability")?.as_f64()?;
        (entries.next().is_none() && (0.0..=1.0).contains(&probability)).then_some(probability)
    };
    let probabilities: Option<Vec<f64>> = options.iter().map(of).collect();
    let probabilities =
        probabilities.ok_or_else(|| wrong("has not one probability from 0 to 1 for each option"))?;
    let total: f64 = probabilities.iter().sum();
    if list.len() != options.len() || (total - 1.0).abs() > ROUNDING * options.len() as f64 || total <= 0.0 {
        return Err(wrong("has probabilities that do not add up to 1 over the options"));
    }
    // How much of the probability fell on the options, which not every server says.
    let mass = answer.get("mass").and_then(Value::as_f64).filter(|mass| (0.0..=1.0).contains(mass));
    let from = if mass.is_some() { OptionsFrom::Decisions } else { OptionsFrom::Shares };
    let mut reply = scored(options, &probabilities, mass.unwrap_or(1.0), from);
    reply.counts = counts(value);
    if let Some(served) = &mut reply.served {
        served.model = value.get("model").and_then(Value::as_str).map(name_of);
    }
    Ok(reply)
}

/// The reply in a document of `chat/completions` whose first token was asked for with its rivals. A token counts for
/// the option that it begins, in the option's own letters or with its first one large or small, with or without a
/// space before it.
///
/// # Errors
/// When the server gives no rivals, none of them begins an option, or one begins two.
pub(crate) fn from_first_token(value: &Value, options: &[String]) -> Result<Reply, EndpointError> {
    let first = only_choice(value)?.pointer("/logprobs/content/0");
    let list = first.and_then(|t| t.get("top_logprobs")).and_then(Value::as_array).filter(|l| !l.is_empty());
    let list = list.ok_or_else(|| {
        EndpointError::Options(
            "the server gives no log-probabilities, so that the probabilities of options cannot be read; let them be answered in words".to_owned(),
        )
    })?;
    let mut probabilities = vec![0f64; options.len()];
    for rival in list {
        // One that were left out could be the likeliest.
        let logprob = rival.get("logprob").and_then(Value::as_f64).filter(|l| *l <= MOST_LOGPROB);
        let logprob = logprob.ok_or_else(|| {
            EndpointError::Options(
                "the server gives a log-probability that is none, above 0 or no number".to_owned(),
            )
        })?;
        let token = token_bytes(rival);
        let begun: Vec<usize> = (0..options.len()).filter(|n| begins(&token, &options[*n])).collect();
        match begun.as_slice() {
            [] => {}
            [one] => probabilities[*one] += logprob.exp(),
            [one, other, ..] => {
                return Err(EndpointError::Options(format!(
                    "options {} and {} begin with the same token, so that the server, which has no /v1/decisions, cannot tell them apart; name them by letters, or let them be answered in words",
                    one + 1,
                    other + 1
                )));
            }
        }
    }
    let mass: f64 = probabilities.iter().sum();
    if mass <= 0.0 {
        return Err(EndpointError::Options(format!(
            "none of the {} likeliest first tokens begins an option, so that their probabilities cannot be read",
            list.len()
        )));
    }
    if mass > 1.0 + ROUNDING {
        return Err(EndpointError::Options(format!(
            "the server's log-probabilities of the first token add up to {mass:.3}, more than everything"
        )));
    }
    let mut reply = scored(options, &probabilities, mass.min(1.0), OptionsFrom::TopLogprobs);
    reply.counts = counts(value);
    if let Some(served) = &mut reply.served {
        served.options_below_top = (0..options.len()).filter(|n| probabilities[*n] == 0.0).collect();
        served.model = value.get("model").and_then(Value::as_str).map(name_of);
    }
    Ok(reply)
}

/// The bytes of a token: those that the server gives, as the words of a part of a letter are none.
fn token_bytes(rival: &Value) -> Vec<u8> {
    let given = rival.get("bytes").and_then(Value::as_array).map(|bytes| {
        let byte = |b: &Value| u8::try_from(b.as_u64()?).ok();
        bytes.iter().map(byte).collect::<Option<Vec<u8>>>()
    });
    let words = || rival.get("token").and_then(Value::as_str).unwrap_or_default().as_bytes().to_vec();
    given.flatten().filter(|b| !b.is_empty()).unwrap_or_else(words)
}

/// Is the token the beginning of the option?
fn begins(token: &[u8], option: &str) -> bool {
    const WORD: &[u8] = "▁".as_bytes();
    let token = token.strip_prefix(b" ").or_else(|| token.strip_prefix(WORD)).unwrap_or(token);
    let spelled = |text: &str| !token.is_empty() && text.as_bytes().starts_with(token);
    spelled(option) || other_case(option).is_some_and(|other| spelled(&other))
}

/// The option with its first letter in the other case; nothing for a single letter, which is the name of a choice.
fn other_case(text: &str) -> Option<String> {
    let mut letters = text.chars();
    let first = letters.next()?;
    let rest = letters.as_str();
    let other: String =
        if first.is_uppercase() { first.to_lowercase().collect() } else { first.to_uppercase().collect() };
    (!rest.is_empty() && !other.starts_with(first)).then(|| other + rest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use serde_json::json;

    fn options(all: &[&str]) -> Vec<String> {
        all.iter().map(|o| (*o).to_owned()).collect()
    }

    fn tops(rivals: &[(&str, f64)]) -> Value {
        let rivals: Vec<Value> =
            rivals.iter().map(|(t, p)| json!({ "token": t, "logprob": p.ln() })).collect();
        json!({ "choices": [{ "logprobs": { "content": [{ "token": "x", "logprob": -1, "top_logprobs": rivals }] } }] })
    }

    #[test]
    fn first_tokens_are_summed_over_spellings() {
        let value =
            tops(&[("Yes", 0.5), (" yes", 0.1), ("No", 0.2), ("n", 0.05), ("The", 0.1), ("None", 0.01)]);
        let reply = from_first_token(&value, &options(&["yes", "no"])).unwrap();
        let scores = reply.options.unwrap();
        assert!((scores.mass - 0.85).abs() < 1e-12, "{}", scores.mass);
        assert!((scores.each[0].probability - 0.6 / 0.85).abs() < 1e-12);
        assert!((scores.each[1].probability - 0.25 / 0.85).abs() < 1e-12);
        assert_eq!(reply.text, "yes");
    }

    #[test]
    fn letters_of_choices_count_as_they_are() {
        let value = tops(&[("B", 0.6), ("b", 0.2), ("A", 0.1), ("**", 0.05)]);
        let reply = from_first_token(&value, &options(&["A", "B", "C"])).unwrap();
        let scores = reply.options.unwrap();
        assert!((scores.mass - 0.7).abs() < 1e-12);
        assert_eq!(reply.served.unwrap().options_below_top, [2]);
    }

    #[test]
    fn bytes_tell_parts_of_letters_apart() {
        let part = |first: &str, p: f64| json!({ "token": "\u{fffd}", "bytes": [first.as_bytes()[0]], "logprob": p.ln() });
        // 是 and 否 begin with different bytes.
        let rivals = json!([part("是", 0.7), part("否", 0.2)]);
        let value = json!({ "choices": [{ "logprobs": { "content": [{ "top_logprobs": rivals }] } }] });
        let scores = from_first_token(&value, &options(&["是", "否"])).unwrap().options.unwrap();
        assert!((scores.each[0].probability - 0.7 / 0.9).abs() < 1e-12);
    }

    #[test]
    fn numbers_that_are_no_probabilities_are_refused() {
        let yes_no = options(&["yes", "no"]);
        let read = |first: Value| {
            let rivals = json!([{ "token": "yes", "logprob": first }, { "token": "no", "logprob": -2.0 }]);
            from_first_token(
                &json!({ "choices": [{ "logprobs": { "content": [{ "top_logprobs": rivals }] } }] }),
                &yes_no,
            )
        };
        assert_eq!(read(json!(-0.2)).unwrap().text, "yes");
        for none in [json!(0.7), json!(null), json!("-0.2")] {
            assert!(read(none.clone()).unwrap_err().to_string().contains("that is none"), "{none}");
        }
        let twice =
            from_first_token(&tops(&[("yes", 0.9), ("yes", 0.9), ("no", 0.05)]), &yes_no).unwrap_err();
        assert!(twice.to_string().contains("add up to 1.85"), "{twice}");
        // Spellings that only differ in what a tokenizer hides are two tokens.
        assert!(from_first_token(&tops(&[("yes", 0.5), ("yes", 0.4), ("no", 0.05)]), &yes_no).is_ok());
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        let words = options(&["benign", "Borderline"]);
        assert!(from_first_token(&tops(&[("ben", 0.5), ("Border", 0.2)]), &words).is_ok());
        let alike = from_first_token(&tops(&[("ben", 0.5), ("b", 0.2)]), &words).unwrap_err();
        assert!(alike.to_string().contains("options 1 and 2 begin with the same token"), "{alike}");
        let none = from_first_token(&tops(&[("The", 0.9)]), &options(&["yes", "no"])).unwrap_err();
        assert!(none.to_string().contains("none of the 1 likeliest"), "{none}");
        let without = from_first_token(&json!({ "choices": [{}] }), &options(&["yes", "no"])).unwrap_err();
        assert!(without.to_string().contains("no log-probabilities"), "{without}");
        for (given, problem) in [
            (&["yes"][..], "there are 1; give 2 to 256"),
            (&["a", "a"], "options 1 and 2 are the same"),
            (&["a", " "], "option 2 is empty"),
        ] {
            let error = wanted(Some(&options(given))).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn decisions_are_probabilities_of_every_option() {
        let decision = |probabilities: Value, more: Value| {
            let mut answer =
                json!({ "type": "choice", "name": "reply", "choice": "no", "probabilities": probabilities });
            answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({ "answers": [answer], "usage": { "input_tokens": 12 }, "model": "m" })
        };
        let both = json!([{ "value": "no", "probability": 0.75 }, { "value": "yes", "probability": 0.25 }]);
        let read = |value: &Value| decided(value, &options(&["yes", "no"]));
        let reply = read(&decision(both.clone(), json!({}))).unwrap();
        assert_eq!((reply.text.as_str(), reply.counts.prompt_tokens), ("no", 12));
        let scores = reply.options.unwrap();
        assert_eq!((scores.each[0].probability, scores.mass), (0.25, 1.0));
        assert_eq!(reply.served.unwrap().options_from, Some(OptionsFrom::Shares));
        let with_mass = read(&decision(both, json!({ "mass": 0.5 }))).unwrap();
        assert_eq!(with_mass.options.unwrap().mass, 0.5);
        for wrong in [
            json!([{ "value": "no", "probability": 1.0 }]),
            json!([{ "value": "no", "probability": 0.5 }, { "value": "yes", "probability": 0.2 }]),
            json!([{ "value": "no", "probability": 1.5 }, { "value": "yes", "probability": -0.5 }]),
            json!([{ "value": "no", "probability": 0.5 }, { "value": "no", "probability": 0.5 }]),
        ] {
            assert!(read(&decision(wrong.clone(), json!({}))).is_err(), "{wrong}");
        }
        let refusal = json!({ "answers": [{ "type": "refusal", "name": "reply" }] });
        assert_eq!(read(&refusal).unwrap_err(), EndpointError::Withheld);
    }
}
