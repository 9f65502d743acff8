//! Modular questions: radiology, anatomy and pathology are asked one by one, then put together.
//!
//! The source has a language model choose and word the module questions; here they are fixed, so that
//! one model is enough and every run asks the same.

use super::entry::{Strategy, best_of, taken};
use crate::answer;
use crate::request::{Request, RethinkError, Settings};
use crate::session::{NewAsk, Pass, Session, Who};
use loupe_core::trace::Ended;
use serde_json::json;

/// What each module is asked, before the user's own question.
pub const MODULES: [(&str, &str); 3] = [
    (
        "radiology",
        "Describe the imaging technique, the plane and any abnormal signal or density that matters for this question.",
    ),
    (
        "anatomy",
        "Name the organs and structures that matter for this question, with their place, size and shape.",
    ),
    (
        "pathology",
        "Describe lesions or other disease that matter for this question, or say that there are none.",
    ),
];

/// The strategy.
pub const STRATEGY: Strategy = Strategy {
    name: "modular",
    about: "asks about technique, anatomy and pathology one by one and answers with all three in view",
    source: "after Wei et al. 2024, MC-CoT: modular collaborative chain of thought (arXiv 2410.04521)",
    second_model: false,
    composes: false,
    run,
};

fn run(session: &mut Session<'_>, request: &Request, _: &Settings) -> Result<Pass, RethinkError> {
    // One batch: the pictures are computed once.
    let asks = MODULES.map(|(name, words)| {
        NewAsk::opening(name, request.opening(format!("{words}\nQuestion: {}", request.question)))
    });
    let asked = session.ask_all(Who::First, asks.into());
    let mut findings = String::new();
    let mut last = Pass { answer: String::new(), round: None, ended: Ended::Answered };
    let mut answered = Vec::new();
    for ((name, _), asked) in MODULES.iter().zip(asked) {
        match asked {
            Ok(round) => {
                let text = answer::of_reply(session.text(round)).to_owned();
                findings.push_str(&format!("{name}: {text}\n"));
                last = Pass { answer: text, round: Some(round), ended: Ended::Answered };
                answered.push(*name);
            }
            Err(ended) => last.ended = ended,
        }
    }
    if answered.is_empty() {
        return Ok(last);
    }
    let words = format!("{findings}With these findings and the pictures, answer: {}", request.with_options());
    let pass = taken(session, Who::First, NewAsk::opening("answer", request.opening(words)));
    session.trace.summary = json!({ "modules": answered });
    Ok(best_of(pass, last))
}
