//! Shape of a mask as pyradiomics computes it (van Griethuysen et al., Cancer Research 77:e104, 2017): a surface
//! mesh by marching cubes (Lorensen and Cline, SIGGRAPH 1987) with vertices half-way between voxel centres, and
//! the principal components of the voxel centres.
//!
//! Values carry pyradiomics' names, in mm, mm² and mm³. They are taken in the patient, so that a sheared
//! volume (tilted gantry), which pyradiomics cannot read, is measured as it is.

use crate::diameter::{by_plane, ends, longest};
use crate::geometry::{LpsFromIndex, cross, dot, norm};
use crate::region::Region;
use serde::Serialize;

/// The shape of one label. Lengths in mm; what has no value (a ratio of nothing) is absent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ShapeMeasures {
    /// Volume within the mesh, mm³.
    pub mesh_volume: f64,
    /// Number of voxels times the volume of one, mm³.
    pub voxel_volume: f64,
    /// Area of the mesh, mm².
    pub surface_area: f64,
    /// Area of the sphere of the mesh's volume over the mesh's area: 1 for a sphere.
    pub sphericity: Option<f64>,
    /// Area over volume of the mesh, 1/mm.
    pub surface_volume_ratio: Option<f64>,
    /// Longest distance between two vertices.
    #[serde(rename = "Maximum3DDiameter")]
    pub maximum_3d_diameter: f64,
    /// The same between vertices of one plane of rows and columns (axial, where slices are axial).
    #[serde(rename = "Maximum2DDiameterSlice")]
    pub maximum_2d_diameter_slice: f64,
    /// The same in one plane of columns and slices (coronal, where slices are axial).
    #[serde(rename = "Maximum2DDiameterColumn")]
    pub maximum_2d_diameter_column: f64,
    /// The same in one plane of rows and slices (sagittal, where slices are axial).
    #[serde(rename = "Maximum2DDiameterRow")]
    pub maximum_2d_diameter_row: f64,
    /// Four standard deviations of the voxel centres along their first principal component.
    pub major_axis_length: f64,
    /// Along the second.
    pub minor_axis_length: f64,
    /// Along the third.
    pub least_axis_length: f64,
    /// Minor over major axis.
    pub elongation: Option<f64>,
    /// Least over major axis.
    pub flatness: Option<f64>,
}

impl ShapeMeasures {
    /// Each value by pyradiomics' name, with its unit.
    pub fn named(&self) -> [(&'static str, Option<f64>, &'static str); 14] {
        [
            ("MeshVolume", Some(self.mesh_volume), "mm³"),
            ("VoxelVolume", Some(self.voxel_volume), "mm³"),
            ("SurfaceArea", Some(self.surface_area), "mm²"),
            ("Sphericity", self.sphericity, ""),
            ("SurfaceVolumeRatio", self.surface_volume_ratio, "1/mm"),
            ("Maximum3DDiameter", Some(self.maximum_3d_diameter), "mm"),
            ("Maximum2DDiameterSlice", Some(self.maximum_2d_diameter_slice), "mm"),
            ("Maximum2DDiameterColumn", Some(self.maximum_2d_diameter_column), "mm"),
            ("Maximum2DDiameterRow", Some(self.maximum_2d_diameter_row), "mm"),
            ("MajorAxisLength", Some(self.major_axis_length), "mm"),
            ("MinorAxisLength", Some(self.minor_axis_length), "mm"),
            ("LeastAxisLength", Some(self.least_axis_length), "mm"),
            ("Elongation", self.elongation, ""),
            ("Flatness", self.flatness, ""),
        ]
    }
}

/// The shape of a region of a grid; `None` when it is empty.
pub fn shape(region: &Region, lps_from_index: &LpsFromIndex) -> Option<ShapeMeasures> {
    let voxels = region.len();
    if voxels == 0 {
        return None;
    }
    let steps = [0, 1, 2].map(|axis| lps_from_index.column(axis));
    let mm = |p: [f64; 3]| [0, 1, 2].map(|a| p[0] * steps[0][a] + p[1] * steps[1][a] + p[2] * steps[2][a]);
    let Mesh { volume, area } = mesh(region, mm);
    let vertices = ends(region.cells(), |cell| region.covers(cell), 3);
    let in_plane = |axis| {
        let planes = by_plane(vertices.iter().copied(), axis);
        planes.into_values().map(|points| longest(points, mm)).fold(0.0, f64::max)
    };
    let (row, column, slice) = (in_plane(0), in_plane(1), in_plane(2));
    let [least, minor, major] = principal(region, voxels, mm).map(f64::sqrt);
    let ratio = |a: f64, b: f64| (b > 0.0).then(|| a / b);
    Some(ShapeMeasures {
        mesh_volume: volume,
        voxel_volume: voxels as f64 * lps_from_index.determinant().abs(),
        surface_area: area,
        sphericity: ratio((36.0 * std::f64::consts::PI * volume * volume).cbrt(), area),
        surface_volume_ratio: ratio(area, volume),
        maximum_3d_diameter: longest(vertices, mm),
        maximum_2d_diameter_slice: slice,
        maximum_2d_diameter_column: column,
        maximum_2d_diameter_row: row,
        major_axis_length: 4.0 * major,
        minor_axis_length: 4.0 * minor,
        least_axis_length: 4.0 * least,
        elongation: ratio(minor, major),
        flatness: ratio(least, major),
    })
}

struct Mesh {
    volume: f64,
    area: f64,
}

/// Volume and area of the surface mesh.
fn mesh(region: &Region, mm: impl Fn([f64; 3]) -> [f64; 3]) -> Mesh {
    let [low, high] = region.bounds();
    let (mut volume, mut area) = (0.0, 0.0);
    for k in low[2] - 1..high[2] {
        for j in low[1] - 1..high[1] {
            for i in low[0] - 1..high[0] {
                let bit = |(n, [di, dj, dk]): (usize, &[i64; 3])| {
                    u8::from(region.covers([i + di, j + dj, k + dk])) << n
                };
                let mut cube = CORNERS.iter().enumerate().map(bit).sum::<u8>();
                // A cube and its complement share their triangles, seen from the other side.
                let side = if cube & 0x80 == 0 { 1.0 } else { -1.0 };
                if side < 0.0 {
                    cube ^= 0xff;
                }
                let Some(edges) = TRIANGLES.get(usize::from(cube)).filter(|edges| !edges.is_empty()) else {
                    continue;
                };
                let vertex = |edge: &u8| {
                    let at = EDGES.get(usize::from(edge - if *edge < b'a' { b'0' } else { b'a' - 10 }));
                    let at = at.copied().unwrap_or_default();
                    // From the corner of the box, so that nothing is lost far from the origin.
                    mm([
                        (i - low[0]) as f64 + at[0],
                        (j - low[1]) as f64 + at[1],
                        (k - low[2]) as f64 + at[2],
                    ])
                };
                for [a, b, c] in edges.as_bytes().as_chunks::<3>().0 {
                    let (a, b, c) = (vertex(a), vertex(b), vertex(c));
                    volume += side * dot(cross(a, b), c);
                    let to = |p: [f64; 3]| [0, 1, 2].map(|n| p[n] - c[n]);
                    area += norm(cross(to(a), to(b))) / 2.0;
                }
            }
        }
    }
    Mesh { volume: (volume / 6.0).abs(), area }
}

/// Variances of the voxel centres along their principal components, rising, in mm².
fn principal(region: &Region, voxels: usize, mm: impl Fn([f64; 3]) -> [f64; 3]) -> [f64; 3] {
    let low = region.bounds()[0];
    let centres = || region.cells().map(|c| mm([0, 1, 2].map(|n| (c[n] - low[n]) as f64)));
    let sum = centres().fold([0.0; 3], |s, p| [0, 1, 2].map(|n| s[n] + p[n]));
    let mean = sum.map(|v| v / voxels as f64);
    let mut covariance = [[0.0; 3]; 3];
    for p in centres() {
        let d = [0, 1, 2].map(|n| p[n] - mean[n]);
        for (row, a) in covariance.iter_mut().zip(d) {
            for (cell, b) in row.iter_mut().zip(d) {
                *cell += a * b;
            }
        }
    }
    let mut values = eigenvalues(covariance.map(|row| row.map(|v| v / voxels as f64)));
    values.sort_by(f64::total_cmp);
    // Rounding may leave a flat mask with a variance below nothing.
    values.map(|v| v.max(0.0))
}

/// Eigenvalues of a symmetric matrix by Jacobi's rotations.
fn eigenvalues(mut m: [[f64; 3]; 3]) -> [f64; 3] {
    // Each sweep squares what is left beside the diagonal; a dozen are more than enough.
    for _ in 0..12 {
        for [p, q] in [[0, 1], [0, 2], [1, 2]] {
            if m[p][q] == 0.0 {
                continue;
            }
            let theta = (m[q][q] - m[p][p]) / (2.0 * m[p][q]);
            let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
            let c = 1.0 / t.hypot(1.0);
            let s = t * c;
            for row in &mut m {
                (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
            }
            let (above, below) = (m[p], m[q]);
            m[p] = std::array::from_fn(|n| c * above[n] - s * below[n]);
            m[q] = std::array::from_fn(|n| s * above[n] + c * below[n]);
        }
    }
    [m[0][0], m[1][1], m[2][2]]
}

/// Corners of a cube of voxels, in the order of the bits of its number.
const CORNERS: [[i64; 3]; 8] =
    [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]];

/// The middles of a cube's edges.
const EDGES: [[f64; 3]; 12] = [
    [0.5, 0.0, 0.0],
    [1.0, 0.5, 0.0],
    [0.5, 1.0, 0.0],
    [0.0, 0.5, 0.0],
    [0.5, 0.0, 1.0],
    [1.0, 0.5, 1.0],
    [0.5, 1.0, 1.0],
    [0.0, 0.5, 1.0],
    [0.0, 0.0, 0.5],
    [1.0, 0.0, 0.5],
    [1.0, 1.0, 0.5],
    [0.0, 1.0, 0.5],
];

/// The triangles of each cube whose last corner is not covered: three edges a triangle, in hexadecimal. Where
/// four vertices lie in no plane there is a choice; it is pyradiomics', so that areas are too.
#[rustfmt::skip]
const TRIANGLES: [&str; 128] = [
    "", "083", "190", "183198", "12a", "08312a", "92a029", "2832a8a98", "b23", "b2008b", "190b23",
    "b2119b98b", "3a1ba3", "a1008a8ba", "9033b9ba9", "98aba8", "478", "043473", "190478", "194147173",
    "12a478", "34730412a", "92a902478", "2a9297273479", "478b23", "b47b24204", "190478b23", "47b94bb29192",
    "3a1ba3478", "ba114b10447b", "4789033b9ba9", "47b4b99ba", "954", "954083", "054015", "854835315",
    "12a954", "08312a954", "2a5542240", "2a5325354834", "954b23", "b2008b954", "054015b23", "215258b28548",
    "3a1ba3954", "549a1008a8ba", "54050ba5bb03", "548a58ba8", "789579", "309539357", "780017715", "157173",
    "78957912a", "12a309395357", "0288258572a5", "2a5253357", "579789b23", "579972209b27", "b23018178157",
    "21b17b157", "7895793a1ba3", "5705097b0a10ba0", "ba003ba50078570", "ba557b", "65a", "08365a", "19065a",
    "18319865a", "165126", "165126083", "965906026", "598582526832", "b2365a", "b2008b65a", "190b2365a",
    "b2119b98b65a", "63b653513", "08b0b50515b6", "63b036065059", "65969bb98", "47865a", "04347365a",
    "19047865a", "19414717365a", "478165126", "043473165126", "478965906026", "739479329596269",
    "b2347865a", "b47b2420465a", "190b2347865a", "47b94bb2919265a", "47863b653513", "51b5b610b47b04b",
    "47863b036065059", "65969b4797b9", "a4964a", "a4964a083", "01aa60640", "18316886461a", "149124264",
    "149124264083", "024426", "832824426", "b23a4964a", "b2008ba4964a", "b2301aa60640", "64161a148b2118b",
    "964369139b63", "18b081b61149641", "63b036640", "86468b", "67a78a89a", "67a0a709a073", "67a1a7178018",
    "67a1a7173", "126168189678", "269129679309739", "078706602", "273267", "b2367a78a89a",
    "207b2709767a9a7", "67a1a7178018b23", "b2117ba61167", "896678169b63136", "09167b", "07870603bb60",
    "67b",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use ndarray::Array3;
    use proptest::prelude::*;

    const MAP: LpsFromIndex = LpsFromIndex { m: [[0.5, 0., 0., 100.], [0., 2., 0., -50.], [0., 0., 3., 7.]] };

    fn of(labels: &Array3<u16>, map: &LpsFromIndex) -> ShapeMeasures {
        shape(&Region::of(labels, 1), map).unwrap()
    }

    #[test]
    fn one_voxel_is_an_octahedron_without_axes() {
        let s = of(&Array3::ones((1, 1, 1)), &LpsFromIndex::IDENTITY);
        // Half diagonals of half a voxel: 4/3 · (1/2)³, eight triangles of edge 1/√2.
        let area = 8.0 * (3.0f64.sqrt() / 4.0) * 0.5;
        assert!((s.mesh_volume - 1.0 / 6.0).abs() < 1e-12 && (s.surface_area - area).abs() < 1e-12, "{s:?}");
        assert_eq!((s.voxel_volume, s.maximum_3d_diameter, s.major_axis_length), (1.0, 1.0, 0.0));
        assert_eq!((s.elongation, s.flatness), (None, None));
    }

    #[test]
    fn a_box_has_the_axes_of_its_sides() {
        let s = of(&Array3::ones((3, 4, 5)), &MAP);
        // Variance of n places one step apart is (n² − 1)/12.
        let axis = |n: f64, mm: f64| 4.0 * mm * ((n * n - 1.0) / 12.0).sqrt();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(s.major_axis_length, axis(3.0, 3.0));
        near(s.minor_axis_length, axis(4.0, 2.0));
        near(s.least_axis_length, axis(5.0, 0.5));
        near(s.elongation.unwrap(), axis(4.0, 2.0) / axis(3.0, 3.0));
        near(s.voxel_volume, 60.0 * 3.0);
        assert!(s.mesh_volume < s.voxel_volume && s.mesh_volume > 0.9 * s.voxel_volume, "{s:?}");
    }

    /// Vertices that lie between two slices count too, as in pyradiomics: here only these are far apart.
    #[test]
    fn two_voxels_in_neighbouring_slices_share_the_plane_between_them() {
        let mut labels = Array3::zeros((2, 1, 9));
        (labels[[0, 0, 0]], labels[[1, 0, 8]]) = (1, 1);
        assert_eq!(of(&labels, &LpsFromIndex::IDENTITY).maximum_2d_diameter_slice, 8.0);
    }

    proptest! {
        /// The mesh closes: its volume does not depend on where the mask lies, and a mask and the same mask seen
        /// in a mirror have the same shape but for the choices in the table.
        #[test]
        fn moved_and_turned_masks_keep_their_shape(values in proptest::collection::vec(0u16..2, 60), at in 0usize..5) {
            let labels = Array3::from_shape_vec((3, 4, 5), values).unwrap();
            let mut moved = Array3::zeros((9, 10, 11));
            moved.slice_mut(ndarray::s![at..at + 3, at..at + 4, at..at + 5]).assign(&labels);
            let both = [&labels, &moved].map(|l| shape(&Region::of(l, 1), &MAP));
            let [Some(upright), Some(elsewhere)] = &both else { return Ok(()) };
            let (c, s) = (0.8, 0.6);
            let m = [0, 1, 2].map(|n| MAP.m[n]);
            let turned = LpsFromIndex { m: [
                [0, 1, 2, 3].map(|n| c * m[0][n] - s * m[1][n]),
                [0, 1, 2, 3].map(|n| s * m[0][n] + c * m[1][n]),
                m[2],
            ]};
            for other in [elsewhere, &of(&labels, &turned)] {
                for ((name, a, _), (_, b, _)) in upright.named().iter().zip(other.named()) {
                    let (a, b) = (a.unwrap_or(-1.0), b.unwrap_or(-1.0));
                    prop_assert!((a - b).abs() < 1e-6 * a.abs().max(1.0), "{} {} {}", name, a, b);
                }
            }
        }
    }
}
