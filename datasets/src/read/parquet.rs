//! Parquet files as Hugging Face datasets write them: the text columns are read when a set is
//! opened, an image column only for the row that is asked for.

use super::files::{Root, Split};
#[cfg(not(feature = "parquet"))]
use super::no_parquet::{ParquetFile, images};
#[cfg(feature = "parquet")]
use super::parquet_file::{ParquetFile, images};
use super::row::{Row, Rows};
use crate::listed::Listed;
use loupe_core::{DataError, Sample};
use serde_json::Value;
use std::fs::File;
use std::sync::Arc;

/// The rows of one file as JSON objects, without columns of images.
pub(crate) fn parquet_values(name: &str, file: File) -> Result<Vec<Value>, DataError> {
    let file = ParquetFile::open(name, file)?;
    let images = file.image_columns();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let mut rows = Rows::new();
    file.rows(&Arc::from(name), &images, &mut rows)?;
    rows.into_iter().map(|row| Ok(Value::Object(row?.fields))).collect()
}

/// The parquet files of one split, in order.
pub(crate) struct ParquetSet {
    files: Vec<(Arc<str>, ParquetFile)>,
}

impl ParquetSet {
    /// The files of `split` in the folder, in `data/`, or the one file that the user named.
    pub(crate) fn find(root: &Root, split: &str) -> Result<Option<Self>, DataError> {
        Self::find_in(root, &[".", "data"], split)
    }

    /// The same, looking into the given folders.
    pub(crate) fn find_in(root: &Root, folders: &[&str], split: &str) -> Result<Option<Self>, DataError> {
        if let Some(only) = &root.only {
            let parquet = only.ends_with(".parquet");
            return if parquet { Self::open(root, vec![only.clone()]).map(Some) } else { Ok(None) };
        }
        for folder in folders {
            let names = Self::names(root, folder, split);
            if !names.is_empty() {
                return Self::open(root, names).map(Some);
            }
        }
        Ok(None)
    }

    /// The files of `split` in every one of the folders, each of which must have some.
    pub(crate) fn gather(root: &Root, folders: &[&str], split: &str) -> Result<Self, DataError> {
        let mut all = Vec::new();
        for folder in folders {
            let names = Self::names(root, folder, split);
            if names.is_empty() {
                return Err(root.missing(format!("{folder}/{split}-*.parquet")));
            }
            all.extend(names);
        }
        Self::open(root, all)
    }

    fn names(root: &Root, folder: &str, split: &str) -> Vec<String> {
        let all = root.list(folder, &[".parquet"]).unwrap_or_default();
        let of_split = |name: &String| {
            let file = name.rsplit('/').next().unwrap_or(name);
            file.strip_prefix(split).is_some_and(|rest| rest.starts_with(['-', '.', '_']))
        };
        all.into_iter().filter(of_split).collect()
    }

    fn open(root: &Root, names: Vec<String>) -> Result<Self, DataError> {
        let mut files = Vec::new();
        for name in names {
            root.hash(&name)?;
            let file = ParquetFile::open(&name, root.open(&name)?)?;
            files.push((Arc::from(name), file));
        }
        Ok(Self { files })
    }

    /// All rows without the columns `skip`.
    pub(crate) fn rows(&self, skip: &[&str]) -> Result<Rows, DataError> {
        let mut rows = Vec::new();
        for (name, file) in &self.files {
            file.rows(name, skip, &mut rows)?;
        }
        Ok(rows)
    }

    /// The opened set: `make` turns a row without its image columns into a sample, whose images are
    /// then those of `image_columns`, in order, nulls left out.
    pub(crate) fn listed(
        self,
        root: &Root,
        split: &Split,
        image_columns: &[&str],
        make: impl Fn(&Row) -> Result<Sample, DataError>,
    ) -> Result<Listed, DataError> {
        let rows = self.rows(image_columns)?;
        let kept = rows.into_iter().enumerate().map(|(at, row)| (at, row.and_then(|r| make(&r))));
        self.listed_rows(root, split, image_columns, kept.collect())
    }

    /// The same for rows chosen and made by the caller: `(row of the files together, sample)`.
    pub(crate) fn listed_rows(
        self,
        root: &Root,
        split: &Split,
        image_columns: &[&str],
        rows: Vec<(usize, Result<Sample, DataError>)>,
    ) -> Result<Listed, DataError> {
        let images = images(self.files, image_columns)?;
        let (row_of, samples) = rows.into_iter().unzip();
        Ok(root.listed(split, samples).with_embedded(images, row_of))
    }
}
