//! `loupe embed IMAGE… --text WORDS --model DIR`

use crate::args::image::{ImageArgs, ViewArgs};
use crate::args::model::ModelArgs;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::embed::{EmbedOptions, Embeddings};

/// Give images and texts vectors in one space and say which text describes which image.
///
/// Needs an encoder of both, such as MedSigLIP. With --json the vectors are printed too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Images (PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI …).
    #[arg(required = true)]
    images: Vec<String>,

    /// A text to compare with each image; may be given several times.
    #[arg(long, value_name = "WORDS")]
    text: Vec<String>,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    view: ViewArgs,

    #[command(flatten)]
    reading: ImageArgs,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let options = EmbedOptions {
        images: args.images.clone(),
        view: args.view.view(),
        reading: args.reading.options(),
        texts: args.text.clone(),
        model: args.model.options(None)?,
    };
    let made = Embeddings::of(&options)?;
    for (of, error) in made.failures() {
        out.say(&format!("{of}: {error}"));
    }
    if out.json {
        out.document(&made)?;
    } else {
        for (n, image) in made.images.iter().enumerate().filter(|(_, image)| image.vector.is_some()) {
            let width = image.vector.as_ref().map_or(0, Vec::len);
            out.line(&format!("{} ({width} values)", image.of))?;
            for found in made.matches.iter().filter(|m| m.image == n) {
                let text = &made.texts[found.text].of;
                out.line(&format!("  {:6.2} %  {text}", 100.0 * found.probability))?;
            }
        }
    }
    Ok(Ended::well_if(made.failures().next().is_none()))
}
