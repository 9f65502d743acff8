//! TSV files in VLMEvalKit's convention: images as base64 in the rows or as paths, choices in
//! columns `A`, `B`, …

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::{Root, Split, the_only, vlmevalkit};
use loupe_core::DataError;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "vlmevalkit",
    title: "Any TSV file of VLMEvalKit",
    citation: "Duan et al., ACM MM 2024, arXiv:2407.11691",
    licence: "that of the set in the file",
    splits: &[],
    layout: "FILE.tsv with columns index, question, answer and image (base64) or image_path; choices in columns A, B, …",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = the_only(root, &[".tsv"], "FILE.tsv")?;
    vlmevalkit::listed(root, split, &file)
}
