//! What a check found.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A reader would show something wrong, or nothing.
    Error,
    /// It may be meant so.
    Warning,
    /// It could not be checked.
    Unchecked,
}

impl Severity {
    /// As it is printed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Unchecked => "not checked",
        }
    }
}

/// Something that is to be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What was found, and what was expected.
    pub words: String,
}

/// Everything that is to be said of a file. It names numbers and attributes, never identifiers or names out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// What the file is.
    pub kind: &'static str,
    /// How many findings, segments or references were looked at.
    pub looked_at: usize,
    /// What is to be said, in the order in which it was found.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    pub(super) fn of(kind: &'static str) -> Self {
        Self { kind, looked_at: 0, problems: Vec::new() }
    }

    fn add(&mut self, severity: Severity, words: impl Into<String>) {
        let problem = Problem { severity, words: words.into() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn error(&mut self, words: impl Into<String>) {
        self.add(Severity::Error, words);
    }

    pub(super) fn warning(&mut self, words: impl Into<String>) {
        self.add(Severity::Warning, words);
    }

    pub(super) fn unchecked(&mut self, words: impl Into<String>) {
        self.add(Severity::Unchecked, words);
    }

    /// Is there no error?
    pub fn is_sound(&self) -> bool {
        self.problems.iter().all(|p| p.severity != Severity::Error)
    }
}
