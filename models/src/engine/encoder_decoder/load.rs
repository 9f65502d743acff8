//! From a checkpoint to an engine: what all families of encoder–decoders load alike.

use super::family::EncoderDecoder;
use super::serve::Engine;
use super::settings::{GenerationSettings, Source};
use crate::chat::tokens::Tokens;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::Weights;
use crate::engine::cache::PrefixCache;
use crate::engine::load::{ROWS_CPU, ROWS_DEVICE};
use crate::engine::memory::default_limit;
use crate::engine::open::{Described, StandIns, notes, open};
use crate::error::LoadError;
use crate::family::Family;
use crate::options::LoadOptions;
use loupe_core::VisionLanguageModel;
use loupe_core::model::GenerationDefaults;
use serde_json::Value;

/// What a family says about its checkpoints.
pub(crate) struct Assembly<'a> {
    pub(crate) family: &'static Family,
    /// Whose resizing prepares pictures.
    pub(crate) resample: &'static str,
    /// True when there is no processor file and every setting of pictures is its class's default.
    pub(crate) default_processor: bool,
    /// The architecture's name of a tensor; `None` leaves the tensor out.
    pub(crate) canonical: fn(&str) -> Option<String>,
    /// What stands for a picture in a prompt, which callers may not write.
    pub(crate) mark: &'static str,
    /// Special tokens that the family's code adds to the tokenizer's, where they are not there.
    pub(crate) added_tokens: Vec<String>,
    /// config.json, and where the settings of generation are.
    pub(crate) config: &'a Value,
    pub(crate) generation: Source,
}

/// Opens everything a checkpoint has; `build` makes the network and uses every tensor.
pub(crate) fn assemble<A: EncoderDecoder + 'static>(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    assembly: &Assembly<'_>,
    build: impl FnOnce(&Weights) -> Result<A, LoadError>,
) -> Result<Box<dyn VisionLanguageModel>, LoadError> {
    if options.pan_and_scan {
        return Err(LoadError::NoCrops { family: assembly.family.name });
    }
    if options.quant.is_some() {
        let problem = format!("weights of {} are not quantised; use --dtype bf16", assembly.family.name);
        return Err(LoadError::Option { option: "--quant", problem });
    }
    if options.prompt_lookup > 0 {
        let problem = format!("{} writes replies without their prompt; leave it out", assembly.family.name);
        return Err(LoadError::Option { option: "--prompt-lookup", problem });
    }
    let mut opened = open(checkpoint, options, assembly.family, assembly.canonical, build)?;
    let stored = checkpoint.json("generation_config.json")?;
    let generation = &mut opened.generation;
    let settings =
        GenerationSettings::read(assembly.generation, generation, stored.as_ref(), assembly.config)?;
    let (arch, generation) = (&opened.arch, &opened.generation);
    let config = &arch.network().config;
    let tokens = Tokens::read_with(checkpoint, config.vocab, assembly.mark, &assembly.added_tokens)?;
    let ends = tokens.end_tokens(checkpoint, generation, assembly.config)?;
    let mut record = arch.settings();
    record["generation"] = settings.settings();
    let stand_ins =
        StandIns { template: false, processor: assembly.default_processor, ends: ends.is_empty() };
    let said = Described {
        resample: assembly.resample,
        context: config.context,
        tokenizer_sha256: tokens.sha256.clone(),
        template_sha256: None,
        settings: record,
        notes: notes(generation, stand_ins),
        generation: GenerationDefaults {
            repetition_penalty: settings.repetition_penalty,
            beams: Some(settings.beams.beams).filter(|beams| *beams > 1),
            end_tokens: ends.iter().copied().collect(),
            not_used: generation.not_used.clone(),
        },
    };
    let info = opened.info(checkpoint, options, said)?;
    let memory = options.memory_bytes.unwrap_or_else(|| default_limit(&opened.numbers.device));
    let (is_cpu, dumps) = (opened.numbers.packs, options.dump.is_some());
    let rows = options.rows.unwrap_or(if is_cpu { ROWS_CPU } else { ROWS_DEVICE }).max(1);
    let frame = ends.iter().copied().chain([settings.start]).chain(settings.rules.first);
    let frame = frame.chain(["<s>", "</s>", "<pad>"].into_iter().filter_map(|token| tokens.id(token)));
    Ok(Box::new(Engine {
        frame: frame.collect(),
        tokens,
        info,
        settings,
        ends,
        cache: PrefixCache::new(if dumps { 0 } else { options.cache_bytes.min(memory / 2) }),
        memory,
        number_bytes: opened.numbers.activations.size_in_bytes(),
        rows: if dumps { 1 } else { rows },
        dump: options.dump.clone(),
        arch: opened.arch,
    }))
}
