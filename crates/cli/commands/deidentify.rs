//! `loupe deidentify PATH -o DIR`

use crate::args::image::SizeArgs;
use crate::printer::{Ended, Printer};
use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;
use loupe_app::deidentify::{Blank, Dates, DeidentifyOptions, Kept, Selection, deidentify};
use loupe_core::words::counted;
use std::path::PathBuf;

/// Write copies of DICOM files without what identifies the patient: the basic profile of PS3.15 E.1.
///
/// The copies lie in a folder a patient, study and series and are named by pseudonyms and new UIDs. Every copy is read back
/// before it counts as written; what cannot be both clean and readable is refused by name. Pixels are not changed unless you say what
/// to blank: text that may be burned into them is warned about, and a person has to look.
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

    /// Move all dates of a patient by the same number of days instead of removing them.
    #[arg(long)]
    shift_dates: bool,

    /// Number the patients, as in `R{n:03}`. Without --key the key is written beside the output folder, as DIR-key.json.
    #[arg(long, value_name = "TEMPLATE")]
    pseudonym: Option<String>,

    /// File that says which pseudonym stands for whom, outside the output folder and for its owner's eyes only. It is made when it
    /// is not there; a later call reads it back, so that patients keep their pseudonyms, UIDs and distances in time.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// File whose contents decide new UIDs, pseudonyms and dates: the same secret gives the same ones on every run. Without
    /// it or a key they agree within this run only.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    secret: Option<PathBuf>,

    /// Blank pixels: `us` all that is outside the regions which an ultrasound image declares; `X0,Y0,X1,Y1` a rectangle of
    /// every image; `modality=DX,model=NAME,size=640x480:X0,Y0,X1,Y1` a rectangle of such images. May be repeated.
    #[arg(long, value_name = "RULE", value_parser = blank)]
    blank: Vec<Blank>,

    /// Write no copy of an image that may show names in its pixels, unless it was blanked.
    #[arg(long)]
    refuse_burned_in: bool,

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
    /// Private attributes that the standard lists as safe: numbers and code strings.
    Private,
}

/// A rule of `--blank`.
fn blank(text: &str) -> Result<Blank> {
    if text == "us" {
        return Ok(Blank::OutsideUltrasoundRegions);
    }
    let (of, corners) = text.rsplit_once(':').unwrap_or(("", text));
    let numbers: Result<Vec<usize>, _> = corners.split(',').map(|n| n.trim().parse()).collect();
    let [x0, y0, x1, y1] = numbers
        .ok()
        .and_then(|n| <[usize; 4]>::try_from(n).ok())
        .filter(|[x0, y0, x1, y1]| x0 < x1 && y0 < y1)
        .ok_or_else(|| {
            anyhow!(
                "a rectangle is X0,Y0,X1,Y1 in whole pixels, the first corner above and left of the second"
            )
        })?;
    let mut selection = Selection::default();
    for part in of.split(',').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("modality", value)) => selection.modality = Some(value.to_owned()),
            Some(("model", value)) => selection.model = Some(value.to_owned()),
            Some(("size", value)) => {
                let size = value.split_once('x').and_then(|(c, r)| Some([c.parse().ok()?, r.parse().ok()?]));
                selection.size = Some(size.ok_or_else(|| anyhow!("a size is COLUMNSxROWS, as in 640x480"))?);
            }
            _ => bail!("images are selected by modality=, model= and size=; found {part:?}"),
        }
    }
    Ok(Blank::Rectangle { columns: x0..x1, rows: y0..y1, of: selection })
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let keeps = |what| args.keep.contains(&what);
    let dates = match (keeps(Keep::Dates), args.shift_dates) {
        (true, true) => bail!("--keep dates and --shift-dates exclude each other"),
        (true, false) => Dates::Kept,
        (false, true) => Dates::Shifted,
        (false, false) => Dates::Removed,
    };
    let options = DeidentifyOptions {
        source: args.source.clone(),
        output: args.output.clone(),
        keep: Kept {
            uids: keeps(Keep::Uids),
            device: keeps(Keep::Device),
            institution: keeps(Keep::Institution),
            patient: keeps(Keep::Patient),
            private: keeps(Keep::Private),
        },
        dates,
        secret: args.secret.clone(),
        key: args.key.clone(),
        pseudonym: args.pseudonym.clone(),
        blank: args.blank.clone(),
        refuse_burned_in: args.refuse_burned_in,
        limits: args.limits.limits(),
    };
    let document = deidentify(&options, out)?;
    let written = counted(document.written, "file");
    if out.json {
        out.document(&document)?;
    } else {
        let patients = counted(document.patients, "patient");
        out.line(&format!(
            "{written} of {patients} written to {} after {}",
            args.output.display(),
            document.edition
        ))?;
        if document.not_dicom > 0 {
            let are = if document.not_dicom == 1 { "is" } else { "are" };
            out.line(&format!("{} {are} not DICOM and left out", counted(document.not_dicom, "file")))?;
        }
        for failure in &document.failed {
            out.line(&format!("no copy of {}: {}", failure.name, failure.error))?;
        }
    }
    for (why, files) in &document.burned_in {
        out.say(&format!(
            "warning: {}: {why}; pixels were not changed, look at",
            counted(files.len(), "file")
        ));
        files.iter().for_each(|file| out.say(&format!("  {file}")));
    }
    for (warning, files) in &document.warnings {
        out.say(&format!("warning: {}: {warning}:", counted(files.len(), "file")));
        files.iter().for_each(|file| out.say(&format!("  {file}")));
    }
    if document.written == 0 && document.failed.is_empty() {
        bail!("{} holds no DICOM file", args.source.display());
    }
    Ok(Ended::well_if(document.failed.is_empty()))
}
