//! Who judges and how.

use anyhow::{Result, bail};
use loupe_app::judge::{JudgeOptions, JudgeSource, Reading};
use loupe_app::served::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// Who judges and how.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Judge")]
pub(crate) struct JudgeArgs {
    /// Let a language model judge the replies too: the address of an OpenAI-compatible endpoint (such
    /// as http://localhost:8000/v1#NAME) or the folder of a checkpoint. Questions, references and replies
    /// are sent there, pictures are not.
    #[arg(long, value_name = "URL|DIR")]
    judge: Option<String>,

    /// Name of the judge's model at the endpoint, where the address does not say it.
    #[arg(long, value_name = "NAME", requires = "judge")]
    judge_model: Option<String>,

    /// Environment variable that holds the endpoint's key.
    #[arg(long, value_name = "VARIABLE", requires = "judge")]
    judge_key_env: Option<String>,

    /// File with a prompt of your own, with {question}, {reference} and {reply}.
    #[arg(long, value_name = "FILE", requires = "judge")]
    judge_prompt: Option<PathBuf>,

    /// How the verdict is written in the judge's reply.
    #[arg(long, value_enum, default_value_t, requires = "judge")]
    judge_reading: ReadingName,

    /// File that keeps what the judge was asked and said, so that nothing is asked twice; `judge.jsonl`
    /// in the run's folder when not given.
    #[arg(long, value_name = "FILE", requires = "judge")]
    judge_cache: Option<PathBuf>,

    /// Requests at a time.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "judge")]
    judge_parallel: usize,

    /// Longest time in seconds for one reply of the endpoint. An endpoint that does not answer three times in
    /// a row is not asked any more.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "judge", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    judge_timeout: u64,
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
    /// As a plain option; nothing when there is no judge.
    pub(crate) fn options(&self) -> Result<Option<JudgeOptions>> {
        let Some(judge) = &self.judge else { return Ok(None) };
        let source = if judge.contains("://") {
            let (url, named) =
                judge.split_once('#').map_or((judge.as_str(), None), |(url, name)| (url, Some(name)));
            let Some(model) = self.judge_model.clone().or(named.map(str::to_owned)) else {
                bail!(
                    "an endpoint needs the name of the model, with --judge-model or as in http://HOST:PORT/v1#NAME"
                );
            };
            let key = self.judge_key_env.as_deref().map(Secret::from_variable).transpose()?;
            JudgeSource::Endpoint { url: url.to_owned(), model, key }
        } else {
            JudgeSource::Checkpoint(judge.into())
        };
        Ok(Some(JudgeOptions {
            source,
            prompt: self.judge_prompt.clone(),
            reading: match self.judge_reading {
                ReadingName::VerdictLine => Reading::VerdictLine,
                ReadingName::JudgeTagZero => Reading::JudgeTagZero,
                ReadingName::BeginCorrectness => Reading::BeginCorrectness,
            },
            cache: self.judge_cache.clone(),
            parallel: self.judge_parallel,
            patience: Duration::from_secs(self.judge_timeout),
        }))
    }
}
