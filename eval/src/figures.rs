//! A figure with its n and interval, and the sums it is made from.

use crate::stats::{Clusters, Interval};
use serde::{Deserialize, Serialize};

/// Confidence level of every interval in a summary.
pub const LEVEL: f64 = 0.95;
/// A figure of a run or of a subgroup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// Mean of the items' values; `None` when no item has one.
    pub value: Option<f64>,
    /// Interval at [`LEVEL`]; its `method` says how it was made.
    pub interval: Option<Interval>,
    /// Items in the mean, unparsed ones included.
    pub n: u64,
    /// Groups (images, patients, videos) they come from.
    pub groups: usize,
    /// Items in the mean whose reply could not be parsed.
    pub unparsed: u64,
    /// Items that belong here and have no value: failed, or not to be judged. Not in the mean.
    pub unscored: u64,
}

#[derive(Default)]
pub(crate) struct FigureSums {
    values: Clusters,
    unparsed: u64,
    unscored: u64,
}

impl FigureSums {
    pub(crate) fn add(&mut self, group: u32, value: f64, unparsed: bool) {
        if value.is_finite() {
            self.values.add(group, value);
            self.unparsed += u64::from(unparsed);
        } else {
            self.unscored += 1;
        }
    }

    /// Is the figure a mean of shares or amounts, not a proportion?
    fn is_mean(&self, name: &str) -> bool {
        self.values.is_fractional() || is_mean(name)
    }

    fn figure(&self, name: &str, is_mean: bool) -> Figure {
        Figure {
            name: name.to_owned(),
            value: self.values.mean(),
            interval: self.values.interval_as(LEVEL, is_mean),
            n: self.values.n(),
            groups: self.values.clusters(),
            unparsed: self.unparsed,
            unscored: self.unscored,
        }
    }
}

/// Sums under names, in order of first appearance; a run has a handful of names.
#[derive(Default)]
pub(crate) struct NamedSums(Vec<(String, FigureSums)>);

impl NamedSums {
    pub(crate) fn entry(&mut self, name: &str) -> &mut FigureSums {
        let at = self.0.iter().position(|(n, _)| n == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), FigureSums::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        self.0.iter().map(|(name, sums)| sums.figure(name, sums.is_mean(name))).collect()
    }

    /// Figures of a part, each with the interval method of the whole.
    pub(crate) fn figures_within(&self, whole: &Self) -> Vec<Figure> {
        let is_mean = |name: &str, sums: &FigureSums| {
            let of_whole = whole.0.iter().find(|(n, _)| n == name).is_some_and(|(n, sums)| sums.is_mean(n));
            of_whole || sums.is_mean(name)
        };
        self.0.iter().map(|(name, sums)| sums.figure(name, is_mean(name, sums))).collect()
    }
}

/// Does the name say that items contribute shares or amounts, so that all of them being 0 or 1 is chance?
fn is_mean(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "recall",
        "precision",
        "f1",
        "dice",
        "iou",
        "bleu",
        "rouge",
        "meteor",
        "error",
        "distance",
        "bertscore",
        "cider",
        "overlap",
        "point hit",
        "sensitivity",
        "specificity",
        "similarity",
    ];
    let name = name.to_lowercase();
    WORDS.iter().any(|word| name.contains(word)) && !name.contains("acc@") && !name.contains("accuracy")
}
