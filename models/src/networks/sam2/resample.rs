//! Resizing of float planes as `torch.nn.functional.interpolate` does it on the processor.

use crate::networks::sam::upsample::Plane;

/// `mode="bicubic", align_corners=False`: a square of `from` to a square of `to` values; kernel of
/// Keys (1981) with a = -0.75, edges repeated, no antialiasing.
pub(crate) fn bicubic(values: &[f32], from: usize, to: usize) -> Vec<f32> {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let scale = from as f32 / to as f32;
    let taps: Vec<[(usize, f32); 4]> = (0..to)
        .map(|n| {
            let at = scale * (n as f32 + 0.5) - 0.5;
            let base = at.floor();
            let t = at - base;
            let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
            [0usize, 1, 2, 3].map(|k| {
                let place = (base as i64 - 1 + k as i64).clamp(0, from as i64 - 1);
                (place as usize, weights[k])
            })
        })
        .collect();
    let line = |row: usize, columns: &[(usize, f32); 4]| -> f32 {
        columns.iter().map(|&(column, weight)| values[row * from + column] * weight).sum()
    };
    let value = |rows: &[(usize, f32); 4], columns: &[(usize, f32); 4]| -> f32 {
        rows.iter().map(|&(row, weight)| line(row, columns) * weight).sum()
    };
    taps.iter().flat_map(|rows| taps.iter().map(|columns| value(rows, columns)).collect::<Vec<_>>()).collect()
}

/// `mode="bilinear", antialias=True`: the triangle is as wide as an output pixel when shrinking;
/// columns first, then rows.
pub(crate) fn shrunk(plane: &Plane, width: usize, height: usize) -> Plane {
    let columns = triangle(plane.width, width);
    let rows = triangle(plane.height, height);
    let narrow: Vec<f32> = plane
        .values
        .chunks_exact(plane.width.max(1))
        .flat_map(|line| columns.iter().map(|(from, weights)| weighted(&line[*from..], weights)))
        .collect();
    let mut values = Vec::with_capacity(width * height);
    for (from, weights) in &rows {
        for column in 0..width {
            let mut sum = 0f32;
            for (n, weight) in weights.iter().enumerate() {
                sum += narrow[(from + n) * width + column] * weight;
            }
            values.push(sum);
        }
    }
    Plane { width, height, values }
}

fn weighted(line: &[f32], weights: &[f32]) -> f32 {
    line.iter().zip(weights).map(|(v, w)| v * w).sum()
}

/// First source pixel and weights for every output pixel.
fn triangle(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f32 / to as f32;
    let support = scale.max(1.0);
    (0..to)
        .map(|n| {
            let centre = scale * (n as f32 + 0.5);
            let first = ((centre - support + 0.5) as i64).max(0);
            let end = ((centre + support + 0.5) as i64).min(from as i64);
            let weight = |at: i64| (1.0 - ((at as f32 - centre + 0.5) / support).abs()).max(0.0);
            let weights: Vec<f32> = (first..end).map(weight).collect();
            let total: f32 = weights.iter().sum();
            (first as usize, weights.iter().map(|w| w / total).collect())
        })
        .collect()
}
