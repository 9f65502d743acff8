//! What a token sees of the tokens before it.

use candle_core::Tensor;
use std::collections::HashMap;

/// What a token sees besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Sight {
    /// The last so many tokens, itself included; all before it when `None`.
    pub(crate) window: Option<usize>,
    /// The later tokens of its picture too. Of earlier ones it sees what its window leaves.
    pub(crate) pictures: bool,
}

/// 0 where a token sees a column, minus infinity elsewhere: (1, 1 or rows, queries or 1, columns).
#[derive(Debug, Clone)]
pub(crate) enum Mask {
    /// All is seen.
    None,
    /// Of the own columns; the prefix is seen.
    Own(Tensor),
    /// Of prefix and own columns.
    All(Tensor),
}

/// What was worked out for a call, by sight, first token and number of tokens of a part of it: layers with the
/// same sight share it.
pub(crate) type Masks = HashMap<(Sight, usize, usize), Mask>;
