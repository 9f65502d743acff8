//! A picture made grey and put into the middle of a black square, of at least the side that the network reads, which is
//! then scaled: `MedCLIPFeatureExtractor`.

use crate::processors::sliver::refuse_sliver;
use crate::processors::square::Square;
use loupe_core::Picture;

/// Brightness as Pillow has it ("L", ITU-R 601-2 in 16-bit fixed point).
fn grey(picture: &Picture) -> Vec<u8> {
    if picture.channels() == 1 {
        return picture.pixels().to_vec();
    }
    let weighed = |[r, g, b]: &[u8; 3]| {
        (u32::from(*r) * 19_595 + u32::from(*g) * 38_470 + u32::from(*b) * 7_471 + 0x8000) >> 16
    };
    picture.pixels().as_chunks().0.iter().map(|pixel| weighed(pixel) as u8).collect()
}

/// Its values plane after plane, (3, side, side), the three alike.
pub(crate) fn planes(picture: &Picture, square: &Square) -> Result<Vec<f32>, String> {
    let (width, height) = (picture.width(), picture.height());
    refuse_sliver(width, height)?;
    let side = square.side.max(width).max(height);
    let bytes = side.checked_mul(side).ok_or("the square around the picture has too many pixels")?;
    let mut out = Vec::new();
    out.try_reserve_exact(bytes).map_err(|_| {
        format!("{width} × {height} pixels in a square need {bytes} bytes, which cannot be had")
    })?;
    out.resize(bytes, 0u8);
    let (left, above) = ((side - width) / 2, (side - height) / 2);
    for (line, row) in out.chunks_exact_mut(side).skip(above).zip(grey(picture).chunks_exact(width)) {
        line[left..][..width].copy_from_slice(row);
    }
    square.planes(&Picture::new(side, side, 1, out).map_err(|e| e.to_string())?)
}
