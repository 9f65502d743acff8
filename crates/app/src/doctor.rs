//! Can this machine and a checkpoint do the job?

use crate::error::AppError;
use crate::open::ModelOptions;
use loupe_core::{Ask, Box2, GenerationLimits, Picture, SegmentPrompt};
use loupe_models::{Checkpoint, Dtype, Family, Loader, Summary};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Is it as it should be?
    pub good: bool,
    /// In words.
    pub about: String,
}

/// Looks at the program, the machine and the model.
pub fn checks(model: &ModelOptions) -> Vec<Check> {
    let good = |name, about: String| Check { name, good: true, about };
    let processors =
        std::thread::available_parallelism().map_or_else(|_| "unknown".to_owned(), |n| n.to_string());
    let built = |on: bool, feature: &str| match on {
        true => "built in".to_owned(),
        false => format!("not built in (cargo feature `{feature}`)"),
    };
    let (about, family) = match about(model) {
        Some(Ok((about, family))) => (Some(good("checkpoint", about)), Some(family)),
        Some(Err(error)) => {
            (Some(Check { name: "checkpoint", good: false, about: error.in_one_line() }), None)
        }
        None => (None, None),
    };
    let tried = match family.map(|family| &family.load) {
        // What is not known cannot be asked.
        None if about.is_some() => None,
        None | Some(Loader::Answers(_)) => Some(answers(model)),
        Some(Loader::Segments(_)) => Some(segments(model)),
        // The others need more than a small drawn picture.
        Some(_) => None,
    };
    let (answer, notes) = match tried {
        None => (None, Vec::new()),
        Some(Ok((about, notes))) => (Some(good("model", about)), notes),
        Some(Err(error)) => {
            (Some(Check { name: "model", good: false, about: error.in_one_line() }), Vec::new())
        }
    };
    let mut all = vec![
        good("loupe", env!("CARGO_PKG_VERSION").to_owned()),
        good("processors", processors),
        good("cuda", built(cfg!(feature = "cuda"), "cuda")),
        good("endpoints", built(cfg!(feature = "remote"), "remote")),
    ];
    all.extend(about.into_iter().chain(answer));
    all.extend(notes.into_iter().map(|note| good("settings", note)));
    all
}

/// What the checkpoint is and how much memory its weights take, from the headers of its files; nothing for the built-in
/// model.
fn about(options: &ModelOptions) -> Option<Result<(String, &'static Family), AppError>> {
    let folder = options.folder.as_deref()?;
    let read = || {
        let found = Summary::of(&Checkpoint::directory(folder))?;
        let size = |bytes: u64| format!("{:.2} GB", bytes as f64 / 1e9);
        let weights = [Dtype::F32, Dtype::F16, Dtype::Bf16]
            .map(|dtype| format!("{} as {}", size(found.bytes(dtype)), dtype.name()));
        let least = found.bytes(Dtype::Bf16);
        let free = match found.free_bytes {
            None => String::new(),
            Some(free) if free < least => format!("; {} are free, too little", size(free)),
            Some(free) if free < found.bytes(Dtype::F32) => {
                format!("; {} are free, enough for --dtype bf16", size(free))
            }
            Some(free) => format!("; {} are free", size(free)),
        };
        let about = format!(
            "{}, which {}; {:.1} M parameters: {}{free}",
            found.family.name,
            found.family.load.task(),
            found.parameters as f64 / 1e6,
            weights.join(", ")
        );
        Ok((about, found.family))
    };
    Some(read())
}

/// Prompts the segmenter with a box on a small drawn picture.
fn segments(options: &ModelOptions) -> Result<(String, Vec<String>), AppError> {
    let started = Instant::now();
    let mut segmenter = options.open_segmenter(None)?;
    let loaded = started.elapsed().as_secs_f64();
    let picture = drawn()?;
    let started = Instant::now();
    let masks = segmenter.segment(&picture, &[SegmentPrompt::Box(Box2::new(20.0, 12.0, 70.0, 50.0))])?;
    let about = format!(
        "{} ({}): loaded in {loaded:.1} s, {} mask of a box in {:.1} s",
        segmenter.info().name,
        segmenter.info().described(),
        masks.len(),
        started.elapsed().as_secs_f64()
    );
    Ok((about, Vec::new()))
}

fn drawn() -> Result<Picture, AppError> {
    let (width, height) = (96usize, 64usize);
    let pixels: Vec<u8> = (0..width * height).map(|n| ((n % width) * 2 + n / width) as u8).collect();
    Ok(Picture::new(width, height, 1, pixels)?)
}

/// Asks the model one question about a small drawn picture; with what there is to know of its settings.
fn answers(options: &ModelOptions) -> Result<(String, Vec<String>), AppError> {
    let started = Instant::now();
    let mut model = options.open()?;
    let loaded = started.elapsed().as_secs_f64();
    let picture = Arc::new(drawn()?);
    let limits = GenerationLimits { max_new_tokens: 4, ..GenerationLimits::default() };
    let ask = Ask::pictures_then(vec![picture], "What is shown?", limits);
    let started = Instant::now();
    let reply = model.generate(&[ask]).into_iter().next().transpose()?;
    let info = model.info();
    let computed = info.checkpoint().map_or_else(String::new, |c| format!(", {} on {}", c.dtype, c.device));
    let about = format!(
        "{} ({}{computed}): loaded in {loaded:.1} s, {} prompt tokens answered in {:.1} s",
        info.name,
        info.described(),
        reply.map_or(0, |r| r.counts.prompt_tokens),
        started.elapsed().as_secs_f64()
    );
    Ok((about, info.notes().to_vec()))
}
