//! `loupe inspect FILE|DIR`

use crate::args::image::ImageArgs;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::view::inspect;
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
    let images = args.images.options();
    let mut all = Vec::new();
    let mut ended = Ended::Well;
    for path in &args.paths {
        match inspect(path, &images, args.identifiers) {
            Ok(found) if out.json => all.push(serde_json::json!({ "path": path, "found": found })),
            Ok(found) => out.line(&format!("{}\n{found}", path.display()))?,
            Err(error) => {
                out.error(&error.into());
                ended = Ended::WithFailures;
            }
        }
    }
    if out.json {
        out.document(&all)?;
    }
    Ok(ended)
}
