//! Decisions in the baseline arm and in another: helped, harmed, and the tests.

use super::options::Options;
use crate::readings::Readings;
use crate::stats::decisions::{Changes, Pair, of_reader, over_readers};
use loupe_eval::stats::paired::McNemar;
use serde::Serialize;

/// Changes of one reader.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReaderChanges {
    /// Number of the reader.
    pub reader: usize,
    /// What changed.
    pub changes: Changes,
    /// McNemar's test (first: baseline).
    pub mcnemar: McNemar,
}

/// Changes from the baseline arm to another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmChanges {
    /// Number of the baseline arm.
    pub baseline: usize,
    /// Number of the other.
    pub arm: usize,
    /// Each reader.
    pub readers: Vec<ReaderChanges>,
    /// All readers.
    pub all: Changes,
    /// Readers with more harm than help.
    pub readers_harmed: usize,
    /// McNemar's test over readers with cases as clusters (Durkalski et al. 2003): (χ², p).
    pub over_readers: Option<(f64, f64)>,
    /// Decisions without a partner in the other arm, which are not counted.
    pub unpaired: usize,
}

/// Changes from the baseline to each other arm; needs decisions and truth.
pub(super) fn changes(
    readings: &Readings,
    arms: &[usize],
    readers: &[usize],
    options: &Options,
) -> Vec<ArmChanges> {
    let Some((&baseline, others)) = arms.split_first() else { return Vec::new() };
    let before = readings.of_arm(baseline);
    let mut all = Vec::new();
    for &arm in others {
        let mut pairs = Vec::new();
        let mut unpaired = 0;
        let after = readings.of_arm(arm);
        for (key, reading) in &after {
            let case = &readings.cases[key.1];
            let (Some(truth), Some(now)) = (case.truth, Readings::decision(reading, options.threshold))
            else {
                continue;
            };
            if !readers.contains(&key.0) {
                continue;
            }
            match before.get(key).and_then(|r| Readings::decision(r, options.threshold)) {
                Some(then) => {
                    pairs.push(Pair { reader: key.0, unit: case.unit, truth, before: then, after: now });
                }
                None => unpaired += 1,
            }
        }
        unpaired += before
            .iter()
            .filter(|(key, r)| {
                readers.contains(&key.0)
                    && Readings::decision(r, options.threshold).is_some()
                    && after.get(key).and_then(|r| Readings::decision(r, options.threshold)).is_none()
            })
            .count();
        if pairs.is_empty() {
            continue;
        }
        let each: Vec<ReaderChanges> = readers
            .iter()
            .map(|&reader| {
                let own: Vec<&Pair> = pairs.iter().filter(|p| p.reader == reader).collect();
                ReaderChanges {
                    reader,
                    changes: Changes::of(own.iter().copied()),
                    mcnemar: of_reader(own.iter().copied()),
                }
            })
            .filter(|r| r.changes.n > 0)
            .collect();
        all.push(ArmChanges {
            baseline,
            arm,
            all: Changes::of(&pairs),
            readers_harmed: each.iter().filter(|r| r.changes.harmed() > r.changes.helped()).count(),
            readers: each,
            over_readers: over_readers(&pairs),
            unpaired,
        });
    }
    all
}
