//! Single-file NIfTI-1 (`.nii`), little endian (nifti1.h, <https://nifti.nimh.nih.gov/nifti-1/>).

use crate::study::Study;

const FLOAT32: i16 = 16;
const UINT8: i16 = 2;

/// The 352 bytes before the voxels.
fn header(study: &Study, datatype: i16, bits: i16, what: &str) -> Vec<u8> {
    let mut h = vec![0u8; 352];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(slot) = h.get_mut(at..at + bytes.len()) {
            slot.copy_from_slice(bytes);
        }
    };
    let size = study.size() as i16;
    let slices = study.slices.len() as i16;
    put(0, &348i32.to_le_bytes());
    for (i, n) in [3, size, size, slices, 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * i, &n.to_le_bytes());
    }
    put(70, &datatype.to_le_bytes());
    put(72, &bits.to_le_bytes());
    let lps = study.lps_from_index();
    let spacing = lps.spacing_mm();
    // qfac −1: the x and y axes of the rotation below are flipped, z is not.
    for (i, v) in [1.0, spacing[0], spacing[1], spacing[2]].into_iter().enumerate() {
        put(76 + 4 * i, &(v as f32).to_le_bytes());
    }
    put(108, &352f32.to_le_bytes());
    put(112, &1f32.to_le_bytes());
    put(123, &[2]); // millimetres
    put(148, what.as_bytes());
    let ras = lps.to_ras();
    // A half turn about z: quaternion (a, b, c, d) = (0, 0, 0, 1).
    put(252, &1i16.to_le_bytes());
    put(254, &1i16.to_le_bytes());
    put(264, &1f32.to_le_bytes());
    for (i, row) in ras.iter().enumerate() {
        put(268 + 4 * i, &(row[3] as f32).to_le_bytes());
        for (j, v) in row.iter().enumerate() {
            put(280 + 16 * i + 4 * j, &(*v as f32).to_le_bytes());
        }
    }
    put(344, b"n+1\0");
    h
}

/// The study's values as 32-bit floats, with the patient's axes in sform and qform.
pub fn nifti_volume(study: &Study) -> Vec<u8> {
    let mut out = header(study, FLOAT32, 32, "loupe phantom");
    for slice in &study.slices {
        out.extend(slice.values.iter().flat_map(|v| v.to_le_bytes()));
    }
    out
}

/// Structure numbers, or with `findings` the number of the finding (from 1; the last where two
/// overlap), as bytes on the same grid.
pub fn nifti_labels(study: &Study, findings: bool) -> Vec<u8> {
    let mut out =
        header(study, UINT8, 8, if findings { "loupe phantom findings" } else { "loupe phantom labels" });
    for slice in &study.slices {
        if findings {
            out.extend(slice.findings.iter().map(|bits| 8 - bits.leading_zeros() as u8));
        } else {
            out.extend_from_slice(&slice.labels);
        }
    }
    out
}
