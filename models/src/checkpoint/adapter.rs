//! LoRA adapters (Hu et al. 2021, arXiv 2106.09685) as the package peft stores them: `adapter_config.json` and
//! `adapter_model.safetensors` (or `.bin`). They are merged into the weights that are read: `W + s·B·A` with
//! `s = α/r`, or `α/√r` for rank-stabilised ones.

use super::change::{Change, Delta};
use super::fields::Fields;
use super::weights::{Numbers, Weights};
use super::{ADAPTER, Checkpoint};
use crate::error::LoadError;
use regex::Regex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// An adapter that has been read.
pub(crate) struct Adapter {
    /// By the architecture's name of the weight.
    changes: BTreeMap<String, Vec<Change>>,
    /// SHA-256 of its weights.
    pub(crate) sha256: String,
    /// What of its settings decides replies, for the record.
    pub(crate) settings: Value,
    /// Name of its folder.
    pub(crate) name: String,
    file: String,
}

impl Adapter {
    /// Reads the adapter in a folder; `canonical` gives the architecture's name of a weight.
    ///
    /// # Errors
    /// When it is of a kind that cannot be merged, or is damaged.
    pub(crate) fn read(dir: &Path, canonical: fn(&str) -> Option<String>) -> Result<Self, LoadError> {
        let folder = Checkpoint::directory(dir);
        let Some(config) = folder.json(ADAPTER)? else {
            let problem = format!(
                "no {ADAPTER} in {}; a folder as peft's `save_pretrained` writes it is needed",
                dir.display()
            );
            return Err(LoadError::Option { option: "--adapter", problem });
        };
        let scaling = Scaling::read(&Fields::new(&config, ADAPTER))?;
        let known = ["adapter_model.safetensors", "adapter_model.bin"];
        let Some(file) = known.into_iter().find(|file| folder.has(file)) else {
            let problem = format!("neither {} in {}", known.join(" nor "), dir.display());
            return Err(LoadError::Option { option: "--adapter", problem });
        };
        let numbers = Numbers::new(candle_core::Device::Cpu, super::weights::Dtype::F32);
        let stored = Weights::open_files(&folder, &[file.to_owned()], numbers, |name| Some(name.to_owned()))?;
        let failed = |name: &str, problem: &str| LoadError::File {
            file: file.to_owned(),
            problem: format!("tensor {name:?} {problem}"),
        };
        let mut changes: BTreeMap<String, Vec<Change>> = BTreeMap::new();
        let mut put = |own: Option<String>, change: Change| {
            let Some(own) = own else {
                return Err(failed(change.name(), "belongs to no weight of the model"));
            };
            let there = changes.entry(own).or_default();
            let alike = |other: &Change| std::mem::discriminant(other) == std::mem::discriminant(&change);
            if there.iter().any(alike) {
                return Err(failed(change.name(), "is there twice"));
            }
            // A weight that is there whole comes before what is added to it.
            let at = if matches!(change, Change::Replaced { .. }) { 0 } else { there.len() };
            there.insert(at, change);
            Ok(())
        };
        let names: Vec<String> = stored.names().map(str::to_owned).collect();
        for name in &names {
            let Some(part) = Part::of(name) else { continue };
            let matrix = |name: &str| -> Result<([usize; 2], Vec<f32>), LoadError> {
                let shape = stored.shape(name).ok_or_else(|| failed(name, "is missing"))?;
                let (first, rest) = shape.split_first().ok_or_else(|| failed(name, "is a single number"))?;
                Ok(([*first, rest.iter().product()], stored.f32(name, &shape)?))
            };
            match part {
                Part::Whole(own) => {
                    let shape = stored.shape(name).unwrap_or_default();
                    let values = stored.f32(name, &shape)?;
                    put(canonical(&own), Change::Replaced { name: name.clone(), shape, values })?;
                }
                Part::A { module, partner, embedding } => {
                    let ([rank, input], a) = matrix(name)?;
                    let ([out, inner], b) = matrix(&partner)?;
                    let scale = scaling.of(&module, rank).map_err(|problem| failed(name, &problem))?;
                    if inner != rank {
                        return Err(failed(&partner, &format!("has rank {inner}, its partner {rank}")));
                    }
                    let own = canonical(&format!("{module}.weight"));
                    // A table of embeddings is stored by word: (words, width), the transpose of B·A.
                    let delta = match embedding {
                        false => Delta { module: name.clone(), rank, scale, out, input, a, b },
                        true => Delta {
                            module: name.clone(),
                            rank,
                            scale,
                            out: input,
                            input: out,
                            a: turned(&b, out, rank),
                            b: turned(&a, rank, input),
                        },
                    };
                    put(own, Change::Added(delta))?;
                }
                Part::B { partner } => {
                    if stored.shape(&partner).is_none() {
                        return Err(failed(name, "has no partner lora_A"));
                    }
                }
            }
        }
        if changes.is_empty() {
            return Err(failed("lora_A", "is nowhere in it"));
        }
        Ok(Self {
            changes,
            sha256: folder.open(file)?.sha256()?,
            settings: scaling.settings,
            name: folder.name(),
            file: file.to_owned(),
        })
    }

    /// The weights with the adapter merged into them as they are read.
    ///
    /// # Errors
    /// When it does not fit, or something of it changes no weight.
    pub(crate) fn merged(mut self, weights: Weights) -> Result<Weights, LoadError> {
        let weights = weights.changed(|weight, shape| self.take(weight, shape))?;
        self.finish()?;
        Ok(weights)
    }

    /// What changes `weight`, in order, taken out.
    fn take(&mut self, weight: &str, shape: &[usize]) -> Result<Vec<Change>, LoadError> {
        let changes = self.changes.remove(weight).unwrap_or_default();
        match changes.iter().find(|change| !change.fits(shape)) {
            None => Ok(changes),
            Some(odd) => {
                let name = odd.name();
                Err(self.failed(format!("tensor {name:?} does not fit {weight:?}, whose shape is {shape:?}")))
            }
        }
    }

    /// Refuses an adapter of which something was not taken.
    fn finish(&self) -> Result<(), LoadError> {
        let left: Vec<&str> = self.changes.values().flatten().take(3).map(Change::name).collect();
        match self.changes.len() {
            0 => Ok(()),
            count => Err(self.failed(format!(
                "{count} of its tensors change no weight of this checkpoint ({}); it was made for another base model",
                left.join(", ")
            ))),
        }
    }

    fn failed(&self, problem: String) -> LoadError {
        LoadError::File { file: self.file.clone(), problem }
    }
}

/// (rows, columns) in row-major order to (columns, rows).
fn turned(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}

/// What a tensor of an adapter is.
enum Part {
    /// The first factor.
    A {
        module: String,
        partner: String,
        embedding: bool,
    },
    B {
        partner: String,
    },
    /// A weight in place of the base model's.
    Whole(String),
}

impl Part {
    fn of(name: &str) -> Option<Self> {
        let bare = |module: &str| {
            let module = module.strip_prefix("base_model.model.").unwrap_or(module);
            module.replace(".base_layer", "")
        };
        for (first, second, embedding) in
            [(".lora_embedding_A", ".lora_embedding_B", true), (".lora_A", ".lora_B", false)]
        {
            if let Some(at) = name.find(first) {
                let (module, rest) = (&name[..at], &name[at + first.len()..]);
                return Some(Self::A {
                    module: bare(module),
                    partner: format!("{module}{second}{rest}"),
                    embedding,
                });
            }
            if let Some(at) = name.find(second) {
                let (module, rest) = (&name[..at], &name[at + second.len()..]);
                return Some(Self::B { partner: format!("{module}{first}{rest}") });
            }
        }
        // The frozen copy beside a module that was trained whole.
        if name.contains(".original_module.") {
            return None;
        }
        let own = bare(name);
        let own = match own.split_once(".modules_to_save.") {
            Some((module, rest)) => {
                format!("{module}.{}", rest.split_once('.').map_or(rest, |(_, leaf)| leaf))
            }
            None => own,
        };
        Some(Self::Whole(own))
    }
}

/// How strongly the product of the factors counts.
struct Scaling {
    rank: usize,
    alpha: f64,
    ranks: Vec<(Regex, f64)>,
    alphas: Vec<(Regex, f64)>,
    stabilised: bool,
    settings: Value,
}

impl Scaling {
    fn read(fields: &Fields<'_>) -> Result<Self, LoadError> {
        fields.only(&[
            ("peft_type", "\"LORA\""),
            ("use_dora", "false"),
            ("fan_in_fan_out", "false"),
            ("lora_bias", "false"),
            ("layer_replication", "null"),
            ("alora_invocation_tokens", "null"),
            ("use_bdlora", "null"),
            ("trainable_token_indices", "null"),
        ])?;
        // These begin from a base model that they have changed, which the stored factors do not tell.
        const START: &str = "init_lora_weights";
        if let Some(Value::String(start)) = fields.get(START)
            && !["gaussian", "eva", "orthogonal"].contains(&start.as_str())
        {
            let problem = format!(
                "{start:?} changes the base model too; convert the adapter to plain LoRA (peft: `save_pretrained` \
                 with `path_initial_model_for_weight_conversion`) or merge it there"
            );
            return Err(fields.bad(START, problem));
        }
        let patterns = |field: &str| -> Result<Vec<(Regex, f64)>, LoadError> {
            let Some(object) = fields.object(field)? else { return Ok(Vec::new()) };
            let one = |key: &str| {
                let pattern = Regex::new(&format!("^(?:(.*\\.)?({key})$)"));
                let pattern = pattern.map_err(|_| object.bad(key, "not a pattern of module names"))?;
                Ok((pattern, object.f64_or(key, 0.0)?))
            };
            object.names().map(one).collect()
        };
        let (rank, alpha) = (fields.positive_or("r", 8)?, fields.f64_or("lora_alpha", 8.0)?);
        let stabilised = fields.bool_or("use_rslora", false)?;
        let own = |field: &str| fields.get(field).cloned().unwrap_or(Value::Null);
        Ok(Self {
            rank,
            alpha,
            ranks: patterns("rank_pattern")?,
            alphas: patterns("alpha_pattern")?,
            stabilised,
            settings: json!({
                "r": rank, "lora_alpha": alpha, "use_rslora": stabilised, "rank_pattern": own("rank_pattern"),
                "alpha_pattern": own("alpha_pattern"), "base_model": own("base_model_name_or_path"),
            }),
        })
    }

    /// The factor of a module whose factors have this rank.
    fn of(&self, module: &str, rank: usize) -> Result<f32, String> {
        let first = |list: &[(Regex, f64)]| list.iter().find(|(p, _)| p.is_match(module)).map(|(_, v)| *v);
        let stated = first(&self.ranks).map_or(self.rank, |r| r as usize);
        if stated != rank || rank == 0 {
            return Err(format!("has rank {rank}, but {ADAPTER} says {stated}"));
        }
        let alpha = first(&self.alphas).unwrap_or(self.alpha);
        let rank = rank as f64;
        Ok((alpha / if self.stabilised { rank.sqrt() } else { rank }) as f32)
    }
}
