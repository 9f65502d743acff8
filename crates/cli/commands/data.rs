//! `loupe data check SET DIR` and `loupe data overlap --train SET=DIR --test SET=DIR`

use super::eval::open_data;
use crate::Ended;
use crate::pick::ImageArgs;
use crate::printer::Printer;
use anyhow::{Context, Result};
use clap::Subcommand;
use loupe_core::words::counted;
use loupe_core::{MediaLoader, MediaRef};
use loupe_datasets::{Overlap, Perceptual};
use loupe_eval::tables::{Format, Table};
use loupe_preprocess::perceptual::phash;
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
    /// Find what a test set shares with a training set: images, byte for byte and by their looks, and
    /// questions; flagged row by row.
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

/// Counts over the rows, and the rows.
#[derive(serde::Serialize)]
struct Leakage<'a> {
    n: usize,
    same_image: usize,
    near_image: usize,
    same_image_name: usize,
    same_question: usize,
    same_image_and_question: usize,
    whole_row: usize,
    rows: &'a [Overlap],
}

fn overlap(args: &OverlapArgs, out: &mut Printer) -> Result<Ended> {
    let train = open_data(&args.train, Some(&args.train_split))?;
    let test = open_data(args.test.as_deref().unwrap_or(&args.train), Some(&args.test_split))?;
    let loader = args.images.loader();
    let mut unread = 0usize;
    let mut look = |media: &MediaRef| {
        let hash = loader.load(media).ok().and_then(|picture| phash(&picture).ok());
        unread += usize::from(hash.is_none());
        hash
    };
    let look: Option<&mut Perceptual<'_>> = if args.bytes_only { None } else { Some(&mut look) };
    let rows = loupe_datasets::overlap(train.as_ref(), test.as_ref(), look)
        .context("the sets could not be compared")?;
    let near = |o: &Overlap| o.nearest_bits.is_some_and(|bits| bits <= args.near);
    let count = |f: &dyn Fn(&Overlap) -> bool| rows.iter().filter(|o| f(o)).count();
    let found = Leakage {
        n: rows.len(),
        same_image: count(&|o| o.image),
        near_image: count(&near),
        same_image_name: count(&|o| o.image_name),
        same_question: count(&|o| o.question),
        same_image_and_question: count(&|o| o.image_and_question),
        whole_row: count(&|o| o.whole_row),
        rows: &rows,
    };
    if let Some(file) = &args.output {
        let columns = [
            "id",
            "image",
            "near_image",
            "nearest_bits",
            "image_name",
            "question",
            "image_and_question",
            "whole_row",
        ];
        let mut table = Table { columns: columns.map(str::to_owned).to_vec(), ..Table::default() };
        table.rows.extend(rows.iter().map(|o| {
            let flag = |on: bool| u8::from(on).to_string();
            let bits = o.nearest_bits.map_or_else(String::new, |b| b.to_string());
            vec![
                o.id.clone(),
                flag(o.image),
                flag(near(o)),
                bits,
                flag(o.image_name),
                flag(o.question),
                flag(o.image_and_question),
                flag(o.whole_row),
            ]
        }));
        std::fs::write(file, table.write(Format::Csv)).with_context(|| format!("{}", file.display()))?;
    }
    if unread > 0 {
        let were = if unread == 1 { "was" } else { "were" };
        let images = counted(unread, "image");
        out.say(&format!("{images} could not be decoded and {were} compared by bytes only"));
    }
    if out.json {
        out.document(&found)?;
    } else {
        let line = |n: usize, what: &str| format!("{n:7} of {}  {what}", found.n);
        out.line(&line(found.same_image, "test rows have an image of the training set, byte for byte"))?;
        if !args.bytes_only {
            out.line(&line(
                found.near_image,
                &format!("have one that looks the same (up to {} bits)", args.near),
            ))?;
        }
        out.line(&line(found.same_image_name, "have an image of the same name"))?;
        out.line(&line(found.same_question, "have a question of the training set"))?;
        out.line(&line(found.same_image_and_question, "have both in one training row"))?;
        out.line(&line(found.whole_row, "have image, question and answer in one training row"))?;
    }
    Ok(Ended::Well)
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let (set, dir) = match &args.what {
        What::Check { set, dir } => (set, dir),
        What::Overlap(args) => return overlap(args, out),
    };
    let report = loupe_datasets::check(set, dir).with_context(|| format!("{set} could not be checked"))?;
    if out.json {
        out.document(&report)?;
    } else {
        for split in &report.splits {
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
                (
                    split.odd_measurements,
                    "measurements are not above 0, or the axes stand in the wrong order",
                ),
            ] {
                if n > 0 {
                    out.line(&format!("  {n} {what}"))?;
                }
            }
            if !split.repeated_ids.is_empty() {
                out.line(&format!("  {} ids stand more than once", split.repeated_ids.len()))?;
            }
        }
        for (split, why) in &report.absent {
            out.line(&format!("{split}: {why}"))?;
        }
    }
    Ok(if report.is_good() { Ended::Well } else { Ended::WithFailures })
}
