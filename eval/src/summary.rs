//! The figures of a run: each with its n, its interval, its unparsed and its unscored count.

use crate::baselines::{BaselineTally, Baselines};
use crate::confusion::Confusion;
use crate::failures::Reasons;
use crate::figures::NamedSums;
use crate::grounding::{Gatherer, GroundingSummary};
use crate::metrics::AnnotationFacts;
use crate::metrics::annotations::{AnnotationTally, Annotations, HARMONIC, label_figures};
use crate::metrics::chexbert::Labels;
use crate::metrics::{Headless, TextCorpusMetric, Texts};
use crate::metrics::{bertscore, radfact, wordnet};
use crate::profile::{Case, Gather, Judgement, Profile, Verdict};
use crate::sensitivity::{Sensitivity, Spread};
use crate::stats::calibration::{Bin, Calibration, auroc, brier, errors, reliability, selective};
use crate::stats::rollouts::{Rollouts, summarise};
use loupe_core::sample::Outcome;
use loupe_core::{DatasetInfo, Metric, Provenance, Retry, Sample, Score};
use loupe_run::{MadeBy, RunError, RunFolder};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

pub use crate::failures::FailureReason;
pub use crate::figures::{Figure, LEVEL};

/// Bins of the reliability of confidences.
const BINS: usize = 15;
/// A tag with more values than this is no subgroup (file names, free text).
const MOST_VALUES: usize = 60;

/// The figures of the items that share a fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subgroup {
    /// Which fact: `organ`, `modality`, `language` …
    pub tag: String,
    /// Its value.
    pub value: String,
    /// Figures of these items.
    pub figures: Vec<Figure>,
}

/// What one profile makes of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileSummary {
    /// Name of the profile.
    pub name: String,
    /// Items by verdict.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// Unscored items that have a value of a figure all the same, as masks and reports have.
    #[serde(default)]
    pub measured: u64,
    /// Figures over all items, in order of first appearance.
    pub figures: Vec<Figure>,
    /// What the harness itself would print, where that is no plain mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub printed: Vec<(String, f64)>,
    /// Figures by fact.
    pub subgroups: Vec<Subgroup>,
    /// Items by the rule that fired.
    pub rules: BTreeMap<String, u64>,
    /// Yes-or-no questions by reference and answer, when there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
    /// Figures of several replies per item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollouts: Option<Rollouts>,
    /// Confidence against correctness, when the replies carry log-probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationSummary>,
}

/// Confidence (the probability of the reply's tokens) against correctness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationSummary {
    /// Items with a confidence.
    pub n: usize,
    /// Errors over the bins.
    pub errors: Calibration,
    /// The 15 bins of equal width from 0 to 1 that they are of.
    #[serde(default)]
    pub bins: Vec<Bin>,
    /// Brier score.
    pub brier: f64,
    /// How well confidence tells right from wrong; `None` when all are right or all wrong.
    pub auroc: Option<f64>,
    /// `(coverage, accuracy)` of the most confident 10 %, 20 % … 100 %.
    pub selective: Vec<(f64, f64)>,
}

/// Facts about a run for tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Name of the dataset.
    pub dataset: String,
    /// Name of the split.
    pub split: String,
    /// SHA-256 of its annotation files.
    pub fingerprint: String,
    /// What a group is.
    pub group_by: String,
    /// Model folder's name.
    pub model: String,
    /// SHA-256 of its weights.
    pub weights_sha256: String,
    /// Prompt recipe.
    pub prompt: String,
    /// Strategy, if not a single pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Number of samples.
    pub n: usize,
    /// Rows that the publishers of the set state for this split, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_rows: Option<usize>,
    /// Replies per sample.
    pub rollouts: usize,
    /// Another tool wrote the replies, and only it can ask again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// What a reader of the results should know, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl RunFacts {
    /// `321 of 451 published rows`, where the run is not of the whole split.
    pub fn incomplete(&self) -> Option<String> {
        let published = self.published_rows.filter(|rows| *rows != self.n)?;
        Some(format!("{} of {published} published rows", self.n))
    }
}

/// Everything that tables show about a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What was run.
    pub run: RunFacts,
    /// Number of replies, failures aside.
    pub replies: u64,
    /// Items without a reply, with a recorded reason.
    pub failed: u64,
    /// Those of them that fail however often they are asked.
    #[serde(default)]
    pub failed_for_good: u64,
    /// Items that the dataset could not give.
    pub unreadable: u64,
    /// Items that the run has not come to; 0 for a finished run.
    pub missing: u64,
    /// The commonest reasons why items failed or could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureReason>,
    /// Accuracies that need no model, over the samples that were asked.
    #[serde(default)]
    pub baselines: Baselines,
    /// One entry a profile, in the order asked for.
    pub profiles: Vec<ProfileSummary>,
    /// Text and other metrics by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Figure>,
    /// What of a report the metrics were given, when there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<String>,
    /// What of the annotations was used, when there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<AnnotationFacts>,
    /// What BERTScore was made with, when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bertscore: Option<bertscore::Facts>,
    /// Whose synonyms METEOR took, when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wordnet: Option<wordnet::Facts>,
    /// The same replies as every profile would read them, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Spread>,
    /// Boxes and points, when any were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounding: Option<GroundingSummary>,
}

impl Summary {
    /// The figure `name` of `profile`.
    pub fn figure(&self, profile: &str, name: &str) -> Option<&Figure> {
        self.profiles.iter().find(|p| p.name == profile)?.figures.iter().find(|f| f.name == name)
    }

    /// Could every line of the annotations be used, where there are any?
    pub fn uses_all_annotations(&self) -> bool {
        self.annotations.as_ref().is_none_or(|facts| facts.refused.is_empty())
    }
}

struct ProfileSums<'a> {
    profile: &'a dyn Profile,
    verdicts: BTreeMap<Verdict, u64>,
    measured: u64,
    rules: HashMap<String, u64>,
    all: NamedSums,
    /// Tag to value to sums; `None` for tags with too many values.
    by_tag: BTreeMap<String, Option<BTreeMap<String, NamedSums>>>,
    confusion: Confusion,
    right: Vec<u32>,
    confidences: Vec<(f64, bool)>,
    printed: Option<Box<dyn Gather>>,
}

/// What a run is scored by.
#[derive(Clone, Copy, Default)]
pub struct Scoring<'a> {
    /// Decisions about each reply; the first profile is the headline.
    pub profiles: &'a [&'a dyn Profile],
    /// Metrics of single replies.
    pub metrics: &'a [&'a dyn Metric],
    /// Metrics of a whole set; its texts are kept in memory for them.
    pub corpus: &'a [TextCorpusMetric],
    /// Labels of reports for figures of the whole set.
    pub annotations: Option<&'a Annotations>,
    /// What of a text the metrics are given, for the record and the count of reports without sections.
    pub texts: Texts,
    /// What BERTScore was made with, for the record.
    pub bertscore: Option<&'a bertscore::Facts>,
    /// Whose synonyms METEOR takes, for the record.
    pub wordnet: Option<&'a wordnet::Facts>,
    /// Ask every profile there is, for the range from the lowest to the highest.
    pub sensitivity: bool,
    /// Where the set's files lie now; where they lay when the run was made when not given.
    pub data_root: Option<&'a Path>,
    /// The set as it is now, where it is at hand: what has changed since the run was made is noted.
    pub set: Option<&'a DatasetInfo>,
}

/// Gathers a summary one item at a time. Memory grows with groups, not with replies (corpus metrics
/// and the few profiles that need a whole set aside).
pub struct Summariser<'a> {
    groups: HashMap<String, u32>,
    profiles: Vec<ProfileSums<'a>>,
    metrics: NamedSums,
    grounding: Gatherer,
    baselines: BaselineTally,
    last: Option<String>,
    corpus: &'a [TextCorpusMetric],
    annotations: Option<&'a Annotations>,
    annotated: AnnotationTally<'a>,
    labels: Vec<(Labels, Labels)>,
    /// Texts for the corpus metrics.
    pairs: Vec<(String, String)>,
    headless: Headless,
    bertscore: Option<bertscore::Facts>,
    wordnet: Option<wordnet::Facts>,
    sensitivity: Option<Sensitivity>,
    replies: u64,
    failed: u64,
    failed_for_good: u64,
    unreadable: u64,
    missing: u64,
    failures: Reasons,
}

impl<'a> Summariser<'a> {
    /// Nothing gathered yet. Figures of metrics appear even when no item has one.
    pub fn new(scoring: &Scoring<'a>) -> Self {
        let gathered = |profile: &&'a dyn Profile| ProfileSums {
            profile: *profile,
            verdicts: BTreeMap::new(),
            measured: 0,
            rules: HashMap::new(),
            all: NamedSums::default(),
            by_tag: BTreeMap::new(),
            confusion: Confusion::default(),
            right: Vec::new(),
            confidences: Vec::new(),
            printed: profile.gather(),
        };
        let mut named = NamedSums::default();
        for metric in scoring.metrics {
            named.entry(metric.name());
        }
        Self {
            groups: HashMap::new(),
            profiles: scoring.profiles.iter().map(gathered).collect(),
            metrics: named,
            grounding: Gatherer::default(),
            baselines: BaselineTally::default(),
            last: None,
            corpus: scoring.corpus,
            annotations: scoring.annotations,
            annotated: AnnotationTally::new(scoring.annotations),
            labels: Vec::new(),
            pairs: Vec::new(),
            headless: Headless::new(scoring.texts),
            bertscore: scoring.bertscore.cloned(),
            wordnet: scoring.wordnet.cloned(),
            sensitivity: scoring
                .sensitivity
                .then(|| Sensitivity::beside(scoring.profiles.iter().map(|p| p.name()))),
            replies: 0,
            failed: 0,
            failed_for_good: 0,
            unreadable: 0,
            missing: 0,
            failures: Reasons::default(),
        }
    }

    /// An item that the run has not come to.
    pub fn missing(&mut self) {
        self.missing += 1;
    }

    /// An item that the dataset could not give, and why.
    pub fn unreadable(&mut self, reason: &str) {
        self.unreadable += 1;
        self.failures.add(reason);
    }

    /// An item with its verdicts, in the order of the profiles; replies to one sample follow each other.
    pub fn add(
        &mut self,
        case: &Case<'_>,
        verdicts: &[(String, Judgement)],
        measured: &[(&'static str, Score)],
    ) {
        let Case { sample, prediction, .. } = *case;
        self.grounding.add(sample, prediction);
        self.headless.add(sample, prediction);
        let confidence = match &prediction.outcome {
            Outcome::Reply(reply) => {
                self.replies += 1;
                if let Some(sensitivity) = &mut self.sensitivity {
                    sensitivity.add(case, verdicts);
                }
                for (gathered, (_, judgement)) in self.profiles.iter_mut().zip(verdicts) {
                    if let Some(printed) = &mut gathered.printed {
                        printed.add(sample, &reply.text, judgement);
                    }
                }
                self.labels.extend(self.annotations.and_then(|a| a.labels(&sample.id)));
                self.pairs.extend(self.corpus.first().and_then(|m| m.pair(sample, prediction)));
                reply.confidence()
            }
            Outcome::Failed(failure) => {
                self.failed += 1;
                self.failures.add(&failure.reason);
                self.failed_for_good += u64::from(failure.retry == Retry::Never);
                None
            }
        };
        let next = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let group = match self.groups.get(&sample.group) {
            Some(&known) => known,
            None => *self.groups.entry(sample.group.clone()).or_insert(next),
        };
        let again = self.last.as_deref() == Some(sample.id.as_str());
        if !again {
            self.last = Some(sample.id.clone());
            self.annotated.add(&sample.id);
            self.baselines.add(sample);
        }
        for (gathered, (_, judgement)) in self.profiles.iter_mut().zip(verdicts) {
            gathered.add(sample, group, judgement, again, confidence);
        }
        for (name, score) in measured {
            let value = if let Score::Value(v) = score { *v } else { f64::NAN };
            self.metrics.entry(name).add(group, value, false);
        }
    }

    /// The summary of everything added.
    pub fn finish(self, made_by: &MadeBy) -> Summary {
        let mut metrics = self.metrics.figures();
        // The figure of a whole set; there is no interval to a single number.
        let all = self.replies + self.failed;
        let whole = |name: &str, value: Option<f64>, n: usize| Figure {
            name: name.to_owned(),
            value,
            interval: None,
            n: n as u64,
            groups: 0,
            unparsed: 0,
            unscored: all.saturating_sub(n as u64),
        };
        metrics.extend(self.corpus.iter().map(|m| {
            let value = if let Score::Value(v) = m.figure(&self.pairs) { Some(v) } else { None };
            whole(m.entry().name, value, self.pairs.len())
        }));
        for (name, precision, recall) in HARMONIC {
            let mean = |name: &str| metrics.iter().find(|f| f.name == name).map(|f| (f.value, f.n));
            if let (Some((precision, a)), Some((recall, b))) = (mean(precision), mean(recall)) {
                let value = precision.zip(recall).map(|(p, r)| radfact::f1(p, r));
                metrics.push(whole(name, value, a.max(b) as usize));
            }
        }
        let labels = label_figures(&self.labels);
        metrics.extend(labels.into_iter().map(|(name, value)| whole(name, Some(value), self.labels.len())));
        let strategy = (!made_by.strategy.is_null()).then(|| {
            let name = made_by.strategy.get("name").and_then(|n| n.as_str());
            name.map_or_else(|| made_by.strategy.to_string(), str::to_owned)
        });
        Summary {
            run: RunFacts {
                dataset: made_by.dataset.name.clone(),
                split: made_by.dataset.split.clone(),
                fingerprint: made_by.dataset.fingerprint.clone(),
                group_by: made_by.dataset.group_by.clone(),
                model: made_by.model.name.clone(),
                weights_sha256: made_by.model.identity_sha256(),
                prompt: made_by.prompt.get("name").and_then(|n| n.as_str()).unwrap_or_default().to_owned(),
                strategy,
                n: made_by.n,
                published_rows: made_by.dataset.published_rows,
                rollouts: made_by.rollouts,
                imported: matches!(&made_by.model.from, Provenance::Imported { file_sha256 } if !file_sha256.is_empty()),
                notes: made_by.notes.clone(),
            },
            replies: self.replies,
            failed: self.failed,
            failed_for_good: self.failed_for_good,
            unreadable: self.unreadable,
            missing: self.missing,
            failures: self.failures.commonest(),
            baselines: self.baselines.finish(),
            profiles: self.profiles.into_iter().map(|g| g.finish(made_by.rollouts)).collect(),
            texts: (!metrics.is_empty()).then(|| self.headless.note()),
            annotations: self.annotated.finish(),
            bertscore: self.bertscore,
            wordnet: self.wordnet,
            metrics,
            sensitivity: self.sensitivity.map(|s| s.finish(&made_by.dataset.name)),
            grounding: self.grounding.finish(),
        }
    }
}

impl ProfileSums<'_> {
    fn add(
        &mut self,
        sample: &Sample,
        group: u32,
        judgement: &Judgement,
        again: bool,
        confidence: Option<f64>,
    ) {
        *self.verdicts.entry(judgement.verdict).or_default() += 1;
        let has_figure = judgement.values.iter().any(|v| v.value.is_finite());
        self.measured += u64::from(judgement.verdict == Verdict::Unscored && has_figure);
        // Reasons of failures hold numbers; they are with the items.
        let rule = if judgement.verdict == Verdict::Failed { "failed" } else { &judgement.rule };
        match self.rules.get_mut(rule) {
            Some(count) => *count += 1,
            None => drop(self.rules.insert(rule.to_owned(), 1)),
        }
        self.confusion.add(sample, judgement);
        let right = judgement.verdict == Verdict::Correct;
        match self.right.last_mut() {
            Some(count) if again => *count += u32::from(right),
            _ => self.right.push(u32::from(right)),
        }
        if let Some(confidence) = confidence.filter(|_| judgement.verdict.counts()) {
            self.confidences.push((confidence, right));
        }
        let unparsed = judgement.verdict == Verdict::Unparsed;
        for value in &judgement.values {
            self.all.entry(&value.name).add(group, value.value, unparsed);
        }
        let images = sample.media.len().to_string();
        let tags = sample.tags.iter().map(|(t, v)| (t.as_str(), v.as_str()));
        let own = [("language", sample.language.as_str()), ("n_images", images.as_str())];
        let own = own.into_iter().filter(|(t, _)| !sample.tags.contains_key(*t));
        for (tag, value) in tags.chain(own) {
            if !self.by_tag.contains_key(tag) {
                self.by_tag.insert(tag.to_owned(), Some(BTreeMap::new()));
            }
            let Some(slot) = self.by_tag.get_mut(tag) else { continue };
            let Some(values) = slot else { continue };
            if !values.contains_key(value) {
                if values.len() == MOST_VALUES {
                    *slot = None;
                    continue;
                }
                values.insert(value.to_owned(), NamedSums::default());
            }
            let Some(named) = values.get_mut(value) else { continue };
            for value in &judgement.values {
                named.entry(&value.name).add(group, value.value, unparsed);
            }
        }
    }

    fn finish(self, rollouts: usize) -> ProfileSummary {
        let subgroups = self
            .by_tag
            .iter()
            .filter_map(|(tag, values)| Some((tag, values.as_ref().filter(|v| v.len() > 1)?)))
            .flat_map(|(tag, values)| {
                values.iter().map(|(value, named)| Subgroup {
                    tag: tag.clone(),
                    value: value.clone(),
                    figures: named.figures_within(&self.all),
                })
            })
            .collect();
        let right: Vec<usize> = self.right.iter().map(|&r| r as usize).collect();
        ProfileSummary {
            name: self.profile.name().to_owned(),
            verdicts: self.verdicts,
            measured: self.measured,
            figures: self.all.figures(),
            printed: self.printed.map(Gather::figures).unwrap_or_default(),
            subgroups,
            rules: self.rules.into_iter().collect(),
            confusion: self.confusion.finish(),
            rollouts: (rollouts > 1).then(|| summarise(&right, rollouts)).flatten(),
            calibration: calibration(&self.confidences),
        }
    }
}

fn calibration(pairs: &[(f64, bool)]) -> Option<CalibrationSummary> {
    let curve = selective(pairs);
    let at = |share: f64| curve.iter().find(|(coverage, _)| *coverage >= share - 1e-12).copied();
    Some(CalibrationSummary {
        n: pairs.len(),
        errors: errors(pairs, BINS)?,
        bins: reliability(pairs, BINS),
        brier: brier(pairs)?,
        auroc: auroc(pairs),
        selective: (1..=10).filter_map(|tenth| at(f64::from(tenth) / 10.0)).collect(),
    })
}

/// What a model did not have to compute again in second and later rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PrefixReuse {
    /// Share of the prompt tokens, new pictures and words included.
    pub of_prompt: f64,
    /// Share of the tokens that were there before: the earlier rounds' prompts and replies.
    pub of_earlier_turns: f64,
}

/// What was computed once in the rounds of a run that continue others; `None` when no sample came to a
/// second round.
///
/// # Errors
/// When the folder cannot be read.
pub fn prefix_reuse(folder: &RunFolder) -> Result<Option<PrefixReuse>, RunError> {
    let (mut reused, mut kept, mut prompt, mut earlier) = (0usize, 0usize, 0usize, 0usize);
    for item in folder.items()? {
        let Some(reply) = item?.reply else { continue };
        let Some(trace) = reply.prediction.record.rounds() else { continue };
        for round in &trace.rounds {
            let before = round.follows.and_then(|n| trace.rounds.get(n)?.reply.as_ref());
            let (Some(before), Some(reply)) = (before, &round.reply) else { continue };
            let old = before.counts.prompt_tokens + before.counts.new_tokens;
            reused += reply.counts.reused_tokens;
            kept += reply.counts.reused_tokens.min(old);
            prompt += reply.counts.prompt_tokens;
            earlier += old;
        }
    }
    let share = |part: usize, of: usize| part as f64 / of as f64;
    Ok((earlier > 0)
        .then(|| PrefixReuse { of_prompt: share(reused, prompt), of_earlier_turns: share(kept, earlier) }))
}
