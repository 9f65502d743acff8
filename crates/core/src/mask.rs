//! Binary masks on pictures and label maps on volumes.

use crate::geometry::{Box2, Given, LpsFromIndex, Point2};
use crate::picture::Origin;
use ndarray::Array3;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A binary mask in the pixel grid of the picture it was made for, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    width: usize,
    height: usize,
    bits: Vec<bool>,
}

impl Mask {
    /// A mask of `bits` in row order, or `None` when the length is not width × height.
    pub fn new(width: usize, height: usize, bits: Vec<bool>) -> Option<Self> {
        (width.checked_mul(height) == Some(bits.len())).then_some(Self { width, height, bits })
    }

    /// A mask that covers nothing.
    pub fn empty(width: usize, height: usize) -> Self {
        Self { width, height, bits: vec![false; width * height] }
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Row-order bits.
    pub fn bits(&self) -> &[bool] {
        &self.bits
    }

    /// True when the pixel in column `x` and row `y` is covered; false outside.
    pub fn get(&self, x: usize, y: usize) -> bool {
        x < self.width && y < self.height && self.bits[y * self.width + x]
    }

    /// The mask in pixels of the source of a picture with this origin: a source pixel is covered when its
    /// centre lies on a covered pixel of the picture. `None` when the picture has no way back.
    pub fn in_source(&self, origin: &Origin) -> Option<Self> {
        let self_from_source = origin.source_from_self.inverse()?;
        let [width, height] = origin.source_size;
        let centre = |n: usize| Point2::new((n % width) as f64 + 0.5, (n / width) as f64 + 0.5);
        let covered = |n: usize| {
            let at = self_from_source.point(centre(n));
            at.x >= 0.0 && at.y >= 0.0 && self.get(at.x as usize, at.y as usize)
        };
        Self::new(width, height, (0..width.checked_mul(height)?).map(covered).collect())
    }

    /// Covered pixels.
    pub fn area_px(&self) -> usize {
        self.bits.iter().filter(|&&b| b).count()
    }

    /// Shared pixels over covered pixels; 0 when both are empty or the sizes differ.
    pub fn iou(&self, other: &Self) -> f64 {
        if (self.width, self.height) != (other.width, other.height) {
            return 0.0;
        }
        let count = |both: fn(bool, bool) -> bool| {
            self.bits.iter().zip(&other.bits).filter(|(a, b)| both(**a, **b)).count() as f64
        };
        let union = count(|a, b| a || b);
        if union == 0.0 { 0.0 } else { count(|a, b| a && b) / union }
    }

    /// The tight box around the covered pixels in continuous edges, or `None` when empty.
    pub fn bounding_box(&self) -> Option<Box2<Given>> {
        let mut found: Option<(usize, usize, usize, usize)> = None;
        for (at, _) in self.bits.iter().enumerate().filter(|(_, b)| **b) {
            let (x, y) = (at % self.width, at / self.width);
            let (x0, y0, x1, y1) = found.unwrap_or((x, y, x, y));
            found = Some((x0.min(x), y0.min(y), x1.max(x), y1.max(y)));
        }
        found.map(|(x0, y0, x1, y1)| Box2::new(x0 as f64, y0 as f64, (x1 + 1) as f64, (y1 + 1) as f64))
    }
}

/// Whole-number labels on a voxel grid, 0 for background.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelVolume {
    /// Labels in (slice, row, column) order.
    pub labels: Array3<u16>,
    /// Voxel index (i, j, k) to patient mm.
    pub lps_from_index: LpsFromIndex,
    /// Names of the labels, where known.
    pub names: BTreeMap<u16, String>,
}

impl LabelVolume {
    /// The voxels, as (slice, row, column), whose centre `mask` covers. The mask is on the pixels of a picture
    /// with this origin; the voxels are those that the picture's *source* shows, each looked up where it lies in
    /// the patient, so flips, planes and stretching of what was shown do not matter. `None` when the origin has
    /// no place in the patient.
    pub fn covered(&self, origin: &Origin, mask: &Mask) -> Option<BTreeSet<[usize; 3]>> {
        let lps_from_source = origin.lps_from_source?;
        let self_from_source = origin.source_from_self.inverse()?;
        let [width, height] = origin.source_size;
        let (slices, rows, columns) = self.labels.dim();
        let fits = |v: f64, n: usize| v >= 0.0 && v < n as f64;
        let mut found = BTreeSet::new();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let pixel = Point2::new(x as f64 + 0.5, y as f64 + 0.5);
            let index = self.lps_from_index.index_of(lps_from_source.apply(pixel))?.map(f64::round);
            let [i, j, k] = index;
            if !(fits(i, columns) && fits(j, rows) && fits(k, slices)) {
                continue;
            }
            let centre = lps_from_source.position_of(self.lps_from_index.apply(index))?;
            let shown = self_from_source.point(centre);
            if shown.x >= 0.0 && shown.y >= 0.0 && mask.get(shown.x as usize, shown.y as usize) {
                found.insert([k as usize, j as usize, i as usize]);
            }
        }
        Some(found)
    }

    /// Gives the voxels that `mask` covers ([`LabelVolume::covered`]) the label `label`, and says how many
    /// there were.
    pub fn paint(&mut self, origin: &Origin, mask: &Mask, label: u16) -> Option<usize> {
        let covered = self.covered(origin, mask)?;
        for at in &covered {
            self.labels[*at] = label;
        }
        Some(covered.len())
    }
}

/// COCO's uncompressed run-length encoding: column-major runs, the first of zeros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rle {
    /// `[height, width]`, in COCO's order.
    pub size: [usize; 2],
    /// Lengths of alternating runs of 0 and 1 down the columns.
    pub counts: Vec<u32>,
}

impl Rle {
    /// The encoding of `mask`.
    pub fn of(mask: &Mask) -> Self {
        let mut counts = Vec::new();
        let (mut run, mut last) = (0u32, false);
        for x in 0..mask.width {
            for y in 0..mask.height {
                let bit = mask.bits[y * mask.width + x];
                if bit != last {
                    counts.push(run);
                    run = 0;
                    last = bit;
                }
                run += 1;
            }
        }
        counts.push(run);
        Self { size: [mask.height, mask.width], counts }
    }

    /// Most pixels that [`Rle::to_mask`] unpacks: a few written runs can claim any size.
    pub const MAX_PIXELS: usize = 1 << 28;

    /// The mask, or `None` when the runs do not fill the size exactly or the size is above
    /// [`Rle::MAX_PIXELS`].
    pub fn to_mask(&self) -> Option<Mask> {
        let [height, width] = self.size;
        let total: u64 = self.counts.iter().map(|&c| u64::from(c)).sum();
        let pixels = width.checked_mul(height)?;
        if pixels > Self::MAX_PIXELS || u64::try_from(pixels).ok()? != total {
            return None;
        }
        let mut mask = Mask::empty(width, height);
        let (mut at, mut bit) = (0usize, false);
        for &count in &self.counts {
            for n in at..at + count as usize {
                mask.bits[(n % height) * width + n / height] = bit;
            }
            at += count as usize;
            bit = !bit;
        }
        Some(mask)
    }
}
