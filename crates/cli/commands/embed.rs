//! `loupe embed IMAGE… --text WORDS --model DIR [--nearest N] [--out FILE]`

use crate::args::image::{ImageArgs, ViewArgs};
use crate::args::model::ModelArgs;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::embed::{EmbedOptions, Embeddings, Nearest};
use serde::Serialize;
use std::path::PathBuf;

/// Give images and texts vectors in one space and say which text describes which image.
///
/// Needs an encoder of both, such as MedSigLIP, CLIP or BiomedCLIP. With --json the vectors are printed too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Images (PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI …).
    #[arg(required = true)]
    images: Vec<String>,

    /// A text to compare with each image; may be given several times.
    #[arg(long, value_name = "WORDS")]
    text: Vec<String>,

    /// For each text, name the N images that it describes best.
    #[arg(long, value_name = "N", requires = "text")]
    nearest: Option<usize>,

    /// Write the vectors, one a row: FILE.npy (rows are named in FILE.json) or FILE.parquet.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    view: ViewArgs,

    #[command(flatten)]
    reading: ImageArgs,
}

/// What --json prints.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    made: &'a Embeddings,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<Vec<Nearest>>,
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
    if let Some(file) = &args.out {
        made.write(file)?;
    }
    let nearest = args.nearest.map(|count| made.nearest(count));
    if out.json {
        out.document(&Document { made: &made, nearest })?;
    } else {
        for (n, image) in made.images.iter().enumerate().filter(|(_, image)| image.vector.is_some()) {
            let width = image.vector.as_ref().map_or(0, Vec::len);
            out.line(&format!("{} ({width} values)", image.of))?;
            for found in made.matches.iter().filter(|m| m.image == n) {
                let text = &made.texts[found.text].of;
                out.line(&format!("  {:6.2} %  {text}", 100.0 * found.probability))?;
            }
        }
        for found in nearest.iter().flatten() {
            out.line(&format!("nearest to {:?}", made.texts[found.text].of))?;
            for image in &found.images {
                out.line(&format!("  {}", made.images[*image].of))?;
            }
        }
    }
    Ok(Ended::well_if(made.failures().next().is_none()))
}
