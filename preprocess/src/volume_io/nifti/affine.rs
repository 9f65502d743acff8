//! Which of the header's matrices places the voxels: two conventions are in use and disagree.

use super::header::{Header, field};
use loupe_core::geometry::{LpsFromIndex, dot, norm};
use loupe_core::media::MediaError;
use serde::{Deserialize, Serialize};

/// Whose precedence between qform and sform is followed (`--xform`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Xform {
    /// nibabel (and MONAI's default reader): the sform when its code is above 0, else the qform, else
    /// a centred matrix with x flipped.
    #[default]
    Nibabel,
    /// ITK 5.4 (SimpleITK, TorchIO, nnU-Net): the sform only when it is the scanner's (code 1) or there
    /// is no qform; it must be orthonormal; without both, the index axes themselves.
    Itk,
}

/// How far direction cosines may be from orthonormal, as ITK checks.
const ORTHONORMAL: f64 = 1e-4;

pub(super) fn lps_from_index(
    h: &Header,
    xform: Xform,
    notes: &mut Vec<String>,
) -> Result<LpsFromIndex, MediaError> {
    // Programs that know no sform leave zeros in it; such a matrix has no place for any voxel.
    let sform_usable = is_regular(&h.srow);
    if !sform_usable && h.sform_code > 0 {
        notes.push("the sform is singular (voxels without a size) and not used".into());
    }
    let (ras, from) = match xform {
        Xform::Nibabel => match (known(h.sform_code) && sform_usable, known(h.qform_code)) {
            (true, _) => (h.srow, "sform"),
            (false, true) => (qform(h, h.qfac == -1.0)?, "qform"),
            (false, false) if h.spm_origin.is_some() => (centred(h), "origin of SPM, x flipped"),
            (false, false) => (centred(h), "no matrix: centred, x flipped"),
        },
        Xform::Itk => {
            let sform = (h.sform_code > 0 && sform_usable).then(|| itk_sform(h));
            match (sform, h.qform_code > 0) {
                (Some(Some(sform)), false) => (sform, "sform"),
                (Some(Some(sform)), true) if h.sform_code == 1 => (sform, "sform"),
                (_, true) => (qform(h, h.qfac < 0.0)?, "qform"),
                (Some(None), false) => {
                    return Err(field("srow", "is sheared, which ITK refuses; use --xform nibabel"));
                }
                (None, false) => {
                    let [x, y, z] = h.spacing;
                    ([[-x, 0.0, 0.0, 0.0], [0.0, -y, 0.0, 0.0], [0.0, 0.0, z, 0.0]], "no matrix: index axes")
                }
            }
        }
    };
    if ras.iter().flatten().any(|v| !v.is_finite()) {
        return Err(field(from, "has values that are not finite"));
    }
    let convention = match xform {
        Xform::Nibabel => "nibabel",
        Xform::Itk => "itk",
    };
    notes.push(format!("geometry: {from} ({convention})"));
    if from == "sform" {
        notes.extend(contradiction(h, &ras));
    }
    let scale = match (h.units, xform) {
        (1, Xform::Itk) => 1000.0,
        (3, Xform::Itk) => 0.001,
        (1 | 3, Xform::Nibabel) => {
            notes.push("xyzt_units is not mm; numbers taken as mm, as nibabel does".into());
            1.0
        }
        _ => 1.0,
    };
    let lps_from_index = LpsFromIndex::from_ras(ras.map(|row| row.map(|v| v * scale)));
    let sizes = lps_from_index.spacing_mm();
    if sizes.iter().any(|mm| !PLAUSIBLE_MM.contains(mm)) {
        notes.push(format!("voxels of {} mm are implausible: is the header in mm?", by(&sizes)));
    }
    Ok(lps_from_index)
}

/// Voxel sizes that no note is made of.
const PLAUSIBLE_MM: std::ops::RangeInclusive<f64> = 0.001..=100.0;

/// By how much a voxel size of the sform may differ from `pixdim`, as a share: both are rounded.
const SAME_SIZE: f64 = 0.01;

/// Does a matrix give every voxel a place of its own? Lengths differ, so its volume is compared with theirs.
fn is_regular(rows: &[[f64; 4]; 3]) -> bool {
    let map = LpsFromIndex { m: *rows };
    let lengths: f64 = map.spacing_mm().iter().product();
    lengths.is_finite() && lengths > 0.0 && map.determinant().abs() > 1e-6 * lengths
}

/// That the sform's voxel sizes are not those of `pixdim`: some programs write directions alone into it.
fn contradiction(h: &Header, ras: &[[f64; 4]; 3]) -> Option<String> {
    let sizes = LpsFromIndex { m: *ras }.spacing_mm();
    let pairs = sizes.iter().zip(h.spacing).take(h.axes.min(3));
    let differs = pairs.clone().any(|(a, b)| (a - b).abs() > SAME_SIZE * a.max(b));
    differs.then(|| {
        format!(
            "sform and pixdim contradict each other: voxels of {} mm against {} mm; the sform is used, and all \
             sizes in mm follow it",
            by(&sizes),
            by(&h.spacing)
        )
    })
}

fn by(sizes: &[f64; 3]) -> String {
    sizes.map(|mm| format!("{}", (mm * 1e4).round() / 1e4)).join(" × ")
}

/// The codes that nifti1.h defines; nibabel takes others as 0.
fn known(code: i32) -> bool {
    (1..=5).contains(&code)
}

/// nifti1.h "METHOD 2": unit quaternion (a, b, c, d), spacing, offset, handedness.
fn qform(h: &Header, left_handed: bool) -> Result<[[f64; 4]; 3], MediaError> {
    let [b, c, d] = h.quaternion;
    let rest = 1.0 - (b * b + c * c + d * d);
    // nibabel allows for the rounding of three single-precision numbers.
    let a = match rest {
        r if r.abs() < 3.0 * f64::from(f32::EPSILON) => 0.0,
        r if r > 0.0 => r.sqrt(),
        _ => {
            return Err(field(
                "quatern_b, quatern_c, quatern_d",
                "are no rotation: their squares sum to more than 1",
            ));
        }
    };
    let length = a * a + b * b + c * c + d * d;
    let s = 2.0 / length;
    let rotation = [
        [1.0 - s * (c * c + d * d), s * (b * c - a * d), s * (b * d + a * c)],
        [s * (b * c + a * d), 1.0 - s * (b * b + d * d), s * (c * d - a * b)],
        [s * (b * d - a * c), s * (c * d + a * b), 1.0 - s * (b * b + c * c)],
    ];
    let [x, y, z] = h.spacing;
    let z = if left_handed { -z } else { z };
    let mut rows = [[0.0; 4]; 3];
    for (row, (turn, offset)) in rows.iter_mut().zip(rotation.iter().zip(h.qoffset)) {
        *row = [turn[0] * x, turn[1] * y, turn[2] * z, offset];
    }
    Ok(rows)
}

/// nibabel's `get_base_affine`: the grid centred on the origin (or SPM's origin there), x to the left.
fn centred(h: &Header) -> [[f64; 4]; 3] {
    let mut rows = [[0.0; 4]; 3];
    for (axis, row) in rows.iter_mut().enumerate() {
        let zoom = if axis < h.axes { h.spacing[axis] } else { 1.0 };
        let zoom = if axis == 0 { -zoom } else { zoom };
        let origin = h.spm_origin.map_or((h.size[axis] - 1) as f64 / 2.0, |o| o[axis]);
        row[axis] = zoom;
        row[3] = -origin * zoom;
    }
    rows
}

/// ITK takes directions from the sform and spacing from `pixdim`; `None` when it is sheared.
fn itk_sform(h: &Header) -> Option<[[f64; 4]; 3]> {
    let column = |axis: usize| [h.srow[0][axis], h.srow[1][axis], h.srow[2][axis]];
    let units = [0, 1, 2].map(|axis| {
        let c = column(axis);
        let length = norm(c);
        c.map(|v| v / length)
    });
    let right_angles =
        [(0, 1), (0, 2), (1, 2)].iter().all(|&(a, b)| dot(units[a], units[b]).abs() < ORTHONORMAL);
    right_angles.then(|| {
        [0, 1, 2].map(|r| {
            [units[0][r] * h.spacing[0], units[1][r] * h.spacing[1], units[2][r] * h.spacing[2], h.srow[r][3]]
        })
    })
}
