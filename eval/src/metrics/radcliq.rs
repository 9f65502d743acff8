//! RadCliQ v0 and v1 (Yu et al. 2023): a linear model of four scores, with the coefficients published
//! in CXR-Report-Metric (commit 9c9ecad). It predicts a number of errors, so less is better.

use super::entry::Entry;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed("radcliq_v0", "CXR-Report-Metric, RadCliQ-v0", "errors", false),
    Entry::typed("radcliq_v1", "CXR-Report-Metric, RadCliQ-v1", "score", false),
];

/// The fields of imported annotations that the four scores are made of.
pub const FIELDS: &[&str] = &["radgraph", "chexbert_embedding", "bertscore", "bleu2"];

/// The four scores of a report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts {
    /// [`radgraph::combined`](super::radgraph::combined).
    pub radgraph_combined: f64,
    /// BERTScore F1 (distilroberta-base, rescaled with baseline), imported.
    pub bertscore: f64,
    /// Cosine of the CheXbert embeddings, imported.
    pub chexbert_similarity: f64,
    /// BLEU-2.
    pub bleu2: f64,
}

struct Linear {
    mean: [f64; 4],
    scale: [f64; 4],
    weights: [f64; 4],
    constant: f64,
}

const V0: Linear = Linear {
    mean: [
        0.539_837_601_908_227_2,
        0.631_254_959_500_000_1,
        0.771_679_786_667_227_7,
        0.460_737_206_480_960_5,
    ],
    scale: [
        0.301_834_444_055_910_2,
        0.224_669_507_461_411_23,
        0.247_503_338_052_362_52,
        0.303_366_709_360_922_64,
    ],
    weights: [
        -0.479_625_264_486_344_6,
        -0.676_217_054_236_933_7,
        -0.463_665_751_617_519_94,
        0.216_586_190_528_753_5,
    ],
    constant: 1.641_666_666_666_666,
};

const V1: Linear = Linear {
    mean: [
        0.537_923_124_135_576_2,
        0.617_572_562_812_500_1,
        0.764_794_212_114_065_8,
        0.447_383_353_962_421_74,
    ],
    scale: [
        0.302_825_841_148_642_9,
        0.224_309_384_593_045_75,
        0.253_943_911_016_977_3,
        0.298_927_167_104_183_8,
    ],
    weights: [
        -0.377_083_682_610_389_05,
        -0.370_300_099_744_803_16,
        -0.252_616_217_895_932_25,
        4.315_048_405_024_756e-12,
    ],
    constant: 2.466_552_561_323_256e-10,
};

impl Linear {
    fn at(&self, parts: Parts) -> f64 {
        let values = [parts.radgraph_combined, parts.bertscore, parts.chexbert_similarity, parts.bleu2];
        let sum: f64 = (0..4).map(|i| (values[i] - self.mean[i]) / self.scale[i] * self.weights[i]).sum();
        sum + self.constant
    }
}

/// RadCliQ-v0.
pub fn v0(parts: Parts) -> f64 {
    V0.at(parts)
}

/// RadCliQ-v1.
pub fn v1(parts: Parts) -> f64 {
    V1.at(parts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    /// Values of scikit-learn with the published scaler and model.
    #[test]
    fn equal_to_the_published_models() {
        let all = |v| Parts { radgraph_combined: v, bertscore: v, chexbert_similarity: v, bleu2: v };
        for (parts, expected) in [
            (all(1.0), [-0.24213342294409346, -1.4406902828047017]),
            (
                Parts { radgraph_combined: 0.25, bertscore: 0.5, chexbert_similarity: 0.75, bleu2: 0.1 },
                [2.280352580397155, 0.5673375560094999],
            ),
        ] {
            assert!((v0(parts) - expected[0]).abs() < 1e-12, "{}", v0(parts));
            assert!((v1(parts) - expected[1]).abs() < 1e-12, "{}", v1(parts));
        }
    }
}
