//! DICOM objects: what is written is read back as it was, is the same each time, and passes validators.

use super::*;
use loupe_core::geometry::LpsFromIndex;
use loupe_core::labels::{Label, LabelledMasks};
use loupe_core::lattice::Grid;
use loupe_core::mask::Rle;
use loupe_core::{Box2, DecodeLimits, LpsFromPlane, Mask, Point2};
use loupe_dicom::parse;
use loupe_report::check::structured::places;
use loupe_report::check::{Severity, check};
use loupe_report::dicom::{FrameRef, segments_of_labels};
use loupe_report::exports::SegmentKind;
use proptest::prelude::*;
use std::process::Command;

fn options() -> ExportOptions {
    ExportOptions { pdf: Some(b"%PDF-1.4\n%%EOF\n".to_vec()), ..ExportOptions::default() }
}

fn parsed(bytes: &[u8]) -> Dataset {
    parse::parse(bytes.to_vec(), &DecodeLimits::default()).unwrap().data
}

fn boxed(study: &SourceStudy, k: usize, xyxy: [f64; 4], label: &str, score: Option<f64>) -> (usize, Finding) {
    let [x0, y0, x1, y1] = xyxy;
    let finding = Finding::region(0, Box2::new(x0, y0, x1, y1), view(study, k));
    (k, finding.with(Some(label.to_owned()), score))
}

fn masked(
    study: &SourceStudy,
    k: usize,
    label: &str,
    covers: impl Fn(usize, usize) -> bool,
) -> (usize, Finding) {
    let bits = (0..SIZE[0] * SIZE[1]).map(|n| covers(n % SIZE[0], n / SIZE[0])).collect();
    let mask = Rle::of(&Mask::new(SIZE[0], SIZE[1], bits).unwrap());
    (k, Finding::mask(0, mask, view(study, k)).with(Some(label.to_owned()), None))
}

fn some_findings(study: &SourceStudy) -> Vec<(usize, Finding)> {
    vec![
        boxed(study, 1, [2.5, 3.25, 10.0, 9.75], "nodule", Some(0.875)),
        boxed(study, 3, [0.0, 0.0, 24.0, 16.0], "something that no table knows, with Ümläuts", None),
        (2, Finding::spot(0, Point2::new(7.5, 8.5), view(study, 2)).with(Some("fracture".into()), None)),
        // A ring, and a part that touches its corner.
        masked(study, 2, "liver", |x, y| {
            (4..12).contains(&x) && (3..11).contains(&y) && !(7..9).contains(&x)
        }),
        masked(study, 3, "liver", |x, y| x + y < 9 || (x == 9 && y == 0)),
        masked(study, 2, "mass", |x, y| (10..14).contains(&x) && (9..13).contains(&y)),
    ]
}

#[test]
fn boxes_come_back_and_the_source_is_carried_over() {
    let study = study();
    let findings = some_findings(&study);
    let made = export("dicom-sr", &study, &findings, &options()).unwrap();
    assert!(made.notes.iter().any(|n| n.contains("3 masks are left out")), "{:?}", made.notes);
    let data = parsed(&made.files[0].bytes);
    assert_eq!(data.text(tags::STUDY_INSTANCE_UID).as_deref(), Some("2.25.101"));
    let name = data.decoded(tags::PATIENT_NAME, &data.charset());
    assert_eq!(name.as_deref(), Some("Müller^Phantom"), "in the character set of the new object");
    let found = places(&data);
    let bounds: Vec<_> = found.iter().map(|p| (p.instance.as_str(), p.bounds().unwrap())).collect();
    assert_eq!(
        bounds,
        [
            ("2.25.201", [2.5, 3.25, 10.0, 9.75]),
            ("2.25.203", [0.0, 0.0, 24.0, 16.0]),
            ("2.25.202", [7.5, 8.5, 7.5, 8.5]),
        ]
    );
    assert_eq!(found[0].label.as_deref(), Some("Nodule"));
    // The same findings make the same object; others make another.
    let again = export("dicom-sr", &study, &findings, &options()).unwrap();
    assert_eq!(again, made);
    let other = export("dicom-sr", &study, &findings[..1], &options()).unwrap();
    assert_ne!(parsed(&other.files[0].bytes).text(tags::SOP_INSTANCE_UID), data.text(tags::SOP_INSTANCE_UID));
}

#[test]
fn a_view_across_the_slices_is_refused_and_a_turned_one_is_turned_back() {
    let study = study();
    let mut turned = view(&study, 2);
    // Rotated by a quarter: right in the view is down in the frame.
    let m = turned.lps_from_source.unwrap().m;
    turned.source_size = [SIZE[1], SIZE[0]];
    turned.lps_from_source =
        Some(LpsFromPlane { m: m.map(|[x, y, corner]| [y, -x, corner + x * SIZE[0] as f64]) });
    let (at, map) = study.frame_of(&turned, &[0, 1, 2, 3, 4]).unwrap();
    assert_eq!(at, FrameRef { file: 2, frame: 0 });
    assert_eq!(map.boxed(Box2::new(1.25, 2.0, 5.0, 7.5)), [16.5, 1.25, 22.0, 5.0]);
    assert_eq!(map.pixel(0, 0), Some([23, 0]));

    let mut across = view(&study, 2);
    across.lps_from_source = Some(LpsFromPlane { m: m.map(|[x, _, corner]| [x, 0.0, corner]) });
    let lps = across.lps_from_source.as_mut().unwrap();
    lps.m[2][1] = 2.5;
    let finding = Finding::region(0, Box2::new(1.0, 1.0, 3.0, 3.0), across);
    let refused = export("dicom-sr", &study, &[(2, finding)], &options()).unwrap_err();
    assert!(refused.to_string().contains("nothing to write"), "{refused}");
}

/// The bits of a segmentation by frame.
fn bits(data: &Dataset, frames: usize) -> Vec<Vec<bool>> {
    let pixels = data.bytes(tags::PIXEL_DATA).unwrap();
    let size = SIZE[0] * SIZE[1];
    let bit = |at: usize| pixels[at / 8] >> (at % 8) & 1 == 1;
    (0..frames).map(|f| (0..size).map(|p| bit(f * size + p)).collect()).collect()
}

#[test]
fn segments_lie_on_every_frame_of_the_series() {
    let study = study();
    let findings = some_findings(&study);
    let made = export("dicom-seg", &study, &findings, &options()).unwrap();
    let data = parsed(&made.files[0].bytes);
    assert_eq!(data.text(tags::NUMBER_OF_FRAMES).as_deref(), Some("10"), "two segments of five frames");
    assert_eq!(data.text(tags::FRAME_OF_REFERENCE_UID).as_deref(), Some("2.25.103"));
    let frames = bits(&data, 10);
    let expected = |n: usize| findings[n].1.as_mask().unwrap().to_mask().unwrap().bits().to_vec();
    assert_eq!((&frames[2], &frames[3], &frames[7]), (&expected(3), &expected(4), &expected(5)));
    assert!(frames[0].iter().chain(&frames[9]).all(|bit| !bit));
    let used = ExportOptions { used_frames: true, ..options() };
    let data = parsed(&export("dicom-seg", &study, &findings, &used).unwrap().files[0].bytes);
    assert_eq!(data.text(tags::NUMBER_OF_FRAMES).as_deref(), Some("3"));
    assert_eq!(bits(&data, 3)[2], expected(5));
    // A label map holds one number a pixel.
    let map = ExportOptions { segments: SegmentKind::LabelMap, ..options() };
    let refused = export("dicom-seg", &study, &findings, &map).unwrap_err();
    assert!(matches!(refused, ExportError::Overlapping(1, 2)), "{refused}");
    let data = parsed(&export("dicom-seg", &study, &findings[3..5], &map).unwrap().files[0].bytes);
    assert_eq!(data.text(tags::NUMBER_OF_FRAMES).as_deref(), Some("5"));
    let inside = data.bytes(tags::PIXEL_DATA).unwrap().iter().filter(|v| **v == 1).count();
    assert_eq!(inside, expected(3).iter().chain(&expected(4)).filter(|b| **b).count());
}

/// Labels on a grid, some overlapping, as (number, slice, first column).
fn labelled(grid: Grid, parts: &[(u32, usize, usize)]) -> LabelledMasks {
    let mut masks = LabelledMasks::new(grid);
    for (number, k, i) in parts {
        let label = Label { number: *number, ..Label::default() };
        let (k, i) = (*k, *i);
        masks.put(label, || (0..4).map(move |j| [k, j, i + j])).unwrap();
    }
    masks
}

#[test]
fn labels_of_a_volume_go_to_the_frames_where_they_lie() {
    let study = study();
    let plane = study.files[0].plane(0).unwrap();
    let (i, j) = plane.steps();
    // The volume counts its slices downwards.
    let top = [plane.position[0], plane.position[1], plane.position[2] + 10.0];
    let lps_from_index = LpsFromIndex::from_columns(i, j, [0.0, 0.0, -2.5], top);
    let grid = Grid { shape: [SLICES, SIZE[1], SIZE[0]], lps_from_index };
    let masks = labelled(grid, &[(4, 0, 2), (9, 0, 3), (9, 4, 1)].map(|(n, k, i)| (n + k as u32, k, i)));
    let (segments, _) = segments_of_labels(&study, "2.25.102", &masks).unwrap();
    let at: Vec<(u32, usize)> =
        segments.iter().map(|s| (s.label.number, s.frames.keys().next().unwrap().file)).collect();
    assert_eq!(at, [(4, 4), (9, 4), (13, 0)]);
    assert!(segments[0].frames.values().next().unwrap().get(3, 1));
    // A volume that is larger than the series would lose voxels.
    let grid = Grid { shape: [SLICES + 1, SIZE[1], SIZE[0]], lps_from_index };
    let refused = segments_of_labels(&study, "2.25.102", &labelled(grid, &[(1, SLICES, 2)])).unwrap_err();
    assert!(refused.to_string().contains("4 of 4 voxels"), "{refused}");
}

#[test]
fn a_check_finds_what_is_wrong() {
    let study = study();
    let findings = some_findings(&study);
    let limits = DecodeLimits::default();
    for format in ["dicom-sr", "dicom-seg", "dicom-gsps", "dicom-ko", "dicom-rtstruct"] {
        let made = export(format, &study, &findings, &options()).unwrap();
        let report = check(made.files[0].bytes.clone(), Some(&study), None, &limits).unwrap();
        assert!(report.is_sound(), "{format}: {:?}", report.problems);
        // Against a part of the study, references lead nowhere.
        let part = SourceStudy { files: study.files[..1].to_vec() };
        let report = check(made.files[0].bytes.clone(), Some(&part), None, &limits).unwrap();
        assert!(report.problems.iter().any(|p| p.words.contains("are not in the source")), "{format}");
        let alone = check(made.files[0].bytes.clone(), None, None, &limits).unwrap();
        assert!(alone.problems.iter().any(|p| p.severity == Severity::Unchecked), "{format}");
    }
    let seg = export("dicom-seg", &study, &findings, &options()).unwrap();
    let report = check(seg.files[0].bytes.clone(), Some(&study), None, &limits).unwrap();
    assert!(
        report.problems.iter().any(|p| p.words.contains("segments 1 and 2 share")),
        "{:?}",
        report.problems
    );
    // The same study moved by a slice.
    let mut moved = study.clone();
    for file in &mut moved.files {
        let [x, y, z] = file.data.vector::<3>(tags::IMAGE_POSITION_PATIENT).unwrap();
        file.data.put_decimals(tags::IMAGE_POSITION_PATIENT, &[x, y, z + 2.5]);
    }
    let report = check(seg.files[0].bytes.clone(), Some(&moved), None, &limits).unwrap();
    assert!(report.problems.iter().any(|p| p.words.contains("lies elsewhere")), "{:?}", report.problems);
    let outside = boxed(&study, 1, [-4.0, 3.0, 10.0, 99.0], "nodule", None);
    let sr = export("dicom-sr", &study, &[outside], &options()).unwrap();
    let report = check(sr.files[0].bytes.clone(), Some(&study), None, &limits).unwrap();
    assert!(
        !report.is_sound() && report.problems[0].words.contains("outside its image"),
        "{:?}",
        report.problems
    );
}

/// What a validator says of a file that is an error; nothing where the validator is not there.
fn errors(program: &str, arguments: &[&str], file: &std::path::Path) -> Option<Vec<String>> {
    let Ok(output) = Command::new(program).args(arguments).arg(file).output() else {
        eprintln!("skipped: no {program} on the path");
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let bad = |line: &&str| line.starts_with("Error") || line.starts_with("E:");
    Some(said.lines().filter(bad).map(str::to_owned).collect())
}

#[test]
fn validators_find_no_error() {
    let dir = loupe_testing::scratch();
    let study = study();
    let findings = some_findings(&study);
    let kinds = [
        ("dicom-sr", SegmentKind::Binary),
        ("dicom-seg", SegmentKind::Binary),
        ("dicom-seg", SegmentKind::Fractional),
        ("dicom-gsps", SegmentKind::Binary),
        ("dicom-sc", SegmentKind::Binary),
        ("dicom-ko", SegmentKind::Binary),
        ("dicom-rtstruct", SegmentKind::Binary),
        ("dicom-pdf", SegmentKind::Binary),
    ];
    for (format, segments) in kinds {
        let options = ExportOptions { segments, ..options() };
        for file in export(format, &study, &findings, &options).unwrap().files {
            let path = dir.path().join(format!("{format}-{segments:?}-{}", file.name));
            std::fs::write(&path, &file.bytes).unwrap();
            if let Some(errors) = errors("dciodvfy", &[], &path) {
                assert!(errors.is_empty(), "dciodvfy, {format} {segments:?}: {errors:#?}");
            }
            if matches!(format, "dicom-sr" | "dicom-ko")
                && let Some(errors) = errors("dsrdump", &["-Ee"], &path)
            {
                assert!(errors.is_empty(), "dsrdump, {format}: {errors:#?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A box there and back, whatever part of the slice the model was shown: to 1e-6 of a pixel in contours and COCO, and in reports to what
    /// single precision holds.
    #[test]
    fn boxes_there_and_back(
        k in 0..SLICES, x in 0.0f64..20.0, y in 0.0f64..12.0, w in 0.01f64..4.0, h in 0.01f64..4.0,
        scale in 0.3f64..5.0, shift in 0.0f64..3.0,
    ) {
        let study = study();
        let mut shown = view(&study, k);
        shown.source_from_self = loupe_core::Map2::scale_then_shift(1.0 / scale, 1.0 / scale, shift, shift);
        let at = Box2::new((x - shift) * scale, (y - shift) * scale, (x + w - shift) * scale, (y + h - shift) * scale);
        let made = export("dicom-sr", &study, &[(k, Finding::region(0, at, shown))], &options()).unwrap();
        let found = places(&parsed(&made.files[0].bytes));
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(&found[0].instance, &format!("2.25.2{k:02}"));
        let single = [x, y, x + w, y + h].map(|v| f64::from(v as f32));
        for (a, b) in found[0].bounds().unwrap().iter().zip(single) {
            prop_assert!((a - b).abs() <= 1e-6 * (1.0 + b.abs()), "{} {}", a, b);
        }
        let found = (k, Finding::region(0, at, shown));
        let made = export("dicom-rtstruct", &study, std::slice::from_ref(&found), &options()).unwrap();
        let data = parsed(&made.files[0].bytes);
        let contour = data.item(tags::ROI_CONTOUR_SEQUENCE).unwrap().item(tags::CONTOUR_SEQUENCE).unwrap();
        let plane = study.files[k].plane(0).unwrap().lps_from_plane();
        let corners = contour.numbers(tags::CONTOUR_DATA).unwrap();
        let corners: Vec<_> = corners.as_chunks::<3>().0.iter().map(|p| plane.position_of(*p).unwrap()).collect();
        let ends = |of: fn(&Point2<loupe_core::Source>) -> f64| {
            let least = corners.iter().map(of).fold(f64::INFINITY, f64::min);
            [least, corners.iter().map(of).fold(f64::NEG_INFINITY, f64::max)]
        };
        let ([x0, x1], [y0, y1]) = (ends(|p| p.x), ends(|p| p.y));
        let made = export("coco-detections", &study, &[found], &options()).unwrap();
        let coco: serde_json::Value = serde_json::from_slice(&made.files[0].bytes).unwrap();
        let [left, top, wide, high] = [0, 1, 2, 3].map(|n| coco[0]["bbox"][n].as_f64().unwrap());
        for back in [[x0, y0, x1, y1], [left, top, left + wide, top + high]] {
            for (a, b) in back.into_iter().zip([x, y, x + w, y + h]) {
                prop_assert!((a - b).abs() <= 1e-6, "{} {}", a, b);
            }
        }
    }

    /// Contours filled by pixel centres give the mask again, holes and touching corners included.
    #[test]
    fn contours_hold_the_mask(bits in prop::collection::vec(any::<bool>(), SIZE[0] * SIZE[1])) {
        prop_assume!(bits.iter().any(|b| *b));
        let study = study();
        let finding = masked(&study, 1, "x", |x, y| bits[y * SIZE[0] + x]);
        let made = export("dicom-rtstruct", &study, &[finding], &options()).unwrap();
        let data = parsed(&made.files[0].bytes);
        let plane = study.files[1].plane(0).unwrap().lps_from_plane();
        let mut inside = vec![false; SIZE[0] * SIZE[1]];
        for contour in data.item(tags::ROI_CONTOUR_SEQUENCE).unwrap().items(tags::CONTOUR_SEQUENCE) {
            let points = contour.numbers(tags::CONTOUR_DATA).unwrap();
            let corners: Vec<[f64; 2]> = points.as_chunks::<3>().0.iter().map(|p| {
                let at = plane.position_of(*p).unwrap();
                [at.x, at.y]
            }).collect();
            for (n, bit) in inside.iter_mut().enumerate() {
                let (x, y) = ((n % SIZE[0]) as f64 + 0.5, (n / SIZE[0]) as f64 + 0.5);
                let ends = corners.iter().zip(corners.iter().cycle().skip(1));
                let crossed = ends.filter(|(a, b)| {
                    (a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0]
                });
                *bit ^= crossed.count() % 2 == 1;
            }
        }
        prop_assert_eq!(inside, bits);
    }
}
