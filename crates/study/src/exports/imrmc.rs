//! iMRMC's list mode: front matter, `BEGIN DATA:`, then `reader,case,modality,score` with the truth as a reader of its own.

use super::{code, rated};
use crate::readings::Readings;
use std::fmt::Write;

/// The ratings as an `.imrmc` file, whatever the design; `None` without ratings of cases whose truth is known.
pub fn imrmc(readings: &Readings) -> Option<String> {
    let mut rows = String::new();
    for (reader, arm, case, _, rating) in rated(readings) {
        let _ = writeln!(rows, "{reader},{case},{arm},{rating}");
    }
    if rows.is_empty() {
        return None;
    }
    let count = |truth: bool| readings.cases.iter().filter(|c| c.truth == Some(truth)).count();
    let mut out = format!(
        "Written by loupe\nN0: {}\nN1: {}\nNR: {}\nNM: {}\nBEGIN DATA:\n",
        count(false),
        count(true),
        readings.readers.len(),
        readings.arms.len()
    );
    for case in &readings.cases {
        if let Some(truth) = case.truth {
            let _ = writeln!(out, "truth,{},truth,{}", code(&case.name), u8::from(truth));
        }
    }
    Some(out + &rows)
}
