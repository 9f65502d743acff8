//! How a checkpoint's own settings choose the tokens of a reply.

use crate::checkpoint::fields::Fields;
use crate::checkpoint::generation_file::GenerationFile;
use crate::checkpoint::token_ids::listed;
use crate::engine::generate::beams::{BeamSettings, EarlyStop, MOST_BEAMS};
use crate::engine::generate::rules::Rules;
use crate::error::LoadError;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Where `generate` finds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// In generation_config.json, and in config.json where there is no such file.
    File,
    /// In the text model's part of config.json: code that came with a checkpoint calls `generate` of the text model, which
    /// is made without that file.
    TextConfig,
}

/// How tokens are chosen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GenerationSettings {
    pub(crate) beams: BeamSettings,
    pub(crate) rules: Rules,
    pub(crate) repetition_penalty: f64,
    /// The token that starts every reply.
    pub(crate) start: u32,
}

/// Fields that are read here.
const READ: &[&str] = &["num_beams", "no_repeat_ngram_size", "forced_bos_token_id", "forced_eos_token_id"];

impl GenerationSettings {
    /// Reads them and takes their names out of those that `file` lists as not used. `stored` is generation_config.json,
    /// `config` config.json.
    pub(crate) fn read(
        source: Source,
        file: &mut GenerationFile,
        stored: Option<&Value>,
        config: &Value,
    ) -> Result<Self, LoadError> {
        let text = Fields::new(config, "config.json").object_or_defaults("text_config")?;
        let from_file = stored.filter(|_| source == Source::File);
        let fields =
            from_file.map_or_else(|| text.clone(), |value| Fields::new(value, "generation_config.json"));
        // BartConfig's own default; a file says what it means.
        let last = match (from_file, listed(&fields, "forced_eos_token_id")?) {
            (None, None) => BTreeSet::from([2]),
            (_, found) => found.unwrap_or_default(),
        };
        let beams = fields.positive_or("num_beams", 1)?;
        if beams > MOST_BEAMS {
            return Err(
                fields.bad("num_beams", format!("{beams} are too many; at most {MOST_BEAMS} are followed"))
            );
        }
        let early_stop = match fields.get("early_stopping") {
            None | Some(Value::Bool(false)) => EarlyStop::Likely,
            Some(Value::Bool(true)) => EarlyStop::Full,
            Some(Value::String(never)) if never == "never" => EarlyStop::Certain,
            Some(_) => return Err(fields.bad("early_stopping", "true, false or \"never\" is needed")),
        };
        let length_penalty = fields.f64_or("length_penalty", 1.0)?;
        if !(length_penalty.is_finite() && length_penalty.abs() <= 100.0) {
            return Err(
                fields.bad("length_penalty", format!("{length_penalty} must lie between -100 and 100"))
            );
        }
        let start = match fields.get("decoder_start_token_id") {
            Some(_) => token(&fields, "decoder_start_token_id")?,
            None => token(&text, "decoder_start_token_id")?,
        };
        let repetition_penalty = match from_file {
            Some(_) => file.repetition_penalty,
            None => fields.positive_f64_or("repetition_penalty", 1.0)?,
        };
        let read = Self {
            beams: BeamSettings { beams, length_penalty, early_stop },
            rules: Rules {
                no_repeat: fields.usize_or("no_repeat_ngram_size", 0)?,
                first: token(&fields, "forced_bos_token_id")?,
                last,
            },
            repetition_penalty,
            start: start.unwrap_or(2),
        };
        // What another file says in vain stays on the list.
        file.not_used
            .retain(|name, value| !READ.contains(&name.as_str()) || fields.get(name) != Some(&*value));
        file.repetition_penalty = repetition_penalty;
        Ok(read)
    }

    /// For the record of a run.
    pub(crate) fn settings(&self) -> Value {
        let Self { beams, rules, start, .. } = self;
        json!({
            "length_penalty": beams.length_penalty, "early_stopping": format!("{:?}", beams.early_stop),
            "no_repeat_ngram_size": rules.no_repeat, "forced_bos_token_id": rules.first,
            "forced_eos_token_id": rules.last, "decoder_start_token_id": start,
        })
    }
}

fn token(fields: &Fields<'_>, name: &str) -> Result<Option<u32>, LoadError> {
    match listed(fields, name)? {
        Some(found) if found.len() == 1 => Ok(found.first().copied()),
        None => Ok(None),
        Some(_) => Err(fields.bad(name, "one token id is needed")),
    }
}
