//! Geometry of synthetic series: the right affine, or the right error.

use crate::dicom_support::{EXPLICIT, Set, grey};
use loupe_core::geometry::LpsFromIndex;
use loupe_core::media::WindowChoice;
use loupe_core::{MediaLoader, MediaRef, MediaSource, Plane, SliceAt, View, Volume};
use loupe_dicom::{VR, tags};
use loupe_preprocess::dicom::series::{Content, Irregular, Options, Series, load_folder, load_volume};
use loupe_preprocess::inspect::inspect;
use loupe_preprocess::{DecodeLimits, Loader};
use std::path::{Path, PathBuf};

const ROWS: u16 = 4;
const COLUMNS: u16 = 3;

/// A slice whose pixels all hold `value`.
struct Slice {
    position: [f64; 3],
    orientation: [f64; 6],
    number: i32,
    value: u16,
}

const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

fn text(values: &[f64]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join("\\")
}

fn file(slice: &Slice) -> Set {
    grey(ROWS, COLUMNS, 16, false, &[slice.value; 12])
        .text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3")
        .text(tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.3.{}", slice.number))
        .text(tags::INSTANCE_NUMBER, VR::IS, &slice.number.to_string())
        .text(tags::PIXEL_SPACING, VR::DS, "0.5\\0.25")
        .text(tags::SLICE_THICKNESS, VR::DS, "9")
        .text(tags::IMAGE_POSITION_PATIENT, VR::DS, &text(&slice.position))
        .text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &text(&slice.orientation))
}

fn write(folder: &Path, slices: &[Slice]) {
    for (n, slice) in slices.iter().enumerate() {
        std::fs::write(folder.join(format!("{n}.dcm")), file(slice).file(EXPLICIT)).unwrap();
    }
}

fn along(normal: [f64; 3], orientation: [f64; 6], distances: &[f64]) -> Vec<Slice> {
    distances
        .iter()
        .enumerate()
        .map(|(n, d)| Slice {
            position: normal.map(|v| v * d),
            orientation,
            number: n as i32 + 1,
            value: 100 + n as u16,
        })
        .collect()
}

/// Writes an ordinary axial series of `count` slices and gives its files.
pub(crate) fn along_the_head(folder: &Path, count: usize) -> Vec<PathBuf> {
    let distances: Vec<f64> = (0..count).map(|n| n as f64 * 2.0).collect();
    write(folder, &along([0.0, 0.0, 1.0], AXIAL, &distances));
    (0..count).map(|n| folder.join(format!("{n}.dcm"))).collect()
}

fn one(slices: &[Slice], options: &Options) -> Result<(Volume, Vec<String>), loupe_core::MediaError> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), slices);
    load_volume(folder.path(), options)
}

fn affine(volume: &Volume) -> [[f64; 4]; 3] {
    volume.lps_from_index.m
}

fn near(got: &LpsFromIndex, columns: [[f64; 3]; 4]) {
    let want = LpsFromIndex::from_columns(columns[0], columns[1], columns[2], columns[3]);
    for (a, b) in got.m.iter().flatten().zip(want.m.iter().flatten()) {
        assert!((a - b).abs() < 1e-4, "{got:?} {want:?}");
    }
}

fn values(volume: &Volume) -> Vec<f32> {
    (0..volume.shape()[0]).map(|k| volume.voxels[[k, 0, 0]]).collect()
}

#[test]
fn reversed_and_shuffled_instance_numbers_change_nothing() {
    let mut slices = along([0.0, 0.0, 1.0], AXIAL, &[0.0, 3.0, 6.0, 9.0]);
    let expected = [[0.25, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]];
    for order in [[1, 2, 3, 4], [4, 3, 2, 1], [3, 1, 4, 2]] {
        slices.iter_mut().zip(order).for_each(|(s, n)| s.number = n);
        slices.rotate_left(1);
        let by_place = |s: &Slice| s.value;
        slices.sort_by_key(|s| std::cmp::Reverse(by_place(s)));
        let (volume, _) = one(&slices, &Options::default()).unwrap();
        near(&volume.lps_from_index, expected);
        assert_eq!(values(&volume), [100.0, 101.0, 102.0, 103.0]);
        slices.sort_by_key(by_place);
    }
}

#[test]
fn a_missing_slice_is_refused_or_filled() {
    let slices = along([0.0, 0.0, 1.0], AXIAL, &[0.0, 3.0, 6.0, 12.0, 15.0]);
    let error = one(&slices, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("slices 2 and 3") && error.contains("(1 missing?)"), "{error}");
    let with = |irregular| one(&slices, &Options { irregular, ..Options::default() }).unwrap();
    let (nearest, notes) = with(Irregular::Nearest);
    assert_eq!(nearest.shape()[0], 6);
    assert!(notes.iter().any(|n| n.contains("nearest")));
    let (resampled, _) = with(Irregular::Resample);
    assert_eq!(values(&resampled), [100.0, 101.0, 102.0, 102.5, 103.0, 104.0]);
    assert_eq!(affine(&resampled)[2], [0.0, 0.0, 3.0, 0.0]);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &slices);
    let parts =
        load_folder(folder.path(), &Options { irregular: Irregular::Split, ..Options::default() }).unwrap();
    let shapes: Vec<usize> = parts.iter().flat_map(volumes).map(|v| v.shape()[0]).collect();
    assert_eq!(shapes.iter().sum::<usize>(), 5);
    assert!(shapes.len() > 1);
}

fn volumes(series: &Series) -> Vec<Volume> {
    match series.content.as_ref().unwrap() {
        Content::Volumes(phases) => phases.iter().map(|phase| phase.volume.clone()).collect(),
        Content::Frames(_) => Vec::new(),
    }
}

#[test]
fn duplicate_positions_are_refused_copies_are_not() {
    let mut slices = along([0.0, 0.0, 1.0], AXIAL, &[0.0, 3.0, 3.0, 6.0]);
    let error = one(&slices, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("position 1 has 2 slices"), "{error}");
    let (volume, _) = one(&slices, &Options { drop_duplicates: true, ..Options::default() }).unwrap();
    assert_eq!(values(&volume), [100.0, 101.0, 103.0]);
    // The same object twice is a copy.
    slices[2].number = slices[1].number;
    assert_eq!(one(&slices, &Options::default()).unwrap().0.shape()[0], 3);
}

#[test]
fn irregular_steps_are_refused() {
    let slices = along([0.0, 0.0, 1.0], AXIAL, &[0.0, 3.0, 6.0, 9.0, 14.0, 19.0]);
    let error = one(&slices, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("5.0000 mm apart"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &slices);
    let parts =
        load_folder(folder.path(), &Options { irregular: Irregular::Split, ..Options::default() }).unwrap();
    let steps: Vec<f64> = parts.iter().flat_map(volumes).map(|v| v.spacing_mm()[2]).collect();
    assert_eq!(steps, [3.0, 5.0]);
}

#[test]
fn gantry_tilt_keeps_its_shear_until_deskewed() {
    let tilt = 15f64.to_radians();
    let orientation = [1.0, 0.0, 0.0, 0.0, tilt.cos(), -tilt.sin()];
    let slices = along([0.0, 0.0, 1.0], orientation, &[0.0, 3.0, 6.0]);
    let (volume, notes) = one(&slices, &Options::default()).unwrap();
    near(
        &volume.lps_from_index,
        [[0.25, 0.0, 0.0], [0.0, 0.5 * tilt.cos(), -0.5 * tilt.sin()], [0.0, 0.0, 3.0], [0.0; 3]],
    );
    assert!((volume.lps_from_index.tilt_degrees() - 15.0).abs() < 1e-3);
    assert!(notes.iter().any(|n| n.contains("tilted by 15.00°")), "{notes:?}");
    let (straight, _) = one(&slices, &Options { deskew: true, ..Options::default() }).unwrap();
    assert!(straight.lps_from_index.tilt_degrees() < 1e-6);
    assert!(straight.shape()[1] > volume.shape()[1]);
    // The middle of a slice keeps its value at its place in the patient.
    for k in 0..3 {
        let place = volume.lps_from_index.apply([1.0, 1.5, k as f64]);
        let index = straight.lps_from_index.index_of(place).unwrap();
        assert!((index[2] - k as f64).abs() < 1e-3, "{index:?}");
        let at = [k, index[1].round() as usize, index[0].round() as usize];
        assert_eq!(straight.voxels[at], 100.0 + k as f32);
    }
}

#[test]
fn coronal_sagittal_and_oblique() {
    let c = 0.5f64.sqrt();
    let cases: [([f64; 6], [f64; 3]); 3] = [
        // Coronal: rows to the left, columns to the feet; normal to the front... row × column.
        ([1.0, 0.0, 0.0, 0.0, 0.0, -1.0], [0.0, 1.0, 0.0]),
        ([0.0, 1.0, 0.0, 0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]),
        ([c, c, 0.0, -c, c, 0.0], [0.0, 0.0, 1.0]),
    ];
    for (orientation, normal) in cases {
        let slices = along(normal, orientation, &[-2.0, 0.5, 3.0]);
        let (volume, _) = one(&slices, &Options::default()).unwrap();
        let [a, b, d, e, f, g] = orientation;
        near(
            &volume.lps_from_index,
            [
                [a, b, d].map(|v| v * 0.25),
                [e, f, g].map(|v| v * 0.5),
                normal.map(|v| v * 2.5),
                normal.map(|v| v * -2.0),
            ],
        );
        assert_eq!(values(&volume), [100.0, 101.0, 102.0]);
        assert!(volume.lps_from_index.determinant() > 0.0);
    }
}

#[test]
fn a_single_slice_takes_its_thickness_and_says_so() {
    let (volume, notes) = one(&along([0.0, 0.0, 1.0], AXIAL, &[7.0]), &Options::default()).unwrap();
    assert_eq!(volume.spacing_mm(), [0.25, 0.5, 9.0]);
    assert!(notes.iter().any(|n| n.contains("Slice Thickness")));
}

/// A group of functional groups for each frame.
fn enhanced(distances: &[f64]) -> Set {
    let per_frame = distances.iter().map(|d| {
        let position = Set::default().text(tags::IMAGE_POSITION_PATIENT, VR::DS, &text(&[5.0, 6.0, *d]));
        Set::default().items(tags::PLANE_POSITION_SEQUENCE, vec![position])
    });
    let orientation = Set::default().text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &text(&AXIAL));
    let measures = Set::default().text(tags::PIXEL_SPACING, VR::DS, "0.5\\0.25");
    let rescale =
        Set::default().text(tags::RESCALE_SLOPE, VR::DS, "1").text(tags::RESCALE_INTERCEPT, VR::DS, "-1024");
    let shared = Set::default()
        .items(tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation])
        .items(tags::PIXEL_MEASURES_SEQUENCE, vec![measures])
        .items(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![rescale]);
    let pixels: Vec<u16> = (0..distances.len() as u16).flat_map(|n| [n; 12]).collect();
    grey(ROWS, COLUMNS, 16, false, &pixels)
        .text(tags::NUMBER_OF_FRAMES, VR::IS, &distances.len().to_string())
        .items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared])
        .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, per_frame.collect())
}

#[test]
fn enhanced_multi_frame_is_a_volume_in_hounsfield_units() {
    let folder = tempfile::tempdir().unwrap();
    // Frames stored from the head down.
    std::fs::write(folder.path().join("e"), enhanced(&[6.0, 4.0, 2.0]).file(EXPLICIT)).unwrap();
    let (volume, _) = load_volume(folder.path(), &Options::default()).unwrap();
    near(&volume.lps_from_index, [[0.25, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 2.0], [5.0, 6.0, 2.0]]);
    assert_eq!(values(&volume), [-1022.0, -1023.0, -1024.0]);
}

#[test]
fn time_points_become_phases_and_cine_stays_frames() {
    let mut slices = along([0.0, 0.0, 1.0], AXIAL, &[0.0, 2.0, 4.0]);
    slices.extend(along([0.0, 0.0, 1.0], AXIAL, &[0.0, 2.0, 4.0]));
    slices.iter_mut().enumerate().for_each(|(n, s)| (s.number, s.value) = (n as i32 + 1, n as u16));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &slices);
    let series = load_folder(folder.path(), &Options::default()).unwrap();
    let phases: Vec<Vec<f32>> = series.iter().flat_map(volumes).map(|v| values(&v)).collect();
    assert_eq!(phases, [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);

    let folder = tempfile::tempdir().unwrap();
    let cine = grey(ROWS, COLUMNS, 16, false, &[0; 36]).text(tags::NUMBER_OF_FRAMES, VR::IS, "3");
    std::fs::write(folder.path().join("c"), cine.file(EXPLICIT)).unwrap();
    std::fs::write(folder.path().join("readme.txt"), "not an image").unwrap();
    let series = load_folder(folder.path(), &Options::default()).unwrap();
    assert!(matches!(series[0].content.as_ref().unwrap(), Content::Frames(frames) if frames.len() == 3));
}

#[test]
fn a_zip_archive_is_a_folder_and_may_not_lead_out() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    for (name, fine) in [("a/0.dcm", true), ("../0.dcm", false)] {
        let path = folder.path().join("study.zip");
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for (n, slice) in along([0.0, 0.0, 1.0], AXIAL, &[0.0, 3.0]).iter().enumerate() {
            let name = name.replace('0', &n.to_string());
            archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(&file(slice).file(EXPLICIT)).unwrap();
        }
        archive.finish().unwrap();
        match load_volume(&path, &Options::default()) {
            Ok((volume, _)) => assert!(fine && volume.spacing_mm()[2] == 3.0),
            Err(e) => assert!(!fine && e.to_string().contains("leads out"), "{e}"),
        }
    }
}

/// A file's picture or its error.
/// A header of Siemens' own: tags of one number or none each.
fn csa(second: bool, numbers: &[(&str, &[&str])]) -> Vec<u8> {
    let word = |n: usize| (n as u32).to_le_bytes();
    let mut out = if second { b"SV10\x04\x03\x02\x01".to_vec() } else { Vec::new() };
    out.extend([word(numbers.len()), word(77)].concat());
    let first = numbers[0].1.len();
    for (name, values) in numbers {
        let mut label = name.as_bytes().to_vec();
        label.resize(64, 0);
        out.extend(label);
        out.extend([word(values.len()), *b"DS\0\0", word(3), word(values.len()), word(77)].concat());
        for value in *values {
            let mut text = value.as_bytes().to_vec();
            text.push(0);
            let length = text.len();
            // Version 1 writes the length plus the first tag's number of items.
            let words = if second { [length, length, 77, length] } else { [length + first, first, 77, 0] };
            out.extend(words.map(word).concat());
            text.resize(length.div_ceil(4) * 4, 0);
            out.extend(text);
        }
    }
    out
}

#[test]
fn mosaics_are_cut_into_slices_or_refused() {
    let layout: &[(&str, &[&str])] = &[
        ("EchoLinePosition", &["64", "1"]),
        ("NumberOfImagesInMosaic", &["3"]),
        ("SliceNormalVector", &["0", "0.0", "-1"]),
    ];
    // Tiles of 2 × 3 in two rows of two; the fourth is empty.
    let pixels: Vec<u16> =
        (0..4u16).flat_map(|row| (0..6u16).map(move |column| row / 2 * 2 + column / 3)).collect();
    let mosaic = |creator: &str, block: u16, header: Vec<u8>| {
        grey(4, 6, 16, false, &pixels)
            .text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC")
            .text(tags::PIXEL_SPACING, VR::DS, "2\\2")
            .text(tags::SLICE_THICKNESS, VR::DS, "3")
            .text(tags::SPACING_BETWEEN_SLICES, VR::DS, "4")
            .text(tags::IMAGE_POSITION_PATIENT, VR::DS, "0\\0\\0")
            .text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &text(&AXIAL))
            .text(loupe_dicom::Tag(0x0029, block), VR::LO, creator)
            .bytes(loupe_dicom::Tag(0x0029, block << 8 | 0x10), VR::OB, &header)
            .file(EXPLICIT)
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mosaic.dcm");
    for (second, block) in [(true, 0x10), (true, 0x11), (false, 0x10)] {
        std::fs::write(&path, mosaic("SIEMENS CSA HEADER", block, csa(second, layout))).unwrap();
        let (volume, _) = load_volume(&path, &Options::default()).unwrap();
        assert_eq!(volume.shape(), [3, 2, 3]);
        // Sorted along +z, while the tiles run towards -z.
        assert_eq!(values(&volume), [2.0, 1.0, 0.0], "{second} {block:x}");
        // The position is that of a single slice in the middle of the mosaic: half the difference of
        // the sizes away.
        near(&volume.lps_from_index, [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 4.0], [3.0, 2.0, -8.0]]);
    }
    std::fs::write(&path, mosaic("SOMEONE ELSE", 0x10, csa(true, layout))).unwrap();
    let error = load_volume(&path, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("ImageType") && error.contains("MOSAIC"), "{error}");
}

fn shown(loader: &Loader, path: &Path, view: View) -> Result<loupe_core::Picture, loupe_core::MediaError> {
    loader.load(&MediaRef {
        source: MediaSource::File(path.to_owned()),
        view,
        name: String::new(),
        stated_size: None,
    })
}

fn at(slice: usize) -> View {
    View { slice: Some(SliceAt::Index(slice)), window: Some(WindowChoice::FullRange), ..View::default() }
}

#[test]
fn a_slice_of_a_multi_frame_file_is_counted_in_space() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.dcm");
    // Frames stored from the head down, values falling with the height.
    std::fs::write(&path, enhanced(&[6.0, 4.0, 2.0]).file(EXPLICIT)).unwrap();
    let loader = Loader::new(DecodeLimits::default());
    let level = |view| shown(&loader, &path, view).unwrap().pixels()[0];
    assert_eq!([0, 1, 2].map(|n| level(at(n))), [255, 128, 0]);
    let frame = |n| View { frame: Some(n), window: Some(WindowChoice::FullRange), ..View::default() };
    assert_eq!([0, 1, 2].map(|n| level(frame(n))), [0, 128, 255]);
    assert!(shown(&loader, &path, at(3)).unwrap_err().to_string().contains("slice 3"));
    let coronal = View { plane: Plane::Coronal, ..at(0) };
    assert_eq!(shown(&loader, &path, coronal).unwrap().origin.plane, Some(Plane::Coronal));
    let media = MediaRef::file(&path);
    assert_eq!(loader.load_volume(&media).unwrap().volume.shape(), [3, 4, 3]);
    let bytes = MediaRef { source: MediaSource::Bytes(std::fs::read(&path).unwrap().into()), ..media };
    assert_eq!(loader.load_volume(&bytes).unwrap().volume.shape(), [3, 4, 3]);
}

#[test]
fn frames_without_places_are_frames_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let pixels: Vec<u16> = (0..3u16).flat_map(|n| [n * 100; 12]).collect();
    let cine = grey(ROWS, COLUMNS, 16, false, &pixels).text(tags::NUMBER_OF_FRAMES, VR::IS, "3");
    std::fs::write(folder.path().join("c"), cine.file(EXPLICIT)).unwrap();
    let loader = Loader::new(DecodeLimits::default());
    let view = |n| View {
        frame: Some(n),
        window: Some(WindowChoice::Numbers(loupe_core::Window::between(0.0, 255.0))),
        ..View::default()
    };
    for path in [folder.path().to_owned(), folder.path().join("c")] {
        let levels = [0, 1, 2].map(|n| shown(&loader, &path, view(n)).unwrap().pixels()[0]);
        assert_eq!(levels, [0, 100, 200]);
        assert!(shown(&loader, &path, view(3)).unwrap_err().to_string().contains("frame 3"));
        assert!(shown(&loader, &path, at(0)).unwrap_err().to_string().contains("--frame"));
    }
}

#[test]
fn archives_and_dicomdirs_are_read_by_the_loader() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let slices = along([0.0, 0.0, 1.0], AXIAL, &[0.0, 3.0, 6.0]);
    let archive_path = folder.path().join("study.zip");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&archive_path).unwrap());
    std::fs::create_dir(folder.path().join("IMAGES")).unwrap();
    let mut records = Vec::new();
    for (n, slice) in slices.iter().enumerate() {
        archive.start_file(format!("a/{n}"), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&file(slice).file(EXPLICIT)).unwrap();
        std::fs::write(folder.path().join(format!("IMAGES/{n}")), file(slice).file(EXPLICIT)).unwrap();
        records.push(Set::default().text(tags::REFERENCED_FILE_ID, VR::CS, &format!("IMAGES\\{n}")));
    }
    archive.finish().unwrap();
    let directory = folder.path().join("DICOMDIR");
    // An entry whose file was not copied along, which is common.
    records.push(Set::default().text(tags::REFERENCED_FILE_ID, VR::CS, "IMAGES\\GONE"));
    let listing = |records| Set::default().items(tags::DIRECTORY_RECORD_SEQUENCE, records).file(EXPLICIT);
    std::fs::write(&directory, listing(records)).unwrap();
    let loader = Loader::new(DecodeLimits::default());
    for path in [&archive_path, &directory, &folder.path().join("IMAGES")] {
        assert_eq!(loader.load_volume(&MediaRef::file(path)).unwrap().volume.shape(), [3, 4, 3]);
        assert_eq!(shown(&loader, path, at(2)).unwrap().pixels()[0], 255);
        let found = inspect(path, &Default::default()).unwrap();
        assert_eq!((found.size.as_slice(), found.orientation.as_deref()), (&[3, 4, 3][..], Some("LPS")));
        assert_eq!(found.stored_type, "16 of 16 bits, Explicit VR Little Endian");
    }
    let outside = Set::default().text(tags::REFERENCED_FILE_ID, VR::CS, "..\\..\\etc\\passwd");
    std::fs::write(&directory, listing(vec![outside])).unwrap();
    let error = shown(&loader, &directory, at(0)).unwrap_err().to_string();
    assert!(error.contains("leads out") && !error.contains("passwd"), "{error}");
}

#[test]
fn the_loader_follows_the_rules_for_irregular_series() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &along([0.0, 0.0, 1.0], AXIAL, &[0.0, 3.0, 6.0, 12.0, 15.0]));
    let slices = |options: Options| {
        let loader = Loader::new(DecodeLimits::default()).with_series(options);
        loader.load_volume(&MediaRef::file(folder.path())).map(|read| read.volume.shape()[0])
    };
    assert!(slices(Options::default()).unwrap_err().to_string().contains("--irregular"));
    let rule = |irregular| Options { irregular, ..Options::default() };
    assert_eq!(slices(rule(Irregular::Nearest)), Ok(6));
    assert_eq!(slices(rule(Irregular::Resample)), Ok(6));
    assert!(slices(rule(Irregular::Split)).unwrap_err().to_string().contains("--series"));
    assert_eq!(slices(Options { series: Some(0), ..rule(Irregular::Split) }), Ok(3));
    assert!(slices(Options { series: Some(9), ..Options::default() }).is_err());
}

#[test]
fn dose_grids_are_in_gray_on_the_grid_of_their_offsets() {
    let pixels: Vec<u16> = (1..=3u16).flat_map(|n| [n; 12]).collect();
    let dose = grey(ROWS, COLUMNS, 16, false, &pixels)
        .text(tags::MODALITY, VR::CS, "RTDOSE")
        .text(tags::NUMBER_OF_FRAMES, VR::IS, "3")
        .text(tags::PIXEL_SPACING, VR::DS, "2\\2")
        .text(tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\2\\3")
        .text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &text(&AXIAL))
        .text(tags::GRID_FRAME_OFFSET_VECTOR, VR::DS, "0\\2.5\\5")
        .text(tags::DOSE_GRID_SCALING, VR::DS, "0.25");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dose.dcm");
    std::fs::write(&path, dose.file(EXPLICIT)).unwrap();
    let (volume, _) = load_volume(&path, &Options::default()).unwrap();
    assert_eq!(values(&volume), [0.25, 0.5, 0.75]);
    near(&volume.lps_from_index, [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.5], [1.0, 2.0, 3.0]]);
}

/// `LOUPE_TEST_DATA`: affines and values against the NIfTI files that dcm2niix made of the same data.
#[test]
fn series_equal_dcm2niix() {
    let Some(data) = loupe_testing::real_data("") else { return };
    // Folder, phases, shape, sum of all values, and the matrix in the NIfTI file (rows flipped there).
    let cases = [
        ("20180918GE/mr_0004", 10, [15, 64, 64], 348_072_471.0, [3.75, 5.0], [118.125, -92.906_01, -17.6875]),
        ("20180918Si/mr_0003", 2, [5, 72, 72], 10_219_069.0, [3.0, 12.0], [108.0, -105.0, 16.0]),
        ("20180918Si/mr_0004", 2, [5, 72, 72], 10_252_365.0, [3.0, 12.0], [108.0, -105.0, 16.0]),
    ];
    for (name, count, shape, sum, [pixel, step], ras) in cases {
        let folder = Path::new(&data).join("dcm_qa_nih/In").join(name);
        let series = load_folder(&folder, &Options::default()).unwrap();
        let phases: Vec<Volume> = series.iter().flat_map(volumes).collect();
        assert_eq!((phases.len(), phases[0].shape()), (count, shape), "{name}");
        let total: f64 = phases.iter().flat_map(|v| v.voxels.iter()).map(|v| f64::from(*v)).sum();
        assert_eq!(total, sum, "{name}");
        for volume in &phases {
            let top = [-ras[0], -ras[1] - pixel * (shape[1] - 1) as f64, ras[2]];
            near(&volume.lps_from_index, [[pixel, 0.0, 0.0], [0.0, pixel, 0.0], [0.0, 0.0, step], top]);
        }
    }
}
