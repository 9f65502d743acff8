//! One question, one answer.

use super::entry::Strategy;

/// The strategy.
pub const STRATEGY: Strategy = Strategy {
    name: "single",
    about: "one question, one answer",
    source: "loupe",
    second_model: false,
    composes: true,
    run: |session, request, settings| Ok(super::entry::pass(session, request, settings, &request.limits)),
};
