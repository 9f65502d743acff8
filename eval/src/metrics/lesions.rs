//! Lesion-wise counts: connected parts found, missed and invented.

use super::entry::Entry;
use super::region::Region;
use std::collections::HashMap;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed(
        "lesion_f1",
        "parts joined by faces, edges or corners; found = IoU with a part above the limit",
        "share",
        true,
    ),
    Entry::typed("lesion_recall", "share of reference parts found", "share", true),
    Entry::typed("lesion_false", "answer parts that meet no reference part", "count", false),
];

/// Counts of connected parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lesions {
    /// Reference parts with an answer part that overlaps enough.
    pub found: usize,
    /// Reference parts without one.
    pub missed: usize,
    /// Answer parts that overlap no reference part enough.
    pub invented: usize,
}

impl Lesions {
    /// F1 of the counts; 1 when there was nothing to find and nothing was claimed.
    pub fn f1(&self) -> f64 {
        let all = 2 * self.found + self.missed + self.invented;
        if all == 0 { 1.0 } else { 2.0 * self.found as f64 / all as f64 }
    }
}

/// Counts parts of two masks. A part is met when the IoU with a part of the other mask is above
/// `above_iou` (0: a single shared cell suffices). `None` for grids of different shapes.
pub fn count<const N: usize>(reference: &Region<N>, answer: &Region<N>, above_iou: f64) -> Option<Lesions> {
    if reference.shape() != answer.shape() {
        return None;
    }
    let ((wanted, n_wanted), (given, n_given)) = (reference.parts(), answer.parts());
    let mut shared: HashMap<(u32, u32), usize> = HashMap::new();
    let (mut size_w, mut size_g) = (vec![0usize; n_wanted as usize + 1], vec![0usize; n_given as usize + 1]);
    for (w, g) in wanted.iter().zip(&given) {
        size_w[*w as usize] += 1;
        size_g[*g as usize] += 1;
        if *w > 0 && *g > 0 {
            *shared.entry((*w, *g)).or_insert(0) += 1;
        }
    }
    let (mut met_w, mut met_g) = (vec![false; size_w.len()], vec![false; size_g.len()]);
    for ((w, g), both) in shared {
        let (w, g) = (w as usize, g as usize);
        if both as f64 / (size_w[w] + size_g[g] - both) as f64 > above_iou {
            (met_w[w], met_g[g]) = (true, true);
        }
    }
    let found = met_w.iter().filter(|m| **m).count();
    let answered = met_g.iter().filter(|m| **m).count();
    Some(Lesions { found, missed: n_wanted as usize - found, invented: n_given as usize - answered })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    fn drawn(rows: &[&str]) -> Region<2> {
        let bits = rows.iter().flat_map(|r| r.chars().map(|c| c == '#')).collect();
        Region::new([rows.len(), rows[0].len()], bits).unwrap()
    }

    #[test]
    fn parts_touching_at_a_corner_are_one() {
        let reference = drawn(&["##..#", "..#..", "....#"]);
        let answer = drawn(&["#....", ".....", "##..."]);
        assert_eq!(reference.parts().1, 3);
        let any = count(&reference, &answer, 0.0).unwrap();
        assert_eq!(any, Lesions { found: 1, missed: 2, invented: 1 });
        assert_eq!(count(&reference, &answer, 0.5).unwrap().found, 0);
        assert_eq!(count(&drawn(&["."]), &drawn(&["."]), 0.0).unwrap().f1(), 1.0);
    }
}
