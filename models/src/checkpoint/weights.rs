//! Strict reading of weight files: every tensor of the architecture is there with the right shape,
//! and every tensor of the files is used.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::change::Change;
use crate::checkpoint::source::{Source, StoredTensor};
use crate::error::{LoadError, computation};
use crate::kernels::Block;
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Number type of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    Bf16,
}

impl Dtype {
    /// Name in tables and arguments.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// The nearest number of this type.
    pub(crate) fn rounded(self, value: f64) -> f64 {
        match self {
            Self::F32 => f64::from(value as f32),
            Self::F16 => f16::from_f64(value).to_f64(),
            Self::Bf16 => bf16::from_f64(value).to_f64(),
        }
    }

    pub(crate) const fn candle(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Are the numbers in `bytes` finite? That is the case when not all bits of an exponent are set.
    fn are_finite(self, bytes: &[u8]) -> bool {
        let finite_16 = |all: u16| bytes.as_chunks().0.iter().all(|b| u16::from_le_bytes(*b) & all != all);
        match self {
            Self::F32 => bytes.as_chunks().0.iter().all(|b| f32::from_le_bytes(*b).is_finite()),
            Self::F16 => finite_16(0x7C00),
            Self::Bf16 => finite_16(0x7F80),
        }
    }

    /// Bytes of a number.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// How the weights of a language model are quantised when they are loaded, in the blocks of GGML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quant {
    /// 8 bits and a scale for 32 weights: 8.5 bits a weight.
    Q8_0,
    /// 4 bits and a scale for 32 weights: 4.5 bits a weight. Embeddings and output head are [`Quant::Q8_0`].
    Q4_0,
}

impl Quant {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Q8_0, Self::Q4_0];

    /// Name in arguments and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }
}

/// Where and in which number types the model computes.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    /// Device of every tensor.
    pub(crate) device: Device,
    /// With the products made for the processor? Otherwise matrices are tensors of `activations`.
    pub(crate) packs: bool,
    /// Number type in which weights are kept.
    pub(crate) weights: Dtype,
    /// How weights of the language model are quantised, on the processor.
    pub(crate) quant: Option<Quant>,
    /// Do matrices stay in the number types of the files, on the processor? `weights` is that of the others then.
    pub(crate) as_stored: bool,
    /// Are activations rounded to bf16 when they are multiplied with weights in bf16 or in blocks, on the processor?
    pub(crate) rounds: bool,
    /// Number type of activations: f32 where products are made for the processor (half-precision weights are widened inside
    /// them), that of the weights elsewhere.
    pub(crate) activations: DType,
}

impl Numbers {
    /// The number types for `device` and weights kept as `weights`.
    pub(crate) fn new(device: Device, weights: Dtype) -> Self {
        let packs = device.is_cpu();
        Self::on(device, weights, packs)
    }

    /// The same, with or without the products made for the processor.
    pub(crate) fn on(device: Device, weights: Dtype, packs: bool) -> Self {
        let activations = if packs { DType::F32 } else { weights.candle() };
        Self { device, packs, weights, quant: None, as_stored: false, rounds: false, activations }
    }

    /// Values in row-major order as activations.
    ///
    /// # Errors
    /// Says why they cannot be had.
    pub(crate) fn place(
        &self,
        values: Vec<f32>,
        shape: impl Into<candle_core::Shape>,
    ) -> Result<Tensor, String> {
        let placed = Tensor::from_vec(values, shape.into(), &Device::Cpu)
            .and_then(|t| t.to_dtype(self.activations)?.to_device(&self.device));
        placed.map_err(|e| computation(&e))
    }
}

/// How a file has the weights of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoredAs {
    Numbers(Dtype),
    /// In GGUF files.
    Blocks(Block),
}

impl StoredAs {
    /// Weights and bytes of the least part that can be read.
    fn part(self) -> (usize, usize) {
        match self {
            Self::Numbers(dtype) => (1, dtype.bytes()),
            Self::Blocks(block) => (block.inputs(), block.bytes()),
        }
    }

    /// The bytes that hold so many weights from weight `from` on.
    fn bytes(self, from: usize, count: usize) -> Option<(u64, usize)> {
        let (weights, bytes) = self.part();
        let whole = from.is_multiple_of(weights) && count.is_multiple_of(weights);
        whole.then_some(((from / weights * bytes) as u64, count / weights * bytes))
    }
}

struct Entry {
    source: usize,
    name: String,
    shape: Vec<usize>,
    stored: StoredAs,
    at: u64,
    /// What an adapter makes of it.
    changes: Vec<Change>,
}

/// A tensor in its file.
pub(crate) struct Stored<'a> {
    source: &'a Source,
    entry: &'a Entry,
}

impl Stored<'_> {
    /// Fills `out` with the values from value `from` on in row-major order, widened to f32; `space` is overwritten.
    ///
    /// # Errors
    /// When the file cannot be read, or a value is not finite.
    pub(crate) fn read(&self, from: usize, out: &mut [f32], space: &mut Vec<u8>) -> Result<(), LoadError> {
        let Some((_, size)) = self.entry.stored.bytes(from, out.len()) else { return Err(self.in_blocks()) };
        space.resize(size, 0);
        self.read_stored(from, out.len(), space)?;
        match self.entry.stored {
            StoredAs::Blocks(block) => block.widen(space, out),
            StoredAs::Numbers(Dtype::F32) => {
                out.iter_mut().zip(space.as_chunks().0).for_each(|(v, b)| *v = f32::from_le_bytes(*b));
            }
            StoredAs::Numbers(Dtype::F16) => {
                let values = space.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32());
                out.iter_mut().zip(values).for_each(|(v, b)| *v = b);
            }
            StoredAs::Numbers(Dtype::Bf16) => {
                let bits = |b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
                out.iter_mut().zip(space.as_chunks().0).for_each(|(v, b)| *v = bits(b));
            }
        }
        self.entry.changes.iter().for_each(|change| change.apply(from, out));
        Ok(())
    }

    /// Fills `space` with what the file has for `count` weights from weight `from` on.
    ///
    /// # Errors
    /// When the file cannot be read, or a value is not finite; also when blocks would be cut.
    pub(crate) fn read_stored(&self, from: usize, count: usize, space: &mut [u8]) -> Result<(), LoadError> {
        let place = self.entry.stored.bytes(from, count).filter(|(_, size)| *size == space.len());
        let Some((at, _)) = place else { return Err(self.in_blocks()) };
        self.source.read_at(self.entry.at + at, space)?;
        let finite = match self.entry.stored {
            StoredAs::Numbers(dtype) => dtype.are_finite(space),
            StoredAs::Blocks(block) => block.are_finite(space),
        };
        if finite { Ok(()) } else { Err(LoadError::NotFinite { name: self.entry.name.clone() }) }
    }

    fn in_blocks(&self) -> LoadError {
        LoadError::Compute(format!(
            "tensor {:?} is stored in blocks, of which a part was asked for",
            self.entry.name
        ))
    }

    /// How the file has it.
    pub(crate) fn stored_as(&self) -> StoredAs {
        self.entry.stored
    }
}

/// The tensors of a checkpoint under the names of the architecture.
pub(crate) struct Weights {
    entries: BTreeMap<String, Entry>,
    sources: Vec<Source>,
    used: Mutex<BTreeSet<String>>,
    parameters: u64,
    /// Where and how to compute.
    pub(crate) numbers: Numbers,
}

impl Weights {
    /// Reads the headers. `canonical` turns a name of any dialect into the architecture's own;
    /// `None` leaves the tensor out (buffers that older writers saved).
    ///
    /// # Errors
    /// When a file is missing or malformed, or two tensors mean the same weight.
    pub(crate) fn open(
        checkpoint: &Checkpoint,
        numbers: Numbers,
        canonical: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, LoadError> {
        Self::open_files(checkpoint, &checkpoint.weight_files()?, numbers, canonical)
    }

    /// [`Weights::open`] of these files of the folder.
    ///
    /// # Errors
    /// As [`Weights::open`].
    pub(super) fn open_files(
        checkpoint: &Checkpoint,
        files: &[String],
        numbers: Numbers,
        canonical: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, LoadError> {
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        let mut sources = Vec::new();
        let mut parameters = 0u64;
        for file in files {
            let source = checkpoint.open(file)?;
            for tensor in checkpoint.tensors_of(file, &source)? {
                let Some(own) = canonical(&tensor.name) else { continue };
                let name = tensor.name.clone();
                let entry = entry(&source, sources.len(), tensor)?;
                parameters += entry.shape.iter().product::<usize>() as u64;
                if let Some(other) = entries.insert(own, entry) {
                    return Err(LoadError::TwiceTheSame { first: other.name, second: name });
                }
            }
            sources.push(source);
        }
        Ok(Self { entries, sources, used: Mutex::default(), parameters, numbers })
    }

    /// The weights with what `changes` says of each, by name and shape.
    pub(super) fn changed(
        mut self,
        mut changes: impl FnMut(&str, &[usize]) -> Result<Vec<Change>, LoadError>,
    ) -> Result<Self, LoadError> {
        for (own, entry) in &mut self.entries {
            entry.changes = changes(own, &entry.shape)?;
        }
        Ok(self)
    }

    /// Refuses an adapter that changes `name`, of which the model has a second use that was not trained.
    ///
    /// # Errors
    /// When there is one.
    pub(crate) fn refuse_adapted(&self, name: &str) -> Result<(), LoadError> {
        if self.entries.get(name).is_none_or(|entry| entry.changes.is_empty()) {
            return Ok(());
        }
        let problem = format!(
            "it changes {name:?}, which is also the output head of this model (tie_word_embeddings); merge it with \
             peft and name the merged checkpoint"
        );
        Err(LoadError::Option { option: "--adapter", problem })
    }

    /// Number of parameters in the files.
    pub(crate) fn parameters(&self) -> u64 {
        self.parameters
    }

    /// Names of all tensors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Shape of a tensor, when there is one.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.entries.get(name).map(|e| e.shape.clone())
    }

    /// Counts `copy`, where it is stored, as used: a setting says that it is `original`.
    ///
    /// # Errors
    /// When it is another tensor than `original`, or cannot be read.
    pub(crate) fn expect_copy(
        &self,
        copy: &str,
        original: &str,
        setting: &'static str,
    ) -> Result<(), LoadError> {
        let (Some(a), Some(b)) = (self.entries.get(copy), self.entries.get(original)) else { return Ok(()) };
        if !self.same(a, b)? {
            let problem = format!(
                "says that {:?} is {:?}, but both are stored and differ; set it to false to use what is \
                 stored, or take that tensor out of the file",
                a.name, b.name
            );
            return Err(LoadError::Field { file: "config.json", field: setting.into(), problem });
        }
        self.mark(copy);
        Ok(())
    }

    /// True when two tensors have the same shape and values, whatever their number types.
    fn same(&self, a: &Entry, b: &Entry) -> Result<bool, LoadError> {
        /// Values compared at a time.
        const BLOCK: usize = 1 << 20;
        if a.shape != b.shape {
            return Ok(false);
        }
        let count = a.shape.iter().product::<usize>();
        for from in (0..count).step_by(BLOCK) {
            let block = BLOCK.min(count - from);
            let (x, y) = (self.values(a, from, block)?, self.values(b, from, block)?);
            if x.iter().map(|v| v.to_bits()).ne(y.iter().map(|v| v.to_bits())) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `count` values of a tensor from value `from` on, widened to f32.
    fn values(&self, entry: &Entry, from: usize, count: usize) -> Result<Vec<f32>, LoadError> {
        let mut values = vec![0f32; count];
        Stored { source: &self.sources[entry.source], entry }.read(from, &mut values, &mut Vec::new())?;
        Ok(values)
    }

    fn mark(&self, name: &str) {
        let mut used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        used.insert(name.to_owned());
    }

    /// A tensor that is to be read in parts, which counts as used.
    ///
    /// # Errors
    /// When the tensor is missing or has another shape.
    pub(crate) fn stored(&self, name: &str, shape: &[usize]) -> Result<Stored<'_>, LoadError> {
        let Some(entry) = self.entries.get(name) else {
            return Err(LoadError::MissingTensor { name: name.to_owned() });
        };
        if entry.shape != shape {
            let (found, expected) = (entry.shape.clone(), shape.to_vec());
            return Err(LoadError::Shape { name: entry.name.clone(), found, expected });
        }
        self.mark(name);
        Ok(Stored { source: &self.sources[entry.source], entry })
    }

    /// The values widened to f32, in row-major order.
    ///
    /// # Errors
    /// When the tensor is missing, has another shape, or cannot be read.
    pub(crate) fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        // The shape is that of the file before memory is asked for.
        let stored = self.stored(name, shape)?;
        let mut values = vec![0f32; shape.iter().product()];
        stored.read(0, &mut values, &mut Vec::new())?;
        Ok(values)
    }

    /// The tensor in the number type of activations (norms, biases, embeddings of positions).
    ///
    /// # Errors
    /// As [`Weights::f32`].
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        let values = self.f32(name, shape)?;
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?;
        Ok(tensor.to_dtype(self.numbers.activations)?.to_device(&self.numbers.device)?)
    }

    /// Checks that every tensor of the files was used.
    ///
    /// # Errors
    /// Names the first tensors that were not.
    pub(crate) fn finish(self) -> Result<(), LoadError> {
        let used = self.used.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let left: Vec<&Entry> =
            self.entries.iter().filter(|(own, _)| !used.contains(*own)).map(|(_, e)| e).collect();
        if left.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = left.iter().take(5).map(|e| e.name.as_str()).collect();
        Err(LoadError::UnexpectedTensor { names: names.join(", "), count: left.len() })
    }
}

fn entry(source: &Source, number: usize, tensor: StoredTensor) -> Result<Entry, LoadError> {
    let StoredTensor { name, dtype, shape, at, bytes } = tensor;
    let stored = match dtype.as_str() {
        "F32" => StoredAs::Numbers(Dtype::F32),
        "F16" => StoredAs::Numbers(Dtype::F16),
        "BF16" => StoredAs::Numbers(Dtype::Bf16),
        other => match Block::ALL.into_iter().find(|block| block.name() == other) {
            Some(block) => StoredAs::Blocks(block),
            None => return Err(LoadError::TensorType { name, dtype }),
        },
    };
    let count = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
    let size = count.and_then(|n| n.checked_mul(stored.part().1).map(|_| stored.bytes(0, n))).flatten();
    if size.map(|(_, size)| size as u64) != Some(bytes) {
        return Err(source.failed(&format!("tensor {name:?}: its bytes do not fit its shape")));
    }
    Ok(Entry { source: number, name, shape, stored, at, changes: Vec::new() })
}
