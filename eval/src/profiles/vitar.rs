//! ViTAR (`eval_medvqa.py`); the reply is that of the second round.

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict};
use loupe_core::Sample;
use regex::Regex;
use std::sync::LazyLock;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&Vitar];

#[derive(Debug, Clone, Copy)]
struct Vitar;

impl HarnessProfile for Vitar {
    fn name(&self) -> &'static str {
        "vitar"
    }

    fn harness(&self) -> &'static str {
        "JLINEkai/ViTAR"
    }

    fn commit(&self) -> &'static str {
        "1448fb2f68652c103dad01983d09de59b0af6d11"
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "only a Terminate action with an \"answer\" is read, and of it the first character in upper case",
            "unread replies are left out of the overall accuracy but count as wrong in the accuracy by data set",
            "figures are percentages",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        static ACTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(
                r#"\{\s*"name"\s*:\s*"Terminate"\s*,\s*"arguments"\s*:\s*\{[^}]*?"answer"\s*:\s*"([^"]+)""#,
            )
            .ok()
        });
        let Some(gold) = super::harness::gold_letter(sample) else {
            return super::harness::no_choice(sample);
        };
        let answer = ACTION.as_ref().and_then(|r| r.captures(reply)).and_then(|c| c.get(1));
        let set = sample.tag("dataset").unwrap_or("unknown");
        let judged = match answer.and_then(|a| a.as_str().to_uppercase().chars().next()) {
            Some(letter) => {
                HarnessVerdict::new(letter == gold, letter, "the first character of the answer").also("read")
            }
            None => HarnessVerdict::unparsed("no Terminate action").with(format!("unread {set}"), 1.0),
        };
        judged.also(format!("set {set}"))
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        let mut out = vec![HarnessFigure::new("accuracy", 100.0 * sums.mean("read"), sums.n("read"))];
        for set in sums.under("set ") {
            let all = format!("set {set}");
            let n = sums.n(&all);
            let unread = sums.sum(&format!("unread {set}"));
            out.push(HarnessFigure::new(format!("{set} accuracy"), 100.0 * sums.mean(&all), n));
            out.push(HarnessFigure::new(format!("{set} error_rate"), 100.0 * unread / n as f64, n));
        }
        out
    }
}
