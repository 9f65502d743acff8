//! Everything that a file of readings allows to be said, in one document.

mod agreement;
mod changes;
mod multireader;
mod options;
mod preferences;
mod repeats;
mod shares;

pub use agreement::{Agreement, Coefficient, PairAgreement, Scale};
pub use changes::{ArmChanges, ReaderChanges};
pub use multireader::{MeritAnalysis, ModelComparison, PlannedStudy, ReaderMerit};
pub use options::Options;
pub use preferences::ArmPreference;
pub use repeats::{OwnAgreement, RatingChange};
pub use shares::{ArmShare, Share};

use crate::error::StudyError;
use crate::merit::{Merit, own, ratings};
use crate::readings::Readings;
use crate::stats::froc::{self, FrocPoint};
use crate::stats::roc;
use loupe_core::words::did_you_mean;
use serde::Serialize;
use std::collections::BTreeSet;

/// The ROC curve of a reader in an arm, or of an arm's mean reader.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RocCurve {
    /// Number of the arm.
    pub arm: usize,
    /// Number of the reader; `None` for the mean of the arm's readers.
    pub reader: Option<usize>,
    /// Corners as (false positive fraction, true positive fraction).
    pub corners: Vec<(f64, f64)>,
}

/// The FROC curve of a reader in an arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrocCurve {
    /// Number of the arm.
    pub arm: usize,
    /// Number of the reader.
    pub reader: usize,
    /// Its points.
    pub points: Vec<FrocPoint>,
    /// Share of lesions localised at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false marks a case, and the mean of the seven.
    pub sensitivities: [f64; 7],
    /// Their mean.
    pub mean_sensitivity: f64,
}

/// Reading times of a reader in an arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Times {
    /// Number of the arm.
    pub arm: usize,
    /// Number of the reader.
    pub reader: usize,
    /// Readings with a time.
    pub n: usize,
    /// Median seconds.
    pub median: f64,
    /// Lower and upper quartile.
    pub quartiles: [f64; 2],
}

/// What a file holds, counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contents {
    /// Names of the arms, by number.
    pub arms: Vec<String>,
    /// Codes of the readers, by number.
    pub readers: Vec<String>,
    /// Cases.
    pub cases: usize,
    /// With the disease.
    pub positive: usize,
    /// Without.
    pub negative: usize,
    /// Units (patients) that the cases belong to.
    pub units: usize,
    /// Readings.
    pub readings: usize,
    /// Repeated readings and preferences.
    pub repeats: usize,
    /// Readings that a fully crossed study would have and this one has not.
    pub missing: usize,
    /// Preferences.
    pub preferences: usize,
}

/// The analysis of a reader study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StudyAnalysis {
    /// What was asked for.
    pub options: Options,
    /// What there is.
    pub contents: Contents,
    /// Number of the reader that is a model.
    pub model: Option<usize>,
    /// Numbers of the arms, the baseline first.
    pub arm_order: Vec<usize>,
    /// Agreement of readers.
    pub agreement: Vec<Agreement>,
    /// Agreement of readers with themselves.
    pub own_agreement: Vec<OwnAgreement>,
    /// ROC curves.
    pub roc: Vec<RocCurve>,
    /// FROC curves.
    pub froc: Vec<FrocCurve>,
    /// Figures of merit.
    pub merits: Vec<MeritAnalysis>,
    /// Shares of right decisions over all readers.
    pub shares: Vec<ArmShare>,
    /// Decisions in the baseline and in other arms.
    pub changes: Vec<ArmChanges>,
    /// Preferences.
    pub preferences: Vec<ArmPreference>,
    /// Reading times.
    pub times: Vec<Times>,
    /// What the reader has to know.
    pub notes: Vec<String>,
}

fn named(kind: &str, option: &str, names: &[String], name: &str) -> Result<usize, StudyError> {
    names.iter().position(|n| n == name).ok_or_else(|| {
        let meant = did_you_mean(name, names.iter().map(String::as_str));
        StudyError::Option(format!("{option}: the file has no {kind} {name:?}{meant}"))
    })
}

/// Analyses readings.
///
/// # Errors
/// When an option names what the file has not, or is out of its range. What the file does not allow is left out or refused
/// by name in the result.
pub fn analyse(readings: &Readings, options: &Options) -> Result<StudyAnalysis, StudyError> {
    options.check()?;
    let baseline =
        options.baseline.as_deref().map(|name| named("arm", "baseline", &readings.arms, name)).transpose()?;
    let model =
        options.model.as_deref().map(|name| named("reader", "model", &readings.readers, name)).transpose()?;
    if options.margin.is_some() && model.is_none() {
        return Err(StudyError::Option("a margin needs a model that is compared with readers".to_owned()));
    }
    let mut arm_order: Vec<usize> = (0..readings.arms.len()).collect();
    arm_order.sort_by_key(|arm| Some(*arm) != baseline);
    let humans: Vec<usize> = (0..readings.readers.len()).filter(|r| Some(*r) != model).collect();
    let merits: Vec<MeritAnalysis> = Merit::ALL
        .into_iter()
        .filter_map(|merit| multireader::of_merit(readings, merit, &arm_order, model, options))
        .collect();
    let contents = contents(readings, model);
    let mut notes = readings.notes.clone();
    if contents.missing > 0 {
        notes.push(format!("{} readings are missing from a fully crossed study", contents.missing));
    }
    if readings.is_clustered() {
        notes.push("cases of one group are taken as one unit: errors leave out whole groups".to_owned());
    }
    if humans.len() < 3 && !merits.is_empty() {
        notes.push("with fewer than three readers nothing can be said of readers like these; read the results for fixed readers".to_owned());
    }
    let unknown = readings.cases.iter().filter(|c| c.truth.is_none()).count();
    if unknown > 0 && unknown < readings.cases.len() {
        notes.push(format!("the truth of {unknown} cases is not known; accuracy figures leave them out"));
    }
    let (wanted, have) = (options.threshold.is_some(), merits.iter().any(|m| m.merit == Merit::Auc));
    if have && !wanted && readings.readings.iter().all(|r| r.decision.is_none()) {
        notes.push(
            "no decisions and no threshold: sensitivity, specificity and changes of decisions are left out"
                .to_owned(),
        );
    }
    Ok(StudyAnalysis {
        agreement: agreement::agreement(readings, &humans, options),
        own_agreement: repeats::own_agreement(readings, &humans, options),
        roc: roc_curves(readings, &arm_order, model),
        froc: froc_curves(readings, &arm_order),
        shares: shares::shares(readings, &arm_order, &humans, options),
        changes: changes::changes(readings, &arm_order, &humans, options),
        preferences: preferences::preferences(readings, options),
        times: times(readings, &arm_order),
        options: options.clone(),
        contents,
        model,
        arm_order,
        merits,
        notes,
    })
}

fn contents(readings: &Readings, model: Option<usize>) -> Contents {
    let count = |truth: bool| readings.cases.iter().filter(|c| c.truth == Some(truth)).count();
    let cases: BTreeSet<usize> = readings.readings.iter().map(|r| r.case).collect();
    // A model is a study of its own: it need not be in the arms of the readers.
    let crossed = |of_model: bool| {
        let own = || readings.readings.iter().filter(move |r| (Some(r.reader) == model) == of_model);
        let arms: BTreeSet<usize> = own().map(|r| r.arm).collect();
        let readers: BTreeSet<usize> = own().map(|r| r.reader).collect();
        arms.len() * readers.len() * cases.len()
    };
    Contents {
        arms: readings.arms.clone(),
        readers: readings.readers.clone(),
        cases: readings.cases.len(),
        positive: count(true),
        negative: count(false),
        units: readings.units,
        readings: readings.readings.len(),
        repeats: readings.repeats.len() + readings.repeated_preferences.len(),
        missing: crossed(false) + crossed(true) - readings.readings.len(),
        preferences: readings.preferences.len(),
    }
}

fn roc_curves(readings: &Readings, arms: &[usize], model: Option<usize>) -> Vec<RocCurve> {
    let mut all = Vec::new();
    for &arm in arms {
        let mut of_readers = Vec::new();
        for reader in 0..readings.readers.len() {
            let [negative, positive] = ratings(readings, arm, reader);
            let plain = |units: &[crate::stats::estimate::Unit<f64>]| {
                units.iter().map(|u| u.value).collect::<Vec<_>>()
            };
            let corners = roc::curve(&plain(&negative), &plain(&positive));
            if corners.is_empty() {
                continue;
            }
            if Some(reader) != model {
                of_readers.push(corners.clone());
            }
            all.push(RocCurve { arm, reader: Some(reader), corners });
        }
        if of_readers.len() > 1 {
            all.push(RocCurve { arm, reader: None, corners: roc::mean_curve(&of_readers) });
        }
    }
    all
}

fn froc_curves(readings: &Readings, arms: &[usize]) -> Vec<FrocCurve> {
    let mut all = Vec::new();
    for &arm in arms {
        for reader in 0..readings.readers.len() {
            let (mut elsewhere, mut lesions, mut cases) = (Vec::new(), Vec::new(), 0);
            for reading in own(readings, arm, reader) {
                let Some(marks) = &reading.marks else { continue };
                cases += 1;
                elsewhere.extend(marks.iter().filter(|m| m.lesion.is_none()).map(|m| m.rating));
                for lesion in 0..readings.cases[reading.case].lesions.len() {
                    let on = marks.iter().filter(|m| m.lesion == Some(lesion)).map(|m| m.rating);
                    lesions.push(on.fold(f64::NEG_INFINITY, f64::max));
                }
            }
            if cases == 0 || lesions.is_empty() {
                continue;
            }
            let points = froc::curve(&elsewhere, &lesions, cases);
            let sensitivities = froc::OPERATING_POINTS.map(|at| froc::sensitivity_at(&points, at));
            let mean_sensitivity = sensitivities.iter().sum::<f64>() / 7.0;
            all.push(FrocCurve { arm, reader, points, sensitivities, mean_sensitivity });
        }
    }
    all
}

fn times(readings: &Readings, arms: &[usize]) -> Vec<Times> {
    use loupe_eval::stats::bootstrap::percentile;
    let mut all = Vec::new();
    for &arm in arms {
        for reader in 0..readings.readers.len() {
            let mut seconds: Vec<f64> = own(readings, arm, reader).filter_map(|r| r.seconds).collect();
            seconds.sort_by(f64::total_cmp);
            let at = |share: f64| percentile(&seconds, share);
            if let (Some(low), Some(median), Some(high)) = (at(0.25), at(0.5), at(0.75)) {
                all.push(Times { arm, reader, n: seconds.len(), median, quartiles: [low, high] });
            }
        }
    }
    all
}
