//! What RadEval (jbdel/RadEval e0a3909) computes through networks that loupe does not have, imported study by study under RadEval's names; and
//! which metrics here its other names stand for.

use super::entry::Entry;
use super::radcliq;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed("radeval_bertscore", "RadEval do_radeval_bertscore, imported", "share", true),
    Entry::typed("srrbert_weighted_f1", "RadEval do_srrbert, imported", "share", true),
    Entry::typed("temporal_f1", "RadEval do_temporal, imported", "share", true),
    Entry::typed("mammo_green", "RadEval do_mammo_green, imported", "share", true),
    Entry::typed(
        "f1radbert_ct_sample_acc",
        "RadEval do_f1radbert_ct of single reports, imported",
        "share",
        true,
    ),
    Entry::typed("radfact_ct_f1", "RadEval do_radfact_ct of single reports, imported", "share", true),
];

/// What a name of RadEval stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RadEvalName {
    /// Metrics of words here, computed in their own conventions.
    Words(&'static [&'static str]),
    /// Figures from these fields of the annotations.
    Annotated(&'static [&'static str]),
}

/// Every name, as RadEval's options (`do_NAME`) and its results have it.
pub const NAMES: [(&str, RadEvalName); 28] = [
    ("bleu", RadEvalName::Words(&["bleu4_coco"])),
    ("bleu_1", RadEvalName::Words(&["bleu1_coco"])),
    ("bleu_2", RadEvalName::Words(&["bleu2_coco"])),
    ("bleu_3", RadEvalName::Words(&["bleu3_coco"])),
    ("rouge", RadEvalName::Words(&["rouge1_stem", "rouge2_stem", "rouge_l_stem"])),
    ("rougeL", RadEvalName::Words(&["rouge_l_stem"])),
    ("bertscore", RadEvalName::Words(&["bertscore_f1"])),
    ("f1chexbert", RadEvalName::Annotated(&["chexbert"])),
    ("radgraph", RadEvalName::Annotated(&["radgraph"])),
    ("radgraph_simple", RadEvalName::Annotated(&["radgraph"])),
    ("radgraph_partial", RadEvalName::Annotated(&["radgraph"])),
    ("radgraph_complete", RadEvalName::Annotated(&["radgraph"])),
    ("radgraph_radcliq", RadEvalName::Annotated(&["radgraph"])),
    ("radcliq", RadEvalName::Annotated(radcliq::FIELDS)),
    ("radcliq_v1", RadEvalName::Annotated(radcliq::FIELDS)),
    ("ratescore", RadEvalName::Annotated(&["ratescore"])),
    ("green", RadEvalName::Annotated(&["green"])),
    ("crimson", RadEvalName::Annotated(&["crimson"])),
    ("medval", RadEvalName::Annotated(&["medval"])),
    ("radfact", RadEvalName::Annotated(&["radfact"])),
    ("radeval_bertscore", RadEvalName::Annotated(&["radeval"])),
    ("srrbert", RadEvalName::Annotated(&["radeval"])),
    ("srrbert_weighted_f1", RadEvalName::Annotated(&["radeval"])),
    ("temporal", RadEvalName::Annotated(&["radeval"])),
    ("temporal_f1", RadEvalName::Annotated(&["radeval"])),
    ("mammo_green", RadEvalName::Annotated(&["radeval"])),
    ("f1radbert_ct", RadEvalName::Annotated(&["radeval"])),
    ("radfact_ct", RadEvalName::Annotated(&["radeval"])),
];

/// What this name of RadEval stands for, with or without its `do_`.
pub fn radeval_name(name: &str) -> Option<RadEvalName> {
    let name = name.strip_prefix("do_").unwrap_or(name);
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::metrics::METRICS;

    #[test]
    fn names_stand_for_metrics_that_there_are() {
        for (name, what) in NAMES {
            if let RadEvalName::Words(own) = what {
                assert!(own.iter().all(|own| METRICS.get(own).is_some()), "{name}");
            }
        }
        assert_eq!(radeval_name("do_bleu"), Some(RadEvalName::Words(&["bleu4_coco"])));
        assert_eq!(radeval_name("bleu1_coco"), None);
    }
}
