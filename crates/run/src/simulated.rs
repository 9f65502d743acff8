//! Prompts for segmenters, simulated from the reference mask as the papers do.

use loupe_core::distance;
use loupe_core::{Box2, Given, Mask, Point2, SegmentPrompt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How a prompt is made from a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Simulated {
    /// The pixel deepest inside; of several, the first by rows.
    Centre,
    /// A pixel of the mask drawn at random (SAM-Med2D's first point).
    Inside,
    /// The tight box (SAM's and SAM-Med2D's evaluation).
    Box,
    /// The tight box moved by up to half of its shorter side and at most 5 pixels each way, as
    /// `get_boxes_from_mask` of SAM-Med2D does in training.
    JitteredBox,
}

impl Simulated {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("centre", Self::Centre),
        ("inside", Self::Inside),
        ("box", Self::Box),
        ("jittered-box", Self::JitteredBox),
    ];

    /// The one of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|(_, s)| *s)
    }

    /// The prompt for `mask`; the same for the same seed and `id`, whatever else is asked. `None` for
    /// an empty mask.
    pub fn prompt(self, mask: &Mask, seed: u64, id: &str) -> Option<SegmentPrompt> {
        let tight = mask.bounding_box()?;
        let point = |n: usize| {
            let (x, y) = (n % mask.width(), n / mask.width());
            SegmentPrompt::Point { at: Point2::new(x as f64 + 0.5, y as f64 + 0.5), positive: true }
        };
        let mut draws = Draws::new(seed, id);
        Some(match self {
            Self::Centre => point(deepest(mask)?),
            Self::Inside => {
                let nth = draws.below(mask.area_px() as u64) as usize;
                point(mask.bits().iter().enumerate().filter(|(_, b)| **b).map(|(n, _)| n).nth(nth)?)
            }
            Self::Box => SegmentPrompt::Box(tight),
            Self::JitteredBox => SegmentPrompt::Box(jittered(tight, &mut draws)),
        })
    }
}

/// The covered pixel with the greatest distance to what is not covered; outside the picture nothing is.
fn deepest(mask: &Mask) -> Option<usize> {
    let (w, h) = (mask.width() + 2, mask.height() + 2);
    let free = |n: usize| {
        let (x, y) = (n % w, n / w);
        x == 0 || y == 0 || !mask.get(x - 1, y - 1)
    };
    let free: Vec<bool> = (0..w * h).map(free).collect();
    let far = distance::distance_mm([h, w], &free, [1.0, 1.0]);
    let covered = mask.bits().iter().enumerate().filter(|(_, b)| **b).map(|(n, _)| n);
    let depth = |n: usize| far.get((n / mask.width() + 1) * w + n % mask.width() + 1).copied().unwrap_or(0.0);
    covered.reduce(|best, n| if depth(n) > depth(best) { n } else { best })
}

fn jittered(tight: Box2<Given>, draws: &mut Draws) -> Box2<Given> {
    let shorter = tight.width().min(tight.height());
    // A tenth of the shorter side as deviation, five deviations at most, and never above 5 pixels.
    let most = ((shorter * 0.1 * 5.0) as u64).min(5);
    let mut shift = || if most == 0 { 0.0 } else { draws.below(2 * most) as f64 - most as f64 };
    let (dx, dy) = (shift(), shift());
    Box2::new(tight.x0 + dx, tight.y0 + dy, tight.x1 + dx, tight.y1 + dy)
}

/// Whole numbers from a seed and an id (SplitMix64, Steele et al. 2014).
struct Draws(u64);

impl Draws {
    fn new(seed: u64, id: &str) -> Self {
        let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(id.as_bytes()).finalize();
        Self(digest.iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    /// Evenly from 0 to `bound` − 1; 0 for a bound of 0.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // Lemire 2019: the high word of the product; the bias is below 2⁻⁴⁰ for any picture.
        ((u128::from(z ^ (z >> 31)) * u128::from(bound)) >> 64) as u64
    }
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
    fn the_deepest_pixel_and_the_tight_box() {
        let mask = drawn(&["#....", ".###.", ".###.", ".###.", "....."]);
        let at = SegmentPrompt::Point { at: Point2::new(2.5, 2.5), positive: true };
        assert_eq!(Simulated::Centre.prompt(&mask, 0, "a"), Some(at));
        assert_eq!(Simulated::Box.prompt(&mask, 0, "a"), Some(SegmentPrompt::Box(Box2::new(0., 0., 4., 4.))));
        // The edge of the picture is an edge of the object.
        let full = drawn(&["###", "###", "###"]);
        let at = SegmentPrompt::Point { at: Point2::new(1.5, 1.5), positive: true };
        assert_eq!(Simulated::Centre.prompt(&full, 0, "a"), Some(at));
        assert_eq!(Simulated::Centre.prompt(&Mask::empty(3, 3), 0, "a"), None);
    }

    proptest! {
        #[test]
        fn drawn_prompts_stay_in_reach_and_follow_the_seed(w in 1usize..40, h in 1usize..40, seed in any::<u64>()) {
            let mask = Mask::new(w + 4, h + 4, (0..(w + 4) * (h + 4)).map(|n| {
                let (x, y) = (n % (w + 4), n / (w + 4));
                (2..w + 2).contains(&x) && (2..h + 2).contains(&y)
            }).collect()).unwrap();
            let again = |s: Simulated| (s.prompt(&mask, seed, "x"), s.prompt(&mask, seed, "x"));
            let (one, two) = again(Simulated::Inside);
            prop_assert_eq!(&one, &two);
            let Some(SegmentPrompt::Point { at, .. }) = one else { panic!() };
            prop_assert!(mask.get(at.x as usize, at.y as usize));
            let (one, two) = again(Simulated::JitteredBox);
            prop_assert_eq!(&one, &two);
            let Some(SegmentPrompt::Box(b)) = one else { panic!() };
            prop_assert_eq!((b.width(), b.height()), (w as f64, h as f64));
            prop_assert!((b.x0 - 2.0).abs() <= 5.0 && (b.y0 - 2.0).abs() <= 5.0);
        }
    }

    #[test]
    fn all_shifts_come_up() {
        let mask = drawn(&vec!["#".repeat(20).as_str(); 20]);
        let mut seen: Vec<i64> = (0..400)
            .filter_map(|seed| match Simulated::JitteredBox.prompt(&mask, seed, "x") {
                Some(SegmentPrompt::Box(b)) => Some(b.x0 as i64),
                _ => None,
            })
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (-5..5).collect::<Vec<_>>());
    }
}
