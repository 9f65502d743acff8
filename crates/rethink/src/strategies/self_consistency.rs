//! Self-consistency: several sampled passes, the most frequent answer, and how far they agree.

use super::entry::{Strategy, taken};
use crate::answer;
use crate::request::{Request, RethinkError, Settings};
use crate::session::{NewAsk, Pass, Session, Who};
use loupe_core::trace::Ended;
use loupe_core::{GenerationLimits, Sampling};
use serde_json::json;

/// The strategy.
pub const STRATEGY: Strategy = Strategy {
    name: "self-consistency",
    about: "several sampled passes; the most frequent answer wins, agreement is on record",
    source: "Wang et al. 2022, Self-Consistency Improves Chain of Thought Reasoning (arXiv 2203.11171)",
    second_model: false,
    composes: true,
    run,
};

fn run(session: &mut Session<'_>, request: &Request, settings: &Settings) -> Result<Pass, RethinkError> {
    let limits = |n: usize| GenerationLimits {
        sampling: Sampling::Random {
            temperature: settings.temperature,
            top_k: 0,
            top_p: 1.0,
            seed: settings.seed.wrapping_add(n as u64),
        },
        ..request.limits.clone()
    };
    let samples = settings.samples.max(1);
    let mut passes: Vec<Pass> = Vec::with_capacity(samples);
    if settings.protocol.is_some() {
        passes.extend((0..samples).map(|n| super::entry::pass(session, request, settings, &limits(n))));
    } else {
        // One batch: the pictures and the question are computed once.
        let ask = |n| {
            let mut ask = NewAsk::opening("vote", request.plain());
            ask.limits = limits(n);
            ask
        };
        for asked in session.ask_all(Who::First, (0..samples).map(ask).collect()) {
            passes.push(match asked {
                Ok(round) => Pass {
                    answer: answer::of_reply(session.text(round)).to_owned(),
                    round: Some(round),
                    ended: Ended::Answered,
                },
                Err(ended) => Pass { answer: String::new(), round: None, ended },
            });
        }
    }
    // A pass that met a limit still has a best answer; only those without any reply do not vote.
    let voters: Vec<&Pass> = passes.iter().filter(|p| p.round.is_some() && !p.answer.is_empty()).collect();
    let votes = answer::votes(voters.iter().map(|p| p.answer.as_str()), &request.choices);
    let Some((winner, count)) = votes.first().cloned() else {
        let plain = NewAsk::opening("answer", request.plain());
        // Nothing to vote on: what a plain pass says, or the reason why there was none.
        return Ok(passes.into_iter().next().unwrap_or_else(|| taken(session, Who::First, plain)));
    };
    session.trace.summary = json!({
        "votes": votes.iter().map(|(answer, n)| json!({ "answer": answer, "votes": n })).collect::<Vec<_>>(),
        "agreement": count as f64 / voters.len() as f64,
        "passes": samples,
        "without_answer": samples - voters.len(),
    });
    let key = answer::key(&winner, &request.choices);
    let round = voters.iter().find(|p| answer::key(&p.answer, &request.choices) == key).and_then(|p| p.round);
    let ended = passes.iter().map(|p| &p.ended).find(|e| !matches!(e, Ended::Answered)).cloned();
    Ok(Pass { answer: winner, round, ended: ended.unwrap_or(Ended::Answered) })
}
