//! `loupe data check SET=DIR[:SPLIT]` and `loupe data overlap --train SET=DIR --test SET=DIR`

use crate::args::image::ImageArgs;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use clap::Subcommand;
use loupe_app::data::{CheckNote, NoteKind, OverlapOptions, SplitCheck, check, overlap};
use loupe_app::open::DataOptions;
use loupe_core::words::counted;
use std::collections::HashMap;
use std::path::PathBuf;

/// Check datasets before a run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Count rows and images, find missing images, broken rows, repeated ids, empty options, and places that do not
    /// fit their images. Rows are counted as an editor counts lines.
    Check(CheckArgs),
    /// Find what a test set shares with a training set: images (the same bytes, or a similar look) and
    /// questions. Every row is flagged.
    Overlap(OverlapArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The set and where it lies, with or without a split; its name alone when the folder follows.
    #[arg(value_name = "SET=DIR[:SPLIT]")]
    set: String,

    /// Where it lies.
    dir: Option<PathBuf>,

    /// Its split; all of them when not given.
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,

    /// Name every row that there is something to say about, not only the first of each kind.
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    images: ImageArgs,
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

fn run_check(args: &CheckArgs, out: &mut Printer) -> Result<Ended> {
    let data = match &args.dir {
        Some(dir) => DataOptions::parse(&format!("{}={}", args.set, dir.display()), args.split.as_deref())?,
        None => DataOptions::parse(&args.set, args.split.as_deref())?,
    };
    let mut report = check(&data, &args.images.options())?;
    let good = report.is_good();
    if out.json {
        if !args.all {
            report.splits.iter_mut().for_each(|split| first_of_each_kind(&mut split.notes));
        }
        out.document(&report)?;
    } else {
        for split in &report.splits {
            print_split(split, args.all, out)?;
        }
        for (split, why) in &report.absent {
            out.line(&format!("{split}: {why}"))?;
        }
    }
    Ok(Ended::well_if(good))
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    match &args.what {
        What::Check(args) => run_check(args, out),
        What::Overlap(args) => run_overlap(args, out),
    }
}

/// Notes of a kind that are printed without `--all`.
const FIRST: usize = 5;

fn first_of_each_kind(notes: &mut Vec<CheckNote>) {
    let mut counts: HashMap<NoteKind, usize> = HashMap::new();
    notes.retain(|note| {
        let count = counts.entry(note.kind).or_default();
        *count += 1;
        *count <= FIRST
    });
}

fn print_split(split: &SplitCheck, all: bool, out: &mut Printer) -> Result<()> {
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
    if !split.has_known_size() {
        out.line("  the number of rows is not the published one")?;
    }
    // Notes come kind by kind.
    for notes in split.notes.chunk_by(|a, b| a.kind == b.kind) {
        let shown = if all { notes.len() } else { notes.len().min(FIRST) };
        for note in notes.iter().take(shown) {
            out.line(&format!("  {}", note.text))?;
        }
        if notes.len() > shown {
            out.line(&format!("  … and {} more like these (--all names them)", notes.len() - shown))?;
        }
    }
    Ok(())
}
