//! Plan-and-solve: understand and plan, carry out the plan, then say the answer.

use super::chain_of_thought::EXTRACT;
use super::entry::Strategy;

/// Wang et al. 2023, the prompt PS.
pub const TRIGGER: &str = "Let's first understand the problem and devise a plan to solve the problem. Then, let's carry out the plan and solve the problem step by step.";

/// The strategy.
pub const STRATEGY: Strategy = Strategy {
    name: "plan-and-solve",
    about: "plans, carries out the plan and says the answer in a further round",
    source: "Wang et al. 2023, Plan-and-Solve Prompting (arXiv 2305.04091)",
    second_model: false,
    composes: false,
    run: |session, request, _| Ok(super::entry::think_then_answer(session, request, TRIGGER, EXTRACT)),
};
