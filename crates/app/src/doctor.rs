//! Can this machine and a checkpoint do the job?

use crate::error::AppError;
use crate::open::ModelOptions;
use loupe_core::{Ask, GenerationLimits, Picture};
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
    let (answer, notes) = match answers(model) {
        Ok((about, notes)) => (good("model", about), notes),
        Err(error) => (Check { name: "model", good: false, about: error.in_one_line() }, Vec::new()),
    };
    let mut all = vec![
        good("loupe", env!("CARGO_PKG_VERSION").to_owned()),
        good("processors", processors),
        good("cuda", built(cfg!(feature = "cuda"), "cuda")),
        good("endpoints", built(cfg!(feature = "remote"), "remote")),
        answer,
    ];
    all.extend(notes.into_iter().map(|note| good("settings", note)));
    all
}

/// Asks the model one question about a small drawn picture; with what there is to know of its settings.
fn answers(options: &ModelOptions) -> Result<(String, Vec<String>), AppError> {
    let started = Instant::now();
    let mut model = options.open()?;
    let loaded = started.elapsed().as_secs_f64();
    let (width, height) = (96usize, 64usize);
    let pixels: Vec<u8> = (0..width * height).map(|n| ((n % width) * 2 + n / width) as u8).collect();
    let picture = Arc::new(Picture::new(width, height, 1, pixels)?);
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
