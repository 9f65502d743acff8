//! Frames and the maps between them.
//!
//! Two-dimensional positions are *continuous pixel edges*: the pixel in column `c` and row `r`
//! covers `[c, c+1) × [r, r+1)` and its centre is `(c + 0.5, r + 0.5)`. A box that covers exactly
//! the first pixel is `(0, 0, 1, 1)`. Every position carries the frame it is in as a type, so that
//! a box of a zoomed picture cannot be mistaken for a box of its source.
//!
//! Three-dimensional positions are patient millimetres in DICOM's LPS frame (PS3.3 C.7.6.2.1.1):
//! +x to the patient's left, +y to the back, +z to the head.

use serde::{Deserialize, Serialize};
use std::marker::PhantomData;

/// Marks a frame of 2-D continuous pixel coordinates.
pub trait Frame: Copy + Clone + std::fmt::Debug + PartialEq + 'static {
    /// Name used in messages and in written files.
    const NAME: &'static str;
}

macro_rules! frame {
    ($(#[$doc:meta])* $name:ident = $text:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub struct $name;
        impl Frame for $name { const NAME: &'static str = $text; }
    };
}
frame!(
    /// Pixels of the picture that was handed to a model or a person.
    Given = "given"
);
frame!(
    /// Pixels of the image, slice or frame that the picture was cut from.
    Source = "source"
);
frame!(
    /// Pixels of the picture after the model's own resizing.
    ModelInput = "model_input"
);

/// A position in the frame `F`, in continuous pixel edges.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Point2<F: Frame> {
    /// Columns from the left edge.
    pub x: f64,
    /// Rows from the top edge.
    pub y: f64,
    #[serde(skip)]
    frame: PhantomData<F>,
}

impl<F: Frame> Point2<F> {
    /// A position `x` columns from the left edge and `y` rows from the top edge.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y, frame: PhantomData }
    }

    /// Euclidean distance in pixels.
    pub fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// An axis-aligned box in the frame `F`, in continuous pixel edges; `x1`/`y1` are exclusive edges.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Box2<F: Frame> {
    /// Left edge.
    pub x0: f64,
    /// Top edge.
    pub y0: f64,
    /// Right edge.
    pub x1: f64,
    /// Bottom edge.
    pub y1: f64,
    #[serde(skip)]
    frame: PhantomData<F>,
}

impl<F: Frame> Box2<F> {
    /// A box from its edges, kept as given (it may be empty or have swapped corners).
    pub const fn new(x0: f64, y0: f64, x1: f64, y1: f64) -> Self {
        Self { x0, y0, x1, y1, frame: PhantomData }
    }

    /// The box of COCO's `[x, y, width, height]`.
    pub fn from_xywh(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self::new(x, y, x + width, y + height)
    }

    /// COCO's `[x, y, width, height]`.
    pub fn xywh(self) -> [f64; 4] {
        [self.x0, self.y0, self.width(), self.height()]
    }

    /// `[x0, y0, x1, y1]`.
    pub fn xyxy(self) -> [f64; 4] {
        [self.x0, self.y0, self.x1, self.y1]
    }

    /// Width in pixels (negative when the corners are swapped).
    pub fn width(self) -> f64 {
        self.x1 - self.x0
    }

    /// Height in pixels (negative when the corners are swapped).
    pub fn height(self) -> f64 {
        self.y1 - self.y0
    }

    /// True when the edges are finite, ordered and enclose an area.
    pub fn is_proper(self) -> bool {
        self.xyxy().iter().all(|v| v.is_finite()) && self.x1 > self.x0 && self.y1 > self.y0
    }

    /// Area in square pixels; 0 for an improper box.
    pub fn area(self) -> f64 {
        if self.is_proper() { self.width() * self.height() } else { 0.0 }
    }

    /// The box with its corners in order.
    pub fn ordered(self) -> Self {
        Self::new(self.x0.min(self.x1), self.y0.min(self.y1), self.x0.max(self.x1), self.y0.max(self.y1))
    }

    /// The part of the box inside a picture of `width` × `height` pixels.
    pub fn clipped(self, width: f64, height: f64) -> Self {
        Self::new(
            self.x0.clamp(0.0, width),
            self.y0.clamp(0.0, height),
            self.x1.clamp(0.0, width),
            self.y1.clamp(0.0, height),
        )
    }

    /// Centre of the box.
    pub fn centre(self) -> Point2<F> {
        Point2::new((self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0)
    }

    /// Intersection over union; 0 when either box is improper.
    pub fn iou(self, other: Self) -> f64 {
        let inner = Self::new(
            self.x0.max(other.x0),
            self.y0.max(other.y0),
            self.x1.min(other.x1),
            self.y1.min(other.y1),
        )
        .area();
        let union = self.area() + other.area() - inner;
        if union > 0.0 { inner / union } else { 0.0 }
    }

    /// True when `point` lies inside (left and top edges inclusive).
    pub fn contains(self, point: Point2<F>) -> bool {
        point.x >= self.x0 && point.x < self.x1 && point.y >= self.y0 && point.y < self.y1
    }
}

/// An affine map from frame `A` to frame `B`: `x' = m[0]·(x, y, 1)`, `y' = m[1]·(x, y, 1)`.
///
/// Named `b_from_a` where it is stored, so that `c_from_b.after(b_from_a)` reads in order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(bound = "", transparent)]
pub struct Map2<B: Frame, A: Frame> {
    /// Rows of the 2×3 matrix.
    pub m: [[f64; 3]; 2],
    #[serde(skip)]
    frames: PhantomData<(A, B)>,
}

impl<B: Frame, A: Frame> Map2<B, A> {
    /// The map with the 2×3 matrix `m`.
    pub const fn new(m: [[f64; 3]; 2]) -> Self {
        Self { m, frames: PhantomData }
    }

    /// The map that leaves numbers as they are.
    pub const fn identity() -> Self {
        Self::new([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    }

    /// `x' = x·sx + tx`, `y' = y·sy + ty`.
    pub const fn scale_then_shift(sx: f64, sy: f64, tx: f64, ty: f64) -> Self {
        Self::new([[sx, 0.0, tx], [0.0, sy, ty]])
    }

    /// The position of `p` in frame `B`.
    pub fn point(&self, p: Point2<A>) -> Point2<B> {
        let [a, b] = self.m;
        Point2::new(a[0] * p.x + a[1] * p.y + a[2], b[0] * p.x + b[1] * p.y + b[2])
    }

    /// The axis-aligned box in `B` around the image of `b`; exact for maps without rotation by
    /// other than a multiple of 90°.
    pub fn boxed(&self, b: Box2<A>) -> Box2<B> {
        let corners = [(b.x0, b.y0), (b.x1, b.y0), (b.x0, b.y1), (b.x1, b.y1)]
            .map(|(x, y)| self.point(Point2::new(x, y)));
        let min = |f: fn(&Point2<B>) -> f64| corners.iter().map(f).fold(f64::INFINITY, f64::min);
        let max = |f: fn(&Point2<B>) -> f64| corners.iter().map(f).fold(f64::NEG_INFINITY, f64::max);
        Box2::new(min(|p| p.x), min(|p| p.y), max(|p| p.x), max(|p| p.y))
    }

    /// First `b_from_a` (self is `c_from_b`), then `self`: the map from `A` of the argument.
    pub fn after<Z: Frame>(&self, first: &Map2<A, Z>) -> Map2<B, Z> {
        let (m, n) = (self.m, first.m);
        let row = |r: [f64; 3]| {
            [
                r[0] * n[0][0] + r[1] * n[1][0],
                r[0] * n[0][1] + r[1] * n[1][1],
                r[0] * n[0][2] + r[1] * n[1][2] + r[2],
            ]
        };
        Map2::new([row(m[0]), row(m[1])])
    }

    /// The map back, or `None` when the matrix is singular or not finite.
    pub fn inverse(&self) -> Option<Map2<A, B>> {
        let [[a, b, tx], [c, d, ty]] = self.m;
        let det = a * d - b * c;
        if !det.is_finite() || det == 0.0 {
            return None;
        }
        let (ia, ib, ic, id) = (d / det, -b / det, -c / det, a / det);
        let m = [[ia, ib, -(ia * tx + ib * ty)], [ic, id, -(ic * tx + id * ty)]];
        m.iter().flatten().all(|v| v.is_finite()).then(|| Map2::new(m))
    }
}

/// Patient position in millimetres, LPS.
pub type Lps = [f64; 3];

/// Voxel index `(column i, row j, slice k)`, whole numbers at voxel *centres*, to patient LPS in mm.
///
/// Columns 0–2 of the matrix are the steps of one voxel along i, j and k; column 3 is the centre of
/// voxel (0, 0, 0). The convention of DICOM PS3.3 C.7.6.2.1.1 and, up to the sign of x and y, of
/// NIfTI's sform. Shear (gantry tilt) is kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LpsFromIndex {
    /// Rows of the upper 3×4 part of the matrix.
    pub m: [[f64; 4]; 3],
}

impl LpsFromIndex {
    /// One-millimetre voxels along the patient axes with voxel (0, 0, 0) at the origin.
    pub const IDENTITY: Self = Self { m: [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]] };

    /// The map with the given column vectors (steps along i, j, k) and origin, in mm.
    pub fn from_columns(i: Lps, j: Lps, k: Lps, origin: Lps) -> Self {
        Self { m: [0, 1, 2].map(|r| [i[r], j[r], k[r], origin[r]]) }
    }

    /// From NIfTI's RAS matrix: x and y change sign.
    pub fn from_ras(ras: [[f64; 4]; 3]) -> Self {
        Self { m: [ras[0].map(|v| -v), ras[1].map(|v| -v), ras[2]] }
    }

    /// NIfTI's RAS matrix.
    pub fn to_ras(&self) -> [[f64; 4]; 3] {
        [self.m[0].map(|v| -v), self.m[1].map(|v| -v), self.m[2]]
    }

    /// The step of one voxel along axis 0 (i, columns), 1 (j, rows) or 2 (k, slices), in mm.
    pub fn column(&self, axis: usize) -> Lps {
        [self.m[0][axis], self.m[1][axis], self.m[2][axis]]
    }

    /// Voxel sizes along i, j and k in mm.
    pub fn spacing_mm(&self) -> [f64; 3] {
        [0, 1, 2].map(|a| norm(self.column(a)))
    }

    /// Patient position of a (fractional) voxel index.
    pub fn apply(&self, index: [f64; 3]) -> Lps {
        self.m.map(|r| r[0] * index[0] + r[1] * index[1] + r[2] * index[2] + r[3])
    }

    /// Determinant of the 3×3 part: signed voxel volume in mm³.
    pub fn determinant(&self) -> f64 {
        dot(self.column(0), cross(self.column(1), self.column(2)))
    }

    /// The (fractional) voxel index of a patient position, or `None` when the map is singular.
    pub fn index_of(&self, lps: Lps) -> Option<[f64; 3]> {
        let det = self.determinant();
        if !det.is_finite() || det == 0.0 {
            return None;
        }
        let (a, b, c) = (self.column(0), self.column(1), self.column(2));
        let d = [lps[0] - self.m[0][3], lps[1] - self.m[1][3], lps[2] - self.m[2][3]];
        Some([dot(d, cross(b, c)) / det, dot(d, cross(c, a)) / det, dot(d, cross(a, b)) / det])
    }

    /// Degrees between the slice step and the normal of the slice plane (gantry tilt).
    pub fn tilt_degrees(&self) -> f64 {
        let normal = cross(self.column(0), self.column(1));
        let k = self.column(2);
        let cos = dot(normal, k).abs() / (norm(normal) * norm(k));
        cos.clamp(-1.0, 1.0).acos().to_degrees()
    }

    /// The plane of axial-as-stored slice `k`, in continuous pixel edges of that slice.
    pub fn plane(&self, k: f64) -> LpsFromPlane {
        let (i, j) = (self.column(0), self.column(1));
        let corner = self.apply([-0.5, -0.5, k]);
        LpsFromPlane { m: [0, 1, 2].map(|r| [i[r], j[r], corner[r]]) }
    }
}

/// Continuous pixel edges `(x, y)` of a flat picture to patient LPS in mm: columns are the step of
/// one pixel to the right, the step of one pixel down, and the outer corner of the first pixel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LpsFromPlane {
    /// Rows of the 3×3 matrix.
    pub m: [[f64; 3]; 3],
}

impl LpsFromPlane {
    /// Patient position of a position in the picture.
    pub fn apply(&self, p: Point2<Source>) -> Lps {
        self.m.map(|r| r[0] * p.x + r[1] * p.y + r[2])
    }

    /// The position in the picture nearest to a patient position; `None` when the picture has no area.
    pub fn position_of(&self, lps: Lps) -> Option<Point2<Source>> {
        let column = |c: usize| [self.m[0][c], self.m[1][c], self.m[2][c]];
        let (right, down, corner) = (column(0), column(1), column(2));
        let way = [0, 1, 2].map(|r| lps[r] - corner[r]);
        let (a, b, c) = (dot(right, right), dot(right, down), dot(down, down));
        let det = a * c - b * b;
        if !det.is_finite() || det == 0.0 {
            return None;
        }
        let (u, v) = (dot(way, right), dot(way, down));
        Some(Point2::new((u * c - v * b) / det, (v * a - u * b) / det))
    }

    /// The same plane in pixels that are `across` and `down` times as large.
    #[must_use]
    pub fn scaled(&self, across: f64, down: f64) -> Self {
        Self { m: self.m.map(|[x, y, corner]| [x * across, y * down, corner]) }
    }

    /// Pixel sizes to the right and down, in mm.
    pub fn spacing_mm(&self) -> [f64; 2] {
        [0, 1].map(|a| norm([self.m[0][a], self.m[1][a], self.m[2][a]]))
    }
}

/// Length of a vector.
pub fn norm(v: Lps) -> f64 {
    dot(v, v).sqrt()
}

/// Scalar product.
pub fn dot(a: Lps, b: Lps) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Vector product.
pub fn cross(a: Lps, b: Lps) -> Lps {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}
