//! Several reports on one study, of which one is chosen by a rule that is on record.

use loupe_core::{Reply, Sample, Sampling};
use serde::{Deserialize, Serialize};

/// How one of several reports is chosen.
#[derive(Debug, Clone, Copy)]
pub struct CandidateRule {
    /// Name on the command line.
    pub name: &'static str,
    /// What it prefers.
    pub about: &'static str,
    /// A figure for each report on the study; the highest is taken, of equals the first.
    pub rank: fn(&Sample, &[&Reply]) -> Vec<f64>,
}

/// How many reports are written on each study, and which is kept.
#[derive(Debug, Clone, Copy)]
pub struct Candidates {
    /// Reports a study, at least 2. Each is drawn with a seed of its own: that of the run and its number.
    pub count: usize,
    /// Which is kept. One that follows its schema, where the template has one, goes before one that does not.
    pub rule: &'static CandidateRule,
}

/// The choice as the trace of a study has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Choice {
    /// Name of the rule.
    pub(super) rule: String,
    /// The report that was kept, from 0.
    pub(super) chosen: usize,
    /// The rule's figure of each; nothing where there was no report.
    pub(super) figures: Vec<Option<f64>>,
}

/// How the report of this number is drawn.
pub(super) fn drawn(sampling: Sampling, number: usize) -> Sampling {
    match sampling {
        Sampling::Greedy => Sampling::Greedy,
        Sampling::Random { temperature, top_k, top_p, seed } => {
            Sampling::Random { temperature, top_k, top_p, seed: seed.wrapping_add(number as u64) }
        }
    }
}
