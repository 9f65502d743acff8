//! Budgeted thinking: so many tokens of thought and no more, or so many second thoughts and no fewer.
//!
//! The source writes "Wait" and "Final Answer:" into the model's own turn; a chat model takes the
//! same as a short user turn, so that this works on every family.

use super::entry::{Strategy, best_of, follow, taken};
use crate::request::{Request, RethinkError, Settings};
use crate::session::{NewAsk, Pass, Session, Who};
use loupe_core::Stop;
use serde_json::json;

/// Asked for with the question.
pub const THINK: &str =
    "Think inside <think> and </think> first, then give the answer inside <answer> and </answer>.";

/// Said when a thought ends before its time.
pub const GO_ON: &str = "Wait";

/// Said when the budget is spent.
pub const FORCE: &str = "Final Answer:";

/// The strategy.
pub const STRATEGY: Strategy = Strategy {
    name: "budgeted",
    about: "a budget of thought: cut off and made to answer when it is spent, made to go on when it ends early",
    source: "Muennighoff et al. 2025, s1: Simple test-time scaling (arXiv 2501.19393)",
    second_model: false,
    composes: false,
    run,
};

fn run(session: &mut Session<'_>, request: &Request, settings: &Settings) -> Result<Pass, RethinkError> {
    let mut ask = NewAsk::opening("think", request.opening(format!("{}\n{THINK}", request.with_options())));
    ask.limits.max_new_tokens = settings.think_tokens.max(1);
    let mut best = taken(session, Who::First, ask);
    let mut left = settings.think_tokens;
    let (mut went_on, mut forced) = (0, false);
    while let Some(round) = best.round {
        let Some(reply) = session.reply(round) else { break };
        left = left.saturating_sub(reply.counts.new_tokens);
        let cut = matches!(reply.stop, Stop::Length | Stop::ContextFull);
        if cut || (went_on < settings.go_on && left == 0) {
            forced = true;
            let answered =
                taken(session, Who::First, follow(session, request, round, "forced answer", FORCE));
            best = best_of(answered, best);
            break;
        }
        if went_on >= settings.go_on {
            break;
        }
        went_on += 1;
        let mut ask = follow(session, request, round, "think on", GO_ON);
        ask.limits.max_new_tokens = left.max(1);
        let later = taken(session, Who::First, ask);
        let stopped = later.round.is_none();
        best = best_of(later, best);
        if stopped {
            break;
        }
    }
    session.trace.summary =
        json!({ "think_tokens": settings.think_tokens, "went_on": went_on, "forced": forced });
    Ok(best)
}
