//! Runs: a folder that fills up reply by reply, survives being killed, and can be scored again.
//!
//! | file | holds | written |
//! |---|---|---|
//! | `run.json` | what made the run ([`MadeBy`]); checked on resume | at the start and end of each [`Session`] |
//! | `samples.jsonl` | questions, references, choices, tags and groups, one line an item | at the start, and when rows are added |
//! | `replies.jsonl` | one line a reply or failure, in order of completion | appended and synced per item |
//! | `scores.json` | per item and profile: span, rule, normalised answer, verdict | by `loupe_eval::score`, in dataset order |
//! | `summary.json` | figures with n, interval, unparsed and unscored counts | by `loupe_eval::score` |
//!
//! A run over a set of ten questions, resumed by the same call:
//!
//! ```
//! use loupe_core::Direct;
//! use loupe_run::{Plan, RunFolder, run, templates};
//! # use loupe_testing::{FlatPictures, QuestionSet, Script};
//! # let folder = tempfile::tempdir()?;
//! # let (dir, set, loader, mut model) =
//! #     (folder.path().join("run"), QuestionSet::new(10), FlatPictures::sound(), Script::forever("yes"));
//! // `set` is a `Dataset`, `loader` a `MediaLoader`, `model` a `VisionLanguageModel`.
//! let plan = Plan::new(templates::default_template());
//! let finished = run(&dir, &plan, &set, &mut Direct(&mut model), &loader, &mut ())?;
//! assert_eq!((finished.total, finished.answered, finished.failed), (10, 10, 0));
//!
//! let again = run(&dir, &plan, &set, &mut Direct(&mut model), &loader, &mut ())?;
//! assert_eq!((again.already, again.answered), (10, 0));
//! for item in RunFolder::open(&dir)?.items()? {
//!     assert!(item?.reply.is_some_and(|line| line.prediction.text() == Some("yes")));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod effort;
mod error;
mod examples;
mod files;
mod filled;
mod folder;
mod hidden;
mod import;
mod log;
mod made_by;
mod media;
mod merge;
mod own_template;
mod plan;
pub mod probes;
mod question_form;
pub mod report_prompt;
mod resume;
mod rows;
mod sample_line;
mod scheduler;
mod seal;
mod select;
mod session;
mod shard;
pub mod simulated;
pub mod templates;
mod work;

pub use effort::Effort;
pub use error::RunError;
pub use examples::{Example, ExampleRecord, Examples};
pub use files::replace;
pub use folder::{Item, Items, ReplyLine, RunFolder, damaged_lines, fingerprint, run_name};
pub use import::{ImportSource, import};
pub use made_by::MadeBy;
pub use merge::{Merged, merge};
pub use own_template::OwnTemplate;
pub use plan::{Draw, Plan, Selection, Setting, TagValue, Template};
pub use sample_line::SampleLine;
pub use scheduler::{ScheduledShard, scheduled_shard};
pub use seal::sealed_file;
pub use select::selected;
pub use session::{Invocation, Session, utc};
pub use shard::{Shard, ShardError, ShardRecord, WholeSamples};
pub use work::{Finished, Progress, run};
