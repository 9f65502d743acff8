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
//! Every field but the id may be absent; `green` may also be the words of the GREEN model, `crimson` what CRIMSON's judge wrote (findings,
//! matches and errors as JSON), `radeval` holds figures of RadEval by the names of [`super::radeval`]. RadCliQ comes where its four parts are
//! there.

use super::chexbert::{FIVE, Labels, OBSERVATIONS, f1, similarity};
use super::medval::RiskLevel;
use super::radcliq::{self, Parts};
use super::radfact::{self, Direction};
use super::{chexbert, crimson, green, radeval, radgraph};
use loupe_core::files::open_regular;
use loupe_core::words::did_you_mean;
use loupe_core::{Metric, Prediction, Sample, Score};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use thiserror::Error;

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
const FIELDS: [(&str, &str); 12] = [
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

/// The field of the annotations that a figure is made of.
pub fn field_of(figure: &str) -> &'static str {
    match figure {
        name if radeval::ENTRIES.iter().any(|entry| entry.name == name) => "radeval",
        "chexbert_similarity" => "chexbert_embedding",
        "medval_risk" => "medval",
        name if name.starts_with("radcliq") => "radgraph, chexbert_embedding, bertscore and bleu2",
        name => {
            let first = name.split('_').next().unwrap_or_default();
            FIELDS.iter().find(|(field, _)| *field == first).map_or("", |(field, _)| *field)
        }
    }
}

impl Line {
    /// A line, field by field, so that what is wrong can be named.
    fn read(text: &str) -> Result<Self, String> {
        let fields: Map<String, Value> = serde_json::from_str(text)
            .map_err(|e| format!("no JSON object ({:?} error at column {})", e.classify(), e.column()))?;
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
pub struct Annotations(HashMap<String, Line>);

/// Why annotations cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AnnotationError {
    /// The file cannot be read.
    #[error("the annotations cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A line is not an annotation.
    #[error("annotations, line {line}: {problem}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
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
    /// Reads a file of JSON lines.
    ///
    /// # Errors
    /// When it cannot be read, a line is not an annotation, or two are of the same report; the message names the line and its field, not its words.
    pub fn read(path: &Path) -> Result<Self, AnnotationError> {
        let (mut all, mut places) = (HashMap::new(), HashMap::new());
        for (at, text) in BufReader::new(open_regular(path)?).lines().enumerate() {
            let text = text?;
            if text.trim().is_empty() {
                continue;
            }
            let wrong = |problem: String| AnnotationError::Line { line: at + 1, problem };
            let line = Line::read(&text).map_err(wrong)?;
            if let Some(first) = places.insert(line.id.clone(), at + 1) {
                return Err(wrong(format!("its id is that of line {first}; one line a report is expected")));
            }
            all.insert(line.id.clone(), line);
        }
        Ok(Self(all))
    }

    /// The metrics that the file has anything for.
    pub fn metrics(&self) -> Vec<Imported<'_>> {
        let found = FIGURES.iter().filter(|(_, _, compute)| self.0.values().any(|l| compute(l).is_some()));
        found
            .map(|&(name, higher_is_better, compute)| Imported { of: self, name, higher_is_better, compute })
            .collect()
    }

    /// The ids that are annotated.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Has any line this field?
    pub fn has(&self, field: &str) -> bool {
        self.0.values().any(|line| line.fields.iter().any(|known| known == field))
    }

    /// CheXbert labels of reference and reply.
    pub fn labels(&self, id: &str) -> Option<(Labels, Labels)> {
        self.0.get(id)?.chexbert.as_ref().map(|l| (l.reference, l.reply))
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
        let value = self.of.0.get(&sample.id).and_then(self.compute);
        value.filter(|v| v.is_finite()).map_or(Score::Unscored("not annotated".into()), Score::Value)
    }
}
