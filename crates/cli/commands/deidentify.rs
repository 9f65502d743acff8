//! `loupe deidentify PATH -o DIR`

use crate::Ended;
use crate::pick::SizeArgs;
use crate::printer::Printer;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use loupe_core::words::counted;
use loupe_preprocess::dicom::export::{Export, Outcome};
use loupe_preprocess::dicom::{deid, files};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    let secret = match &args.secret {
        Some(path) => std::fs::read(path).with_context(|| format!("{} could not be read", path.display()))?,
        None => unguessable(),
    };
    if secret.is_empty() {
        bail!("the secret is empty; anyone could then test guesses of the old UIDs");
    }
    let keeps = |what| args.keep.contains(&what);
    let options = deid::Options {
        secret,
        keep_uids: keeps(Keep::Uids),
        keep_dates: keeps(Keep::Dates),
        keep_device: keeps(Keep::Device),
        keep_institution: keeps(Keep::Institution),
        keep_patient_characteristics: keeps(Keep::Patient),
    };
    must_be_empty(&args.output)?;
    let limits = args.limits.limits();
    let blobs = files::collect(&args.source, &limits)
        .with_context(|| format!("{} could not be read", args.source.display()))?;
    let bar = out.bar(blobs.len() as u64);
    let mut export = Export::new(&args.output, options, limits);
    let (mut written, mut others) = (0usize, 0usize);
    let mut failed = Vec::new();
    let mut warnings: BTreeMap<String, usize> = BTreeMap::new();
    for (n, blob) in blobs.iter().enumerate() {
        match export.file(blob) {
            Ok(Outcome::Written(found)) => {
                written += 1;
                found.into_iter().for_each(|warning| *warnings.entry(warning).or_default() += 1);
            }
            Ok(Outcome::NotDicom) => others += 1,
            // By number: names of files often name patients.
            Err(error) => failed.push(serde_json::json!({ "file": n + 1, "error": error.to_string() })),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if out.json {
        out.document(&serde_json::json!({
            "written": written, "not_dicom": others, "failed": failed, "warnings": warnings,
        }))?;
    } else {
        out.line(&format!("{} written to {}", counted(written, "file"), args.output.display()))?;
        if others > 0 {
            let are = if others == 1 { "is" } else { "are" };
            out.line(&format!("{} {are} not DICOM and left out", counted(others, "file")))?;
        }
        for failure in &failed {
            out.line(&format!(
                "file {} (in the order of names) failed: {}",
                failure["file"], failure["error"]
            ))?;
        }
    }
    for (warning, count) in &warnings {
        out.say(&format!(
            "warning: {count} of {}: {warning}; pixels were not changed",
            counted(written, "file")
        ));
    }
    if written == 0 && failed.is_empty() {
        bail!("{} holds no DICOM file", args.source.display());
    }
    Ok(if failed.is_empty() { Ended::Well } else { Ended::WithFailures })
}

/// Copies of two runs in one folder would mix, and a copy must never land on an original.
fn must_be_empty(folder: &Path) -> Result<()> {
    if let Ok(mut entries) = std::fs::read_dir(folder)
        && entries.next().is_some()
    {
        bail!("{} is not empty; name a new folder", folder.display());
    }
    Ok(())
}

/// Bits that nobody can guess, from the seeds that the operating system gives each hash table.
fn unguessable() -> Vec<u8> {
    use std::hash::{BuildHasher, RandomState};
    (0..4u8).flat_map(|n| RandomState::new().hash_one(n).to_le_bytes()).collect()
}
