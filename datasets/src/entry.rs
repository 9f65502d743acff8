//! What is known about a set before it is opened.

use crate::listed::Listed;
use crate::read::{Root, SetFacts, Split};
use loupe_core::{DataError, Dataset, Named};
use serde::Serialize;
use std::path::Path;

/// A published number of rows; a split has several when the set's layouts differ in size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Known {
    /// Split, with its option: `test`, `test:en`.
    pub split: &'static str,
    /// Rows it should have.
    pub rows: usize,
}

/// A set's line in `loupe list datasets`.
#[derive(Debug, Clone, Serialize)]
pub struct SetEntry {
    /// Name on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub title: &'static str,
    /// Where it is described.
    pub citation: &'static str,
    /// Licence of the data, as its publishers state it.
    pub licence: &'static str,
    /// Splits, the default first. Empty for formats whose files name their own splits.
    pub splits: &'static [&'static str],
    /// Options that may follow a split after a colon, with what they choose.
    pub options: &'static [(&'static str, &'static str)],
    /// Files expected in the folder.
    pub layout: &'static str,
    /// What samples of one group share: `image`, `patient`, `video`, `study`.
    pub group_by: &'static str,
    /// The figure papers report first.
    pub metric: &'static str,
    /// BCP 47 languages of the questions; empty when the files say it.
    pub languages: &'static [&'static str],
    /// Published sizes.
    pub known: &'static [Known],
    #[serde(skip)]
    pub(crate) open: fn(&Root, &Split) -> Result<Listed, DataError>,
}

impl Named for SetEntry {
    fn name(&self) -> &str {
        self.name
    }
}

impl SetEntry {
    /// The blank that entries are written over.
    pub(crate) const BLANK: Self = Self {
        name: "",
        title: "",
        citation: "",
        licence: "",
        splits: &["test"],
        options: &[],
        layout: "",
        group_by: "image",
        metric: "accuracy",
        languages: &["en"],
        known: &[],
        open: |root, split| Ok(root.listed(split, Vec::new())),
    };

    pub(crate) fn open(&'static self, path: &Path, split: Option<&str>) -> Result<Listed, DataError> {
        self.open_with_images(path, split, None)
    }

    pub(crate) fn open_with_images(
        &'static self,
        path: &Path,
        split: Option<&str>,
        images: Option<&Path>,
    ) -> Result<Listed, DataError> {
        let split = self.split(split)?;
        let Self { name, layout, group_by, citation, .. } = *self;
        let root = Root::new(SetFacts { name, layout, group_by, citation }, path)?.with_images(images);
        let mut listed = (self.open)(&root, &split)?;
        listed.info.published_rows = self.published_rows(&listed.info.split, listed.len());
        listed.root = Some(root.image_dir().to_path_buf());
        Ok(listed)
    }

    /// The published size of a split. Where layouts of a set have different sizes, the one that fits `rows`.
    pub(crate) fn published_rows(&self, split: &str, rows: usize) -> Option<usize> {
        let sizes = || self.known.iter().filter(|k| k.split == split).map(|k| k.rows);
        sizes().find(|known| *known == rows).or_else(|| sizes().next())
    }

    fn split(&self, asked: Option<&str>) -> Result<Split, DataError> {
        let default = self.splits.first().copied().unwrap_or("all");
        let asked = asked.unwrap_or(default);
        let (name, option) = match asked.split_once(':') {
            Some((name, option)) => (name, Some(option)),
            None => (asked, None),
        };
        let name_known = self.splits.is_empty() || self.splits.contains(&name);
        let option_known = option.is_none_or(|o| self.options.iter().any(|(known, _)| *known == o));
        if name_known && option_known {
            return Ok(Split { name: name.to_owned(), option: option.map(str::to_owned) });
        }
        let mut known = self.splits.join(", ");
        if !self.options.is_empty() {
            let options: Vec<&str> = self.options.iter().map(|(name, _)| *name).collect();
            known = format!("{known}; each may be followed by a colon and {}", options.join(", "));
        }
        Err(DataError::Split { set: self.name, split: asked.to_owned(), known })
    }
}
