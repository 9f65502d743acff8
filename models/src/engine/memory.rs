//! How much memory there is and what rows and tokens take of it.

use crate::layers::attention::SCORES;
use crate::layers::linear::MLP_ROWS;
use crate::networks::decoder::DecoderConfig;
use candle_core::Device;

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
    /// `limit` bytes for a decoder whose activations have numbers of `bytes`.
    pub(crate) fn new(limit: u64, config: &DecoderConfig, bytes: usize) -> Self {
        let number = bytes as u64;
        let (hidden, dim) = (config.hidden as u64, config.head_dim as u64);
        let (heads, kv_heads, layers) =
            (config.heads as u64, config.kv_heads as u64, config.layers.len() as u64);
        // Residual, normed, its sum and what attention and MLP give; projections, turned, spread and gathered.
        let step_token = (6 * hidden + 4 * (heads + 2 * kv_heads) * dim) * number;
        let middle = 3 * config.intermediate as u64 * MLP_ROWS as u64 * number;
        // Scores, their concatenation, the shares.
        let longest = MOST_TOKENS as u64 * config.context as u64 * heads;
        let fixed = middle + 3 * (SCORES as u64).min(longest) * number;
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
fn free_on_device(_: &Device) -> Option<u64> {
    candle_core::cuda_backend::cudarc::driver::result::mem_get_info().ok().map(|(free, _)| free as u64)
}

#[cfg(not(feature = "cuda"))]
fn free_on_device(_: &Device) -> Option<u64> {
    None
}

/// Bytes that the system can still give this process: what is available, and what the process's control group
/// leaves of its limit. `None` where the system has no such files.
pub(crate) fn free_memory() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let available = read("/proc/meminfo").and_then(|text| available(&text));
    let group = read("/proc/self/cgroup").and_then(|text| group(&text));
    let left = group.and_then(|group| {
        // Version 2, whose limits hold from the root down to the group; then version 1.
        let mut least: Option<u64> = None;
        let mut path = group.as_str();
        loop {
            let folder = format!("/sys/fs/cgroup{path}");
            let file = |name: &str| read(&format!("{folder}/{name}"));
            let here = left_in_group(file("memory.max"), file("memory.current"), file("memory.stat"));
            least = least.into_iter().chain(here).min();
            let Some((parent, _)) = path.trim_end_matches('/').rsplit_once('/') else { break };
            path = parent;
        }
        let old = |name: &str| read(&format!("/sys/fs/cgroup/memory/{name}"));
        let old =
            left_in_group(old("memory.limit_in_bytes"), old("memory.usage_in_bytes"), old("memory.stat"));
        least.into_iter().chain(old).min()
    });
    available.into_iter().chain(left).min()
}

/// `MemAvailable` of /proc/meminfo, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The group of this process in version 2: the path of the line `0::path`; the root without one.
fn group(cgroup: &str) -> Option<String> {
    let line = cgroup.lines().find_map(|l| l.strip_prefix("0::"));
    Some(line.unwrap_or("/").to_owned())
}

/// What a group leaves of its limit. Pages of files that were read count as its use, but are given up first.
fn left_in_group(limit: Option<String>, used: Option<String>, stat: Option<String>) -> Option<u64> {
    let number = |text: Option<String>| text?.trim().parse::<u64>().ok();
    // `max` is no number: no limit.
    let (limit, used) = (number(limit)?, number(used)?);
    let stat = stat.unwrap_or_default();
    let pages = stat.lines().find_map(|l| l.strip_prefix("inactive_file ")?.trim().parse::<u64>().ok());
    Some(limit.saturating_sub(used.saturating_sub(pages.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn what_is_free_is_read_as_the_system_writes_it() {
        let meminfo = "MemTotal:       24000000 kB\nMemAvailable:   1000 kB\nBuffers: 3 kB\n";
        assert_eq!(available(meminfo), Some(1_024_000));
        assert_eq!(available("MemTotal: 5 kB\n"), None);
        assert_eq!(group("12:memory:/x\n0::/user.slice/a\n").as_deref(), Some("/user.slice/a"));
        let left = |limit: &str, used: &str, stat: &str| {
            left_in_group(Some(limit.into()), Some(used.into()), Some(stat.into()))
        };
        assert_eq!(left("1000\n", "600\n", "anon 5\ninactive_file 100\n"), Some(500));
        assert_eq!(left("1000\n", "1600\n", ""), Some(0));
        assert_eq!(left("max\n", "600\n", ""), None);
        assert_eq!(left_in_group(None, None, None), None);
        assert!(default_limit(&Device::Cpu) > 0);
    }
}
