//! MultiMedEval's visual question answering (`multimedeval/task_families.py`, class `VQA`).

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict};
use super::parts::gold_text;
use crate::metrics::{self, Compute, token_f1, vqa_normal};
use loupe_core::{Sample, Score};
use std::collections::HashSet;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&Vqa];

#[derive(Debug, Clone, Copy)]
struct Vqa;

impl HarnessProfile for Vqa {
    fn name(&self) -> &'static str {
        "multimedeval"
    }

    fn harness(&self) -> &'static str {
        "corentin-ryr/MultiMedEval"
    }

    fn commit(&self) -> &'static str {
        "d9ac283f5ad989d4f78b709f7076f432de4aa69e"
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "closed means that the cleaned reference is yes or no; Chinese answers are never closed",
            "\"yes\" anywhere among the words answers yes; \"no\" or \"not\" answers no, \"yes and no\" answers both",
            "an open answer is right when it holds 75 % of the reference's distinct words, however many others it holds",
            "only the first 32 periods are removed",
            "the mark rule looks at the whole answer: one \"- \" joins all hyphenated words",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = gold_text(sample) else {
            return HarnessVerdict::not_applicable("no reference text");
        };
        let (wanted, said) = (vqa_normal::normalise_lower(gold), vqa_normal::normalise_lower(reply));
        let overlap = token_f1::of_multimedeval(gold, reply);
        let bleu = match metrics::METRICS.get("bleu1_torchmetrics").map(|e| e.compute) {
            Some(Compute::Text(f)) => f(&wanted, &said),
            _ => Score::Value(0.0),
        };
        let closed = matches!(wanted.as_str(), "yes" | "no");
        let right = if closed {
            let words: HashSet<&str> = said.split_whitespace().collect();
            // {no} becomes {no, not}; 0.4 of it suffices.
            words.contains(wanted.as_str()) || (wanted == "no" && words.contains("not"))
        } else {
            overlap.recall >= 0.75
        };
        let (rule, kind) =
            if closed { ("closed: the word occurs", "closed") } else { ("open: recall of 0.75", "open") };
        let bleu = if let Score::Value(v) = bleu { v } else { 0.0 };
        let judged = HarnessVerdict::new(right, said, rule)
            .also(kind)
            .with("F1", overlap.f1)
            .with("recall", overlap.recall)
            .with("bleu", bleu);
        if closed { judged } else { judged.with("open recall", overlap.recall) }
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        [
            ("closed", "closedQuestionsAccuracy"),
            ("open recall", "openQuestionsRecall"),
            ("open", "openQuestionsAccuracy"),
            ("F1", "F1"),
            ("recall", "recall"),
            ("bleu", "bleu"),
        ]
        .into_iter()
        // No rows print 0 there.
        .map(|(value, name)| HarnessFigure::new(name, sums.mean(value), sums.n(value)))
        .collect()
    }
}
