//! GREEN (Ostmeier et al. 2024) from imported error counts: matched findings over matched findings
//! and clinically significant errors of six kinds. Also reads the counts out of the words of the
//! GREEN model.

use super::entry::Entry;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[Entry::typed(
    "green",
    "matched / (matched + clinically significant errors); no match is 0",
    "share",
    true,
)];

/// What the judge found in one report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Findings {
    /// Findings that agree.
    pub matched: u32,
    /// Clinically significant errors (a) to (f).
    pub significant: [u32; 6],
}

impl Findings {
    /// The score.
    pub fn green(self) -> f64 {
        let errors: u32 = self.significant.iter().fold(0, |n, e| n.saturating_add(*e));
        if self.matched == 0 {
            0.0
        } else {
            f64::from(self.matched) / (f64::from(self.matched) + f64::from(errors))
        }
    }
}

/// The counts in the words of a GREEN model: the lines (a) to (f) below "Clinically Significant
/// Errors" and the number behind "Matched Findings". `None` when a heading is missing.
pub fn read(reply: &str) -> Option<Findings> {
    let after = |heading: &str| {
        reply.split_once(&format!("[{heading}]:")).map(|(_, tail)| tail.split("\n[").next().unwrap_or(tail))
    };
    let number = |text: &str| -> Option<u32> {
        let start = text.find(|c: char| c.is_ascii_digit())?;
        let digits = text.get(start..)?.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    };
    let errors = after("Clinically Significant Errors")?;
    let mut significant = [0; 6];
    for (slot, letter) in significant.iter_mut().zip('a'..='f') {
        let line = errors.lines().find(|l| l.trim_start().starts_with(&format!("({letter})")));
        // "(a) False report of a finding: 2. …": the count stands behind the colon, before the details.
        let count =
            line.and_then(|l| l.split_once(':')).map(|(_, tail)| tail.split('.').next().unwrap_or(tail));
        *slot = count.and_then(number).unwrap_or(0);
    }
    let matched = number(after("Matched Findings")?.split('.').next().unwrap_or_default()).unwrap_or(0);
    Some(Findings { matched, significant })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn counts_are_read_and_divided() {
        let reply = "[Explanation]:\nSomething.\n\n[Clinically Significant Errors]:\n(a) False report of a finding in the candidate: 1. Effusion\n(b) Missing a finding present in the reference: 2. A; B\n(c) Misidentification: 0\n\n[Clinically Insignificant Errors]:\n(a) False report: 5.\n\n[Matched Findings]:\n3. Heart; lungs; 2 lines";
        let found = read(reply).unwrap();
        assert_eq!(found, Findings { matched: 3, significant: [1, 2, 0, 0, 0, 0] });
        assert!((found.green() - 0.5).abs() < 1e-12);
        assert_eq!(Findings::default().green(), 0.0);
        assert!(read("no headings").is_none());
    }
}
