//! Who read what: the designs that a multireader analysis of variance knows, and where a study departs from them.

use super::estimate::Estimate;
use serde::Serialize;
use std::collections::BTreeSet;
use thiserror::Error;

/// How readers, tests and cases are crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Design {
    /// Every reader reads every case with every test.
    FullyCrossed,
    /// Groups of readers with cases of their own, read with every test (Obuchowski 2009); groups of one reader are
    /// cases nested in readers.
    SplitPlot {
        /// Groups of readers.
        groups: usize,
    },
    /// Every test has cases of its own, read by every reader.
    CasesNestedInTests,
    /// Every test has readers of its own, who all read the same cases.
    ReadersNestedInTests,
}

impl Design {
    /// In words.
    pub fn words(self) -> String {
        match self {
            Self::FullyCrossed => "fully crossed".to_owned(),
            Self::SplitPlot { groups } => format!("split-plot with {groups} groups of readers"),
            Self::CasesNestedInTests => "cases nested in tests".to_owned(),
            Self::ReadersNestedInTests => "readers nested in tests".to_owned(),
        }
    }
}

/// Why an analysis of variance cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DesignError {
    /// Too few tests or readers.
    #[error("a comparison needs at least {what}, the file has {found}")]
    TooFew {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
    },
    /// Neither crossed nor nested evenly.
    #[error(
        "the design is not balanced: {what}; the analysis of Obuchowski and Rockette needs a fully crossed or an \
         evenly nested one. Complete the readings, leave the case out of the file, or take the written iMRMC file to \
         iMRMC, whose U-statistics allow any design"
    )]
    Unbalanced {
        /// What is uneven, by the numbers of readers and cases.
        what: String,
    },
}

/// The figures of every test (outer) and reader (inner); `None` where the reader did not read with that test.
pub type Cells = [Vec<Option<Estimate>>];

fn unbalanced(what: impl Into<String>) -> DesignError {
    DesignError::Unbalanced { what: what.into() }
}

/// Finds the design of `cells`.
///
/// # Errors
/// Below two tests or readers, and when the design is not one of those of [`Design`].
pub fn design(cells: &Cells) -> Result<Design, DesignError> {
    let tests = cells.len();
    let readers = cells.first().map_or(0, Vec::len);
    if tests < 2 {
        return Err(DesignError::TooFew { what: "two tests (arms)", found: tests });
    }
    if readers < 2 {
        return Err(DesignError::TooFew { what: "two readers", found: readers });
    }
    let units = |cell: &Option<Estimate>| cell.as_ref().map(|c| c.units().collect::<BTreeSet<usize>>());
    let sets: Vec<Vec<Option<BTreeSet<usize>>>> =
        cells.iter().map(|row| row.iter().map(units).collect()).collect();
    let present = sets.iter().flatten().flatten().count();
    if present < tests * readers {
        return nested_readers(&sets);
    }
    let sets: Vec<Vec<BTreeSet<usize>>> =
        sets.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
    let first = &sets[0];
    let same_over_tests = sets.iter().all(|row| row == first);
    let same_over_readers = sets.iter().all(|row| row.iter().all(|set| *set == row[0]));
    match (same_over_tests, same_over_readers) {
        (true, true) => Ok(Design::FullyCrossed),
        (true, false) => groups(first).map(|groups| Design::SplitPlot { groups }),
        (false, true) => {
            let all: usize = sets.iter().map(|row| row[0].len()).sum();
            let union: BTreeSet<&usize> = sets.iter().flat_map(|row| &row[0]).collect();
            if union.len() == all {
                Ok(Design::CasesNestedInTests)
            } else {
                Err(unbalanced("some cases were read with only a part of the tests"))
            }
        }
        (false, false) => {
            let missing: usize = sets
                .iter()
                .map(|row| {
                    let union: BTreeSet<&usize> = row.iter().flatten().collect();
                    row.iter().map(|set| union.len() - set.len()).sum::<usize>()
                })
                .sum();
            Err(unbalanced(format!(
                "{missing} readings of cases that other readers read with the same test are missing"
            )))
        }
    }
}

/// Groups of as many readers each that share all their cases and none with others.
fn groups(sets: &[BTreeSet<usize>]) -> Result<usize, DesignError> {
    let mut found: Vec<(&BTreeSet<usize>, usize)> = Vec::new();
    for set in sets {
        if let Some((_, count)) = found.iter_mut().find(|(known, _)| *known == set) {
            *count += 1;
        } else if found.iter().any(|(known, _)| !known.is_disjoint(set)) {
            return Err(unbalanced("readers share some of their cases and not others"));
        } else {
            found.push((set, 1));
        }
    }
    let sizes: BTreeSet<usize> = found.iter().map(|(_, count)| *count).collect();
    if sizes.len() == 1 {
        Ok(found.len())
    } else {
        Err(unbalanced("groups of readers are of different sizes"))
    }
}

fn nested_readers(sets: &[Vec<Option<BTreeSet<usize>>>]) -> Result<Design, DesignError> {
    let readers = sets[0].len();
    let with_one_test = (0..readers).all(|r| sets.iter().filter(|row| row[r].is_some()).count() == 1);
    let counts: BTreeSet<usize> = sets.iter().map(|row| row.iter().flatten().count()).collect();
    let mut all = sets.iter().flatten().flatten();
    let first = all.next();
    match (with_one_test, counts.len() == 1, all.all(|set| Some(set) == first)) {
        (true, true, true) if readers >= 2 * sets.len() => Ok(Design::ReadersNestedInTests),
        (true, true, true) => {
            Err(DesignError::TooFew { what: "two readers for each test", found: readers / sets.len() })
        }
        (true, false, _) => Err(unbalanced("tests have different numbers of readers")),
        (true, true, false) => {
            Err(unbalanced("each test has readers of its own, but their cases are not all the same"))
        }
        (false, ..) => {
            let without = sets.iter().flatten().filter(|set| set.is_none()).count();
            Err(unbalanced(format!(
                "{without} of {} pairs of reader and test have no readings that can be analysed",
                sets.len() * readers
            )))
        }
    }
}
