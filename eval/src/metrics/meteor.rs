//! METEOR (Lavie and Agarwal 2007) as nltk 3.10.4's `meteor_score` computes it: words that are equal, then
//! those with equal Porter stems, then those whose stems WordNet calls synonyms, go together, later words
//! of the reply first, each with the last fitting word of the reference. α 0.9, β 3, γ 0.5.
//!
//! Words are in lower case: what stands between white space (`meteor`), or what nltk's `word_tokenize` cuts
//! (`meteor_word_tokenize`, as MultiMedEval and TemMed-Bench do). Without a word in common, or without any
//! words, the score is 0. Of several references the best counts.

use super::entry::{Entry, Resource, best_of};
use super::nltk_words::word_tokenize;
use super::porter;
use super::punkt::Punkt;
use super::texts::Texts;
use super::wordnet::WordNet;
use super::words::is_python_space;
use loupe_core::{Metric, Prediction, Sample, Score};
use std::collections::{HashMap, HashSet};

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::needs("meteor", "nltk 3.10.4 meteor_score; white space (--wordnet)", "share", Resource::WordNet),
    Entry::needs(
        "meteor_word_tokenize",
        "nltk 3.10.4 meteor_score; word_tokenize, as MultiMedEval and TemMed-Bench (--wordnet, --punkt)",
        "share",
        Resource::WordNetAndPunkt,
    ),
];

const ALPHA: f64 = 0.9;
const BETA: f64 = 3.0;
const GAMMA: f64 = 0.5;

/// A word with its place.
type Placed = (usize, String);

/// Words that have no partner yet, and the pairs of places (reply, reference) found so far.
struct Alignment {
    reply: Vec<Placed>,
    reference: Vec<Placed>,
    pairs: Vec<(usize, usize)>,
}

impl Alignment {
    /// Gives each word of the reply, the last first, the last word of the reference that is among
    /// `fitting(word)`.
    fn pair<'a, I: Iterator<Item = &'a str>>(&mut self, fitting: impl Fn(&'a str) -> I, reply: &'a [Placed]) {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, (_, word)) in self.reference.iter().enumerate() {
            places.entry(word).or_default().push(at);
        }
        let (mut taken, mut left) = (HashSet::new(), Vec::new());
        for (place, word) in reply.iter().rev() {
            let free = |w: &str| places.get(w).and_then(|p| p.last()).copied();
            match fitting(word).filter_map(|w| Some((free(w)?, w))).max() {
                Some((at, w)) => {
                    places.get_mut(w).map(Vec::pop);
                    taken.insert(at);
                    self.pairs.push((*place, self.reference[at].0));
                }
                None => left.push((*place, word.clone())),
            }
        }
        left.reverse();
        self.reply = left;
        let mut at = 0..;
        self.reference.retain(|_| at.next().is_none_or(|at| !taken.contains(&at)));
    }

    fn stem(&mut self) {
        for (_, word) in self.reply.iter_mut().chain(&mut self.reference) {
            *word = porter::stem(word);
        }
    }
}

/// METEOR of two lists of words.
pub fn meteor(reference: &[String], reply: &[String], wordnet: &WordNet) -> f64 {
    let placed = |words: &[String]| words.iter().cloned().enumerate().collect::<Vec<_>>();
    let mut all = Alignment { reply: placed(reply), reference: placed(reference), pairs: Vec::new() };
    let words = std::mem::take(&mut all.reply);
    all.pair(|word| [word].into_iter(), &words);
    all.stem();
    let stems = std::mem::take(&mut all.reply);
    all.pair(|word| [word].into_iter(), &stems);
    let stems = std::mem::take(&mut all.reply);
    all.pair(|word| wordnet.synonyms(word).chain([word]), &stems);

    let mut pairs = all.pairs;
    if pairs.is_empty() {
        return 0.0;
    }
    pairs.sort_unstable();
    let breaks = pairs.windows(2).filter(|w| (w[0].0 + 1, w[0].1 + 1) != w[1]).count();
    let matches = pairs.len() as f64;
    let (precision, recall) = (matches / reply.len() as f64, matches / reference.len() as f64);
    let mean = precision * recall / (ALPHA * precision + (1.0 - ALPHA) * recall);
    let penalty = GAMMA * ((breaks + 1) as f64 / matches).powf(BETA);
    (1.0 - penalty) * mean
}

/// METEOR with a WordNet.
#[derive(Debug, Clone, Copy)]
pub struct MeteorMetric<'a> {
    /// For synonyms.
    pub wordnet: &'a WordNet,
    /// For sentences, where words are cut by `word_tokenize`.
    pub punkt: Option<&'a Punkt>,
    /// What of a report is compared.
    pub texts: Texts,
}

impl Metric for MeteorMetric<'_> {
    fn name(&self) -> &'static str {
        if self.punkt.is_some() { "meteor_word_tokenize" } else { "meteor" }
    }

    fn score(&self, sample: &Sample, prediction: &Prediction) -> Score {
        let lower = |word: &str| word.to_lowercase();
        let words = |text: &str| -> Vec<String> {
            match self.punkt {
                Some(punkt) => word_tokenize(text, punkt).iter().map(|w| lower(w)).collect(),
                None => text.split(is_python_space).filter(|w| !w.is_empty()).map(lower).collect(),
            }
        };
        best_of(self.texts, sample, prediction, true, |reference, reply| {
            Score::Value(meteor(&words(reference), &words(reply), self.wordnet))
        })
    }
}
