//! Metrics: one file each, every published convention under its own name.
//!
//! [`METRICS`] lists all of them. Text metrics take a reference and a reply; corpus metrics a whole
//! set of pairs; boxes, points and masks have typed functions in their files ([`Compute::Typed`]).
//! Metrics that need files of the user ([`Compute::Needs`]) are metrics once these are loaded.

pub use annotation_facts::{AnnotationFacts, RefusedLine};
pub use entry::{Compute, Entry, Resource, TextCorpusMetric, TextMetric};
pub(crate) use texts::Headless;
pub use texts::Texts;

use loupe_core::Registry;

pub mod annotation_facts;
pub mod annotations;
pub mod assign;
pub mod bertscore;
pub mod bleu;
pub mod boundary;
pub mod boxes;
pub mod chexbert;
pub mod cider;
pub mod coco_map;
pub mod count;
pub mod crimson;
mod entry;
pub mod exact_match;
pub mod green;
pub mod lesions;
pub mod mask_overlap;
pub mod medval;
pub mod meteor;
pub mod nltk_words;
pub mod points;
pub mod porter;
pub mod punkt;
pub mod radcliq;
pub mod radeval;
pub mod radfact;
pub mod radgraph;
pub mod ratescore;
pub mod region;
mod report_cleaners;
pub mod report_headings;
pub mod report_sections;
pub mod rouge;
pub mod surface;
pub mod surface_table;
mod texts;
pub mod token_f1;
pub mod vqa_normal;
pub mod wordnet;
pub mod words;

/// Every file of this folder with its metrics; files without any are shared parts.
pub static METRICS: Registry<Entry> = Registry {
    kind: "metric",
    listed_as: "metrics",
    files: &[
        ("annotation_facts", &[]),
        ("annotations", &[]),
        ("assign", &[]),
        ("bertscore", bertscore::ENTRIES),
        ("bleu", bleu::ENTRIES),
        ("boundary", boundary::ENTRIES),
        ("boxes", boxes::ENTRIES),
        ("chexbert", chexbert::ENTRIES),
        ("cider", cider::ENTRIES),
        ("coco_map", coco_map::ENTRIES),
        ("count", count::ENTRIES),
        ("crimson", crimson::ENTRIES),
        ("entry", &[]),
        ("exact_match", exact_match::ENTRIES),
        ("green", green::ENTRIES),
        ("lesions", lesions::ENTRIES),
        ("mask_overlap", mask_overlap::ENTRIES),
        ("medval", medval::ENTRIES),
        ("meteor", meteor::ENTRIES),
        ("nltk_words", &[]),
        ("points", points::ENTRIES),
        ("porter", &[]),
        ("punkt", &[]),
        ("radcliq", radcliq::ENTRIES),
        ("radeval", radeval::ENTRIES),
        ("radfact", radfact::ENTRIES),
        ("radgraph", radgraph::ENTRIES),
        ("ratescore", ratescore::ENTRIES),
        ("region", &[]),
        ("report_cleaners", &[]),
        ("report_headings", &[]),
        ("report_sections", &[]),
        ("rouge", rouge::ENTRIES),
        ("surface", surface::ENTRIES),
        ("surface_table", &[]),
        ("texts", &[]),
        ("token_f1", token_f1::ENTRIES),
        ("vqa_normal", &[]),
        ("wordnet", &[]),
        ("words", &[]),
    ],
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_file_is_listed_and_every_name_is_unique() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics");
        loupe_testing::assert_table_is_folder(&folder, METRICS.files.iter().map(|(file, _)| file));
        let names: Vec<&str> = METRICS.names().collect();
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len());
    }
}
