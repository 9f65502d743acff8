//! Figures of merit over readers and arms: the analysis of variance, and a model against readers.

use super::options::Options;
use crate::merit::{Merit, estimate};
use crate::readings::Readings;
use crate::stats::design::Design;
use crate::stats::estimate::{ErrorMethod, Estimate};
use crate::stats::model_vs_readers::{ModelVsReaders, model_vs_readers};
use crate::stats::obuchowski_rockette::{Analysis, Inference, TestMean, analyse, around, single_test};
use crate::stats::sample_size::Pilot;
use loupe_eval::stats::Interval;
use serde::Serialize;

/// The figure of one reader in one arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReaderMerit {
    /// Number of the arm.
    pub arm: usize,
    /// Number of the reader.
    pub reader: usize,
    /// Its value.
    pub value: f64,
    /// Standard error over cases.
    pub se: f64,
    /// Normal interval; for shares and areas it ends at 0 and 1.
    pub interval: Interval,
}

/// A figure of merit over readers and arms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeritAnalysis {
    /// Which.
    pub merit: Merit,
    /// How errors over cases were estimated.
    pub errors: ErrorMethod,
    /// Numbers of the arms, in the order of the analysis.
    pub arms: Vec<usize>,
    /// Numbers of the readers, in the order of the analysis; the model is none of them.
    pub readers: Vec<usize>,
    /// Each reader in each arm, the model too.
    pub each: Vec<ReaderMerit>,
    /// Each arm over its readers (for readers and cases like these); empty where one reader alone read.
    pub means: Vec<TestMean>,
    /// Comparison of the arms.
    pub comparison: Option<Analysis>,
    /// Why there is no comparison.
    pub refused: Option<String>,
    /// The model against the readers of each arm.
    pub model: Vec<ModelComparison>,
    /// What a larger study would need.
    pub plan: Vec<PlannedStudy>,
}

/// The model against the readers of one arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelComparison {
    /// The arm of the readers.
    pub arm: usize,
    /// The result.
    pub result: Option<ModelVsReaders>,
    /// Why there is none.
    pub refused: Option<String>,
}

/// Cases that a study with so many readers needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PlannedStudy {
    /// Readers.
    pub readers: usize,
    /// Cases in this study's mix for the wanted power, for readers and cases like these; none when not even a hundred
    /// thousand do.
    pub cases: Option<usize>,
    /// Power with this study's number of cases.
    pub power_with_these_cases: f64,
}

/// Numbers of readers for which a plan is made.
const PLANNED_READERS: [usize; 7] = [3, 4, 5, 6, 8, 10, 15];
/// The most cases that a plan considers.
const MOST_CASES: usize = 100_000;

fn reader_merit(merit: Merit, arm: usize, reader: usize, found: &Estimate, level: f64) -> ReaderMerit {
    let se = found.variance().max(0.0).sqrt();
    let interval = possible(merit, around(found.value, se, None, level));
    ReaderMerit { arm, reader, value: found.value, se, interval }
}

/// Shares and areas end at 0 and 1.
fn possible(merit: Merit, interval: Interval) -> Interval {
    match merit {
        Merit::LogSeconds => interval,
        _ => Interval { lo: interval.lo.max(0.0), hi: interval.hi.min(1.0), ..interval },
    }
}

/// The analysis of one figure; `None` where no reader has it in any arm.
pub(super) fn of_merit(
    readings: &Readings,
    merit: Merit,
    arms: &[usize],
    model: Option<usize>,
    options: &Options,
) -> Option<MeritAnalysis> {
    let of = |arm: usize, reader: usize| estimate(readings, merit, arm, reader, options.threshold);
    let humans: Vec<usize> = (0..readings.readers.len()).filter(|r| Some(*r) != model).collect();
    #[expect(clippy::type_complexity, reason = "by arm, then by reader")]
    let all: Vec<(usize, Vec<(usize, Option<Estimate>)>)> =
        arms.iter().map(|arm| (*arm, humans.iter().map(|r| (*r, of(*arm, *r))).collect())).collect();
    let mut each = Vec::new();
    for (arm, row) in &all {
        each.extend(
            row.iter().filter_map(|(r, e)| Some(reader_merit(merit, *arm, *r, e.as_ref()?, options.level))),
        );
    }
    let of_model: Vec<(usize, Estimate)> =
        model.map(|m| arms.iter().filter_map(|arm| Some((*arm, of(*arm, m)?))).collect()).unwrap_or_default();
    each.extend(
        of_model.iter().filter_map(|(arm, e)| Some(reader_merit(merit, *arm, model?, e, options.level))),
    );
    if each.is_empty() {
        return None;
    }
    // Arms and readers that have the figure at all take part.
    let kept: Vec<usize> =
        (0..humans.len()).filter(|&r| all.iter().any(|(_, row)| row[r].1.is_some())).collect();
    let rows: Vec<(usize, Vec<Option<Estimate>>)> = all
        .into_iter()
        .map(|(arm, row)| (arm, kept.iter().map(|&r| row[r].1.clone()).collect::<Vec<_>>()))
        .filter(|(_, row)| row.iter().any(Option::is_some))
        .collect();
    let (used, cells): (Vec<usize>, Vec<Vec<Option<Estimate>>>) = rows.into_iter().unzip();
    let means = cells.iter().enumerate().filter_map(|(i, row)| {
        let own: Vec<&Estimate> = row.iter().flatten().collect();
        let mean = single_test(used[i], &own, Inference::RandomReadersRandomCases, options.level)?;
        Some(TestMean { test: used[i], interval: possible(merit, mean.interval.clone()), ..mean })
    });
    let means: Vec<TestMean> = means.collect();
    let (comparison, refused) = match analyse(&cells, options.level) {
        Ok(found) => (Some(found), None),
        Err(reason) => (None, Some(reason.to_string())),
    };
    let model = compare_model(&of_model, &used, &cells, options);
    let plan = match (&comparison, options.difference) {
        (Some(found), Some(difference)) if found.design == Design::FullyCrossed => {
            plan(found, &cells, difference, options)
        }
        _ => Vec::new(),
    };
    Some(MeritAnalysis {
        merit,
        errors: merit.method(readings),
        arms: used,
        readers: kept.into_iter().map(|r| humans[r]).collect(),
        each,
        means,
        comparison,
        refused,
        model,
        plan,
    })
}

fn compare_model(
    of_model: &[(usize, Estimate)],
    arms: &[usize],
    cells: &[Vec<Option<Estimate>>],
    options: &Options,
) -> Vec<ModelComparison> {
    let mut all = Vec::new();
    for (arm, row) in arms.iter().zip(cells) {
        // A model with an arm of its own stands against the readers of every other arm.
        let own = of_model.iter().find(|(a, _)| a == arm).or(if of_model.len() == 1 {
            of_model.first()
        } else {
            None
        });
        let Some((_, model)) = own else { continue };
        let readers: Vec<&Estimate> = row.iter().flatten().collect();
        if readers.is_empty() {
            continue;
        }
        let result = model_vs_readers(model, &readers, options.margin, options.level);
        let refused = result.is_none().then(|| {
            "needs two readers or more who read the very cases that the model has answered".to_owned()
        });
        all.push(ModelComparison { arm: *arm, result, refused });
    }
    all
}

fn plan(
    found: &Analysis,
    cells: &[Vec<Option<Estimate>>],
    difference: f64,
    options: &Options,
) -> Vec<PlannedStudy> {
    let cases = cells.iter().flatten().flatten().map(|e| e.units().count()).max().unwrap_or(1);
    let pilot = Pilot::of(&found.components, cases);
    let alpha = 1.0 - options.level;
    let inference = Inference::RandomReadersRandomCases;
    PLANNED_READERS
        .into_iter()
        .map(|readers| PlannedStudy {
            readers,
            cases: pilot.cases_needed(difference, readers, options.power, inference, alpha, MOST_CASES),
            power_with_these_cases: pilot.power(difference, readers, cases, inference, alpha),
        })
        .collect()
}
