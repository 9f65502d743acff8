//! Metrics, profiles of other harnesses, statistics and tables.
//!
//! A run (`loupe_run`) is a folder that fills up reply by reply. Profiles ([`profile`]) decide about each
//! reply, figures ([`summary`]) carry their interval, and everything can be computed again from the folder.

pub mod baselines;
pub mod compare;
pub mod grounding;
pub mod judged;
pub mod llm_judge;
pub mod metrics;
pub mod profile;
pub mod profiles;
pub mod score;
pub mod sensitivity;
pub mod stats;
pub mod strict;
pub mod summary;
pub mod tables;

pub use judged::{JudgedItem, JudgedRun, view};
pub use profile::{Case, Gather, Judgement, Profile, Verdict};
pub use score::{ScoredRun, score};
pub use summary::{Scoring, Summary};
