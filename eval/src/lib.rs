//! Metrics, profiles of other harnesses, statistics and tables.
//!
//! A run (`loupe_run`) is a folder that fills up reply by reply. Profiles ([`profile`]) decide about each
//! reply, figures ([`summary`]) carry their interval, and everything can be computed again from the folder.
//!
//! One reply under the rules `strict`, and a run folder scored as a whole:
//!
//! ```
//! use loupe_core::sample::Outcome;
//! use loupe_core::{Prediction, Record, Reply, Sample, Target};
//! use loupe_eval::{Case, Profile, Verdict, strict};
//!
//! let sample = Sample {
//!     id: "1".into(),
//!     media: Vec::new(),
//!     question: "Is the scan normal?".into(),
//!     choices: Vec::new(),
//!     target: Target::Text(vec!["no".into()]),
//!     group: "1".into(),
//!     tags: Default::default(),
//!     language: "en".into(),
//! };
//! let reply = Reply::from_text("It is abnormal.");
//! let prediction = Prediction { id: "1".into(), outcome: Outcome::Reply(reply), record: Record::Single };
//! let judgement = strict::profile().judge(&Case { sample: &sample, prediction: &prediction, pictures: &[] });
//! assert_eq!(judgement.verdict, Verdict::Unparsed); // no `no` is found inside `abnormal`
//! ```
//!
//! ```no_run
//! use loupe_eval::{Scoring, score, strict};
//!
//! let scoring = Scoring { profiles: &[strict::profile()], ..Scoring::default() };
//! let summary = score("runs/vqa-rad".as_ref(), &scoring)?;
//! if let Some(accuracy) = summary.figure("strict", "accuracy") {
//!     println!("{accuracy:?}"); // with n, interval, unparsed and unscored counts
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod baselines;
pub mod compare;
pub mod confusion;
mod failures;
mod figures;
pub mod grounding;
pub mod judged;
pub mod llm_judge;
pub mod metrics;
pub mod profile;
pub mod profiles;
pub mod reports;
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
