//! What a reader study has collected: who read which case in which arm, and what was said.

use std::collections::HashMap;

/// A lesion of a case with disease.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesion {
    /// Its name within the case.
    pub name: String,
    /// Its share of the case; the weights of a case add to 1.
    pub weight: f64,
}

/// A case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Its code.
    pub name: String,
    /// Is the disease there? `None` when the file does not say.
    pub truth: Option<bool>,
    /// Number of the unit (patient) that it belongs to; its own where the file has no `group`.
    pub unit: usize,
    /// Its lesions.
    pub lesions: Vec<Lesion>,
}

/// A mark that a reader set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// Confidence; more is surer.
    pub rating: f64,
    /// Number of the lesion that it is on; `None` where it is on none.
    pub lesion: Option<usize>,
}

/// One case read by one reader in one arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Number of the arm.
    pub arm: usize,
    /// Number of the reader.
    pub reader: usize,
    /// Number of the case.
    pub case: usize,
    /// Confidence that the disease is there, or any other score; more is surer.
    pub rating: Option<f64>,
    /// Called positive?
    pub decision: Option<bool>,
    /// A category without order.
    pub category: Option<String>,
    /// What was marked; empty when nothing was, `None` when marking was not asked for.
    pub marks: Option<Vec<Mark>>,
    /// Reading time.
    pub seconds: Option<f64>,
}

/// What was preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The first.
    First,
    /// The second.
    Second,
    /// Both are as good.
    Tie,
    /// Neither will do.
    Neither,
}

/// Two arms compared on one case by one reader.
#[derive(Debug, Clone, PartialEq)]
pub struct Preference {
    /// Number of the reader.
    pub reader: usize,
    /// Number of the case.
    pub case: usize,
    /// Number of the first arm.
    pub first: usize,
    /// Number of the second arm.
    pub second: usize,
    /// What was preferred.
    pub choice: Choice,
    /// Lengths of the two texts.
    pub lengths: Option<[f64; 2]>,
}

/// Everything that a file of readings holds. Arms, readers and cases are numbered as they first appear.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readings {
    /// Names of the arms (modalities, tests).
    pub arms: Vec<String>,
    /// Codes of the readers.
    pub readers: Vec<String>,
    /// Cases.
    pub cases: Vec<Case>,
    /// Number of units that cases belong to.
    pub units: usize,
    /// Readings, one of a reader, case and arm.
    pub readings: Vec<Reading>,
    /// Second readings of the same reader, case and arm; for agreement with oneself alone.
    pub repeats: Vec<Reading>,
    /// Comparisons of two arms.
    pub preferences: Vec<Preference>,
    /// Second comparisons by the same reader.
    pub repeated_preferences: Vec<Preference>,
    /// What the user has to know about the file.
    pub notes: Vec<String>,
}

impl Readings {
    /// Do units hold more than one case?
    pub fn is_clustered(&self) -> bool {
        self.units < self.cases.len()
    }

    /// Readings of an arm by (reader, case).
    pub fn of_arm(&self, arm: usize) -> HashMap<(usize, usize), &Reading> {
        self.readings.iter().filter(|r| r.arm == arm).map(|r| ((r.reader, r.case), r)).collect()
    }

    /// The called decision, or the rating held against a threshold: at it or above is positive.
    pub fn decision(reading: &Reading, threshold: Option<f64>) -> Option<bool> {
        reading.decision.or_else(|| Some(reading.rating? >= threshold?))
    }
}
