//! Which part of a run.

use anyhow::{Result, bail};
use clap::Args;
use loupe_app::evaluate::{Shard, scheduled_shard};
use std::str::FromStr;

/// Which part of a run this machine answers.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ShardArgs {
    /// Answer only part I of N, such as `2/4`: one of several machines that share a run. A picture's questions stay together. `auto` takes
    /// the part from a Slurm array, a Slurm step, a Kubernetes indexed job or torchrun. The folder holds a shard until `loupe merge`
    /// has joined all of them, and scores them.
    #[arg(long, value_name = "I/N|auto")]
    shard: Option<ShardChoice>,

    /// Number of parts that `--shard auto` expects; needed where the scheduler does not say it (Kubernetes).
    #[arg(long, value_name = "N", requires = "shard")]
    shards: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum ShardChoice {
    Auto,
    Named(Shard),
}

impl FromStr for ShardChoice {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        match words {
            "auto" => Ok(Self::Auto),
            words => Shard::parse(words).map(Self::Named).map_err(|e| e.to_string()),
        }
    }
}

impl ShardArgs {
    /// Is a part of a run asked for?
    pub(crate) fn is_given(self) -> bool {
        self.shard.is_some()
    }

    /// The part of the run, and where it was read.
    pub(crate) fn shard(self) -> Result<(Option<Shard>, Option<String>)> {
        Ok(match self.shard {
            None => (None, None),
            Some(ShardChoice::Named(shard)) => match self.shards {
                Some(count) if count != shard.count => {
                    bail!("--shard {shard} and --shards {count} do not fit")
                }
                _ => (Some(shard), None),
            },
            Some(ShardChoice::Auto) => {
                let found = scheduled_shard(&|name: &str| std::env::var(name).ok(), self.shards)?;
                (Some(found.shard), Some(found.from))
            }
        })
    }
}
