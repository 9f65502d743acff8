//! What an analysis leaves on disk.

use crate::analysis::StudyAnalysis;
use crate::document::Document;
use crate::error::StudyError;
use crate::exports;
use crate::page;
use crate::readings::Readings;
use loupe_core::files::write_whole;
use loupe_core::table::Format;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file's name from a table's title.
fn file_name(number: usize, title: &str) -> String {
    let plain: String =
        title.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<&str> = plain.split('-').filter(|w| !w.is_empty()).take(8).collect();
    format!("{number:02}-{}.csv", words.join("-"))
}

/// Writes `study.html`, `analysis.json`, `methods.md`, a CSV for each table in `tables/`, and the readings for other packages in `exports/`.
/// Gives the paths written.
///
/// # Errors
/// When a file cannot be written.
pub fn write(analysis: &StudyAnalysis, readings: &Readings, dir: &Path) -> Result<Vec<PathBuf>, StudyError> {
    let (tables, for_others) = (dir.join("tables"), dir.join("exports"));
    std::fs::create_dir_all(&tables)?;
    std::fs::create_dir_all(&for_others)?;
    let mut written = Vec::new();
    let mut put = |path: PathBuf, bytes: &[u8]| -> Result<(), StudyError> {
        write_whole(&path, |to| to.write_all(bytes))?;
        written.push(path);
        Ok(())
    };
    let document = Document::of(analysis);
    put(dir.join("analysis.json"), &serde_json::to_vec_pretty(&document)?)?;
    put(dir.join("study.html"), page::page(&document).as_bytes())?;
    let mut methods = "# Methods\n".to_owned();
    for paragraph in &document.methods.paragraphs {
        methods += &format!("\n{paragraph}\n");
    }
    methods += "\n## References\n\n";
    for reference in &document.methods.references {
        methods += &format!("- {reference}\n");
    }
    put(dir.join("methods.md"), methods.as_bytes())?;
    for (number, table) in (1..).zip(analysis.tables()) {
        put(tables.join(file_name(number, &table.title)), table.write(Format::Csv).as_bytes())?;
    }
    if let Some(text) = exports::imrmc(readings) {
        put(for_others.join("ratings.imrmc"), text.as_bytes())?;
    }
    if let Some(text) = exports::mrmcaov(readings) {
        put(for_others.join("mrmcaov.csv"), text.as_bytes())?;
    }
    if let Some(workbook) = exports::rjafroc(readings)? {
        put(for_others.join("rjafroc.xlsx"), &workbook)?;
    }
    Ok(written)
}
