//! Reports that take more than one reply: the findings, then, in the same conversation, their impression; questions of whose answers the report
//! is made; several reports of which one is kept; a reply as JSON that becomes a report.

use super::candidates::Candidates;
use super::desk::{Asks, Desk, Replies, names};
use super::template::{Passes, ReportTemplate};
use loupe_core::{AnswerSink, Answerer, Direct, ModelInfo, VisionLanguageModel, WorkSource};
use serde_json::{Value, json};

/// A model that writes reports as a template asks for them. With one reply a study it is the model itself; with more, the replies to
/// many studies are under way together, and a study has its answer when its last one is done.
pub struct ReportAnswerer<'a> {
    model: &'a mut dyn VisionLanguageModel,
    template: ReportTemplate,
    candidates: Option<Candidates>,
}

impl<'a> ReportAnswerer<'a> {
    /// One report a study.
    pub fn new(model: &'a mut dyn VisionLanguageModel, template: ReportTemplate) -> Self {
        Self { model, template, candidates: None }
    }

    /// Several reports a study, of which one is kept.
    #[must_use]
    pub fn choosing(mut self, candidates: Option<Candidates>) -> Self {
        self.candidates = candidates.filter(|candidates| candidates.count > 1);
        self
    }

    /// Is the reply the answer, as it is?
    fn is_plain(&self) -> bool {
        let one = matches!(self.template.passes(), Passes::Report | Passes::Findings);
        one && self.candidates.is_none() && self.template.schema().is_none()
    }
}

impl Answerer for ReportAnswerer<'_> {
    fn model(&self) -> &ModelInfo {
        self.model.info()
    }

    fn strategy(&self) -> Value {
        if self.is_plain() {
            return Value::Null;
        }
        let mut strategy = json!({"name": "report", "passes": names(&self.template)});
        if let Some(fields) = strategy.as_object_mut() {
            if let Some(candidates) = self.candidates {
                fields.insert("candidates".to_owned(), candidates.count.into());
                fields.insert("choose".to_owned(), candidates.rule.name.into());
            }
            if self.template.schema().is_some() {
                fields.insert("schema".to_owned(), true.into());
            }
        }
        strategy
    }

    fn serve(&mut self, work: &mut dyn WorkSource, answers: &mut dyn AnswerSink) {
        if self.is_plain() {
            return Direct(self.model).serve(work, answers);
        }
        let name = self.model.info().name.clone();
        let desk = Desk::new(&self.template, &name, self.candidates);
        self.model.serve(&mut Asks { work, desk: &desk }, &mut Replies { answers, desk: &desk });
    }
}
