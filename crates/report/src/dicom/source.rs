//! The DICOM objects that findings lie on: their headers, where their frames lie, and which pixel of which frame
//! a pixel of a view is.

use loupe_core::geometry::LpsFromIndex;
use loupe_core::lattice::{Grid, Lattice};
use loupe_core::{Box2, Origin, Point2, Source};
use loupe_dicom::object::describe;
use loupe_dicom::plane::FramePlane;
use loupe_dicom::{Dataset, Object, Tag, tags, uid};
use std::collections::BTreeSet;
use thiserror::Error;

/// Why an object cannot be referred to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// An attribute without which nothing can refer to the object.
    #[error("{0} is missing or damaged, so nothing can refer to this object")]
    Missing(String),
    /// Objects of several studies.
    #[error("the images are of {0} studies; give those of one")]
    Studies(usize),
    /// The view is none of the stored frames.
    #[error(
        "the view is none of the stored frames (a plane across them, or a slice between two); findings-csv and \
         fhir have its places in millimetres"
    )]
    NotStored,
    /// The view's size is not that of the frame.
    #[error("the view has {view:?} pixels, the stored frame {frame:?}")]
    Size {
        /// Width and height of the view.
        view: [usize; 2],
        /// Columns and rows of the frame.
        frame: [usize; 2],
    },
    /// Nothing says which of several objects the view is of.
    #[error("nothing says which of {0} objects the view is of")]
    Ambiguous(usize),
}

/// A frame of one of the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameRef {
    /// Number of the object in [`SourceStudy::files`].
    pub file: usize,
    /// Frame in it, from 0.
    pub frame: usize,
}

/// The header of an object.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The data set without pixels.
    pub data: Dataset,
    /// SOP Class UID.
    pub class: String,
    /// SOP Instance UID.
    pub instance: String,
    /// Series Instance UID.
    pub series: String,
    /// Study Instance UID.
    pub study: String,
    /// Number of frames.
    pub frames: usize,
    /// Columns and rows.
    pub size: [usize; 2],
}

impl SourceFile {
    /// The header of a parsed object; its pixels are let go.
    ///
    /// # Errors
    /// [`SourceError::Missing`] for what a reference needs.
    pub fn of(object: Object) -> Result<Self, SourceError> {
        const PIXELS: [Tag; 3] = [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA];
        let mut data = object.data;
        data.retain(|element| !PIXELS.contains(&element.tag));
        let uid = |tag| {
            let found = data.text(tag).filter(|uid| uid::is_valid(uid));
            found.ok_or_else(|| SourceError::Missing(describe(tag)))
        };
        let side = |tag| {
            let found = data.integer(tag).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
            found.ok_or_else(|| SourceError::Missing(describe(tag)))
        };
        let frames = data.integer(tags::NUMBER_OF_FRAMES).and_then(|n| usize::try_from(n).ok());
        Ok(Self {
            class: uid(tags::SOP_CLASS_UID)?,
            instance: uid(tags::SOP_INSTANCE_UID)?,
            series: uid(tags::SERIES_INSTANCE_UID)?,
            study: uid(tags::STUDY_INSTANCE_UID)?,
            frames: frames.filter(|n| *n > 0).unwrap_or(1),
            size: [side(tags::COLUMNS)?, side(tags::ROWS)?],
            data,
        })
    }

    /// Where a frame lies.
    pub fn plane(&self, frame: usize) -> Option<FramePlane> {
        FramePlane::among(&self.data, frame, self.frames)
    }

    /// The frame as a grid of one slice, whose step along k is the unit normal.
    pub fn grid(&self, frame: usize) -> Option<Grid> {
        let plane = self.plane(frame)?;
        let (i, j) = plane.steps();
        let lps_from_index = LpsFromIndex::from_columns(i, j, plane.normal(), plane.position);
        let [columns, rows] = self.size;
        Some(Grid { shape: [1, rows, columns], lps_from_index })
    }

    /// Frame of Reference UID.
    pub fn frame_of_reference(&self) -> Option<String> {
        self.data.text(tags::FRAME_OF_REFERENCE_UID).filter(|uid| uid::is_valid(uid))
    }
}

/// The objects of one study.
#[derive(Debug, Clone)]
pub struct SourceStudy {
    /// Their headers, in the order of Series, Instance Number and UID.
    pub files: Vec<SourceFile>,
}

impl SourceStudy {
    /// The study of these objects; of one instance given twice the first counts.
    ///
    /// # Errors
    /// When they are of several studies.
    pub fn of(files: Vec<SourceFile>) -> Result<Self, SourceError> {
        let studies: BTreeSet<&str> = files.iter().map(|f| f.study.as_str()).collect();
        match studies.len() {
            0 | 1 => Ok(Self::of_several(files)),
            n => Err(SourceError::Studies(n)),
        }
    }

    /// These objects, of whatever studies, for formats that lie in none.
    pub fn of_several(mut files: Vec<SourceFile>) -> Self {
        let key = |f: &SourceFile| {
            (f.series.clone(), f.data.integer(tags::INSTANCE_NUMBER).unwrap_or(i64::MAX), f.instance.clone())
        };
        files.sort_by_cached_key(key);
        files.dedup_by(|a, b| a.instance == b.instance);
        Self { files }
    }

    /// Series Instance UIDs in their order.
    pub fn series(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.files.iter().map(|f| f.series.as_str()).collect();
        all.dedup();
        all
    }

    /// Frames of a series, along the normal of the first where all have a place and are parallel, else as they are.
    pub fn frames(&self, series: &str) -> Vec<FrameRef> {
        let of_series = self.files.iter().enumerate().filter(|(_, f)| f.series == series);
        let mut frames: Vec<FrameRef> = of_series
            .flat_map(|(file, f)| (0..f.frames).map(move |frame| FrameRef { file, frame }))
            .collect();
        let planes: Option<Vec<FramePlane>> = frames.iter().map(|at| self.plane(*at)).collect();
        if let Some(normal) = planes.as_ref().and_then(|p| p.first()).map(FramePlane::normal) {
            let along = |at: &FrameRef| {
                let position = self.plane(*at).map_or([0.0; 3], |p| p.position);
                normal.iter().zip(position).map(|(n, p)| n * p).sum::<f64>()
            };
            frames.sort_by(|a, b| along(a).total_cmp(&along(b)));
        }
        frames
    }

    /// The object of a frame.
    pub fn file(&self, at: FrameRef) -> Option<&SourceFile> {
        self.files.get(at.file)
    }

    /// Where a frame lies.
    pub fn plane(&self, at: FrameRef) -> Option<FramePlane> {
        self.file(at)?.plane(at.frame)
    }

    /// The frame that a view with this origin shows, among the objects `of`, and where its pixels are there.
    ///
    /// # Errors
    /// When the view is none of their frames.
    pub fn frame_of(&self, origin: &Origin, of: &[usize]) -> Result<(FrameRef, FrameMap), SourceError> {
        let files: Vec<(usize, &SourceFile)> =
            of.iter().filter_map(|n| Some((*n, self.files.get(*n)?))).collect();
        let Some(lps) = origin.lps_from_source else {
            // A flat image: its only object, in the frame that was asked for.
            let [(file, found)] = files[..] else { return Err(SourceError::Ambiguous(files.len())) };
            let frame = origin.frame.unwrap_or(0);
            if frame >= found.frames {
                return Err(SourceError::NotStored);
            }
            if found.size != origin.source_size {
                return Err(SourceError::Size { view: origin.source_size, frame: found.size });
            }
            return Ok((FrameRef { file, frame }, FrameMap::IDENTITY));
        };
        let column = |c: usize| [lps.m[0][c], lps.m[1][c], lps.m[2][c]];
        let normal = loupe_core::geometry::cross(column(0), column(1));
        let length = loupe_core::geometry::norm(normal).max(f64::MIN_POSITIVE);
        let lps_from_index = LpsFromIndex::from_columns(
            column(0),
            column(1),
            normal.map(|v| v / length),
            lps.apply(Point2::new(0.5, 0.5)),
        );
        let [width, height] = origin.source_size;
        let view = Grid { shape: [1, height, width], lps_from_index };
        for (file, found) in files {
            for frame in 0..found.frames {
                let Some(grid) = found.grid(frame) else { continue };
                let Some(map) = Lattice::between(&view, &grid.lps_from_index).and_then(FrameMap::of) else {
                    continue;
                };
                if map.size(origin.source_size) != found.size {
                    return Err(SourceError::Size { view: origin.source_size, frame: found.size });
                }
                return Ok((FrameRef { file, frame }, map));
            }
        }
        Err(SourceError::NotStored)
    }
}

/// Pixels of a view to those of the frame that it shows: the same ones, perhaps turned or mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameMap {
    base: [i64; 2],
    /// Columns: where a step to the right and a step down lead.
    right: [i64; 2],
    down: [i64; 2],
}

impl FrameMap {
    /// Nothing changes.
    pub const IDENTITY: Self = Self { base: [0, 0], right: [1, 0], down: [0, 1] };

    /// From where voxels lie; `None` where the plane is another one.
    fn of(lattice: Lattice) -> Option<Self> {
        let at = |index| lattice.index(index);
        let (base, right, down) = (at([0, 0, 0]), at([1, 0, 0]), at([0, 1, 0]));
        if base[2] != 0 || right[2] != 0 || down[2] != 0 {
            return None;
        }
        let step = |to: [i64; 3]| [to[0] - base[0], to[1] - base[1]];
        Some(Self { base: [base[0], base[1]], right: step(right), down: step(down) })
    }

    /// Columns and rows of the frame for those of the view.
    fn size(&self, [width, height]: [usize; 2]) -> [usize; 2] {
        if self.right[0] == 0 { [height, width] } else { [width, height] }
    }

    /// A position in continuous pixel edges of the view in those of the frame.
    pub fn point(&self, p: Point2<Source>) -> [f64; 2] {
        // Centres are whole numbers in the map, half a pixel from the edge.
        let (x, y) = (p.x - 0.5, p.y - 0.5);
        [0, 1].map(|n| {
            let (right, down) = (self.right[n] as f64, self.down[n] as f64);
            if (right, down) == (1.0, 0.0) && self.base[n] == 0 {
                return p.x; // to the last bit
            }
            if (right, down) == (0.0, 1.0) && self.base[n] == 0 {
                return p.y;
            }
            self.base[n] as f64 + right * x + down * y + 0.5
        })
    }

    /// A box, `[x0, y0, x1, y1]`.
    pub fn boxed(&self, b: Box2<Source>) -> [f64; 4] {
        let [ax, ay] = self.point(Point2::new(b.x0, b.y0));
        let [bx, by] = self.point(Point2::new(b.x1, b.y1));
        [ax.min(bx), ay.min(by), ax.max(bx), ay.max(by)]
    }

    /// The frame's pixel for a pixel of the view.
    pub fn pixel(&self, x: usize, y: usize) -> Option<[usize; 2]> {
        let (x, y) = (i64::try_from(x).ok()?, i64::try_from(y).ok()?);
        let at = [0, 1].map(|n| self.base[n] + self.right[n] * x + self.down[n] * y);
        Some([usize::try_from(at[0]).ok()?, usize::try_from(at[1]).ok()?])
    }
}
