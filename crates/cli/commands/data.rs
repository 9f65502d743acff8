//! `loupe data check SET DIR` and `loupe data overlap --train SET=DIR --test SET=DIR`

use crate::args::image::ImageArgs;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use clap::Subcommand;
use loupe_app::data::{OverlapOptions, SplitCheck, check, overlap};
use loupe_app::open::DataOptions;
use loupe_core::words::counted;
use std::path::PathBuf;

/// Check datasets before a run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Count rows and images, find missing images, broken rows and repeated ids.
    Check {
        /// Name of the set (see `loupe list datasets`).
        set: String,
        /// Where it lies.
        dir: PathBuf,
    },
    /// Find what a test set shares with a training set: images (the same bytes, or a similar look) and
    /// questions. Every row is flagged.
    Overlap(OverlapArgs),
}

#[derive(Debug, clap::Args)]
struct OverlapArgs {
    /// The training set and where it lies.
    #[arg(long, value_name = "SET=DIR")]
    train: String,

    /// Its split.
    #[arg(long, value_name = "SPLIT", default_value = "train")]
    train_split: String,

    /// The test set and where it lies; the training set's when not given.
    #[arg(long, value_name = "SET=DIR")]
    test: Option<String>,

    /// Its split.
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    test_split: String,

    /// Images whose perceptual hashes (64 bits) differ in at most so many bits look the same.
    /// Recompressed, halved and brightened radiographs stay within 6, different ones begin at 10.
    #[arg(long, value_name = "BITS", default_value_t = 8)]
    near: u32,

    /// Compare bytes only and decode no image.
    #[arg(long)]
    bytes_only: bool,

    /// Write the flags of every row as CSV.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    images: ImageArgs,
}

fn run_overlap(args: &OverlapArgs, out: &mut Printer) -> Result<Ended> {
    let test = args.test.as_deref().unwrap_or(&args.train);
    let options = OverlapOptions {
        train: DataOptions::parse(&args.train, Some(&args.train_split))?,
        test: DataOptions::parse(test, Some(&args.test_split))?,
        near_bits: (!args.bytes_only).then_some(args.near),
        output: args.output.clone(),
        images: args.images.options(),
    };
    let found = overlap(&options)?;
    if found.undecoded > 0 {
        let were = if found.undecoded == 1 { "was" } else { "were" };
        let images = counted(found.undecoded, "image");
        out.say(&format!("{images} could not be decoded and {were} compared by bytes only"));
    }
    if out.json {
        out.document(&found)?;
        return Ok(Ended::Well);
    }
    let line = |n: usize, what: &str| format!("{n:7} of {}  {what}", found.n);
    out.line(&line(found.same_image, "test rows have an image of the training set, byte for byte"))?;
    if !args.bytes_only {
        let what = format!("have one that looks the same (up to {} bits)", args.near);
        out.line(&line(found.near_image, &what))?;
    }
    out.line(&line(found.same_image_name, "have an image of the same name"))?;
    out.line(&line(found.same_question, "have a question of the training set"))?;
    out.line(&line(found.same_image_and_question, "have both in one training row"))?;
    out.line(&line(found.whole_row, "have image, question and answer in one training row"))?;
    Ok(Ended::Well)
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let (set, dir) = match &args.what {
        What::Check { set, dir } => (set, dir),
        What::Overlap(args) => return run_overlap(args, out),
    };
    let report = check(set, dir)?;
    if out.json {
        out.document(&report)?;
    } else {
        for split in &report.splits {
            print_split(split, out)?;
        }
        for (split, why) in &report.absent {
            out.line(&format!("{split}: {why}"))?;
        }
    }
    Ok(Ended::well_if(report.is_good()))
}

fn print_split(split: &SplitCheck, out: &mut Printer) -> Result<()> {
    let known = match split.known_rows {
        Some(n) if n == split.rows => " as published".to_owned(),
        Some(n) => format!(", {n} published"),
        None => String::new(),
    };
    out.line(&format!(
        "{}: {}{known}, {}, {} missing",
        split.split,
        counted(split.rows, "row"),
        counted(split.images, "image"),
        split.missing_images
    ))?;
    for name in split.missing_names.iter().take(5) {
        out.line(&format!("  missing image: {name}"))?;
    }
    for error in split.row_errors.iter().take(5) {
        out.line(&format!("  {error}"))?;
    }
    for (n, what) in [
        (split.empty_boxes, "boxes enclose no area"),
        (split.odd_measurements, "measurements are not above 0, or the axes stand in the wrong order"),
    ] {
        if n > 0 {
            out.line(&format!("  {n} {what}"))?;
        }
    }
    if !split.repeated_ids.is_empty() {
        out.line(&format!("  {} ids stand more than once", split.repeated_ids.len()))?;
    }
    Ok(())
}
