//! The exact Euclidean distance transform on a grid with spacing (Felzenszwalb and Huttenlocher
//! 2012: lower envelopes of parabolas, one axis after the other).

/// Step from a cell to the next along each axis, last axis fastest.
pub fn strides<const N: usize>(shape: [usize; N]) -> [usize; N] {
    let mut out = [1usize; N];
    for axis in (0..N.saturating_sub(1)).rev() {
        out[axis] = out[axis + 1] * shape[axis + 1];
    }
    out
}

/// Distance in mm from the centre of every cell to the nearest cell that is `true`; infinite when
/// there is none. `spacing_mm` is the step along each axis.
pub fn distance_mm<const N: usize>(shape: [usize; N], targets: &[bool], spacing_mm: [f64; N]) -> Vec<f64> {
    let mut squared: Vec<f64> = targets.iter().map(|t| if *t { 0.0 } else { f64::INFINITY }).collect();
    let steps = strides(shape);
    for axis in 0..N {
        let (n, step) = (shape[axis], steps[axis]);
        let mut line = vec![0.0; n];
        let mut envelope = Envelope::default();
        for start in 0..squared.len() {
            // Cells whose index along this axis is 0 begin a line.
            if n == 0 || !(start / step).is_multiple_of(n) {
                continue;
            }
            for (i, value) in line.iter_mut().enumerate() {
                *value = squared[start + i * step];
            }
            envelope.of(&line, spacing_mm[axis]);
            for i in 0..n {
                squared[start + i * step] = envelope.at(i, &line, spacing_mm[axis]);
            }
        }
    }
    squared.into_iter().map(f64::sqrt).collect()
}

/// The lowest parabolas over a line.
#[derive(Default)]
struct Envelope {
    /// Cell in which each parabola stands.
    roots: Vec<usize>,
    /// Place from which it is the lowest.
    from: Vec<f64>,
    /// The one that was lowest at the last place asked for.
    now: usize,
}

impl Envelope {
    fn of(&mut self, line: &[f64], step: f64) {
        self.roots.clear();
        self.from.clear();
        self.now = 0;
        for (q, value) in line.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let x = q as f64 * step;
            let mut start = f64::NEG_INFINITY;
            while let (Some(&root), Some(&from)) = (self.roots.last(), self.from.last()) {
                let r = root as f64 * step;
                let meet = ((value + x * x) - (line[root] + r * r)) / (2.0 * (x - r));
                if meet > from {
                    start = meet;
                    break;
                }
                self.roots.pop();
                self.from.pop();
            }
            self.roots.push(q);
            self.from.push(start);
        }
    }

    /// The squared distance at cell `i`; cells are asked for in ascending order.
    fn at(&mut self, i: usize, line: &[f64], step: f64) -> f64 {
        let x = i as f64 * step;
        while self.from.get(self.now + 1).is_some_and(|f| *f < x) {
            self.now += 1;
        }
        self.roots.get(self.now).map_or(f64::INFINITY, |&root| {
            let d = (i as f64 - root as f64) * step;
            line[root] + d * d
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    /// The place of cell number `at`.
    fn unravel<const N: usize>(mut at: usize, shape: [usize; N]) -> [usize; N] {
        let mut place = [0; N];
        for axis in (0..N).rev() {
            place[axis] = at % shape[axis].max(1);
            at /= shape[axis].max(1);
        }
        place
    }

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_near_as_trying_every_cell(
            shape in [1usize..6, 1usize..7, 1usize..8],
            spacing in [0.3..4.0f64, 0.3..4.0f64, 0.3..4.0f64],
            seed in proptest::collection::vec(0u8..6, 210),
        ) {
            let cells: usize = shape.iter().product();
            let targets: Vec<bool> = seed[..cells].iter().map(|s| *s == 0).collect();
            let got = distance_mm(shape, &targets, spacing);
            for (at, got) in got.iter().enumerate() {
                let here = unravel(at, shape);
                let expected = (0..cells)
                    .filter(|t| targets[*t])
                    .map(|t| {
                        let there = unravel(t, shape);
                        (0..3).map(|a| ((here[a] as f64 - there[a] as f64) * spacing[a]).powi(2)).sum::<f64>().sqrt()
                    })
                    .fold(f64::INFINITY, f64::min);
                prop_assert!(*got == expected || (got - expected).abs() < 1e-9, "{got} {expected}");
            }
        }
    }
}
