//! What a metric is: a line of the table, and how it is called.

use super::texts::Texts;
use loupe_core::{Metric, Named, Prediction, Sample, Score};

/// How a metric is called.
#[derive(Debug, Clone, Copy)]
pub enum Compute {
    /// `(reference, reply)` of one pair.
    Text(fn(&str, &str) -> Score),
    /// `(reference, reply)` of every pair of a set.
    Corpus(fn(&[(&str, &str)]) -> Score),
    /// Texts too, with something that the user has.
    Needs(Resource),
    /// Through the functions of its file, which take boxes, points, masks or annotations.
    Typed,
}

/// What a metric of texts cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A text encoder ([`super::bertscore::BertScores`]).
    TextEncoder,
    /// The database of WordNet ([`super::wordnet::WordNet`]).
    WordNet,
    /// That, and a model of sentence ends ([`super::punkt::Punkt`]).
    WordNetAndPunkt,
}

/// A line of [`super::METRICS`].
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Name in tables and on the command line.
    pub name: &'static str,
    /// Whose convention it reproduces.
    pub convention: &'static str,
    /// Is more better?
    pub higher_is_better: bool,
    /// Unit of the figure.
    pub unit: &'static str,
    /// How it is called.
    pub compute: Compute,
}

impl Entry {
    pub(super) const fn text(
        name: &'static str,
        convention: &'static str,
        unit: &'static str,
        f: fn(&str, &str) -> Score,
    ) -> Self {
        Self { name, convention, higher_is_better: true, unit, compute: Compute::Text(f) }
    }

    pub(super) const fn corpus(
        name: &'static str,
        convention: &'static str,
        unit: &'static str,
        f: fn(&[(&str, &str)]) -> Score,
    ) -> Self {
        Self { name, convention, higher_is_better: true, unit, compute: Compute::Corpus(f) }
    }

    pub(super) const fn needs(
        name: &'static str,
        convention: &'static str,
        unit: &'static str,
        resource: Resource,
    ) -> Self {
        Self { name, convention, higher_is_better: true, unit, compute: Compute::Needs(resource) }
    }

    pub(super) const fn typed(
        name: &'static str,
        convention: &'static str,
        unit: &'static str,
        higher_is_better: bool,
    ) -> Self {
        Self { name, convention, higher_is_better, unit, compute: Compute::Typed }
    }
}

/// A text metric as the runner's [`Metric`]: the best over the accepted wordings of the reference.
#[derive(Debug, Clone, Copy)]
pub struct TextMetric {
    entry: &'static Entry,
    compute: fn(&str, &str) -> Score,
    texts: Texts,
}

/// A metric of a whole set of texts: the first wording is the reference.
#[derive(Debug, Clone, Copy)]
pub struct TextCorpusMetric {
    entry: &'static Entry,
    compute: fn(&[(&str, &str)]) -> Score,
    texts: Texts,
}

impl Entry {
    /// This entry as a [`Metric`] of these texts, if it is a text metric.
    pub fn as_metric(&'static self, texts: Texts) -> Option<TextMetric> {
        if let Compute::Text(compute) = self.compute {
            Some(TextMetric { entry: self, compute, texts })
        } else {
            None
        }
    }

    /// This entry as a metric of a whole set, if it is one.
    pub fn as_corpus_metric(&'static self, texts: Texts) -> Option<TextCorpusMetric> {
        if let Compute::Corpus(compute) = self.compute {
            Some(TextCorpusMetric { entry: self, compute, texts })
        } else {
            None
        }
    }
}

impl Metric for TextMetric {
    fn name(&self) -> &'static str {
        self.entry.name
    }

    fn higher_is_better(&self) -> bool {
        self.entry.higher_is_better
    }

    fn score(&self, sample: &Sample, prediction: &Prediction) -> Score {
        best_of(self.texts, sample, prediction, self.higher_is_better(), self.compute)
    }
}

/// The best of `figure(reference, reply)` over the accepted wordings of the reference.
pub(super) fn best_of(
    texts: Texts,
    sample: &Sample,
    prediction: &Prediction,
    higher_is_better: bool,
    figure: impl Fn(&str, &str) -> Score,
) -> Score {
    let (wordings, reply) = match texts.of(sample, prediction) {
        Ok(texts) => texts,
        Err(why) => return Score::Unscored(why.into()),
    };
    let mut best: Option<Score> = None;
    for wording in &wordings {
        let score = figure(wording, &reply).finite();
        best = Some(match (best, score) {
            (Some(Score::Value(a)), Score::Value(b)) => {
                Score::Value(if (a < b) == higher_is_better { b } else { a })
            }
            (None | Some(Score::Unscored(_)), score) => score,
            (Some(kept), Score::Unscored(_)) => kept,
        });
    }
    best.unwrap_or(Score::Unscored("no reference".into()))
}

impl TextCorpusMetric {
    /// Its line of the table.
    pub fn entry(&self) -> &'static Entry {
        self.entry
    }

    /// The reference and the reply of a row that takes part.
    pub fn pair(&self, sample: &Sample, prediction: &Prediction) -> Option<(String, String)> {
        let (wordings, reply) = self.texts.of(sample, prediction).ok()?;
        Some((wordings.into_iter().next()?, reply))
    }

    /// The figure of a set.
    pub fn figure(&self, pairs: &[(String, String)]) -> Score {
        let texts: Vec<(&str, &str)> = pairs.iter().map(|(r, h)| (r.as_str(), h.as_str())).collect();
        (self.compute)(&texts).finite()
    }
}

/// `figure()`, unless there is nothing to compare.
pub(super) fn need_words(pairs: &[(&str, &str)], figure: impl FnOnce() -> f64) -> Score {
    if pairs.is_empty() { Score::Unscored("no pairs".into()) } else { Score::Value(figure()) }
}

impl Named for Entry {
    fn name(&self) -> &str {
        self.name
    }
}
