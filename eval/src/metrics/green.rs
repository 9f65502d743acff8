//! GREEN (Ostmeier et al. 2024) from imported error counts: matched findings over matched findings
//! and clinically significant errors of six kinds. Also reads the counts out of the words of the
//! GREEN model.

use super::entry::Entry;
use loupe_core::reasoning::answer_words;

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

/// The counts in a judge's answer, which has to be complete: the significant errors (a) to (f) with a number each, and the number of matched
/// findings. Thoughts are no part of it, nor is markup; anything else is no verdict, where [`read`] takes what is missing for 0.
pub fn verdict(reply: &str) -> Option<Findings> {
    let plain = answer_words(reply).replace(['*', '#', '`'], "");
    let under = |heading: &str| {
        let mut parts = plain.split(heading).skip(1);
        let only = parts.next().filter(|_| parts.next().is_none())?;
        Some(only.trim_start_matches(':').split("\n[").next().unwrap_or(only).to_owned())
    };
    let (errors, matched) = (under("[Clinically Significant Errors]")?, under("[Matched Findings]")?);
    let lines = || {
        errors.lines().map(|line| line.trim_start_matches(|c: char| c.is_whitespace() || "-•>".contains(c)))
    };
    let mut significant = [0; 6];
    for (slot, letter) in significant.iter_mut().zip('a'..='f') {
        let head = format!("({letter})");
        let mut of_letter = lines().filter(|line| line.starts_with(&head));
        let line = of_letter.next().filter(|_| of_letter.next().is_none())?;
        *slot = leading(line.split_once(':')?.1)?;
    }
    let mut said = matched.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = leading(said.next()?)?;
    // A numbered list has no count before it.
    if said.any(|line| line.starts_with(|c: char| c.is_ascii_digit())) {
        return None;
    }
    Some(Findings { matched: first, significant })
}

/// The whole number that a text begins with.
fn leading(text: &str) -> Option<u32> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    // "1-2", "1/3", "1.5": no count.
    let rest = rest.trim_start().strip_prefix(['-', '–', '/', '.', ',']);
    let goes_on = rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if goes_on { None } else { digits.parse().ok() }
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

    /// A complete form with these lines of errors and matched findings.
    fn form(a: &str, matched: &str) -> String {
        format!(
            "[Explanation]:\nx\n\n[Clinically Significant Errors]:\n{a}\n(b) Missing: 2. A; B\n(c) Place: 0\n(d) Severity: 0.\n(e) False: 1. C\n(f) Missing: 0\n\n\
             [Clinically Insignificant Errors]:\n(a) False finding: 5.\n\n[Matched Findings]:\n{matched}"
        )
    }

    #[test]
    fn a_verdict_is_complete() {
        let wanted = Some(Findings { matched: 3, significant: [1, 2, 0, 0, 1, 0] });
        for line in [
            "(a) False finding: 1. Mass",
            "- (a) False finding: 1",
            "**(a) False finding:** 1.",
            "* (a) False finding: **1**",
        ] {
            assert_eq!(verdict(&form(line, "3. Heart; lungs; 2 lines")), wanted, "{line}");
        }
        let good = form("(a) False finding: 1.", "3. Heart");
        assert_eq!(verdict(&format!("<think>{}</think>{good}", form("(a) x: 9", "9"))), wanted);
        assert_eq!(verdict(&good.replace('[', "**[").replace("]:", "]:**")), wanted);
        for (line, matched) in [
            ("(a) False finding: none", "3. Heart"),
            ("(a) False finding", "3. Heart"),
            ("", "3. Heart"),
            ("(a) False finding: 1-2", "3. Heart"),
            ("(a) False finding: 1", "None"),
            ("(a) False finding: 1", "The heart (1 of 3)"),
            ("(a) False finding: 1", "1. Heart\n2. Lungs"),
            ("(a) False finding: 1", ""),
            ("(a) False finding: 1\n(a) Other: 2", "3"),
        ] {
            assert_eq!(verdict(&form(line, matched)), None, "{line} / {matched}");
        }
        assert_eq!(verdict(&format!("{good}\n{good}")), None, "two forms");
    }
}
