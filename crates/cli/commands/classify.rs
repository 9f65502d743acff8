//! `loupe classify IMAGE… --labels A,B --model DIR`

use crate::args::image::{ImageArgs, ViewArgs};
use crate::args::model::ModelArgs;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::classify::{Classification, ClassifyOptions, Wanted};
use std::path::PathBuf;

/// Say which labels fit an image, with an encoder of images and texts (zero-shot).
///
/// Needs an encoder such as BiomedCLIP, CLIP or MedSigLIP. Each label has texts: itself, the label in templates, prompts
/// of a file whose vectors are averaged, or descriptors that are looked for one by one and shown as the evidence. With
/// --json every text's part in the score is printed.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("wanted").required(true).args(["labels", "prompts", "descriptors"]))]
pub(crate) struct Args {
    /// Images (PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI …).
    #[arg(required = true)]
    images: Vec<String>,

    /// The labels, with commas between them.
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    labels: Vec<String>,

    /// A text with {} where the label goes ("a chest X-ray of {}"); several are averaged.
    #[arg(long, value_name = "TEXT", requires = "labels")]
    template: Vec<String>,

    /// JSON file of labels with a list of prompts each, which are averaged: {"label": ["a prompt", "another"]}.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,

    /// JSON file of labels with a list of descriptors each, weighed one by one as Xplainer does.
    #[arg(long, value_name = "FILE")]
    descriptors: Option<PathBuf>,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    view: ViewArgs,

    #[command(flatten)]
    reading: ImageArgs,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let wanted = match (&args.prompts, &args.descriptors) {
        (Some(file), _) => Wanted::Prompts(file.clone()),
        (None, Some(file)) => Wanted::Descriptors(file.clone()),
        (None, None) => {
            let labels = args.labels.iter().map(|label| label.trim().to_owned()).collect();
            Wanted::Labels { labels, templates: args.template.clone() }
        }
    };
    let options = ClassifyOptions {
        images: args.images.clone(),
        view: args.view.view(),
        reading: args.reading.options(),
        wanted,
        model: args.model.options(None)?,
    };
    let made = Classification::of(&options)?;
    let failed = made.images.iter().filter_map(|image| Some((&image.image, image.error.as_ref()?)));
    let mut failures = 0;
    for (image, error) in failed {
        out.say(&format!("{image}: {error}"));
        failures += 1;
    }
    if out.json {
        out.document(&made)?;
    } else {
        for image in made.images.iter().filter(|image| image.error.is_none()) {
            out.line(&image.image)?;
            let mut labels: Vec<_> = image.labels.iter().collect();
            labels.sort_by(|a, b| b.probability.total_cmp(&a.probability));
            for label in labels {
                let present = match label.present {
                    Some(true) => "  present",
                    Some(false) => "  absent",
                    None => "",
                };
                out.line(&format!("  {:6.2} %  {}{present}", 100.0 * label.probability, label.label))?;
                for evidence in label.evidence.iter().filter(|e| e.probability.is_some()) {
                    let percent = 100.0 * evidence.probability.unwrap_or_default();
                    out.line(&format!("             {percent:6.2} %  {}", evidence.text))?;
                }
            }
        }
    }
    Ok(Ended::well_if(failures == 0))
}
