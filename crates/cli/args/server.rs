//! How a served model is asked.

use anyhow::Result;
use loupe_app::served::{CostBound, Secret, ServerOptions};
use std::path::PathBuf;
use std::time::Duration;

/// How a served model is asked.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Served model")]
pub(crate) struct ServerArgs {
    /// Environment variable that holds the key of the server. Keys are given in no other way than this and --key-file.
    #[arg(long, value_name = "VARIABLE", conflicts_with = "key_file")]
    key_env: Option<String>,

    /// File that holds the key of the server, in one line.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// Longest time in seconds for one reply.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    server_timeout: u64,

    /// Longest time in seconds without any reply until the server counts as down. The command then ends with 75, and the
    /// same one goes on later.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    server_patience: u64,

    /// Send at most so many requests, those that are sent again included.
    #[arg(long, value_name = "N")]
    max_requests: Option<u64>,

    /// Send nothing more when prompts and replies have taken so many tokens, as the server counts them.
    #[arg(long, value_name = "N")]
    max_total_tokens: Option<u64>,

    /// Send nothing more when prompts and replies have cost so much by --prompt-price and --reply-price.
    #[arg(long, value_name = "AMOUNT", value_parser = amount, requires_all = ["prompt_price", "reply_price"])]
    max_cost: Option<f64>,

    /// Price of a million tokens of prompts, in the currency of --max-cost.
    #[arg(long, value_name = "AMOUNT", value_parser = amount, requires = "max_cost")]
    prompt_price: Option<f64>,

    /// Price of a million tokens of replies.
    #[arg(long, value_name = "AMOUNT", value_parser = amount, requires = "max_cost")]
    reply_price: Option<f64>,

    /// Most bytes of a picture, which is sent as PNG; a larger one is reduced until it fits. As it is when not given.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1024..))]
    picture_bytes: Option<u64>,
}

fn amount(words: &str) -> Result<f64, String> {
    let amount: Option<f64> = words.parse().ok();
    amount.filter(|n| n.is_finite() && *n >= 0.0).ok_or_else(|| "expected a number from 0".to_owned())
}

impl ServerArgs {
    /// As a plain option.
    pub(crate) fn options(&self) -> Result<ServerOptions> {
        let key = match (&self.key_env, &self.key_file) {
            (Some(name), _) => Some(Secret::from_variable(name)?),
            (None, Some(file)) => Some(Secret::from_file(file)?),
            (None, None) => None,
        };
        Ok(ServerOptions {
            key,
            timeout: Duration::from_secs(self.server_timeout),
            patience: Duration::from_secs(self.server_patience),
            most_requests: self.max_requests,
            most_tokens: self.max_total_tokens,
            most_cost: match (self.max_cost, self.prompt_price, self.reply_price) {
                (Some(most), Some(per_million_prompt), Some(per_million_reply)) => {
                    Some(CostBound { most, per_million_prompt, per_million_reply })
                }
                _ => None,
            },
            picture_bytes: self.picture_bytes.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            stream: false,
        })
    }
}
