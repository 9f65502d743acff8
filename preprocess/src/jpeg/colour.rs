//! The colours of libjpeg's `jdcolor.c`.

use std::num::Wrapping;

/// Full-range YCbCr to RGB in 16-bit fixed point.
#[inline(always)]
pub(crate) fn rgb_of_ycc(y: i32, cb: i32, cr: i32) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (cb, cr) = (cb - 128, cr - 128);
    let r = y + ((91_881 * cr + HALF) >> 16);
    let g = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16);
    let b = y + ((116_130 * cb + HALF) >> 16);
    [r, g, b].map(|v| v.clamp(0, 255) as u8)
}

/// [`rgb_of_ycc`] of a line of samples of 8 bits; `rgb` takes the colours one after the other.
pub(crate) fn rgb_line(components: [&[u16]; 3], rgb: [&mut [u8]; 3]) {
    pulp::Arch::new().dispatch(RgbLine { components, rgb });
}

struct RgbLine<'a> {
    components: [&'a [u16]; 3],
    rgb: [&'a mut [u8]; 3],
}

impl pulp::WithSimd for RgbLine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let ([y, cb, cr], [r, g, b]) = (self.components, self.rgb);
        let samples = y.iter().zip(cb).zip(cr);
        for (((r, g), b), ((y, cb), cr)) in r.iter_mut().zip(g).zip(b).zip(samples) {
            [*r, *g, *b] = narrow_rgb(*y, *cb, *cr);
        }
    }
}

/// The same as [`rgb_of_ycc`] with numbers of 16 bits alone, of which twice as many fit into a register: each factor
/// is a multiple of 256 and a rest, and what is beyond whole numbers in it is added apart (91 881 is 65 536 + 103 · 256
/// − 23).
#[inline(always)]
fn narrow_rgb(y: u16, cb: u16, cr: u16) -> [u8; 3] {
    let number = |v: u16| Wrapping(v as i16);
    let (y, cb, cr) = (number(y), number(cb) - Wrapping(128), number(cr) - Wrapping(128));
    let times = |v: Wrapping<i16>, factor: i16| v * Wrapping(factor);
    let rounded = |whole: Wrapping<i16>, rest: Wrapping<i16>| (whole + (rest >> 8) + Wrapping(128)) >> 8;
    let r = y + cr + rounded(times(cr, 103), times(cr, -23));
    let g = y - cr + rounded(times(cb, -88) + times(cr, 73), times(cb, -26) + times(cr, 46));
    let b = y + cb + cb + rounded(times(cb, -58), times(cb, -94));
    [r, g, b].map(|v| v.0.clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_numbers_give_the_same_colours() {
        for (cb, cr) in (0..256).flat_map(|cb| (0..256).map(move |cr| (cb, cr))) {
            for y in [0, 1, 77, 128, 200, 254, 255] {
                let want = rgb_of_ycc(y, cb, cr);
                assert_eq!(narrow_rgb(y as u16, cb as u16, cr as u16), want, "{y} {cb} {cr}");
            }
        }
    }
}
