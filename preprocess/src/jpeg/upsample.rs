//! Subsampled components at full size, as libjpeg's `jdsample.c` makes them: a triangle filter for factors of
//! two, repetition otherwise. Factors are whole: others are refused with the frame header. Sums of 12-bit samples just fit into 16 bits.

use super::frame::{Component, Frame};
use loupe_core::limits::filled;
use loupe_core::media::MediaError;

/// Samples of a component, `stride` a row, at the size of the frame.
///
/// # Errors
/// When there is no memory.
pub(super) fn full_size(
    mut samples: Vec<u16>,
    stride: usize,
    c: &Component,
    frame: &Frame,
) -> Result<Vec<u16>, MediaError> {
    let (fx, fy) = (frame.h_max / c.h.max(1), frame.v_max / c.v.max(1));
    if (c.width, c.height) == (frame.width, frame.height) && (fx, fy) == (1, 1) {
        // Without the padding to whole MCUs.
        if stride > c.width {
            for y in 1..c.height {
                samples.copy_within(y * stride..y * stride + c.width, y * c.width);
            }
        }
        samples.truncate(c.width * c.height);
        return Ok(samples);
    }
    let row = |y: usize| samples.get(y * stride..y * stride + c.width).unwrap_or_default();
    let last = c.height.saturating_sub(1);
    let smooth = c.width > 2;
    let arch = pulp::Arch::new();
    let (mut sums, mut wide) = (vec![0; c.width], vec![0; 2 * c.width]);
    let mut out = filled(frame.width * frame.height, 0)?;
    for (y, line) in out.chunks_exact_mut(frame.width.max(1)).enumerate() {
        match (smooth, fx, fy) {
            (true, 2, 1) => {
                arch.dispatch(Doubled { from: row(y), out: &mut wide, bits: 2, bias: [1, 2] });
                fill(line, &wide);
            }
            (_, 1 | 2, 2) if smooth || fx == 1 => {
                let near = row(y / 2);
                let far = row(if y % 2 == 0 { (y / 2).saturating_sub(1) } else { (y / 2 + 1).min(last) });
                arch.dispatch(Between { near, far, out: &mut sums });
                if fx == 1 {
                    let bias = if y % 2 == 0 { 1 } else { 2 };
                    line.iter_mut().zip(&sums).for_each(|(o, s)| *o = (s + bias) >> 2);
                } else {
                    arch.dispatch(Doubled { from: &sums, out: &mut wide, bits: 4, bias: [8, 7] });
                    fill(line, &wide);
                }
            }
            _ => {
                let from = row((y / fy.max(1)).min(last));
                line.chunks_mut(fx.max(1)).zip(from).for_each(|(same, v)| same.fill(*v));
            }
        }
    }
    Ok(out)
}

fn fill(line: &mut [u16], from: &[u16]) {
    line.iter_mut().zip(from).for_each(|(o, v)| *o = *v);
}

/// Three parts of the nearer row and one of the farther.
struct Between<'a> {
    near: &'a [u16],
    far: &'a [u16],
    out: &'a mut [u16],
}

impl pulp::WithSimd for Between<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for ((o, near), far) in self.out.iter_mut().zip(self.near).zip(self.far) {
            *o = near.wrapping_mul(3).wrapping_add(*far);
        }
    }
}

/// Two samples for each, three parts of it and one of the neighbour on that side (itself at the ends).
struct Doubled<'a> {
    from: &'a [u16],
    out: &'a mut [u16],
    bits: u32,
    /// Added before the shift, on the left and on the right.
    bias: [u16; 2],
}

impl pulp::WithSimd for Doubled<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { from, out, bits, bias: [left_bias, right_bias] } = self;
        let pair = |left: u16, own: u16, right: u16| {
            let own = own.wrapping_mul(3);
            [
                own.wrapping_add(left).wrapping_add(left_bias) >> bits,
                own.wrapping_add(right).wrapping_add(right_bias) >> bits,
            ]
        };
        let pairs = out.as_chunks_mut::<2>().0;
        for (o, three) in pairs.iter_mut().skip(1).zip(from.windows(3)) {
            *o = pair(three[0], three[1], three[2]);
        }
        let n = from.len();
        if let (&[a, b, ..], Some(o)) = (from, pairs.first_mut()) {
            *o = pair(a, a, b);
        }
        if let (&[.., a, b], Some(o)) = (from, pairs.get_mut(n.wrapping_sub(1))) {
            *o = pair(a, b, b);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::super::frame::Kind;
    use super::*;

    /// A component of `rows` (three samples a row and one of padding) in a frame of `size` with `factors` times as many samples.
    fn full(rows: &[[u16; 4]], factors: [usize; 2], [width, height]: [usize; 2]) -> Vec<u16> {
        let c = Component { h: 1, v: 1, width: 3, height: rows.len(), ..Component::default() };
        let (h_max, v_max) = (factors[0], factors[1]);
        let frame = Frame {
            kind: Kind::Sequential,
            precision: 8,
            width,
            height,
            components: Vec::new(),
            h_max,
            v_max,
        };
        full_size(rows.concat(), 4, &c, &frame).unwrap()
    }

    #[test]
    fn factors_of_three_and_four_repeat_samples() {
        const ROWS: [[u16; 4]; 2] = [[10, 20, 30, 99], [40, 50, 60, 99]];
        let wide = [[10, 10, 10, 20, 20, 20, 30, 30], [40, 40, 40, 50, 50, 50, 60, 60]];
        assert_eq!(full(&ROWS, [3, 1], [8, 2]), wide.concat());
        let high = [[10, 20, 30], [10, 20, 30], [10, 20, 30], [40, 50, 60], [40, 50, 60]];
        assert_eq!(full(&ROWS, [1, 3], [3, 5]), high.concat());
        let both = [
            [10, 10, 10, 10, 20, 20, 20, 20, 30],
            [10, 10, 10, 10, 20, 20, 20, 20, 30],
            [40, 40, 40, 40, 50, 50, 50, 50, 60],
        ];
        assert_eq!(full(&ROWS, [4, 2], [9, 3]), both.concat());
    }

    #[test]
    fn factors_of_two_weigh_neighbours_by_three_and_one() {
        let flat = full(&[[10, 20, 30, 99]], [2, 1], [6, 1]);
        assert_eq!(flat, [10, 13, 17, 23, 27, 30]);
        let high = full(&[[10, 20, 30, 99], [50, 60, 70, 99]], [1, 2], [3, 4]);
        assert_eq!(high, [10, 20, 30, 20, 30, 40, 40, 50, 60, 50, 60, 70]);
    }
}
