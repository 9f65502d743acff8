//! MedVAL (StanfordMIMI/MedVAL 8e60196): how much risk a text holds against what it was made from, graded 1 to 4 by a judge. Imported or read
//! out of a judge's words.

use super::entry::Entry;
use serde::Deserialize;

/// The conventions of this file.
pub static ENTRIES: &[Entry] =
    &[Entry::typed("medval_risk", "MedVAL risk level: 1 none, 2 low, 3 moderate, 4 high", "level", false)];

/// A grade of risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct RiskLevel(u8);

impl TryFrom<u8> for RiskLevel {
    type Error = &'static str;

    fn try_from(level: u8) -> Result<Self, Self::Error> {
        if (1..=4).contains(&level) { Ok(Self(level)) } else { Err("a risk level is 1, 2, 3 or 4") }
    }
}

impl RiskLevel {
    /// As a figure.
    pub fn value(self) -> f64 {
        f64::from(self.0)
    }
}

/// The level in a judge's words: the number in the last line that speaks of a risk level.
pub fn read(reply: &str) -> Option<RiskLevel> {
    let line = reply.lines().rev().map(str::to_lowercase).find(|line| line.contains("risk"))?;
    let (_, behind) = line.split_once("risk")?;
    let mut numbers = behind.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let level = numbers.next()?.parse::<u8>().ok()?;
    // "1 to 4", "3 or 4": no level was given.
    if numbers.next().is_some() { None } else { RiskLevel::try_from(level).ok() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn a_level_is_read_or_there_is_none() {
        assert_eq!(read("Errors: none.\n**RISK LEVEL: 2**").map(RiskLevel::value), Some(2.0));
        assert_eq!(read("risk_level: 4 (High Risk)").map(RiskLevel::value), Some(4.0));
        for none in ["RISK LEVEL: 5", "Risk level: 3 or 4", "Low.", "Risk level: low"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
