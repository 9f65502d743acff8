//! A second opinion: two models answer, debate where they differ, and the first adjudicates.

use super::entry::{Strategy, follow, taken};
use crate::answer;
use crate::request::{Request, RethinkError, Settings};
use crate::session::{NewAsk, Pass, Session, Who};
use loupe_core::trace::Ended;
use serde_json::json;

/// The strategy.
pub const STRATEGY: Strategy = Strategy {
    name: "second-opinion",
    about: "two models answer; where they differ they debate, and an adjudicating round settles it by majority",
    source: "Du et al. 2023, Improving Factuality and Reasoning through Multiagent Debate (arXiv 2305.14325)",
    second_model: true,
    composes: true,
    run,
};

fn run(session: &mut Session<'_>, request: &Request, settings: &Settings) -> Result<Pass, RethinkError> {
    if !session.has_second() {
        return Err(RethinkError::Needs { strategy: STRATEGY.name.into(), what: "a second model" });
    }
    let mut first = super::entry::pass(session, request, settings, &request.limits);
    let opening = NewAsk::opening("second opinion", request.plain());
    let mut second = taken(session, Who::Second, opening);
    let same = |a: &Pass, b: &Pass| {
        answer::key(&a.answer, &request.choices) == answer::key(&b.answer, &request.choices)
    };
    let mut debated = 0;
    while !same(&first, &second) && debated < settings.debate_rounds {
        let (Some(of_first), Some(of_second)) = (first.round, second.round) else { break };
        let other = |text: &str| {
            format!(
                "Another reader of the same pictures says: {text}\nWith this in mind, give your answer again: {}",
                request.with_options()
            )
        };
        let (to_first, to_second) = (other(session.text(of_second)), other(session.text(of_first)));
        let one = taken(session, Who::First, follow(session, request, of_first, "debate", &to_first));
        let two = taken(session, Who::Second, follow(session, request, of_second, "debate", &to_second));
        debated += 1;
        let stopped = one.round.is_none() || two.round.is_none();
        first = super::entry::best_of(one, first);
        second = super::entry::best_of(two, second);
        if stopped {
            break;
        }
    }
    let opinions = [first.answer.clone(), second.answer.clone()];
    let agreed = same(&first, &second);
    let mut best = if first.round.is_some() { first } else { second.clone() };
    let mut adjudicated = None;
    if !agreed
        && best.round.is_some()
        && second.round.is_some()
        && !matches!(best.ended, Ended::Tokens(_) | Ended::Seconds(_))
    {
        let words = format!(
            "{}\nOne reader answers: {}\nAnother reader answers: {}\nWhich answer is right? Reply with that answer only.",
            request.with_options(),
            opinions[0],
            opinions[1]
        );
        let judge = taken(session, Who::First, NewAsk::opening("adjudicate", request.opening(words)));
        if judge.round.is_some() {
            adjudicated = Some(judge.answer.clone());
            let all = [opinions[0].as_str(), opinions[1].as_str(), judge.answer.as_str()];
            let votes = answer::votes(all, &request.choices);
            // Two of three, or the adjudicator's own words when all three differ.
            let winner = votes.first().filter(|v| v.1 >= 2).map_or(judge.answer.clone(), |v| v.0.clone());
            best = Pass { answer: winner, ..judge };
        } else {
            best.ended = judge.ended;
        }
    }
    session.trace.summary = json!({
        "opinions": opinions, "agreed": agreed, "debate_rounds": debated, "adjudicated": adjudicated,
    });
    Ok(best)
}
