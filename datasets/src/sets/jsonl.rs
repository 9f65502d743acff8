//! A set of one's own as JSON lines (docs/reference/datasets.md).

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::{Root, Split, own, the_only};
use loupe_core::DataError;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "jsonl",
    title: "A set of your own: one JSON object a line",
    citation: "docs/reference/datasets.md",
    licence: "yours",
    splits: &[],
    layout: "FILE.jsonl (or a folder with one such file); image paths are relative to its folder and stay inside it",
    group_by: "image, or the field group",
    metric: "by kind of reference",
    languages: &[],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = the_only(root, &[".jsonl", ".ndjson"], "FILE.jsonl")?;
    own::listed(root, split, ENTRY.name, root.jsonl_rows(&file)?)
}
