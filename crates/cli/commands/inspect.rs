//! `loupe inspect FILE|DIR`

use crate::Ended;
use crate::pick::ImageArgs;
use crate::printer::Printer;
use anyhow::{Context, Result};
use loupe_preprocess::inspect;
use std::path::PathBuf;

/// Say what is in an image file or folder: geometry, windows, frames, and what would be refused.
///
/// Identifiers of patients are not shown unless asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files or folders.
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    /// Show names, identifiers and the text of reports as well.
    #[arg(long)]
    identifiers: bool,

    #[command(flatten)]
    images: ImageArgs,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let options = inspect::Options {
        xform: args.images.xform(),
        series: args.images.series(),
        identifiers: args.identifiers,
    };
    let mut all = Vec::new();
    let mut ended = Ended::Well;
    for path in &args.paths {
        match inspect::inspect(path, &options)
            .with_context(|| format!("{} could not be inspected", path.display()))
        {
            Ok(found) if out.json => all.push(serde_json::json!({ "path": path, "found": found })),
            Ok(found) => out.line(&format!("{}\n{found}", path.display()))?,
            Err(error) => {
                out.error(&error);
                ended = Ended::WithFailures;
            }
        }
    }
    if out.json {
        out.document(&all)?;
    }
    Ok(ended)
}
