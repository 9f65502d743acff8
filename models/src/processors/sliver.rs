//! Pictures that are too elongated to be shown.

/// Longer over shorter side from which a picture is refused, as in `smart_resize` of Qwen. Elsewhere little of it would be
/// left, after it was made as long as that, or put into a square or on a grid of as many pixels.
const MOST_ASPECT: usize = 200;

/// Refuses a sliver, before its sides are divided or a grid is made of it.
///
/// # Errors
/// When the longer side is more than 200 times the shorter.
pub(crate) fn refuse_sliver(width: usize, height: usize) -> Result<(), String> {
    let (long, short) = (width.max(height), width.min(height));
    if short > 0 && long <= MOST_ASPECT.saturating_mul(short) {
        return Ok(());
    }
    Err(format!(
        "{width} × {height} pixels: the longer side may be up to {MOST_ASPECT} times the shorter; show a part of the picture, \
         or a picture with a margin"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn slivers_are_those_above_two_hundred_times() {
        for (width, height) in [(1, 1), (200, 1), (1, 200), (400, 2), (4000, 20)] {
            assert_eq!(refuse_sliver(width, height), Ok(()));
        }
        for (width, height) in [(201, 1), (1, 4000), (401, 2), (0, 0), (0, 5), (usize::MAX, 1)] {
            let problem = refuse_sliver(width, height).err().unwrap_or_default();
            assert!(problem.contains("up to 200 times"), "{width} × {height}: {problem}");
        }
    }
}
