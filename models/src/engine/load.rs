//! From a checkpoint to an engine: what all families of vision-language models load alike whose decoder reads the prompt.

use super::architecture::{Architecture, Network};
use super::cache::PrefixCache;
use super::memory::{Budget, default_limit};
use super::open::{Described, StandIns, notes, open};
use super::serve::Engine;
use crate::chat::template::ChatTemplate;
use crate::chat::tokens::Tokens;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::Weights;
use crate::error::LoadError;
use crate::family::Family;
use crate::options::LoadOptions;
use loupe_core::VisionLanguageModel;
use loupe_core::model::GenerationDefaults;
use std::collections::BTreeMap;

/// Replies in work at a time, unless memory allows fewer: with so many, products with weights are bound by
/// arithmetic, and more would only make each wait longer.
pub(super) const ROWS_CPU: usize = 64;
pub(super) const ROWS_DEVICE: usize = 256;

/// What a family says about its checkpoints.
pub(crate) struct Assembly {
    pub(crate) family: &'static Family,
    /// Whose resizing prepares pictures.
    pub(crate) resample: &'static str,
    /// True when there is no processor file and every setting of pictures is its class's default.
    pub(crate) default_processor: bool,
    /// Stands in for a missing chat template.
    pub(crate) template: &'static str,
    /// Is used in place of the checkpoint's, where that is for words alone.
    pub(crate) instead: Option<String>,
    /// The architecture's name of a tensor; `None` leaves the tensor out.
    pub(crate) canonical: fn(&str) -> Option<String>,
}

/// Opens everything a checkpoint has; `build` makes the network and uses every tensor.
pub(crate) fn assemble<A: Architecture + 'static>(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    assembly: &Assembly,
    build: impl FnOnce(&Weights) -> Result<A, LoadError>,
) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    let opened = open(checkpoint, options, assembly.family, assembly.canonical, build)?;
    let (arch, numbers, generation) = (&opened.arch, &opened.numbers, &opened.generation);
    if options.pan_and_scan && !arch.crops() {
        return Err(LoadError::NoCrops { family: assembly.family.name });
    }
    let config = checkpoint.need_json("config.json")?;
    let Network::Decoder(decoder) = arch.network();
    let shape = &decoder.config;
    let tokens = Tokens::read(checkpoint, shape.vocab, arch.mark())?;
    let tokens = tokens.with_ways(arch.words_apart(), arch.begin())?;
    let limit = options.memory_bytes.unwrap_or_else(|| default_limit(&numbers.device));
    let budget = Budget::new(limit, shape, numbers);
    let template = ChatTemplate::read(checkpoint, assembly.template, assembly.instead.as_deref())?;
    let template = template.with(arch.template_values());
    let ends = tokens.end_tokens(checkpoint, generation, &config)?;
    let mut settings = arch.settings();
    settings["template_tokens"] =
        template.tokens().iter().cloned().collect::<BTreeMap<_, _>>().into_iter().collect();
    let stand_ins = StandIns {
        template: template.is_stand_in,
        processor: assembly.default_processor,
        ends: ends.is_empty(),
    };
    let said = Described {
        resample: assembly.resample,
        context: shape.context,
        tokenizer_sha256: tokens.sha256.clone(),
        template_sha256: Some(template.sha256().to_owned()),
        settings,
        notes: notes(generation, stand_ins),
        generation: GenerationDefaults {
            repetition_penalty: generation.repetition_penalty,
            beams: None,
            end_tokens: ends.iter().copied().collect(),
            not_used: generation.not_used.clone(),
        },
    };
    let info = opened.info(checkpoint, options, said)?;
    let (is_cpu, dumps) = (numbers.packs, options.dump.is_some());
    let rows = options.rows.unwrap_or(if is_cpu { ROWS_CPU } else { ROWS_DEVICE }).max(1);
    // Rows come first: what was computed earlier has half the memory at most, and gives way.
    let cached = if dumps { 0 } else { options.cache_bytes.min(limit / 2) };
    Ok(Box::new(Engine {
        template,
        ends,
        repetition_penalty: generation.repetition_penalty,
        tokens,
        info,
        cache: PrefixCache::new(cached),
        budget,
        rows: if dumps { 1 } else { rows },
        is_cpu,
        lookup: options.prompt_lookup,
        dump: options.dump.clone(),
        arch: opened.arch,
    }))
}
