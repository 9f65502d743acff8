//! The LLaVA-Med evaluation as carried on in MedPLIB (`model/eval/cal_metric.py`,
//! `evaluate_metrics.py`); "open" in most tables of the field is its recall.

use super::parts::{gold_text, is_closed, is_open};
use super::{Figure, Judged, Profile, Row};
use crate::metrics::words::mean;
use crate::metrics::{bleu, token_f1, vqa_normal::normalise};
use loupe_core::Sample;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn Profile] = &[&LlavaMed];

#[derive(Debug, Clone, Copy)]
struct LlavaMed;

/// The columns of an open answer; both sides are already normalised once, as there.
pub fn open_columns(gold: &str, said: &str) -> Vec<(&'static str, f64)> {
    let overlap = token_f1::of_llava_med(gold, said);
    vec![
        ("exact match", token_f1::llava_med_exact(gold, said)),
        ("f1", overlap.f1),
        ("precision", overlap.precision),
        ("recall", overlap.recall),
        ("bleu_score", bleu::nltk_weighted(gold, said, &[0.25; 4])),
        ("bleu_score_1", bleu::nltk_weighted(gold, said, &[1.0, 0.0, 0.0, 0.0])),
        ("bleu_score_2", bleu::nltk_weighted(gold, said, &[0.0, 1.0, 0.0, 0.0])),
        ("bleu_score_3", bleu::nltk_weighted(gold, said, &[0.0, 0.0, 1.0, 0.0])),
    ]
}

/// Means of the open columns, in the order printed.
pub fn open_figures(open: &[&Row]) -> Vec<Figure> {
    ["exact match", "f1", "precision", "recall", "bleu_score", "bleu_score_1", "bleu_score_2", "bleu_score_3"]
        .into_iter()
        .map(|column| Figure::new(column, mean(open.iter().filter_map(|r| r.judged.part(column))), open.len()))
        .collect()
}

impl Profile for LlavaMed {
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

    fn score(&self, sample: &Sample, reply: &str) -> Judged {
        let Some(gold) = gold_text(sample) else { return Judged::not_applicable("no reference text") };
        let (gold, said) = (normalise(&gold.to_lowercase()), normalise(&reply.to_lowercase()));
        if is_closed(sample) {
            return Judged::new(gold == said, said, "closed: equal after normalising");
        }
        if !is_open(sample) {
            return Judged::not_applicable("neither OPEN nor CLOSED by answer_type");
        }
        let parts = open_columns(&gold, &said);
        let recall = parts.iter().find(|(n, _)| *n == "recall").map_or(0.0, |(_, v)| *v);
        let mut judged = Judged { parts, ..Judged::new(false, said, "open: recall of words") };
        judged.verdict = loupe_core::Score::Value(recall);
        judged
    }

    fn aggregate(&self, rows: &[Row]) -> Vec<Figure> {
        let open: Vec<&Row> = rows.iter().filter(|r| is_open(r.sample)).collect();
        let closed: Vec<&Row> = rows.iter().filter(|r| is_closed(r.sample)).collect();
        let mut out = open_figures(&open);
        out.push(Figure::new("open accuracy", if open.is_empty() { 0.0 } else { 11.0 }, open.len()));
        out.push(Figure::new("yes/no accuracy", mean(closed.iter().map(|r| r.judged.value())), closed.len()));
        out
    }
}
