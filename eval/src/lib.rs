//! Runs, metrics, profiles of other harnesses, statistics and tables.
//!
//! A run ([`mod@run`]) is a folder that fills up reply by reply. Profiles ([`judge`]) decide about each
//! reply, figures ([`summary`]) carry their interval, and everything can be computed again from the folder.

pub mod baselines;
pub mod compare;
pub mod grounding;
pub mod hints;
pub mod judge;
pub mod llm_judge;
pub mod metrics;
pub mod probes;
pub mod profiles;
pub mod prompts;
pub mod run;
pub mod stats;
pub mod strict;
pub mod summary;
pub mod tables;

pub use judge::{Case, Gather, Judgement, Profile, Verdict};
pub use run::{Plan, RunError, run, score};
pub use summary::{Scoring, Summary};
