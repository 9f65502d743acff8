//! The workbook that RJafroc reads (`DfReadDataFile(…, newExcelFileFormat = TRUE)`): sheets TRUTH, TP and FP. Cases, readers
//! and modalities are numbers there; a further sheet says which is which. RJafroc takes the first three sheets by name, so that one comes last in
//! the alphabet.

use crate::readings::Readings;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use zip::write::SimpleFileOptions;

/// A cell of a sheet.
enum Cell {
    Number(f64),
    Text(String),
}

type Sheet = Vec<Vec<Cell>>;

fn text(words: impl Into<String>) -> Cell {
    Cell::Text(words.into())
}

fn number(value: usize) -> Cell {
    Cell::Number(value as f64)
}

fn head(names: &[&str]) -> Vec<Cell> {
    names.iter().map(|name| text(*name)).collect()
}

/// The sheets of marks, or of ratings where there are no marks; `None` where neither is there with a truth.
fn sheets(readings: &Readings) -> Option<[(&'static str, Sheet); 4]> {
    let froc = readings.readings.iter().any(|r| r.marks.is_some() && readings.cases[r.case].truth.is_some());
    let taken = |r: &&crate::readings::Reading| {
        readings.cases[r.case].truth.is_some() && if froc { r.marks.is_some() } else { r.rating.is_some() }
    };
    let used: Vec<_> = readings.readings.iter().filter(taken).collect();
    let listed = |of: &dyn Fn(&crate::readings::Reading) -> usize, case: usize| {
        let mut all: Vec<usize> = used.iter().filter(|r| r.case == case).map(|r| of(r)).collect();
        all.sort_unstable();
        all.dedup();
        all.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
    };
    let mut truth = vec![head(&["CaseID", "LesionID", "Weight", "ReaderID", "ModalityID", "Paradigm"])];
    let mut hits = vec![head(&["ReaderID", "ModalityID", "CaseID", "LesionID", "TP_Rating"])];
    let mut others = vec![head(&["ReaderID", "ModalityID", "CaseID", "FP_Rating"])];
    for (c, case) in readings.cases.iter().enumerate() {
        let Some(positive) = case.truth.filter(|_| used.iter().any(|r| r.case == c)) else { continue };
        let weights: Vec<(usize, f64)> = match (positive, froc) {
            (false, _) => vec![(0, 0.0)],
            (true, false) => vec![(1, 1.0)],
            (true, true) => case.lesions.iter().enumerate().map(|(i, l)| (i + 1, l.weight)).collect(),
        };
        for (lesion, weight) in weights {
            // RJafroc takes the kind of study from the first two cells of this column.
            let paradigm = match (truth.len(), froc) {
                (1, true) => "FROC",
                (1, false) => "ROC",
                (2, _) => "FCTRL",
                _ => "",
            };
            truth.push(vec![
                number(c + 1),
                number(lesion),
                Cell::Number(weight),
                text(listed(&|r| r.reader, c)),
                text(listed(&|r| r.arm, c)),
                text(paradigm),
            ]);
        }
    }
    for r in &used {
        let ids = || vec![text(r.reader.to_string()), text(r.arm.to_string()), number(r.case + 1)];
        if let Some(marks) = r.marks.as_ref().filter(|_| froc) {
            for mark in marks {
                let mut row = ids();
                row.extend(mark.lesion.map(|lesion| number(lesion + 1)));
                row.push(Cell::Number(mark.rating));
                if mark.lesion.is_some() { hits.push(row) } else { others.push(row) }
            }
        } else if let Some(rating) = r.rating {
            let positive = readings.cases[r.case].truth == Some(true);
            let mut row = ids();
            row.extend(positive.then(|| number(1)));
            row.push(Cell::Number(rating));
            if positive { hits.push(row) } else { others.push(row) }
        }
    }
    let mut names = vec![head(&["What", "Number", "Name"])];
    let lists = [("reader", &readings.readers), ("modality", &readings.arms)];
    for (what, list) in lists {
        names.extend(list.iter().enumerate().map(|(i, name)| vec![text(what), number(i), text(name)]));
    }
    names.extend(
        readings.cases.iter().enumerate().map(|(i, c)| vec![text("case"), number(i + 1), text(&c.name)]),
    );
    (!used.is_empty()).then_some([("TP", hits), ("FP", others), ("TRUTH", truth), ("WHICH", names)])
}

fn escaped(words: &str) -> String {
    let plain: String = words.chars().filter(|c| !c.is_control()).collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn sheet_xml(sheet: &Sheet) -> String {
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>".to_owned();
    for (r, row) in (1..).zip(sheet) {
        let _ = write!(out, "<row r=\"{r}\">");
        for (column, cell) in ('A'..='Z').zip(row) {
            let _ = match cell {
                Cell::Number(value) => write!(out, "<c r=\"{column}{r}\"><v>{value}</v></c>"),
                Cell::Text(words) if words.is_empty() => Ok(()),
                Cell::Text(words) => {
                    write!(out, "<c r=\"{column}{r}\" t=\"inlineStr\"><is><t>{}</t></is></c>", escaped(words))
                }
            };
        }
        out.push_str("</row>");
    }
    out + "</sheetData></worksheet>"
}

/// The workbook; `Ok(None)` where there are neither marks nor ratings of cases whose truth is known.
///
/// # Errors
/// When the archive cannot be made.
pub fn rjafroc(readings: &Readings) -> std::io::Result<Option<Vec<u8>>> {
    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
    const OF_OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const OF_PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
    const OF_SHEETS: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    let Some(sheets) = sheets(readings) else { return Ok(None) };
    let mut kinds = format!(
        "{HEAD}<Types xmlns=\"{OF_PACKAGE}/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/><Default Extension=\"xml\" ContentType=\"application/xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"{OF_SHEETS}.sheet.main+xml\"/>"
    );
    let mut workbook = format!(
        "{HEAD}<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"{OF_OFFICE}\"><sheets>"
    );
    let mut links = format!("{HEAD}<Relationships xmlns=\"{OF_PACKAGE}/relationships\">");
    let mut parts = Vec::new();
    for (i, (name, sheet)) in (1..).zip(&sheets) {
        let _ = write!(
            kinds,
            "<Override PartName=\"/xl/worksheets/sheet{i}.xml\" ContentType=\"{OF_SHEETS}.worksheet+xml\"/>"
        );
        let _ = write!(workbook, "<sheet name=\"{name}\" sheetId=\"{i}\" r:id=\"rId{i}\"/>");
        let _ = write!(
            links,
            "<Relationship Id=\"rId{i}\" Type=\"{OF_OFFICE}/worksheet\" Target=\"worksheets/sheet{i}.xml\"/>"
        );
        parts.push((format!("xl/worksheets/sheet{i}.xml"), sheet_xml(sheet)));
    }
    let root = format!(
        "{HEAD}<Relationships xmlns=\"{OF_PACKAGE}/relationships\"><Relationship Id=\"rId1\" Type=\"{OF_OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
    );
    parts.extend([
        ("[Content_Types].xml".to_owned(), kinds + "</Types>"),
        ("_rels/.rels".to_owned(), root),
        ("xl/workbook.xml".to_owned(), workbook + "</sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels".to_owned(), links + "</Relationships>"),
    ]);
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        // No time of writing, so that the same readings are the same bytes.
        archive.start_file(name, SimpleFileOptions::default())?;
        archive.write_all(text.as_bytes())?;
    }
    Ok(Some(archive.finish()?.into_inner()))
}
