//! A language model as judge: an OpenAI-compatible endpoint, or a checkpoint of one's own.

use crate::printer::Printer;
use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use loupe_core::{Ask, GenerationLimits, Role, Turn, VisionLanguageModel};
use loupe_eval::Profile;
use loupe_eval::llm_judge::{Cache, Judge, Opinion, Opinions, Reading, Rubric, ask_all, ask_for};
use loupe_eval::profiles::HarnessProfile;
use loupe_eval::run::RunFolder;
use loupe_models::LoadOptions;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most bytes of an endpoint's reply.
const MOST_BYTES: u64 = 16 << 20;
/// Times a request is sent when the endpoint is busy or cannot be reached.
const TRIES: u32 = 4;

/// Who judges and how.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Judge")]
pub(crate) struct JudgeArgs {
    /// Let a language model judge the replies too: the address of an OpenAI-compatible endpoint (such
    /// as http://localhost:8000/v1) or the folder of a checkpoint. Questions, references and replies
    /// are sent there, pictures are not.
    #[arg(long, value_name = "URL|DIR")]
    judge: Option<String>,

    /// Name of the judge's model at the endpoint.
    #[arg(long, value_name = "NAME", requires = "judge")]
    judge_model: Option<String>,

    /// Environment variable that holds the endpoint's key.
    #[arg(long, value_name = "VARIABLE", requires = "judge")]
    judge_key_env: Option<String>,

    /// File with a prompt of your own, with {question}, {reference} and {reply}.
    #[arg(long, value_name = "FILE", requires = "judge")]
    judge_prompt: Option<PathBuf>,

    /// How the verdict stands in the judge's reply.
    #[arg(long, value_enum, default_value_t, requires = "judge")]
    judge_reading: ReadingName,

    /// Where replies of the judge are kept by content; `judge.jsonl` in the run's folder when not given.
    #[arg(long, value_name = "FILE", requires = "judge")]
    judge_cache: Option<PathBuf>,

    /// Requests at a time.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "judge")]
    judge_parallel: usize,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum ReadingName {
    /// The last line is `VERDICT: CORRECT` or `VERDICT: INCORRECT`.
    #[default]
    VerdictLine,
    /// `<judge>0</judge>` is correct, anything else is not (MedEvalKit).
    JudgeTagZero,
    /// `[Begin Correctness]yes[End Correctness]` (VLMEvalKit).
    BeginCorrectness,
}

impl JudgeArgs {
    /// Is there a judge?
    pub(crate) fn is_some(&self) -> bool {
        self.judge.is_some()
    }

    /// Asks the judge what the harnesses of `rules` ask; without any, or with a prompt of one's own,
    /// about every reply of the run. Nothing when there is no judge.
    pub(crate) fn ask(
        &self,
        dir: &Path,
        rules: &[&'static dyn HarnessProfile],
        out: &Printer,
    ) -> Result<Vec<Box<dyn Profile>>> {
        let Some(judge) = &self.judge else { return Ok(Vec::new()) };
        let rubric = self.rubric()?;
        let mut judges: Vec<Box<dyn Judge>> = if judge.contains("://") {
            let endpoint = self.endpoint(judge)?;
            (0..self.judge_parallel.max(1)).map(|_| Box::new(endpoint.clone()) as Box<dyn Judge>).collect()
        } else {
            let model = loupe_models::load(Path::new(judge), &LoadOptions::default())
                .with_context(|| format!("the judge in {judge} could not be loaded"))?;
            let name = format!(
                "{}@{}",
                model.info().name,
                model.info().weights_sha256.get(..12).unwrap_or_default()
            );
            vec![Box::new(Local { model, name })]
        };
        let folder = RunFolder::open(dir)?;
        let file = self.judge_cache.clone().unwrap_or_else(|| dir.join("judge.jsonl"));
        let cache = || Cache::open(&file).with_context(|| format!("{}", file.display()));
        let mut found: Vec<Box<dyn Profile>> = Vec::new();
        for rules in rules {
            let bar = out.bar(0);
            let judged = ask_for(*rules, &folder, &mut judges, cache()?, &heard(&bar))?;
            bar.finish_and_clear();
            let Some(judged) = judged else { continue };
            say_failures(judged.opinions(), out);
            found.push(Box::new(judged));
        }
        if rules.is_empty() || self.judge_prompt.is_some() {
            let bar = out.bar(0);
            let judged = ask_all(&folder, &mut judges, cache()?, &rubric, &heard(&bar))?;
            bar.finish_and_clear();
            say_failures(judged.opinions(), out);
            found.push(Box::new(judged));
        }
        Ok(found)
    }

    fn rubric(&self) -> Result<Rubric> {
        let mut rubric = Rubric {
            reading: match self.judge_reading {
                ReadingName::VerdictLine => Reading::VerdictLine,
                ReadingName::JudgeTagZero => Reading::JudgeTagZero,
                ReadingName::BeginCorrectness => Reading::BeginCorrectness,
            },
            ..Rubric::default()
        };
        if let Some(file) = &self.judge_prompt {
            let name = file.file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
            let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
            if !["{question}", "{reference}", "{reply}"].iter().all(|part| text.contains(part)) {
                bail!("the judge's prompt needs {{question}}, {{reference}} and {{reply}}");
            }
            (rubric.name, rubric.template) = (name, text);
        } else if !matches!(self.judge_reading, ReadingName::VerdictLine) {
            bail!("this reading needs the prompt that asks for it; name it with --judge-prompt");
        }
        Ok(rubric)
    }

    fn endpoint(&self, base: &str) -> Result<Endpoint> {
        let Some(model) = &self.judge_model else {
            bail!("an endpoint needs the name of the model, with --judge-model");
        };
        let key = match &self.judge_key_env {
            Some(name) => {
                Some(std::env::var(name).with_context(|| format!("the environment variable {name}"))?)
            }
            None => None,
        };
        let base = base.trim_end_matches('/');
        let url = if base.ends_with("/chat/completions") {
            base.to_owned()
        } else {
            format!("{base}/chat/completions")
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(300)))
            .http_status_as_error(false)
            .build()
            .new_agent();
        Ok(Endpoint { agent, url, model: model.clone(), key })
    }
}

/// Moves the bar on with each opinion.
fn heard(bar: &ProgressBar) -> impl Fn(usize, &Opinion) + Sync + '_ {
    |total, opinion| {
        bar.set_length(total as u64);
        bar.inc(1);
        if let Some(problem) = &opinion.problem {
            bar.set_message(problem.clone());
        }
    }
}

fn say_failures(opinions: &Opinions, out: &Printer) {
    if let (n @ 1.., Some(problem)) = opinions.without_verdict() {
        out.say(&format!(
            "the judge gave no verdict on {n} replies, which are unscored ({problem}); the same command asks it again"
        ));
    }
}

/// An OpenAI-compatible endpoint.
#[derive(Clone)]
struct Endpoint {
    agent: ureq::Agent,
    url: String,
    model: String,
    key: Option<String>,
}

/// What came of one request.
enum Sent {
    Reply(String),
    /// Worth another try: too many requests, a server's error, no connection.
    Again(String),
    Refused(String),
}

impl Endpoint {
    fn send(&self, prompt: &str) -> Sent {
        let body = json!({
            "model": self.model,
            "messages": [{ "role": "user", "content": prompt }],
            "temperature": 0,
        });
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = match request.send(body.to_string()) {
            Ok(response) => response,
            Err(error) => return Sent::Again(format!("the endpoint could not be reached: {error}")),
        };
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(MOST_BYTES).read_to_string();
        match (status, text) {
            (429 | 500..=599, _) => Sent::Again(format!("the endpoint answered with status {status}")),
            (_, Err(error)) => Sent::Again(format!("the endpoint's reply broke off: {error}")),
            (200..=299, Ok(text)) => {
                let value: Value = serde_json::from_str(&text).unwrap_or_default();
                match value.pointer("/choices/0/message/content").and_then(Value::as_str) {
                    Some(content) => Sent::Reply(content.to_owned()),
                    None => {
                        Sent::Refused("the endpoint's reply has no choices[0].message.content".to_owned())
                    }
                }
            }
            (_, Ok(_)) => Sent::Refused(format!("the endpoint refused with status {status}")),
        }
    }
}

impl Judge for Endpoint {
    fn model(&self) -> &str {
        &self.model
    }

    fn ask(&mut self, prompt: &str) -> Result<String, String> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.send(prompt) {
                Sent::Reply(reply) => return Ok(reply),
                Sent::Refused(problem) => return Err(problem),
                Sent::Again(problem) if tried == TRIES => return Err(format!("{problem} ({tried} times)")),
                Sent::Again(_) => std::thread::sleep(Duration::from_millis(250 << (2 * (tried - 1)))),
            }
        }
    }
}

/// A checkpoint on this machine.
struct Local {
    model: Box<dyn VisionLanguageModel>,
    name: String,
}

impl Judge for Local {
    fn model(&self) -> &str {
        &self.name
    }

    fn ask(&mut self, prompt: &str) -> Result<String, String> {
        let ask = Ask {
            pictures: Vec::new(),
            turns: vec![Turn::text(Role::User, prompt)],
            limits: GenerationLimits { max_new_tokens: 512, ..GenerationLimits::default() },
        };
        let mut replies = self.model.generate(&[ask], &mut ());
        match replies.pop() {
            Some(Ok(reply)) => Ok(reply.text),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the judge gave no reply".to_owned()),
        }
    }
}
