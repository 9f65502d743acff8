//! A set of one's own as a table (docs/reference/datasets.md).

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::{Root, Split, own, the_only};
use loupe_core::DataError;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "csv",
    title: "A set of your own: a CSV or TSV table with a heading line",
    citation: "docs/reference/datasets.md",
    licence: "yours",
    splits: &[],
    layout: "FILE.csv or FILE.tsv (or a folder with one such file); image paths are relative to its folder and stay inside it",
    group_by: "image, or the column group",
    metric: "by kind of reference",
    languages: &[],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = the_only(root, &[".csv", ".tsv"], "FILE.csv")?;
    let delimiter = if file.to_lowercase().ends_with(".tsv") { b'\t' } else { b',' };
    own::listed(root, split, ENTRY.name, root.table_rows(&file, delimiter)?)
}
