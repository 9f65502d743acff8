//! Outlines of masks along pixel edges.

use loupe_core::Mask;
use std::collections::BTreeMap;

type Corner = (usize, usize);

/// The closed outlines of a mask in continuous pixel edges, corners only: around covered parts
/// clockwise on the screen, around holes the other way. Parts that touch at a corner are apart, so
/// filling the outlines gives the mask again.
pub fn outlines(mask: &Mask) -> Vec<Vec<[f64; 2]>> {
    // Edges with the covered pixel on their right hand, by where they start; two at most.
    let mut edges: BTreeMap<Corner, Vec<Corner>> = BTreeMap::new();
    let mut add = |from: Corner, to: Corner| edges.entry(from).or_default().push(to);
    for y in 0..mask.height() {
        for x in 0..mask.width() {
            if !mask.get(x, y) {
                continue;
            }
            if y == 0 || !mask.get(x, y - 1) {
                add((x, y), (x + 1, y));
            }
            if !mask.get(x + 1, y) {
                add((x + 1, y), (x + 1, y + 1));
            }
            if !mask.get(x, y + 1) {
                add((x + 1, y + 1), (x, y + 1));
            }
            if x == 0 || !mask.get(x - 1, y) {
                add((x, y + 1), (x, y));
            }
        }
    }
    let mut found = Vec::new();
    while let Some((&start, _)) = edges.first_key_value() {
        let mut corners = Vec::new();
        let (mut at, mut before) = (start, None);
        while let Some(next) = take(&mut edges, at, before) {
            let direction = step(at, next);
            if before != Some(direction) {
                corners.push([at.0 as f64, at.1 as f64]);
            }
            (at, before) = (next, Some(direction));
        }
        // The walk starts at an upper left corner of the outline, which is always a turn.
        found.push(corners);
    }
    found
}

fn step(from: Corner, to: Corner) -> (i8, i8) {
    let sign = |a: usize, b: usize| match b.cmp(&a) {
        std::cmp::Ordering::Less => -1,
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Greater => 1,
    };
    (sign(from.0, to.0), sign(from.1, to.1))
}

/// Takes the edge that starts at `at`; of two, the one that turns right, so that corners do not join.
fn take(edges: &mut BTreeMap<Corner, Vec<Corner>>, at: Corner, before: Option<(i8, i8)>) -> Option<Corner> {
    let starting = edges.get_mut(&at)?;
    let right = before.map(|(dx, dy)| (-dy, dx));
    let chosen = starting.iter().position(|to| Some(step(at, *to)) == right).unwrap_or(0);
    let to = starting.swap_remove(chosen);
    if starting.is_empty() {
        edges.remove(&at);
    }
    Some(to)
}

/// Area inside an outline in square pixels: positive around covered parts, negative around holes.
pub fn signed_area_px(outline: &[[f64; 2]]) -> f64 {
    let next = outline.iter().cycle().skip(1);
    outline.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f64>() / 2.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use proptest::prelude::*;

    fn drawn(rows: &[&str]) -> Mask {
        let bits = rows.iter().flat_map(|r| r.chars().map(|c| c == '#')).collect();
        Mask::new(rows[0].len(), rows.len(), bits).unwrap()
    }

    #[test]
    fn a_frame_has_an_outer_and_an_inner_outline() {
        let all = outlines(&drawn(&["###.", "#.#.", "###."]));
        assert_eq!(all.len(), 2);
        assert_eq!(all[0], [[0., 0.], [3., 0.], [3., 3.], [0., 3.]]);
        assert_eq!(all.iter().map(|o| signed_area_px(o)).collect::<Vec<_>>(), [9.0, -1.0]);
    }

    #[test]
    fn parts_that_touch_at_a_corner_are_apart() {
        let all = outlines(&drawn(&["#.", ".#"]));
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|o| signed_area_px(o) == 1.0));
        assert!(outlines(&Mask::empty(3, 2)).is_empty());
    }

    proptest! {
        /// A pixel is covered exactly when the outlines wind around its centre.
        #[test]
        fn filling_the_outlines_gives_the_mask(w in 1usize..9, h in 1usize..9, seed in any::<u64>()) {
            let bit = |n: usize| (seed.rotate_left((n % 64) as u32) ^ (n as u64).wrapping_mul(0x9E37_79B9)) & 3 != 0;
            let mask = Mask::new(w, h, (0..w * h).map(bit).collect()).unwrap();
            let all = outlines(&mask);
            for y in 0..h {
                for x in 0..w {
                    let (px, py) = (x as f64 + 0.5, y as f64 + 0.5);
                    // Vertical edges to the right of the centre: downwards +1, upwards −1.
                    let winding: i32 = all.iter().map(|o| {
                        o.iter().zip(o.iter().cycle().skip(1)).map(|(a, b)| {
                            if a[0] == b[0] && a[0] > px && a[1].min(b[1]) < py && py < a[1].max(b[1]) {
                                if b[1] > a[1] { 1 } else { -1 }
                            } else {
                                0
                            }
                        }).sum::<i32>()
                    }).sum();
                    prop_assert_eq!(winding, i32::from(mask.get(x, y)));
                }
            }
            let area: f64 = all.iter().map(|o| signed_area_px(o)).sum();
            prop_assert_eq!(area, mask.area_px() as f64);
        }
    }
}
