//! The folder a set lies in: safe paths, annotation files read and hashed, image references.

use super::json;
use super::row::{Row, Rows};
use crate::digest::{reader_sha256, sha256_hex};
use crate::listed::{Listed, Spots};
use loupe_core::files::open_regular;
use loupe_core::words::hex;
use loupe_core::{DataError, DatasetInfo, MediaRef, MediaSource, Sample, Spot};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The split asked for, checked against the set's entry.
#[derive(Debug, Clone)]
pub(crate) struct Split {
    /// Before the colon.
    pub(crate) name: String,
    /// After the colon.
    pub(crate) option: Option<String>,
}

impl Split {
    /// Is this the option after the colon?
    pub(crate) fn has(&self, option: &str) -> bool {
        self.option.as_deref() == Some(option)
    }

    /// As the user writes it.
    pub(crate) fn full(&self) -> String {
        match &self.option {
            Some(option) => format!("{}:{option}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What errors and the facts of an opened set say of the set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetFacts {
    pub(crate) name: &'static str,
    pub(crate) layout: &'static str,
    pub(crate) group_by: &'static str,
    pub(crate) citation: &'static str,
}

/// A set's folder. Every annotation file read through it enters the fingerprint.
pub(crate) struct Root {
    set: SetFacts,
    dir: PathBuf,
    /// Where images lie, if not there.
    images: Option<PathBuf>,
    /// Set when the user named one file instead of a folder.
    pub(crate) only: Option<String>,
    hashes: RefCell<BTreeMap<String, String>>,
    /// What is odd about rows that can be used.
    remarks: RefCell<Vec<DataError>>,
    /// Where the rows of samples stand, by the samples' ids, in the order of the files.
    spots: RefCell<Spots>,
}

impl Root {
    pub(crate) fn new(set: SetFacts, path: &Path) -> Result<Self, DataError> {
        let missing =
            |file: &str| DataError::Missing { set: set.name, file: file.to_owned(), layout: set.layout };
        let (dir, only) = if path.is_dir() {
            (path.to_path_buf(), None)
        } else if path.is_file() {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
            let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            (dir.to_path_buf(), name)
        } else {
            return Err(missing("the dataset's folder"));
        };
        Ok(Self {
            set,
            dir,
            images: None,
            only,
            hashes: RefCell::default(),
            remarks: RefCell::default(),
            spots: RefCell::default(),
        })
    }

    /// The same with images in another folder.
    pub(crate) fn with_images(self, images: Option<&Path>) -> Self {
        Self { images: images.map(Path::to_path_buf), ..self }
    }

    /// The folder of the images.
    pub(crate) fn image_dir(&self) -> &Path {
        self.images.as_deref().unwrap_or(&self.dir)
    }

    /// The error for a file of the layout that is not there.
    pub(crate) fn missing(&self, file: impl Into<String>) -> DataError {
        DataError::Missing { set: self.set.name, file: file.into(), layout: self.set.layout }
    }

    /// Notes what is odd about a row that can be used; `data check` says it.
    pub(crate) fn remark(&self, row: &Row, problem: impl Into<String>) {
        self.remarks.borrow_mut().push(row.error(problem));
    }

    /// The samples of rows, one each, and where each stands.
    pub(crate) fn samples(
        &self,
        rows: Rows,
        make: impl Fn(&Row) -> Result<Sample, DataError>,
    ) -> Vec<Result<Sample, DataError>> {
        rows.into_iter().map(|row| self.sample(&row?, &make)).collect()
    }

    /// The sample of a row, whose place is remembered.
    pub(crate) fn sample(
        &self,
        row: &Row,
        make: impl Fn(&Row) -> Result<Sample, DataError>,
    ) -> Result<Sample, DataError> {
        let sample = make(row)?;
        self.spots.borrow_mut().entry(sample.id.clone()).or_default().push((row.file(), row.at()));
        Ok(sample)
    }

    /// The path of `relative`, which must stay inside the folder whatever it says.
    pub(crate) fn path(&self, relative: &str) -> Result<PathBuf, &'static str> {
        inside(&self.dir, relative)
    }

    /// Is there a file or folder of this name?
    pub(crate) fn has(&self, relative: &str) -> bool {
        self.path(relative).is_ok_and(|p| p.exists())
    }

    /// The first of `candidates` that exists; otherwise the first one is what is missing. When the
    /// user named one file, it is that one.
    pub(crate) fn pick(&self, candidates: &[&str]) -> Result<String, DataError> {
        if let Some(only) = &self.only {
            return Ok(only.clone());
        }
        candidates
            .iter()
            .find(|c| self.has(c))
            .map(|c| (*c).to_owned())
            .ok_or_else(|| self.missing(candidates.first().copied().unwrap_or("an annotation file")))
    }

    /// The first of these folders that exists, or `.` when none does.
    pub(crate) fn folder(&self, candidates: &[&str]) -> String {
        let found = candidates.iter().find(|c| self.path(c).is_ok_and(|p| p.is_dir()));
        found.map_or(".", |c| c).to_owned()
    }

    /// Names (relative to the root) of the files in `folder` that end in one of `suffixes`, sorted.
    pub(crate) fn list(&self, folder: &str, suffixes: &[&str]) -> Result<Vec<String>, DataError> {
        if let Some(only) = &self.only {
            return Ok(vec![only.clone()]);
        }
        let dir = if folder == "." {
            self.dir.clone()
        } else {
            self.path(folder).map_err(|problem| self.read_error(folder, problem))?
        };
        let entries = fs::read_dir(dir).map_err(|_| self.missing(folder))?;
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .filter(|name| suffixes.iter().any(|s| name.to_lowercase().ends_with(s)))
            .map(|name| if folder == "." { name } else { format!("{folder}/{name}") })
            .collect();
        names.sort();
        Ok(names)
    }

    /// The error for a file that cannot be read.
    pub(crate) fn read_error(&self, file: &str, problem: impl Into<String>) -> DataError {
        DataError::Read { file: file.to_owned(), problem: problem.into() }
    }

    /// Opens a file of the set without reading it.
    pub(crate) fn open(&self, file: &str) -> Result<fs::File, DataError> {
        let path = self.path(file).map_err(|problem| self.read_error(file, problem))?;
        match open_regular(&path) {
            Ok(opened) => Ok(opened),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(self.missing(file)),
            Err(e) => Err(self.read_error(file, e.to_string())),
        }
    }

    /// Hashes a file too large to hold, in pieces.
    pub(crate) fn hash(&self, file: &str) -> Result<(), DataError> {
        let digest = reader_sha256(self.open(file)?).map_err(|e| self.read_error(file, e.to_string()))?;
        self.note(file, digest);
        Ok(())
    }

    /// Enters a file into the fingerprint by something other than its content (size, for images).
    pub(crate) fn note(&self, file: &str, digest: String) {
        self.hashes.borrow_mut().insert(file.to_owned(), digest);
    }

    /// The text of an annotation file; hashed.
    pub(crate) fn text(&self, file: &str) -> Result<String, DataError> {
        let mut bytes = Vec::new();
        self.open(file)?.read_to_end(&mut bytes).map_err(|e| self.read_error(file, e.to_string()))?;
        self.note(file, sha256_hex(&[&bytes]));
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            self.read_error(file, format!("not UTF-8 at byte {at}; convert the file, for example with iconv"))
        })?;
        match text.strip_prefix('\u{feff}') {
            Some(rest) => Ok(rest.to_owned()),
            None => Ok(text),
        }
    }

    /// A JSON file.
    pub(crate) fn json(&self, file: &str) -> Result<Value, DataError> {
        json::parse(&self.text(file)?).map_err(|e| self.read_error(file, format!("not JSON: {e}")))
    }

    /// A JSON file that is a list of objects.
    pub(crate) fn json_rows(&self, file: &str) -> Result<Rows, DataError> {
        let text = self.text(file)?;
        let document = json::parse(&text).map_err(|e| self.read_error(file, format!("not JSON: {e}")))?;
        let Value::Array(list) = document else {
            return Err(self.read_error(file, "expected a JSON list of objects"));
        };
        let rows = Row::all(file, list);
        let lines = json::lines_of_elements(&text).filter(|lines| lines.len() == rows.len());
        let Some(lines) = lines else { return Ok(rows) };
        Ok(rows
            .into_iter()
            .zip(lines)
            .map(|(row, line)| match row {
                Ok(row) => Ok(row.on_line(line)),
                Err(DataError::Row { file, problem, .. }) => {
                    Err(DataError::Row { file, at: Spot::Line(line), problem })
                }
                Err(other) => Err(other),
            })
            .collect())
    }

    /// One JSON object a line; empty lines are left out.
    pub(crate) fn jsonl_rows(&self, file: &str) -> Result<Rows, DataError> {
        let name: Arc<str> = file.into();
        let text = self.text(file)?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        Ok(lines
            .map(|(index, line)| {
                let bad = |problem: String| DataError::Row {
                    file: file.to_owned(),
                    at: Spot::Line(index + 1),
                    problem,
                };
                let value = json::parse(line).map_err(|e| bad(not_json(&e)))?;
                if !value.is_object() {
                    return Err(bad("expected an object of named fields".to_owned()));
                }
                Ok(Row::new(&name, index, value)?.on_line(index + 1))
            })
            .collect())
    }

    /// A CSV (`,`) or TSV (`\t`) file with a heading line.
    pub(crate) fn table_rows(&self, file: &str, delimiter: u8) -> Result<Rows, DataError> {
        self.table_columns(file, delimiter, |_| true)
    }

    /// The same with only the columns whose heading is wanted.
    pub(crate) fn table_columns(
        &self,
        file: &str,
        delimiter: u8,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Rows, DataError> {
        let name: Arc<str> = file.into();
        let text = self.text(file)?;
        let mut reader = table_reader(text.as_bytes(), delimiter);
        let mut headings = headings(&mut reader).map_err(|problem| self.read_error(file, problem))?;
        // A column without a name is left out.
        headings.iter_mut().filter(|name| !wanted(name)).for_each(String::clear);
        let mut lines = LineCounter::new(text.as_bytes());
        Ok(reader
            .records()
            .enumerate()
            .map(|(index, record)| {
                let position = match &record {
                    Ok(record) => record.position(),
                    Err(error) => error.position(),
                };
                let line = lines.line_at(position.map_or(0, |p| p.byte() as usize));
                match record {
                    Ok(record) => {
                        let cells: Vec<&str> = record.iter().collect();
                        Row::from_record(&name, (index, line), &headings, &cells)
                    }
                    Err(_) => Err(DataError::Row {
                        file: file.to_owned(),
                        at: Spot::Line(line),
                        problem: "not a row of the table".to_owned(),
                    }),
                }
            })
            .collect())
    }

    /// The first of `candidates` that exists, read by its ending: JSON list, JSON lines, CSV or TSV.
    pub(crate) fn rows(&self, candidates: &[&str]) -> Result<Rows, DataError> {
        let file = self.pick(candidates)?;
        match file.rsplit('.').next() {
            Some("jsonl" | "ndjson") => self.jsonl_rows(&file),
            Some("csv") => self.table_rows(&file, b','),
            Some("tsv") => self.table_rows(&file, b'\t'),
            _ => self.json_rows(&file),
        }
    }

    /// The file or folder nearest to the root, at most three folders down, whose lower-case path
    /// fits: archives of challenges unpack into folders of many names.
    pub(crate) fn search(&self, fits: impl Fn(&str, bool) -> bool) -> Option<String> {
        let mut level = vec![String::new()];
        for _ in 0..4 {
            let mut next = Vec::new();
            for folder in &level {
                let mut names: Vec<(String, bool)> = fs::read_dir(self.dir.join(folder))
                    .into_iter()
                    .flatten()
                    .filter_map(Result::ok)
                    .map(|e| (e.file_name().to_string_lossy().into_owned(), e.path().is_dir()))
                    .filter(|(name, _)| !name.starts_with('.'))
                    .map(|(name, is_dir)| {
                        (if folder.is_empty() { name } else { format!("{folder}/{name}") }, is_dir)
                    })
                    .collect();
                names.sort();
                for (name, is_dir) in names {
                    if fits(&name.to_lowercase(), is_dir) {
                        return Some(name);
                    }
                    if is_dir {
                        next.push(name);
                    }
                }
            }
            level = next;
        }
        None
    }

    /// An image file of the set, named as the set names it. Whether it exists is found out when it
    /// is decoded, so that a missing image costs one sample and not the set.
    pub(crate) fn image(&self, row: &Row, folder: &str, name: &str) -> Result<MediaRef, DataError> {
        let within = if folder == "." { name.to_owned() } else { format!("{folder}/{name}") };
        let path = inside(self.image_dir(), &within).map_err(|problem| row.error(problem))?;
        Ok(MediaRef {
            source: MediaSource::File(path),
            view: Default::default(),
            name: name.to_owned(),
            stated_size: None,
        })
    }

    /// The opened set.
    pub(crate) fn listed(&self, split: &Split, rows: Vec<Result<Sample, DataError>>) -> Listed {
        let mut all = Sha256::new();
        for (file, digest) in self.hashes.borrow().iter() {
            all.update(format!("{file}\0{digest}\n"));
        }
        let info = DatasetInfo {
            name: self.set.name.to_owned(),
            split: split.full(),
            group_by: self.set.group_by.to_owned(),
            fingerprint: hex(&all.finalize()),
            citation: self.set.citation.to_owned(),
            published_rows: None,
        };
        Listed::new(info, rows, self.remarks.take(), self.spots.take())
    }
}

/// The path of `relative` in `dir`, which it must not leave whatever it says.
fn inside(dir: &Path, relative: &str) -> Result<PathBuf, &'static str> {
    let relative = relative.trim().replace('\\', "/");
    let mut path = dir.to_path_buf();
    let mut depth = 0usize;
    for part in Path::new(&relative).components() {
        match part {
            Component::Normal(name) => {
                path.push(name);
                depth += 1;
            }
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => {
                path.pop();
                depth -= 1;
            }
            _ => return Err("the path of an image or file leaves the dataset's folder"),
        }
    }
    if depth == 0 { Err("the path of an image or file is empty") } else { Ok(path) }
}

/// What is wrong, without the place, which is the place in the line and not in the file.
fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    format!("not JSON: {}, column {}", text.split(" at line ").next().unwrap_or(&text), error.column())
}

/// Lines of a text by where they begin, asked for in order.
struct LineCounter<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> LineCounter<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// The line, from 1, of the first thing at or after this byte that is no end of a line.
    fn line_at(&mut self, byte: usize) -> usize {
        let is_end = |b: &u8| matches!(b, b'\n' | b'\r');
        let begins = byte + self.text.iter().skip(byte).take_while(|b| is_end(b)).count();
        let passed = self.text.get(self.at..begins).unwrap_or_default();
        self.line += passed.iter().filter(|b| **b == b'\n').count();
        self.at = begins.max(self.at);
        self.line
    }
}

/// A reader of delimited text that takes rows as they come; lengths are checked by the caller.
pub(crate) fn table_reader<R: Read>(source: R, delimiter: u8) -> csv::Reader<R> {
    csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(source)
}

/// The heading line: trimmed, and no name twice.
pub(crate) fn headings<R: Read>(reader: &mut csv::Reader<R>) -> Result<Vec<String>, String> {
    let record = reader.headers().map_err(|e| format!("heading line: {e}"))?;
    let names: Vec<String> =
        record.iter().map(|h| h.trim().trim_start_matches('\u{feff}').to_owned()).collect();
    let mut sorted: Vec<&String> = names.iter().filter(|n| !n.is_empty()).collect();
    sorted.sort();
    match sorted.iter().zip(sorted.iter().skip(1)).find(|(a, b)| a == b) {
        Some((name, _)) => Err(format!("heading line: {name:?} stands there twice")),
        None => Ok(names),
    }
}

/// The file that the user named, or the only one in the folder with one of these endings.
pub(crate) fn the_only(root: &Root, suffixes: &[&str], example: &str) -> Result<String, DataError> {
    let names = root.list(".", suffixes)?;
    match names.as_slice() {
        [] => Err(root.missing(example)),
        [one] => Ok(one.clone()),
        several => Err(root.read_error(
            several.first().map_or(example, String::as_str),
            format!("the folder holds {} files of this kind; name the one to open", several.len()),
        )),
    }
}
