//! Siemens mosaics: the slices of a volume as tiles of one picture.
//!
//! The number of tiles and the slice normal are in Siemens' private CSA header; the
//! stored position is that of a single slice's field of view centred in the mosaic (the correction is
//! nibabel's `MosaicWrapper.image_position`, the header's layout its `csareader`).

use crate::dicom::format::Format;
use crate::dicom::geometry::FramePlane;
use loupe_core::geometry::{Lps, dot};
use loupe_core::media::MediaError;
use loupe_dicom::object::{Dataset, malformed};
use loupe_dicom::{private, tags};

/// A mosaic's layout.
pub(super) struct Mosaic {
    /// Tiles in use.
    pub count: usize,
    /// Rows and columns of a tile.
    pub size: [usize; 2],
    first: FramePlane,
    step: Lps,
}

impl Mosaic {
    /// The layout, when the image is a mosaic.
    ///
    /// # Errors
    /// When it says that it is one but not how: read as one slice it would lie in the wrong place.
    pub(super) fn read(data: &Dataset, format: &Format) -> Result<Option<Self>, MediaError> {
        let kind = data.text(tags::IMAGE_TYPE).unwrap_or_default();
        if !kind.split('\\').any(|part| part == "MOSAIC") {
            return Ok(None);
        }
        let unknown =
            || malformed(tags::IMAGE_TYPE, "MOSAIC, but without Siemens' headers that say its layout");
        Self::layout(data, format).map(Some).ok_or_else(unknown)
    }

    fn layout(data: &Dataset, format: &Format) -> Option<Self> {
        let header = private::tag(data, 0x0029, "SIEMENS CSA HEADER", 0x10).and_then(|tag| data.bytes(tag));
        let count = header
            .and_then(|bytes| private::csa(bytes, "NumberOfImagesInMosaic"))
            .and_then(|entry| entry.numbers.first().copied())
            .or_else(|| data.number(private::tag(data, 0x0019, "SIEMENS MR HEADER", 0x0A)?))?;
        if !(1.0..=4096.0).contains(&count) {
            return None;
        }
        let count = count as usize;
        let side = (count as f64).sqrt().ceil() as usize;
        let size = [format.rows / side, format.columns / side];
        if size.contains(&0) {
            return None;
        }
        let mut first = FramePlane::read(data, 0)?;
        let (step_i, step_j) = first.steps();
        let shift = [(format.columns - size[1]) as f64 / 2.0, (format.rows - size[0]) as f64 / 2.0];
        first.position = [0, 1, 2].map(|a| first.position[a] + step_i[a] * shift[0] + step_j[a] * shift[1]);
        let mut normal = first.normal();
        let entry = header.and_then(|b| private::csa(b, "SliceNormalVector"));
        if let Some(&[x, y, z]) = entry.as_ref().map(|entry| entry.numbers.as_slice())
            && dot(normal, [x, y, z]) < 0.0
        {
            normal = normal.map(|v| -v);
        }
        let gap = data.number(tags::SPACING_BETWEEN_SLICES).or_else(|| data.number(tags::SLICE_THICKNESS))?;
        Some(Self { count, size, first, step: normal.map(|v| v * gap) })
    }

    /// Where a tile lies.
    pub(super) fn plane(&self, tile: usize) -> FramePlane {
        let position = [0, 1, 2].map(|a| self.first.position[a] + self.step[a] * tile as f64);
        FramePlane { position, ..self.first }
    }
}

/// The values of one tile.
pub(super) fn cut<T: Copy>(values: &[T], format: &Format, tile: usize, size: [usize; 2]) -> Vec<T> {
    let across = (format.columns / size[1].max(1)).max(1);
    let (top, left) = (tile / across * size[0], tile % across * size[1]);
    (top..top + size[0])
        .flat_map(|row| {
            let start = row * format.columns + left;
            values.get(start..start + size[1]).unwrap_or_default().iter().copied()
        })
        .collect()
}
