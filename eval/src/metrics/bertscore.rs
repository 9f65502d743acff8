//! BERTScore (Zhang et al. 2020, arXiv 1904.09675) as the package bert_score 0.3.13 computes it from one
//! layer of a text encoder: every token goes with the most similar one of the other side, similarity
//! being the cosine of their vectors.
//!
//! The tokens that frame a text have no weight but may be the most similar ones. An empty text gives 0,
//! before rescaling. Where every token of a text has the weight 0 (with idf, when all of them are in
//! every document) its side has no number and F1 is 0. Of several references each of the three figures
//! takes its own best. A maximum is taken over the tokens that are there: the package, which fills up the
//! shorter texts of a batch with zeros, prints 0 instead of a negative one in such a batch.

use super::entry::{Entry, Resource};
use super::texts::Texts;
use super::words::is_python_space;
use loupe_core::files::{SETTINGS_BYTES, read_text_at_most};
use loupe_core::{Metric, ModelError, Prediction, Sample, Score, TextEncoder};
use loupe_run::{RunError, RunFolder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use thiserror::Error;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::needs(
        "bertscore_p",
        "bert_score 0.3.13, precision (--text-encoder)",
        "score",
        Resource::TextEncoder,
    ),
    Entry::needs("bertscore_r", "bert_score 0.3.13, recall (--text-encoder)", "score", Resource::TextEncoder),
    Entry::needs("bertscore_f1", "bert_score 0.3.13, F1 (--text-encoder)", "score", Resource::TextEncoder),
];

/// Tokens whose vectors are in memory at a time, by a cautious estimate.
const AT_ONCE: usize = 1 << 15;

/// Which documents say how rare a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idf {
    /// None: every token weighs the same.
    #[default]
    None,
    /// All references, one by one for each reply (the package's `idf=True`; CXR-Report-Metric's `use_idf`).
    References,
    /// The replies (MultiMedEval).
    Replies,
}

/// What a layer gives for unrelated texts: precision, recall and F1. A figure v becomes (v − b) / (1 − b).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Precision, recall and F1 of the layer.
    pub values: [f32; 3],
}

/// Why a baseline cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// The file cannot be read.
    #[error("the baseline cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is not in the package's format.
    #[error(
        "the baseline has no row of numbers for layer {0}; expected lines LAYER,P,R,F, a line a layer from 0 on"
    )]
    Row(usize),
}

impl Baseline {
    /// The row of `layer` in a file of the package (`rescale_baseline/LANGUAGE/MODEL.tsv`): a heading,
    /// then `LAYER,P,R,F` for layer 0, 1 …; the row counts, not its number, as in the package.
    ///
    /// # Errors
    /// When the file cannot be read or lacks the row.
    pub fn read(path: &Path, layer: usize) -> Result<Self, BaselineError> {
        let text = read_text_at_most(path, SETTINGS_BYTES)?;
        let row = text.lines().filter(|l| !l.trim().is_empty()).nth(layer + 1);
        let numbers: Option<Vec<f32>> = row.and_then(|row| {
            row.split(',')
                .map(|n| n.trim().parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n as f32))
                .collect()
        });
        match numbers.as_deref() {
            Some([_, p, r, f]) => {
                let digest = Sha256::digest(text.as_bytes());
                let sha256 = digest.iter().map(|b| format!("{b:02x}")).collect();
                Ok(Self { sha256, values: [*p, *r, *f] })
            }
            _ => Err(BaselineError::Row(layer)),
        }
    }
}

/// How texts are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Layer of the encoder, 0 being its embeddings.
    pub layer: usize,
    /// Weights of tokens.
    pub idf: Idf,
    /// For rescaling.
    pub baseline: Option<Baseline>,
    /// What of a report is compared.
    pub texts: Texts,
}

/// What the figures were made with, for the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The encoder's folder.
    pub encoder: String,
    /// SHA-256 of its weights.
    pub weights_sha256: String,
    /// Its layer.
    pub layer: usize,
    /// Weights of tokens.
    pub idf: Idf,
    /// For rescaling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
}

impl Facts {
    /// For the note under a table.
    pub fn note(&self) -> String {
        let idf = match self.idf {
            Idf::None => "no idf",
            Idf::References => "idf from references",
            Idf::Replies => "idf from replies",
        };
        let rescaled = if self.baseline.is_some() { "rescaled with a baseline" } else { "not rescaled" };
        let short = self.weights_sha256.get(..12).unwrap_or(&self.weights_sha256);
        format!("BERTScore: {} ({short}), layer {}, {idf}, {rescaled}", self.encoder, self.layer)
    }
}

/// Why there are no scores.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BertScoreError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The encoder failed.
    #[error("the text encoder: {0}")]
    Encoder(#[from] ModelError),
}

/// A text as it is compared: vectors of unit length with the weights of their tokens.
struct Weighted {
    vectors: Vec<f32>,
    width: usize,
    weights: Vec<f32>,
    /// Nothing but its frame.
    empty: bool,
}

/// How many documents have a token.
#[derive(Default)]
struct Rarity {
    documents: usize,
    with: HashMap<u32, usize>,
}

impl Rarity {
    fn add(&mut self, ids: Vec<u32>) {
        self.documents += 1;
        for id in ids.into_iter().collect::<HashSet<_>>() {
            *self.with.entry(id).or_insert(0) += 1;
        }
    }

    fn weight(&self, id: u32) -> f32 {
        let with = self.with.get(&id).copied().unwrap_or(0);
        ((self.documents + 1) as f64 / (with + 1) as f64).ln() as f32
    }
}

/// Python's `str.strip`.
fn strip(text: &str) -> &str {
    text.trim_matches(is_python_space)
}

/// Sum of products, in an order that vector instructions can take.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Precision, recall and F1 before rescaling; not a number where the package has none.
fn compare(reference: &Weighted, reply: &Weighted) -> [f32; 3] {
    let (rows, columns) = (reply.weights.len(), reference.weights.len());
    let (mut of_reply, mut of_reference) = (vec![f32::NEG_INFINITY; rows], vec![f32::NEG_INFINITY; columns]);
    for (said, best) in reply.vectors.chunks_exact(reply.width).zip(&mut of_reply) {
        for (wanted, other) in reference.vectors.chunks_exact(reference.width).zip(&mut of_reference) {
            let cosine = dot(said, wanted);
            *best = best.max(cosine);
            *other = other.max(cosine);
        }
    }
    let mean = |best: &[f32], weights: &[f32]| {
        let all: f32 = weights.iter().sum();
        best.iter().zip(weights).map(|(b, w)| b * (w / all)).sum::<f32>()
    };
    let (p, r) = (mean(&of_reply, &reply.weights), mean(&of_reference, &reference.weights));
    let f = 2.0 * p * r / (p + r);
    let f = if f.is_nan() { 0.0 } else { f };
    if reply.empty || reference.empty { [0.0, 0.0, f] } else { [p, r, f] }
}

type Key = [u8; 16];

fn key(wordings: &[String], reply: &str) -> Key {
    let mut hash = Sha256::new();
    for text in wordings.iter().map(String::as_str).chain([reply]) {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let digest = hash.finalize();
    std::array::from_fn(|i| digest[i])
}

/// The scores of a run, by what was compared.
#[derive(Debug)]
pub struct BertScores {
    /// What they were made with.
    pub facts: Facts,
    texts: Texts,
    scores: HashMap<Key, [f32; 3]>,
}

/// One of the three figures as a metric.
#[derive(Debug, Clone, Copy)]
pub struct BertMetric<'a> {
    of: &'a BertScores,
    entry: &'static Entry,
    at: usize,
}

/// References with their reply.
type Pair = (Key, Vec<String>, String);

impl BertScores {
    /// Compares the texts of a run. Every text of some hundred pairs is encoded once, the vectors are
    /// then dropped; of a pair that comes again only the scores are kept. `compared` hears how many
    /// pairs are done.
    ///
    /// # Errors
    /// When the run cannot be read, or the encoder fails.
    pub fn of_run(
        folder: &RunFolder,
        encoder: &mut dyn TextEncoder,
        settings: &Settings,
        compared: &dyn Fn(usize),
    ) -> Result<Self, BertScoreError> {
        let info = encoder.info();
        let facts = Facts {
            encoder: info.name.clone(),
            weights_sha256: info.identity_sha256(),
            layer: settings.layer,
            idf: settings.idf,
            baseline: settings.baseline.clone(),
        };
        let longest = info.context_tokens.unwrap_or(usize::MAX).max(1);
        let rarity = rarity(folder, encoder, settings)?;
        let mut out = Self { facts, texts: settings.texts, scores: HashMap::new() };
        let (mut waiting, mut tokens): (Vec<Pair>, usize) = (Vec::new(), 0);
        let mut seen = HashSet::new();
        for pair in pairs(folder, settings.texts)? {
            let (key, wordings, reply) = pair?;
            if !seen.insert(key) {
                continue;
            }
            let texts = wordings.iter().chain([&reply]);
            tokens += texts.map(|t| t.len().min(longest) + 2).sum::<usize>();
            waiting.push((key, wordings, reply));
            if tokens >= AT_ONCE {
                out.compare_all(&waiting, encoder, &rarity)?;
                compared(out.scores.len());
                waiting.clear();
                tokens = 0;
            }
        }
        out.compare_all(&waiting, encoder, &rarity)?;
        compared(out.scores.len());
        Ok(out)
    }

    fn compare_all(
        &mut self,
        pairs: &[Pair],
        encoder: &mut dyn TextEncoder,
        rarity: &Option<Rarity>,
    ) -> Result<(), BertScoreError> {
        let frame = encoder.frame();
        let weight = |id: u32| match rarity {
            Some(rarity) => rarity.weight(id),
            None => f32::from(u8::from(!frame.contains(&id))),
        };
        let mut at: HashMap<&str, usize> = HashMap::new();
        let mut texts: Vec<&str> = Vec::new();
        for text in pairs.iter().flat_map(|(_, wordings, reply)| wordings.iter().chain([reply])) {
            at.entry(strip(text)).or_insert_with(|| {
                texts.push(strip(text));
                texts.len() - 1
            });
        }
        let encoded = encoder.encode(&texts, self.facts.layer)?.into_iter().map(|mut text| {
            let width = text.vectors.len() / text.ids.len().max(1);
            for vector in text.vectors.chunks_exact_mut(width.max(1)) {
                let norm = dot(vector, vector).sqrt();
                vector.iter_mut().for_each(|v| *v /= norm);
            }
            let weights = text.ids.iter().map(|id| weight(*id)).collect();
            Weighted { empty: text.ids.len() == 2, vectors: text.vectors, width: width.max(1), weights }
        });
        let encoded: Vec<Weighted> = encoded.collect();
        let of = |text: &str| at.get(strip(text)).and_then(|&i| encoded.get(i));
        for (key, wordings, reply) in pairs {
            let Some(reply) = of(reply) else { continue };
            let mut best: Option<[f32; 3]> = None;
            for reference in wordings.iter().filter_map(|w| of(w)) {
                let next = compare(reference, reply);
                // A figure that is not a number stays so, as in the package.
                let better = |a: f32, b: f32| if a.is_nan() || a > b { a } else { b };
                best = Some(best.map_or(next, |b| std::array::from_fn(|i| better(b[i], next[i]))));
            }
            if let Some(mut score) = best {
                for (v, b) in score.iter_mut().zip(self.facts.baseline.iter().flat_map(|b| b.values)) {
                    *v = (*v - b) / (1.0 - b);
                }
                self.scores.insert(*key, score);
            }
        }
        Ok(())
    }

    /// The metric of this name, when it is one of this file.
    pub fn metric(&self, name: &str) -> Option<BertMetric<'_>> {
        let at = ENTRIES.iter().position(|e| e.name == name)?;
        Some(BertMetric { of: self, entry: ENTRIES.get(at)?, at })
    }
}

/// References and replies of a run; rows without them are left out.
fn pairs(
    folder: &RunFolder,
    texts: Texts,
) -> Result<impl Iterator<Item = Result<Pair, RunError>> + '_, RunError> {
    Ok(folder.items()?.filter_map(move |item| {
        let item = match item {
            Ok(item) => item,
            Err(error) => return Some(Err(error)),
        };
        let prediction = item.prediction()?;
        let (wordings, reply) = texts.of(item.line.sample.as_ref()?, &prediction).ok()?;
        Some(Ok((key(&wordings, &reply), wordings, reply)))
    }))
}

/// How rare tokens are in the documents asked for; nothing without idf.
fn rarity(
    folder: &RunFolder,
    encoder: &dyn TextEncoder,
    settings: &Settings,
) -> Result<Option<Rarity>, BertScoreError> {
    let mut rarity = Rarity::default();
    if settings.idf == Idf::None {
        return Ok(None);
    }
    for pair in pairs(folder, settings.texts)? {
        let (_, wordings, reply) = pair?;
        let documents = if settings.idf == Idf::References { wordings } else { vec![reply] };
        for text in &documents {
            rarity.add(encoder.tokens(strip(text))?);
        }
    }
    Ok(Some(rarity))
}

impl Metric for BertMetric<'_> {
    fn name(&self) -> &'static str {
        self.entry.name
    }

    fn score(&self, sample: &Sample, prediction: &Prediction) -> Score {
        let (wordings, reply) = match self.of.texts.of(sample, prediction) {
            Ok(texts) => texts,
            Err(why) => return Score::Unscored(why.into()),
        };
        match self.of.scores.get(&key(&wordings, &reply)).map(|s| s[self.at]) {
            None => Score::Unscored("no reference".into()),
            Some(v) if v.is_nan() => Score::Unscored("every token has the weight 0".into()),
            Some(v) => Score::Value(f64::from(v)),
        }
    }
}
