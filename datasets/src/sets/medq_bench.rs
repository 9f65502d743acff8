//! MedQ-Bench (Liu et al. 2025): questions on the quality of medical images; VLMEvalKit TSV files.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::{Root, Split, vlmevalkit};
use loupe_core::DataError;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "medq-bench",
    title: "MedQ-Bench: questions on the quality of medical images",
    citation: "Liu et al., arXiv:2510.01691, 2025",
    licence: "as stated by its publishers",
    splits: &["test", "dev", "description-test", "description-dev"],
    layout: "medqbench_QA_test.tsv, medqbench_QA_dev.tsv, medqbench_description_test.tsv, medqbench_description_dev.tsv",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = match split.name.split_once('-') {
        Some((task, part)) => format!("medqbench_{task}_{part}.tsv"),
        None => format!("medqbench_QA_{}.tsv", split.name),
    };
    let file = root.pick(&[&file])?;
    vlmevalkit::listed(root, split, &file)
}
