//! A data frame for the R package MRMCaov.

use super::rated;
use crate::readings::Readings;
use loupe_core::table::csv_cell;
use std::fmt::Write;

/// The ratings as CSV with the columns of the package's examples, for
/// `mrmc(empirical_auc(truth, rating), treatment, reader, case, data = read.csv(…))`; `None` without ratings of cases whose
/// truth is known.
pub fn mrmcaov(readings: &Readings) -> Option<String> {
    let mut out = "reader,treatment,case,truth,rating\n".to_owned();
    let head = out.len();
    for (reader, arm, case, truth, rating) in rated(readings) {
        let [reader, arm, case] = [reader, arm, case].map(|name| csv_cell(&name));
        let _ = writeln!(out, "{reader},{arm},{case},{},{rating}", u8::from(truth));
    }
    (out.len() > head).then_some(out)
}
