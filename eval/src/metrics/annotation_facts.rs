//! What of a file of annotations could be used, for the record and in words.

use loupe_core::words::counted;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A line of annotations that was not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLine {
    /// Its number, from 1.
    pub line: usize,
    /// The sample that it is of, where that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What is wrong, by its field; nothing of what the line says.
    pub problem: String,
}

impl fmt::Display for RefusedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// What of a file of annotations a run was scored by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotationFacts {
    /// Lines that were used, those of no sample of the run included.
    pub lines: usize,
    /// Samples of the run that have an annotation.
    pub annotated: usize,
    /// Samples of the run without one.
    pub without: usize,
    /// Those of them whose line was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// Every line that was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedLine>,
}

/// Most refused lines and ids that are named in words; the facts have all.
const MOST_NAMED: usize = 5;

/// The first of them, and how many there are beside.
pub fn first_named(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(MOST_NAMED);
    let named = all.take(MOST_NAMED).collect::<Vec<_>>().join("; ");
    if more > 0 { format!("{named}; and {more} more") } else { named }
}

impl AnnotationFacts {
    /// For the note under a table; nothing where every sample has its annotation and every line was used.
    pub fn note(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.without > 0 {
            parts.push(format!(
                "{} of {} have an annotation",
                self.annotated,
                counted(self.annotated + self.without, "sample")
            ));
        }
        if !self.refused.is_empty() {
            let named = first_named(self.refused.iter().map(ToString::to_string));
            let all = counted(self.lines + self.refused.len(), "line");
            parts.push(format!("{} of {all} of annotations refused ({named})", self.refused.len()));
        }
        if !self.lost.is_empty() {
            let named = first_named(self.lost.iter().cloned());
            parts.push(format!("therefore without annotation: {named}"));
        }
        let nameless = self.refused.iter().filter(|line| line.id.is_none()).count();
        if nameless > 0 && self.without > self.lost.len() {
            parts.push(format!(
                "of {} no id can be read, so that others without annotation may be theirs",
                counted(nameless, "refused line")
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
