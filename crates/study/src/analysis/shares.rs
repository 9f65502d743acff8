//! Shares of right decisions over all readers of an arm.

use super::options::Options;
use crate::readings::Readings;
use crate::stats::proportion::{Observation, Proportion, proportion};
use serde::Serialize;

/// Of what a share is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// Cases with disease that were called positive.
    Sensitivity,
    /// Cases without disease that were called negative.
    Specificity,
    /// Right decisions.
    Accuracy,
}

impl Share {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sensitivity => "sensitivity",
            Self::Specificity => "specificity",
            Self::Accuracy => "accuracy",
        }
    }
}

/// A share over the readers of an arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmShare {
    /// Number of the arm.
    pub arm: usize,
    /// Of what.
    pub share: Share,
    /// The share with its intervals.
    pub found: Proportion,
}

/// Shares of the decisions of the given readers in every arm.
pub(super) fn shares(
    readings: &Readings,
    arms: &[usize],
    readers: &[usize],
    options: &Options,
) -> Vec<ArmShare> {
    let mut all = Vec::new();
    for &arm in arms {
        for share in [Share::Sensitivity, Share::Specificity, Share::Accuracy] {
            let of = |truth: bool| match share {
                Share::Sensitivity => truth,
                Share::Specificity => !truth,
                Share::Accuracy => true,
            };
            let seen = readings.readings.iter().filter(|r| r.arm == arm && readers.contains(&r.reader));
            let seen = seen.filter_map(|r| {
                let case = &readings.cases[r.case];
                let truth = case.truth.filter(|truth| of(*truth))?;
                let value = f64::from(Readings::decision(r, options.threshold)? == truth);
                Some(Observation { reader: r.reader, unit: case.unit, value })
            });
            let found = proportion(&seen.collect::<Vec<_>>(), false, options.level);
            all.extend(found.map(|found| ArmShare { arm, share, found }));
        }
    }
    all
}
