//! What reporting guidelines ask of such a study, and what the file already answers (CLAIM 2024 update; STARD-AI).

use crate::analysis::StudyAnalysis;
use serde::Serialize;

/// Where the answer to an item comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The analysis has it.
    Present,
    /// The file could have held it, and does not.
    Absent,
    /// Only the authors know.
    ToBeWritten,
}

/// A line of the checklist.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChecklistItem {
    /// The guideline that asks.
    pub asked_by: &'static str,
    /// What is asked for.
    pub item: &'static str,
    /// Is it there?
    pub state: State,
    /// What there is, or what to do.
    pub answer: String,
}

impl StudyAnalysis {
    /// What guidelines ask for, against what there is.
    pub fn checklist(&self) -> Vec<ChecklistItem> {
        const BOTH: &str = "CLAIM, STARD-AI";
        let c = &self.contents;
        let held = |asked_by, item, there: bool, answer: String, without: &str| ChecklistItem {
            asked_by,
            item,
            state: if there { State::Present } else { State::Absent },
            answer: if there { answer } else { without.to_owned() },
        };
        let write = |asked_by, item, answer: &str| ChecklistItem {
            asked_by,
            item,
            state: State::ToBeWritten,
            answer: answer.to_owned(),
        };
        let compared = self.merits.iter().any(|m| m.comparison.is_some());
        let design = self.merits.iter().find_map(|m| m.comparison.as_ref()).map(|a| a.design.words());
        vec![
            write(
                BOTH,
                "Study design and objective, registration and protocol",
                "say whether it is prospective, and where it is registered",
            ),
            write(
                BOTH,
                "Where cases come from, and who was excluded",
                "a flow of cases from eligible to analysed",
            ),
            held(
                BOTH,
                "Number of cases with and without the disease",
                c.positive + c.negative > 0,
                format!("{} with, {} without", c.positive, c.negative),
                "give `truth` for each case",
            ),
            write(BOTH, "Reference standard: who, how, when, and blinded to what", "how `truth` came to be"),
            held(
                "CLAIM",
                "Unit of analysis, and patients with several cases",
                true,
                format!("{} cases of {} units", c.cases, c.units),
                "",
            ),
            held(
                BOTH,
                "Number of readers",
                !c.readers.is_empty(),
                format!("{} readers", c.readers.len() - usize::from(self.model.is_some())),
                "",
            ),
            write(BOTH, "Readers' experience and training on the task", "years, specialty, training cases"),
            write(
                BOTH,
                "What readers were blinded to; order, sessions and washout",
                "also how the order was drawn",
            ),
            held(
                BOTH,
                "Missing readings, and how they were handled",
                true,
                format!("{} missing", c.missing),
                "",
            ),
            held(
                BOTH,
                "Accuracy with intervals, for each reader",
                !self.merits.is_empty(),
                "tables “of each reader”".to_owned(),
                "needs `truth` with `rating`, `decision` or `marks`",
            ),
            held(
                BOTH,
                "Comparison between arms that accounts for readers and cases",
                compared,
                design.unwrap_or_default(),
                "needs two arms and a balanced design; an iMRMC file is written where the design is not",
            ),
            held(
                BOTH,
                "Model against readers",
                self.merits.iter().any(|m| m.model.iter().any(|r| r.result.is_some())),
                "tables “against readers”".to_owned(),
                "name the reader that is the model",
            ),
            held(
                "CLAIM",
                "Agreement of readers",
                !self.agreement.is_empty(),
                "tables of agreement".to_owned(),
                "needs two readers of the same cases",
            ),
            held(
                "CLAIM",
                "Agreement of readers with themselves",
                !self.own_agreement.is_empty(),
                "table of agreement with oneself".to_owned(),
                "needs cases that were read twice (`repeat`)",
            ),
            held(
                "STARD-AI",
                "Harm: decisions that the aid made wrong",
                !self.changes.is_empty(),
                "tables “Decisions in …”".to_owned(),
                "needs decisions (or a threshold) in two arms",
            ),
            held(
                "STARD-AI",
                "Reading time",
                !self.times.is_empty(),
                "table of reading times".to_owned(),
                "needs `seconds`",
            ),
            held(
                BOTH,
                "Sample size",
                self.merits.iter().any(|m| !m.plan.is_empty()),
                "planned from these components; say what the study itself was planned with".to_owned(),
                "give the difference that a study has to find",
            ),
            held(BOTH, "Statistical methods with software", true, "methods paragraph".to_owned(), ""),
            write(
                BOTH,
                "The model: version, training data, thresholds, intended use",
                "also what it was shown",
            ),
            write(
                BOTH,
                "Subgroups, failures and their analysis",
                "cases that all readers or the model got wrong",
            ),
            write(BOTH, "Availability of data and code; funding; ethics", "with the approval's number"),
        ]
    }
}
