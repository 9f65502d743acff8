//! MultiMedEval's visual question answering (`multimedeval/task_families.py`, class `VQA`).

use super::parts::gold_text;
use super::{Figure, Judged, Profile, Row};
use crate::metrics::words::mean;
use crate::metrics::{self, Compute, token_f1, vqa_normal};
use loupe_core::{Sample, Score};
use std::collections::HashSet;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn Profile] = &[&Vqa];

#[derive(Debug, Clone, Copy)]
struct Vqa;

impl Profile for Vqa {
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

    fn score(&self, sample: &Sample, reply: &str) -> Judged {
        let Some(gold) = gold_text(sample) else { return Judged::not_applicable("no reference text") };
        let (wanted, said) = (vqa_normal::normalise_lower(gold), vqa_normal::normalise_lower(reply));
        let overlap = token_f1::of_multimedeval(gold, reply);
        let bleu = match metrics::by_name("bleu1_torchmetrics").map(|e| e.compute) {
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
        let rule = if closed { "closed: the word occurs" } else { "open: recall of 0.75" };
        let bleu = if let Score::Value(v) = bleu { v } else { 0.0 };
        let parts = vec![("F1", overlap.f1), ("recall", overlap.recall), ("bleu", bleu), ("closed", f64::from(u8::from(closed)))];
        Judged { parts, ..Judged::new(right, said, rule) }
    }

    fn aggregate(&self, rows: &[Row]) -> Vec<Figure> {
        let part = |rows: &[&Row], name: &str| mean(rows.iter().filter_map(|r| r.judged.part(name)));
        let all: Vec<&Row> = rows.iter().collect();
        let (closed, open): (Vec<&Row>, Vec<&Row>) = all.iter().partition(|r| r.judged.part("closed") == Some(1.0));
        let right = |rows: &[&Row]| mean(rows.iter().map(|r| r.judged.value()));
        vec![
            Figure::new("closedQuestionsAccuracy", right(&closed), closed.len()),
            Figure::new("openQuestionsRecall", part(&open, "recall"), open.len()),
            Figure::new("openQuestionsAccuracy", right(&open), open.len()),
            Figure::new("F1", part(&all, "F1"), all.len()),
            Figure::new("recall", part(&all, "recall"), all.len()),
            Figure::new("bleu", part(&all, "bleu"), all.len()),
        ]
    }
}
