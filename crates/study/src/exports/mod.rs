//! Readings for the packages that statisticians use.

mod imrmc;
mod mrmcaov;
mod rjafroc;

pub use imrmc::imrmc;
pub use mrmcaov::mrmcaov;
pub use rjafroc::rjafroc;

use crate::readings::Readings;

/// A code without what separates fields in these files.
fn code(text: &str) -> String {
    text.chars().map(|c| if c == ',' || c == '"' || c.is_control() { '_' } else { c }).collect()
}

/// Ratings of cases whose truth is known: (reader, arm, case, truth, rating).
fn rated(readings: &Readings) -> impl Iterator<Item = (String, String, String, bool, f64)> {
    readings.readings.iter().filter_map(|r| {
        let case = &readings.cases[r.case];
        let (reader, arm) = (code(&readings.readers[r.reader]), code(&readings.arms[r.arm]));
        Some((reader, arm, code(&case.name), case.truth?, r.rating?))
    })
}
