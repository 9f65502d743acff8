//! Two runs on the same samples: paired differences, never two intervals side by side.

use crate::judged::JudgedRun;
use crate::profile::{Profile, Verdict};
use crate::stats::bootstrap::{self, RESAMPLES};
use crate::stats::multiple::{benjamini_hochberg, holm};
use crate::stats::paired::{McNemar, PairedT, mcnemar, t_test};
use crate::stats::power::Design;
use crate::stats::special::t_two_sided;
use crate::stats::{Clusters, Interval};
use crate::summary::LEVEL;
use loupe_run::probes::{self, Dependence, dependence};
use loupe_run::{RunError, RunFolder};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use thiserror::Error;

/// Subgroups with fewer pairs are not tested.
pub const FEWEST_PAIRS: usize = 10;
/// Power at which the minimum detectable difference is given.
pub const POWER: f64 = 0.8;

/// Why two runs cannot be compared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The runs share no sample.
    #[error("the runs have no sample in common ({a} and {b}); compare runs of one dataset")]
    NothingShared {
        /// Dataset of the first.
        a: String,
        /// Dataset of the second.
        b: String,
    },
    /// One id stands for different questions.
    #[error(
        "sample {id:?} has another question or reference in the second run; the runs are of different data"
    )]
    OtherSample {
        /// The id.
        id: String,
    },
}

/// A figure of two runs over the samples that have it in both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Name of the figure, as in the summary.
    pub name: String,
    /// Samples that have the figure in both runs.
    pub n: usize,
    /// Groups they come from.
    pub groups: usize,
    /// Mean of the first run over these pairs.
    pub a: f64,
    /// Mean of the second run over these pairs.
    pub b: f64,
    /// Second minus first.
    pub difference: f64,
    /// Bootstrap interval of the difference, over groups where they repeat.
    pub interval: Option<Interval>,
    /// Two-sided p of the same bootstrap.
    pub bootstrap_p: Option<f64>,
    /// Two-sided p of Student's test on the cluster-robust standard error.
    pub clustered_p: Option<f64>,
    /// Paired t-test that takes the pairs as independent.
    pub paired_t: Option<PairedT>,
    /// McNemar's test, for right-or-wrong figures; takes the pairs as independent.
    pub mcnemar: Option<McNemar>,
    /// Smallest true difference that so many pairs show with 80 % power at the 5 % level, given how
    /// often the runs disagree and how alike groups are; right-or-wrong figures only.
    pub minimum_detectable: Option<f64>,
}

/// The first figure within one subgroup, with p-values for all subgroups together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubgroupDifference {
    /// Which fact.
    pub tag: String,
    /// Its value.
    pub value: String,
    /// The difference.
    pub figure: Difference,
    /// Clustered p after Holm: any false alarm among all subgroups.
    pub holm_p: Option<f64>,
    /// Clustered p after Benjamini and Hochberg: share of false alarms.
    pub bh_p: Option<f64>,
}

/// What two runs differ in, and by how much.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Profile that judged both.
    pub profile: String,
    /// What the two runs are called.
    pub runs: [String; 2],
    /// The first run's model.
    pub a: String,
    /// The second run's model.
    pub b: String,
    /// What made the runs different: fields of run.json with both values.
    pub settings: Vec<(String, String, String)>,
    /// Samples in both.
    pub shared: usize,
    /// Samples of the first run only.
    pub only_a: usize,
    /// Samples of the second run only.
    pub only_b: usize,
    /// Figures, the first is the headline.
    pub figures: Vec<Difference>,
    /// The headline by subgroup.
    pub subgroups: Vec<SubgroupDifference>,
    /// Where the second run is a probe of the first: how far the answers depend on the pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dependence: Option<Dependence>,
}

/// A sample's values, averaged over its rollouts.
struct Row {
    asked: [u8; 16],
    group: String,
    tags: BTreeMap<String, String>,
    values: Vec<(String, f64, u32)>,
    /// Of the first reply: right, and the answer as it was compared.
    right: bool,
    answer: Option<String>,
    /// Is it right or wrong at all? Masks and reports are neither.
    counts: bool,
}

type Rows = (Vec<String>, HashMap<String, Row>);

fn rows(run: &JudgedRun) -> Result<Rows, RunError> {
    let (mut order, mut rows): Rows = Default::default();
    for judged in run.items()? {
        let judged = judged?;
        let (Some(sample), Some((_, judgement))) = (&judged.item.line.sample, judged.verdicts.first()) else {
            continue;
        };
        let row = rows.entry(sample.id.clone()).or_insert_with(|| {
            order.push(sample.id.clone());
            let mut tags = sample.tags.clone();
            tags.entry("language".to_owned()).or_insert_with(|| sample.language.clone());
            tags.entry("n_images".to_owned()).or_insert_with(|| sample.media.len().to_string());
            let asked = loupe_run::fingerprint(&(&sample.question, &sample.choices, &sample.target));
            Row {
                asked,
                group: sample.group.clone(),
                tags,
                values: Vec::new(),
                right: judgement.verdict == Verdict::Correct,
                answer: judgement.answer.clone(),
                counts: judgement.verdict.counts(),
            }
        });
        for value in judgement.values.iter().filter(|v| v.value.is_finite()) {
            match row.values.iter_mut().find(|(name, ..)| *name == value.name) {
                Some((_, sum, n)) => (*sum, *n) = (*sum + value.value, *n + 1),
                None => row.values.push((value.name.clone().into_owned(), value.value, 1)),
            }
        }
    }
    Ok((order, rows))
}

impl Row {
    fn value(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(n, ..)| n == name).map(|(_, sum, n)| sum / f64::from(*n))
    }
}

struct Pair<'a> {
    a: &'a Row,
    b: &'a Row,
}

/// Compares the runs in two folders under one profile, sample by sample.
///
/// # Errors
/// When a run cannot be read, the runs share no sample, or an id stands for different questions.
pub fn compare(a: &Path, b: &Path, profile: &dyn Profile) -> Result<Comparison, CompareError> {
    compare_judged(&JudgedRun::open(a, profile)?, &JudgedRun::open(b, profile)?)
}

/// Compares two runs that one profile has judged, sample by sample.
///
/// # Errors
/// As [`compare`].
pub fn compare_judged(a: &JudgedRun, b: &JudgedRun) -> Result<Comparison, CompareError> {
    let (folder_a, folder_b) = (&a.folder, &b.folder);
    let ((order, rows_a), (_, rows_b)) = (rows(a)?, rows(b)?);
    let mut pairs = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for id in &order {
        let (Some(a), Some(b)) = (rows_a.get(id), rows_b.get(id)) else { continue };
        if a.asked != b.asked {
            return Err(CompareError::OtherSample { id: id.clone() });
        }
        for (name, ..) in &a.values {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        pairs.push(Pair { a, b });
    }
    if pairs.is_empty() {
        let name = |f: &RunFolder| f.made_by.dataset.name.clone();
        return Err(CompareError::NothingShared { a: name(folder_a), b: name(folder_b) });
    }
    let all: Vec<&Pair<'_>> = pairs.iter().collect();
    let figures: Vec<Difference> = names.iter().filter_map(|name| difference(name, &all)).collect();
    let subgroups = names.first().map(|name| by_subgroup(name, &pairs)).unwrap_or_default();
    Ok(Comparison {
        profile: a.profile().to_owned(),
        runs: [folder_a.name(), folder_b.name()],
        a: folder_a.made_by.model.name.clone(),
        b: folder_b.made_by.model.name.clone(),
        settings: folder_a.made_by.differences(&folder_b.made_by),
        shared: pairs.len(),
        only_a: rows_a.len() - pairs.len(),
        only_b: rows_b.len() - pairs.len(),
        figures,
        subgroups,
        dependence: folder_b.made_by.probe().and_then(|_| owed(&pairs)),
    })
}

fn owed(pairs: &[Pair<'_>]) -> Option<Dependence> {
    if !pairs.iter().any(|p| p.a.counts) {
        return None;
    }
    let pair = |p: &Pair<'_>| probes::Pair {
        right: p.a.right,
        right_under_probe: p.b.right,
        answer: p.a.answer.clone(),
        answer_under_probe: p.b.answer.clone(),
    };
    dependence(&pairs.iter().map(pair).collect::<Vec<_>>())
}

fn difference(name: &str, pairs: &[&Pair<'_>]) -> Option<Difference> {
    let both: Vec<(f64, f64, &str)> =
        pairs.iter().filter_map(|p| Some((p.a.value(name)?, p.b.value(name)?, p.a.group.as_str()))).collect();
    if both.is_empty() {
        return None;
    }
    let n = both.len() as f64;
    let differences: Vec<f64> = both.iter().map(|(a, b, _)| b - a).collect();
    let clusters = Clusters::of(&differences, both.iter().map(|p| p.2));
    let boot = if clusters.repeats() {
        bootstrap::clusters(&clusters.sums(), RESAMPLES, 0, LEVEL)
    } else {
        bootstrap::rows(&differences, RESAMPLES, 0, LEVEL)
    };
    // One group says nothing about the spread between groups.
    let boot = boot.filter(|_| clusters.clusters() > 1);
    let binary = both.iter().all(|(a, b, _)| [a, b].iter().all(|v| **v == 0.0 || **v == 1.0));
    let delta = clusters.mean()?;
    let clustered_p = clusters.se_clustered().map(|se| match se > 0.0 {
        true => t_two_sided(delta / se, clusters.clusters() as f64 - 1.0),
        false => f64::from(delta == 0.0),
    });
    let minimum_detectable = || {
        let discordant = differences.iter().filter(|d| **d != 0.0).count() as f64 / n;
        let inflation = (clusters.se_clustered()? / clusters.se_independent()?).powi(2);
        let design = Design { discordant, design_effect: inflation.max(1.0), alpha: 0.05 };
        design.minimum_detectable(n, POWER)
    };
    Some(Difference {
        name: name.to_owned(),
        n: both.len(),
        groups: clusters.clusters(),
        a: both.iter().map(|p| p.0).sum::<f64>() / n,
        b: both.iter().map(|p| p.1).sum::<f64>() / n,
        difference: delta,
        interval: boot.as_ref().map(|b| b.interval.clone()),
        bootstrap_p: boot.as_ref().map(|b| b.p),
        clustered_p,
        paired_t: t_test(&differences, LEVEL),
        mcnemar: binary.then(|| mcnemar(both.iter().map(|(a, b, _)| (*a == 1.0, *b == 1.0)))),
        minimum_detectable: binary.then(minimum_detectable).flatten().filter(|m| m.is_finite()),
    })
}

fn by_subgroup(name: &str, pairs: &[Pair<'_>]) -> Vec<SubgroupDifference> {
    let mut groups: BTreeMap<(&str, &str), Vec<&Pair<'_>>> = BTreeMap::new();
    let mut values: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in pairs {
        for (tag, value) in &pair.a.tags {
            let members = groups.entry((tag, value)).or_insert_with(|| {
                *values.entry(tag).or_default() += 1;
                Vec::new()
            });
            members.push(pair);
        }
    }
    let useful = |tag: &str| (2..=60).contains(&values.get(tag).copied().unwrap_or_default());
    let mut found: Vec<SubgroupDifference> = groups
        .into_iter()
        .filter(|((tag, _), members)| useful(tag) && members.len() >= FEWEST_PAIRS)
        .filter_map(|((tag, value), members)| {
            let figure = difference(name, &members).filter(|f| f.n >= FEWEST_PAIRS)?;
            Some(SubgroupDifference {
                tag: tag.to_owned(),
                value: value.to_owned(),
                figure,
                holm_p: None,
                bh_p: None,
            })
        })
        .collect();
    let p: Vec<f64> = found.iter().map(|s| s.figure.clustered_p.unwrap_or(f64::NAN)).collect();
    let known = |p: f64| (!p.is_nan()).then_some(p);
    for ((subgroup, h), q) in found.iter_mut().zip(holm(&p)).zip(benjamini_hochberg(&p)) {
        (subgroup.holm_p, subgroup.bh_p) = (known(h), known(q));
    }
    found
}
