//! The first sheet of a workbook as words, row by row: what a file says its size is, is not believed, and only
//! cells that are there take memory.

use calamine::{Data, Reader, Xlsx, XlsxError};
use loupe_core::files::open_regular;
use loupe_core::guard::caught;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Cells of a row by their column.
type Cells = Vec<(u32, String)>;

/// Most bytes that the parts of a workbook may be inflated to; a million long replies take less.
const MOST_INFLATED: u64 = 512 << 20;

/// Rows and columns of the largest sheet (Excel 2007 and later).
const MOST_ROWS: u32 = 1 << 20;
const MOST_COLUMNS: u32 = 1 << 14;

/// Calls `take` for each row below the heading, the first row with a word in it, with its number among the rows
/// of the sheet and its cells under their headings, until it returns false.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn each_row(
    path: &Path,
    take: &mut dyn FnMut(usize, Vec<(String, String)>) -> bool,
) -> Result<(), String> {
    let open = || open_regular(path).map_err(|e| e.to_string());
    check_size(open()?)?;
    let file = BufReader::new(open()?);
    let book = caught(|| Xlsx::new(file)).and_then(|book: Result<Xlsx<_>, XlsxError>| book.ok());
    let mut book = book.ok_or("not an xlsx file")?;
    let unreadable = || "has no readable first sheet".to_owned();
    let first = book.sheet_names().into_iter().next().ok_or("has no sheet")?;
    let cells = caught(|| book.worksheet_cells_reader(&first)).and_then(Result::ok);
    let mut cells = cells.ok_or_else(unreadable)?;
    let (mut heading, mut row): (Option<(u32, Cells)>, Cells) = (None, Vec::new());
    let mut at = 0;
    let mut end_row = |number: u32, row: &mut Vec<(u32, String)>| {
        let cells = std::mem::take(row);
        let Some((first, names)) = &heading else {
            if !cells.is_empty() {
                heading = Some((number, cells));
            }
            return true;
        };
        if cells.is_empty() {
            return true;
        }
        let mut cells: BTreeMap<u32, String> = cells.into_iter().collect();
        let last = cells.keys().next_back().copied().unwrap_or(0);
        // A cell that is left empty in between is an empty word, as in a table of text.
        let named = names.iter().filter(|(column, _)| *column <= last);
        let named = named.map(|(column, name)| (name.clone(), cells.remove(column).unwrap_or_default()));
        take((number - first - 1) as usize, named.collect())
    };
    loop {
        // The library multiplies and adds what a cell says its place is.
        let found = caught(|| {
            let found = cells.next_cell()?;
            Ok(found.map(|cell| (cell.get_position(), Data::from(cell.get_value().clone()))))
        });
        let found = found.and_then(|found: Result<_, XlsxError>| found.ok()).ok_or_else(unreadable)?;
        let Some(((number, column), value)) = found else { break };
        if number >= MOST_ROWS || column >= MOST_COLUMNS {
            return Err("it has a cell outside of any sheet".to_owned());
        }
        if number < at {
            return Err("its rows are not in order".to_owned());
        }
        if number > at {
            if !end_row(at, &mut row) {
                return Ok(());
            }
            at = number;
        }
        let words = cell(&value);
        if !words.is_empty() {
            row.push((column, words));
        }
    }
    end_row(at, &mut row);
    Ok(())
}

/// Inflates every part once without keeping it: the sizes in an archive are only said.
fn check_size(file: File) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|_| "not an xlsx file")?;
    let mut left = MOST_INFLATED;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(|_| "not an xlsx file: a part is damaged")?;
        let taken = std::io::copy(&mut part.take(left.saturating_add(1)), &mut std::io::sink());
        let taken = taken.map_err(|_| "not an xlsx file: a part is damaged")?;
        left = left.checked_sub(taken).ok_or_else(|| {
            format!("its parts are larger than {} MiB inflated; save it as .csv", MOST_INFLATED >> 20)
        })?;
    }
    Ok(())
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
