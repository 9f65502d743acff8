//! Subsampled components at full size, as libjpeg's `jdsample.c` makes them: a triangle filter for factors of
//! two, repetition otherwise. Sums of 12-bit samples just fit into 16 bits.

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
        let smooth = c.width > 2 && frame.h_max.is_multiple_of(c.h) && frame.v_max.is_multiple_of(c.v);
        let arch = pulp::Arch::new();
        let Scratch { sums, wide } = scratch;
        match (smooth, fx, fy) {
            (true, 2, 1) => arch.dispatch(Doubled { from: row(y), out: wide, bits: 2, bias: [1, 2] }),
            (_, 1 | 2, 2) if smooth || fx == 1 => {
                let near = row(y / 2);
                let far = row(if y % 2 == 0 { (y / 2).saturating_sub(1) } else { (y / 2 + 1).min(last) });
                arch.dispatch(Between { near, far, out: sums });
                if fx == 1 {
                    let bias = if y % 2 == 0 { 1 } else { 2 };
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
