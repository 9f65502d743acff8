//! `loupe deidentify PATH -o DIR`

use crate::args::image::SizeArgs;
use crate::printer::{Ended, Printer};
use anyhow::{Result, bail};
use clap::ValueEnum;
use loupe_app::deidentify::{DeidentifyOptions, Kept, deidentify};
use loupe_core::words::counted;
use std::path::PathBuf;

/// Write copies of DICOM files without what identifies the patient: the basic profile of PS3.15 E.1.
///
/// The copies are named by their new UIDs, because file names often name patients. Pixels are not
/// changed: text that may be burned into them is warned about, and a person has to look.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File, folder, zip archive or DICOMDIR.
    source: PathBuf,

    /// Folder for the copies; it must be empty or not there yet.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// What to keep although the basic profile would not (options of PS3.15 E.3).
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    keep: Vec<Keep>,

    /// File whose contents decide the new UIDs: the same secret gives the same UIDs on every run. Without
    /// it they agree within this run only.
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,

    #[command(flatten)]
    limits: SizeArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Keep {
    /// Study, series and object UIDs.
    Uids,
    /// Full dates and times.
    Dates,
    /// Identity of the device.
    Device,
    /// Identity of the institution.
    Institution,
    /// Age, sex, size and weight of the patient.
    Patient,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let keeps = |what| args.keep.contains(&what);
    let options = DeidentifyOptions {
        source: args.source.clone(),
        output: args.output.clone(),
        keep: Kept {
            uids: keeps(Keep::Uids),
            dates: keeps(Keep::Dates),
            device: keeps(Keep::Device),
            institution: keeps(Keep::Institution),
            patient: keeps(Keep::Patient),
        },
        secret: args.secret.clone(),
        limits: args.limits.limits(),
    };
    let document = deidentify(&options, out)?;
    let written = counted(document.written, "file");
    if out.json {
        out.document(&document)?;
    } else {
        out.line(&format!("{written} written to {}", args.output.display()))?;
        if document.not_dicom > 0 {
            let are = if document.not_dicom == 1 { "is" } else { "are" };
            out.line(&format!("{} {are} not DICOM and left out", counted(document.not_dicom, "file")))?;
        }
        for failure in &document.failed {
            out.line(&format!("file {} (in the order of names) failed: {:?}", failure.file, failure.error))?;
        }
    }
    for (warning, count) in &document.warnings {
        out.say(&format!("warning: {count} of {written}: {warning}; pixels were not changed"));
    }
    if document.written == 0 && document.failed.is_empty() {
        bail!("{} holds no DICOM file", args.source.display());
    }
    Ok(Ended::well_if(document.failed.is_empty()))
}
