//! Many comparisons at once.

/// Holm's (1979) step-down adjustment: family-wise error. NaN stays NaN and does not count.
pub fn holm(p: &[f64]) -> Vec<f64> {
    adjust(p, |rank, m| (m - rank) as f64, true)
}

/// Benjamini and Hochberg (1995): false discovery rate. NaN stays NaN and does not count.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    adjust(p, |rank, m| m as f64 / (rank + 1) as f64, false)
}

fn adjust(p: &[f64], factor: impl Fn(usize, usize) -> f64, step_down: bool) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| !p[i].is_nan()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let m = order.len();
    let mut adjusted: Vec<f64> =
        order.iter().enumerate().map(|(rank, &i)| (p[i] * factor(rank, m)).min(1.0)).collect();
    if step_down {
        for i in 1..m {
            adjusted[i] = adjusted[i].max(adjusted[i - 1]);
        }
    } else {
        for i in (1..m).rev() {
            adjusted[i - 1] = adjusted[i - 1].min(adjusted[i]);
        }
    }
    let mut out = p.to_vec();
    for (i, value) in order.into_iter().zip(adjusted) {
        out[i] = value;
    }
    out
}
