//! Bilinear resizing of mask logits as `torch.nn.functional.interpolate(mode="bilinear",
//! align_corners=False)`: half-pixel centres, edges repeated, no antialiasing.

use rayon::prelude::*;

/// A row-major plane of `f32`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<f32>,
}

/// Left neighbour, right neighbour and the share of the right one for every output position.
pub(super) fn taps(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|n| {
            let at = ((n as f32 + 0.5) * scale - 0.5).max(0.0);
            let left = (at as usize).min(from - 1);
            (left, (left + 1).min(from - 1), at - left as f32)
        })
        .collect()
}

impl Plane {
    /// The plane at another size; sides must not be zero.
    pub(crate) fn resized(&self, width: usize, height: usize) -> Plane {
        let (columns, rows) = (taps(self.width, width), taps(self.height, height));
        let mut values = vec![0f32; width * height];
        values.par_chunks_mut(width).zip(&rows).for_each(|(out, &(top, bottom, down))| {
            let top = &self.values[top * self.width..(top + 1) * self.width];
            let bottom = &self.values[bottom * self.width..(bottom + 1) * self.width];
            for (value, &(left, right, along)) in out.iter_mut().zip(&columns) {
                let above = (1.0 - along) * top[left] + along * top[right];
                let below = (1.0 - along) * bottom[left] + along * bottom[right];
                *value = (1.0 - down) * above + down * below;
            }
        });
        Plane { width, height, values }
    }

    /// The top left part of the plane.
    pub(crate) fn cropped(&self, width: usize, height: usize) -> Plane {
        let (width, height) = (width.min(self.width), height.min(self.height));
        let values =
            self.values.chunks(self.width).take(height).flat_map(|row| &row[..width]).copied().collect();
        Plane { width, height, values }
    }
}
