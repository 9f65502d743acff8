//! RT Structure Sets (PS3.3 C.8.8.5, C.8.8.6): contours in patient millimetres, and as labelled masks.
//!
//! A voxel is inside a region when its centre lies inside by the even–odd rule over all contours of its slice, so
//! that a contour within another cuts a hole, as one that leads in and out through a keyhole does, or when its
//! centre lies on a contour. The last makes masks whose contours were drawn through the centres of their outermost
//! pixels come back as they were.

use super::references::{Belonging, concept, said};
use loupe_core::geometry::Lps;
use loupe_core::guard::guarded;
use loupe_core::labels::{Label, LabelError, LabelledMasks};
use loupe_core::lattice::Grid;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::words::counted;
use loupe_dicom::object::{Dataset, malformed};
use loupe_dicom::parse;
use loupe_dicom::tags;
use std::collections::{BTreeMap, BTreeSet};

/// Centres closer than this to a contour lie on it, in voxels: coordinates are written with few digits.
const ON_CONTOUR: f64 = 1e-3;
/// Contours may lie so far from the middle of a slice, in slices.
const OFF_PLANE: f64 = 0.1;

/// A region of interest.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Number, name and codes.
    pub label: Label,
    /// Frame of reference of its contours.
    frame_of_reference: Option<String>,
    /// Closed planar contours, each a list of LPS positions in mm.
    pub contours: Vec<Vec<Lps>>,
    /// Contours of other kinds (points, open curves), which hold no area.
    pub open_contours: usize,
    /// Contours whose numbers are no list of finite x, y, z. The region cannot be used; others can.
    pub broken_contours: usize,
}

/// A structure set.
#[derive(Debug, Clone, PartialEq)]
pub struct StructureSet {
    /// What it was made for.
    pub belonging: Belonging,
    /// Its regions in the order of the file.
    pub regions: Vec<Region>,
}

/// Is a data set a structure set?
pub fn is_structure_set(data: &Dataset) -> bool {
    !data.items(tags::STRUCTURE_SET_ROI_SEQUENCE).is_empty()
}

/// Reads the closed planar contours of a structure set.
///
/// # Errors
/// When it is not a structure set, or its regions are not told apart.
pub fn read(bytes: Vec<u8>, limits: &DecodeLimits) -> Result<StructureSet, MediaError> {
    let object = guarded("DICOM", "data set", || parse::parse(bytes, limits))?;
    of_data(&object.data)
}

/// [`read`] of a parsed file.
///
/// # Errors
/// As [`read`].
pub fn of_data(data: &Dataset) -> Result<StructureSet, MediaError> {
    let charset = data.charset();
    if !is_structure_set(data) {
        return Err(malformed(tags::STRUCTURE_SET_ROI_SEQUENCE, "absent: not a structure set"));
    }
    let observations = data.items(tags::RTROI_OBSERVATIONS_SEQUENCE);
    let code = |number: u32| {
        let of = |item: &&Dataset| item.integer(tags::REFERENCED_ROI_NUMBER) == Some(i64::from(number));
        concept(observations.iter().find(of)?, tags::RTROI_IDENTIFICATION_CODE_SEQUENCE, &charset)
    };
    let mut regions: Vec<Region> = Vec::new();
    for item in data.items(tags::STRUCTURE_SET_ROI_SEQUENCE) {
        let number = item.integer(tags::ROI_NUMBER).and_then(|n| u32::try_from(n).ok());
        let number = number.ok_or_else(|| malformed(tags::ROI_NUMBER, "absent or impossible"))?;
        if regions.iter().any(|r| r.label.number == number) {
            return Err(malformed(tags::ROI_NUMBER, format!("{number} is given to two regions")));
        }
        regions.push(Region {
            label: Label {
                number,
                name: said(item, tags::ROI_NAME, &charset),
                category: None,
                code: code(number),
            },
            frame_of_reference: item.text(tags::REFERENCED_FRAME_OF_REFERENCE_UID),
            contours: Vec::new(),
            open_contours: 0,
            broken_contours: 0,
        });
    }
    for item in data.items(tags::ROI_CONTOUR_SEQUENCE) {
        let number = item.integer(tags::REFERENCED_ROI_NUMBER);
        let Some(region) = regions.iter_mut().find(|r| Some(i64::from(r.label.number)) == number) else {
            return Err(malformed(tags::REFERENCED_ROI_NUMBER, "a region that is not described"));
        };
        for contour in item.items(tags::CONTOUR_SEQUENCE) {
            let kind = contour.text(tags::CONTOUR_GEOMETRIC_TYPE).unwrap_or_default();
            if kind != "CLOSED_PLANAR" && kind != "CLOSEDPLANAR_XOR" {
                region.open_contours += 1;
                continue;
            }
            let numbers = contour.numbers(tags::CONTOUR_DATA).unwrap_or_default();
            if numbers.len() % 3 != 0 || numbers.iter().any(|v| !v.is_finite()) {
                region.broken_contours += 1;
                continue;
            }
            region.contours.push(numbers.as_chunks::<3>().0.to_vec());
        }
    }
    Ok(StructureSet { belonging: Belonging::of_mask(data), regions })
}

/// What to do with contours that lie between slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffPlane {
    /// An error that says so.
    Refuse,
    /// The nearest slice takes them, which the notes say.
    Nearest,
}

/// A contour in voxels of its slice, `[column, row]`.
type Polygon = Vec<[f64; 2]>;

impl StructureSet {
    /// With the contours of the region of this number or, in any case, name alone; the others hold nothing.
    ///
    /// # Errors
    /// When there is none, or several have the name.
    pub fn with_only(&self, wanted: &str) -> Result<Self, LabelError> {
        let labels: Vec<&Label> = self.regions.iter().map(|region| &region.label).collect();
        let wanted = Label::find(&labels, wanted)?;
        let mut set = self.clone();
        for (_, region) in set.regions.iter_mut().enumerate().filter(|(at, _)| *at != wanted) {
            (region.contours, region.open_contours, region.broken_contours) = (Vec::new(), 0, 0);
        }
        Ok(set)
    }

    /// The regions on the voxels of an image.
    ///
    /// # Errors
    /// When a region has broken contours, when contours lie between slices and are to be refused, or are not parallel to them, or a limit is met.
    pub fn onto(
        &self,
        grid: Grid,
        image: &Belonging,
        off_plane: OffPlane,
        limits: &DecodeLimits,
    ) -> Result<LabelledMasks, MediaError> {
        let voxels = limits.pixels(&grid.shape.map(|n| n as u64))?;
        let mut masks = LabelledMasks::new(grid);
        let elsewhere = |region: &Region| {
            let known = region.frame_of_reference.as_ref().filter(|_| !image.frames_of_reference.is_empty());
            known.is_some_and(|uid| !image.frames_of_reference.contains(uid))
        };
        // A set that is all of another frame of reference was let through for the instances that it names.
        let all_elsewhere = self.regions.iter().all(elsewhere);
        for region in &self.regions {
            let number = region.label.number;
            if elsewhere(region) && !all_elsewhere {
                masks
                    .notes
                    .push(format!("region {number} belongs to another frame of reference and is left out"));
                continue;
            }
            limits.memory(voxels.saturating_mul(masks.layers() + 1), size_of::<u16>())?;
            let slices = region.slices(&grid, off_plane, &mut masks.notes)?;
            let covered: BTreeMap<usize, Vec<[u32; 3]>> =
                slices.iter().map(|(k, polygons)| (*k, runs(polygons, &grid.shape))).collect();
            let put = masks.put(region.label.clone(), || {
                covered.iter().flat_map(|(k, runs)| runs.iter().map(move |run| (*k, *run))).flat_map(
                    |(k, [row, from, to])| (from..to).map(move |column| [k, row as usize, column as usize]),
                )
            });
            put.map_err(|e| MediaError::View(e.to_string()))?;
        }
        Ok(masks)
    }
}

impl Region {
    /// Contours in voxels by the slice that they lie in; what has to be said of them goes to `notes`.
    fn slices(
        &self,
        grid: &Grid,
        off_plane: OffPlane,
        notes: &mut Vec<String>,
    ) -> Result<BTreeMap<usize, Vec<Polygon>>, MediaError> {
        let number = self.label.number;
        if self.broken_contours > 0 {
            let problem = format!(
                "not a list of finite x, y, z in {} of region {number}; another region can be chosen by its number",
                counted(self.broken_contours, "contour")
            );
            return Err(malformed(tags::CONTOUR_DATA, problem));
        }
        let [count, rows, columns] = grid.shape.map(|n| n as f64);
        let mut slices: BTreeMap<usize, Vec<Polygon>> = BTreeMap::new();
        let (mut outside, mut cut, mut moved, mut thin) = (0, 0, 0, 0);
        for contour in &self.contours {
            let points: Option<Vec<Lps>> = contour.iter().map(|p| grid.lps_from_index.index_of(*p)).collect();
            let points = points.ok_or_else(|| MediaError::Geometry("the grid has no volume".to_owned()))?;
            if points.len() < 3 {
                thin += 1;
                continue;
            }
            let middle = points.iter().map(|p| p[2]).sum::<f64>() / points.len() as f64;
            if points.iter().any(|p| (p[2] - middle).abs() > OFF_PLANE) {
                return Err(MediaError::View(format!(
                    "a contour of region {number} is not parallel to the image's slices; choose the series that it \
                     was drawn on"
                )));
            }
            if middle < -0.5 || middle >= count - 0.5 {
                outside += 1;
                continue;
            }
            // In pixels of the slice, whose edges lie half a pixel around the centres.
            let beyond = |axis: usize, size: f64| {
                let below = points.iter().filter(|p| p[axis] < -0.5 - ON_CONTOUR).count();
                (below, points.iter().filter(|p| p[axis] > size - 0.5 + ON_CONTOUR).count())
            };
            let sides = [beyond(0, columns), beyond(1, rows)];
            if sides.iter().any(|(below, above)| *below == points.len() || *above == points.len()) {
                outside += 1;
                continue;
            }
            cut += usize::from(sides.iter().any(|(below, above)| below + above > 0));
            if (middle - middle.round()).abs() > OFF_PLANE {
                if off_plane == OffPlane::Refuse {
                    return Err(MediaError::View(format!(
                        "a contour of region {number} lies between two slices of the image; --resample-mask moves \
                         it to the nearest and says so"
                    )));
                }
                moved += 1;
            }
            let polygon = points.iter().map(|p| [p[0], p[1]]).collect();
            slices.entry(middle.round().max(0.0) as usize).or_default().push(polygon);
        }
        let mut note = |n: usize, what: &str, fate: &str| {
            if n > 0 {
                notes.push(format!("{} of region {number} {fate}", counted(n, what)));
            }
        };
        note(outside, "contour", "outside the image left out");
        note(cut, "contour", "cut off at the image's edge");
        note(moved, "contour", "between slices moved to the nearest");
        note(thin, "contour", "of less than three points left out");
        note(self.open_contours, "point or open contour", "without an area left out");
        let between = slices.keys().zip(slices.keys().skip(1)).map(|(a, b)| b - a - 1).sum::<usize>();
        note(between, "slice", "between others without a contour stay empty");
        note(
            crossed(&slices),
            "slice",
            "with contours that cross each other: what two of them cover is outside",
        );
        Ok(slices)
    }
}

/// What meets a row of voxel centres.
#[derive(Default)]
struct Row {
    /// Where edges cross it.
    crossings: Vec<f64>,
    /// First column, and the one behind the last, of the centres that are inside.
    inside: BTreeSet<[usize; 2]>,
}

/// What the polygons of a slice cover, as row, first column and the column behind the last.
fn runs(polygons: &[Polygon], [_, rows, columns]: &[usize; 3]) -> Vec<[u32; 3]> {
    let mut met: BTreeMap<usize, Row> = BTreeMap::new();
    let columns_between = |from: f64, to: f64| {
        let (from, to) = (from.max(0.0) as usize, (to.max(0.0) as usize).min(*columns));
        (from < to).then_some([from, to])
    };
    for polygon in polygons {
        for (n, a) in polygon.iter().enumerate() {
            let Some(b) = polygon.get((n + 1) % polygon.len()) else { continue };
            let first = (a[1].min(b[1]) - ON_CONTOUR).ceil().max(0.0);
            let last = (a[1].max(b[1]) + ON_CONTOUR).floor().min(*rows as f64 - 1.0);
            if first > last {
                continue;
            }
            for row in first as usize..=last as usize {
                let (y, row) = (row as f64, met.entry(row).or_default());
                if (a[1] <= y) != (b[1] <= y) {
                    row.crossings.push(a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]));
                }
                let touched = touched(*a, *b, y).and_then(|[from, to]| columns_between(from, to + 1.0));
                row.inside.extend(touched);
            }
        }
    }
    let mut found = Vec::new();
    for (at, mut row) in met {
        row.crossings.sort_by(f64::total_cmp);
        for [from, to] in row.crossings.as_chunks::<2>().0 {
            row.inside.extend(columns_between(from.ceil(), to.ceil()));
        }
        // United: what overlaps or touches is one run.
        let mut run: Option<[usize; 2]> = None;
        for [from, to] in row.inside {
            run = match run {
                Some([start, end]) if from <= end => Some([start, end.max(to)]),
                other => {
                    found.extend(other.map(|[start, end]| [at, start, end].map(|v| v as u32)));
                    Some([from, to])
                }
            };
        }
        found.extend(run.map(|[start, end]| [at, start, end].map(|v| v as u32)));
    }
    found
}

/// Slices in which two contours cross each other, so that what both cover is outside by the even–odd rule.
fn crossed(slices: &BTreeMap<usize, Vec<Polygon>>) -> usize {
    slices.values().filter(|polygons| pairs(polygons).any(|(a, b)| cross_each_other(a, b))).count()
}

/// Pairs of a few polygons; slices with very many are those of vessels or calcifications, apart from each other.
fn pairs(polygons: &[Polygon]) -> impl Iterator<Item = (&Polygon, &Polygon)> {
    let few = polygons.get(..polygons.len().min(64)).unwrap_or_default();
    few.iter().enumerate().flat_map(move |(n, a)| few.iter().skip(n + 1).map(move |b| (a, b)))
}

/// Do some points of `b` lie inside `a` and others outside, or the other way round? Points on it are neither.
fn cross_each_other(a: &[[f64; 2]], b: &[[f64; 2]]) -> bool {
    let mixed = |of: &[[f64; 2]], within: &[[f64; 2]]| {
        let apart = |p: &&[f64; 2]| !edges(within).any(|(a, b)| on_edge(a, b, **p));
        let sides: BTreeSet<bool> = of.iter().filter(apart).map(|p| holds(within, *p)).collect();
        sides.len() == 2
    };
    mixed(a, b) || mixed(b, a)
}

fn edges(polygon: &[[f64; 2]]) -> impl Iterator<Item = ([f64; 2], [f64; 2])> + '_ {
    polygon.iter().zip(polygon.iter().cycle().skip(1)).map(|(a, b)| (*a, *b))
}

fn holds(polygon: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    let left = |(a, b): &([f64; 2], [f64; 2])| {
        (a[1] <= y) != (b[1] <= y) && a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) < x
    };
    edges(polygon).filter(left).count() % 2 == 1
}

fn on_edge(a: [f64; 2], b: [f64; 2], p: [f64; 2]) -> bool {
    let (along, to) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let length = along[0].hypot(along[1]).max(f64::MIN_POSITIVE);
    let share = ((along[0] * to[0] + along[1] * to[1]) / (length * length)).clamp(0.0, 1.0);
    (to[0] - share * along[0]).hypot(to[1] - share * along[1]) <= ON_CONTOUR
}

/// First and last column whose centre in row `y` lies on the edge from `a` to `b`.
fn touched(a: [f64; 2], b: [f64; 2], y: f64) -> Option<[f64; 2]> {
    let (low, high) = (a[1].min(b[1]), a[1].max(b[1]));
    if y < low - ON_CONTOUR || y > high + ON_CONTOUR {
        return None;
    }
    let (left, right) = if high - low < ON_CONTOUR {
        (a[0].min(b[0]), a[0].max(b[0]))
    } else {
        let x = a[0] + ((y - a[1]) / (b[1] - a[1])).clamp(0.0, 1.0) * (b[0] - a[0]);
        (x, x)
    };
    let (from, to) = ((left - ON_CONTOUR).ceil(), (right + ON_CONTOUR).floor());
    (from <= to && to >= 0.0).then_some([from, to])
}
