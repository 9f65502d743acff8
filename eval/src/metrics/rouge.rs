//! ROUGE (Lin 2004) as the packages in use compute it.
//!
//! `rouge_score` 0.1.2 counts n-grams and the plain longest common subsequence; `rouge` 1.0.1 uses
//! *sets* of n-grams and words and a union of subsequences over sentences; pycocoevalcap weighs
//! recall with β = 1.2; torchmetrics is `rouge_score`'s formula rounded to single precision.

use super::entry::Entry;
use super::porter;
use super::words::{Tie, counts, f1, lcs_len, lcs_positions, ngrams, overlap, share};
use loupe_core::Score;
use std::collections::HashSet;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::text("rouge1", "rouge_score 0.1.2, no stemmer", "share", |r, h| {
        value(rouge_n(&tokens(r, false), &tokens(h, false), 1))
    }),
    Entry::text("rouge2", "rouge_score 0.1.2, no stemmer", "share", |r, h| {
        value(rouge_n(&tokens(r, false), &tokens(h, false), 2))
    }),
    Entry::text("rouge_l", "rouge_score 0.1.2, no stemmer", "share", |r, h| {
        bounded(r, h, || value(rouge_l(&tokens(r, false), &tokens(h, false))))
    }),
    Entry::text(
        "rouge_lsum",
        "rouge_score 0.1.2 rougeLsum, no stemmer, sentences at line breaks",
        "share",
        |r, h| rouge_lsum(r, h, false),
    ),
    Entry::text("rouge1_stem", "rouge_score 0.1.2, Porter stemmer", "share", |r, h| {
        value(rouge_n(&tokens(r, true), &tokens(h, true), 1))
    }),
    Entry::text("rouge2_stem", "rouge_score 0.1.2, Porter stemmer", "share", |r, h| {
        value(rouge_n(&tokens(r, true), &tokens(h, true), 2))
    }),
    Entry::text("rouge_l_stem", "rouge_score 0.1.2, Porter stemmer", "share", |r, h| {
        bounded(r, h, || value(rouge_l(&tokens(r, true), &tokens(h, true))))
    }),
    Entry::text("rouge_lsum_stem", "rouge_score 0.1.2 rougeLsum, Porter stemmer", "share", |r, h| {
        rouge_lsum(r, h, true)
    }),
    Entry::text("rouge1_torchmetrics", "torchmetrics rouge1_fmeasure, single precision", "share", |r, h| {
        single(rouge_n(&tokens(r, false), &tokens(h, false), 1))
    }),
    Entry::text("rouge_l_torchmetrics", "torchmetrics rougeL_fmeasure, single precision", "share", |r, h| {
        bounded(r, h, || single(rouge_l(&tokens(r, false), &tokens(h, false))))
    }),
    Entry::text("rouge1_sets", "rouge 1.0.1 rouge-1 F on lower case (MedEvalKit)", "share", |r, h| {
        package(r, h, |p| p.rouge_n(1))
    }),
    Entry::text("rouge2_sets", "rouge 1.0.1 rouge-2 F on lower case (MedEvalKit)", "share", |r, h| {
        package(r, h, |p| p.rouge_n(2))
    }),
    Entry::text("rouge_l_sets", "rouge 1.0.1 rouge-l F on lower case (MedEvalKit)", "share", |r, h| {
        package(r, h, Package::rouge_l)
    }),
    Entry::text(
        "rouge_l_coco",
        "pycocoevalcap Rouge: beta 1.2; lower case, \" .\", white space",
        "share",
        |r, h| bounded(r, h, || coco(r, h)),
    ),
];

/// Most cells of the table of a longest common subsequence whose length alone is wanted.
const MOST_STEPS: usize = 2_000_000_000;
/// Most cells of such a table that is kept. Far below it the recursion of `rouge` 1.0.1 is too deep.
const MOST_KEPT: usize = 25_000_000;

/// `figure(reference, reply)`, unless the two are so long that the table would take minutes.
fn bounded(reference: &str, reply: &str, figure: impl FnOnce() -> Score) -> Score {
    // A word and its space take two bytes at least.
    if (reference.len() / 2).saturating_mul(reply.len() / 2) > MOST_STEPS {
        return Score::Unscored("both texts are too long for a longest common subsequence".into());
    }
    figure()
}

fn value(f: f64) -> Score {
    Score::Value(f)
}

fn single(f: f64) -> Score {
    Score::Value(f64::from(f as f32))
}

/// `rouge_score`'s tokens: runs of ASCII letters and digits in lower case, stemmed above 3 letters.
pub fn tokens(text: &str, stem: bool) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(|w| if stem && w.len() > 3 { porter::stem(w) } else { w.to_owned() })
        .collect()
}

fn of_counts(same: usize, wanted: usize, said: usize) -> f64 {
    f1(share(same, said.max(1)), share(same, wanted.max(1)))
}

/// ROUGE-N F-measure of two token lists.
pub fn rouge_n(reference: &[String], reply: &[String], n: usize) -> f64 {
    let (wanted, said) = (ngrams(reference, n), ngrams(reply, n));
    of_counts(overlap(&wanted, &said), wanted.values().sum(), said.values().sum())
}

/// ROUGE-L F-measure of two token lists.
pub fn rouge_l(reference: &[String], reply: &[String]) -> f64 {
    if reference.is_empty() || reply.is_empty() {
        return 0.0;
    }
    of_counts(lcs_len(reference, reply), reference.len(), reply.len())
}

fn rouge_lsum(reference: &str, reply: &str, stem: bool) -> Score {
    let sentences = |text: &str| -> Vec<Vec<String>> {
        text.split('\n').filter(|s| !s.is_empty()).map(|s| tokens(s, stem)).collect()
    };
    let (reference, reply) = (sentences(reference), sentences(reply));
    let (wanted, said) = (reference.iter().map(Vec::len).sum(), reply.iter().map(Vec::len).sum());
    let longest = |sentences: &[Vec<String>]| sentences.iter().map(Vec::len).max().unwrap_or(0);
    if longest(&reference).saturating_mul(longest(&reply)) > MOST_KEPT {
        return Score::Unscored("sentences are too long for a longest common subsequence".into());
    }
    let mut left_r = counts(reference.iter().flatten());
    let mut left_h = counts(reply.iter().flatten());
    let mut hits = 0;
    for sentence in &reference {
        let union: HashSet<usize> =
            reply.iter().flat_map(|s| lcs_positions(sentence, s, Tie::Left)).collect();
        let mut positions: Vec<usize> = union.into_iter().collect();
        positions.sort_unstable();
        for word in positions.into_iter().filter_map(|i| sentence.get(i)) {
            if let (Some(r @ 1..), Some(h @ 1..)) = (left_r.get_mut(word), left_h.get_mut(word)) {
                (*r, *h, hits) = (*r - 1, *h - 1, hits + 1);
            }
        }
    }
    value(of_counts(hits, wanted, said))
}

/// A pair as `rouge` 1.0.1 sees it: sentences between periods, words between single spaces.
struct Package {
    reference: Vec<Vec<String>>,
    reply: Vec<Vec<String>>,
}

impl Package {
    /// The pair, or the exception with which the package stops.
    fn of(reference: &str, reply: &str) -> Result<Self, &'static str> {
        let pair = Self {
            reference: Self::sentences(&reference.to_lowercase()),
            reply: Self::sentences(&reply.to_lowercase()),
        };
        if pair.reply.is_empty() {
            return Err("ValueError: Hypothesis is empty.");
        }
        if pair.reference.is_empty() {
            return Err("ValueError: Reference is empty.");
        }
        let longest = |sentences: &[Vec<String>]| sentences.iter().map(Vec::len).max().unwrap_or(0);
        if longest(&pair.reference).saturating_mul(longest(&pair.reply)) > MOST_KEPT {
            return Err("RecursionError: maximum recursion depth exceeded");
        }
        Ok(pair)
    }

    fn sentences(text: &str) -> Vec<Vec<String>> {
        text.split('.')
            .filter(|s| !s.is_empty())
            .map(|s| {
                s.split_whitespace().collect::<Vec<_>>().join(" ").split(' ').map(str::to_owned).collect()
            })
            .collect()
    }

    fn with_epsilon(same: usize, wanted: usize, said: usize) -> f64 {
        let (p, r) = (share(same, said), share(same, wanted));
        2.0 * ((p * r) / (p + r + 1e-8))
    }

    fn rouge_n(&self, n: usize) -> f64 {
        let flat = |sentences: &[Vec<String>]| sentences.iter().flatten().cloned().collect::<Vec<_>>();
        let (reference, reply) = (flat(&self.reference), flat(&self.reply));
        let wanted: HashSet<&[String]> = reference.windows(n).collect();
        let said: HashSet<&[String]> = reply.windows(n).collect();
        Self::with_epsilon(wanted.intersection(&said).count(), wanted.len(), said.len())
    }

    fn rouge_l(&self) -> f64 {
        let distinct = |sentences: &[Vec<String>]| sentences.iter().flatten().collect::<HashSet<_>>().len();
        let mut union: HashSet<&str> = HashSet::new();
        for sentence in &self.reference {
            for said in &self.reply {
                union.extend(
                    lcs_positions(sentence, said, Tie::Right)
                        .into_iter()
                        .filter_map(|i| sentence.get(i))
                        .map(String::as_str),
                );
            }
        }
        Self::with_epsilon(union.len(), distinct(&self.reference), distinct(&self.reply))
    }
}

/// F-measures rouge-1, rouge-2 and rouge-l of `rouge` 1.0.1 on lower-cased text, or its exception.
pub fn package_scores(reference: &str, reply: &str) -> Result<[f64; 3], &'static str> {
    let pair = Package::of(reference, reply)?;
    Ok([pair.rouge_n(1), pair.rouge_n(2), pair.rouge_l()])
}

fn package(reference: &str, reply: &str, figure: fn(&Package) -> f64) -> Score {
    match Package::of(reference, reply) {
        Ok(pair) => Score::Value(figure(&pair)),
        Err(exception) => Score::Unscored(format!("rouge 1.0.1 stops: {exception}").into()),
    }
}

fn coco(reference: &str, reply: &str) -> Score {
    const BETA: f64 = 1.2;
    let dotted = |text: &str| text.to_lowercase().replace('.', " .");
    let (reference, reply) = (dotted(reference), dotted(reply));
    let (wanted, said): (Vec<_>, Vec<_>) =
        (reference.split_whitespace().collect(), reply.split_whitespace().collect());
    let same = lcs_len(&wanted, &said);
    let (p, r) = (share(same, said.len()), share(same, wanted.len()));
    Score::Value(if p > 0.0 && r > 0.0 { (1.0 + BETA * BETA) * p * r / (r + BETA * BETA * p) } else { 0.0 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::super::Compute;
    use super::*;

    #[test]
    fn very_long_texts_are_refused_not_computed() {
        let long = "lung ".repeat(100_000);
        for entry in ENTRIES {
            let Compute::Text(f) = entry.compute else { panic!() };
            let both = f(&long, &long);
            let refused = matches!(both, Score::Unscored(_));
            assert!(
                refused || entry.name.starts_with("rouge1") || entry.name.starts_with("rouge2"),
                "{}",
                entry.name
            );
            assert!(matches!(f("left lung", &long), Score::Value(v) if v < 1.0), "{}", entry.name);
        }
        assert!(package_scores(&long, &long).unwrap_err().contains("Recursion"));
    }
}
