//! DICOM Segmentation (PS3.3 A.51) and Label Map Segmentation: masks on the frames of the series that they were made on, with
//! its frame of reference and references to each of its frames. 3D Slicer, OHIF, highdicom and dcmqi read it.
//!
//! By default every frame of the series is written for every segment, so that any reader can put the masks on the grid of the
//! series; with `used_frames` empty ones are left out, as the standard allows.

use crate::dicom::codes::{concept, segment_codes};
use crate::dicom::derived::{
    begin, code, finish, frame_of_reference, long_string, reference, referenced_series,
};
use crate::dicom::segments::PlacedMask;
use crate::dicom::{
    DerivedKind, FrameRef, SegmentMasks, SourceFile, SourceStudy, segments_of_findings, segments_of_labels,
};
use crate::exports::exporter::{Export, ExportError, ExportFile, Exported, Exporter, Scope, SegmentKind};
use crate::label_tables::label_colour;
use loupe_core::geometry::dot;
use loupe_dicom::{Dataset, VR, tags, uid};
use std::collections::{BTreeMap, BTreeSet};

/// The format of this file.
pub static EXPORTERS: &[Exporter] = &[Exporter {
    name: "dicom-seg",
    about: "masks as DICOM Segmentation on the frames of their series",
    scope: Scope::Study,
    write,
}];

const BINARY: DerivedKind = DerivedKind {
    class: "1.2.840.10008.5.1.4.1.1.66.4",
    modality: "SEG",
    series_number: 9001,
    description: "Segmentation by model",
};
const LABEL_MAP: DerivedKind = DerivedKind { class: "1.2.840.10008.5.1.4.1.1.66.7", ..BINARY };

/// The largest stored fraction.
const MOST: u8 = 255;

fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let study = export.study()?;
    let (mut segments, mut notes) = match export.labels {
        Some((series, labels)) => segments_of_labels(study, series, labels)?,
        None => segments_of_findings(study, &placed_masks(export))?,
    };
    if segments.iter().all(|s| s.frames.is_empty()) {
        return Err(ExportError::Nothing("no mask lies on a stored frame"));
    }
    if export.options.segments != SegmentKind::LabelMap {
        notes.extend(number_in_order(&mut segments));
    }
    // A segmentation is of one frame of reference and one size: of one series.
    let mut files = Vec::new();
    let series = study.series();
    for (n, uid) in series.iter().enumerate() {
        let of_series = |at: &FrameRef| study.file(*at).is_some_and(|f| f.series == *uid);
        let part = |s: &SegmentMasks| {
            let frames = s.frames.iter().filter(|(at, _)| of_series(at)).map(|(at, m)| (*at, m.clone()));
            SegmentMasks { frames: frames.collect(), ..s.clone() }
        };
        let here: Vec<SegmentMasks> = segments.iter().map(part).collect();
        if here.iter().any(|s| !s.frames.is_empty()) {
            let bytes = segmentation(export, study, uid, &here, &mut notes)?;
            let name = if series.len() == 1 { "seg.dcm".to_owned() } else { format!("seg-{:02}.dcm", n + 1) };
            files.push(ExportFile { name, bytes });
        }
    }
    Ok(Exported { files, notes })
}

/// Numbers the segments from 1 in their order, as the standard requires where a frame holds one segment; a label without a name is
/// named by its own number. Says what became of numbers that changed.
fn number_in_order(segments: &mut [SegmentMasks]) -> Option<String> {
    let mut changed = Vec::new();
    for (n, segment) in (1..).zip(segments) {
        segment.label.name = Some(segment.label.title());
        if segment.label.number != n {
            changed.push(format!("{} is {n}", segment.label.number));
        }
        segment.label.number = n;
    }
    (!changed.is_empty()).then(|| format!("segments are numbered in order: label {}", changed.join(", ")))
}

/// The masks among the findings with the objects of their images.
pub(super) fn placed_masks<'a>(export: &Export<'a>) -> Vec<PlacedMask<'a>> {
    let masks = export.findings.iter().enumerate().filter(|(_, f)| f.finding.as_mask().is_some());
    let placed = masks.map(|(number, f)| {
        let files = export.image_of(f).map_or(&[][..], |(_, image)| image.files);
        PlacedMask { number, finding: f.finding, files }
    });
    placed.collect()
}

/// The file of one series.
fn segmentation(
    export: &Export<'_>,
    study: &SourceStudy,
    series: &str,
    segments: &[SegmentMasks],
    notes: &mut Vec<String>,
) -> Result<Vec<u8>, ExportError> {
    let kind = export.options.segments;
    let used: BTreeSet<FrameRef> = segments.iter().flat_map(|s| s.frames.keys().copied()).collect();
    let size = used.iter().find_map(|at| study.file(*at)).map_or([0; 2], |f| f.size);
    // Scouts and other sizes of the series are no frames of this object.
    let has_place = used.iter().all(|at| study.plane(*at).is_some());
    let frames: Vec<FrameRef> = study
        .frames(series)
        .into_iter()
        .filter(|at| used.contains(at) || (!export.options.used_frames && fits(study, *at, size, has_place)))
        .collect();
    let first = frames.iter().find_map(|at| study.file(*at));
    let first = first.ok_or(ExportError::Nothing("the series has no frame"))?;
    let stored = match kind {
        SegmentKind::Binary | SegmentKind::Fractional => {
            by_segment(segments, &frames, export.options.used_frames)
        }
        SegmentKind::LabelMap => frames.iter().map(|at| (*at, None)).collect(),
    };
    let mut data =
        begin(first, if kind == SegmentKind::LabelMap { &LABEL_MAP } else { &BINARY }, export.author);
    frame_of_reference(&mut data, first);
    image(&mut data, size, stored.len(), kind, segments)?;
    data.put_bytes(
        tags::PIXEL_DATA,
        if bytes_wide(segments, kind) == 2 { VR::OW } else { VR::OB },
        pixels(segments, &stored, size, kind)?,
    );
    data.put_items(
        tags::SEGMENT_SEQUENCE,
        segments.iter().map(|s| segment(s, &export.author.model)).collect(),
    );
    if kind == SegmentKind::LabelMap {
        data.put_shorts(tags::PIXEL_PADDING_VALUE, &[0]);
    }
    let shared = data.text(tags::FRAME_OF_REFERENCE_UID).is_some() && has_place;
    functional_groups(&mut data, study, &stored, &frames, shared, segments);
    let references = referenced_series(study, frames.iter().copied(), tags::REFERENCED_INSTANCE_SEQUENCE);
    data.put_items(tags::REFERENCED_SERIES_SEQUENCE, references);
    if segments.iter().any(|s| s.score.is_some()) {
        notes.push("a segmentation has no place for scores: they are not in it".to_owned());
    }
    Ok(finish(data)?)
}

/// Is it a frame of the size, with a place where the others have one?
fn fits(study: &SourceStudy, at: FrameRef, size: [usize; 2], has_place: bool) -> bool {
    study.file(at).is_some_and(|f: &SourceFile| f.size == size) && (study.plane(at).is_some() || !has_place)
}

/// What is stored: the frames of the first segment, of the second, and so on.
fn by_segment(segments: &[SegmentMasks], frames: &[FrameRef], used: bool) -> Vec<(FrameRef, Option<usize>)> {
    let of = |(n, s): (usize, &SegmentMasks)| {
        let wanted: Vec<_> =
            frames.iter().filter(|at| !used || s.frames.contains_key(at)).map(|at| (*at, Some(n))).collect();
        wanted
    };
    segments.iter().enumerate().flat_map(of).collect()
}

/// Bytes of a pixel.
fn bytes_wide(segments: &[SegmentMasks], kind: SegmentKind) -> usize {
    let most = segments.iter().map(|s| s.label.number).max().unwrap_or(0);
    if kind == SegmentKind::LabelMap && most > 255 { 2 } else { 1 }
}

/// Image pixel and segmentation image (PS3.3 C.7.6.3, C.8.20.2).
fn image(
    data: &mut Dataset,
    [columns, rows]: [usize; 2],
    frames: usize,
    kind: SegmentKind,
    segments: &[SegmentMasks],
) -> Result<(), ExportError> {
    let short = |what, got| {
        u16::try_from(got).map_err(|_| ExportError::TooMany { what, got, limit: usize::from(u16::MAX) })
    };
    data.put_text(tags::IMAGE_TYPE, "DERIVED\\PRIMARY");
    data.put_text(tags::CONTENT_LABEL, "SEGMENTATION");
    data.put_text(tags::CONTENT_DESCRIPTION, "Masks made by a model");
    data.put_text(tags::CONTENT_CREATOR_NAME, "");
    data.put_text(tags::NUMBER_OF_FRAMES, &frames.to_string());
    data.put_shorts(tags::SAMPLES_PER_PIXEL, &[1]);
    data.put_text(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2");
    data.put_shorts(tags::ROWS, &[short("the number of rows", rows)?]);
    data.put_shorts(tags::COLUMNS, &[short("the number of columns", columns)?]);
    data.put_shorts(tags::PIXEL_REPRESENTATION, &[0]);
    data.put_text(tags::LOSSY_IMAGE_COMPRESSION, "00");
    let bits = match kind {
        SegmentKind::Binary => 1,
        _ => 8 * bytes_wide(segments, kind) as u16,
    };
    data.put_shorts(tags::BITS_ALLOCATED, &[bits]);
    data.put_shorts(tags::BITS_STORED, &[bits]);
    data.put_shorts(tags::HIGH_BIT, &[bits - 1]);
    data.put_text(
        tags::SEGMENTATION_TYPE,
        match kind {
            SegmentKind::Binary => "BINARY",
            SegmentKind::Fractional => "FRACTIONAL",
            SegmentKind::LabelMap => "LABELMAP",
        },
    );
    if kind == SegmentKind::Fractional {
        data.put_text(tags::SEGMENTATION_FRACTIONAL_TYPE, "OCCUPANCY");
        data.put_shorts(tags::MAXIMUM_FRACTIONAL_VALUE, &[u16::from(MOST)]);
    }
    for s in segments {
        short("the number of a segment", s.label.number as usize)?;
    }
    Ok(())
}

/// The pixels of all frames: bits that go on from frame to frame, or bytes.
fn pixels(
    segments: &[SegmentMasks],
    stored: &[(FrameRef, Option<usize>)],
    [columns, rows]: [usize; 2],
    kind: SegmentKind,
) -> Result<Vec<u8>, ExportError> {
    let size = columns * rows;
    let covered =
        |at: &FrameRef, n: usize| segments.get(n).and_then(|s| s.frames.get(at)).map(|mask| mask.bits());
    match kind {
        SegmentKind::Binary => {
            let mut out = vec![0u8; (size * stored.len()).div_ceil(8)];
            for (f, (at, n)) in stored.iter().enumerate() {
                let bits = n.and_then(|n| covered(at, n)).unwrap_or_default();
                for p in bits.iter().enumerate().filter(|(_, bit)| **bit).map(|(p, _)| f * size + p) {
                    out[p / 8] |= 1 << (p % 8);
                }
            }
            Ok(out)
        }
        SegmentKind::Fractional => {
            let mut out = vec![0u8; size * stored.len()];
            for (frame, (at, n)) in out.chunks_exact_mut(size).zip(stored) {
                let bits = n.and_then(|n| covered(at, n)).unwrap_or_default();
                frame.iter_mut().zip(bits).for_each(|(p, bit)| *p = if *bit { MOST } else { 0 });
            }
            Ok(out)
        }
        SegmentKind::LabelMap => {
            let wide = bytes_wide(segments, kind);
            let mut out = Vec::with_capacity(size * stored.len() * wide);
            for (at, _) in stored {
                let mut labels = vec![0u16; size];
                for (n, segment) in segments.iter().enumerate() {
                    let number = segment.label.number as u16;
                    for (p, _) in
                        covered(at, n).unwrap_or_default().iter().enumerate().filter(|(_, bit)| **bit)
                    {
                        if labels[p] != 0 {
                            return Err(ExportError::Overlapping(u32::from(labels[p]), segment.label.number));
                        }
                        labels[p] = number;
                    }
                }
                out.extend(labels.iter().flat_map(|l| l.to_le_bytes().into_iter().take(wide)));
            }
            Ok(out)
        }
    }
}

/// An item of the Segment Sequence (PS3.3 C.8.20.4).
fn segment(segment: &SegmentMasks, model: &str) -> Dataset {
    let [category, kind] = segment_codes(&segment.label);
    let number = segment.label.number as u16;
    let mut item = Dataset::default();
    item.put_shorts(tags::SEGMENT_NUMBER, &[number]);
    item.put_text(tags::SEGMENT_LABEL, &long_string(&segment.label.title(), "segment"));
    item.put_text(tags::SEGMENT_ALGORITHM_TYPE, "AUTOMATIC");
    item.put_text(tags::SEGMENT_ALGORITHM_NAME, &long_string(model, "loupe"));
    item.put_items(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, vec![code(&category)]);
    item.put_items(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, vec![code(&kind)]);
    item.put_shorts(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &cie_lab(label_colour(number)));
    item
}

/// An sRGB colour as DICOM stores CIELab (PS3.3 C.10.7.1.1): D50 white, scaled to 16 bits.
fn cie_lab(rgb: [u8; 3]) -> [u16; 3] {
    let linear = rgb.map(|v| {
        let v = f64::from(v) / 255.0;
        if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    // sRGB to XYZ, adapted to D50 (Bradford).
    let xyz = [
        [0.436_074_7, 0.385_064_9, 0.143_080_4],
        [0.222_504_5, 0.716_878_6, 0.060_616_9],
        [0.013_932_2, 0.097_104_5, 0.714_173_3],
    ]
    .map(|row: [f64; 3]| dot(row, linear));
    let white = [0.964_22, 1.0, 0.825_21];
    let f = [0, 1, 2].map(|n: usize| {
        let t = xyz[n] / white[n];
        if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 }
    });
    let (l, a, b) = (116.0 * f[1] - 16.0, 500.0 * (f[0] - f[1]), 200.0 * (f[1] - f[2]));
    let word = |share: f64| (share * 65535.0).round().clamp(0.0, 65535.0) as u16;
    [word(l / 100.0), word((a + 128.0) / 255.0), word((b + 128.0) / 255.0)]
}

/// Multi-frame functional groups and dimensions (PS3.3 C.7.6.16, C.7.6.17): segment, then position.
fn functional_groups(
    data: &mut Dataset,
    study: &SourceStudy,
    stored: &[(FrameRef, Option<usize>)],
    frames: &[FrameRef],
    placed: bool,
    segments: &[SegmentMasks],
) {
    let by_label = stored.iter().any(|(_, n)| n.is_some());
    let organization = {
        let name = stored
            .iter()
            .filter_map(|(at, n)| Some(format!("{}/{}/{n:?}", study.file(*at)?.instance, at.frame)));
        uid::hashed(b"loupe export: dimensions", name.collect::<Vec<_>>().join("\n").as_bytes())
    };
    let mut dimension = Dataset::default();
    dimension.put_text(tags::DIMENSION_ORGANIZATION_UID, &organization);
    data.put_items(tags::DIMENSION_ORGANIZATION_SEQUENCE, vec![dimension]);
    let index = |pointer, group, words: &str| {
        let mut item = Dataset::default();
        item.put_text(tags::DIMENSION_ORGANIZATION_UID, &organization);
        item.put_bytes(tags::DIMENSION_INDEX_POINTER, VR::AT, tag_bytes(pointer));
        item.put_bytes(tags::FUNCTIONAL_GROUP_POINTER, VR::AT, tag_bytes(group));
        item.put_text(tags::DIMENSION_DESCRIPTION_LABEL, words);
        item
    };
    let mut indices = Vec::new();
    if by_label {
        indices.push(index(
            tags::REFERENCED_SEGMENT_NUMBER,
            tags::SEGMENT_IDENTIFICATION_SEQUENCE,
            "Segment",
        ));
    }
    if placed {
        indices.push(index(tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE, "Position"));
    } else {
        indices.push(index(tags::STACK_ID, tags::FRAME_CONTENT_SEQUENCE, "Frame"));
    }
    data.put_items(tags::DIMENSION_INDEX_SEQUENCE, indices);
    data.put_items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared(study, frames, placed)]);
    let order: BTreeMap<FrameRef, usize> = frames.iter().enumerate().map(|(n, at)| (*at, n)).collect();
    let frame = |(at, n): &(FrameRef, Option<usize>)| {
        let mut item = Dataset::default();
        let place = order.get(at).copied().unwrap_or(0) as u32 + 1;
        let mut content = Dataset::default();
        let values: Vec<u32> = n.iter().map(|n| *n as u32 + 1).chain([place]).collect();
        content.put_longs(tags::DIMENSION_INDEX_VALUES, &values);
        if !placed {
            content.put_text(tags::STACK_ID, &place.to_string());
            content.put_longs(tags::IN_STACK_POSITION_NUMBER, &[1]);
        }
        item.put_items(tags::FRAME_CONTENT_SEQUENCE, vec![content]);
        if let (Some(plane), true) = (study.plane(*at), placed) {
            let mut position = Dataset::default();
            position.put_text(tags::IMAGE_POSITION_PATIENT, &decimals(&plane.position));
            item.put_items(tags::PLANE_POSITION_SEQUENCE, vec![position]);
        }
        let number = n.and_then(|n| segments.get(n)).map(|s| s.label.number as u16);
        if let Some(number) = number {
            let mut identification = Dataset::default();
            identification.put_shorts(tags::REFERENCED_SEGMENT_NUMBER, &[number]);
            item.put_items(tags::SEGMENT_IDENTIFICATION_SEQUENCE, vec![identification]);
        }
        let mut source = reference(study, *at);
        source.put_items(
            tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
            vec![code(&concept("121322", "DCM", "Source image for image processing operation"))],
        );
        source.put_text(tags::SPATIAL_LOCATIONS_PRESERVED, "YES");
        let mut derivation = Dataset::default();
        derivation
            .put_items(tags::DERIVATION_CODE_SEQUENCE, vec![code(&concept("113076", "DCM", "Segmentation"))]);
        derivation.put_items(tags::SOURCE_IMAGE_SEQUENCE, vec![source]);
        item.put_items(tags::DERIVATION_IMAGE_SEQUENCE, vec![derivation]);
        item
    };
    data.put_items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, stored.iter().map(frame).collect());
}

/// What all frames share: orientation, pixel size, thickness and distance.
fn shared(study: &SourceStudy, frames: &[FrameRef], placed: bool) -> Dataset {
    let mut item = Dataset::default();
    let planes: Vec<_> = frames.iter().filter_map(|at| study.plane(*at)).collect();
    if let (Some(plane), true) = (planes.first(), placed) {
        let mut orientation = Dataset::default();
        orientation.put_text(tags::IMAGE_ORIENTATION_PATIENT, &decimals(&[plane.row, plane.column].concat()));
        item.put_items(tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
        let along: Vec<f64> = planes.iter().map(|p| dot(plane.normal(), p.position)).collect();
        let steps: Vec<f64> = along.windows(2).map(|w| w[1] - w[0]).collect();
        let least = steps.iter().copied().fold(f64::INFINITY, f64::min);
        let source = frames.first().and_then(|at| Some((study.file(*at)?, at.frame)));
        let stated = source.and_then(|(file, frame)| {
            loupe_dicom::functional::place(&file.data, frame, tags::PIXEL_MEASURES_SEQUENCE)
                .number(tags::SLICE_THICKNESS)
        });
        let step = Some(least).filter(|s| s.is_finite() && *s > 0.0);
        let thickness = stated.filter(|t| t.is_finite() && *t > 0.0).or(step).unwrap_or(1.0);
        let mut measures = Dataset::default();
        measures.put_text(tags::PIXEL_SPACING, &decimals(&[plane.spacing_mm[1], plane.spacing_mm[0]]));
        measures.put_text(tags::SLICE_THICKNESS, &decimals(&[thickness]));
        if let Some(step) = step {
            measures.put_text(tags::SPACING_BETWEEN_SLICES, &decimals(&[step]));
        }
        item.put_items(tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
    }
    item
}

/// Decimal strings with as many digits as 16 characters hold: positions must be the source's.
fn decimals(values: &[f64]) -> String {
    values.iter().map(|v| decimal(*v)).collect::<Vec<_>>().join("\\")
}

fn decimal(value: f64) -> String {
    let exact = format!("{value}");
    if exact.len() <= 16 {
        return exact;
    }
    let rounded = (0..15).rev().map(|digits| format!("{value:.digits$}")).find(|text| text.len() <= 16);
    match rounded {
        Some(text) if text.parse::<f64>().is_ok_and(|v| v != 0.0) => text,
        _ => loupe_dicom::values::decimal(value),
    }
}

/// A tag as a value of VR `AT`.
fn tag_bytes(tag: loupe_dicom::Tag) -> Vec<u8> {
    [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat()
}
