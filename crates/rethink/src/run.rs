//! From a name to a conversation held.

use crate::protocols::{PROTOCOLS, Protocol};
use crate::request::{Models, Outcome, Request, RethinkError, Settings};
use crate::session::Session;
use crate::strategies::{SINGLE, STRATEGIES, Strategy};
use loupe_core::words::did_you_mean;

/// What a name on the command line means: a strategy with the protocol that its passes play.
///
/// # Errors
/// When nothing has that name, or the strategy plays no protocol.
pub fn named(name: &str) -> Result<(&'static Strategy, Option<&'static Protocol>), RethinkError> {
    match name.split_once('+') {
        Some((outer, inner)) => {
            let outer = STRATEGIES.get(outer).ok_or_else(|| unknown(outer))?;
            let inner = PROTOCOLS.get(inner).ok_or_else(|| unknown(inner))?;
            if outer.composes { Ok((outer, Some(inner))) } else { Err(plays_none(outer.name)) }
        }
        None => match (STRATEGIES.get(name), PROTOCOLS.get(name)) {
            (Some(strategy), _) => Ok((strategy, None)),
            (None, Some(protocol)) => Ok((&SINGLE, Some(protocol))),
            (None, None) => Err(unknown(name)),
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

fn unknown(name: &str) -> RethinkError {
    let meant = did_you_mean(name, PROTOCOLS.names().chain(STRATEGIES.names()));
    RethinkError::Unknown { name: name.to_owned(), meant }
}

fn plays_none(strategy: &'static str) -> RethinkError {
    let known: Vec<&str> = STRATEGIES.iter().filter(|s| s.composes).map(|s| s.name).collect();
    RethinkError::PlaysNone { strategy, known: known.join(", ") }
}
