//! CheXbert agreement from imported annotations: 14 observations a report, each blank (0), positive
//! (1), negative (2) or uncertain (3) as CheXbert numbers them (Smit et al. 2020), and cosine of the
//! embeddings.

use super::entry::Entry;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed(
        "chexbert_f1_micro_14",
        "f1chexbert: positive or uncertain against the rest, 14 observations, micro",
        "share",
        true,
    ),
    Entry::typed("chexbert_f1_macro_14", "as chexbert_f1_micro_14, macro", "share", true),
    Entry::typed(
        "chexbert_f1_weighted_14",
        "as chexbert_f1_micro_14, weighted by the reference's positives",
        "share",
        true,
    ),
    Entry::typed("chexbert_f1_micro_5", "as chexbert_f1_micro_14, five common observations", "share", true),
    Entry::typed("chexbert_f1_macro_5", "as chexbert_f1_macro_14, five common observations", "share", true),
    Entry::typed(
        "chexbert_similarity",
        "CXR-Report-Metric semb_score: cosine of the embeddings",
        "cosine",
        true,
    ),
];

/// The observations, in CheXbert's order.
pub const OBSERVATIONS: [&str; 14] = [
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
];

/// Cardiomegaly, edema, consolidation, atelectasis, pleural effusion.
pub const FIVE: [usize; 5] = [1, 4, 5, 7, 9];

/// Labels of one report.
pub type Labels = [u8; 14];

/// F1 over a set of reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct F1 {
    /// Over all decisions.
    pub micro: f64,
    /// Mean over observations.
    pub macro_: f64,
    /// Mean over observations, weighted by the positives of the reference.
    pub weighted: f64,
}

/// F1 of reference and answer labels over some observations; positive and uncertain count as
/// present. An observation that neither has scores 0, as scikit-learn's `zero_division` default does.
pub fn f1(pairs: &[(Labels, Labels)], observations: &[usize]) -> F1 {
    let present = |label: u8| matches!(label, 1 | 3);
    let (mut all, mut by) = ([0usize; 3], Vec::new());
    for &o in observations {
        let mut counts = [0usize; 3];
        for (wanted, given) in pairs {
            let (w, g) =
                (wanted.get(o).is_some_and(|l| present(*l)), given.get(o).is_some_and(|l| present(*l)));
            counts[0] += usize::from(w && g);
            counts[1] += usize::from(w);
            counts[2] += usize::from(g);
        }
        (0..3).for_each(|i| all[i] += counts[i]);
        by.push(counts);
    }
    let score = |[both, wanted, given]: [usize; 3]| {
        if wanted + given == 0 { 0.0 } else { 2.0 * both as f64 / (wanted + given) as f64 }
    };
    let n = by.len().max(1) as f64;
    let support = all[1].max(1) as f64;
    F1 {
        micro: score(all),
        macro_: by.iter().map(|c| score(*c)).sum::<f64>() / n,
        weighted: by.iter().map(|c| score(*c) * c[1] as f64).sum::<f64>() / support,
    }
}

/// Cosine of two embeddings; `None` for different lengths or a zero vector.
pub fn similarity(reference: &[f64], answer: &[f64]) -> Option<f64> {
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let norms = norm(reference) * norm(answer);
    let dot: f64 = reference.iter().zip(answer).map(|(a, b)| a * b).sum();
    (reference.len() == answer.len() && norms > 0.0).then(|| dot / norms)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn averages_as_scikit_learn_has_them() {
        let labels = |on: &[usize]| {
            let mut l = [0u8; 14];
            on.iter().for_each(|o| l[*o] = 1);
            l
        };
        let pairs =
            [(labels(&[1, 4]), labels(&[1])), (labels(&[1]), labels(&[4])), (labels(&[9]), labels(&[9]))];
        let got = f1(&pairs, &FIVE);
        // Cardiomegaly 1 of 2 and 1 given, edema 0 of 1 and 1 given, effusion 1 of 1.
        assert!((got.micro - 4.0 / 7.0).abs() < 1e-12);
        assert!((got.macro_ - (2.0 / 3.0 + 1.0) / 5.0).abs() < 1e-12);
        assert!((got.weighted - (2.0 / 3.0 * 2.0 + 1.0) / 4.0).abs() < 1e-12);
        assert_eq!(similarity(&[1.0, 0.0], &[1.0, 0.0]), Some(1.0));
        assert_eq!(similarity(&[0.0], &[1.0]), None);
    }
}
