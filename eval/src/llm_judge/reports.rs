//! A judge of whole reports. What it says becomes an annotation of the study, and is scored as an imported one is.

use super::profile::side_by_side;
use super::{AskError, Cache, Judge, filled, said};
use crate::metrics::{Texts, crimson, green, medval, radfact};
use loupe_core::words::{did_you_mean, hex};
use loupe_core::{Sample, Study, json_in};
use loupe_run::RunFolder;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Something that a judge is asked about a report and its reference.
#[derive(Debug, Clone, Copy)]
pub struct ReportQuestion {
    /// Name on the command line; the field of the annotation.
    pub name: &'static str,
    /// What its figures are, and what they are not.
    pub about: &'static str,
    /// loupe's own prompt, with `{question}` (what is known of the patient), `{reference}` and `{reply}`.
    pub prompt: &'static str,
    /// The annotation in the judge's words; nothing where they hold none.
    reads: fn(&str) -> Option<Value>,
}

/// Every question, the default first.
pub static REPORT_QUESTIONS: [ReportQuestion; 4] = [
    ReportQuestion {
        name: "green",
        about: "GREEN's counts of matched findings and errors, in its form of answer",
        prompt: include_str!("report_prompts/green.txt"),
        reads: |words| {
            let found = green::verdict(words)?;
            Some(json!({"matched": found.matched, "significant": found.significant}))
        },
    },
    ReportQuestion {
        name: "crimson",
        about: "CRIMSON's findings, matches and errors with what they mean for the patient",
        prompt: include_str!("report_prompts/crimson.txt"),
        reads: |words| {
            let value = json_in(words).ok()?;
            let read = serde_json::from_value::<crimson::Evaluation>(value.clone()).ok();
            read.filter(crimson::Evaluation::adds_up).map(|_| value)
        },
    },
    ReportQuestion {
        name: "radfact",
        about: "RadFact's phrases of both reports, each entailed by the other or not; without boxes",
        prompt: include_str!("report_prompts/radfact.txt"),
        reads: |words| {
            let value = json_in(words).ok()?;
            let read = serde_json::from_value::<radfact::Reports>(value.clone()).ok();
            // Of reports without a single phrase nothing is said.
            read.filter(|read| !(read.reply.is_empty() && read.reference.is_empty())).map(|_| value)
        },
    },
    ReportQuestion {
        name: "medval",
        about: "MedVAL's level of risk, 1 to 4, of the report against the reference",
        prompt: include_str!("report_prompts/medval.txt"),
        reads: |words| medval::read(words).map(|level| json!(level.value() as u8)),
    },
];

/// The question of that name.
///
/// # Errors
/// When there is none; the message names all.
pub fn report_question(name: &str) -> Result<&'static ReportQuestion, String> {
    let known = || REPORT_QUESTIONS.iter().map(|question| question.name);
    REPORT_QUESTIONS.iter().find(|question| question.name == name).ok_or_else(|| {
        let near = did_you_mean(name, known());
        let all = known().collect::<Vec<_>>().join(", ");
        format!("a judge is not asked for {name:?} about reports{near}; it can be asked for {all}")
    })
}

/// What the judges said about the reports of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JudgedReports {
    /// By study: the field of the annotation with what was read.
    pub annotations: BTreeMap<String, Map<String, Value>>,
    /// SHA-256 over the prompt before it is filled in.
    pub prompt_sha256: String,
    /// Reports that were put to the judges.
    pub asked: usize,
    /// Reports without a verdict.
    pub without: usize,
    /// Why the first of them has none.
    pub problem: Option<String>,
}

/// Puts every report of a run that has a reference to the judges: the sections that `texts` names, as they were written. `prompt` stands
/// in place of the question's own. `heard` is told how many there are and, for each that is done, why it has no verdict.
///
/// # Errors
/// When the run cannot be read or the cache cannot be written.
pub fn ask_reports(
    folder: &RunFolder,
    judges: &mut [Box<dyn Judge>],
    cache: Cache,
    question: &ReportQuestion,
    prompt: Option<&str>,
    texts: Texts,
    heard: &(dyn Fn(usize, Option<&str>) + Sync),
) -> Result<JudgedReports, AskError> {
    let texts = Texts { part: texts.part, ..Texts::default() };
    let template = prompt.unwrap_or(question.prompt);
    // Equal reports on equal references are one prompt, which is asked once.
    let mut prompts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut order = Vec::new();
    for item in folder.items()? {
        let item = item?;
        let (Some(sample), Some(prediction)) = (&item.line.sample, item.prediction()) else { continue };
        let Ok((wordings, reply)) = texts.of(sample, &prediction) else { continue };
        let Some(reference) = wordings.first() else { continue };
        let prompt = filled(template, &context(sample), reference, &reply);
        if !prompts.contains_key(&prompt) {
            order.push(prompt.clone());
        }
        prompts.entry(prompt).or_default().push(sample.id.clone());
    }
    let asked = prompts.values().map(Vec::len).sum();
    let order: Vec<(Vec<String>, String)> =
        order.into_iter().map(|prompt| (prompts.remove(&prompt).unwrap_or_default(), prompt)).collect();
    let total = order.len();
    let prompt_sha256 = hex(&Sha256::digest(template.as_bytes()));
    let out = JudgedReports { prompt_sha256, asked, ..JudgedReports::default() };
    let (cache, out) = (Mutex::new(cache), Mutex::new(out));
    side_by_side(judges, order, &|judge, (ids, prompt)| {
        let said = said(judge, &cache, &prompt, &|reply| (question.reads)(reply).is_some())?;
        let read = said.reply.as_deref().and_then(question.reads);
        heard(total, said.problem.as_deref());
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Some(value) => {
                for id in ids {
                    out.annotations.entry(id).or_default().insert(question.name.to_owned(), value.clone());
                }
            }
            None => {
                out.without += ids.len();
                out.problem = out.problem.take().or(said.problem);
            }
        }
        Ok(())
    })?;
    Ok(out.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What is known of the patient, for judges that weigh findings by it.
fn context(sample: &Sample) -> String {
    let study = Study::of(sample);
    let known = [("Age", &study.age_band), ("Sex", &study.sex), ("Indication", &study.indication)];
    let said = known.iter().filter_map(|(name, text)| text.as_ref().map(|text| format!("{name}: {text}")));
    let said: Vec<String> = said.collect();
    if said.is_empty() { "nothing".to_owned() } else { said.join("; ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn every_question_says_how_it_wants_its_answer_and_reads_it() {
        for question in &REPORT_QUESTIONS {
            assert!(
                question.prompt.contains("{reference}") && question.prompt.contains("{reply}"),
                "{}",
                question.name
            );
            assert_eq!((question.reads)("The candidate is good."), None, "{}", question.name);
        }
        let read = |name: &str, words: &str| (report_question(name).unwrap().reads)(words);
        let green = "[Explanation]:\nOne.\n\n[Clinically Significant Errors]:\n(a) False report: 1. Effusion\n(b) x: 0\n(c) x: 0\n(d) x: 0\n(e) x: 0\n(f) x: 0\n\n[Matched Findings]:\n2. Heart; lungs";
        assert_eq!(read("green", green), Some(json!({"matched": 2, "significant": [1, 0, 0, 0, 0, 0]})));
        assert_eq!(read("medval", "Errors: none.\nRISK LEVEL: 1"), Some(json!(1)));
        let crimson = "```json\n{\"reference_findings\": [], \"predicted_findings\": [], \"matched_findings\": [], \"errors\": {}}\n```";
        assert!(read("crimson", crimson).is_some());
        let radfact = "{\"reply\": [{\"text\": \"Nodule.\", \"status\": \"entailment\", \"evidence\": [0]}], \"reference\": [{\"text\": \"A nodule.\", \"status\": \"not_entailment\"}]}";
        assert!(read("radfact", radfact).is_some() && read("radfact", "{\"reply\": []}").is_none());
        assert_eq!(read("radfact", &radfact.replace("[0]", "[1]")), None, "evidence that is not there");
        assert_eq!(read("green", &green.replace("(f) x: 0\n", "")), None, "a line is missing");
        assert_eq!(read("radfact", "{\"reply\": [], \"reference\": []}"), None);
        assert!(report_question("gren").unwrap_err().contains("did you mean \"green\""));
    }
}
