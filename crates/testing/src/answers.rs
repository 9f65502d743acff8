//! Files of answers as the page of a reader study saves them, without a browser.

use loupe_core::words::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What a reader saved after all steps of a page, given the key of the study as JSON: questions by id, each with its answer to each
/// step.
pub fn answers(key: &Value, page: usize, questions: &[(&str, &dyn Fn(usize) -> Value)]) -> Value {
    let hash = |text: String| hex(&Sha256::digest(text.as_bytes()));
    let own = &key["pages"][page];
    let (plan, reader) = (own["plan"].as_str().unwrap(), own["reader"].as_str().unwrap());
    let mut last = hash(format!("loupe-answers/1\n{plan}\n{reader}"));
    let mut entries = Vec::new();
    let mut add = |kind: &str, more: Value| {
        let mut line = json!({ "n": entries.len(), "at": "2026-01-05T08:00:00.000Z", "kind": kind });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let line = line.to_string();
        last = hash(format!("{last}\n{line}"));
        entries.push(json!({ "line": line, "hash": last }));
    };
    for step in 0..own["steps"].as_array().unwrap().len() {
        add("started", json!({ "step": step }));
        for (question, value) in questions {
            add("answered", json!({ "step": step, "question": question, "value": value(step) }));
        }
        add("done", json!({ "step": step, "seconds": 2.5, "idle_seconds": 0 }));
    }
    json!({ "format": "loupe-answers/1", "study": key["study"], "reader": reader, "plan": plan, "complete": true, "entries": entries })
}
