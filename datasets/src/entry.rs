//! What is known about a set before it is opened.

use crate::listed::Listed;
use crate::read::{Root, Split};
use loupe_core::DataError;
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
        let split = self.split(split)?;
        let root = Root::new(self, path)?;
        (self.open)(&root, &split)
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

/// The known name nearest to `name`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let plain = |s: &str| s.to_lowercase().replace(['-', '_', ' '], "");
    let name = plain(name);
    known
        .map(|k| (edits(&name, &plain(k)), k))
        .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k.to_owned())
}

/// Levenshtein distance in characters.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let cost = (diagonal + usize::from(ca != *cb)).min(*cell + 1).min(left + 1);
            diagonal = *cell;
            *cell = cost;
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_known_pairs() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", "abc"), 0);
    }

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = || ["vqa-rad", "slake", "medframeqa"].into_iter();
        assert_eq!(nearest("VQA_RAD", known()).as_deref(), Some("vqa-rad"));
        assert_eq!(nearest("slak", known()).as_deref(), Some("slake"));
        assert_eq!(nearest("imagenet", known()), None);
    }
}
