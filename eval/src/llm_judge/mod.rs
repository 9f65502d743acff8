//! A language model as judge of answers: the prompt, how its reply is read, and a cache by content.
//!
//! The judge is anything that answers a prompt ([`Judge`]): an OpenAI-compatible endpoint or a local
//! model. A judge that fails, or whose reply cannot be read, gives no verdict; nothing else is put
//! in its place.

mod harness;
mod local;
mod profile;
mod reports;

pub use harness::{HarnessWithJudge, ask_for};
pub use local::LocalJudge;
pub use profile::{AskError, JudgedBy, Opinions, ask_all};
pub use reports::{JudgedReports, REPORT_QUESTIONS, ReportQuestion, ask_reports, report_question};

use loupe_core::files::open_to_append;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use thiserror::Error;

/// Answers a prompt, as repeatably as it can (temperature 0).
pub trait Judge: Send {
    /// Name and version of the model; part of the cache's key.
    fn model(&self) -> &str;

    /// The reply.
    ///
    /// # Errors
    /// In words, when there is no reply.
    fn ask(&mut self, prompt: &str) -> Result<String, String>;
}

/// How the verdict stands in the judge's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// The last line is `VERDICT: CORRECT` or `VERDICT: INCORRECT` (ours).
    VerdictLine,
    /// `<judge>0</judge>` is correct and anything else is not, an unreadable reply included
    /// (MedEvalKit).
    JudgeTagZero,
    /// `[Begin Correctness]yes[End Correctness]`; between them exactly one of yes and no has to stand
    /// (VLMEvalKit, PathVQA).
    BeginCorrectness,
}

/// A prompt with its reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rubric {
    /// Name in tables.
    pub name: String,
    /// The prompt, with `{question}`, `{reference}` and `{reply}`.
    pub template: String,
    /// Where the verdict stands.
    pub reading: Reading,
}

/// Our own prompt.
const TEMPLATE: &str = "\
You compare an answer to a medical question with the reference answer of an expert.

Question: {question}
Reference answer: {reference}
Answer to judge: {reply}

The answer is correct when a specialist would accept it as saying the same as the reference: other words, \
an abbreviation or more detail are fine; another side, organ, finding, number or a missing part is not. \
A reply that holds several different answers, or none, is incorrect. Do not use knowledge of the image.

Give one sentence of reason. Then write as the last line exactly one of
VERDICT: CORRECT
VERDICT: INCORRECT";

/// A judge's prompt with its `{question}`, `{reference}` and `{reply}`. The parts are put in once, so that a reply that contains a
/// placeholder stays as it is.
fn filled(template: &str, question: &str, reference: &str, reply: &str) -> String {
    let mut out = String::with_capacity(template.len() + question.len() + reference.len() + reply.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let put = [("{question}", question), ("{reference}", reference), ("{reply}", reply)];
        match put.into_iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, text)) => {
                out.push_str(text);
                rest = &rest[name.len()..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

impl Default for Rubric {
    fn default() -> Self {
        Self { name: "loupe".to_owned(), template: TEMPLATE.to_owned(), reading: Reading::VerdictLine }
    }
}

impl Rubric {
    /// The prompt for one answer.
    pub fn prompt(&self, question: &str, reference: &str, reply: &str) -> String {
        filled(&self.template, question, reference, reply)
    }

    /// The verdict in a reply of the judge; `None` when there is none.
    pub fn read(&self, reply: &str) -> Option<bool> {
        match self.reading {
            Reading::VerdictLine => {
                let line = reply.lines().rev().map(str::trim).find(|l| !l.is_empty())?;
                let verdict =
                    line.trim_matches('*').trim().strip_prefix("VERDICT:")?.trim().trim_end_matches('.');
                match verdict {
                    "CORRECT" => Some(true),
                    "INCORRECT" => Some(false),
                    _ => None,
                }
            }
            Reading::JudgeTagZero => {
                let inside = crate::profiles::parts::between_tags(reply, "judge");
                Some(inside.as_deref().unwrap_or(reply) == "0")
            }
            Reading::BeginCorrectness => {
                let inside = reply.split_once("[Begin Correctness]")?.1.split_once("[End Correctness]")?.0;
                let inside = inside.to_lowercase();
                let (yes, no) = (inside.contains("yes"), inside.contains("no"));
                (yes != no).then_some(yes)
            }
        }
    }
}

/// Why the cache cannot be used.
#[derive(Debug, Error)]
#[error("the judge's cache cannot be read or written: {0}")]
pub struct CacheError(#[from] std::io::Error);

/// Replies by the content of the question put to the judge: model and prompt. One JSON line each,
/// written before it is used.
#[derive(Debug)]
pub struct Cache {
    file: File,
    replies: HashMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    model: String,
    /// What was sent, word for word.
    #[serde(default)]
    prompt: String,
    reply: String,
}

/// Identity of a question put to a judge.
pub(crate) fn key(model: &str, prompt: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(model.as_bytes());
    hash.update([0]);
    hash.update(prompt.as_bytes());
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

impl Cache {
    /// Opens or makes the file. A last line cut short by a crash is dropped.
    ///
    /// # Errors
    /// When the file cannot be read or made.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        let mut file = open_to_append(path)?;
        let (mut replies, mut whole) = (HashMap::new(), true);
        for line in BufReader::new(&file).split(b'\n') {
            let line = line?;
            whole = match serde_json::from_slice::<Line>(&line) {
                Ok(line) => {
                    replies.insert(line.key, line.reply);
                    true
                }
                Err(_) => line.is_empty(),
            };
        }
        if !whole {
            file.write_all(b"\n")?;
        }
        Ok(Self { file, replies })
    }

    fn put(&mut self, key: &str, model: &str, prompt: &str, reply: &str) -> Result<(), CacheError> {
        let line = Line {
            key: key.to_owned(),
            model: model.to_owned(),
            prompt: prompt.to_owned(),
            reply: reply.to_owned(),
        };
        let mut text = serde_json::to_vec(&line).map_err(std::io::Error::other)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.file.sync_data()?;
        self.replies.insert(line.key, line.reply);
        Ok(())
    }
}

/// What the judge said about one answer, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Opinion {
    /// Correct or not; `None` when the judge failed or cannot be read.
    pub verdict: Option<bool>,
    /// The judge's model.
    pub model: String,
    /// The rubric's name.
    pub rubric: String,
    /// The prompt as it was sent.
    pub prompt: String,
    /// The judge's own words, when there are any.
    pub reply: Option<String>,
    /// Why there is no verdict.
    pub problem: Option<String>,
    /// Was the reply in the cache?
    pub cached: bool,
}

/// Asks the judge, or the cache. Only replies with a verdict are kept, so that the others are asked for again.
///
/// # Errors
/// When the cache cannot be written; a judge that fails is an [`Opinion`] without a verdict.
pub fn opinion(
    judge: &mut dyn Judge,
    cache: &Mutex<Cache>,
    rubric: &Rubric,
    prompt: String,
) -> Result<Opinion, CacheError> {
    let said = said(judge, cache, &prompt, &|reply| rubric.read(reply).is_some())?;
    Ok(Opinion {
        verdict: said.reply.as_deref().and_then(|reply| rubric.read(reply)),
        model: judge.model().to_owned(),
        rubric: rubric.name.clone(),
        prompt,
        reply: said.reply,
        problem: said.problem,
        cached: said.cached,
    })
}

/// What a judge said to a prompt.
struct Said {
    /// Its words, when there are any.
    reply: Option<String>,
    /// Why they tell nothing.
    problem: Option<String>,
    cached: bool,
}

/// The reply out of the cache, or asked for now; `tells` says whether it holds what was asked for, and only then is it kept.
fn said(
    judge: &mut dyn Judge,
    cache: &Mutex<Cache>,
    prompt: &str,
    tells: &dyn Fn(&str) -> bool,
) -> Result<Said, CacheError> {
    // Not held while the judge thinks: others look up and write meanwhile.
    let cache = || cache.lock().unwrap_or_else(PoisonError::into_inner);
    let key = key(judge.model(), prompt);
    let known = cache().replies.get(&key).filter(|reply| tells(reply)).cloned();
    let cached = known.is_some();
    let failed = |problem: String| Said { reply: None, problem: Some(problem), cached };
    let reply = match known.map_or_else(|| judge.ask(prompt), Ok) {
        Ok(reply) if reply.trim().is_empty() => return Ok(failed("the judge's reply is empty".to_owned())),
        Ok(reply) => reply,
        Err(problem) => return Ok(failed(problem)),
    };
    let problem = (!tells(&reply)).then(|| "the judge's reply holds no verdict".to_owned());
    if problem.is_none() && !cached {
        cache().put(&key, judge.model(), prompt, &reply)?;
    }
    Ok(Said { reply: Some(reply), problem, cached })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use std::fs::OpenOptions;

    struct Scripted(Vec<Result<String, String>>, usize);

    impl Judge for Scripted {
        fn model(&self) -> &str {
            "scripted-1"
        }

        fn ask(&mut self, _: &str) -> Result<String, String> {
            self.1 += 1;
            self.0.remove(0)
        }
    }

    #[test]
    fn asked_once_kept_by_content_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("judge.jsonl");
        let rubric = Rubric::default();
        let mut judge = Scripted(
            vec![
                Err("connection refused".into()),
                Ok("Same.\nVERDICT: CORRECT".into()),
                Ok("maybe".into()),
                Ok(String::new()),
                Ok("VERDICT: INCORRECT".into()),
            ],
            0,
        );
        let cache = Mutex::new(Cache::open(&path).unwrap());
        let asked = ("Where?", "left lung", "the left lung {reference}");
        let mut ask = |cache: &Mutex<Cache>, (q, g, a): (&str, &str, &str)| {
            opinion(&mut judge, cache, &rubric, rubric.prompt(q, g, a)).unwrap()
        };
        let failed = ask(&cache, asked);
        assert_eq!((failed.verdict, failed.problem.as_deref()), (None, Some("connection refused")));
        let first = ask(&cache, asked);
        assert_eq!((first.verdict, first.cached), (Some(true), false));
        assert!(first.prompt.contains("the left lung {reference}"));
        drop(cache);
        // A crash in the middle of a line loses that line only.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"key\":\"ab").unwrap();
        let cache = Mutex::new(Cache::open(&path).unwrap());
        assert!(ask(&cache, asked).cached);
        assert_eq!(ask(&cache, ("Where?", "left lung", "right")).verdict, None);
        assert_eq!(
            ask(&cache, ("Where?", "left lung", "heart")).problem.as_deref(),
            Some("the judge's reply is empty")
        );
        // Only the reply with a verdict was kept; one that an older version kept is asked for again.
        drop(cache);
        let mut kept = Cache::open(&path).unwrap();
        assert_eq!(kept.replies.len(), 1);
        let prompt = rubric.prompt("Where?", "left lung", "both");
        kept.put(&key("scripted-1", &prompt), "scripted-1", &prompt, "hm").unwrap();
        let again = opinion(&mut judge, &Mutex::new(kept), &rubric, prompt).unwrap();
        assert_eq!((again.verdict, again.cached), (Some(false), false));
        assert_eq!(judge.1, 5);
    }

    #[test]
    fn verdicts_of_three_dialects() {
        let read = |reading, reply: &str| Rubric { reading, ..Rubric::default() }.read(reply);
        assert_eq!(read(Reading::VerdictLine, "Reason.\n**VERDICT: INCORRECT**\n"), Some(false));
        assert_eq!(read(Reading::VerdictLine, "VERDICT: CORRECT\nthough"), None);
        assert_eq!(read(Reading::JudgeTagZero, "<think>x</think><judge>0</judge>"), Some(true));
        assert_eq!(read(Reading::JudgeTagZero, ""), Some(false));
        assert_eq!(read(Reading::BeginCorrectness, "[Begin Correctness]Yes[End Correctness]"), Some(true));
        assert_eq!(
            read(Reading::BeginCorrectness, "[Begin Correctness] \"no\" [End Correctness]"),
            Some(false)
        );
        assert_eq!(read(Reading::BeginCorrectness, "[Begin Correctness]yes/no[End Correctness]"), None);
        assert_eq!(read(Reading::BeginCorrectness, "yes"), None);
    }
}
