//! Do confidences mean anything? Pairs of (confidence from 0 to 1, was the answer right?).

use serde::{Deserialize, Serialize};

/// Calibration errors over equal-width bins that include their upper edge (Guo et al. 2017).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error: mean gap weighted by the bins' share.
    pub ece: f64,
    /// Root mean square gap.
    pub rms: f64,
    /// Largest gap.
    pub mce: f64,
}

/// A bin of a reliability diagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Number of items.
    pub n: usize,
    /// Mean confidence.
    pub confidence: f64,
    /// Share that is right.
    pub accuracy: f64,
}

/// The bins of a reliability diagram, bin i holding confidences in (i/bins, (i+1)/bins]; 0 is in the first.
pub fn reliability(pairs: &[(f64, bool)], bins: usize) -> Vec<Bin> {
    let mut sums = vec![Bin::default(); bins];
    for &(confidence, right) in pairs.iter().filter(|(c, _)| c.is_finite()) {
        let at = ((confidence * bins as f64).ceil() as usize).saturating_sub(1).min(bins.saturating_sub(1));
        if let Some(bin) = sums.get_mut(at) {
            bin.n += 1;
            bin.confidence += confidence;
            bin.accuracy += f64::from(right);
        }
    }
    for bin in sums.iter_mut().filter(|b| b.n > 0) {
        bin.confidence /= bin.n as f64;
        bin.accuracy /= bin.n as f64;
    }
    sums
}

/// Calibration errors with that many bins; `None` of nothing.
pub fn errors(pairs: &[(f64, bool)], bins: usize) -> Option<Calibration> {
    of_bins(&reliability(pairs, bins))
}

/// Calibration errors as torchmetrics has them (`norm` l1, l2 and max): bins hold their lower edge,
/// and confidences and edges are of single precision, so that values on an edge change bins. Equal to
/// single precision.
pub fn errors_torchmetrics(pairs: &[(f64, bool)], bins: usize) -> Option<Calibration> {
    let mut sums = vec![Bin::default(); bins];
    let edges: Vec<f32> = (0..bins).map(|i| (i as f64 / bins as f64) as f32).collect();
    for &(confidence, right) in pairs.iter().filter(|(c, _)| c.is_finite()) {
        let single = confidence as f32;
        let at = edges.partition_point(|edge| *edge <= single).saturating_sub(1);
        if let Some(bin) = sums.get_mut(at) {
            bin.n += 1;
            bin.confidence += f64::from(single);
            bin.accuracy += f64::from(right);
        }
    }
    for bin in sums.iter_mut().filter(|b| b.n > 0) {
        bin.confidence /= bin.n as f64;
        bin.accuracy /= bin.n as f64;
    }
    of_bins(&sums)
}

fn of_bins(bins: &[Bin]) -> Option<Calibration> {
    let n: usize = bins.iter().map(|b| b.n).sum();
    (n > 0).then(|| {
        let gaps = || {
            bins.iter()
                .filter(|b| b.n > 0)
                .map(|b| (b.n as f64 / n as f64, (b.accuracy - b.confidence).abs()))
        };
        Calibration {
            ece: gaps().map(|(share, gap)| share * gap).sum(),
            rms: gaps().map(|(share, gap)| share * gap * gap).sum::<f64>().sqrt(),
            mce: gaps().map(|(_, gap)| gap).fold(0.0, f64::max),
        }
    })
}

/// Mean squared distance of confidence and outcome (Brier 1950); `None` of nothing.
pub fn brier(pairs: &[(f64, bool)]) -> Option<f64> {
    let squares: Vec<f64> = pairs.iter().map(|&(c, right)| (c - f64::from(right)).powi(2)).collect();
    super::mean(&squares)
}

/// Area under the ROC curve: the chance that a right answer has more confidence than a wrong one,
/// ties one half (Mann–Whitney). `None` when all are right or all wrong.
pub fn auroc(pairs: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut area) = (0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let right = tied.iter().filter(|p| p.1).count() as f64;
        let wrong = tied.len() as f64 - right;
        area += right * (below + wrong / 2.0);
        below += wrong;
    }
    let right = pairs.len() as f64 - below;
    (right > 0.0 && below > 0.0).then(|| area / (right * below))
}

/// Selective accuracy: `(coverage, accuracy)` when only the most confident share is answered. One
/// point after each group of equal confidences, the most confident first.
pub fn selective(pairs: &[(f64, bool)]) -> Vec<(f64, f64)> {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut seen, mut right) = (0.0, 0.0);
    let point = |tied: &[(f64, bool)]| {
        seen += tied.len() as f64;
        right += tied.iter().filter(|p| p.1).count() as f64;
        (seen / pairs.len() as f64, right / seen)
    };
    sorted.chunk_by(|a, b| a.0 == b.0).map(point).collect()
}
