//! Zero-shot chain of thought: think step by step, then say the answer.

use super::entry::Strategy;

/// Kojima et al. 2022, the first prompt.
pub const TRIGGER: &str = "Let's think step by step.";

/// Kojima et al. 2022, the second prompt, for answers of any kind.
pub const EXTRACT: &str = "Therefore, the answer is";

/// The strategy.
pub const STRATEGY: Strategy = Strategy {
    name: "chain-of-thought",
    about: "thinks step by step in one round and says the answer in the next",
    source: "Kojima et al. 2022, Large Language Models are Zero-Shot Reasoners (arXiv 2205.11916)",
    second_model: false,
    composes: false,
    run: |session, request, _| Ok(super::entry::think_then_answer(session, request, TRIGGER, EXTRACT)),
};
