//! The tokenizer of a checkpoint within bounds. Its patterns and replacements come with the weights: a pattern may
//! go back and forth without end, a replacement may multiply the text, and the engines behind them panic at that.

use loupe_core::guard::caught;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tokenizers::Tokenizer;
use tokenizers::utils::truncation::TruncationParams;

/// Longest time for one text, and for one of the texts that a tokenizer is tried with.
const LONGEST: Duration = Duration::from_secs(8);
const LONGEST_TRIAL: Duration = Duration::from_secs(3);
/// Texts that may take longer than that at a time; while so many are stuck, no other is begun.
const MOST_STUCK: usize = 4;
/// How many times as long replacements may make a text, all of them together.
const MOST_GROWTH: f64 = 256.0;
/// Shortest text that is refused by its length alone.
const ALWAYS_READ: usize = 1 << 20;

/// A tokenizer that fails where it would hang, panic or exhaust memory.
#[derive(Clone)]
pub(crate) struct BoundedTokenizer {
    inner: Arc<Tokenizer>,
    stuck: Arc<AtomicUsize>,
    /// Bytes of the longest token.
    longest: usize,
}

impl BoundedTokenizer {
    /// Reads tokenizer.json, without padding; texts are cut as `truncation` says, and special tokens in them are
    /// words like any others where `literal`.
    ///
    /// # Errors
    /// In words; also for patterns and replacements that no tokenizer needs.
    pub(crate) fn read(
        bytes: &[u8],
        truncation: Option<TruncationParams>,
        literal: bool,
    ) -> Result<Self, String> {
        let settings: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        for part in ["normalizer", "decoder", "pre_tokenizer"] {
            let growth = settings.get(part).map_or(1.0, growth);
            if growth > MOST_GROWTH {
                return Err(format!(
                    "the replacements of its {part} make a text up to {growth} times as long"
                ));
            }
        }
        let parsed = caught(|| Tokenizer::from_bytes(bytes));
        let mut inner =
            parsed.ok_or("the tokenizer library could not cope with it")?.map_err(|e| e.to_string())?;
        inner.set_encode_special_tokens(literal);
        inner.with_padding(None);
        inner.with_truncation(truncation).map_err(|e| e.to_string())?;
        let longest = inner.get_vocab(true).keys().map(String::len).max().unwrap_or(1).max(1);
        let own = Self { inner: Arc::new(inner), stuck: Arc::default(), longest };
        own.try_out()?;
        Ok(own)
    }

    /// Patterns that go back without end do so over some run of equal characters.
    fn try_out(&self) -> Result<(), String> {
        let runs = (' '..='~').chain(['\n', '\t', 'é', '中']).map(|c| c.to_string().repeat(64));
        for text in runs.map(|run| run + "\u{1}") {
            // A text that it cannot read is another matter.
            if let Err(Failed::Bound(problem)) = self.encode_within(text, false, LONGEST_TRIAL) {
                return Err(format!("{problem}; it was tried with 64 equal characters"));
            }
        }
        Ok(())
    }

    pub(crate) fn inner(&self) -> &Tokenizer {
        &self.inner
    }

    /// The same, to be kept elsewhere too.
    pub(crate) fn shared(&self) -> Arc<Tokenizer> {
        Arc::clone(&self.inner)
    }

    /// Bytes of the longest text that can be fewer than `tokens` tokens.
    pub(crate) fn most_bytes(&self, tokens: usize) -> usize {
        tokens.saturating_mul(self.longest).max(ALWAYS_READ)
    }

    /// The least number of tokens that so many bytes are.
    pub(crate) fn least_tokens(&self, bytes: usize) -> usize {
        bytes / self.longest
    }

    /// Ids of a text, with the tokens that frame it where `framed`.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn encode(&self, text: &str, framed: bool) -> Result<Vec<u32>, String> {
        self.encode_within(text.to_owned(), framed, LONGEST).map_err(|failed| match failed {
            Failed::Bound(problem) => problem.to_owned(),
            Failed::Text(problem) => problem,
        })
    }

    fn encode_within(&self, text: String, framed: bool, longest: Duration) -> Result<Vec<u32>, Failed> {
        if self.stuck.load(Ordering::Relaxed) >= MOST_STUCK {
            return Err(Failed::Bound("the tokenizer is still busy with texts that it cannot get done"));
        }
        let (inner, stuck) = (Arc::clone(&self.inner), Arc::clone(&self.stuck));
        let (to, from) = sync_channel(1);
        stuck.fetch_add(1, Ordering::Relaxed);
        let work = move || {
            let encode = || inner.encode_fast(text.as_str(), framed).map(|e| e.get_ids().to_vec());
            let encoded = caught(encode);
            stuck.fetch_sub(1, Ordering::Relaxed);
            let _ = to.send(encoded);
        };
        if std::thread::Builder::new().spawn(work).is_err() {
            self.stuck.fetch_sub(1, Ordering::Relaxed);
            return Err(Failed::Bound("there is no memory for a thread to tokenize on"));
        }
        match from.recv_timeout(longest) {
            Ok(Some(Ok(ids))) => Ok(ids),
            Ok(Some(Err(error))) => Err(Failed::Text(error.to_string())),
            Ok(None) => Err(Failed::Bound("a pattern of the tokenizer goes back without end in this text")),
            Err(_) => Err(Failed::Bound("the tokenizer does not get this text done")),
        }
    }

    /// Text of `ids`.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, String> {
        let decoded = caught(|| self.inner.decode(ids, skip_special));
        decoded.ok_or("the tokenizer could not decode its tokens")?.map_err(|e| e.to_string())
    }
}

enum Failed {
    /// It is not the text's fault.
    Bound(&'static str),
    Text(String),
}

/// How many times as long the steps of a part make a text at most.
fn growth(part: &Value) -> f64 {
    let own = match (part.get("type").and_then(Value::as_str), part.get("content").and_then(Value::as_str)) {
        (Some("Replace"), Some(content)) => {
            let pattern = part.get("pattern");
            let literal = pattern.and_then(|p| p.get("String")).and_then(Value::as_str).map_or(1, str::len);
            (content.len() as f64 / literal.max(1) as f64).max(1.0)
        }
        _ => 1.0,
    };
    let lists = ["normalizers", "decoders", "pretokenizers"].iter().filter_map(|l| part.get(*l)?.as_array());
    lists.flatten().map(growth).fold(own, |all, one| (all * one).min(f64::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use serde_json::json;

    fn read(change: impl FnOnce(&mut Value)) -> Result<BoundedTokenizer, String> {
        let text = include_bytes!("../../tests/parity/tokenizer.json");
        let mut settings: Value = serde_json::from_slice(text).unwrap();
        change(&mut settings);
        BoundedTokenizer::read(settings.to_string().as_bytes(), None, true)
    }

    fn split(pattern: &str) -> Value {
        json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false })
    }

    #[test]
    fn patterns_that_go_back_without_end_are_refused_or_fail_the_text() {
        let refused = read(|s| s["pre_tokenizer"] = split("(a+)+$")).err().unwrap();
        assert!(refused.contains("without end"), "{refused}");
        // One that is not found out by trying: the text fails, in time, and the next one is read.
        let tricky = read(|s| s["pre_tokenizer"] = split("((xy)+)+z")).unwrap();
        let started = std::time::Instant::now();
        assert!(tricky.encode(&"xy".repeat(200), false).is_err());
        assert!(started.elapsed() < LONGEST * 2);
        assert!(tricky.encode("left", false).is_ok());
    }

    #[test]
    fn replacements_that_multiply_are_refused() {
        let ten = json!({ "type": "Replace", "pattern": { "String": "x" }, "content": "xxxxxxxxxx" });
        let refused = read(|s| {
            s["normalizer"] = json!({ "type": "Sequence", "normalizers": vec![ten.clone(); 12] });
        });
        assert!(refused.err().unwrap().contains("normalizer"));
        let metaspace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "\u{2581}" });
        assert!(read(|s| s["normalizer"] = metaspace).is_ok());
    }
}
