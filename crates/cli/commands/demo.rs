//! `loupe demo`

use crate::args::image::ImageArgs;
use crate::args::model::ModelArgs;
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::demo::{DemoOptions, demo, report_table, table};
use std::path::PathBuf;

/// Show everything on phantoms: answers, boxes, masks, several pictures, a second look, radiology reports, pages.
///
/// Makes synthetic studies that the built-in models have never seen, asks about them, scores the
/// replies and writes report pages. Needs no data and no network.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where data, runs and reports go.
    #[arg(long, short, value_name = "DIR", default_value = "loupe-demo")]
    output: PathBuf,

    /// Number of studies.
    #[arg(long, value_name = "N", default_value_t = 64)]
    studies: usize,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    images: ImageArgs,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let options = DemoOptions {
        output: args.output.clone(),
        studies: args.studies,
        model: args.model.options(None)?,
        images: args.images.options(),
    };
    let document = demo(&options, out)?;
    if out.json {
        out.document(&document)?;
        return Ok(Ended::Well);
    }
    let line = |cells: &[String]| match cells {
        [name, value, interval, n, chance, commonest] => {
            format!("{name:32} {value:>6}  {interval:>15}  {n:>5}  {chance:>6}  {commonest:>9}")
                .trim_end()
                .to_owned()
        }
        _ => String::new(),
    };
    let table = table(&document);
    out.line(&line(&table.columns))?;
    for row in &table.rows {
        out.line(&line(row))?;
    }
    if let Some(reused) = document.rethink_reused {
        out.line(&format!("{:32} {:>6.1}", "second round: prompt reused", reused.of_prompt * 100.0))?;
        out.line(&format!(
            "{:32} {:>6.1}",
            "second round: first round reused",
            reused.of_earlier_turns * 100.0
        ))?;
    }
    let reports = report_table(&document.report_batch);
    let line = |cells: &[String]| match cells {
        [name, precision, recall, right, stated, truth] => {
            format!("{name:32} {precision:>9}  {recall:>6}  {right:>5}  {stated:>6}  {truth:>4}")
                .trim_end()
                .to_owned()
        }
        _ => String::new(),
    };
    out.line(&line(&reports.columns))?;
    for row in &reports.rows {
        out.line(&line(row))?;
    }
    out.line(&document.report_batch.summary.line())?;
    out.line(&format!("radiology reports: {}", document.report_batch.page.display()))?;
    out.line(&format!("report: {}", document.report.display()))?;
    out.line(&format!("a blinded reader study: {}", document.study.display()))?;
    let left = args.output.display();
    out.say(&format!(
        "the studies, runs and pages stay in {left} ({}); remove the folder when you are done",
        folder_size(&args.output)
    ));
    Ok(Ended::Well)
}

/// Megabytes of the files in a folder, links not followed.
fn folder_size(dir: &std::path::Path) -> String {
    fn bytes(dir: &std::path::Path) -> u64 {
        let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
        let size = |entry: std::fs::DirEntry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => bytes(&entry.path()),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |m| m.len()),
            _ => 0,
        };
        entries.map(size).sum()
    }
    format!("{} MB", bytes(dir) / 1_000_000)
}
