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

/// What was worked out for a call, by sight, first token and number of tokens of a part of it: layers with the same sight
/// share it. 0 where a token sees a column, minus infinity elsewhere, for the last columns: (1, 1 or rows, tokens, columns);
/// nothing where all is seen.
pub(crate) type Masks = HashMap<(Sight, usize, usize), Option<Tensor>>;
