//! Figures of merit that readings allow, one for each arm and reader.

use crate::readings::{Reading, Readings};
use crate::stats::estimate::{ErrorMethod, Estimate, Unit};
use crate::stats::froc::{PositiveCase, highest_rating_area, wafroc};
use crate::stats::roc;
use serde::Serialize;

/// What is compared between arms, and between a model and readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Merit {
    /// Trapezoid area under the ROC curve of the ratings.
    Auc,
    /// Share of cases with disease that are called positive.
    Sensitivity,
    /// Share of cases without disease that are called negative.
    Specificity,
    /// Weighted area under the AFROC curve of the marks.
    Wafroc,
    /// Area under the ROC curve of the highest mark of each case.
    HrAuc,
    /// Mean natural logarithm of the reading time in seconds.
    LogSeconds,
}

impl Merit {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::Auc, Self::Sensitivity, Self::Specificity, Self::Wafroc, Self::HrAuc, Self::LogSeconds];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auc => "AUC",
            Self::Sensitivity => "sensitivity",
            Self::Specificity => "specificity",
            Self::Wafroc => "wAFROC",
            Self::HrAuc => "HrAUC",
            Self::LogSeconds => "log time",
        }
    }

    /// How its error over cases is estimated: DeLong's method for areas of independent cases, else leaving out units.
    pub fn method(self, readings: &Readings) -> ErrorMethod {
        if self == Self::Auc && !readings.is_clustered() {
            ErrorMethod::DeLong
        } else {
            ErrorMethod::Jackknife
        }
    }
}

/// A rating and what belongs to the case.
fn unit<T>(readings: &Readings, reading: &Reading, value: T) -> Unit<T> {
    Unit { unit: readings.cases[reading.case].unit, value }
}

/// Ratings of cases without and with disease.
pub(crate) fn ratings(readings: &Readings, arm: usize, reader: usize) -> [Vec<Unit<f64>>; 2] {
    let of = |truth: bool| {
        own(readings, arm, reader)
            .filter(|r| readings.cases[r.case].truth == Some(truth))
            .filter_map(|r| Some(unit(readings, r, r.rating?)))
            .collect()
    };
    [of(false), of(true)]
}

/// Readings of a reader in an arm.
pub(crate) fn own(readings: &Readings, arm: usize, reader: usize) -> impl Iterator<Item = &Reading> {
    readings.readings.iter().filter(move |r| r.arm == arm && r.reader == reader)
}

/// Highest marks of cases without disease, and marks of those with.
fn marked(readings: &Readings, arm: usize, reader: usize) -> (Vec<Unit<f64>>, Vec<Unit<PositiveCase>>) {
    let (mut negative, mut positive) = (Vec::new(), Vec::new());
    for reading in own(readings, arm, reader) {
        let Some(marks) = &reading.marks else { continue };
        let case = &readings.cases[reading.case];
        let highest = |lesion: Option<usize>| {
            let of = marks.iter().filter(|m| m.lesion == lesion).map(|m| m.rating);
            of.fold(f64::NEG_INFINITY, f64::max)
        };
        match case.truth {
            Some(false) => negative.push(unit(readings, reading, highest(None))),
            Some(true) if !case.lesions.is_empty() => {
                let lesions = case.lesions.iter().enumerate().map(|(i, l)| (l.weight, highest(Some(i))));
                let elsewhere = marks.iter().filter(|m| m.lesion.is_none()).map(|m| m.rating);
                let value = PositiveCase { lesions: lesions.collect(), elsewhere: elsewhere.collect() };
                positive.push(unit(readings, reading, value));
            }
            _ => {}
        }
    }
    (negative, positive)
}

/// The figure of a reader in an arm; `None` where there are too few readings for it.
pub(crate) fn estimate(
    readings: &Readings,
    merit: Merit,
    arm: usize,
    reader: usize,
    threshold: Option<f64>,
) -> Option<Estimate> {
    let called = |truth: bool| {
        let right = own(readings, arm, reader)
            .filter(|r| readings.cases[r.case].truth == Some(truth))
            .filter_map(|r| Some(unit(readings, r, f64::from(Readings::decision(r, threshold)? == truth))));
        Estimate::mean(&right.collect::<Vec<_>>())
    };
    match merit {
        Merit::Auc => {
            let [negative, positive] = ratings(readings, arm, reader);
            roc::area(&negative, &positive, merit.method(readings))
        }
        Merit::Sensitivity => called(true),
        Merit::Specificity => called(false),
        Merit::Wafroc => {
            let (negative, positive) = marked(readings, arm, reader);
            wafroc(&negative, &positive)
        }
        Merit::HrAuc => {
            let (negative, positive) = marked(readings, arm, reader);
            highest_rating_area(&negative, &positive)
        }
        Merit::LogSeconds => {
            let all = own(readings, arm, reader).filter_map(|r| Some(unit(readings, r, r.seconds?.ln())));
            Estimate::mean(&all.collect::<Vec<_>>())
        }
    }
}
