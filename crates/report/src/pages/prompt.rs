//! What was said to the model in a single pass: the run's own template over the sample, as the run itself makes it.

use loupe_core::Sample;
use loupe_run::MadeBy;
use loupe_run::templates::PromptTemplate;

/// The template that a run recorded; nothing for runs without one (imported replies, segmenters).
pub(crate) fn template(made_by: &MadeBy) -> Option<PromptTemplate> {
    serde_json::from_value(made_by.prompt.clone()).ok()
}

/// The system turn and the user's turn, pictures as `[picture 1]`.
pub(crate) fn prompt(template: &PromptTemplate, sample: &Sample) -> String {
    let (before, after) = template.words(sample);
    let pictures: String = (1..=sample.media.len()).map(|n| format!("[picture {n}] ")).collect();
    let system = template.system.iter().map(|words| format!("system: {words}\n"));
    system.chain([before, pictures, after]).collect()
}
