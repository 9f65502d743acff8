//! NIfTI-1 files of label maps and volumes, for other tools to read.

use super::header::field;
use flate2::Compression;
use flate2::write::GzEncoder;
use loupe_core::geometry::{LpsFromIndex, cross, dot, norm};
use loupe_core::mask::LabelVolume;
use loupe_core::media::MediaError;
use loupe_core::volume::Volume;
use std::io::Write;

/// A gzipped NIfTI-1 file of the labels as uint16, with the volume's matrix as sform and as qform, so that
/// readers of either convention agree. A qform cannot say a shear (gantry tilt): it then has the slices above one
/// another along their normal, as ITK places the slices of such a series too, so that ITK opens the file
/// ([`shear_note`]).
///
/// # Errors
/// When a side is above 32 767 voxels, the most NIfTI-1 can say.
pub fn label_bytes(labels: &LabelVolume) -> Result<Vec<u8>, MediaError> {
    let (slices, rows, columns) = labels.labels.dim();
    let head = header([columns, rows, slices], 512, 16, &labels.lps_from_index)?;
    packed(&head, labels.labels.iter().flat_map(|v| v.to_le_bytes()))
}

/// As [`label_bytes`], of the voxels as float32.
///
/// # Errors
/// When a side is above 32 767 voxels.
pub fn volume_bytes(volume: &Volume) -> Result<Vec<u8>, MediaError> {
    let [slices, rows, columns] = volume.shape();
    let head = header([columns, rows, slices], 16, 32, &volume.lps_from_index)?;
    packed(&head, volume.voxels.iter().flat_map(|v| v.to_le_bytes()))
}

/// What has to be said of a file of sheared voxels; `None` for others.
pub fn shear_note(map: &LpsFromIndex) -> Option<String> {
    let tilt = map.tilt_degrees();
    (!is_square(map)).then(|| {
        format!(
            "the slices are tilted by {tilt:.2}°: the sform has them where they are; ITK (SimpleITK, 3D Slicer, \
             ITK-SNAP) reads the qform, which has them straight above one another, as it has the series itself; \
             --deskew resamples both"
        )
    })
}

/// Are the axes perpendicular?
fn is_square(map: &LpsFromIndex) -> bool {
    let units = [0, 1, 2].map(|a| {
        let c = map.column(a);
        let length = norm(c);
        c.map(|v| v / length)
    });
    [(0, 1), (0, 2), (1, 2)].iter().all(|&(a, b)| dot(units[a], units[b]).abs() < 1e-5)
}

/// The map with slices above one another along the normal of their plane, and rows at a right angle to columns.
fn straightened(map: &LpsFromIndex) -> LpsFromIndex {
    let (i, j, k) = (map.column(0), map.column(1), map.column(2));
    let unit = |v: [f64; 3]| v.map(|x| x / norm(v));
    let row = unit(i);
    let along = dot(j, row);
    let column = unit([0, 1, 2].map(|a| j[a] - along * row[a]));
    let normal = cross(row, column);
    let sign = if dot(k, normal) < 0.0 { -1.0 } else { 1.0 };
    let scaled = |v: [f64; 3], length: f64| v.map(|x| x * length);
    LpsFromIndex::from_columns(
        scaled(row, norm(i)),
        scaled(column, norm(j)),
        scaled(normal, sign * norm(k)),
        map.column(3),
    )
}

fn packed(head: &[u8], body: impl Iterator<Item = u8>) -> Result<Vec<u8>, MediaError> {
    let failed = |e: std::io::Error| MediaError::Io(e.kind().to_string());
    // No time stamp, so that equal volumes give equal files.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    gzip.write_all(head).map_err(failed)?;
    let mut block = Vec::with_capacity(1 << 16);
    for byte in body {
        block.push(byte);
        if block.len() == 1 << 16 {
            gzip.write_all(&block).map_err(failed)?;
            block.clear();
        }
    }
    gzip.write_all(&block).map_err(failed)?;
    gzip.finish().map_err(failed)
}

fn header(size: [usize; 3], datatype: i16, bitpix: i16, map: &LpsFromIndex) -> Result<[u8; 352], MediaError> {
    let mut head = [0u8; 352];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348i32.to_le_bytes());
    put(40, &3i16.to_le_bytes());
    for n in 0..7 {
        let side = size.get(n).copied().unwrap_or(1);
        let side = i16::try_from(side).map_err(|_| {
            field(&format!("dim[{}]", n + 1), &format!("cannot hold {side}; NIfTI-1 allows 32767"))
        })?;
        put(42 + 2 * n, &side.to_le_bytes());
    }
    put(70, &datatype.to_le_bytes());
    put(72, &bitpix.to_le_bytes());
    let spacing = map.spacing_mm();
    let quaternion = match is_square(map) {
        true => quaternion(map),
        false => quaternion(&straightened(map)),
    };
    let qfac = if quaternion.is_some_and(|q| q.1) { -1.0f32 } else { 1.0 };
    put(76, &qfac.to_le_bytes());
    for (n, mm) in spacing.iter().enumerate() {
        put(80 + 4 * n, &(*mm as f32).to_le_bytes());
    }
    put(108, &352f32.to_le_bytes());
    put(112, &1f32.to_le_bytes());
    put(123, &[2]); // mm
    let ras = map.to_ras();
    if let Some((parts, _)) = quaternion {
        put(252, &1i16.to_le_bytes());
        for (n, (part, row)) in parts.iter().zip(ras).enumerate() {
            put(256 + 4 * n, &(*part as f32).to_le_bytes());
            put(268 + 4 * n, &(row[3] as f32).to_le_bytes());
        }
    }
    put(254, &1i16.to_le_bytes());
    for (r, row) in ras.iter().enumerate() {
        for (c, value) in row.iter().enumerate() {
            put(280 + 16 * r + 4 * c, &(*value as f32).to_le_bytes());
        }
    }
    put(344, b"n+1\0");
    Ok(head)
}

/// Parts b, c, d of the rotation and whether the k axis is mirrored; `None` for sheared grids.
/// (nifti1.h, `nifti_mat44_to_quatern`.)
fn quaternion(map: &LpsFromIndex) -> Option<([f64; 3], bool)> {
    let ras = map.to_ras();
    let mut columns = [0, 1, 2].map(|a| {
        let c = [ras[0][a], ras[1][a], ras[2][a]];
        let length = norm(c);
        c.map(|v| v / length)
    });
    let product = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let square = [(0, 1), (0, 2), (1, 2)].iter().all(|&(a, b)| product(columns[a], columns[b]).abs() < 1e-5);
    if !square {
        return None;
    }
    let mirrored = map.determinant() < 0.0;
    if mirrored {
        columns[2] = columns[2].map(|v| -v);
    }
    let r = |row: usize, column: usize| columns[column][row];
    let trace = 1.0 + r(0, 0) + r(1, 1) + r(2, 2);
    let parts = if trace > 0.5 {
        let a = 0.5 * trace.sqrt();
        [r(2, 1) - r(1, 2), r(0, 2) - r(2, 0), r(1, 0) - r(0, 1)].map(|v| 0.25 * v / a)
    } else {
        let squares = [0, 1, 2].map(|n| {
            let others = (0..3).filter(|m| *m != n).map(|m| r(m, m)).sum::<f64>();
            1.0 + r(n, n) - others
        });
        let largest = (0..3).max_by(|&x, &y| squares[x].total_cmp(&squares[y]))?;
        let main = 0.5 * squares[largest].sqrt();
        let (next, last) = ((largest + 1) % 3, (largest + 2) % 3);
        let mut parts = [0.0; 3];
        parts[largest] = main;
        parts[next] = 0.25 * (r(largest, next) + r(next, largest)) / main;
        parts[last] = 0.25 * (r(largest, last) + r(last, largest)) / main;
        let a = 0.25 * (r(last, next) - r(next, last)) / main;
        if a < 0.0 { parts.map(|v| -v) } else { parts }
    };
    Some((parts, mirrored))
}
