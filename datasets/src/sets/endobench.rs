//! EndoBench (Liu et al. 2025): multiple choice on endoscopy; a VLMEvalKit TSV file.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{Root, Split, vlmevalkit};
use loupe_core::DataError;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "endobench",
    title: "EndoBench: multiple choice on endoscopy",
    citation: "Liu et al., arXiv:2505.23601, 2025",
    licence: "as stated by its publishers",
    splits: &["all"],
    layout: "EndoBench.tsv with base64 images, or with image_path and the unpacked images",
    known: &[Known { split: "all", rows: 6832 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = root.pick(&["EndoBench.tsv"])?;
    vlmevalkit::listed(root, split, &file)
}
