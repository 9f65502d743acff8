//! The evaluation of a HuatuoGPT-Vision study on SLAKE (`src/eval/parsing.py`).

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict, VERDICT};
use super::parts::{gold_text, is_closed};
use crate::metrics::exact_match::plain_form;
use loupe_core::Sample;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&HuatuoSlake];

#[derive(Debug, Clone, Copy)]
struct HuatuoSlake;

/// yes or no, as a word anywhere, yes first, else as the start of the text.
fn yes_no(text: &str) -> Option<&'static str> {
    let text = plain_form(text);
    let both = ["yes", "no"];
    both.into_iter()
        .find(|w| text.split(' ').any(|t| t == *w))
        .or_else(|| both.into_iter().find(|w| text.starts_with(w)))
}

impl HarnessProfile for HuatuoSlake {
    fn name(&self) -> &'static str {
        "huatuo-slake"
    }

    fn harness(&self) -> &'static str {
        "ParkBK-22/SLAKE-VQA"
    }

    fn commit(&self) -> &'static str {
        "946e7c422907ddd5f65f7e0d14d5aa7d378bb7aa"
    }

    fn sets(&self) -> &'static [&'static str] {
        &["slake"]
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "a CLOSED question is only right when reference and reply are yes or no: the 61 of SLAKE that name an organ or side are always wrong",
            "\"yes\" anywhere beats \"no\"; a reply that starts with \"no\", \"normal\" included, answers no",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = gold_text(sample) else {
            return HarnessVerdict::not_applicable("no reference text");
        };
        let (wanted, said) = (plain_form(gold), plain_form(reply));
        let as_text = f64::from(u8::from(wanted == said));
        let kind = sample.tag("content_type").unwrap_or("unknown");
        let judged = if is_closed(sample) {
            let (wanted, answer) = (yes_no(gold), yes_no(reply));
            let right = wanted.is_some() && wanted == answer;
            let repaired = if wanted.is_some() { f64::from(u8::from(right)) } else { as_text };
            HarnessVerdict {
                extracted: answer.map(str::to_owned),
                ..HarnessVerdict::new(right, "", "closed: yes or no")
            }
            .also("closed")
            .with("repaired", repaired)
        } else {
            HarnessVerdict::new(as_text == 1.0, said, "open: equal without punctuation")
                .also("open")
                .with("repaired", as_text)
        };
        judged.also(format!("q_type {kind}"))
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        let mut out = vec![
            sums.figure(VERDICT, "accuracy"),
            sums.figure("closed", "closed"),
            sums.figure("open", "open"),
            sums.figure(
                "repaired",
                "accuracy with closed answers other than yes/no compared as text (not theirs)",
            ),
        ];
        out.extend(sums.under("q_type ").map(|kind| sums.figure(&format!("q_type {kind}"), kind)));
        out
    }
}
