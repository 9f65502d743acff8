//! generation_config.json: what `generate` of `transformers` would do with a checkpoint when nobody says
//! otherwise. End tokens and the repetition penalty are used; whatever else would change replies is kept by
//! name, so that its neglect can be said.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::fields::Fields;
use crate::checkpoint::token_ids;
use crate::error::LoadError;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const FILE: &str = "generation_config.json";
const EOS: &str = "eos_token_id";
const PENALTY: &str = "repetition_penalty";

/// Fields that do not decide which words are said: bookkeeping, caches, tokens that start or fill up a text, ways
/// of computing the same faster, outputs.
const WITHOUT_EFFECT: &[&str] = &[
    "_from_model_config",
    "_commit_hash",
    "_name_or_path",
    "transformers_version",
    "bos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "use_cache",
    "cache_implementation",
    "cache_config",
    "return_legacy_cache",
    "return_dict_in_generate",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "output_logits",
    "num_return_sequences",
    "max_length",
    "max_time",
    "trust_remote_code",
    "assistant_confidence_threshold",
    "assistant_early_exit",
    "assistant_lookbehind",
    "is_assistant",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "prompt_lookup_num_tokens",
    "max_matching_ngram_size",
    "target_lookbehind",
    "prefill_chunk_size",
    "compile_config",
    "disable_compile",
    "generation_kwargs",
    "low_memory",
    "token_healing",
    "continuous_batching_config",
    // Of beams alone, which `num_beams` switches on.
    "length_penalty",
    "early_stopping",
    "num_beam_groups",
    "diversity_penalty",
];

/// Values with which a field changes nothing, in JSON.
const NEUTRAL: &[(&str, &str)] = &[
    ("do_sample", "false"),
    ("temperature", "1"),
    ("top_k", "0"),
    ("top_p", "1"),
    ("min_p", "0"),
    ("top_h", "0"),
    ("typical_p", "1"),
    ("epsilon_cutoff", "0"),
    ("eta_cutoff", "0"),
    ("num_beams", "1"),
    ("no_repeat_ngram_size", "0"),
    ("encoder_no_repeat_ngram_size", "0"),
    ("encoder_repetition_penalty", "1"),
    ("presence_penalty", "0"),
    ("frequency_penalty", "0"),
    ("min_length", "0"),
    ("min_new_tokens", "0"),
    ("penalty_alpha", "0"),
    ("guidance_scale", "1"),
    ("remove_invalid_values", "false"),
    ("renormalize_logits", "false"),
];

/// What a checkpoint says about generation.
pub(crate) struct GenerationFile {
    /// Tokens that end a reply, where it names any.
    pub(crate) ends: Option<BTreeSet<u32>>,
    /// The penalty of tokens that were seen; 1 for none.
    pub(crate) repetition_penalty: f64,
    /// Further settings with which `generate` would say other words, by name.
    pub(crate) not_used: BTreeMap<String, Value>,
}

impl GenerationFile {
    /// Reads the file; without it nothing is said.
    ///
    /// # Errors
    /// When a field makes no sense.
    pub(crate) fn read(checkpoint: &Checkpoint) -> Result<Self, LoadError> {
        let value = checkpoint.json(FILE)?.unwrap_or(Value::Null);
        let fields = Fields::new(&value, FILE);
        let repetition_penalty = fields.f64_or(PENALTY, 1.0)?;
        if repetition_penalty <= 0.0 {
            return Err(fields.bad(PENALTY, format!("{repetition_penalty} must be above 0")));
        }
        let known = |name: &str| name == EOS || name == PENALTY || WITHOUT_EFFECT.contains(&name);
        let mut not_used = BTreeMap::new();
        for name in fields.names().filter(|name| !known(name)) {
            let Some(found) = fields.get(name) else { continue };
            let neutral = NEUTRAL.iter().find(|(field, _)| *field == name);
            let empty = found.as_array().is_some_and(Vec::is_empty);
            if !empty && neutral.is_none_or(|(field, value)| fields.only(&[(*field, *value)]).is_err()) {
                not_used.insert(name.to_owned(), found.clone());
            }
        }
        Ok(Self { ends: end_ids(&fields)?, repetition_penalty, not_used })
    }
}

/// The ids under `eos_token_id`: one or several.
///
/// # Errors
/// When there is something else than token ids.
pub(crate) fn end_ids(fields: &Fields<'_>) -> Result<Option<BTreeSet<u32>>, LoadError> {
    Ok(token_ids::listed(fields, EOS)?.filter(|ids| !ids.is_empty()))
}
