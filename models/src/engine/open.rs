//! What every model that says words is opened with: weights and an adapter, the device, the checkpoint's own settings of
//! generation; and the record of all that.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::adapter::Adapter;
use crate::checkpoint::generation_file::GenerationFile;
use crate::checkpoint::weights::{Dtype, Numbers, Weights};
use crate::error::LoadError;
use crate::family::Family;
use crate::kernels::Block;
use crate::options::{Activations, LoadOptions, open_device};
use loupe_core::ModelInfo;
use loupe_core::dialect::DIALECTS;
use loupe_core::model::{CheckpointRecord, GenerationDefaults, Provenance};
use serde_json::Value;
use std::collections::BTreeMap;

/// The number type on record where matrices stay as the files have them; sums are f32.
const AS_STORED: &str = "as stored";

/// A network with everything about its checkpoint that is not the family's own.
pub(crate) struct Opened<A> {
    pub(crate) arch: A,
    pub(crate) numbers: Numbers,
    pub(crate) generation: GenerationFile,
    family: &'static Family,
    box_dialect: String,
    device_name: String,
    parameters: u64,
    weights_sha256: String,
    /// Name, digest and settings of the adapter.
    adapted: Option<(String, String, Value)>,
    /// Tensors of each number type, where matrices stay as the files have them.
    stored: Option<BTreeMap<String, usize>>,
}

/// What the record says beside what [`Opened`] knows.
pub(crate) struct Described {
    pub(crate) resample: &'static str,
    pub(crate) context: usize,
    pub(crate) tokenizer_sha256: String,
    pub(crate) template_sha256: Option<String>,
    pub(crate) settings: Value,
    pub(crate) generation: GenerationDefaults,
    pub(crate) notes: Vec<String>,
}

/// Opens a checkpoint; `build` makes the network and uses every tensor, by the names that `canonical` gives them.
pub(crate) fn open<A>(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    family: &'static Family,
    canonical: fn(&str) -> Option<String>,
    build: impl FnOnce(&Weights) -> Result<A, LoadError>,
) -> Result<Opened<A>, LoadError> {
    let box_dialect = box_dialect(family, options)?;
    let types = checkpoint.stored_types()?;
    if let Some(types) = &types {
        refuse_changes(types, options)?;
    }
    let adapter = match &options.adapter {
        Some(dir) => Some(Adapter::read(dir, canonical)?),
        None => checkpoint.refuse_adapter().map(|()| None)?,
    };
    let adapted = adapter.as_ref().map(|a| (a.name.clone(), a.sha256.clone(), a.settings.clone()));
    let generation = GenerationFile::read(checkpoint)?;
    let place = open_device(options.device)?;
    if options.quant.is_some() && !place.packs {
        let problem = "weights are quantised on the processor only".to_owned();
        return Err(LoadError::Option { option: "--quant", problem });
    }
    let asked = options.dtype.is_some() || options.quant.is_some();
    let stored = types.filter(|_| place.packs && !asked);
    let preferred = if place.packs && options.quant.is_none() { Dtype::F32 } else { Dtype::Bf16 };
    let dtype = options.dtype.unwrap_or(preferred);
    let as_stored = stored.is_some();
    let rounds = options.activations == Activations::Bf16;
    let numbers = Numbers { quant: options.quant, as_stored, rounds, ..place.numbers(dtype) };
    let (built, digest) = std::thread::scope(|scope| {
        // Hashing reads the files once more, from memory, while the weights are arranged.
        let digest = scope.spawn(|| checkpoint.weights_sha256());
        let built = Weights::open(checkpoint, numbers.clone(), canonical).and_then(|weights| {
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
    let weights_sha256 = digest.map_err(|_| LoadError::Compute("hashing the weights failed".into()))??;
    Ok(Opened {
        arch,
        numbers,
        generation,
        family,
        box_dialect,
        device_name: place.name,
        parameters,
        weights_sha256,
        adapted,
        stored,
    })
}

/// Refuses what would change weights that are quantised already.
fn refuse_changes(types: &BTreeMap<String, usize>, options: &LoadOptions) -> Result<(), LoadError> {
    let refused = |option, problem: &str| Err(LoadError::Option { option, problem: problem.to_owned() });
    if options.adapter.is_some() {
        return refused(
            "--adapter",
            "not for GGUF files; merge it into the checkpoint that the file was made from",
        );
    }
    let blocks = Block::ALL.iter().any(|block| types.contains_key(block.name()));
    if options.quant.is_some() && blocks {
        return refused("--quant", "the weights of this GGUF file are quantised already; leave it out");
    }
    Ok(())
}

/// `q4_k 120, q6_k 25, f32 73`: number types with how many tensors have them.
fn counted(types: &BTreeMap<String, usize>) -> String {
    let words: Vec<String> = types.iter().map(|(name, count)| format!("{name} {count}")).collect();
    words.join(", ")
}

impl<A> Opened<A> {
    /// The number type that activations are rounded to where they meet weights in bf16 or in blocks; nothing where they stay f32.
    fn rounded_to(&self) -> Option<&'static str> {
        let rounds =
            |name: &String| name == Dtype::Bf16.name() || Block::ALL.iter().any(|block| block.name() == name);
        let some = match &self.stored {
            Some(types) => types.keys().any(rounds),
            None => self.numbers.quant.is_some() || self.numbers.weights == Dtype::Bf16,
        };
        (some && self.numbers.packs && self.numbers.rounds).then_some(Activations::Bf16.name())
    }

    /// The record of the model.
    pub(crate) fn info(
        &self,
        checkpoint: &Checkpoint,
        options: &LoadOptions,
        said: Described,
    ) -> Result<ModelInfo, LoadError> {
        let mut name = checkpoint.name();
        let mut settings = said.settings;
        let mut notes = said.notes;
        notes.extend(checkpoint.notes()?);
        let mut adapter_sha256 = None;
        if let Some((adapter, sha256, own)) = &self.adapted {
            name = format!("{name}+{adapter}");
            adapter_sha256 = Some(sha256.clone());
            settings["adapter"] = own.clone();
        }
        let quant = match &self.stored {
            Some(types) => Some(counted(types)),
            None => options.quant.map(|quant| quant.name().to_owned()),
        };
        Ok(ModelInfo {
            family: self.family.name.to_owned(),
            name,
            box_dialect: self.box_dialect.clone(),
            context_tokens: Some(said.context),
            from: Provenance::Checkpoint(CheckpointRecord {
                weights_sha256: self.weights_sha256.clone(),
                adapter_sha256,
                tokenizer_sha256: Some(said.tokenizer_sha256),
                template_sha256: said.template_sha256,
                parameters: self.parameters,
                dtype: if self.stored.is_some() { AS_STORED } else { self.numbers.weights.name() }.to_owned(),
                quant,
                activations: self.rounded_to().map(str::to_owned),
                prompt_lookup: options.prompt_lookup,
                device: self.device_name.clone(),
                resample: said.resample.to_owned(),
                notes,
                generation: Some(said.generation),
                settings,
                files_sha256: checkpoint.settings_sha256()?,
            }),
        })
    }
}

/// What a checkpoint lacks and something else stands for.
#[derive(Clone, Copy)]
pub(crate) struct StandIns {
    pub(crate) template: bool,
    pub(crate) processor: bool,
    pub(crate) ends: bool,
}

/// What a user should know of the settings that are used: a line each.
pub(crate) fn notes(generation: &GenerationFile, stand_ins: StandIns) -> Vec<String> {
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
