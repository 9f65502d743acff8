//! What metrics of words are given: the words of the answer without thoughts and tags, and of reports the part that
//! is asked for.

use super::report_sections::{self, Part, Preprocess};
use loupe_core::reasoning::{answer_words, own_turn, tagged_answer};
use loupe_core::words::counted;
use loupe_core::{Prediction, Sample, Target};
use loupe_run::report_prompt::StructuredReport;

/// What of a text a metric is given. Thoughts ([`loupe_core::reasoning`]) and the tags around an answer are never part
/// of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts {
    /// Which sections of reports, wherever they come from.
    pub part: Part,
    /// The clean-up of both sides.
    pub clean: Preprocess,
}

impl Default for Texts {
    fn default() -> Self {
        Self { part: Part::Whole, clean: Preprocess::RAW }
    }
}

impl Texts {
    /// For the note under a table.
    pub fn name(self) -> String {
        format!("reports: {}; {}", self.part.name(), self.clean.name())
    }

    /// The accepted wordings and the reply.
    pub(crate) fn of(
        self,
        sample: &Sample,
        prediction: &Prediction,
    ) -> Result<(Vec<String>, String), &'static str> {
        let reply = prediction.text().ok_or("the item failed")?;
        let wordings: Vec<String> = match &sample.target {
            // Words that are no report have no sections, but a report may come as words.
            Target::Text(wordings) => {
                let all = wordings
                    .iter()
                    .filter(|w| self.part != Part::MedEvalKit || report_sections::has_sections(w));
                let parts = all.filter_map(|w| report_sections::part(w, self.part).ok());
                parts.filter(|w| self.part == Part::Whole || !w.trim().is_empty()).collect()
            }
            Target::Report(sections) => report_sections::reference(sections, self.part).into_iter().collect(),
            _ => return Err("the reference is not a text"),
        };
        if wordings.is_empty() {
            return Err("the reference has no such section");
        }
        let told = (self.part != Part::Whole).then(|| told(prediction)).flatten();
        let said = match told {
            // Sections that are known are not searched for.
            Some(told) => match self.part {
                Part::Findings => told.findings.unwrap_or_default(),
                Part::Impression => told.impression.unwrap_or_default(),
                Part::MedEvalKit | Part::Whole => report_sections::joined(&told.by_name(), self.part),
            },
            None => report_sections::part(self.said(sample, reply), self.part)?,
        };
        Ok((wordings.iter().map(|w| self.clean.apply(w)).collect(), self.clean.apply(&said)))
    }

    /// The words of the answer. A short answer ends where the model invents the next turn; a report may speak of a
    /// question.
    fn said<'a>(self, sample: &Sample, reply: &'a str) -> &'a str {
        match &sample.target {
            Target::Text(_) if self.part == Part::Whole => {
                own_turn(reply).map_or("", |own| tagged_answer(own).unwrap_or(own))
            }
            _ => answer_words(reply),
        }
    }
}

/// The sections of a reply that was asked for as JSON.
fn told(prediction: &Prediction) -> Option<loupe_run::report_prompt::ToldReport> {
    StructuredReport::of(&prediction.record)?.told()
}

/// Reports in which no section was found, so that all of their words count as findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Headless {
    texts: Texts,
    reports: usize,
    replies: usize,
    references: usize,
}

impl Headless {
    pub(crate) fn new(texts: Texts) -> Self {
        Self { texts, ..Self::default() }
    }

    /// Counts an item in, where sections are asked for.
    pub(crate) fn add(&mut self, sample: &Sample, prediction: &Prediction) {
        let (true, Some(reply)) = (self.texts.part != Part::Whole, prediction.text()) else { return };
        let without = match &sample.target {
            Target::Report(sections) => !report_sections::known(sections),
            Target::Text(wordings) => !wordings.first().is_some_and(|w| report_sections::has_sections(w)),
            _ => return,
        };
        self.reports += 1;
        self.references += usize::from(without);
        self.replies +=
            usize::from(told(prediction).is_none() && !report_sections::has_sections(answer_words(reply)));
    }

    /// For the note under a table.
    pub(crate) fn note(self) -> String {
        let name = self.texts.name();
        match self.reports {
            0 => name,
            all => format!(
                "{name}; no section was found in {} and {} (of {all})",
                counted(self.replies, "reply"),
                counted(self.references, "reference")
            ),
        }
    }
}
