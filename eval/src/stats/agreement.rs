//! Agreement of two labellings.

/// Cohen's (1960) κ of two labellings of the same items; `None` when undefined.
pub fn kappa<T: Ord>(a: &[T], b: &[T]) -> Option<f64> {
    let counts = count(a, b)?;
    let n = a.len() as f64;
    let observed = counts.iter().map(|c| c.both).sum::<f64>() / n;
    let chance = counts.iter().map(|c| c.a * c.b).sum::<f64>() / (n * n);
    (chance < 1.0).then(|| (observed - chance) / (1.0 - chance))
}

/// F1 of the labels of `predicted` against `gold`: `(macro, weighted by gold)`, as scikit-learn's
/// `f1_score`; `None` of nothing.
pub fn f1<T: Ord>(gold: &[T], predicted: &[T]) -> Option<(f64, f64)> {
    let counts = count(gold, predicted)?;
    let f1 = |c: &Count| if c.a + c.b > 0.0 { 2.0 * c.both / (c.a + c.b) } else { 0.0 };
    let plain = counts.iter().map(f1).sum::<f64>() / counts.len() as f64;
    let weighted = counts.iter().map(|c| f1(c) * c.a).sum::<f64>() / gold.len() as f64;
    Some((plain, weighted))
}

#[derive(Default)]
struct Count {
    a: f64,
    b: f64,
    both: f64,
}

fn count<T: Ord>(a: &[T], b: &[T]) -> Option<Vec<Count>> {
    if a.is_empty() || a.len() != b.len() {
        return None;
    }
    let mut labels: Vec<&T> = a.iter().chain(b).collect();
    labels.sort();
    labels.dedup();
    let tally = |label: &T| {
        let mut c = Count::default();
        for (x, y) in a.iter().zip(b) {
            let (in_a, in_b) = (x == label, y == label);
            c.a += f64::from(in_a);
            c.b += f64::from(in_b);
            c.both += f64::from(in_a && in_b);
        }
        c
    };
    Some(labels.into_iter().map(tally).collect())
}
