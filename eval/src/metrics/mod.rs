//! Metrics: one file each, every published convention under its own name.
//!
//! [`METRICS`] lists all of them. Text metrics take a reference and a reply; corpus metrics a whole
//! set of pairs; boxes, points and masks have typed functions in their files ([`Compute::Typed`]).
//! Metrics that need files of the user ([`Compute::Needs`]) are metrics once these are loaded.

use loupe_core::{Metric, Prediction, Sample, Score, Target};
use report_sections::{Part, Preprocess};

pub mod annotations;
pub mod assign;
pub mod bertscore;
pub mod bleu;
pub mod boundary;
pub mod boxes;
pub mod chexbert;
pub mod cider;
pub mod coco_map;
pub mod count;
pub mod exact_match;
pub mod green;
pub mod lesions;
pub mod mask_overlap;
pub mod meteor;
pub mod nltk_words;
pub mod points;
pub mod porter;
pub mod punkt;
pub mod radcliq;
pub mod radfact;
pub mod radgraph;
pub mod region;
pub mod report_sections;
pub mod rouge;
pub mod surface;
pub mod surface_table;
pub mod token_f1;
pub mod vqa_normal;
pub mod wordnet;
pub mod words;

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
    /// A text encoder ([`bertscore::BertScores`]).
    TextEncoder,
    /// The database of WordNet ([`wordnet::WordNet`]).
    WordNet,
    /// That, and a model of sentence ends ([`punkt::Punkt`]).
    WordNetAndPunkt,
}

/// A line of [`METRICS`].
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
    const fn text(
        name: &'static str,
        convention: &'static str,
        unit: &'static str,
        f: fn(&str, &str) -> Score,
    ) -> Self {
        Self { name, convention, higher_is_better: true, unit, compute: Compute::Text(f) }
    }

    const fn corpus(
        name: &'static str,
        convention: &'static str,
        unit: &'static str,
        f: fn(&[(&str, &str)]) -> Score,
    ) -> Self {
        Self { name, convention, higher_is_better: true, unit, compute: Compute::Corpus(f) }
    }

    const fn needs(
        name: &'static str,
        convention: &'static str,
        unit: &'static str,
        resource: Resource,
    ) -> Self {
        Self { name, convention, higher_is_better: true, unit, compute: Compute::Needs(resource) }
    }

    const fn typed(
        name: &'static str,
        convention: &'static str,
        unit: &'static str,
        higher_is_better: bool,
    ) -> Self {
        Self { name, convention, higher_is_better, unit, compute: Compute::Typed }
    }
}

/// Every file of this folder with its metrics; files without any are shared parts.
pub static METRICS: &[(&str, &[Entry])] = &[
    ("annotations", &[]),
    ("assign", &[]),
    ("bertscore", bertscore::ENTRIES),
    ("bleu", bleu::ENTRIES),
    ("boundary", boundary::ENTRIES),
    ("boxes", boxes::ENTRIES),
    ("chexbert", chexbert::ENTRIES),
    ("cider", cider::ENTRIES),
    ("coco_map", coco_map::ENTRIES),
    ("count", count::ENTRIES),
    ("exact_match", exact_match::ENTRIES),
    ("green", green::ENTRIES),
    ("lesions", lesions::ENTRIES),
    ("mask_overlap", mask_overlap::ENTRIES),
    ("meteor", meteor::ENTRIES),
    ("nltk_words", &[]),
    ("points", points::ENTRIES),
    ("porter", &[]),
    ("punkt", &[]),
    ("radcliq", radcliq::ENTRIES),
    ("radfact", radfact::ENTRIES),
    ("radgraph", radgraph::ENTRIES),
    ("region", &[]),
    ("report_sections", &[]),
    ("rouge", rouge::ENTRIES),
    ("surface", surface::ENTRIES),
    ("surface_table", &[]),
    ("token_f1", token_f1::ENTRIES),
    ("vqa_normal", &[]),
    ("wordnet", &[]),
    ("words", &[]),
];

/// All metrics.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    METRICS.iter().flat_map(|(_, entries)| entries.iter())
}

/// The metric of that name.
pub fn by_name(name: &str) -> Option<&'static Entry> {
    all().find(|e| e.name == name)
}

/// What of a report a metric is given; other references and their replies are taken as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts {
    /// Which sections.
    pub part: Part,
    /// The clean-up of both sides.
    pub clean: Preprocess,
}

impl Default for Texts {
    fn default() -> Self {
        Self { part: Part::Whole, clean: Preprocess::RAW }
    }
}

impl Texts {
    /// For the note under a table.
    pub fn name(self) -> String {
        format!("reports: {}; {}", self.part.name(), self.clean.name())
    }

    /// The accepted wordings and the reply.
    fn of(self, sample: &Sample, prediction: &Prediction) -> Result<(Vec<String>, String), &'static str> {
        let reply = prediction.text().ok_or("the item failed")?;
        match &sample.target {
            Target::Text(wordings) => Ok((wordings.clone(), reply.to_owned())),
            Target::Report(sections) => {
                let reference = self.clean.apply(&report_sections::joined(sections, self.part));
                Ok((vec![reference], self.clean.apply(&report_sections::part(reply, self.part))))
            }
            _ => Err("the reference is not a text"),
        }
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
fn best_of(
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
        let score = figure(wording, &reply);
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
        (self.compute)(&texts)
    }
}

/// `figure()`, unless there is nothing to compare.
fn need_words(pairs: &[(&str, &str)], figure: impl FnOnce() -> f64) -> Score {
    if pairs.is_empty() { Score::Unscored("no pairs".into()) } else { Score::Value(figure()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_is_listed_and_every_name_is_unique() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/metrics");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|f| f.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "rs"))
            .map(|p| p.file_stem().unwrap().to_string_lossy().into_owned())
            .filter(|n| n != "mod")
            .collect();
        let listed: BTreeSet<String> = METRICS.iter().map(|(f, _)| (*f).to_owned()).collect();
        assert_eq!(files, listed);
        let names: Vec<&str> = all().map(|e| e.name).collect();
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len());
    }
}
