//! A file of answers, held against the key: nothing is taken from one that is damaged, cut, changed or another study's.

use crate::design::question::QuestionKind;
use crate::error::StudyError;
use crate::reading::{Key, KeyPage, digest};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The form of the file.
pub const ANSWERS_FORMAT: &str = "loupe-answers/1";
/// A day of reading makes a few hundred kB.
const MOST_BYTES: u64 = 256 << 20;

#[derive(Deserialize)]
struct Entry {
    line: String,
    hash: String,
}

#[derive(Deserialize)]
struct File {
    format: String,
    study: String,
    reader: String,
    plan: String,
    complete: bool,
    entries: Vec<Entry>,
}

/// What an entry says.
#[derive(Deserialize)]
struct Said {
    n: usize,
    at: String,
    kind: String,
    #[serde(default)]
    step: Option<usize>,
    #[serde(default)]
    question: Option<String>,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    seconds: Option<f64>,
    #[serde(default)]
    session: Option<usize>,
}

/// What became of a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct StepAnswers {
    /// The last answer to each question.
    pub(super) values: BTreeMap<String, Value>,
    /// Active reading time.
    pub(super) seconds: Option<f64>,
    /// When it was done, as the page's clock says.
    pub(super) done: Option<String>,
}

/// A file that was taken.
#[derive(Debug, Clone)]
pub(super) struct TakenFile<'k> {
    pub(super) name: String,
    pub(super) page: &'k KeyPage,
    /// Digests of the entries.
    pub(super) chain: Vec<String>,
    pub(super) steps: Vec<StepAnswers>,
    /// First and last time within each session.
    pub(super) times: BTreeMap<usize, [String; 2]>,
    /// Sessions that began before their time, with the coordinator's word.
    pub(super) overrides: Vec<usize>,
}

impl TakenFile<'_> {
    pub(super) fn done(&self) -> usize {
        self.steps.iter().filter(|s| s.done.is_some()).count()
    }
}

/// Reads and verifies a file.
pub(super) fn take<'k>(path: &Path, key: &'k Key, partial: bool) -> Result<TakenFile<'k>, StudyError> {
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let refused = |what: String| StudyError::Answers { file: name.clone(), what };
    let bytes = loupe_core::files::read_at_most(path, MOST_BYTES)
        .map_err(|e| refused(format!("the file cannot be read: {e}")))?;
    let file: File = serde_json::from_slice(&bytes).map_err(|e| match e.is_eof() {
        true => refused("the file ends in the middle; ask the reader to save it again".to_owned()),
        false => refused("this is no file of answers that a study page saved".to_owned()),
    })?;
    if file.format != ANSWERS_FORMAT {
        return Err(refused(format!("the form of the file is not {ANSWERS_FORMAT}")));
    }
    if file.study != key.study {
        return Err(refused("these are answers of another study than the key's".to_owned()));
    }
    let Some(page) = key.pages.iter().find(|p| p.plan == file.plan) else {
        return Err(refused(
            "these answers were given on a page that the key does not know; use the key that was built with it"
                .to_owned(),
        ));
    };
    if page.reader != file.reader {
        return Err(refused("the file names another reader than its page has".to_owned()));
    }
    let chain = chain(&file, page).map_err(&refused)?;
    let mut taken = TakenFile {
        name: name.clone(),
        page,
        chain,
        steps: vec![StepAnswers::default(); page.steps.len()],
        times: BTreeMap::new(),
        overrides: Vec::new(),
    };
    for (n, entry) in file.entries.iter().enumerate() {
        let said: Said = serde_json::from_str(&entry.line)
            .map_err(|_| refused(format!("entry {} is none that a page makes", n + 1)))?;
        if said.n != n {
            return Err(refused(format!("entry {} has the number {}", n + 1, said.n + 1)));
        }
        hear(&mut taken, key, said).map_err(|what| refused(format!("entry {}: {what}", n + 1)))?;
    }
    let (done, all) = (taken.done(), page.steps.len());
    if file.complete != (done == all) {
        return Err(refused(format!(
            "the file says that it is {}, and {done} of {all} readings are done: it was cut or changed",
            if file.complete { "complete" } else { "not complete" }
        )));
    }
    if done < all && !partial {
        return Err(refused(format!(
            "{done} of {all} readings are done; ask for the complete file, or take what is there with --partial"
        )));
    }
    Ok(taken)
}

/// The digests of the entries, when each follows from the one before.
fn chain(file: &File, page: &KeyPage) -> Result<Vec<String>, String> {
    let mut hash = digest(&format!("{ANSWERS_FORMAT}\n{}\n{}", page.plan, page.reader));
    let mut all = Vec::with_capacity(file.entries.len());
    for (n, entry) in (1..).zip(&file.entries) {
        hash = digest(&format!("{hash}\n{}", entry.line));
        if hash != entry.hash {
            return Err(format!("entry {n} was changed, taken out or put in after the page made it"));
        }
        all.push(hash.clone());
    }
    Ok(all)
}

fn hear(taken: &mut TakenFile<'_>, key: &Key, said: Said) -> Result<(), String> {
    let steps = &taken.page.steps;
    let at = || said.step.filter(|n| *n < steps.len()).ok_or("there is no such step on the page");
    match said.kind.as_str() {
        "started" => {
            let session = steps[at()?].session;
            let times = taken.times.entry(session).or_insert_with(|| [said.at.clone(), said.at.clone()]);
            times[1] = said.at;
        }
        "answered" => {
            let step = at()?;
            if taken.steps[step].done.is_some() {
                return Err("it answers a case that was done before".to_owned());
            }
            let id = said.question.unwrap_or_default();
            let question =
                key.questions.iter().find(|q| q.id == id).ok_or("the study has no such question")?;
            if !said.value.is_null() && !fits(question.kind, &said.value) {
                return Err(format!("the answer to `{id}` is none that its form gives"));
            }
            match said.value.is_null() {
                true => taken.steps[step].values.remove(&id),
                false => taken.steps[step].values.insert(id, said.value),
            };
        }
        "done" => {
            let step = at()?;
            let (session, answers) = (steps[step].session, &mut taken.steps[step]);
            answers.seconds = said.seconds.filter(|s| s.is_finite() && *s >= 0.0);
            answers.done = Some(said.at.clone());
            let judged = |kind| kind == QuestionKind::Findings;
            let open = key.questions.iter().filter(|q| q.required && !judged(q.kind));
            if let Some(question) = open.into_iter().find(|q| !answers.values.contains_key(&q.id)) {
                return Err(format!("the case is done without the required answer to `{}`", question.id));
            }
            if let Some(times) = taken.times.get_mut(&session) {
                times[1] = said.at;
            }
        }
        "override" => taken.overrides.extend(said.session),
        "finished" => {}
        _ => return Err("a page makes no entry of this kind".to_owned()),
    }
    Ok(())
}

/// Has an answer the form that its question gives?
fn fits(kind: QuestionKind, value: &Value) -> bool {
    let finite = |v: &Value| v.as_f64().is_some_and(f64::is_finite);
    match kind {
        QuestionKind::Rating => finite(value),
        QuestionKind::Likert | QuestionKind::Count => value.as_u64().is_some(),
        QuestionKind::Choice => {
            value.is_string() || value.as_array().is_some_and(|all| all.iter().all(Value::is_string))
        }
        QuestionKind::Text | QuestionKind::Report => value.is_string(),
        QuestionKind::Prefer => ["left", "right", "tie", "neither"].iter().any(|word| value == word),
        QuestionKind::Mark => {
            let numbers = |v: &Value, n: usize| {
                v.as_array().is_some_and(|all| all.len() == n && all.iter().all(finite))
            };
            let mark = |m: &Value| {
                let series = m["series"].is_null() || m["series"].is_u64();
                series && m["slice"].is_u64() && (numbers(&m["box"], 4) || numbers(&m["point"], 2))
            };
            value.as_array().is_some_and(|all| all.iter().all(mark))
        }
        QuestionKind::Findings => value.as_object().is_some_and(|all| {
            all.values().all(|v| ["accept", "reject", "edit"].iter().any(|word| v["verdict"] == *word))
        }),
    }
}
