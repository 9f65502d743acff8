//! Choosing tokens and turning them into text.

pub(crate) mod beams;
pub(crate) mod lookup;
pub(crate) mod row;
pub(crate) mod rules;
pub(crate) mod sampling;
pub(crate) mod stream;
