//! What the programs that measure share.
#![allow(dead_code)]

use loupe_core::Picture;
use loupe_models::{Activations, DeviceChoice, Dtype, LoadOptions, Quant};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A number type (`f32`, `bf16`, `f16`, `q8_0`, `q4_0`, or `stored` for that of the files) on a device (`cpu`, `cuda:1`). Activations are
/// rounded to bf16 as the tools beside it round them, unless `+f32` follows.
pub(crate) fn options(number: &str, device: Option<&str>) -> LoadOptions {
    let (number, activations) = match number.strip_suffix("+f32") {
        Some(number) => (number, Activations::F32),
        None => (number, Activations::Bf16),
    };
    let quant = Quant::ALL.into_iter().find(|quant| quant.name() == number);
    let dtype = match number {
        "f16" => Some(Dtype::F16),
        "f32" => Some(Dtype::F32),
        "stored" => None,
        _ => Some(Dtype::Bf16),
    };
    let device: DeviceChoice = device.unwrap_or("cpu").parse().expect("a device");
    LoadOptions { dtype, quant, activations, device, ..LoadOptions::default() }
}

/// Most memory of this process so far.
pub(crate) fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB").trim();
    peak.trim_end_matches(" kB").parse().unwrap_or(0.0) / 1024.0
}

/// The noise of `benches/compare/vqa_throughput.py`.
pub(crate) fn noise(width: usize, height: usize, seed: u64) -> Picture {
    let mut state = seed;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let pixels: Vec<u8> = (0..width * height * 3).map(|_| byte()).collect();
    Picture::new(width, height, 3, pixels).expect("a picture")
}
