//! Longest distances between the places where a mask ends.

use std::collections::BTreeMap;

/// The places half-way between a covered cell and an uncovered neighbour along the first `axes` axes, in
/// cells: the vertices of the mask's surface mesh.
pub(crate) fn ends(
    cells: impl Iterator<Item = [i64; 3]>,
    covered: impl Fn([i64; 3]) -> bool,
    axes: usize,
) -> Vec<[f64; 3]> {
    let mut out = Vec::new();
    for cell in cells {
        for axis in 0..axes {
            for step in [-1, 1] {
                let mut near = cell;
                near[axis] += step;
                if !covered(near) {
                    let mut end = cell.map(|c| c as f64);
                    end[axis] += step as f64 / 2.0;
                    out.push(end);
                }
            }
        }
    }
    out
}

/// Points by the plane across `axis` that they lie in, in half cells.
pub(crate) fn by_plane(
    points: impl IntoIterator<Item = [f64; 3]>,
    axis: usize,
) -> BTreeMap<i64, Vec<[f64; 3]>> {
    let mut planes: BTreeMap<i64, Vec<[f64; 3]>> = BTreeMap::new();
    for p in points {
        planes.entry((p[axis] * 2.0) as i64).or_default().push(p);
    }
    planes
}

/// The greatest distance between two of the points after `mm`, an affine map; 0 for none. The two
/// are corners of the convex hull, so corners of every plane cut that holds them: all else is dropped
/// before pairs are tried.
pub(crate) fn longest(mut points: Vec<[f64; 3]>, mm: impl Fn([f64; 3]) -> [f64; 3]) -> f64 {
    for axis in (0..3).rev() {
        let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
        points = by_plane(points, axis).into_values().flat_map(|cut| hull(cut, u, v)).collect();
    }
    let points: Vec<[f64; 3]> = points.into_iter().map(mm).collect();
    let mut most = 0.0f64;
    for (n, a) in points.iter().enumerate() {
        for b in points.iter().skip(n + 1) {
            most = most.max((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2));
        }
    }
    most.sqrt()
}

/// Corners of the convex hull in the coordinates `u` and `v` (Andrew 1979).
fn hull(mut points: Vec<[f64; 3]>, u: usize, v: usize) -> Vec<[f64; 3]> {
    points.sort_by(|a, b| a[u].total_cmp(&b[u]).then(a[v].total_cmp(&b[v])));
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let turn = |a: &[f64; 3], b: &[f64; 3], c: &[f64; 3]| {
        (b[u] - a[u]) * (c[v] - a[v]) - (b[v] - a[v]) * (c[u] - a[u])
    };
    let half = |points: &mut dyn Iterator<Item = &[f64; 3]>| {
        let mut chain: Vec<[f64; 3]> = Vec::new();
        for p in points {
            while let [.., a, b] = chain.as_slice()
                && turn(a, b, p) <= 0.0
            {
                chain.pop();
            }
            chain.push(*p);
        }
        chain.pop();
        chain
    };
    let mut all = half(&mut points.iter());
    all.extend(half(&mut points.iter().rev()));
    all
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Dropping all but hull corners changes no diameter.
        #[test]
        fn the_hull_holds_the_longest_pair(cells in proptest::collection::vec((0i64..7, 0i64..7, 0i64..7), 1..40), skew in -1.0f64..1.0) {
            let cells: Vec<[i64; 3]> = cells.into_iter().map(|(a, b, c)| [a, b, c]).collect();
            let all = ends(cells.iter().copied(), |cell| cells.contains(&cell), 3);
            let mm = |p: [f64; 3]| [p[0] + skew * p[1], 0.7 * p[1], 3.0 * p[2]];
            let mapped: Vec<[f64; 3]> = all.iter().copied().map(mm).collect();
            let most = mapped.iter().flat_map(|a| mapped.iter().map(move |b| {
                ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2)).sqrt()
            })).fold(0.0, f64::max);
            prop_assert!((longest(all, mm) - most).abs() < 1e-9);
        }
    }
}
