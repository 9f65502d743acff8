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
mod session;
pub mod strategies;

pub use answerer::{RethinkAnswerer, RethinkSetup};
pub use protocols::{PROTOCOLS, Protocol};
pub use replay::Replay;
pub use request::{Budget, Models, Outcome, Request, RethinkError, Settings};
pub use session::{NewAsk, Pass, Session, Who};
pub use strategies::{STRATEGIES, Strategy};

/// The protocol called `name`.
pub fn protocol(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|p| p.name == name)
}

/// The strategy called `name`.
pub fn strategy(name: &str) -> Option<&'static Strategy> {
    STRATEGIES.iter().find(|s| s.name == name)
}

/// What a name on the command line means: a strategy with the protocol that its passes play.
///
/// # Errors
/// When nothing has that name, or the strategy plays no protocol.
pub fn named(name: &str) -> Result<(&'static Strategy, Option<&'static Protocol>), RethinkError> {
    let unknown = || RethinkError::unknown(name);
    match name.split_once('+') {
        Some((outer, inner)) => {
            let outer = strategy(outer).ok_or_else(|| RethinkError::unknown(outer))?;
            let inner = protocol(inner).ok_or_else(|| RethinkError::unknown(inner))?;
            if outer.composes { Ok((outer, Some(inner))) } else { Err(RethinkError::plays_none(outer.name)) }
        }
        None => match (strategy(name), protocol(name)) {
            (Some(strategy), _) => Ok((strategy, None)),
            (None, Some(protocol)) => Ok((&strategies::SINGLE, Some(protocol))),
            (None, None) => Err(unknown()),
        },
    }
}

/// Runs the protocol or strategy called `name` on one question: `deepeyes`, `self-consistency`, or
/// both joined, `self-consistency+deepeyes`.
///
/// # Errors
/// When nothing has that name, the request has no picture, or no answer at all could be had. Limits
/// that are met are not errors: the outcome carries the best answer so far and the reason.
pub fn run(
    name: &str,
    models: Models<'_>,
    request: &Request,
    settings: &Settings,
) -> Result<Outcome, RethinkError> {
    let (strategy, inner) = named(name)?;
    if request.pictures.is_empty() {
        return Err(RethinkError::NoPicture);
    }
    let settings =
        Settings { protocol: inner.map_or(settings.protocol, |p| Some(p.name)), ..settings.clone() };
    let mut session = Session::new(name, models, request.budget.clone());
    let answer = (strategy.run)(&mut session, request, &settings);
    Ok(session.finish(answer)?.on(&request.pictures))
}
