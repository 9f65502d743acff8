//! Strict reading of weight files: every tensor of the architecture is there with the right shape,
//! and every tensor of the files is used.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::change::Change;
use crate::checkpoint::source::{Source, StoredTensor};
use crate::checkpoint::stored;
use crate::error::{LoadError, computation};
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

    /// Bytes of a number.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// Where and in which number types the model computes.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    /// Device of every tensor.
    pub(crate) device: Device,
    /// Number type in which weights are kept.
    pub(crate) weights: Dtype,
    /// Number type of activations: f32 on CPU (half-precision weights are widened inside the
    /// product), that of the weights on CUDA.
    pub(crate) activations: DType,
}

impl Numbers {
    /// The number types for `device` and weights kept as `weights`.
    pub(crate) fn new(device: Device, weights: Dtype) -> Self {
        let activations = if device.is_cpu() { DType::F32 } else { weights.candle() };
        Self { device, weights, activations }
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

struct Entry {
    source: usize,
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    at: u64,
    /// What an adapter makes of it.
    changes: Vec<Change>,
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
            for tensor in stored::tensors(&source)? {
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
        let size = entry.dtype.bytes();
        let mut bytes = vec![0u8; count * size];
        self.sources[entry.source].read_at(entry.at + (from * size) as u64, &mut bytes)?;
        let mut values: Vec<f32> = match entry.dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::Bf16 => bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
        };
        entry.changes.iter().for_each(|change| change.apply(from, &mut values));
        Ok(values)
    }

    fn mark(&self, name: &str) {
        let mut used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        used.insert(name.to_owned());
    }

    /// The values widened to f32, in row-major order.
    ///
    /// # Errors
    /// When the tensor is missing, has another shape, or cannot be read.
    pub(crate) fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let Some(entry) = self.entries.get(name) else {
            return Err(LoadError::MissingTensor { name: name.to_owned() });
        };
        if entry.shape != shape {
            let (found, expected) = (entry.shape.clone(), shape.to_vec());
            return Err(LoadError::Shape { name: entry.name.clone(), found, expected });
        }
        self.mark(name);
        self.values(entry, 0, shape.iter().product())
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
    let dtype = match dtype.as_str() {
        "F32" => Dtype::F32,
        "F16" => Dtype::F16,
        "BF16" => Dtype::Bf16,
        _ => return Err(LoadError::TensorType { name, dtype }),
    };
    let count = shape.iter().try_fold(dtype.bytes(), |n, side| n.checked_mul(*side));
    if count.map(|n| n as u64) != Some(bytes) {
        return Err(source.failed(&format!("tensor {name:?}: its bytes do not fit its shape")));
    }
    Ok(Entry { source: number, name, shape, dtype, at, changes: Vec::new() })
}
