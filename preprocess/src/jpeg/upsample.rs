//! Subsampled components at full size, as libjpeg's `jdsample.c` makes them: a triangle filter for factors of
//! two, repetition otherwise. Factors are whole: others are refused with the frame header. Sums of 12-bit samples just fit into 16 bits.

use super::frame::{Component, Frame};
use loupe_core::limits::filled;
use loupe_core::media::MediaError;

/// Room for a line on its way.
pub(super) struct Scratch {
    sums: Vec<u16>,
    wide: Vec<u16>,
}

impl Scratch {
    pub(super) fn new(c: &Component, frame: &Frame) -> Result<Self, MediaError> {
        Ok(Self { sums: filled(c.width, 0)?, wide: filled(frame.width.max(2 * c.width), 0)? })
    }
}

/// Rows of a component, `stride` samples each, from the one before `first` on.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) samples: &'a [u16],
    pub(super) stride: usize,
    pub(super) first: usize,
}

impl<'a> Rows<'a> {
    fn row(self, y: usize, width: usize) -> &'a [u16] {
        let at = (y + 1).saturating_sub(self.first) * self.stride;
        self.samples.get(at..at + width).unwrap_or_default()
    }

    /// Line `y` of the picture.
    pub(super) fn line(self, y: usize, c: &Component, frame: &Frame, scratch: &'a mut Scratch) -> &'a [u16] {
        let (fx, fy) = (frame.h_max / c.h.max(1), frame.v_max / c.v.max(1));
        if (c.width, c.height) == (frame.width, frame.height) && (fx, fy) == (1, 1) {
            return self.row(y, c.width);
        }
        let row = |y| self.row(y, c.width);
        let last = c.height.saturating_sub(1);
        let smooth = c.width > 2;
        let arch = pulp::Arch::new();
        let Scratch { sums, wide } = scratch;
        match (smooth, fx, fy) {
            (true, 2, 1) => arch.dispatch(Doubled { from: row(y), out: wide, bits: 2, bias: [1, 2] }),
            (_, 1 | 2, 2) if smooth || fx == 1 => {
                let near = row(y / 2);
                let far =
                    row(if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { (y / 2 + 1).min(last) });
                arch.dispatch(Between { near, far, out: sums });
                if fx == 1 {
                    let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                    wide.iter_mut().zip(sums).for_each(|(o, s)| *o = (*s + bias) >> 2);
                } else {
                    arch.dispatch(Doubled { from: sums, out: wide, bits: 4, bias: [8, 7] });
                }
            }
            _ => {
                let from = row((y * c.v / frame.v_max).min(last));
                let pick = |x: usize| from.get((x * c.h / frame.h_max).min(c.width.saturating_sub(1)));
                wide.iter_mut().enumerate().for_each(|(x, o)| *o = pick(x).copied().unwrap_or(0));
            }
        }
        wide.get(..frame.width).unwrap_or_default()
    }
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
        // Three slices of one length, which the compiler makes vectors of.
        if let ([_, right @ ..], [_, inner @ ..]) = (from, &mut *pairs) {
            let own = right.get(..right.len().saturating_sub(1)).unwrap_or_default();
            let right = right.get(1..).unwrap_or_default();
            for (((o, left), own), right) in inner.iter_mut().zip(from).zip(own).zip(right) {
                *o = pair(*left, *own, *right);
            }
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
        let samples = rows.concat();
        let line = |y: usize| {
            let mut scratch = Scratch::new(&c, &frame).unwrap();
            Rows { samples: &samples, stride: 4, first: 1 }.line(y, &c, &frame, &mut scratch).to_vec()
        };
        (0..height).flat_map(line).collect()
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
