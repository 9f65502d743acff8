//! Runs: a folder that fills up reply by reply, survives being killed, and can be scored again.
//!
//! | file | holds | written |
//! |---|---|---|
//! | `run.json` | what made the run ([`MadeBy`]); checked on resume | once, at the start |
//! | `samples.jsonl` | questions, references, choices, tags and groups, one line an item | once, at the start |
//! | `replies.jsonl` | one line a reply or failure, in order of completion | appended and synced per item |
//! | `scores.json` | per item and profile: span, rule, normalised answer, verdict | by [`score`], in dataset order |
//! | `summary.json` | figures with n, interval, unparsed and unscored counts | by [`score`] |

mod answer;
mod error;
mod folder;
mod import;
mod media;
mod plan;
mod score;
mod work;

pub use answer::{Answer, Answerer, Direct, Work};
pub use error::RunError;
pub(crate) use folder::fingerprint;
pub use folder::{Item, MadeBy, ReplyLine, RunFolder, SampleLine, Seen};
pub use import::{Source, import};
pub use plan::{Plan, Selection, Setting};
pub use score::{Judged, score, view};
pub use work::{Finished, Progress, run};
