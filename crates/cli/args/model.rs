//! Which model and how to run it.

use crate::args::server::ServerArgs;
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use loupe_app::open::{
    Activations, DeviceChoice, Dtype, LoadOptions, ModelOptions, PixelBounds, Quant, Resample,
};
use loupe_core::dialect::DIALECTS;
use std::path::PathBuf;

/// Which model and how to run it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// Folder of a Hugging Face checkpoint, GGUF file of a text model (its mmproj file beside it), or a model behind an
    /// OpenAI-compatible server, as in http://HOST:PORT/v1#NAME; the built-in model when not given.
    #[arg(long, value_name = "DIR|FILE|URL")]
    pub(crate) model: Option<PathBuf>,

    /// Folder of a LoRA adapter, as peft writes it; it is merged into the model as that is loaded.
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,

    /// `cpu` or `cuda` (`cuda:1` for the second GPU).
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,

    /// Number type of the computation; f32 on the CPU and bf16 on CUDA when not given. Weights of a GGUF file stay as they
    /// are stored on the CPU when not given.
    #[arg(long, value_enum)]
    dtype: Option<DtypeName>,

    /// Keep the weights of the language model in blocks of 8 or 4 bits, as GGML does (q8_0, q4_0): less memory on
    /// the CPU, and answers that can differ. Vision towers stay bf16 unless --dtype says otherwise.
    #[arg(long, value_parser = quant, value_name = "q8_0|q4_0")]
    quant: Option<Quant>,

    /// What weights in bf16 or in blocks are multiplied with on the CPU: f32, or activations rounded to bf16 as torch
    /// has them, which is faster; near ties can then depend on what is computed together.
    #[arg(long, value_parser = activations, value_name = "f32|bf16", default_value = "f32")]
    activations: Activations,

    /// Library whose resizing is reproduced; the one that the checkpoint's processor file means when not
    /// given.
    #[arg(long, value_enum)]
    resample: Option<ResampleName>,

    /// Least pixels of a picture as the model sees it; smaller ones are enlarged. What the checkpoint's
    /// processor file says when not given; for models that take pictures of any size.
    #[arg(long, value_name = "N")]
    min_pixels: Option<usize>,

    /// Most pixels of a picture as the model sees it; larger ones are reduced, keeping their aspect. As with
    /// --min-pixels the checkpoint decides when not given.
    #[arg(long, value_name = "N")]
    max_pixels: Option<usize>,
    /// Show elongated images in crops too, after the whole image (Gemma 3 and MedGemma); more tokens, finer
    /// detail.
    #[arg(long)]
    pan_and_scan: bool,

    /// How the model writes boxes and points (see `loupe list dialects`); for fine-tuned models that do
    /// it in another way than their family.
    #[arg(long, value_name = "NAME", value_parser = dialect_name)]
    dialect: Option<String>,

    /// Most megabytes for generation, beside the weights; decides how many replies are generated at a
    /// time. What is free when not given.
    #[arg(long, value_name = "MB")]
    memory: Option<u64>,

    /// Generate long replies that repeat their prompt or themselves faster, without changing them: up to so many tokens are
    /// looked up there at a time and computed together (prompt look-up); 8 is a good number.
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u8).range(1..=64))]
    prompt_lookup: Option<u8>,

    /// Megabytes for images and beginnings of prompts that are kept to be used again.
    #[arg(long, value_name = "MB", default_value_t = 2048)]
    cache: u64,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DtypeName {
    F32,
    F16,
    Bf16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ResampleName {
    Pillow,
    Torchvision,
}

fn quant(name: &str) -> Result<Quant, String> {
    let known = || Quant::ALL.map(Quant::name).join(" or ");
    Quant::ALL.into_iter().find(|quant| quant.name() == name).ok_or_else(|| format!("expected {}", known()))
}

fn activations(name: &str) -> Result<Activations, String> {
    let known = [Activations::Bf16, Activations::F32];
    known.into_iter().find(|known| known.name() == name).ok_or_else(|| "expected bf16 or f32".to_owned())
}

/// The name of a dialect that there is.
pub(crate) fn dialect_name(name: &str) -> Result<String, String> {
    DIALECTS.by_name(name).map(|_| name.to_owned()).map_err(|unknown| unknown.to_string())
}

impl ModelArgs {
    /// As a plain option; `rows` is the most replies generated at a time.
    pub(crate) fn options(&self, rows: Option<usize>) -> Result<ModelOptions> {
        if rows == Some(0) {
            bail!("--batch must be at least 1");
        }
        let load = LoadOptions {
            device: self.device,
            dtype: self.dtype.map(|d| match d {
                DtypeName::F32 => Dtype::F32,
                DtypeName::F16 => Dtype::F16,
                DtypeName::Bf16 => Dtype::Bf16,
            }),
            quant: self.quant,
            activations: self.activations,
            resample: self.resample.map(|r| match r {
                ResampleName::Pillow => Resample::Pillow,
                ResampleName::Torchvision => Resample::Torchvision,
            }),
            pixels: PixelBounds { min: self.min_pixels, max: self.max_pixels },
            pan_and_scan: self.pan_and_scan,
            prompt_lookup: self.prompt_lookup.map_or(0, usize::from),
            cache_bytes: megabytes(self.cache),
            dialect: self.dialect.clone(),
            adapter: self.adapter.clone(),
            memory_bytes: self.memory.map(megabytes),
            rows,
            ..LoadOptions::default()
        };
        Ok(ModelOptions { folder: self.model.clone(), load, server: self.server.options()? })
    }
}

/// In bytes.
pub(crate) fn megabytes(n: u64) -> u64 {
    n.saturating_mul(1 << 20)
}
