//! MedVAL (StanfordMIMI/MedVAL 8e60196): how much risk a text holds against what it was made from, graded 1 to 4 by a judge. Imported or read
//! out of a judge's words.

use super::entry::Entry;
use loupe_core::reasoning::answer_words;
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

/// The level in a judge's words: the number behind "risk level" at the beginning of a line, or on the line under it. Thoughts are no part of
/// them, nor is markup; lines that disagree, or that hold another number, are no verdict.
pub fn read(reply: &str) -> Option<RiskLevel> {
    let plain = answer_words(reply).to_lowercase().replace('_', " ");
    let bare = |line: &'_ str| -> String {
        line.chars().filter(|c| !matches!(c, '*' | '#' | '[' | ']' | '{' | '}' | '"' | '`' | '>')).collect()
    };
    let lines: Vec<String> =
        plain.lines().map(|line| bare(line).trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let mut found: Option<u8> = None;
    for (at, line) in lines.iter().enumerate() {
        let Some(behind) = line.strip_prefix("risk level") else { continue };
        let mark = |c: char| c.is_whitespace() || matches!(c, ':' | '=');
        let mut said = behind.trim_start_matches(mark);
        if said.is_empty() {
            said = lines.get(at + 1).map(String::as_str).unwrap_or_default();
        }
        let mut numbers = said.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
        let level = numbers.next().filter(|level| said.starts_with(level))?.parse::<u8>().ok()?;
        // "1 to 4", "3 or 4": no level was given.
        if numbers.next().is_some() || found.is_some_and(|other| other != level) {
            return None;
        }
        found = Some(level);
    }
    RiskLevel::try_from(found?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn a_level_is_read_or_there_is_none() {
        assert_eq!(read("Errors: none.\n**RISK LEVEL: 2**").map(RiskLevel::value), Some(2.0));
        assert_eq!(read("risk_level: 4 (High Risk)").map(RiskLevel::value), Some(4.0));
        for (said, level) in [
            ("RISK LEVEL: 1\nThe patient is at risk in about 4 weeks.", 1.0),
            ("The risk is high.\nRISK LEVEL: 3", 3.0),
            ("{\"risk_level\": 2}", 2.0),
            ("[[ ## risk_level ## ]]\n4", 4.0),
            ("<think>RISK LEVEL: 4</think>RISK LEVEL: 1", 1.0),
        ] {
            assert_eq!(read(said).map(RiskLevel::value), Some(level), "{said}");
        }
        for none in [
            "RISK LEVEL: 1\nRISK LEVEL: 2",
            "At risk for 3 weeks.",
            "<think>RISK LEVEL: 4",
            "RISK LEVEL: 5",
            "Risk level: 3 or 4",
            "Low.",
            "Risk level: low",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
