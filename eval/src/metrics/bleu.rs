//! BLEU (Papineni et al. 2002) as four packages compute it. They agree on the formula and differ in
//! tokens, smoothing, brevity and in what an n-gram order without any match does.

use super::entry::{Entry, need_words};
use super::words::{ngrams, overlap};
use loupe_core::Score;
use regex::Regex;
use std::sync::LazyLock;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::text(
        "bleu1_nltk",
        "nltk sentence_bleu, no smoothing; lower case, \" .\" split at spaces (MedEvalKit)",
        "share",
        |r, h| nltk_plain(r, h, 1),
    ),
    Entry::text("bleu2_nltk", "as bleu1_nltk, orders 1-2", "share", |r, h| nltk_plain(r, h, 2)),
    Entry::text("bleu3_nltk", "as bleu1_nltk, orders 1-3", "share", |r, h| nltk_plain(r, h, 3)),
    Entry::text("bleu4_nltk", "as bleu1_nltk, orders 1-4", "share", |r, h| nltk_plain(r, h, 4)),
    Entry::text(
        "bleu4_nltk_method1",
        "nltk sentence_bleu, method1 (0.1), lower case, white space",
        "share",
        nltk_method1,
    ),
    Entry::text(
        "bleu_sacrebleu_sentence",
        "sacrebleu sentence_bleu: 13a, exp smoothing, effective order",
        "0-100",
        sacrebleu_sentence,
    ),
    Entry::text(
        "bleu1_torchmetrics",
        "torchmetrics BLEUScore(n_gram=1), single precision",
        "share",
        |r, h| torchmetrics(r, h, 1),
    ),
    Entry::text(
        "bleu2_torchmetrics",
        "torchmetrics BLEUScore(n_gram=2), single precision",
        "share",
        |r, h| torchmetrics(r, h, 2),
    ),
    Entry::text(
        "bleu4_torchmetrics",
        "torchmetrics BLEUScore(n_gram=4), single precision",
        "share",
        |r, h| torchmetrics(r, h, 4),
    ),
    Entry::corpus(
        "bleu1_coco",
        "pycocoevalcap Bleu over the set; lower case, \" .\", white space",
        "share",
        |p| coco(p, 1),
    ),
    Entry::corpus("bleu2_coco", "as bleu1_coco, orders 1-2", "share", |p| coco(p, 2)),
    Entry::corpus("bleu3_coco", "as bleu1_coco, orders 1-3", "share", |p| coco(p, 3)),
    Entry::corpus("bleu4_coco", "as bleu1_coco, orders 1-4", "share", |p| coco(p, 4)),
    Entry::corpus(
        "bleu4_nltk_corpus",
        "nltk corpus_bleu over the set; lower case, \" .\", white space",
        "share",
        nltk_corpus,
    ),
    Entry::corpus("bleu_sacrebleu", "sacrebleu corpus_bleu: 13a, exp smoothing", "0-100", sacrebleu_corpus),
];

/// Matches and lengths of one or many pairs, by n-gram order.
#[derive(Debug, Clone, Default, PartialEq)]
struct Tally {
    matches: Vec<usize>,
    totals: Vec<usize>,
    said: usize,
    wanted: usize,
}

impl Tally {
    fn of<T: Eq + std::hash::Hash>(reference: &[T], reply: &[T], orders: usize) -> Self {
        let mut tally = Self { said: reply.len(), wanted: reference.len(), ..Self::default() };
        for n in 1..=orders {
            tally.matches.push(overlap(&ngrams(reply, n), &ngrams(reference, n)));
            tally.totals.push(reply.len().saturating_sub(n - 1));
        }
        tally
    }

    fn add(&mut self, other: &Self) {
        let orders = self.matches.len().max(other.matches.len());
        self.matches.resize(orders, 0);
        self.totals.resize(orders, 0);
        for (n, (m, t)) in other.matches.iter().zip(&other.totals).enumerate() {
            self.matches[n] += m;
            self.totals[n] += t;
        }
        self.said += other.said;
        self.wanted += other.wanted;
    }

    /// `exp(1 - r/c)` for a reply that is not longer than its reference.
    fn brevity(&self) -> f64 {
        if self.said > self.wanted {
            1.0
        } else if self.said == 0 {
            0.0
        } else {
            (1.0 - self.wanted as f64 / self.said as f64).exp()
        }
    }

    /// nltk: an order without a match counts as `empty(matches, total)`, the smallest normal number
    /// when not smoothed; no match of single words at all is 0.
    fn nltk(&self, weights: &[f64], empty: fn(usize) -> f64) -> f64 {
        if self.matches.first().is_none_or(|m| *m == 0) {
            return 0.0;
        }
        let logs = self.matches.iter().zip(&self.totals).zip(weights).map(|((m, t), w)| {
            let total = (*t).max(1);
            w * if *m == 0 { empty(total) } else { *m as f64 / total as f64 }.ln()
        });
        self.brevity() * logs.sum::<f64>().exp()
    }

    fn sacrebleu(&self, effective_order: bool) -> f64 {
        if self.matches.iter().all(|m| *m == 0) {
            return 0.0;
        }
        let (mut halving, mut order, mut sum) = (1.0, 4, 0.0);
        for (n, (m, t)) in self.matches.iter().zip(&self.totals).enumerate() {
            let precision = if *t == 0 {
                // sacrebleu's logarithm of an order that cannot occur.
                if !effective_order {
                    sum += -9_999_999_999.0 * (4 - n) as f64;
                }
                break;
            } else if *m == 0 {
                halving *= 2.0;
                100.0 / (halving * *t as f64)
            } else {
                100.0 * *m as f64 / *t as f64
            };
            if effective_order {
                order = n + 1;
            }
            sum += f64::ln(precision);
        }
        let brevity = if self.said < self.wanted { self.brevity() } else { 1.0 };
        brevity * (sum / order as f64).exp()
    }
}

/// What nltk 3.10 puts for an order without a match when nothing smooths it: `sys.float_info.min`.
fn unsmoothed(_: usize) -> f64 {
    f64::MIN_POSITIVE
}

/// MedEvalKit's tokens: lower case, a space before each period, split at single spaces.
fn spaced(text: &str) -> Vec<String> {
    text.to_lowercase().replace('.', " .").split(' ').map(str::to_owned).collect()
}

/// The same split at any white space, which the caption packages get.
fn dotted(text: &str) -> Vec<String> {
    text.to_lowercase().replace('.', " .").split_whitespace().map(str::to_owned).collect()
}

fn lower_words(text: &str) -> Vec<String> {
    text.to_lowercase().split_whitespace().map(str::to_owned).collect()
}

/// nltk's unsmoothed sentence BLEU with equal weights on MedEvalKit's tokens.
pub fn nltk_sentence(reference: &str, reply: &str, orders: usize) -> f64 {
    Tally::of(&spaced(reference), &spaced(reply), orders).nltk(&vec![1.0 / orders as f64; orders], unsmoothed)
}

/// nltk's unsmoothed sentence BLEU on white-space words, with the weights given (LLaVA-Med gives
/// all weight to one order).
pub fn nltk_weighted(reference: &str, reply: &str, weights: &[f64]) -> f64 {
    Tally::of(&lower_words(reference), &lower_words(reply), weights.len()).nltk(weights, unsmoothed)
}

fn nltk_plain(reference: &str, reply: &str, orders: usize) -> Score {
    Score::Value(nltk_sentence(reference, reply, orders))
}

fn nltk_method1(reference: &str, reply: &str) -> Score {
    let tally = Tally::of(&lower_words(reference), &lower_words(reply), 4);
    Score::Value(tally.nltk(&[0.25; 4], |total| 0.1 / total as f64))
}

fn nltk_corpus(pairs: &[(&str, &str)]) -> Score {
    // Every sentence counts at least one n-gram of each order there.
    let tally = sum(pairs, |r, h| {
        let mut one = Tally::of(&dotted(r), &dotted(h), 4);
        one.totals.iter_mut().for_each(|t| *t = (*t).max(1));
        one
    });
    need_words(pairs, || tally.nltk(&[0.25; 4], unsmoothed))
}

fn sum(pairs: &[(&str, &str)], of: impl Fn(&str, &str) -> Tally) -> Tally {
    pairs.iter().fold(Tally::default(), |mut all, (r, h)| {
        all.add(&of(r, h));
        all
    })
}

fn sacrebleu_sentence(reference: &str, reply: &str) -> Score {
    Score::Value(Tally::of(&tokens_13a(reference), &tokens_13a(reply), 4).sacrebleu(true))
}

fn sacrebleu_corpus(pairs: &[(&str, &str)]) -> Score {
    let tally = sum(pairs, |r, h| Tally::of(&tokens_13a(r), &tokens_13a(h), 4));
    need_words(pairs, || tally.sacrebleu(false))
}

/// torchmetrics works in single precision, so does this.
fn torchmetrics(reference: &str, reply: &str, orders: usize) -> Score {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let tally = Tally::of(&words(reference), &words(reply), orders);
    if tally.matches.contains(&0) {
        return Score::Value(0.0);
    }
    let weight = 1.0 / orders as f32;
    let logs: f32 =
        tally.matches.iter().zip(&tally.totals).map(|(m, t)| weight * (*m as f32 / *t as f32).ln()).sum();
    let brevity =
        if tally.said > tally.wanted { 1.0 } else { (1.0 - tally.wanted as f32 / tally.said as f32).exp() };
    Score::Value(f64::from(brevity * logs.exp()))
}

fn coco(pairs: &[(&str, &str)], orders: usize) -> Score {
    const TINY: f64 = 1e-15;
    const SMALL: f64 = 1e-9;
    need_words(pairs, || {
        let tally = sum(pairs, |r, h| Tally::of(&dotted(r), &dotted(h), orders));
        let product: f64 = tally
            .matches
            .iter()
            .zip(&tally.totals)
            .map(|(m, t)| (*m as f64 + TINY) / (*t as f64 + SMALL))
            .product();
        let ratio = (tally.said as f64 + TINY) / (tally.wanted as f64 + SMALL);
        product.powf(1.0 / orders as f64) * if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 }
    })
}

/// The tokens of mteval-v13a (sacrebleu's default).
fn tokens_13a(text: &str) -> Vec<String> {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"([\{-\~\[-\` -\&\(-\+\:-\@\/])", " ${1} "),
            (r"([^0-9])([\.,])", "${1} ${2} "),
            (r"([\.,])([^0-9])", " ${1} ${2}"),
            (r"([0-9])(-)", "${1} ${2} "),
        ]
        .into_iter()
        .filter_map(|(pattern, put)| Some((Regex::new(pattern).ok()?, put)))
        .collect()
    });
    let text = text.trim_end().replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let text = text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
    let mut text = format!(" {text} ");
    for (rule, put) in RULES.iter() {
        text = rule.replace_all(&text, *put).into_owned();
    }
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn tokens_of_13a() {
        assert_eq!(tokens_13a("Size 3.5 cm, (left)."), ["Size", "3.5", "cm", ",", "(", "left", ")", "."]);
        assert_eq!(tokens_13a("10-mm"), ["10", "-", "mm"]);
    }

    #[test]
    fn nothing_in_common_is_zero_and_nothing_panics() {
        for entry in ENTRIES {
            for (r, h) in [("", ""), ("a", ""), ("", "a"), ("b c d e f", "x")] {
                match entry.compute {
                    super::super::Compute::Text(f) => assert!(matches!(f(r, h), Score::Value(v) if v <= 1.0)),
                    super::super::Compute::Corpus(f) => drop(f(&[(r, h)])),
                    super::super::Compute::Typed | super::super::Compute::Needs(_) => {}
                }
            }
        }
    }
}
