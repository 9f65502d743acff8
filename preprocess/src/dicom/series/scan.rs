//! Headers of all files, and which of their frames belong together.

use crate::dicom::files::Blob;
use crate::dicom::format::Format;
use crate::dicom::functional::{group, place};
use crate::dicom::geometry::FramePlane;
use crate::dicom::image::modality_of;
use crate::dicom::values::windows;
use loupe_core::guard::guarded;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::picture::INCOMPLETE;
use loupe_core::volume::Modality;
use loupe_core::window::Window;
use loupe_core::words::counted;
use loupe_dicom::object::{Dataset, Object};
use loupe_dicom::parse;
use loupe_dicom::tags;
use rayon::prelude::*;

/// One frame of one file.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    /// File, as an index into the group's blobs.
    pub blob: usize,
    /// Frame in the file.
    pub frame: usize,
    /// Tile of a mosaic, when the frame is one.
    pub tile: Option<usize>,
    /// Where it lies.
    pub plane: Option<FramePlane>,
    /// What orders frames at one position, most telling first: temporal position, echo, trigger time,
    /// acquisition, the indices of a multi-frame object's dimensions, then Instance Number.
    pub order: Vec<f64>,
    /// Slice Thickness in mm (used for single slices only).
    pub thickness_mm: Option<f64>,
    /// The object's own UID, to recognise copies of a file.
    pub instance_uid: Option<String>,
}

/// Frames that share series, frame of reference, size, spacing, image type and orientation.
pub(super) struct Group {
    pub modality: Modality,
    pub size: [usize; 2],
    pub blobs: Vec<Blob>,
    pub slices: Vec<Slice>,
    pub notes: Vec<String>,
    pub window: Option<Window>,
    /// Number type and transfer syntax of the first file.
    pub stored: String,
    key: Vec<String>,
    grey: bool,
}

impl Group {
    /// Do the frames have places in space and intensities?
    pub(super) fn makes_volumes(&self) -> bool {
        self.grey && self.slices.iter().all(|s| s.plane.is_some())
    }

    fn accepts(&self, key: &[String], plane: Option<&FramePlane>) -> bool {
        let same_direction = match (self.slices.first().and_then(|s| s.plane.as_ref()), plane) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                let near = |p: [f64; 3], q: [f64; 3]| p.iter().zip(q).all(|(x, y)| (x - y).abs() < 1e-4);
                let spacing = a.spacing_mm.iter().zip(b.spacing_mm).all(|(x, y)| (x - y).abs() < 1e-4 * x);
                near(a.row, b.row) && near(a.column, b.column) && spacing
            }
            _ => false,
        };
        self.key == key && same_direction
    }
}

/// What one file contributes.
struct Header {
    key: Vec<String>,
    modality: Modality,
    size: [usize; 2],
    grey: bool,
    slices: Vec<Slice>,
    note: Option<String>,
    window: Option<Window>,
    stored: String,
}

/// What a file turned out to be.
enum Found {
    /// Nothing that belongs to a series.
    Other,
    /// DICOM without pixels: a report, a structure set.
    NoImage(MediaError),
    /// A file that should hold slices and does not give them.
    Unreadable(MediaError),
    Image(Header),
}

impl Found {
    fn of(blob: &Blob, limits: &DecodeLimits) -> Self {
        let bytes = match blob.read(limits) {
            Ok(bytes) => bytes,
            Err(e) => return Self::Unreadable(e),
        };
        if !parse::looks_like_dicom(&bytes) {
            let named = matches!(blob, Blob::File(path)
                if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("dcm")));
            let problem = if bytes.is_empty() { "is empty" } else { "holds no DICOM in spite of its name" };
            let field = "file".to_owned();
            return match named {
                true => Self::Unreadable(MediaError::Malformed {
                    format: "DICOM",
                    field,
                    problem: problem.to_owned(),
                }),
                false => Self::Other,
            };
        }
        let mut pixels = true;
        let read = guarded("DICOM", "data set", || {
            let object = parse::parse(bytes, limits)?;
            pixels = [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA]
                .iter()
                .any(|tag| object.data.get(*tag).is_some())
                || object.truncated_in.is_some();
            header(&object, limits)
        });
        match read {
            Ok(header) => Self::Image(header),
            Err(e) if pixels => Self::Unreadable(e),
            Err(e) => Self::NoImage(e),
        }
    }
}

/// Groups the frames of all files that are DICOM images.
pub(super) fn groups(blobs: Vec<Blob>, limits: &DecodeLimits) -> Result<Vec<Group>, MediaError> {
    let headers: Vec<_> = blobs.par_iter().map(|blob| Found::of(blob, limits)).collect();
    let mut groups: Vec<Group> = Vec::new();
    let mut first_error = None;
    let (mut unreadable, mut without, mut images) = (0usize, 0usize, 0usize);
    for (blob, header) in blobs.into_iter().zip(headers) {
        let header = match header {
            Found::Other => continue,
            Found::Image(header) => header,
            Found::NoImage(e) => {
                without += 1;
                first_error.get_or_insert(e);
                continue;
            }
            Found::Unreadable(e) => {
                unreadable += 1;
                first_error.get_or_insert(e);
                continue;
            }
        };
        images += 1;
        for slice in header.slices {
            let at = groups.iter().position(|g| g.accepts(&header.key, slice.plane.as_ref()));
            let at = at.unwrap_or_else(|| {
                groups.push(Group {
                    modality: header.modality,
                    size: header.size,
                    blobs: Vec::new(),
                    slices: Vec::new(),
                    notes: Vec::new(),
                    window: header.window,
                    stored: header.stored.clone(),
                    key: header.key.clone(),
                    grey: header.grey,
                });
                groups.len() - 1
            });
            let Some(group) = groups.get_mut(at) else { continue };
            // All frames of a file come one after the other, so the last blob is its own or not yet there.
            if slice.frame == 0 && slice.tile.is_none_or(|t| t == 0) || group.blobs.is_empty() || {
                group.slices.last().is_none_or(|s| s.instance_uid != slice.instance_uid)
            } {
                group.blobs.push(blob.clone());
                group.notes.extend(header.note.clone());
            }
            group.slices.push(Slice { blob: group.blobs.len() - 1, ..slice });
        }
    }
    if images == 0 {
        return Err(
            first_error.unwrap_or_else(|| MediaError::UnknownFormat("no DICOM image found".to_owned()))
        );
    }
    let mut say = |note: String| groups.iter_mut().for_each(|g| g.notes.push(note.clone()));
    if unreadable > 0 {
        let files = counted(unreadable, "file");
        say(format!("{INCOMPLETE}{files} next to it could not be read, slices may be missing"));
    }
    match without {
        0 => {}
        1 => say("1 DICOM file next to it holds no image".to_owned()),
        n => say(format!("{n} DICOM files next to it hold no image")),
    }
    for group in &mut groups {
        group.notes.dedup();
    }
    Ok(groups)
}

fn header(object: &Object, limits: &DecodeLimits) -> Result<Header, MediaError> {
    let format = Format::read(object, limits)?;
    let data = &object.data;
    let text = |tag| data.text(tag).unwrap_or_default();
    let mut size = [format.rows, format.columns];
    let mosaic = super::mosaic::Mosaic::read(data, &format)?;
    let planes: Vec<(usize, Option<usize>, Option<FramePlane>)> = match &mosaic {
        Some(mosaic) => {
            size = mosaic.size;
            (0..mosaic.count).map(|tile| (0, Some(tile), Some(mosaic.plane(tile)))).collect()
        }
        None => (0..format.frames).map(|frame| (frame, None, plane(data, frame, format.frames))).collect(),
    };
    let key = vec![
        text(tags::SERIES_INSTANCE_UID),
        text(tags::FRAME_OF_REFERENCE_UID),
        format!("{size:?}"),
        // A derived map and the images it was made from may share a series.
        text(tags::IMAGE_TYPE),
        text(tags::MODALITY),
    ];
    let slices = planes.into_iter().map(|(frame, tile, plane)| Slice {
        blob: 0,
        frame,
        tile,
        plane,
        order: order(data, frame),
        thickness_mm: place(data, frame, tags::PIXEL_MEASURES_SEQUENCE)
            .number(tags::SLICE_THICKNESS)
            .filter(|t| t.is_finite() && *t > 0.0),
        instance_uid: data.text(tags::SOP_INSTANCE_UID),
    });
    Ok(Header {
        key,
        modality: modality_of(object),
        size,
        grey: format.photometric.is_grey() && format.samples == 1,
        slices: slices.collect(),
        note: object.truncated_in.map(parse::truncation_note),
        stored: format!("{}, {}", format.describe(), loupe_dicom::syntax::name(&object.transfer_syntax)),
        window: windows(data, 0).into_iter().map(|(window, _)| window).find(Window::is_valid),
    })
}

/// The plane of a frame; RT dose grids give offsets from the first (C.8.8.3.2).
fn plane(data: &Dataset, frame: usize, frames: usize) -> Option<FramePlane> {
    let mut plane = FramePlane::read(data, frame)?;
    if frames == 1 {
        return Some(plane);
    }
    if group(data, frame, tags::PLANE_POSITION_SEQUENCE).is_some() {
        return Some(plane);
    }
    // Several frames with one position: a sequence in time, or a grid with offsets.
    let offsets = data.numbers(tags::GRID_FRAME_OFFSET_VECTOR).filter(|o| o.len() == frames)?;
    let first = if offsets.first() == Some(&0.0) { 0.0 } else { *offsets.first()? };
    let offset = offsets.get(frame)? - first;
    let normal = plane.normal();
    plane.position = [0, 1, 2].map(|n| plane.position[n] + normal[n] * offset);
    Some(plane)
}

/// What orders frames at one position.
fn order(data: &Dataset, frame: usize) -> Vec<f64> {
    let content = place(data, frame, tags::FRAME_CONTENT_SEQUENCE);
    let number = |set: &Dataset, tag| set.number(tag).filter(|v| v.is_finite()).unwrap_or(0.0);
    let mut order = vec![
        number(content, tags::TEMPORAL_POSITION_INDEX),
        number(data, tags::TEMPORAL_POSITION_IDENTIFIER),
        number(place(data, frame, tags::MR_ECHO_SEQUENCE), tags::EFFECTIVE_ECHO_TIME),
        number(data, tags::ECHO_TIME),
        number(data, tags::TRIGGER_TIME),
        number(data, tags::ACQUISITION_NUMBER),
    ];
    order.extend(content.numbers(tags::DIMENSION_INDEX_VALUES).unwrap_or_default());
    order.extend([number(data, tags::INSTANCE_NUMBER), frame as f64]);
    order
}
