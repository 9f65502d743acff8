//! Segmentations: segments that are described and used, frames where their source is, overlap.

use super::report::CheckReport;
use crate::dicom::SourceStudy;
use loupe_dicom::functional::group;
use loupe_dicom::plane::FramePlane;
use loupe_dicom::{Dataset, tags};
use std::collections::{BTreeMap, BTreeSet};

/// Millimetres and cosines that may differ: values are written with few digits.
const SLACK: f64 = 1e-3;

pub(super) fn check(data: &Dataset, source: Option<&SourceStudy>, report: &mut CheckReport) {
    let kind = data.text(tags::SEGMENTATION_TYPE).unwrap_or_default();
    let described: Vec<i64> =
        data.items(tags::SEGMENT_SEQUENCE).iter().filter_map(|s| s.integer(tags::SEGMENT_NUMBER)).collect();
    report.looked_at = described.len();
    if kind != "LABELMAP" && described.iter().zip(1..).any(|(n, expected)| *n != expected) {
        report.error("segments are not numbered 1, 2, 3 …, as the standard requires");
    }
    for (n, segment) in (1..).zip(data.items(tags::SEGMENT_SEQUENCE)) {
        for (tag, what) in [
            (tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, "category"),
            (tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, "type"),
        ] {
            let code = segment.item(tag);
            if !code
                .is_some_and(|c| [tags::CODE_VALUE, tags::CODE_MEANING].iter().all(|t| c.text(*t).is_some()))
            {
                report.error(format!("segment {n} has no code for its {what}"));
            }
        }
    }
    let frames = data.integer(tags::NUMBER_OF_FRAMES).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let items = data.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).len();
    if items != frames {
        report.error(format!("{frames} frames and functional groups for {items}"));
    }
    let mut segments: Vec<Option<i64>> = Vec::new();
    for frame in 0..items.min(frames) {
        let number = group(data, frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE)
            .and_then(|g| g.integer(tags::REFERENCED_SEGMENT_NUMBER));
        if kind != "LABELMAP" && !number.is_some_and(|n| described.contains(&n)) {
            report.error(format!("frame {} is of a segment that is not described", frame + 1));
        }
        segments.push(number);
        place(data, frame, source, report);
    }
    if kind != "LABELMAP" {
        let used: BTreeSet<i64> = segments.iter().flatten().copied().collect();
        let unused = described.iter().filter(|n| !used.contains(n)).count();
        if unused > 0 {
            report.warning(format!("{unused} segments have no frame"));
        }
    }
    if kind == "BINARY" {
        overlap(data, &segments, report);
    }
}

/// Does the frame lie where the frame that it was made of lies?
fn place(data: &Dataset, frame: usize, source: Option<&SourceStudy>, report: &mut CheckReport) {
    let n = frame + 1;
    let origin =
        group(data, frame, tags::DERIVATION_IMAGE_SEQUENCE).and_then(|d| d.item(tags::SOURCE_IMAGE_SEQUENCE));
    let (Some(source), Some(origin)) = (source, origin) else {
        if origin.is_none() {
            report.warning("frames do not say which image they were made of");
        }
        return;
    };
    let uid = origin.text(tags::REFERENCED_SOP_INSTANCE_UID);
    let Some(file) = source.files.iter().find(|f| Some(&f.instance) == uid.as_ref()) else { return };
    let size = [data.integer(tags::COLUMNS), data.integer(tags::ROWS)];
    if size != file.size.map(|v| i64::try_from(v).ok()) {
        report.error(format!("frame {n} has another size than its image"));
    }
    let of =
        origin.integer(tags::REFERENCED_FRAME_NUMBER).and_then(|f| usize::try_from(f - 1).ok()).unwrap_or(0);
    let (Some(own), Some(there)) = (FramePlane::read(data, frame), file.plane(of)) else {
        if file.plane(of).is_some() {
            report.error(format!("frame {n} does not say where it lies; its image does"));
        }
        return;
    };
    let far = |a: &[f64], b: &[f64]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > SLACK);
    if far(&own.position, &there.position) {
        report.error(format!("frame {n} lies elsewhere than its image"));
    }
    if far(&own.row, &there.row) || far(&own.column, &there.column) {
        report.error(format!("frame {n} is turned against its image"));
    }
    if far(&own.spacing_mm, &there.spacing_mm) {
        report.error(format!("frame {n} has another pixel size than its image"));
    }
}

/// Segments that share pixels of frames in one place.
fn overlap(data: &Dataset, segments: &[Option<i64>], report: &mut CheckReport) {
    let size = [tags::ROWS, tags::COLUMNS]
        .map(|t| data.integer(t).and_then(|n| usize::try_from(n).ok()).unwrap_or(0));
    let size = size[0].saturating_mul(size[1]);
    let Some(pixels) = data
        .bytes(tags::PIXEL_DATA)
        .filter(|p| p.len().saturating_mul(8) >= size.saturating_mul(segments.len()))
    else {
        report.unchecked("whether segments overlap: the pixels are compressed, or not all there");
        return;
    };
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for frame in 0..segments.len() {
        let key =
            FramePlane::read(data, frame).map(|p| format!("{:?}", p.position.map(|v| (v / SLACK).round())));
        places.entry(key.unwrap_or_else(|| format!("frame {frame}"))).or_default().push(frame);
    }
    let bit = |at: usize| pixels.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
    let mut pairs: BTreeMap<(i64, i64), usize> = BTreeMap::new();
    for frames in places.values() {
        for (n, first) in frames.iter().enumerate() {
            for second in frames.iter().skip(n + 1) {
                let shared = (0..size).filter(|p| bit(first * size + p) && bit(second * size + p)).count();
                let numbers =
                    segments.get(*first).copied().flatten().zip(segments.get(*second).copied().flatten());
                if let (Some(numbers), true) = (numbers, shared > 0) {
                    *pairs.entry(numbers).or_default() += shared;
                }
            }
        }
    }
    for ((a, b), shared) in pairs {
        report.warning(format!("segments {a} and {b} share {shared} pixels"));
    }
}
