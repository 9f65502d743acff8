//! An analysis with the words around it.

use crate::analysis::StudyAnalysis;
use crate::checklist::ChecklistItem;
use crate::methods::Methods;
use serde::Serialize;

/// An analysis with its methods and checklist, as `analysis.json` holds it.
#[derive(Debug, Clone, Serialize)]
pub struct Document<'a> {
    /// The numbers.
    #[serde(flatten)]
    pub analysis: &'a StudyAnalysis,
    /// How they came about.
    pub methods: Methods,
    /// What guidelines ask for.
    pub checklist: Vec<ChecklistItem>,
}

impl<'a> Document<'a> {
    /// The document of an analysis.
    pub fn of(analysis: &'a StudyAnalysis) -> Self {
        Self { analysis, methods: analysis.methods(), checklist: analysis.checklist() }
    }
}
