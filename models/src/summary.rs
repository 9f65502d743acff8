//! What a checkpoint is and needs, from its settings and the headers of its files: nothing is loaded.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::Dtype;
use crate::error::LoadError;
use crate::families::find;
use crate::family::Family;
use loupe_core::available::free_memory;
use std::collections::BTreeMap;

/// What a checkpoint is and needs.
pub struct Summary {
    /// Its family.
    pub family: &'static Family,
    /// Numbers in its tensors.
    pub parameters: u64,
    /// Bytes of its files' tensors.
    pub stored_bytes: u64,
    /// Tensors of each number type, of files whose weights stay as they are stored (GGUF); the number type decides
    /// elsewhere.
    pub stored_types: Option<BTreeMap<String, usize>>,
    /// Bytes that are free for programs; `None` where the system does not say.
    pub free_bytes: Option<u64>,
    /// Sizes of the language model, where the settings have them by their usual names.
    pub decoder: Option<DecoderSizes>,
}

/// Sizes of a decoder that say what it needs beside its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderSizes {
    /// Layers.
    pub layers: u64,
    /// Numbers that each layer keeps of a token: keys and values of all heads that have their own.
    pub kept: u64,
    /// Width between layers.
    pub hidden: u64,
    /// Width inside a layer's feed-forward part.
    pub inner: u64,
    /// Tokens that there are.
    pub vocabulary: u64,
}

/// What an encoder–decoder's config.json calls a size of its decoder.
fn other_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "hidden_size" => "d_model",
        "num_attention_heads" => "decoder_attention_heads",
        "num_hidden_layers" => "decoder_layers",
        "intermediate_size" => "decoder_ffn_dim",
        _ => return None,
    })
}

impl DecoderSizes {
    /// From config.json as Hugging Face writes it, where the language model has a part of its own (`text_config`,
    /// `llm_config`) or is the whole.
    pub fn of(config: &serde_json::Value) -> Option<Self> {
        let part = ["text_config", "llm_config"].iter().find_map(|name| config.get(*name));
        let named = |name: &str| {
            part.and_then(|p| p.get(name)).or_else(|| config.get(name))?.as_u64().filter(|n| *n > 0)
        };
        // Encoder–decoders have other names.
        let size = |name: &str| named(name).or_else(|| named(other_name(name)?));
        let (hidden, heads) = (size("hidden_size")?, size("num_attention_heads")?);
        let head = size("head_dim").unwrap_or(hidden / heads);
        let own = size("num_key_value_heads").unwrap_or(heads);
        Some(Self {
            layers: size("num_hidden_layers")?,
            kept: head.checked_mul(own)?.checked_mul(2)?,
            hidden,
            inner: size("intermediate_size")?,
            vocabulary: size("vocab_size")?,
        })
    }

    /// Bytes of the keys and values of so many tokens, at 4 a number; half of that where the model computes in 16 bits.
    pub fn cache_bytes(&self, tokens: u64) -> u64 {
        self.layers.saturating_mul(self.kept).saturating_mul(tokens).saturating_mul(4)
    }

    /// Bytes of what is in work at once while a prompt of so many tokens is read: a layer's input, attention and
    /// feed-forward part, and the scores of the last token. An estimate.
    pub fn working_bytes(&self, tokens: u64) -> u64 {
        let layer = self.hidden.saturating_mul(6).saturating_add(self.inner.saturating_mul(3));
        layer.saturating_mul(tokens).saturating_add(self.vocabulary).saturating_mul(4)
    }
}

impl Summary {
    /// Of a checkpoint.
    ///
    /// # Errors
    /// When no family claims it, or files are missing or damaged.
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, LoadError> {
        let family = find(checkpoint, None)?;
        let tensors = checkpoint.tensors()?;
        let count = |shape: &[usize]| shape.iter().map(|n| *n as u64).fold(1u64, u64::saturating_mul);
        Ok(Self {
            family,
            parameters: tensors.iter().map(|t| count(&t.shape)).fold(0, u64::saturating_add),
            stored_bytes: tensors.iter().map(|t| t.bytes).fold(0, u64::saturating_add),
            stored_types: checkpoint.stored_types()?,
            free_bytes: free_memory(),
            decoder: checkpoint.json("config.json")?.as_ref().and_then(DecoderSizes::of),
        })
    }

    /// Bytes of the weights in a number type.
    pub fn bytes(&self, dtype: Dtype) -> u64 {
        self.parameters.saturating_mul(dtype.bytes() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_where_the_settings_have_them() {
        let flat = serde_json::json!({
            "num_hidden_layers": 28, "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4,
            "intermediate_size": 18944, "vocab_size": 152064
        });
        let sizes = DecoderSizes::of(&flat);
        let wanted = DecoderSizes { layers: 28, kept: 1024, hidden: 3584, inner: 18944, vocabulary: 152064 };
        assert_eq!(sizes, Some(wanted));
        assert_eq!(wanted.cache_bytes(4096), 28 * 1024 * 4096 * 4);
        let nested = serde_json::json!({ "text_config": flat, "hidden_size": 1 });
        assert_eq!(DecoderSizes::of(&nested), Some(wanted));
        assert_eq!(
            DecoderSizes::of(&serde_json::json!({ "hidden_size": 8, "num_attention_heads": 0 })),
            None
        );
        let bart = serde_json::json!({ "text_config": {
            "decoder_layers": 6, "d_model": 768, "decoder_attention_heads": 12, "decoder_ffn_dim": 3072, "vocab_size": 51289
        } });
        let wanted_of_bart =
            DecoderSizes { layers: 6, kept: 1536, hidden: 768, inner: 3072, vocabulary: 51289 };
        assert_eq!(DecoderSizes::of(&bart), Some(wanted_of_bart));
        let huge = DecoderSizes { layers: u64::MAX, ..wanted };
        assert_eq!(huge.cache_bytes(u64::MAX), u64::MAX);
    }
}
