//! A run as a table: for programs a row a reply and profile, for papers its figures.

use super::request::{ExportDocument, ExportRequest};
use crate::earlier::read_summary;
use crate::error::{AppError, InStep};
use crate::files;
use loupe_core::Columns;
use loupe_core::table::Format;
use loupe_eval::{ScoredRun, tables};
use loupe_report::run_rows::run_rows;
use loupe_run::RunFolder;

/// How a table is written.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Rows(fn(&Columns) -> Result<Vec<u8>, AppError>),
    Figures(Format),
}

/// A format of tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableFormat {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// Can it be printed?
    is_text: bool,
    kind: Kind,
}

/// The formats of tables.
pub(super) const TABLES: &[TableFormat] = &[
    TableFormat {
        name: "csv",
        about: "a run's replies and verdicts, a row a reply and profile",
        is_text: true,
        kind: Kind::Rows(|table| Ok(table.csv().into_bytes())),
    },
    TableFormat {
        name: "json",
        about: "the same rows as JSON",
        is_text: true,
        kind: Kind::Rows(|table| Ok(serde_json::to_vec_pretty(&table.json())?)),
    },
    TableFormat {
        name: "parquet",
        about: "the same rows as parquet",
        is_text: false,
        kind: Kind::Rows(|table| Ok(loupe_datasets::parquet("the table", table)?)),
    },
    TableFormat {
        name: "latex",
        about: "a run's figures as booktabs tables",
        is_text: true,
        kind: Kind::Figures(Format::Latex),
    },
    TableFormat {
        name: "markdown",
        about: "a run's figures as Markdown tables",
        is_text: true,
        kind: Kind::Figures(Format::Markdown),
    },
];

/// Writes the table of a scored run to the file that was named, or gives it back as text.
///
/// # Errors
/// When the run was not scored, or the file cannot be written.
pub(super) fn write(request: &ExportRequest, format: &TableFormat) -> Result<ExportDocument, AppError> {
    let dir = &request.input;
    let summary = read_summary(dir)?;
    let (bytes, rows) = match format.kind {
        Kind::Rows(write) => {
            let words = || format!("{} could not be read", dir.display());
            let run = ScoredRun { folder: RunFolder::open(dir).step(words)?, summary };
            let table = run_rows(&run.folder.made_by, run.items().step(words)?).step(words)?;
            (write(&table)?, table.rows())
        }
        Kind::Figures(format) => {
            let all = tables::summary(&summary);
            let rows = all.iter().map(|t| t.rows.len()).sum();
            (tables::join(&all, format).into_bytes(), rows)
        }
    };
    let mut document = ExportDocument { format: format.name.to_owned(), rows, ..ExportDocument::default() };
    match &request.output {
        Some(file) if file.is_dir() => {
            return Err(AppError::input(format!(
                "{} is a folder; --output names the file of a table",
                file.display()
            )));
        }
        Some(file) => {
            files::write(file, &bytes)?;
            document.files.push(file.clone());
        }
        None if format.is_text => document.text = String::from_utf8(bytes).ok(),
        None => {
            return Err(AppError::input(format!("{} is no text; name its file with --output", format.name)));
        }
    }
    Ok(document)
}
