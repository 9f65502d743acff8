//! PathVQA (He et al. 2020): questions on pathology images from textbooks.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split};
use loupe_core::DataError;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "pathvqa",
    title: "PathVQA: questions on pathology images",
    citation: "He et al., arXiv:2003.10286, 2020",
    licence: "MIT on the card; the images are those of textbooks and PEIR",
    splits: &["test", "validation", "train"],
    layout: "data/test-*.parquet, data/validation-*.parquet, data/train-*.parquet with image, question, answer",
    metric: "closed accuracy and open recall",
    known: &[
        Known { split: "test", rows: 6719 },
        Known { split: "validation", rows: 6259 },
        Known { split: "train", rows: 19654 },
    ],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let set = ParquetSet::find(root, &split.name)?;
    let set = set.ok_or_else(|| root.missing(format!("data/{}-*.parquet", split.name)))?;
    set.listed(root, split, &["image"], Row::short_answer)
}
