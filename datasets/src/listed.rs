//! The one kind of opened set: rows in memory, image bytes on demand.

use crate::digest::sha256_hex;
use loupe_core::{DataError, Dataset, DatasetInfo, MediaRef, MediaSource, Sample, Spot};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where rows stand, by the ids of their samples: one place for each row of the id.
pub(crate) type Spots = HashMap<String, Vec<(Arc<str>, Spot)>>;

/// Reads what a row holds besides text, when the row is asked for.
pub(crate) trait Embedded: Send + Sync {
    /// Adds the images (or masks) of `row` to its sample, in order.
    ///
    /// # Errors
    /// When they cannot be read, or one is missing that the row is about.
    fn complete(&self, row: usize, sample: &mut Sample) -> Result<(), DataError>;
}

/// Rows of a set with the errors of those that could not be read.
pub(crate) struct Listed {
    pub(crate) info: DatasetInfo,
    /// The folder in which its files lie.
    pub(crate) root: Option<PathBuf>,
    rows: Vec<Result<Sample, DataError>>,
    /// Ids that the files hold more than once.
    pub(crate) repeated_ids: Vec<String>,
    /// What is odd about rows that can be used.
    pub(crate) remarks: Vec<DataError>,
    /// Where samples stand, by id.
    spots: HashMap<String, (Arc<str>, Spot)>,
    /// With the row of the source for each sample.
    embedded: Option<(Arc<dyn Embedded>, Vec<usize>)>,
}

impl Listed {
    #[expect(clippy::needless_pass_by_value, reason = "made for it")]
    /// Rows as read. An id seen before gets its ordinal appended, so that ids are always unique. A row whose texts are too long is one
    /// that could not be read.
    pub(crate) fn new(
        info: DatasetInfo,
        mut rows: Vec<Result<Sample, DataError>>,
        remarks: Vec<DataError>,
        of_rows: Spots,
    ) -> Self {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut repeated_ids = Vec::new();
        let mut spots = HashMap::new();
        for (number, row) in rows.iter_mut().enumerate() {
            let Ok(sample) = row else { continue };
            let times = seen.entry(sample.id.clone()).or_insert(0);
            let spot = of_rows.get(&sample.id).and_then(|all| all.get(*times)).cloned();
            *times += 1;
            if *times == 2 {
                repeated_ids.push(sample.id.clone());
            }
            if let Some(problem) = sample.too_long() {
                let (file, at) = spot.unwrap_or_else(|| (info.name.as_str().into(), Spot::Row(number + 1)));
                *row = Err(DataError::Row { file: file.to_string(), at, problem });
                continue;
            }
            if *times > 1 {
                sample.id = format!("{}~{times}", sample.id);
            }
            spots.extend(spot.map(|spot| (sample.id.clone(), spot)));
        }
        Self { info, root: None, rows, repeated_ids, remarks, spots, embedded: None }
    }

    /// The row of a sample, or its id where that is not known.
    pub(crate) fn place(&self, sample: &Sample) -> String {
        self.spots.get(&sample.id).map_or_else(|| sample.id.clone(), |(_, at)| at.to_string())
    }

    /// A sentence about a sample, with its row where that is known, otherwise with its id.
    pub(crate) fn about(&self, sample: &Sample, problem: &str) -> String {
        match self.spots.get(&sample.id) {
            Some((file, at)) => format!("{file}, {at}: {problem}"),
            None => format!("{}: {problem}", sample.id),
        }
    }

    /// The same with what rows of `source` hold: `row_of` gives the row for each sample.
    pub(crate) fn with_embedded(mut self, source: Arc<dyn Embedded>, row_of: Vec<usize>) -> Self {
        self.embedded = Some((source, row_of));
        self
    }
}

impl Dataset for Listed {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        let row = self.rows.get(index).ok_or_else(|| DataError::Row {
            file: self.info.name.clone(),
            at: Spot::Row(index + 1),
            problem: format!("the split has {} rows", self.rows.len()),
        })?;
        let mut sample = row.clone()?;
        if let Some((source, row_of)) = &self.embedded
            && let Some(&row) = row_of.get(index)
        {
            source.complete(row, &mut sample)?;
        }
        if sample.group.is_empty() {
            sample.group = content_group(&sample.id, &sample.media);
        }
        sample.tags.insert("n_images".to_owned(), sample.media.len().to_string());
        Ok(sample)
    }
}

/// A group for rows whose set does not name its images: the images' own content. A row without any
/// depends on no other.
fn content_group(id: &str, images: &[MediaRef]) -> String {
    if images.is_empty() {
        return id.to_owned();
    }
    let mut bytes = Vec::new();
    for image in images {
        if let MediaSource::Bytes(b) = &image.source {
            bytes.push(b.as_ref());
        }
    }
    let hex = sha256_hex(&bytes);
    format!("image-{}", hex.get(..16).unwrap_or(&hex))
}
