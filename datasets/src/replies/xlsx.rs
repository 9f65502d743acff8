//! The first sheet of a workbook as words.

use calamine::{Data, Reader, Xlsx, XlsxError, open_workbook};
use std::path::Path;

/// Its rows, the heading first, or what is wrong with the file.
pub(super) fn first_sheet(path: &Path) -> Result<Vec<Vec<String>>, &'static str> {
    let mut book: Xlsx<_> = open_workbook(path).map_err(|_: XlsxError| "not an xlsx file")?;
    match book.worksheet_range_at(0) {
        Some(Ok(range)) => Ok(range.rows().map(|row| row.iter().map(cell).collect()).collect()),
        _ => Err("has no readable first sheet"),
    }
}

/// The words of a cell; whole numbers without a decimal point.
fn cell(data: &Data) -> String {
    match data {
        Data::Empty => String::new(),
        Data::String(s) => s.clone(),
        Data::Float(f) if f.fract() == 0.0 && f.abs() < 1e15 => format!("{f:.0}"),
        other => other.to_string(),
    }
}
