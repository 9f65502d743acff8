//! `loupe render IMAGE -o out.png`

use crate::args::image::{ImageArgs, MarkArgs, ViewArgs};
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::view::render;
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
    marks: MarkArgs,

    #[command(flatten)]
    images: ImageArgs,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let (media, image) = (args.view.media(&args.image)?, args.image.display().to_string());
    let picture = render(&image, &media, &args.images.options(), args.marks.marks(), &args.output)?;
    if out.json {
        out.document(&picture.origin)?;
    } else {
        out.say(&format!(
            "{} × {} pixels written to {}",
            picture.width(),
            picture.height(),
            args.output.display()
        ));
        picture.origin.warnings().for_each(|warning| out.say(warning));
    }
    Ok(Ended::Well)
}
