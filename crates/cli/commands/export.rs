//! `loupe export RUN|MASKS --to …`, `loupe export check FILE`

use crate::args::image::ImageArgs;
use crate::printer::{Ended, Printer};
use anyhow::{Context, Result};
use clap::ValueEnum;
use loupe_app::export::{ExportRequest, FormatOptions, SegmentKind, Severity, check_file, export};
use loupe_app::measure::MaskOptions;
use loupe_app::open::DataOptions;
use loupe_core::words::counted;
use std::path::PathBuf;

/// Write a run or masks in the formats of other tools.
///
/// Tables of a run's replies: csv, json, parquet; of its figures: latex, markdown. Findings (boxes, points, masks): DICOM SEG, SR,
/// GSPS, KO, RTSTRUCT, Secondary Capture and PDF in the study that they were made on; COCO, CVAT, Label Studio, RadFact, FHIR,
/// CSV. `loupe list exporters` names all. DICOM objects carry patient and study of their source.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    check: Option<Check>,

    /// Run folder, output folder of `loupe segment`, or file of masks (label map, DICOM segmentation, structure set).
    #[arg(required = true, value_name = "RUN|MASKS")]
    input: Option<PathBuf>,

    /// The format.
    #[arg(long, required = true, value_name = "FORMAT")]
    to: Option<String>,

    /// Folder of the files; of a table its file, which is printed without one.
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,

    /// The image or series that masks lie on.
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,

    /// How segments of dicom-seg are stored.
    #[arg(long, value_enum, default_value_t)]
    segments: SegmentsName,

    /// Leave frames without content out of dicom-seg. All frames are written otherwise, so that every reader can put
    /// them on the grid of the series.
    #[arg(long)]
    used_frames: bool,

    /// The PDF file for dicom-pdf.
    #[arg(long, value_name = "FILE")]
    pdf: Option<PathBuf>,

    /// Of masks only this label, by its number or name.
    #[arg(long, value_name = "LABEL")]
    mask_label: Option<String>,

    /// Take the nearest voxel of masks whose voxels do not lie on the image's, instead of refusing them.
    #[arg(long)]
    resample_mask: bool,

    /// The set of a run as SET=DIR, where its pictures lie inside its files or it has moved.
    #[arg(long, value_name = "SET=DIR")]
    data: Option<String>,

    #[command(flatten)]
    images: ImageArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Check {
    Check(CheckArgs),
}

/// Look for what no validator catches: objects that are not there, another geometry, places outside the image, segments that
/// overlap, missing codes, scores that look made up.
///
/// Ends with exit code 1 when it finds an error. Reads DICOM objects of findings, and COCO files.
#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The file.
    file: PathBuf,

    /// Files and folders of the study that it is about; may be given several times.
    #[arg(long, value_name = "PATH")]
    source: Vec<PathBuf>,

    #[command(flatten)]
    images: ImageArgs,
}

/// How segments are stored.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum SegmentsName {
    /// A bit a pixel; segments may overlap.
    #[default]
    Binary,
    /// A byte a pixel.
    Fractional,
    /// The segment's number.
    LabelMap,
}

impl From<SegmentsName> for SegmentKind {
    fn from(name: SegmentsName) -> Self {
        match name {
            SegmentsName::Binary => Self::Binary,
            SegmentsName::Fractional => Self::Fractional,
            SegmentsName::LabelMap => Self::LabelMap,
        }
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    if let Some(Check::Check(check)) = &args.check {
        return run_check(check, out);
    }
    let pdf = match &args.pdf {
        Some(file) => {
            let read = args.images.options().limits.read_file(file);
            Some(read.with_context(|| format!("{} could not be read", file.display()))?)
        }
        None => None,
    };
    let document = export(&ExportRequest {
        input: args.input.clone().unwrap_or_default(),
        to: args.to.clone().unwrap_or_default(),
        output: args.output.clone(),
        source: args.source.clone(),
        masks: MaskOptions { resample: args.resample_mask, label: args.mask_label.clone() },
        data: args.data.as_deref().map(|data| DataOptions::parse(data, None)).transpose()?,
        images: args.images.options(),
        options: FormatOptions { segments: args.segments.into(), used_frames: args.used_frames, pdf },
    })?;
    document.notes.iter().for_each(|note| out.say(&format!("note: {note}")));
    match &document.text {
        Some(text) => out.text(text)?,
        None if out.json => out.document(&document)?,
        None => {
            for file in &document.files {
                out.line(&file.display().to_string())?;
            }
        }
    }
    Ok(Ended::Well)
}

fn run_check(args: &CheckArgs, out: &mut Printer) -> Result<Ended> {
    let report = check_file(&args.file, &args.source, &args.images.options())?;
    if out.json {
        out.document(&report)?;
    } else {
        for problem in &report.problems {
            out.line(&format!("{}: {}", problem.severity.word(), problem.words))?;
        }
        let of = |severity| report.problems.iter().filter(|p| p.severity == severity).count();
        out.say(&format!(
            "{}, {} looked at: {}, {}",
            report.kind,
            report.looked_at,
            counted(of(Severity::Error), "error"),
            counted(of(Severity::Warning), "warning")
        ));
    }
    Ok(Ended::well_if(report.is_sound()))
}
