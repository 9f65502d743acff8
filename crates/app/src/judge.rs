//! A language model as judge: an OpenAI-compatible endpoint, or a checkpoint of one's own.

use crate::error::{AppError, InStep};
use crate::listener::Listener;
use crate::served::Secret;
use loupe_core::files::{SETTINGS_BYTES, read_text_at_most};
use loupe_eval::Profile;
use loupe_eval::llm_judge::{
    Cache, Judge, JudgedReports, LocalJudge, Opinion, Opinions, ReportQuestion, Rubric, ask_all, ask_for,
    ask_reports, report_question,
};
use loupe_eval::metrics::Texts;
use loupe_eval::profiles::{AsProfile, HarnessProfile, PROFILES};
use loupe_models::LoadOptions;
use loupe_run::RunFolder;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use loupe_eval::llm_judge::Reading;

/// Most requests at a time; each has a thread.
const MOST_PARALLEL: usize = 256;

/// Who judges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JudgeSource {
    /// A model behind an OpenAI-compatible endpoint (needs the feature `remote`).
    Endpoint {
        /// Its address, such as `http://localhost:8000/v1`.
        url: String,
        /// The name of the model there.
        model: String,
        /// What it is let in with.
        key: Option<Secret>,
    },
    /// The folder of a checkpoint.
    Checkpoint(PathBuf),
}

/// Who judges and how.
#[derive(Debug, Clone)]
pub struct JudgeOptions {
    /// An endpoint or a checkpoint.
    pub source: JudgeSource,
    /// File with a prompt of one's own, with `{question}`, `{reference}` and `{reply}`.
    pub prompt: Option<PathBuf>,
    /// How the verdict stands in the judge's reply.
    pub reading: Reading,
    /// Where replies of the judge are kept by content; `judge.jsonl` in the run's folder when not given.
    pub cache: Option<PathBuf>,
    /// Requests at a time.
    pub parallel: usize,
    /// Longest time for one reply of an endpoint.
    pub patience: Duration,
}

/// What a judge was asked about reports, for the record; its words stand in its cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JudgedMetric {
    /// What it was asked for.
    pub metric: &'static str,
    /// The judge's model.
    pub judge: String,
    /// `loupe`, or the name of the user's prompt.
    pub prompt: String,
    /// SHA-256 over the prompt's words.
    pub prompt_sha256: String,
    /// Reports that it was asked about.
    pub asked: usize,
    /// Reports on which it gave no verdict.
    pub without: usize,
}

/// A judge of reports with what it is asked for, for one batch after the other.
pub(crate) struct ReportJudge<'a> {
    options: &'a JudgeOptions,
    questions: Vec<&'static ReportQuestion>,
    /// A prompt of the user's, by its name.
    own: Option<(String, String)>,
    judges: Vec<Box<dyn Judge>>,
}

impl ReportJudge<'_> {
    /// Asks about every report of the batch in `dir` that has a reference.
    pub(crate) fn ask(
        &mut self,
        dir: &Path,
        texts: Texts,
        listener: &dyn Listener,
    ) -> Result<(Vec<JudgedReports>, Vec<JudgedMetric>), AppError> {
        let model = self.judges.first().map(|judge| judge.model().to_owned()).unwrap_or_default();
        let folder = RunFolder::open(dir)?;
        let file = self.options.cache_in(dir);
        let (mut all, mut record) = (Vec::new(), Vec::new());
        for &question in &self.questions {
            let prompt = self.own.as_ref().map(|(_, text)| text.as_str());
            let cache = Cache::open(&file).step(|| format!("{}", file.display()))?;
            listener.begin(0);
            let heard = |total: usize, problem: Option<&str>| {
                listener.advance(total as u64);
                problem.into_iter().for_each(|problem| listener.note(problem));
            };
            let judged = ask_reports(&folder, &mut self.judges, cache, question, prompt, texts, &heard)?;
            listener.end();
            if let (n @ 1.., Some(problem)) = (judged.without, judged.problem.as_deref()) {
                listener.say(&format!(
                    "the judge gave no {} for {n} reports, which are unscored by it ({problem}); the same command asks it again",
                    question.name
                ));
            }
            record.push(JudgedMetric {
                metric: question.name,
                judge: model.clone(),
                prompt: self.own.as_ref().map_or_else(|| "loupe".to_owned(), |(name, _)| name.clone()),
                prompt_sha256: judged.prompt_sha256.clone(),
                asked: judged.asked,
                without: judged.without,
            });
            all.push(judged);
        }
        Ok((all, record))
    }
}

impl JudgeOptions {
    /// The judge, who can be asked for `metrics` about reports. What it is asked with is read before any weights are.
    pub(crate) fn about_reports(&self, metrics: &[String]) -> Result<ReportJudge<'_>, AppError> {
        if self.reading != Reading::VerdictLine {
            return Err(AppError::input(
                "--judge-reading is for verdicts on answers; what is said about reports has forms of its own",
            ));
        }
        let questions = metrics.iter().map(|name| report_question(name).map_err(AppError::input));
        let questions = questions.collect::<Result<Vec<_>, _>>()?;
        if self.prompt.is_some() && questions.len() != 1 {
            return Err(AppError::input(
                "a prompt of your own asks for one thing; name it with one --judge-metric",
            ));
        }
        let own = self.own_prompt("the judge's prompt about reports", &["{reference}", "{reply}"])?;
        Ok(ReportJudge { options: self, questions, own, judges: self.judges()? })
    }

    fn cache_in(&self, dir: &Path) -> PathBuf {
        self.cache.clone().unwrap_or_else(|| dir.join("judge.jsonl"))
    }

    /// The name and the words of the user's prompt, where there is one; it has these parts.
    fn own_prompt(&self, what: &str, parts: &[&str]) -> Result<Option<(String, String)>, AppError> {
        let Some(file) = &self.prompt else { return Ok(None) };
        let name = file.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let text = read_text_at_most(file, SETTINGS_BYTES).step(|| format!("{}", file.display()))?;
        match parts.iter().find(|part| !text.contains(**part)) {
            None => Ok(Some((name, text))),
            Some(_) => Err(AppError::input(format!("{what} needs {}", parts.join(" and ")))),
        }
    }

    /// Asks the judge what the harnesses of `rules` ask; without any, or with a prompt of one's own, about every
    /// reply of the run.
    pub(crate) fn ask(
        &self,
        dir: &Path,
        rules: &[&'static dyn HarnessProfile],
        listener: &dyn Listener,
    ) -> Result<Vec<Box<dyn Profile>>, AppError> {
        let rubric = self.rubric()?;
        let mut judges = self.judges()?;
        let folder = RunFolder::open(dir)?;
        let file = self.cache_in(dir);
        let cache = || Cache::open(&file).step(|| format!("{}", file.display()));
        let heard = |total: usize, opinion: &Opinion| {
            listener.advance(total as u64);
            if let Some(problem) = &opinion.problem {
                listener.note(problem);
            }
        };
        let mut profiles: Vec<Box<dyn Profile>> = Vec::new();
        for rules in rules {
            listener.begin(0);
            let judged = ask_for(*rules, &folder, &mut judges, cache()?, &heard)?;
            listener.end();
            let Some(judged) = judged else { continue };
            say_failures(judged.opinions(), listener);
            profiles.push(Box::new(judged));
        }
        if rules.is_empty() || self.prompt.is_some() {
            listener.begin(0);
            let judged = ask_all(&folder, &mut judges, cache()?, &rubric, &heard)?;
            listener.end();
            say_failures(judged.opinions(), listener);
            profiles.push(Box::new(judged));
        }
        Ok(profiles)
    }

    fn rubric(&self) -> Result<Rubric, AppError> {
        let mut rubric = Rubric { reading: self.reading, ..Rubric::default() };
        let parts = ["{question}", "{reference}", "{reply}"];
        if let Some((name, template)) = self.own_prompt("the judge's prompt", &parts)? {
            (rubric.name, rubric.template) = (name, template);
        } else if self.reading != Reading::VerdictLine {
            return Err(AppError::input(
                "this reading needs the prompt that asks for it; name it with --judge-prompt",
            ));
        }
        Ok(rubric)
    }

    fn judges(&self) -> Result<Vec<Box<dyn Judge>>, AppError> {
        match &self.source {
            JudgeSource::Endpoint { url, model, key } => {
                endpoint(url, model, key.as_ref(), self.patience, self.parallel.clamp(1, MOST_PARALLEL))
            }
            JudgeSource::Checkpoint(dir) => {
                let model = loupe_models::load(dir, &LoadOptions::default())
                    .step(|| format!("the judge in {} could not be loaded", dir.display()))?;
                Ok(vec![Box::new(LocalJudge::new(model))])
            }
        }
    }
}

#[cfg(feature = "remote")]
fn endpoint(
    url: &str,
    model: &str,
    key: Option<&Secret>,
    reply: Duration,
    parallel: usize,
) -> Result<Vec<Box<dyn Judge>>, AppError> {
    /// An endpoint behind the seam of judges.
    #[derive(Clone)]
    struct EndpointJudge(loupe_remote::Endpoint);

    impl Judge for EndpointJudge {
        fn model(&self) -> &str {
            self.0.model()
        }

        fn ask(&mut self, prompt: &str) -> Result<String, String> {
            self.0.complete(prompt).map_err(|e| e.to_string())
        }
    }

    let patience = loupe_remote::Patience { reply };
    let judge = EndpointJudge(loupe_remote::Endpoint::new(url, model, key.and_then(Secret::key), patience));
    Ok((0..parallel).map(|_| Box::new(judge.clone()) as Box<dyn Judge>).collect())
}

#[cfg(not(feature = "remote"))]
fn endpoint(
    _: &str,
    _: &str,
    _: Option<&Secret>,
    _: Duration,
    _: usize,
) -> Result<Vec<Box<dyn Judge>>, AppError> {
    Err(AppError::Feature { what: "a judge behind an endpoint", feature: "remote" })
}

/// A judged profile of an earlier scoring by its name, from what its judge said then (`judge.jsonl` of the folder);
/// nothing where the name is of another kind, the prompt was one of the user's own, or nothing was kept.
pub(crate) fn from_cache(dir: &Path, name: &str) -> Result<Option<Box<dyn Profile>>, AppError> {
    /// Says nothing that was not said before.
    struct Remembered(String);

    impl Judge for Remembered {
        fn model(&self) -> &str {
            &self.0
        }

        fn ask(&mut self, _: &str) -> Result<String, String> {
            Err("not asked then; name the judge with --judge".to_owned())
        }
    }

    let file = dir.join("judge.jsonl");
    if !file.is_file() {
        return Ok(None);
    }
    let judge = |model: &str| -> Vec<Box<dyn Judge>> { vec![Box::new(Remembered(model.to_owned()))] };
    let cache = || Cache::open(&file).step(|| format!("{}", file.display()));
    let own = Rubric::default();
    if let Some(model) = name.strip_prefix(&format!("judge:{}@", own.name)) {
        let judged = ask_all(&RunFolder::open(dir)?, &mut judge(model), cache()?, &own, &|_, _| {})?;
        return Ok(Some(Box::new(judged)));
    }
    let Some((harness, model)) = name.split_once('/') else { return Ok(None) };
    let rules = PROFILES.iter().copied().find(|rules| AsProfile::new(*rules).name() == harness);
    let Some(rules) = rules else { return Ok(None) };
    let judged = ask_for(rules, &RunFolder::open(dir)?, &mut judge(model), cache()?, &|_, _| {})?;
    Ok(judged.map(|judged| Box::new(judged) as Box<dyn Profile>))
}

fn say_failures(opinions: &Opinions, listener: &dyn Listener) {
    if let (n @ 1.., Some(problem)) = opinions.without_verdict() {
        listener.say(&format!(
            "the judge gave no verdict on {n} replies, which are unscored ({problem}); the same command asks it again"
        ));
    }
}
