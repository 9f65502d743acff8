//! The second look: a model thinks, acts on the picture, looks at what came out, and answers.
//!
//! A [`Protocol`] says what the model is told, how its actions are read and what it is shown next;
//! each published one is reproduced as its source defines it. A [`Strategy`] arranges one or more
//! passes (with or without a protocol inside) into one answer. Both leave a
//! [`Trace`](loupe_core::Trace) from which everything can be shown, replayed and scored again.

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
