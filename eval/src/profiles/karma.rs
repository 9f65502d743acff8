//! KARMA (`karma/metrics/common_metrics.py`, `karma/eval_datasets`).

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict, VERDICT};
use super::parts::gold_text;
use crate::metrics::token_f1;
use loupe_core::Sample;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[
    &Karma { name: "karma", final_answer: false },
    &Karma { name: "karma-final-answer", final_answer: true },
];

/// With `final_answer`, only what follows a literal "Final Answer:" counts (SLAKE and others).
#[derive(Debug, Clone, Copy)]
struct Karma {
    name: &'static str,
    final_answer: bool,
}

impl HarnessProfile for Karma {
    fn name(&self) -> &'static str {
        self.name
    }

    fn harness(&self) -> &'static str {
        "eka-care/KARMA-OpenMedEvalKit"
    }

    fn commit(&self) -> &'static str {
        "fe151014e7c6fefcafb5fa9fcf0abcbf276f1359"
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "exact match folds case and nothing else: a period makes a reply wrong",
            "the F1 drops line breaks instead of parting words at them",
            "with \"Final Answer:\" the part up to a second one counts, and a reply without it is empty",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = gold_text(sample) else {
            return HarnessVerdict::not_applicable("no reference text");
        };
        let gold = gold.to_lowercase();
        let (said, rule) = if self.final_answer {
            match reply.split("Final Answer:").nth(1) {
                Some(tail) => (tail.trim(), "equal after \"Final Answer:\", case folded"),
                None => ("", "no \"Final Answer:\""),
            }
        } else {
            (reply, "equal, case folded")
        };
        let right = said.to_lowercase() == gold;
        HarnessVerdict::new(right, said, rule).with("tokenised_f1", token_f1::of_karma(&gold, said).f1)
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        vec![sums.figure(VERDICT, "exact_match"), sums.figure("tokenised_f1", "tokenised_f1")]
    }
}
