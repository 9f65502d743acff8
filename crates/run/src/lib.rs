//! Runs: a folder that fills up reply by reply, survives being killed, and can be scored again.
//!
//! | file | holds | written |
//! |---|---|---|
//! | `run.json` | what made the run ([`MadeBy`]); checked on resume | once, at the start |
//! | `samples.jsonl` | questions, references, choices, tags and groups, one line an item | once, at the start |
//! | `replies.jsonl` | one line a reply or failure, in order of completion | appended and synced per item |
//! | `scores.json` | per item and profile: span, rule, normalised answer, verdict | by `loupe_eval::score`, in dataset order |
//! | `summary.json` | figures with n, interval, unparsed and unscored counts | by `loupe_eval::score` |

mod error;
mod folder;
mod import;
mod media;
mod plan;
pub mod probes;
pub mod simulated;
pub mod templates;
mod work;

pub use error::RunError;
pub use folder::{Item, MadeBy, ReplyLine, RunFolder, SampleLine, fingerprint, replace};
pub use import::{ImportSource, import};
pub use plan::{Plan, Selection, Setting};
pub use work::{Finished, Progress, run};
