//! Probabilities of options, held against `transformers` (`tests/parity/make_options.py`).

use crate::common::{Case, Dialect, folder};
use loupe_core::{Ask, ModelError, Reply};
use loupe_models::{LoadOptions, load};
use serde_json::Value;

/// What `make_options.py` wrote for one case: asks with their options, and the values.
fn wanted(case: &Case) -> Vec<(Ask, Value)> {
    let text = std::fs::read_to_string(folder("").join("options.json")).unwrap();
    let all: Vec<Value> = serde_json::from_str(&text).unwrap();
    let own = all.into_iter().filter(|v| case.name == format!("{} (text)", v["case"].as_str().unwrap()));
    let asks = case.asks(8);
    own.map(|value| {
        let mut ask = asks[value["ask"].as_u64().unwrap() as usize].clone();
        ask.limits.options = Some(serde_json::from_value(value["options"].clone()).unwrap());
        (ask, value)
    })
    .collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 2e-4 * b.abs() + 1e-30
}

fn check(reply: &Reply, value: &Value, at: &str) {
    let scores = reply.options.as_ref().unwrap();
    let mass = value["mass"].as_f64().unwrap();
    assert!(close(scores.mass, mass), "{at}: mass {} instead of {mass}", scores.mass);
    let probabilities: Vec<f64> = serde_json::from_value(value["probabilities"].clone()).unwrap();
    assert_eq!(scores.each.len(), probabilities.len(), "{at}");
    for (score, wanted) in scores.each.iter().zip(&probabilities) {
        assert!(close(score.probability, *wanted), "{at}: {score:?} instead of {wanted}");
    }
    let best = probabilities.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    assert_eq!(reply.text, value["options"][best].as_str().unwrap(), "{at}");
    assert_eq!((reply.counts.new_tokens, reply.token_ids.len()), (0, 0), "{at}");
}

#[test]
fn probabilities_of_options_are_those_of_transformers() {
    let mut checked = 0;
    for case in Case::all("text") {
        let (asks, values): (Vec<Ask>, Vec<Value>) = wanted(&case).into_iter().unzip();
        let Some(first) = asks.first() else { continue };
        let dir = case.write(&Dialect::default());
        // All together, again from what is stored, and without a store.
        let mut model = load(dir.path(), &LoadOptions::default()).unwrap();
        let mut bare = load(dir.path(), &LoadOptions { cache_bytes: 0, ..LoadOptions::default() }).unwrap();
        let mut in_words = first.clone();
        in_words.limits.options = None;
        let before = model.generate(std::slice::from_ref(&in_words)).remove(0).unwrap();
        for round in 0..2 {
            for (reply, value) in model.generate(&asks).into_iter().zip(&values) {
                check(&reply.unwrap(), value, &format!("{} round {round} {value}", case.name));
                checked += 1;
            }
        }
        for (reply, value) in bare.generate(&asks).into_iter().zip(&values) {
            check(&reply.unwrap(), value, &format!("{} without a store {value}", case.name));
        }
        // Beside asks in words, which they leave alone.
        let mixed = [first.clone(), in_words.clone(), asks[asks.len() - 1].clone()];
        let replies: Vec<Reply> = bare.generate(&mixed).into_iter().map(Result::unwrap).collect();
        check(&replies[0], &values[0], &case.name);
        check(&replies[2], &values[values.len() - 1], &case.name);
        assert_eq!((&replies[1].text, &replies[1].token_ids), (&before.text, &before.token_ids));
        assert!(replies[1].options.is_none());
    }
    assert_eq!(checked, 2 * 60);
}

#[test]
fn options_that_are_none_are_refused_by_name() {
    let case = Case::all("text").remove(0);
    let dir = case.write(&Dialect::default());
    let mut model = load(dir.path(), &LoadOptions::default()).unwrap();
    let mut ask = case.asks(4).remove(0);
    ask.limits.options = Some(vec!["yes".into(), "yes".into()]);
    let error = model.generate(std::slice::from_ref(&ask)).remove(0).unwrap_err();
    assert!(matches!(error, ModelError::Setting { setting: "options", .. }), "{error}");
    // Nothing to choose between is a question in words.
    ask.limits.options = Some(Vec::new());
    let reply = model.generate(std::slice::from_ref(&ask)).remove(0).unwrap();
    assert!(reply.options.is_none() && reply.counts.new_tokens > 0);
    // Longer than the context leaves room for.
    ask.limits.options = Some(vec!["yes".into(), "left lung ".repeat(400)]);
    let error = model.generate(std::slice::from_ref(&ask)).remove(0).unwrap_err();
    assert!(matches!(error, ModelError::TooLong { .. }), "{error}");
}
