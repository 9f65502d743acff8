//! The LLaVA-Med evaluation as carried on in MedPLIB (`model/eval/cal_metric.py`,
//! `evaluate_metrics.py`); "open" in most tables of the field is its recall.

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict};
use super::parts::{gold_text, is_closed, is_open};
use crate::metrics::{bleu, token_f1, vqa_normal::normalise};
use loupe_core::{Sample, Score};

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&LlavaMed];

#[derive(Debug, Clone, Copy)]
struct LlavaMed;

/// The columns of an open answer, in the order printed.
const COLUMNS: [&str; 8] = [
    "exact match",
    "f1",
    "precision",
    "recall",
    "bleu_score",
    "bleu_score_1",
    "bleu_score_2",
    "bleu_score_3",
];

/// An open answer: the verdict is the recall. Both sides are already normalised once, as there.
pub fn judge_open(gold: &str, said: &str) -> HarnessVerdict {
    let overlap = token_f1::of_llava_med(gold, said);
    let values = [
        token_f1::llava_med_exact(gold, said),
        overlap.f1,
        overlap.precision,
        overlap.recall,
        bleu::nltk_weighted(gold, said, &[0.25; 4]),
        bleu::nltk_weighted(gold, said, &[1.0, 0.0, 0.0, 0.0]),
        bleu::nltk_weighted(gold, said, &[0.0, 1.0, 0.0, 0.0]),
        bleu::nltk_weighted(gold, said, &[0.0, 0.0, 1.0, 0.0]),
    ];
    let judged = HarnessVerdict {
        verdict: Score::Value(overlap.recall),
        ..HarnessVerdict::new(false, said, "open: recall of words")
    };
    COLUMNS.into_iter().zip(values).fold(judged, |j, (column, value)| j.with(column, value))
}

/// Means of the open columns.
pub fn open_figures(sums: &HarnessSums) -> Vec<HarnessFigure> {
    COLUMNS.into_iter().map(|column| HarnessFigure::new(column, sums.mean(column), sums.n(column))).collect()
}

impl HarnessProfile for LlavaMed {
    fn name(&self) -> &'static str {
        "llava-med"
    }

    fn harness(&self) -> &'static str {
        "ShawnHuang497/MedPLIB (legacy LLaVA-Med rule)"
    }

    fn commit(&self) -> &'static str {
        "5ab54bcd72140a5e4aade727d713a46760da49e7"
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "open and closed are the set's answer_type; other rows are left out",
            "closed: the whole normalised reply must equal the reference, so \"Yes, there is\" is wrong",
            "\"exact match\" is a precision: distinct reference words found over all words said",
            "a repeated word counts as often as the reply says it",
            "bleu_score_2 and _3 are the precision of one n-gram order, not BLEU-2 and BLEU-3",
            "\"open accuracy\" prints 1100 % unless a candidate set is given",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = gold_text(sample) else {
            return HarnessVerdict::not_applicable("no reference text");
        };
        let (gold, said) = (normalise(&gold.to_lowercase()), normalise(&reply.to_lowercase()));
        if is_closed(sample) {
            return HarnessVerdict::new(gold == said, said, "closed: equal after normalising").also("closed");
        }
        if !is_open(sample) {
            return HarnessVerdict::not_applicable("neither OPEN nor CLOSED by answer_type");
        }
        judge_open(&gold, &said)
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        let mut out = open_figures(sums);
        let open = sums.n("recall");
        out.push(HarnessFigure::new("open accuracy", if open == 0 { 0.0 } else { 11.0 }, open));
        out.push(HarnessFigure::new("yes/no accuracy", sums.mean("closed"), sums.n("closed")));
        out
    }
}
