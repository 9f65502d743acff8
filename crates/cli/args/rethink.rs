//! Which protocol or strategy, and who helps.

use loupe_app::rethink::{Budget, RethinkOptions, Settings};
use std::path::PathBuf;

/// Which protocol or strategy, and who helps.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Second look")]
pub(crate) struct RethinkArgs {
    /// Answer by this protocol or strategy (see `loupe list protocols`); both joined by `+` when each
    /// pass of the strategy plays the protocol, as in `self-consistency+deepeyes`.
    #[arg(long, value_name = "NAME")]
    pub(crate) rethink: Option<String>,

    /// Checkpoint folder or address of a second model, for `second-opinion`.
    #[arg(long, value_name = "DIR|URL", requires = "rethink")]
    second_model: Option<PathBuf>,

    /// Checkpoint folder of a segmenter, for the action `segment`.
    #[arg(long, value_name = "DIR", requires = "rethink")]
    segmenter: Option<PathBuf>,

    /// Most rounds of a protocol; the protocol's own number when not given.
    #[arg(long, value_name = "N", requires = "rethink")]
    rounds: Option<usize>,

    /// No round begins after so many generated tokens.
    #[arg(long, value_name = "N", requires = "rethink")]
    token_budget: Option<usize>,

    /// No round begins after so many seconds. The answer then depends on the machine.
    #[arg(long, value_name = "S", requires = "rethink")]
    seconds: Option<f64>,

    /// Passes that `self-consistency` votes over.
    #[arg(long, value_name = "N", requires = "rethink", value_parser = sensible_count)]
    passes: Option<usize>,

    /// Temperature of those passes.
    #[arg(long, value_name = "T", requires = "rethink")]
    pass_temperature: Option<f64>,

    /// Tokens of thought before `budgeted` asks for the answer.
    #[arg(long, value_name = "N", requires = "rethink")]
    think_tokens: Option<usize>,

    /// How often `budgeted` makes the model go on when its thought ends early.
    #[arg(long, value_name = "N", requires = "rethink")]
    go_on: Option<usize>,

    /// Rounds of debate of `second-opinion`.
    #[arg(long, value_name = "N", requires = "rethink")]
    debate_rounds: Option<usize>,

    /// Places of the list of `ranked`.
    #[arg(long, value_name = "N", requires = "rethink")]
    ranks: Option<usize>,
}

impl RethinkArgs {
    /// As a plain option; nothing without `--rethink`. What was not given is the default.
    pub(crate) fn options(&self, seed: u64) -> Option<RethinkOptions> {
        let usual = Settings::default();
        let settings = Settings {
            protocol: None,
            samples: self.passes.unwrap_or(usual.samples),
            temperature: self.pass_temperature.unwrap_or(usual.temperature),
            seed,
            think_tokens: self.think_tokens.unwrap_or(usual.think_tokens),
            go_on: self.go_on.unwrap_or(usual.go_on),
            debate_rounds: self.debate_rounds.unwrap_or(usual.debate_rounds),
            ranks: self.ranks.unwrap_or(usual.ranks),
        };
        let budget = Budget { rounds: self.rounds, new_tokens: self.token_budget, seconds: self.seconds };
        Some(RethinkOptions {
            name: self.rethink.clone()?,
            settings,
            budget,
            second_model: self.second_model.clone(),
            segmenter: self.segmenter.clone(),
        })
    }
}

/// How often the same is asked: each time costs memory and hours, so that larger numbers are slips.
pub(crate) fn sensible_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=10_000) => Ok(n),
        _ => Err("expected a number from 1 to 10000".to_owned()),
    }
}
