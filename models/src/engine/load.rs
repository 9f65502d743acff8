//! From a checkpoint to an engine: what all families of vision-language models load alike.

use super::architecture::{Architecture, Network};
use super::cache::PrefixCache;
use super::memory::{Budget, default_limit};
use super::serve::Engine;
use crate::chat::template::ChatTemplate;
use crate::chat::tokens::Tokens;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::adapter::Adapter;
use crate::checkpoint::generation_file::GenerationFile;
use crate::checkpoint::weights::{Dtype, Numbers, Weights};
use crate::error::LoadError;
use crate::family::Family;
use crate::options::{LoadOptions, open_device};
use loupe_core::dialect::DIALECTS;
use loupe_core::model::{CheckpointRecord, GenerationDefaults, Provenance};
use loupe_core::{ModelInfo, VisionLanguageModel};
use serde_json::Value;
use std::collections::BTreeMap;

/// Replies in work at a time, unless memory allows fewer: with so many, products with weights are bound by
/// arithmetic, and more would only make each wait longer.
const ROWS_CPU: usize = 64;
const ROWS_DEVICE: usize = 256;

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
    let box_dialect = box_dialect(assembly.family, options)?;
    let adapter = match &options.adapter {
        Some(dir) => Some(Adapter::read(dir, assembly.canonical)?),
        None => checkpoint.refuse_adapter().map(|()| None)?,
    };
    let adapted = adapter.as_ref().map(|a| (a.name.clone(), a.sha256.clone(), a.settings.clone()));
    let generation = GenerationFile::read(checkpoint)?;
    let (device, device_name) = open_device(options.device)?;
    if options.quant.is_some() && !device.is_cpu() {
        let problem = "weights are quantised on the processor only".to_owned();
        return Err(LoadError::Option { option: "--quant", problem });
    }
    let preferred = if device.is_cpu() && options.quant.is_none() { Dtype::F32 } else { Dtype::Bf16 };
    let dtype = options.dtype.unwrap_or(preferred);
    let (built, digest) = std::thread::scope(|scope| {
        // Hashing reads the files once more, from memory, while the weights are arranged.
        let digest = scope.spawn(|| checkpoint.weights_sha256());
        let numbers = Numbers { quant: options.quant, ..Numbers::new(device.clone(), dtype) };
        let built = Weights::open(checkpoint, numbers, assembly.canonical).and_then(|weights| {
            let weights = match adapter {
                Some(adapter) => adapter.merged(weights)?,
                None => weights,
            };
            let arch = build(&weights)?;
            let parameters = weights.parameters();
            weights.finish()?;
            Ok((arch, parameters))
        });
        (built, digest.join())
    });
    let (arch, parameters) = built?;
    if options.pan_and_scan && !arch.crops() {
        return Err(LoadError::NoCrops { family: assembly.family.name });
    }
    let weights_sha256 = digest.map_err(|_| LoadError::Compute("hashing the weights failed".into()))??;
    let config = checkpoint.need_json("config.json")?;
    let Network::Decoder(decoder) = arch.network();
    let shape = &decoder.config;
    let tokens = Tokens::read(checkpoint, shape.vocab, arch.mark())?;
    let tokens = tokens.with_ways(arch.words_apart(), arch.begin())?;
    let limit = options.memory_bytes.unwrap_or_else(|| default_limit(&device));
    let budget = Budget::new(limit, shape, Numbers::new(device.clone(), dtype).activations.size_in_bytes());
    let template = ChatTemplate::read(checkpoint, assembly.template, assembly.instead.as_deref())?;
    let ends = tokens.end_tokens(checkpoint, &generation, &config)?;
    let mut settings = arch.settings();
    settings["template_tokens"] =
        template.tokens().iter().cloned().collect::<BTreeMap<_, _>>().into_iter().collect();
    let mut name = checkpoint.name();
    let mut adapter_sha256 = None;
    if let Some((adapter, sha256, own)) = adapted {
        name = format!("{name}+{adapter}");
        adapter_sha256 = Some(sha256);
        settings["adapter"] = own;
    }
    let stand_ins = StandIns {
        template: template.is_stand_in,
        processor: assembly.default_processor,
        ends: ends.is_empty(),
    };
    let info = ModelInfo {
        family: assembly.family.name.to_owned(),
        name,
        box_dialect,
        context_tokens: Some(shape.context),
        from: Provenance::Checkpoint(CheckpointRecord {
            weights_sha256,
            adapter_sha256,
            tokenizer_sha256: Some(tokens.sha256.clone()),
            template_sha256: Some(template.sha256().to_owned()),
            parameters,
            dtype: dtype.name().to_owned(),
            quant: options.quant.map(|quant| quant.name().to_owned()),
            device: device_name,
            resample: assembly.resample.to_owned(),
            notes: notes(&generation, stand_ins),
            generation: Some(GenerationDefaults {
                repetition_penalty: generation.repetition_penalty,
                end_tokens: ends.iter().copied().collect(),
                not_used: generation.not_used,
            }),
            settings,
            files_sha256: checkpoint.settings_sha256()?,
        }),
    };
    let (is_cpu, dumps) = (device.is_cpu(), options.dump.is_some());
    let rows = options.rows.unwrap_or(if is_cpu { ROWS_CPU } else { ROWS_DEVICE }).max(1);
    // Rows come first: what was computed earlier has half the memory at most, and gives way.
    let cached = if dumps { 0 } else { options.cache_bytes.min(limit / 2) };
    Ok(Box::new(Engine {
        template,
        ends,
        repetition_penalty: generation.repetition_penalty,
        arch,
        tokens,
        info,
        cache: PrefixCache::new(cached),
        budget,
        rows: if dumps { 1 } else { rows },
        is_cpu,
        dump: options.dump.clone(),
    }))
}

/// What a checkpoint lacks and something else stands for.
#[derive(Clone, Copy)]
struct StandIns {
    template: bool,
    processor: bool,
    ends: bool,
}

/// What a user should know of the settings that are used: a line each.
fn notes(generation: &GenerationFile, stand_ins: StandIns) -> Vec<String> {
    let mut out = Vec::new();
    let (penalty, not_used) = (generation.repetition_penalty, &generation.not_used);
    if penalty != 1.0 || !not_used.is_empty() {
        let mut words = vec![];
        if penalty != 1.0 {
            words.push(format!(
                "repetition_penalty {penalty} is used unless --repetition-penalty says otherwise"
            ));
        }
        if !not_used.is_empty() {
            let list: Vec<String> =
                not_used.iter().map(|(name, value)| format!("{name} {}", short(value))).collect();
            words.push(format!("not used: {}", list.join(", ")));
        }
        out.push(format!("generation_config.json of the checkpoint: {}", words.join("; ")));
    }
    if stand_ins.template {
        out.push("the checkpoint has no chat template; that of its family stands in".to_owned());
    }
    if stand_ins.processor {
        out.push(
            "the checkpoint has no processor file; pictures are prepared as its class does by default"
                .to_owned(),
        );
    }
    if stand_ins.ends {
        out.push("the checkpoint names no end token; replies end at --max-new-tokens".to_owned());
    }
    out
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(40).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { text }
}

/// Name of the dialect that the checkpoint writes boxes in.
fn box_dialect(family: &Family, options: &LoadOptions) -> Result<String, LoadError> {
    const NONE: &str = "none";
    let name = options.dialect.as_deref().or(family.box_dialect).unwrap_or(NONE);
    if name != NONE {
        DIALECTS.by_name(name)?;
    }
    Ok(name.to_owned())
}
