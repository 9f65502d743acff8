//! Several reports on one study, of which one is chosen by a rule that is on record.

use super::schema::StructuredReport;
use loupe_core::{Record, Reply, Sample, Sampling};
use serde::{Deserialize, Serialize};

/// A report that may be kept.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// Its words.
    pub reply: &'a Reply,
    /// Its JSON, where it was asked for by a schema.
    pub structured: Option<&'a StructuredReport>,
}

/// How one of several reports is chosen.
#[derive(Debug, Clone, Copy)]
pub struct CandidateRule {
    /// Name on the command line.
    pub name: &'static str,
    /// What it prefers.
    pub about: &'static str,
    /// A figure for each report on the study; the highest is taken, of equals the first.
    pub rank: fn(&Sample, &[Draft<'_>]) -> Vec<f64>,
}

/// Most reports that are written on one study.
pub const MOST_CANDIDATES: usize = 64;

/// How many reports are written on each study, and which is kept.
#[derive(Debug, Clone, Copy)]
pub struct Candidates {
    pub(super) count: usize,
    pub(super) rule: &'static CandidateRule,
}

impl Candidates {
    /// So many reports a study, from 1 to [`MOST_CANDIDATES`], each drawn with a seed of its own: that of the run and its number. One that
    /// follows its schema, where the template has one, goes before one that does not.
    ///
    /// # Errors
    /// When there are none or too many.
    pub fn new(count: usize, rule: &'static CandidateRule) -> Result<Self, String> {
        match count {
            1..=MOST_CANDIDATES => Ok(Self { count, rule }),
            _ => Err(format!("{count} candidates a study are not possible; from 1 to {MOST_CANDIDATES} are")),
        }
    }
}

/// The choice as the trace of a study has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Name of the rule.
    pub rule: String,
    /// The report that was kept, from 0.
    pub chosen: usize,
    /// How many reports there were to choose from.
    pub of: usize,
    /// The rule's figure of each candidate; nothing where there was no report, or one that does not follow its schema while another does.
    pub figures: Vec<Option<f64>>,
}

impl Choice {
    /// The choice on record, where there were several candidates.
    pub fn of(record: &Record) -> Option<Self> {
        serde_json::from_value(record.rounds()?.summary.get("choice")?.clone()).ok()
    }
}

/// How the report of this number is drawn.
pub fn drawn(sampling: Sampling, number: usize) -> Sampling {
    match sampling {
        Sampling::Greedy => Sampling::Greedy,
        Sampling::Random { temperature, top_k, top_p, seed } => {
            Sampling::Random { temperature, top_k, top_p, seed: seed.wrapping_add(number as u64) }
        }
    }
}
