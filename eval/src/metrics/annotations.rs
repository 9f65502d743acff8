//! What networks outside loupe say about reports, imported from a file of JSON lines, one a report:
//!
//! ```json
//! {"id": "s1", "radgraph": {"reference": {"entities": {}}, "reply": {"entities": {}}},
//!  "chexbert": {"reference": [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "reply": [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]},
//!  "chexbert_embedding": {"reference": [0.1], "reply": [0.2]}, "bertscore": 0.61, "bleu2": 0.21,
//!  "green": {"matched": 3, "significant": [0, 1, 0, 0, 0, 0]}, "ratescore": 0.58, "crimson": 0.4, "medval": 2, "radeval": {"temporal_f1": 0.5},
//!  "radfact": {"reply": [{"text": "Nodule.", "status": "entailment", "boxes": [[0.1, 0.2, 0.3, 0.4]], "evidence": [0]}],
//!              "reference": [{"text": "A nodule.", "status": "entailment", "boxes": [[0.1, 0.2, 0.3, 0.5]], "evidence": [0]}]}}
//! ```
//!
//! `radfact` holds the phrases of both reports: whether the other report entails a phrase (`entailment` or
//! `not_entailment`), its boxes in shares of the picture or `null`, and the phrases given as evidence, by
//! their number in the other report or as objects with `boxes`. The `candidate_phrases` and
//! `reference_phrases` of RadFact's own results, with boxes of `x_min` …, are read as they are.
//! A line that is no annotation is refused by its number and its field, and the others are used: [`Annotations::refused`].
//!
//! Every field but the id may be absent; `green` may also be the words of the GREEN model, `crimson` what CRIMSON's judge wrote (findings,
//! matches and errors as JSON), `radeval` holds figures of RadEval by the names of [`super::radeval`]. RadCliQ comes where its four parts are
//! there.

use super::annotation_facts::{AnnotationFacts, RefusedLine};
use super::chexbert::{FIVE, Labels, OBSERVATIONS, f1, similarity};
use super::medval::RiskLevel;
use super::radcliq::{self, Parts};
use super::radfact::{self, Direction};
use super::{chexbert, crimson, green, radeval, radgraph};
use loupe_core::files::each_line;
use loupe_core::words::did_you_mean;
use loupe_core::{Metric, Prediction, Sample, Score};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

/// Something of the reference report and of the reply.
#[derive(Debug, Clone, Deserialize)]
struct Both<T> {
    reference: T,
    reply: T,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Green {
    Counts { matched: u32, significant: [u32; 6] },
    Words(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Crimson {
    Score(f64),
    Evaluation(crimson::Evaluation),
}

#[derive(Debug, Clone, Deserialize)]
struct Line {
    id: String,
    /// The fields that it has.
    #[serde(skip)]
    fields: Vec<String>,
    radgraph: Option<Both<radgraph::Annotation>>,
    chexbert: Option<Both<Labels>>,
    chexbert_embedding: Option<Both<Vec<f64>>>,
    bertscore: Option<f64>,
    bleu2: Option<f64>,
    green: Option<Green>,
    radfact: Option<radfact::Reports>,
    ratescore: Option<f64>,
    crimson: Option<Crimson>,
    medval: Option<RiskLevel>,
    #[serde(default)]
    radeval: BTreeMap<String, f64>,
}

/// What each field holds, for messages.
static FIELDS: [(&str, &str); 12] = [
    ("id", "a text"),
    ("radgraph", "{\"reference\": {\"entities\": …}, \"reply\": {\"entities\": …}}"),
    ("chexbert", "{\"reference\": […], \"reply\": […]} with 14 numbers from 0 to 3 each"),
    ("chexbert_embedding", "{\"reference\": […], \"reply\": […]} with numbers"),
    ("bertscore", "a number from -1 to 1"),
    ("bleu2", "a number from 0 to 1"),
    ("green", "{\"matched\": n, \"significant\": [six numbers]} or the words of the GREEN model"),
    ("radfact", "{\"reply\": [phrases], \"reference\": [phrases]}, each with a status"),
    ("ratescore", "a number from 0 to 1"),
    ("crimson", "a number from -1 to 1, or findings, matches and errors as CRIMSON's judge writes them"),
    ("medval", "a risk level: 1, 2, 3 or 4"),
    ("radeval", "numbers by the names of RadEval's figures"),
];

/// The fields of the annotations that a figure is made of; none where it is no figure of annotations.
pub fn fields_of(figure: &str) -> &'static [&'static str] {
    match figure {
        name if radeval::ENTRIES.iter().any(|entry| entry.name == name) => &["radeval"],
        "chexbert_similarity" => &["chexbert_embedding"],
        "medval_risk" => &["medval"],
        name if name.starts_with("radcliq") => radcliq::FIELDS,
        name => {
            let first = name.split('_').next().unwrap_or_default();
            let known = FIELDS.iter().find(|(field, _)| *field == first);
            known.map_or(&[][..], |(field, _)| std::slice::from_ref(field))
        }
    }
}

impl Line {
    /// A line as it stands in the file; what is wrong comes with the id, where that can be read.
    fn of(line: &[u8]) -> Result<Self, (Option<String>, String)> {
        let nameless = |problem: String| (None::<String>, problem);
        let text = std::str::from_utf8(line).map_err(|_| nameless("it is not UTF-8".to_owned()))?;
        let fields: Map<String, Value> = serde_json::from_str(text).map_err(|e| {
            nameless(format!("no JSON object ({:?} error at column {})", e.classify(), e.column()))
        })?;
        let id = fields.get("id").and_then(Value::as_str).map(str::to_owned);
        Self::read(fields).map_err(|problem| (id, problem))
    }

    /// A line, field by field, so that what is wrong can be named.
    fn read(fields: Map<String, Value>) -> Result<Self, String> {
        let id = fields.get("id").filter(|id| id.is_string()).ok_or("it has no \"id\" that is a text")?;
        for (name, value) in &fields {
            let Some((_, holds)) = FIELDS.iter().find(|(field, _)| field == name) else {
                let near = did_you_mean(name, FIELDS.iter().map(|(field, _)| *field));
                let all: Vec<&str> = FIELDS.iter().map(|(field, _)| *field).collect();
                return Err(format!("a field is none that is read{near}; there are {}", all.join(", ")));
            };
            let one: Map<String, Value> =
                [("id".to_owned(), id.clone()), (name.clone(), value.clone())].into_iter().collect();
            let read = serde_json::from_value::<Self>(Value::Object(one)).ok();
            let sound = read.is_some_and(|line| line.is_in_range());
            if !sound {
                return Err(format!("the field {name:?} does not hold what is expected: {holds}"));
            }
            let known = |name: &String| radeval::ENTRIES.iter().any(|entry| entry.name == name);
            if name == "radeval"
                && let Some(strange) = value.as_object().and_then(|of| of.keys().find(|name| !known(name)))
            {
                let all: Vec<&str> = radeval::ENTRIES.iter().map(|entry| entry.name).collect();
                let near = did_you_mean(strange, all.iter().copied());
                return Err(format!(
                    "the field \"radeval\" has a figure that is not read{near}; there are {}",
                    all.join(", ")
                ));
            }
        }
        let names = fields.keys().cloned().collect();
        let line: Self =
            serde_json::from_value(Value::Object(fields)).map_err(|_| "it is no annotation".to_owned())?;
        Ok(Self { fields: names, ..line })
    }

    /// Are the figures that were computed elsewhere such as can be?
    fn is_in_range(&self) -> bool {
        let within = |value: Option<f64>, low: f64| value.is_none_or(|value| (low..=1.0).contains(&value));
        let crimson = match &self.crimson {
            Some(Crimson::Score(score)) => Some(*score),
            _ => None,
        };
        within(self.bertscore, -1.0)
            && within(crimson, -1.0)
            && [self.bleu2, self.ratescore].into_iter().all(|value| within(value, 0.0))
            && self.radeval.values().all(|value| within(Some(*value), -1.0))
    }
}

/// Annotations by sample.
#[derive(Debug, Default)]
pub struct Annotations {
    lines: HashMap<String, Line>,
    refused: Vec<RefusedLine>,
    /// Of the samples that have none because their line was refused, the place among the refused ones.
    lost: HashMap<String, usize>,
}

/// A figure of one report; nothing where its parts are not annotated.
type OfLine = fn(&Line) -> Option<f64>;

fn combined(line: &Line) -> Option<f64> {
    line.radgraph.as_ref().map(|r| radgraph::combined(&r.reference, &r.reply))
}

fn chexbert_similarity(line: &Line) -> Option<f64> {
    line.chexbert_embedding.as_ref().and_then(|e| similarity(&e.reference, &e.reply))
}

fn parts(line: &Line) -> Option<Parts> {
    Some(Parts {
        radgraph_combined: combined(line)?,
        bertscore: line.bertscore?,
        chexbert_similarity: chexbert_similarity(line)?,
        bleu2: line.bleu2?,
    })
}

fn precision(line: &Line) -> Option<Direction> {
    line.radfact.as_ref().map(|r| radfact::direction(&r.reply))
}

fn recall(line: &Line) -> Option<Direction> {
    line.radfact.as_ref().map(|r| radfact::direction(&r.reference))
}

/// Figures of single reports; an error measure where the flag is false.
const FIGURES: [(&str, bool, OfLine); 23] = [
    ("radgraph_combined", true, combined),
    ("radgraph_simple", true, |l| l.radgraph.as_ref().map(|r| radgraph::simple(&r.reference, &r.reply))),
    ("radgraph_partial", true, |l| l.radgraph.as_ref().map(|r| radgraph::partial(&r.reference, &r.reply))),
    ("radgraph_complete", true, |l| l.radgraph.as_ref().map(|r| radgraph::complete(&r.reference, &r.reply))),
    ("chexbert_similarity", true, chexbert_similarity),
    ("green", true, |l| match l.green.as_ref()? {
        Green::Counts { matched, significant } => {
            Some(green::Findings { matched: *matched, significant: *significant }.green())
        }
        Green::Words(words) => green::read(words).map(green::Findings::green),
    }),
    ("radcliq_v0", false, |l| parts(l).map(radcliq::v0)),
    ("radcliq_v1", false, |l| parts(l).map(radcliq::v1)),
    ("radfact_logical_precision", true, |l| precision(l)?.logical),
    ("radfact_logical_recall", true, |l| recall(l)?.logical),
    ("radfact_grounding_precision", true, |l| precision(l)?.grounding),
    ("radfact_grounding_recall", true, |l| recall(l)?.grounding),
    ("radfact_spatial_precision", true, |l| precision(l)?.spatial),
    ("radfact_spatial_recall", true, |l| recall(l)?.spatial),
    ("ratescore", true, |l| l.ratescore),
    ("crimson", true, |l| {
        l.crimson.as_ref().map(|crimson| match crimson {
            Crimson::Score(score) => *score,
            Crimson::Evaluation(evaluation) => evaluation.score(),
        })
    }),
    ("medval_risk", false, |l| l.medval.map(RiskLevel::value)),
    ("radeval_bertscore", true, |l| l.radeval.get("radeval_bertscore").copied()),
    ("srrbert_weighted_f1", true, |l| l.radeval.get("srrbert_weighted_f1").copied()),
    ("temporal_f1", true, |l| l.radeval.get("temporal_f1").copied()),
    ("mammo_green", true, |l| l.radeval.get("mammo_green").copied()),
    ("f1radbert_ct_sample_acc", true, |l| l.radeval.get("f1radbert_ct_sample_acc").copied()),
    ("radfact_ct_f1", true, |l| l.radeval.get("radfact_ct_f1").copied()),
];

/// The figures of a set that are made from two means, which come before them: name, precision, recall.
pub const HARMONIC: [(&str, &str, &str); 3] = [
    ("radfact_logical_f1", "radfact_logical_precision", "radfact_logical_recall"),
    ("radfact_grounding_f1", "radfact_grounding_precision", "radfact_grounding_recall"),
    ("radfact_spatial_f1", "radfact_spatial_precision", "radfact_spatial_recall"),
];

/// Names of everything that annotations give figures of.
pub fn names() -> impl Iterator<Item = &'static str> {
    let labels = chexbert::ENTRIES.iter().map(|entry| entry.name);
    FIGURES.iter().map(|(name, ..)| *name).chain(HARMONIC.iter().map(|(name, ..)| *name)).chain(labels)
}

/// A metric whose values are imported.
pub struct Imported<'a> {
    of: &'a Annotations,
    name: &'static str,
    higher_is_better: bool,
    compute: OfLine,
}

impl Annotations {
    /// Reads a file of JSON lines. A line that is no annotation is among the refused ones, and so are all lines of one id where there are several:
    /// none of them can be told to be the right one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let (mut all, mut places) = (Self::default(), HashMap::new());
        each_line(path, |number, text| {
            let mut refuse = |line, id, problem| all.refused.push(RefusedLine { line, id, problem });
            let line = match Line::of(text) {
                Ok(line) => line,
                Err((id, problem)) => {
                    refuse(number, id, problem);
                    return Ok(ControlFlow::Continue(()));
                }
            };
            let again =
                |first: usize| format!("its id is that of line {first}; one line a report is expected");
            match places.get(&line.id) {
                None => {
                    places.insert(line.id.clone(), number);
                    all.lines.insert(line.id.clone(), line);
                }
                Some(&first) => {
                    if all.lines.remove(&line.id).is_some() {
                        refuse(first, Some(line.id.clone()), again(number));
                    }
                    refuse(number, Some(line.id), again(first));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        all.refused.sort_by_key(|refused| refused.line);
        let refused = std::mem::take(&mut all.refused);
        Ok(all.refusing(refused))
    }

    /// The same with lines that were refused elsewhere: of the file that these annotations were made of.
    #[must_use]
    pub fn refusing(mut self, refused: Vec<RefusedLine>) -> Self {
        self.refused = refused;
        let of = |(at, line): (usize, &RefusedLine)| Some((line.id.clone()?, at));
        self.lost = self.refused.iter().enumerate().filter_map(of).collect();
        self.lost.retain(|id, _| !self.lines.contains_key(id));
        self
    }

    /// The lines that were not used, in their order.
    pub fn refused(&self) -> &[RefusedLine] {
        &self.refused
    }

    /// How many lines are used.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Is there no line that can be used?
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The metrics that the file has anything for.
    pub fn metrics(&self) -> Vec<Imported<'_>> {
        let found =
            FIGURES.iter().filter(|(_, _, compute)| self.lines.values().any(|l| compute(l).is_some()));
        found
            .map(|&(name, higher_is_better, compute)| Imported { of: self, name, higher_is_better, compute })
            .collect()
    }

    /// The ids that are annotated.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    /// Has any line this field?
    pub fn has(&self, field: &str) -> bool {
        self.lines.values().any(|line| line.fields.iter().any(|known| known == field))
    }

    /// CheXbert labels of reference and reply.
    pub fn labels(&self, id: &str) -> Option<(Labels, Labels)> {
        self.lines.get(id)?.chexbert.as_ref().map(|l| (l.reference, l.reply))
    }

    /// Why a sample has no annotation.
    fn without(&self, id: &str) -> String {
        match self.lost.get(id).and_then(|at| self.refused.get(*at)) {
            Some(refused) => format!("its annotation was refused ({refused})"),
            None => "not annotated".to_owned(),
        }
    }
}

/// Counts the samples of a run that have annotations.
#[derive(Debug, Clone, Default)]
pub(crate) struct AnnotationTally<'a> {
    of: Option<&'a Annotations>,
    seen: HashSet<&'a str>,
    annotated: usize,
    without: usize,
}

impl<'a> AnnotationTally<'a> {
    pub(crate) fn new(of: Option<&'a Annotations>) -> Self {
        Self { of, ..Self::default() }
    }

    /// A sample, once.
    pub(crate) fn add(&mut self, id: &str) {
        let Some(of) = self.of else { return };
        let there = of.lines.contains_key(id);
        self.annotated += usize::from(there);
        self.without += usize::from(!there);
        self.seen.extend(of.lost.get_key_value(id).map(|(id, _)| id.as_str()));
    }

    pub(crate) fn finish(self) -> Option<AnnotationFacts> {
        let of = self.of?;
        let mut lost: Vec<(usize, &str)> =
            self.seen.iter().filter_map(|id| Some((*of.lost.get(*id)?, *id))).collect();
        lost.sort_unstable();
        Some(AnnotationFacts {
            lines: of.len(),
            annotated: self.annotated,
            without: self.without,
            lost: lost.into_iter().map(|(_, id)| id.to_owned()).collect(),
            refused: of.refused.clone(),
        })
    }
}

/// F1 of labels over a set, by the names of the metrics.
pub fn label_figures(pairs: &[(Labels, Labels)]) -> Vec<(&'static str, f64)> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let all: Vec<usize> = (0..OBSERVATIONS.len()).collect();
    let (fourteen, five) = (f1(pairs, &all), f1(pairs, &FIVE));
    vec![
        ("chexbert_f1_micro_14", fourteen.micro),
        ("chexbert_f1_macro_14", fourteen.macro_),
        ("chexbert_f1_weighted_14", fourteen.weighted),
        ("chexbert_f1_micro_5", five.micro),
        ("chexbert_f1_macro_5", five.macro_),
    ]
}

impl Metric for Imported<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn higher_is_better(&self) -> bool {
        self.higher_is_better
    }

    fn score(&self, sample: &Sample, prediction: &Prediction) -> Score {
        if prediction.text().is_none() {
            return Score::Unscored("the item failed".into());
        }
        let value = self.of.lines.get(&sample.id).and_then(self.compute);
        let without = || Score::Unscored(self.of.without(&sample.id).into());
        value.filter(|v| v.is_finite()).map_or_else(without, Score::Value)
    }
}
