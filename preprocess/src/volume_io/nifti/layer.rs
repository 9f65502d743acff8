//! Files that hold several masks of one volume, counted by their first axis (F, X, Y, Z), as ReXGroundingCT has them.

use super::affine::{self, Xform};
use super::header::{FORMAT, field, parse};
use crate::volume_facts::VolumeFacts;
use crate::volume_io::elements::{Layout, is_gzip, plausible, read_voxels, skip, verify};
use crate::volume_io::read::ReadVolume;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::volume::{Modality, Volume};
use ndarray::Array3;
use std::collections::BTreeMap;

/// Reads layer `layer` of the bytes of a single file. One of three axes has a single layer. The affine is that of the header,
/// which says nothing sure about a volume whose axes are not its first three.
///
/// # Errors
/// When there is no such layer, a header field breaks the format, data are missing, or a limit is met.
pub fn read_layer(bytes: &[u8], layer: usize, limits: &DecodeLimits) -> Result<ReadVolume, MediaError> {
    let (header, mut rest) = parse(bytes)?;
    if !header.single_file {
        return Err(field("magic", "is that of a .hdr file; layers are read from a single file"));
    }
    let (layers, [columns, rows, slices]) = match header.frames {
        1 => (1, header.size),
        slices => (header.size[0], [header.size[1], header.size[2], slices]),
    };
    if layer >= layers {
        return Err(MediaError::View(format!(
            "layer {layer} was asked for, but the file of masks has {layers} (counted from 0)"
        )));
    }
    limits.pixels(&[layers as u64, columns as u64, rows as u64, slices as u64])?;
    let plane = columns * rows;
    let all = limits.memory(layers * plane, slices.saturating_mul(header.element.size()))? as u64;
    limits.together(&[
        (bytes.len(), 1),
        (plane * slices, size_of::<f32>()),
        (layers * plane, size_of::<f32>()),
    ])?;
    plausible(header.data_offset.saturating_add(all), bytes.len(), is_gzip(bytes), FORMAT)?;
    let mut notes = header.notes.clone();
    let lps_from_index = affine::lps_from_index(&header, Xform::default(), &mut notes)?;
    let layout = Layout {
        element: header.element,
        big_endian: header.big_endian,
        slope: header.slope,
        inter: header.inter,
    };
    skip(&mut rest, header.data_offset.saturating_sub(header.bytes_read as u64), FORMAT)?;
    let mut values = Vec::with_capacity(plane * slices);
    for _ in 0..slices {
        let of_all = read_voxels(&mut rest, layers * plane, layout, FORMAT, limits)?;
        values.extend(of_all.into_iter().skip(layer).step_by(layers));
    }
    verify(&mut rest, FORMAT, limits)?;
    let voxels =
        Array3::from_shape_vec((slices, rows, columns), values).map_err(|e| field("dim", &e.to_string()))?;
    Ok(ReadVolume {
        volume: Volume { voxels, lps_from_index, modality: Modality::Other },
        frames: 1,
        facts: VolumeFacts::of_window(None),
        stored_type: header.element.name(),
        label_names: BTreeMap::new(),
        notes,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    /// A NIfTI-1 file of bytes with these axes.
    fn file(dim: &[i16], voxels: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0u8; 352];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &348i32.to_le_bytes());
        put(40, &(dim.len() as i16).to_le_bytes());
        for (n, side) in dim.iter().enumerate() {
            put(42 + 2 * n, &side.to_le_bytes());
        }
        put(70, &2i16.to_le_bytes());
        put(72, &8i16.to_le_bytes());
        (0..8).for_each(|n| put(76 + 4 * n, &1f32.to_le_bytes()));
        put(108, &352f32.to_le_bytes());
        put(254, &1i16.to_le_bytes());
        for n in 0..3 {
            put(280 + 16 * n + 4 * n, &1f32.to_le_bytes());
        }
        put(344, b"n+1\0");
        bytes.extend_from_slice(voxels);
        bytes
    }

    #[test]
    fn a_layer_is_every_voxel_of_its_number_along_the_first_axis() {
        // Two layers of 3 × 2 × 2 voxels: the value says layer, x, y and z.
        let mut voxels = Vec::new();
        for z in 0..2u8 {
            for y in 0..2u8 {
                for x in 0..3u8 {
                    voxels.extend((0..2u8).map(|f| 100 * f + 10 * x + 4 * y + z));
                }
            }
        }
        let bytes = file(&[2, 3, 2, 2], &voxels);
        let limits = DecodeLimits::default();
        for layer in 0..2 {
            let read = read_layer(&bytes, layer, &limits).unwrap();
            assert_eq!(read.volume.voxels.dim(), (2, 2, 3));
            for ((z, y, x), value) in read.volume.voxels.indexed_iter() {
                assert_eq!(*value, (100 * layer + 10 * x + 4 * y + z) as f32);
            }
        }
        let none = read_layer(&bytes, 2, &limits).unwrap_err().to_string();
        assert!(none.contains("layer 2") && none.contains("has 2"), "{none}");
        assert!(read_layer(&bytes[..bytes.len() - 1], 0, &limits).is_err());
        // A single mask needs no axis for its number.
        let single = read_layer(&file(&[3, 1, 1], &[0, 1, 0]), 0, &limits).unwrap();
        assert_eq!(single.volume.voxels.dim(), (1, 1, 3));
        assert!(read_layer(&file(&[3, 1, 1], &[0, 1, 0]), 1, &limits).is_err());
    }
}
