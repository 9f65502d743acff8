//! `loupe render IMAGE -o out.png`

use crate::Ended;
use crate::pick::{ImageArgs, ViewArgs};
use crate::printer::Printer;
use anyhow::{Context, Result};
use loupe_core::MediaLoader;
use std::path::PathBuf;

/// Write one view of an image as PNG: a slice of a volume, a window, a frame.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Image file or series folder.
    image: PathBuf,

    /// Where to write the PNG.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    view: ViewArgs,

    #[command(flatten)]
    images: ImageArgs,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let media = args.view.media(&args.image)?;
    let picture = args
        .images
        .loader()
        .load(&media)
        .with_context(|| format!("{} could not be rendered", args.image.display()))?;
    std::fs::write(&args.output, loupe_report::png(&picture)?)
        .with_context(|| format!("{} could not be written", args.output.display()))?;
    if out.json {
        out.document(&picture.origin)?;
    } else {
        out.say(&format!(
            "{} × {} pixels written to {}",
            picture.width(),
            picture.height(),
            args.output.display()
        ));
    }
    Ok(Ended::Well)
}
