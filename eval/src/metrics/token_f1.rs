//! Word-overlap F1 of short answers. Five published definitions share the name; each is here under
//! its own.

use super::entry::Entry;
use super::vqa_normal;
use super::words::{counts, f1, overlap, share, word_runs};
use loupe_core::Score;
use std::collections::HashSet;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::text("token_f1", "bag of words: lower case, ASCII punctuation removed", "share", bag),
    Entry::text(
        "token_f1_set",
        "MedEvalKit calculate_f1: sets of white-space words, lower case",
        "share",
        set,
    ),
    Entry::text(
        "token_f1_karma",
        "KARMA tokenised_f1: line breaks and periods dropped, \\w+, bag",
        "share",
        karma,
    ),
    Entry::text(
        "token_f1_llava_med",
        "LLaVA-Med: VQA v2 normaliser, hits weighted by the reply's counts",
        "share",
        llava_med,
    ),
    Entry::text(
        "token_recall_llava_med",
        "LLaVA-Med \"open\" score: recall of the same count",
        "share",
        llava_med_recall,
    ),
    Entry::text(
        "token_f1_multimedeval",
        "MultiMedEval: VQA v2 normaliser, sets, 1e-8 in the denominator",
        "share",
        multimedeval,
    ),
];

/// Precision, recall and F1 of one pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// Share of the reply's words found in the reference.
    pub precision: f64,
    /// Share of the reference's words found in the reply.
    pub recall: f64,
    /// The harmonic mean, as the convention computes it.
    pub f1: f64,
}

const NONE: Overlap = Overlap { precision: 0.0, recall: 0.0, f1: 0.0 };

fn of_bags(reference: &[&str], reply: &[&str]) -> Overlap {
    let same = overlap(&counts(reference.iter()), &counts(reply.iter()));
    let (precision, recall) = (share(same, reply.len()), share(same, reference.len()));
    Overlap { precision, recall, f1: f1(precision, recall) }
}

fn of_sets(reference: &str, reply: &str) -> Option<Overlap> {
    let (reference, reply): (HashSet<_>, HashSet<_>) =
        (reference.split_whitespace().collect(), reply.split_whitespace().collect());
    if reference.is_empty() || reply.is_empty() {
        return None;
    }
    let same = reference.intersection(&reply).count();
    let (precision, recall) = (share(same, reply.len()), share(same, reference.len()));
    Some(Overlap { precision, recall, f1: f1(precision, recall) })
}

/// KARMA's `tokenised_f1`.
pub fn of_karma(reference: &str, reply: &str) -> Overlap {
    let tokens = |text: &str| text.replace(['\n', '.'], "").to_lowercase();
    let (reference, reply) = (tokens(reference), tokens(reply));
    of_bags(&word_runs(&reference), &word_runs(&reply))
}

/// MedEvalKit's `calculate_f1`; `None` when a side has no words, where the original returns a bare
/// 0 that its caller cannot unpack.
pub fn of_medevalkit(reference: &str, reply: &str) -> Option<Overlap> {
    of_sets(&reference.to_lowercase(), &reply.to_lowercase())
}

/// LLaVA-Med's `calculate_f1score`: a word of the reply that occurs in the reference counts as often
/// as it is said. Both sides are normalised here; the callers of the original normalise once more.
pub fn of_llava_med(reference: &str, reply: &str) -> Overlap {
    let (reference, reply) =
        (vqa_normal::normalise(reference).to_lowercase(), vqa_normal::normalise(reply).to_lowercase());
    let (wanted, said) = (counts(reference.split_whitespace()), counts(reply.split_whitespace()));
    if wanted.is_empty() || said.is_empty() {
        return NONE;
    }
    let hits: usize = said.iter().filter(|(w, _)| wanted.contains_key(*w)).map(|(_, n)| n).sum();
    let missed: usize = wanted.iter().filter(|(w, _)| !said.contains_key(*w)).map(|(_, n)| n).sum();
    if hits == 0 {
        return NONE;
    }
    let (precision, recall) = (share(hits, said.values().sum()), share(hits, hits + missed));
    Overlap { precision, recall, f1: f1(precision, recall) }
}

/// LLaVA-Med's `calculate_exactmatch`, which is a precision: distinct reference words found over
/// all words said.
pub fn llava_med_exact(reference: &str, reply: &str) -> f64 {
    let (reference, reply) =
        (vqa_normal::normalise(reference).to_lowercase(), vqa_normal::normalise(reply).to_lowercase());
    let said = counts(reply.split_whitespace());
    let found = counts(reference.split_whitespace()).keys().filter(|w| said.contains_key(*w)).count();
    share(found, said.values().sum())
}

/// MultiMedEval's precision, recall and F1 on sets of normalised words.
pub fn of_multimedeval(reference: &str, reply: &str) -> Overlap {
    let (reference, reply) = (vqa_normal::normalise_lower(reference), vqa_normal::normalise_lower(reply));
    let Some(found) = of_sets(&reference, &reply) else { return NONE };
    let (p, r) = (found.precision, found.recall);
    Overlap { f1: 2.0 * (p * r) / (p + r + 1e-8), ..found }
}

fn bag(reference: &str, reply: &str) -> Score {
    let (reference, reply) =
        (super::exact_match::plain_form(reference), super::exact_match::plain_form(reply));
    let (wanted, said): (Vec<_>, Vec<_>) = (
        reference.split(' ').filter(|w| !w.is_empty()).collect(),
        reply.split(' ').filter(|w| !w.is_empty()).collect(),
    );
    if wanted.is_empty() && said.is_empty() {
        return Score::Value(1.0);
    }
    Score::Value(of_bags(&wanted, &said).f1)
}

fn set(reference: &str, reply: &str) -> Score {
    of_medevalkit(reference, reply)
        .map_or(Score::Unscored("one side has no words".into()), |o| Score::Value(o.f1))
}

fn karma(reference: &str, reply: &str) -> Score {
    Score::Value(of_karma(reference, reply).f1)
}

fn llava_med(reference: &str, reply: &str) -> Score {
    Score::Value(of_llava_med(&reference.to_lowercase(), &reply.to_lowercase()).f1)
}

fn llava_med_recall(reference: &str, reply: &str) -> Score {
    Score::Value(of_llava_med(&reference.to_lowercase(), &reply.to_lowercase()).recall)
}

fn multimedeval(reference: &str, reply: &str) -> Score {
    Score::Value(of_multimedeval(reference, reply).f1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn conventions_differ_on_repeated_words() {
        let (gold, said) = ("left lung", "left left lung lesion");
        assert!((of_medevalkit(gold, said).unwrap().f1 - 0.8).abs() < 1e-12);
        assert!((of_karma(gold, said).f1 - 2.0 * 0.5 / 1.5).abs() < 1e-12);
        assert!((of_llava_med(gold, said).precision - 0.75).abs() < 1e-12);
        assert!(of_medevalkit("", "x").is_none());
    }
}
