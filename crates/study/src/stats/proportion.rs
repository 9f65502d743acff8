//! Shares of readings by several readers of several cases, whose readings of one case and readings by one reader are not
//! independent: an interval for each way of drawing the study again.

use super::estimate::{Estimate, Unit};
use super::obuchowski_rockette::{Inference, single_test};
use loupe_eval::stats::{Clusters, Interval};
use serde::Serialize;
use std::collections::BTreeSet;

/// One reading: 0 or 1, or a share such as ½ for a tie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Number of the reader.
    pub reader: usize,
    /// Number of the unit.
    pub unit: usize,
    /// What was seen.
    pub value: f64,
}

/// A share with its intervals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proportion {
    /// Readings.
    pub n: u64,
    /// Their mean.
    pub value: f64,
    /// Cases (units) as clusters: for these readers, and cases like these.
    pub over_cases: Option<Interval>,
    /// Readers as clusters: for readers like these, and these cases. Needs three readers.
    pub over_readers: Option<Interval>,
    /// For readers and cases like these: of the mean of the readers' shares, which every reader enters alike.
    pub over_both: Option<Interval>,
}

/// The share of observations; `is_share` where values between 0 and 1 can occur. `None` of nothing.
pub fn proportion(observations: &[Observation], is_share: bool, level: f64) -> Option<Proportion> {
    let values: Vec<f64> = observations.iter().map(|o| o.value).collect();
    let cases = Clusters::of(&values, observations.iter().map(|o| o.unit));
    let readers = Clusters::of(&values, observations.iter().map(|o| o.reader));
    let of_reader = |reader: usize| {
        let own = observations.iter().filter(|o| o.reader == reader);
        Estimate::mean(&own.map(|o| Unit { unit: o.unit, value: o.value }).collect::<Vec<_>>())
    };
    let names: BTreeSet<usize> = observations.iter().map(|o| o.reader).collect();
    let estimates: Option<Vec<Estimate>> = names.into_iter().map(of_reader).collect();
    let both = estimates.and_then(|all| {
        single_test(0, &all.iter().collect::<Vec<_>>(), Inference::RandomReadersRandomCases, level)
    });
    Some(Proportion {
        n: cases.n(),
        value: cases.mean()?,
        over_cases: cases.interval_as(level, is_share),
        over_readers: if readers.clusters() > 2 { readers.interval_as(level, is_share) } else { None },
        over_both: both.map(|found| Interval {
            lo: found.interval.lo.max(0.0),
            hi: found.interval.hi.min(1.0),
            ..found.interval
        }),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn readers_who_agree_add_no_certainty() {
        let all: Vec<Observation> = (0..20)
            .flat_map(|unit| {
                (0..3).map(move |reader| Observation { reader, unit, value: f64::from(unit % 4 != 0) })
            })
            .collect();
        let one: Vec<Observation> = all.iter().filter(|o| o.reader == 0).copied().collect();
        let (three, single) =
            (proportion(&all, false, 0.95).unwrap(), proportion(&one, false, 0.95).unwrap());
        assert_eq!((three.n, three.value, single.value), (60, 0.75, 0.75));
        // Wilson at 20 cases; with clusters Student's t replaces the normal quantile and widens it a little.
        let (wide, plain) = (three.over_cases.unwrap(), single.over_cases.unwrap());
        assert!(wide.hi - wide.lo >= plain.hi - plain.lo && wide.hi - wide.lo < 1.1 * (plain.hi - plain.lo));
        assert!(three.over_both.is_some() && single.over_readers.is_none());
        assert_eq!(proportion(&[], false, 0.95), None);
    }
}
