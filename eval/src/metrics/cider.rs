//! CIDEr and CIDEr-D (Vedantam et al. 2015).
//!
//! What pycocoevalcap prints as "CIDEr" is CIDEr-D without stemming: counts are clipped and a
//! Gaussian (σ = 6) penalises a difference in length. Both weigh n-grams by their rarity among the
//! references of the set at hand, so a figure is only comparable within one set.

use super::entry::Entry;
use super::words::{mean, ngrams};
use loupe_core::Score;
use std::collections::HashMap;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::corpus(
        "cider_d",
        "pycocoevalcap Cider (clipped, sigma 6); lower case, \" .\", white space",
        "0-10",
        |p| whole(p, true),
    ),
    Entry::corpus("cider", "CIDEr as published: cosine without clipping or length penalty", "0-10", |p| {
        whole(p, false)
    }),
];

const ORDERS: usize = 4;
const SIGMA: f64 = 6.0;

type Grams = HashMap<Vec<String>, usize>;

fn grams(text: &str) -> [Grams; ORDERS] {
    let words: Vec<String> =
        text.to_lowercase().replace('.', " .").split_whitespace().map(str::to_owned).collect();
    std::array::from_fn(|n| ngrams(&words, n + 1).into_iter().map(|(g, c)| (g.to_vec(), c)).collect())
}

struct Weighted {
    vector: [HashMap<Vec<String>, f64>; ORDERS],
    norm: [f64; ORDERS],
    /// Number of word pairs, which pycocoevalcap takes for the length.
    pairs: f64,
}

fn weigh(grams: [Grams; ORDERS], rarity: &impl Fn(&Vec<String>) -> f64) -> Weighted {
    let pairs = grams[1].values().sum::<usize>() as f64;
    let vector = grams.map(|g| {
        g.into_iter()
            .map(|(gram, n)| {
                let weight = n as f64 * rarity(&gram);
                (gram, weight)
            })
            .collect::<HashMap<_, _>>()
    });
    let norm = std::array::from_fn(|n| vector[n].values().map(|w: &f64| w * w).sum::<f64>().sqrt());
    Weighted { vector, norm, pairs }
}

/// CIDEr(-D) of each pair of a set, in the set's order.
pub fn per_pair(pairs: &[(&str, &str)], clipped: bool) -> Vec<f64> {
    let references: Vec<[Grams; ORDERS]> = pairs.iter().map(|(r, _)| grams(r)).collect();
    let mut seen_in: HashMap<&Vec<String>, usize> = HashMap::new();
    for gram in references.iter().flatten().flat_map(HashMap::keys) {
        *seen_in.entry(gram).or_insert(0) += 1;
    }
    let log_n = (pairs.len() as f64).ln();
    let rarity = |gram: &Vec<String>| log_n - (seen_in.get(gram).copied().unwrap_or(0) as f64).max(1.0).ln();
    pairs
        .iter()
        .zip(&references)
        .map(|((_, reply), reference)| {
            let (said, wanted) = (weigh(grams(reply), &rarity), weigh(reference.clone(), &rarity));
            let penalty = if clipped {
                (-(said.pairs - wanted.pairs).powi(2) / (2.0 * SIGMA * SIGMA)).exp()
            } else {
                1.0
            };
            let cosine = |n: usize| {
                let dot: f64 = said.vector[n]
                    .iter()
                    .filter_map(|(g, w)| {
                        wanted.vector[n].get(g).map(|v| if clipped { w.min(*v) * v } else { w * v })
                    })
                    .sum();
                let norms = said.norm[n] * wanted.norm[n];
                if norms > 0.0 { dot / norms } else { dot }
            };
            10.0 * penalty * mean((0..ORDERS).map(cosine))
        })
        .collect()
}

fn whole(pairs: &[(&str, &str)], clipped: bool) -> Score {
    if pairs.is_empty() {
        return Score::Unscored("no pairs".into());
    }
    Score::Value(mean(per_pair(pairs, clipped)))
}
