//! What a strategy is, and the passes that strategies are made of.

use crate::answer;
use crate::protocols::{self, PROTOCOLS};
use crate::request::{Request, RethinkError, Settings};
use crate::session::{NewAsk, Pass, Session, Who};
use loupe_core::trace::Ended;
use loupe_core::{GenerationLimits, Named, Role, Turn};

/// A way of arranging passes over a question into one answer.
#[derive(Debug, Clone, Copy)]
pub struct Strategy {
    /// Name as in `loupe list protocols`.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Where it is described.
    pub source: &'static str,
    /// Does it need a second model?
    pub second_model: bool,
    /// Does each pass play a protocol when one is joined on?
    pub composes: bool,
    /// The strategy itself.
    pub run: fn(&mut Session<'_>, &Request, &Settings) -> Result<Pass, RethinkError>,
}

/// One pass over the question: a plain ask, or the protocol of the settings.
pub(crate) fn pass(
    session: &mut Session<'_>,
    request: &Request,
    settings: &Settings,
    limits: &GenerationLimits,
) -> Pass {
    if let Some(protocol) = settings.protocol.and_then(|name| PROTOCOLS.get(name)) {
        return protocols::play(session, request, protocol, limits);
    }
    let mut ask = NewAsk::opening("answer", request.plain());
    ask.limits = limits.clone();
    taken(session, Who::First, ask)
}

/// Asks once and takes the answer from the reply.
pub(crate) fn taken(session: &mut Session<'_>, who: Who, ask: NewAsk) -> Pass {
    match session.ask(who, ask) {
        Ok(round) => Pass {
            answer: answer::of_reply(session.text(round)).to_owned(),
            round: Some(round),
            ended: Ended::Answered,
        },
        Err(ended) => Pass { answer: String::new(), round: None, ended },
    }
}

/// Thinks in one round, answers in the next: the words `trigger` after the question, then `extract`.
pub(crate) fn think_then_answer(
    session: &mut Session<'_>,
    request: &Request,
    trigger: &str,
    extract: &str,
) -> Pass {
    let think = NewAsk::opening("think", request.opening(format!("{}\n{trigger}", request.with_options())));
    let thought = taken(session, Who::First, think);
    let Some(round) = thought.round else { return thought };
    let answered = taken(session, Who::First, follow(session, request, round, "answer", extract));
    best_of(answered, thought)
}

/// The later pass, or the earlier one's answer with the later one's reason when it has none.
pub(crate) fn best_of(later: Pass, earlier: Pass) -> Pass {
    if later.round.is_some() { later } else { Pass { ended: later.ended, ..earlier } }
}

/// A user turn that continues round `round`.
pub(crate) fn follow(
    session: &Session<'_>,
    request: &Request,
    round: usize,
    purpose: &str,
    words: &str,
) -> NewAsk {
    NewAsk {
        purpose: purpose.into(),
        follows: Some(round),
        turns: vec![Turn::text(Role::User, words)],
        pictures: session.pictures_of(round),
        limits: request.limits.clone(),
    }
}

impl Named for Strategy {
    fn name(&self) -> &str {
        self.name
    }
}
