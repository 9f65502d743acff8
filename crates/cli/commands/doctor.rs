//! `loupe doctor`

use crate::Ended;
use crate::pick::ModelArgs;
use crate::printer::Printer;
use anyhow::Result;
use loupe_core::{Ask, GenerationLimits, Picture};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// Check that this machine and a checkpoint can do the job.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    good: bool,
    about: String,
}

/// Asks the model one question about a small drawn picture.
fn answers(args: &Args) -> Result<String> {
    let started = Instant::now();
    let mut model = args.model.load(None)?;
    let loaded = started.elapsed().as_secs_f64();
    let (width, height) = (96usize, 64usize);
    let pixels: Vec<u8> = (0..width * height).map(|n| ((n % width) * 2 + n / width) as u8).collect();
    let picture = Arc::new(Picture::new(width, height, 1, pixels)?);
    let limits = GenerationLimits { max_new_tokens: 4, ..GenerationLimits::default() };
    let ask = Ask::pictures_then(vec![picture], "What is shown?", limits);
    let started = Instant::now();
    let reply = model.generate(&[ask], &mut ()).into_iter().next().transpose()?;
    let info = model.info();
    Ok(format!(
        "{} ({}, {} parameters, {} on {}): loaded in {loaded:.1} s, {} prompt tokens answered in {:.1} s",
        info.name,
        info.family,
        info.parameters,
        info.dtype,
        info.device,
        reply.map_or(0, |r| r.counts.prompt_tokens),
        started.elapsed().as_secs_f64()
    ))
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let mut checks = vec![
        Check { name: "loupe", good: true, about: env!("CARGO_PKG_VERSION").to_owned() },
        Check {
            name: "processors",
            good: true,
            about: std::thread::available_parallelism()
                .map_or_else(|_| "unknown".to_owned(), |n| n.to_string()),
        },
        Check {
            name: "cuda",
            good: true,
            about: if cfg!(feature = "cuda") { "built in" } else { "not built in (cargo feature `cuda`)" }
                .to_owned(),
        },
    ];
    checks.push(match answers(args) {
        Ok(about) => Check { name: "model", good: true, about },
        Err(error) => Check { name: "model", good: false, about: format!("{error:#}") },
    });
    if out.json {
        out.document(&checks)?;
    } else {
        for check in &checks {
            out.line(&format!(
                "{} {:11} {}",
                if check.good { "ok  " } else { "FAIL" },
                check.name,
                check.about
            ))?;
        }
    }
    Ok(if checks.iter().all(|c| c.good) { Ended::Well } else { Ended::WithFailures })
}
