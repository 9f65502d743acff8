//! How to generate.

use anyhow::{Result, bail};
use loupe_app::form::read_form;
use loupe_core::{GenerationLimits, Sampling};
use std::path::PathBuf;

/// How to generate.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Generation")]
pub(crate) struct LimitArgs {
    /// Most tokens in a reply.
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_new_tokens: usize,

    /// Draw tokens at this temperature; 0 takes the likeliest.
    #[arg(long, default_value_t = 0.0)]
    temperature: f64,

    /// Draw from the K likeliest tokens only; 0 for all.
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,

    /// Draw from the likeliest tokens that make up this probability.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f64,

    /// Make tokens that were seen already less likely (above 1; 1 for no penalty); what the checkpoint's
    /// generation_config.json says when not given.
    #[arg(long, value_name = "X")]
    repetition_penalty: Option<f64>,

    /// Seed of the draws; the same seed gives the same text.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,

    /// End the reply before this string; may be given several times.
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,

    /// The reply has to be one JSON document that fits this JSON schema. A server is told so (`response_format`), a
    /// checkpoint has to be asked for it by the prompt; a reply of another form is a failed item.
    #[arg(long, value_name = "FILE", conflicts_with = "grammar")]
    schema: Option<PathBuf>,

    /// The property of that document that is the answer: it is scored in place of the whole.
    #[arg(long, value_name = "NAME", requires = "schema")]
    answer_field: Option<String>,

    /// The reply of a served model has to be derived by this grammar (GBNF).
    #[arg(long, value_name = "FILE")]
    grammar: Option<PathBuf>,

    /// Record log-probabilities of the chosen token and the K likeliest.
    #[arg(long, value_name = "K")]
    logprobs: Option<usize>,
}

impl LimitArgs {
    /// As a plain option.
    pub(crate) fn limits(&self) -> Result<GenerationLimits> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            bail!("--temperature must be 0 or more");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            bail!("--top-p must lie above 0 and at most at 1");
        }
        if self.repetition_penalty.is_some_and(|x| !(x.is_finite() && x > 0.0)) {
            bail!("--repetition-penalty must be above 0");
        }
        if self.max_new_tokens == 0 {
            bail!("--max-new-tokens must be at least 1");
        }
        let sampling = if self.temperature == 0.0 {
            Sampling::Greedy
        } else {
            Sampling::Random {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                seed: self.seed,
            }
        };
        Ok(GenerationLimits {
            max_new_tokens: self.max_new_tokens,
            sampling,
            repetition_penalty: self.repetition_penalty,
            stop: self.stop.clone(),
            logprobs: self.logprobs,
            options: None,
            form: read_form(self.schema.as_deref(), self.answer_field.as_deref(), self.grammar.as_deref())?,
        })
    }
}
