//! Agreement of two readers on categories: Cohen's κ, and κ with weights for categories in order.

use loupe_eval::stats::agreement;
use serde::Serialize;

/// How much a disagreement counts by the distance of the categories' places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// All disagreements alike (Cohen 1960).
    None,
    /// In proportion to the distance (Cicchetti and Allison 1971).
    Linear,
    /// By the squared distance (Fleiss and Cohen 1973).
    Quadratic,
}

/// κ of the pairs (first reader's category, second's), categories numbered 0 to `categories` − 1 in their order.
/// Cohen (1968): 1 − Σ w·observed / Σ w·expected. `None` of nothing, or where chance alone agrees always.
pub fn kappa(pairs: &[(usize, usize)], categories: usize, weights: Weights) -> Option<f64> {
    let (a, b): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
    if weights == Weights::None {
        return agreement::kappa(&a, &b);
    }
    let weight = |i: usize, j: usize| {
        let distance = i.abs_diff(j) as f64;
        if weights == Weights::Linear { distance } else { distance * distance }
    };
    let n = pairs.len() as f64;
    let counted = |of: &[usize]| {
        let mut counts = vec![0.0; categories];
        for &category in of {
            if let Some(count) = counts.get_mut(category) {
                *count += 1.0;
            }
        }
        counts
    };
    let (rows, columns) = (counted(&a), counted(&b));
    let observed: f64 = pairs.iter().map(|&(i, j)| weight(i, j)).sum::<f64>() / n;
    let mut expected = 0.0;
    for (i, row) in rows.iter().enumerate() {
        for (j, column) in columns.iter().enumerate() {
            expected += weight(i, j) * row * column / (n * n);
        }
    }
    (expected > 0.0).then(|| 1.0 - observed / expected)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const A: [usize; 10] = [0, 1, 2, 2, 1, 0, 3, 3, 2, 1];
    const B: [usize; 10] = [0, 1, 1, 2, 2, 0, 3, 2, 2, 0];

    #[test]
    fn equals_scikit_learn() {
        let pairs: Vec<_> = A.into_iter().zip(B).collect();
        for (weights, want) in
            [(Weights::None, 0.459_459), (Weights::Linear, 0.649_123), (Weights::Quadratic, 0.809_524)]
        {
            let got = kappa(&pairs, 4, weights).unwrap();
            assert!((got - want).abs() < 5e-7, "{weights:?}: {got}");
        }
    }

    #[test]
    fn is_undefined_where_chance_alone_agrees() {
        assert_eq!(kappa(&[(1, 1), (1, 1)], 3, Weights::None), None);
        assert_eq!(kappa(&[(1, 1), (1, 1)], 3, Weights::Quadratic), None);
        assert_eq!(kappa(&[], 3, Weights::Linear), None);
    }

    #[test]
    fn weights_make_no_difference_for_two_categories() {
        let pairs = [(0, 0), (0, 1), (1, 1), (1, 1), (1, 0), (0, 0)];
        let plain = kappa(&pairs, 2, Weights::None).unwrap();
        assert!((kappa(&pairs, 2, Weights::Quadratic).unwrap() - plain).abs() < 1e-12);
    }
}
