//! How much memory there is and what rows and tokens take of it.

use crate::checkpoint::weights::Numbers;
use crate::layers::linear::MLP_ROWS;
use crate::layers::product::most_scores;
use crate::networks::decoder::DecoderConfig;
use candle_core::Device;
use loupe_core::available::free_memory;

/// Share of the free memory that a model takes unless told otherwise; the rest is for decoded pictures, other
/// models and whatever else the machine does.
const SHARE: f64 = 0.75;
/// What is assumed where the system does not say how much is free.
const UNKNOWN: u64 = 4 << 30;
/// Tokens of one step from which on more at a time are not computed any faster.
const MOST_TOKENS: usize = 4096;
/// Tokens of a step that are always allowed.
const LEAST_TOKENS: usize = 64;

/// The bytes that an engine may take beyond its weights, and what things cost.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Budget {
    /// Bytes allowed.
    pub(crate) limit: u64,
    /// Bytes of keys and values of a token.
    kv_token: u64,
    /// Bytes of a token's intermediate results in a step.
    step_token: u64,
    /// Bytes of a row's logits.
    row_logits: u64,
    /// Bytes of intermediate results whatever the number of tokens: scores and the middle of an MLP.
    fixed: u64,
    /// Most tokens of a step.
    pub(crate) step_tokens: usize,
}

impl Budget {
    /// `limit` bytes for a decoder that computes so.
    pub(crate) fn new(limit: u64, config: &DecoderConfig, numbers: &Numbers) -> Self {
        let number = numbers.activations.size_in_bytes() as u64;
        let (hidden, dim) = (config.hidden as u64, config.head_dim as u64);
        let (heads, kv_heads, layers) =
            (config.heads as u64, config.kv_heads as u64, config.layers.len() as u64);
        // Residual, normed, its sum and what attention and MLP give; projections, turned, spread and gathered.
        let step_token = (6 * hidden + 4 * (heads + 2 * kv_heads) * dim) * number;
        let middle = 3 * config.intermediate as u64 * MLP_ROWS as u64 * number;
        // Scores, their concatenation, the shares.
        let longest = MOST_TOKENS as u64 * config.context as u64 * heads;
        let fixed = middle + 3 * (most_scores(&numbers.device) as u64).min(longest) * number;
        let for_tokens = (limit / 4).saturating_sub(fixed) / step_token.max(1);
        Self {
            limit,
            kv_token: 2 * layers * kv_heads * dim * number,
            step_token,
            row_logits: 2 * 4 * config.vocab as u64,
            fixed,
            step_tokens: (for_tokens as usize).clamp(LEAST_TOKENS, MOST_TOKENS),
        }
    }

    /// Tokens of a step that are always allowed.
    pub(crate) fn least_tokens(&self) -> usize {
        LEAST_TOKENS
    }

    /// Bytes of the logits of a token.
    pub(crate) fn row_logits(&self) -> u64 {
        self.row_logits
    }

    /// Bytes of keys and values of so many tokens.
    pub(crate) fn kv(&self, tokens: usize) -> u64 {
        self.kv_token * tokens as u64
    }

    /// Bytes of intermediate results of a step of `tokens` that chooses `rows` next tokens.
    pub(crate) fn step(&self, tokens: usize, rows: usize) -> u64 {
        self.fixed + self.step_token * tokens as u64 + self.row_logits * rows as u64
    }
}

/// What a model may take on `device` unless told otherwise.
pub(crate) fn default_limit(device: &Device) -> u64 {
    let free = if device.is_cpu() { free_memory() } else { free_on_device(device) };
    (free.unwrap_or(UNKNOWN) as f64 * SHARE) as u64
}

#[cfg(feature = "cuda")]
fn free_on_device(device: &Device) -> Option<u64> {
    let stream = device.as_cuda_device().ok()?.cuda_stream();
    stream.context().mem_get_info().ok().map(|(free, _)| free as u64)
}

#[cfg(not(feature = "cuda"))]
fn free_on_device(_: &Device) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn there_is_something_to_take() {
        assert!(default_limit(&Device::Cpu) > 0);
    }
}
