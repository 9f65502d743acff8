//! How a checkpoint is loaded.

use crate::checkpoint::weights::{Dtype, Numbers, Quant};
use crate::error::{LoadError, computation};
use candle_core::Device;
use loupe_preprocess::resize::Backend;
use std::path::PathBuf;

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// The CUDA device with this number (needs the feature `cuda`).
    Cuda(usize),
    /// The processor with the operations that a CUDA device takes, in the number type of the weights, in place of the products
    /// and loops made for the processor. It is slow; tests and `benches/gpu/check.sh` try with it what a GPU will be asked to do.
    CpuPlain,
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    /// `cpu`, `cuda` (the first GPU), `cuda:1` or `cpu-plain`.
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once(':')) {
            ("cpu", _) => Ok(Self::Cpu),
            ("cpu-plain", _) => Ok(Self::CpuPlain),
            ("cuda", _) => Ok(Self::Cuda(0)),
            (_, Some(("cuda", n))) => {
                n.parse().map(Self::Cuda).map_err(|_| format!("{n:?} is no GPU number"))
            }
            _ => Err(format!("{text:?} is no device; expected cpu, cuda or cuda:N")),
        }
    }
}

/// What weights in bf16 or in blocks are multiplied with on the processor; others are multiplied with f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activations {
    /// Inputs of a product stay f32: a reply is the same whatever is computed beside it.
    #[default]
    F32,
    /// Inputs of a product are rounded to bf16, as `torch` has them everywhere when weights are bf16; sums are f32. It is faster, and
    /// where two tokens are almost equally probable a reply can depend on what is computed beside it: differences in the last
    /// digit of f32 become some in the last digit of bf16.
    Bf16,
}

impl Activations {
    /// Name in arguments and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
        }
    }
}

/// Settings of [`crate::load`]; the default is the processor, f32 and the checkpoint's own resampling.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where to compute.
    pub device: DeviceChoice,
    /// Number type of the weights; `None` for f32 on the processor and bf16 on CUDA.
    pub dtype: Option<Dtype>,
    /// How the weights of the language model are quantised, on the processor; what else there is (vision towers) is then kept as
    /// bf16 unless `dtype` says otherwise.
    pub quant: Option<Quant>,
    /// What weights in bf16 or in blocks are multiplied with, on the processor.
    pub activations: Activations,
    /// Whose resizing to reproduce; `None` for what the processor file means.
    pub resample: Option<Backend>,
    /// How many pixels a picture may have when the model sees it, for families that take pictures of any size;
    /// what the processor file says where nothing is given.
    pub pixels: PixelBounds,
    /// Show elongated pictures in crops too, where the family can (Gemma 3's pan and scan); `false` for what
    /// the processor file says.
    pub pan_and_scan: bool,
    /// Folder of a LoRA adapter (as peft writes it) that is merged into the weights as they are read.
    pub adapter: Option<PathBuf>,
    /// Name of the box dialect (`loupe_core::dialect`, or `none`) of a checkpoint that was taught another one
    /// than its family's.
    pub dialect: Option<String>,
    /// Bytes that the model may take beyond its weights: prompts and replies in work, computed prefixes and
    /// features, intermediate results. `None` for a share of what is free when the checkpoint is loaded.
    pub memory_bytes: Option<u64>,
    /// Most replies in work at a time; `None` for as many as make it faster and fit into memory.
    pub rows: Option<usize>,
    /// Most tokens that prompt look-up proposes for a reply at a time; 0 for none. Replies are the same.
    pub prompt_lookup: usize,
    /// Bytes that computed prefixes and picture features may take.
    pub cache_bytes: u64,
    /// Folder that receives `dump.safetensors` with everything the last ask's model saw and
    /// computed; nothing is then taken from the cache.
    pub dump: Option<PathBuf>,
}

/// Bounds on the product of a picture's sides after the model's own resizing, in pixels (`min_pixels` and
/// `max_pixels` of Qwen-VL's processors).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PixelBounds {
    /// Smaller pictures are enlarged.
    pub min: Option<usize>,
    /// Larger pictures are reduced.
    pub max: Option<usize>,
}

impl PixelBounds {
    /// Refuses bounds for a family that shows every picture at one size.
    pub(crate) fn refuse(self, family: &str) -> Result<(), LoadError> {
        let option = match self {
            Self { max: Some(_), .. } => "--max-pixels",
            Self { min: Some(_), .. } => "--min-pixels",
            _ => return Ok(()),
        };
        let problem = format!("{family} shows every picture at one size, which the checkpoint fixes");
        Err(LoadError::Option { option, problem })
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            device: DeviceChoice::Cpu,
            dtype: None,
            quant: None,
            activations: Activations::default(),
            resample: None,
            pixels: PixelBounds::default(),
            pan_and_scan: false,
            adapter: None,
            dialect: None,
            memory_bytes: None,
            rows: None,
            prompt_lookup: 0,
            cache_bytes: 1 << 30,
            dump: None,
        }
    }
}

/// Where a model computes.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) device: Device,
    /// As records name it.
    pub(crate) name: String,
    /// With the products and loops made for the processor?
    pub(crate) packs: bool,
}

impl Place {
    /// The number types for weights kept as `weights`.
    pub(crate) fn numbers(&self, weights: Dtype) -> Numbers {
        Numbers::on(self.device.clone(), weights, self.packs)
    }
}

/// Opens the device.
pub(crate) fn open_device(choice: DeviceChoice) -> Result<Place, LoadError> {
    match choice {
        DeviceChoice::Cpu => Ok(Place { device: Device::Cpu, name: "cpu".to_owned(), packs: true }),
        DeviceChoice::CpuPlain => {
            Ok(Place { device: Device::Cpu, name: "cpu-plain".to_owned(), packs: false })
        }
        DeviceChoice::Cuda(number) => {
            let name = format!("cuda:{number}");
            if !cfg!(feature = "cuda") {
                let problem = "this program was built without CUDA; see docs/reference/cuda.md".to_owned();
                return Err(LoadError::Device { device: name, problem });
            }
            match Device::new_cuda(number) {
                Ok(device) => {
                    #[cfg(feature = "cuda")]
                    if let Ok(cuda) = device.as_cuda_device() {
                        crate::kernels::device_memory::keep_memory(cuda);
                    }
                    Ok(Place { device, name, packs: false })
                }
                Err(error) => Err(LoadError::Device { device: name, problem: computation(&error) }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        let known = [
            ("cpu", DeviceChoice::Cpu),
            ("cpu-plain", DeviceChoice::CpuPlain),
            ("cuda", DeviceChoice::Cuda(0)),
            ("cuda:3", DeviceChoice::Cuda(3)),
        ];
        for (text, device) in known {
            assert_eq!(text.parse(), Ok(device));
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text:?}");
        }
    }
}
