//! Headers of all files, and which of their frames belong together.

use super::about::About;
use crate::dicom::files::Blob;
use crate::dicom::format::Format;
use crate::dicom::functional::place;
use crate::dicom::geometry::FramePlane;
use crate::dicom::image::{is_image_class, modality_of};
use crate::dicom::overlays::announcement;
use crate::dicom::values::{Transform, presentation};
use crate::loader::kind::FileKind;
use crate::presentation::Presentation;
use loupe_core::guard::guarded;
use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use loupe_core::picture::INCOMPLETE;
use loupe_core::volume::Modality;
use loupe_core::words::counted;
use loupe_dicom::object::{Dataset, Object};
use loupe_dicom::parse;
use loupe_dicom::tags;
use rayon::prelude::*;
use std::cmp::Ordering;
use std::sync::Arc;

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
    /// Instance Number.
    pub instance_number: Option<i64>,
    /// How it is shown.
    pub presentation: Arc<Presentation>,
}

/// Frames that share series, frame of reference, size, spacing, image type and orientation.
pub(super) struct Group {
    pub modality: Modality,
    pub size: [usize; 2],
    pub blobs: Vec<Blob>,
    pub slices: Vec<Slice>,
    pub notes: Vec<String>,
    /// Number type and transfer syntax of the first file.
    pub stored: String,
    /// What the header of the first file says of its series.
    pub about: About,
    key: Vec<String>,
    grey: bool,
}

impl Group {
    /// Do the frames have places in space and intensities? Those of a segmentation are masks, which may overlap.
    pub(super) fn makes_volumes(&self) -> bool {
        self.grey && !self.about.segmentation && self.slices.iter().all(|s| s.plane.is_some())
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
    /// Its place among the others.
    rank: Rank,
    key: Vec<String>,
    modality: Modality,
    size: [usize; 2],
    grey: bool,
    slices: Vec<Slice>,
    notes: Vec<String>,
    stored: String,
    about: About,
}

/// What orders files, whatever they are called: Series Number, series, Instance Number, the place of the first
/// frame along the patient's axes, and the object's own UID; of copies of one object the whole ones before those that
/// were cut off.
#[derive(PartialEq)]
struct Rank {
    series_number: i64,
    series: String,
    instance_number: i64,
    place: [f64; 3],
    instance: Option<String>,
    truncated: bool,
    stored: String,
}

impl Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.series_number, &self.series, self.instance_number)
            .cmp(&(other.series_number, &other.series, other.instance_number))
            .then_with(|| {
                let pairs = self.place.iter().zip(&other.place);
                pairs.map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            })
            .then_with(|| self.instance.cmp(&other.instance))
            .then_with(|| (self.truncated, &self.stored).cmp(&(other.truncated, &other.stored)))
    }
}

/// What a file turned out to be.
enum Found {
    /// Nothing that belongs to a series.
    Other,
    /// A picture or volume of another format.
    OtherFormat,
    /// DICOM without pixels: a report, a structure set.
    NoImage(MediaError),
    /// A file that should hold slices and does not give them.
    Unreadable(MediaError),
    Image(Box<Header>),
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
                false => match FileKind::sniff(&bytes) {
                    Some(FileKind::Picture(_) | FileKind::Volume(_)) => Self::OtherFormat,
                    _ => Self::Other,
                },
            };
        }
        let mut pixels = true;
        let read = guarded("DICOM", "data set", || {
            let object = parse::parse(bytes, limits)?;
            let places = [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA];
            // One that was cut may have had them, and so may one that says it is an image.
            pixels = places.iter().any(|tag| object.data.get(*tag).is_some())
                || object.truncated_in.is_some()
                || object.data.elements().is_empty()
                || is_image_class(&object);
            header(&object, limits)
        });
        match read {
            Ok(header) => Self::Image(Box::new(header)),
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
    let (mut unreadable, mut without, mut others, mut images) = (0usize, 0usize, 0usize, 0usize);
    let mut read = Vec::new();
    for (blob, header) in blobs.into_iter().zip(headers) {
        match header {
            Found::Other => {}
            Found::OtherFormat => others += 1,
            Found::Image(header) => read.push((blob, header)),
            Found::NoImage(e) => {
                without += 1;
                first_error.get_or_insert(e);
            }
            Found::Unreadable(e) => {
                unreadable += 1;
                first_error.get_or_insert(e);
            }
        }
    }
    read.sort_by(|(_, a), (_, b)| a.rank.cmp(&b.rank));
    for (blob, header) in read {
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
                    stored: header.stored.clone(),
                    about: header.about.clone(),
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
                group.notes.extend(header.notes.clone());
            }
            // Most slices of a series are shown alike; tables are too large to keep one for each.
            let known = group.slices.last().map(|s| &s.presentation);
            let presentation = match known.filter(|known| **known == slice.presentation) {
                Some(known) => Arc::clone(known),
                None => Arc::clone(&slice.presentation),
            };
            group.slices.push(Slice { blob: group.blobs.len() - 1, presentation, ..slice });
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
    if others > 0 {
        say(format!("{} of another format beside the DICOM files left aside", counted(others, "image file")));
    }
    for group in &mut groups {
        let mut seen = Vec::new();
        for note in std::mem::take(&mut group.notes) {
            if !seen.contains(&note) {
                seen.push(note);
            }
        }
        group.notes = seen;
    }
    Ok(groups)
}

fn header(object: &Object, limits: &DecodeLimits) -> Result<Header, MediaError> {
    let format = Format::read(object, limits)?;
    let data = &object.data;
    let text = |tag| data.text(tag).unwrap_or_default();
    let mut size = [format.rows, format.columns];
    let grey = format.photometric.is_grey() && format.samples == 1;
    let mosaic = super::mosaic::Mosaic::read(data, &format)?;
    let planes: Vec<(usize, Option<usize>, Option<FramePlane>)> = match &mosaic {
        Some(mosaic) => {
            size = mosaic.size;
            (0..mosaic.count).map(|tile| (0, Some(tile), Some(mosaic.plane(tile)))).collect()
        }
        None => (0..format.frames)
            .map(|frame| (frame, None, FramePlane::among(data, frame, format.frames)))
            .collect(),
    };
    let key = vec![
        text(tags::SERIES_INSTANCE_UID),
        text(tags::FRAME_OF_REFERENCE_UID),
        format!("{size:?}"),
        // A derived map and the images it was made from may share a series.
        text(tags::IMAGE_TYPE),
        text(tags::MODALITY),
        // Colours have no intensities to stack.
        grey.to_string(),
    ];
    let whole = data.integer(tags::INSTANCE_NUMBER);
    let stored = format!("{}, {}", format.describe(), loupe_dicom::syntax::name(&object.transfer_syntax));
    let rank = Rank {
        series_number: data.integer(tags::SERIES_NUMBER).unwrap_or(0),
        series: text(tags::SERIES_INSTANCE_UID),
        instance_number: whole.unwrap_or(0),
        place: planes.first().and_then(|(.., plane)| *plane).map_or([0.0; 3], |plane| plane.position),
        instance: data.text(tags::SOP_INSTANCE_UID),
        truncated: object.truncated_in.is_some(),
        stored: stored.clone(),
    };
    let shown = |frame| {
        // A broken transform is refused when the frame is decoded.
        let transform = Transform::read(object, frame, format.signed);
        let transform = transform.unwrap_or(Transform::Linear { slope: 1.0, intercept: 0.0 });
        Arc::new(presentation(data, frame, &format, &transform))
    };
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
        instance_number: whole,
        presentation: shown(frame),
    });
    let slices: Vec<Slice> = slices.collect();
    let truncated = object.truncated_in.map(parse::truncation_note);
    Ok(Header {
        rank,
        key,
        modality: modality_of(object),
        size,
        grey,
        slices,
        notes: truncated.into_iter().chain(announcement(data)).collect(),
        about: About::read(object),
        stored,
    })
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
