//! Runs and masks in the formats of other tools.

mod labels;
mod looked_at;
mod request;
mod run;
mod source;
mod table;

use crate::error::{AppError, InStep};
use crate::files;
use crate::open::ImageOptions;
use looked_at::LookedAt;
use loupe_core::Registry;
use loupe_core::words::did_you_mean;
use loupe_report::check;
use loupe_report::exports::{EXPORTERS, Exported, Exporter};
use std::path::{Path, PathBuf};
use table::TABLES;

pub use loupe_report::check::{CheckReport, Problem, Severity};
pub use loupe_report::exports::{ExportOptions as FormatOptions, SegmentKind};
pub use request::{ExportDocument, ExportRequest};

/// Writes what was asked for.
///
/// # Errors
/// When there is no such format, the input cannot be read, or nothing of it fits the format.
pub fn export(request: &ExportRequest) -> Result<ExportDocument, AppError> {
    let is_run = request.input.join("run.json").is_file();
    if let Some(table) = TABLES.iter().find(|t| t.name == request.to) {
        if !is_run {
            return Err(AppError::input(format!(
                "{} is no run folder; {} is a table of a run's replies (findings-csv and findings-json are tables of masks)",
                request.input.display(),
                table.name
            )));
        }
        return table::write(request, table);
    }
    let exporter = exporter(&EXPORTERS, &request.to)?;
    let Some(output) = &request.output else {
        return Err(AppError::input(format!("{} needs a folder for its files: --output DIR", exporter.name)));
    };
    let looked_at = match is_run {
        true => run::read(request)?,
        false => labels::read(request)?,
    };
    let mut document = ExportDocument {
        format: exporter.name.to_owned(),
        rows: looked_at.findings(),
        notes: looked_at.notes.clone(),
        ..ExportDocument::default()
    };
    for (folder, made) in made(exporter, &looked_at, request)? {
        write_files(output, &folder, &made, &mut document)?;
    }
    Ok(document)
}

/// The exporter of that name; a slip may also be one of a table's name.
fn exporter<'a>(known: &'a Registry<Exporter>, name: &str) -> Result<&'a Exporter, AppError> {
    known.by_name(name).map_err(|unknown| {
        let tables = did_you_mean(name, TABLES.iter().map(|t| t.name));
        match tables.is_empty() {
            true => unknown.into(),
            false => AppError::input(format!("there is no export format {name:?}{tables}")),
        }
    })
}

/// What the exporter makes: of everything, or of each study in a folder of its own.
fn made(
    exporter: &Exporter,
    looked_at: &LookedAt,
    request: &ExportRequest,
) -> Result<Vec<(PathBuf, Exported)>, AppError> {
    let words = || format!("{} could not be written", exporter.name);
    let loader = request.images.loader();
    let parts = looked_at.parts(exporter.scope);
    if parts.is_empty() {
        return Err(AppError::input(format!(
            "{} refers to DICOM objects, and none of the images is stored in one",
            exporter.name
        )));
    }
    let mut all = Vec::new();
    for part in &parts {
        let made = looked_at.with_export(part, &loader, &request.options, exporter.write);
        match made {
            Ok(made) => all.push((part.folder.clone(), made)),
            // Of several studies those with nothing in them do not stand in the way of others.
            Err(error) if parts.len() > 1 => {
                let notes = vec![format!("{}: {error}", part.folder.display())];
                all.push((part.folder.clone(), Exported { files: Vec::new(), notes }));
            }
            Err(error) => return Err(error).step(words),
        }
    }
    match all.iter().all(|(_, made)| made.files.is_empty()) {
        true => Err(AppError::input(format!(
            "no study has anything that {} can hold: {}",
            exporter.name,
            all.iter().flat_map(|(_, made)| &made.notes).cloned().collect::<Vec<_>>().join("; ")
        ))),
        false => Ok(all),
    }
}

fn write_files(
    output: &Path,
    folder: &Path,
    made: &Exported,
    document: &mut ExportDocument,
) -> Result<(), AppError> {
    for file in &made.files {
        let path = output.join(folder).join(&file.name);
        files::make_folder(path.parent().unwrap_or(output))?;
        files::write(&path, &file.bytes)?;
        document.files.push(path);
    }
    document.notes.extend(made.notes.iter().cloned());
    Ok(())
}

/// Looks for what no validator catches in a file of findings; `source` are files and folders of the study that it is about.
///
/// # Errors
/// When a file cannot be read, or it is of no kind that is known.
pub fn check_file(file: &Path, source: &[PathBuf], images: &ImageOptions) -> Result<CheckReport, AppError> {
    let words = || format!("{} could not be checked", file.display());
    let bytes = images.limits.read_file(file).step(words)?;
    let study = source::study_of(&bytes, source, &images.limits)?;
    let folder = file.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
    check::check(bytes, study.as_ref(), folder, &images.limits).step(words)
}

/// Names of all formats with what they are.
pub fn formats() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLES.iter().map(|t| (t.name, t.about)).chain(EXPORTERS.iter().map(|e| (e.name, e.about)))
}
