//! TSV files with base64 images in a column, as VLMEvalKit defines them.

use super::files::{Root, headings, table_reader};
use super::row::{Row, Rows};
use crate::listed::Embedded;
use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, STANDARD};
use csv::StringRecord;
use loupe_core::{DataError, MediaRef, MediaSource, Sample, Spot};
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::sync::{Arc, Mutex, PoisonError};

/// Base64 with or without its trailing `=`.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// VLMEvalKit's rule (`ImageBaseDataset`): a cell this short is not an image but the `index` of the
/// row that holds it.
const LONGEST_REFERENCE: usize = 64;

/// The images of a TSV file, found again by their place in the file.
pub(crate) struct TsvImages {
    file: String,
    reader: Mutex<csv::Reader<BufReader<File>>>,
    column: usize,
    /// For each row, where the record that holds its image begins.
    places: Vec<Option<csv::Position>>,
    /// For each row, where it stands itself.
    spots: Vec<Spot>,
}

impl TsvImages {
    /// The rows without the column `image`, and where their images are. Rows whose file has no such
    /// column simply have none. Holds one record at a time.
    pub(crate) fn open(root: &Root, file: &str, image: &str) -> Result<(Self, Rows), DataError> {
        root.hash(file)?;
        let mut reader = table_reader(BufReader::new(root.open(file)?), b'\t');
        let names = headings(&mut reader).map_err(|problem| root.read_error(file, problem))?;
        let column = names.iter().position(|n| n == image).unwrap_or(usize::MAX);
        let index_column = names.iter().position(|n| n == "index");
        let name: Arc<str> = file.into();
        let (mut rows, mut places, mut references) = (Vec::new(), Vec::new(), Vec::new());
        let mut spots = Vec::new();
        let line_of = |position: Option<&csv::Position>| position.map_or(0, |p| p.line() as usize);
        let mut by_index = HashMap::new();
        let mut record = StringRecord::new();
        for ordinal in 0.. {
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {}
                Err(e) if e.is_io_error() => return Err(root.read_error(file, e.to_string())),
                Err(e) => {
                    let at = Spot::Line(line_of(e.position()));
                    let problem = "not a row of the table".to_owned();
                    rows.push(Err(DataError::Row { file: file.to_owned(), at, problem }));
                    spots.push(at);
                    places.push(None);
                    continue;
                }
            }
            let cell = record.get(column).unwrap_or_default().trim();
            let place = record.position().cloned();
            let index = index_column.and_then(|c| record.get(c)).unwrap_or_default().trim().to_owned();
            if cell.is_empty() {
                places.push(None);
            } else if cell.len() <= LONGEST_REFERENCE {
                references.push((ordinal, cell.to_owned()));
                places.push(None);
            } else {
                if let Some(place) = &place {
                    by_index.insert(index, place.clone());
                }
                places.push(place);
            }
            let cells: Vec<&str> =
                record.iter().enumerate().map(|(at, cell)| if at == column { "" } else { cell }).collect();
            let line = line_of(record.position());
            spots.push(Spot::Line(line));
            rows.push(Row::from_record(&name, (ordinal, line), &names, &cells));
        }
        for (ordinal, index) in references {
            match (places.get_mut(ordinal), by_index.get(&index)) {
                (Some(place), Some(found)) => *place = Some(found.clone()),
                _ => {
                    let problem = "its image is that of a row which has none".to_owned();
                    if let (Some(row), Some(&at)) = (rows.get_mut(ordinal), spots.get(ordinal)) {
                        *row = Err(DataError::Row { file: file.to_owned(), at, problem });
                    }
                }
            }
        }
        let images = Self { file: file.to_owned(), reader: Mutex::new(reader), column, places, spots };
        Ok((images, rows))
    }
}

impl Embedded for TsvImages {
    fn complete(&self, row: usize, sample: &mut Sample) -> Result<(), DataError> {
        let at = self.spots.get(row).copied().unwrap_or(Spot::Row(row + 1));
        let error = |problem: String| DataError::Row { file: self.file.clone(), at, problem };
        let Some(Some(place)) = self.places.get(row) else {
            let lacks = self.column != usize::MAX && sample.media.is_empty();
            return if lacks { Err(error("the row has no image".to_owned())) } else { Ok(()) };
        };
        // Where images are embedded, paths only say where VLMEvalKit would unpack them.
        sample.media.clear();
        let mut record = StringRecord::new();
        {
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.seek(place.clone()).map_err(|e| error(e.to_string()))?;
            reader.read_record(&mut record).map_err(|e| error(e.to_string()))?;
        }
        let cell = record.get(self.column).unwrap_or_default();
        for (at, text) in list(cell).into_iter().enumerate() {
            let bytes = decode(text).ok_or_else(|| error(format!("image {at} is not base64")))?;
            sample.media.push(MediaRef {
                source: MediaSource::Bytes(Arc::from(bytes)),
                view: Default::default(),
                name: format!("image {at} of row {row}"),
                stated_size: None,
            });
        }
        Ok(())
    }
}

/// One base64 text, or the Python list of several that VLMEvalKit writes.
fn list(cell: &str) -> Vec<&str> {
    let cell = cell.trim();
    match cell.strip_prefix('[').and_then(|c| c.strip_suffix(']')) {
        Some(inside) => inside
            .split(',')
            .map(|piece| piece.trim().trim_matches(['\'', '"']))
            .filter(|piece| !piece.is_empty())
            .collect(),
        None => vec![cell],
    }
}

/// Bytes of a base64 text, with or without `data:…;base64,` before it and `=` after it.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let text = match text.strip_prefix("data:") {
        Some(url) => url.split_once(',')?.1,
        None => text,
    };
    BASE64.decode(text).or_else(|_| STANDARD.decode(text.replace(['\n', '\r', ' '], ""))).ok()
}
