//! The second look: a model thinks, acts on the picture, looks at what came out, and answers.
//!
//! A [`Protocol`] says what the model is told, how its actions are read and what it is shown next;
//! each published one is reproduced as its source defines it. A [`Strategy`] arranges one or more
//! passes (with or without a protocol inside) into one answer. Both leave a
//! [`Trace`](loupe_core::Trace) from which everything can be shown, replayed and scored again.
//!
//! A model zooms once and then answers:
//!
//! ```
//! use loupe_core::Picture;
//! use loupe_rethink::{Models, Request, Settings, run};
//! use std::sync::Arc;
//! # use loupe_testing::{Nearest, Script};
//! # let mut model = Script::new(&[
//! #     r#"<think>closer</think><tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [40, 40, 104, 104]}}</tool_call>"#,
//! #     "<answer>yes</answer>",
//! # ]);
//! # let resampler = Nearest::default();
//! // `model` is a `VisionLanguageModel`, `resampler` a `Resampler`.
//! let picture = Arc::new(Picture::new(128, 128, 1, vec![90; 128 * 128])?);
//! let models = Models { first: &mut model, second: None, segmenter: None, resampler: &resampler, loader: None };
//! let request = Request::new(vec![picture], "Is there a nodule?");
//! let outcome = run("deepeyes", models, &request, &Settings::default())?;
//!
//! assert_eq!(outcome.reply.text, "yes");
//! assert_eq!(outcome.trace.rounds.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod actions;
pub mod answer;
mod answerer;
mod desk;
pub mod pixels;
pub mod protocols;
mod replay;
mod request;
mod run;
mod session;
pub mod strategies;

pub use answerer::{RethinkAnswerer, RethinkSetup};
pub use protocols::{PROTOCOLS, Protocol};
pub use replay::Replay;
pub use request::{Budget, Models, Outcome, Request, RethinkError, Settings};
pub use run::{named, run};
pub use session::{NewAsk, Pass, Session, Who};
pub use strategies::{STRATEGIES, Strategy};
