//! A series is shown like its single files: the grey levels of each slice are those of its file alone.

use crate::dicom_support::{EXPLICIT, Set, grey};
use loupe_core::media::{MediaError, Plane, SliceAt, WindowChoice};
use loupe_core::window::{Window, WindowFunction};
use loupe_core::{MediaLoader, MediaRef, MediaSource, Picture, View};
use loupe_dicom::{Tag, VR, tags};
use loupe_preprocess::dicom::series::{Irregular, Options};
use loupe_preprocess::inspect::{self, inspect};
use loupe_preprocess::{DecodeLimits, Loader};
use std::path::{Path, PathBuf};

const SIDE: u16 = 4;

/// A slice of an ordinary axial MR series, its pixels 0, 100, 200 … 1500 from the upper left on.
fn slice(n: usize) -> Set {
    let values: Vec<u16> = (0..16).map(|v| v * 100).collect();
    grey(SIDE, SIDE, 16, true, &values)
        .text(tags::MODALITY, VR::CS, "MR")
        .text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3")
        .text(tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.3.{}", n + 1))
        .text(tags::INSTANCE_NUMBER, VR::IS, &(n + 1).to_string())
        .text(tags::PIXEL_SPACING, VR::DS, "1\\1")
        .text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{}", n * 3))
        .text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0")
}

fn windowed(set: Set, centre: &str, width: &str) -> Set {
    set.text(tags::WINDOW_CENTER, VR::DS, centre).text(tags::WINDOW_WIDTH, VR::DS, width)
}

/// A folder with these slices, and the file of each.
struct Folder {
    dir: tempfile::TempDir,
    files: Vec<PathBuf>,
}

impl Folder {
    fn of(slices: &[Set]) -> Self {
        let names: Vec<String> = (0..slices.len()).map(|n| format!("{n}.dcm")).collect();
        Self::named(slices, &names)
    }

    fn named(slices: &[Set], names: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = names.iter().map(|name| dir.path().join(name)).collect();
        for (file, set) in files.iter().zip(slices) {
            std::fs::write(file, set.file(EXPLICIT)).unwrap();
        }
        Self { dir, files }
    }

    fn slice(&self, n: usize, window: Option<WindowChoice>) -> Result<Picture, MediaError> {
        shown(self.dir.path(), View { slice: Some(SliceAt::Index(n)), window, ..View::default() })
    }

    fn file(&self, n: usize, window: Option<WindowChoice>) -> Picture {
        shown(&self.files[n], View { window, ..View::default() }).unwrap()
    }

    fn notes(&self) -> String {
        inspect(self.dir.path(), &inspect::Options::default()).unwrap().notes.join("\n")
    }
}

fn shown(path: &Path, view: View) -> Result<Picture, MediaError> {
    let mut media = MediaRef { view, ..MediaRef::file(path) };
    if path.is_dir() {
        media.source = MediaSource::Folder(path.to_owned());
    }
    Loader::new(DecodeLimits::default()).load(&media)
}

/// Every slice of the series equals its file, with each of these windows.
fn alike(folder: &Folder, windows: &[Option<WindowChoice>]) {
    for n in 0..folder.files.len() {
        for window in windows {
            let (alone, series) = (folder.file(n, window.clone()), folder.slice(n, window.clone()).unwrap());
            assert_eq!(series.pixels(), alone.pixels(), "slice {n}, window {window:?}");
            assert_eq!(series.origin.window, alone.origin.window, "slice {n}");
        }
    }
}

#[test]
fn monochrome1_is_inverted_in_a_series_as_in_its_files() {
    let slices: Vec<Set> = (0..3)
        .map(|n| {
            windowed(slice(n), "750", "1500").text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1")
        })
        .collect();
    let folder = Folder::of(&slices);
    let numbers = WindowChoice::Numbers(Window::linear(700.0, 1000.0));
    alike(&folder, &[None, Some(numbers), Some(WindowChoice::FullRange)]);
    let picture = folder.slice(1, None).unwrap();
    assert_eq!((picture.pixels()[0], picture.pixels()[15]), (255, 0));
    assert!(folder.notes().contains("MONOCHROME1"));
    // A plane across the slices, and the values that a page windows.
    let view = View { plane: Plane::Coronal, slice: Some(SliceAt::Index(0)), ..View::default() };
    assert_eq!(shown(folder.dir.path(), view).unwrap().pixels()[0], 255);
    let media = MediaRef {
        stated_size: None,
        source: MediaSource::Folder(folder.dir.path().to_owned()),
        view: View { slice: Some(SliceAt::Index(0)), ..View::default() },
        name: String::new(),
    };
    assert!(Loader::new(DecodeLimits::default()).intensities(&media).unwrap().unwrap().inverted);
}

#[test]
fn slices_of_both_kinds_are_shown_each_in_its_own_and_not_across() {
    let mut slices: Vec<Set> = (0..3).map(|n| windowed(slice(n), "750", "1500")).collect();
    slices[1] = slices[1].clone().text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1");
    let folder = Folder::of(&slices);
    alike(&folder, &[None]);
    let across = shown(folder.dir.path(), View { plane: Plane::Sagittal, ..View::default() }).unwrap_err();
    assert!(across.to_string().contains("MONOCHROME1"), "{across}");
}

#[test]
fn padding_takes_no_part_in_windows_ranges_and_values() {
    // The left column holds the padding value, the right one a value within the range limit.
    let padded = |n| {
        let mut values: Vec<u16> = (0..16u16).map(|v| 100 + v).collect();
        for row in 0..4 {
            (values[row * 4], values[row * 4 + 3]) = (-2000i16 as u16, -1990i16 as u16);
        }
        let pixels = grey(SIDE, SIDE, 16, true, &values).0;
        let data = pixels.into_iter().find(|(tag, ..)| *tag == tags::PIXEL_DATA).unwrap();
        let mut set = slice(n);
        set.put(data.0, data.1, data.2);
        set.put(tags::PIXEL_PADDING_VALUE, VR::SS, shorts(&[-2000]));
        set.put(tags::PIXEL_PADDING_RANGE_LIMIT, VR::SS, shorts(&[-1980]));
        set
    };
    let folder = Folder::of(&[padded(0), padded(1), padded(2)]);
    // Percentiles are those of more values than one file has.
    alike(&folder, &[Some(WindowChoice::FullRange)]);
    for window in [None, Some(WindowChoice::FullRange), Some(WindowChoice::Percentiles(5.0, 95.0))] {
        let picture = folder.slice(1, window).unwrap();
        let row = &picture.pixels()[..4];
        assert_eq!((row[0], row[3]), (0, 0));
        assert!(picture.pixels()[14] >= 240 && row[1] <= 15, "{:?}", picture.pixels());
    }
    let found = inspect(folder.dir.path(), &inspect::Options::default()).unwrap();
    assert_eq!(found.range, Some([101.0, 114.0]));
    assert!(folder.notes().contains("padding: 50.0 %"), "{}", folder.notes());
    let media = MediaRef {
        stated_size: None,
        source: MediaSource::Folder(folder.dir.path().to_owned()),
        view: View { slice: Some(SliceAt::Index(0)), ..View::default() },
        name: String::new(),
    };
    let values = Loader::new(DecodeLimits::default()).intensities(&media).unwrap().unwrap().values;
    assert!(values[0].is_nan() && values[3].is_nan() && values[1] == 101.0);
    // What models and recipes get has nothing darker than the image.
    let read = Loader::new(DecodeLimits::default()).load_volume(&media).unwrap();
    assert_eq!(read.volume.voxels[[0, 0, 0]], -2000.0);
    assert_eq!(read.without_padding().voxels[[0, 0, 0]], 101.0);
}

fn shorts(values: &[i16]) -> crate::dicom_support::Contents {
    crate::dicom_support::Contents::Shorts(values.iter().map(|v| *v as u16).collect())
}

#[test]
fn every_slice_has_its_own_window_and_names_decide_nothing() {
    let own = [("200", "400"), ("500", "600"), ("1000", "200"), ("300", "100")];
    let slices: Vec<Set> = own.iter().enumerate().map(|(n, (c, w))| windowed(slice(n), c, w)).collect();
    let folder = Folder::of(&slices);
    alike(&folder, &[None, Some(WindowChoice::Stored(0))]);
    assert!(
        folder.notes().contains("vary by slice: centre 200 to 1000, width 100 to 600"),
        "{}",
        folder.notes()
    );
    // The median is the same for all slices: of 200, 300, 500, 1000 and of 100, 200, 400, 600.
    let median = folder.slice(0, Some(WindowChoice::Median(0))).unwrap().origin.window.unwrap();
    assert_eq!((median.centre, median.width), (400.0, 300.0));
    let across = shown(folder.dir.path(), View { plane: Plane::Coronal, ..View::default() }).unwrap();
    assert_eq!(across.origin.window, Some(median));
    // The same files under names of another order.
    let names: Vec<String> = ["z", "b", "y", "a"].iter().map(|n| format!("{n}.dcm")).collect();
    let renamed = Folder::named(&slices, &names);
    for n in 0..4 {
        assert_eq!(folder.slice(n, None).unwrap().pixels(), renamed.slice(n, None).unwrap().pixels());
    }
    assert_eq!(folder.notes(), renamed.notes());
}

#[test]
fn several_windows_voi_tables_and_eight_bits_are_kept() {
    let two = |n: usize| windowed(slice(n), &format!("{}\\700", 300 + n), "400\\1400");
    let folder = Folder::of(&[two(0), two(1)]);
    alike(&folder, &[None, Some(WindowChoice::Stored(0)), Some(WindowChoice::Stored(1))]);
    let error = folder.slice(0, Some(WindowChoice::Stored(2))).unwrap_err().to_string();
    assert!(error.contains("no stored window 2"), "{error}");

    let table = || {
        let entries: Vec<u16> = (0..1501u32).map(|v| (v * v / 40) as u16).collect();
        Set::default().shorts(tags::LUT_DESCRIPTOR, &[1501, 0, 16]).words(tags::LUT_DATA, &entries)
    };
    let tables: Vec<Set> = (0..2).map(|n| slice(n).items(tags::VOILUT_SEQUENCE, vec![table()])).collect();
    let folder = Folder::of(&tables);
    alike(&folder, &[None]);
    assert!(folder.slice(0, None).unwrap().origin.steps.contains(&"voi lut 0".to_owned()));

    let eight = |n| slice(n).shorts(tags::BITS_STORED, &[8]).shorts(tags::HIGH_BIT, &[7]);
    let eight = |n| eight(n).shorts(tags::PIXEL_REPRESENTATION, &[0]);
    alike(&Folder::of(&[eight(0), eight(1)]), &[None]);
}

#[test]
fn phases_have_their_own_windows_and_ranges() {
    let phase = |n: usize, time: usize, centre: &str| {
        let values: Vec<u16> = (0..16).map(|v| v * 10 * (time as u16 + 1)).collect();
        let mut set = windowed(slice(n), centre, "300")
            .text(tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.4.{n}.{time}"))
            .text(tags::TEMPORAL_POSITION_IDENTIFIER, VR::IS, &(time + 1).to_string());
        set.put(tags::PIXEL_DATA, VR::OW, crate::dicom_support::Contents::Shorts(values));
        set
    };
    let all = [phase(0, 0, "100"), phase(1, 0, "110"), phase(0, 1, "900"), phase(1, 1, "910")];
    let folder = Folder::of(&all);
    for time in 0..2 {
        let view = View { frame: Some(time), slice: Some(SliceAt::Index(1)), ..View::default() };
        let picture = shown(folder.dir.path(), view.clone()).unwrap();
        assert_eq!(picture.pixels(), folder.file(2 * time + 1, None).pixels());
        let full = View { window: Some(WindowChoice::FullRange), ..view };
        let window = shown(folder.dir.path(), full).unwrap().origin.window.unwrap();
        assert_eq!((window.centre, window.width), (75.0 * (time + 1) as f64, 150.0 * (time + 1) as f64));
    }
    assert!(folder.notes().contains("phase 1: values 0 to 300, window 905/300"), "{}", folder.notes());
}

#[test]
fn windows_that_cannot_be_used_are_said_and_narrow_ones_exact() {
    let with = |centre: &str, width: &str| {
        let set = windowed(slice(0), centre, width).text(tags::RESCALE_SLOPE, VR::DS, "0.001");
        Folder::of(&[set.text(tags::RESCALE_INTERCEPT, VR::DS, "0")])
    };
    // 0 to 1.5 in steps of 0.1; the window covers 0.5 to 1.
    let narrow = with("0.75", "0.5");
    let level = |v: f64| ((v - 0.5) / 0.5).clamp(0.0, 1.0) * 255.0;
    for (n, got) in narrow.file(0, None).pixels().iter().enumerate() {
        assert!((f64::from(*got) - level(n as f64 / 10.0)).abs() <= 0.51, "{n}: {got}");
    }
    assert!(narrow.notes().contains("at least 1, not 0.5; LINEAR_EXACT used"), "{}", narrow.notes());
    let comma = with("0,75", "0,5");
    assert_eq!(comma.file(0, None).pixels(), narrow.file(0, None).pixels());
    assert!(comma.notes().contains("decimal commas"));
    for (centre, width, problem) in
        [("NaN", "NaN", "no number"), ("1", "0", "width is 0"), ("1", "-5", "width is -5")]
    {
        let broken = with(centre, width);
        let notes = format!("{}\n{:?}", broken.notes(), broken.file(0, None).origin.steps);
        assert!(notes.contains(problem), "{notes}");
        let pixels = broken.file(0, None).pixels().to_vec();
        assert_eq!((pixels[0], pixels[15]), (0, 255));
    }
    // The second window stands in for a first that cannot be used, and keeps its number.
    let second = with("1\\0.75", "0\\0.5");
    assert_eq!(second.file(0, None).pixels(), narrow.file(0, None).pixels());
    let first = View { window: Some(WindowChoice::Stored(0)), ..View::default() };
    assert!(shown(&second.files[0], first).is_err());
}

#[test]
fn typed_windows_are_exact_where_values_are_not_whole_numbers() {
    let window = WindowChoice::Numbers(Window::linear(0.75, 1.5));
    let maps = Folder::of(&[slice(0), slice(1)].map(|set| set.text(tags::RESCALE_SLOPE, VR::DS, "0.001")));
    alike(&maps, &[Some(window.clone())]);
    let levels = maps.slice(0, Some(window)).unwrap();
    let want: Vec<u8> = (0..16).map(|v| (f64::from(v) * 17.0).round() as u8).collect();
    assert_eq!(levels.pixels(), want);
    assert_eq!(levels.origin.window.unwrap().function, WindowFunction::LinearExact);
    let whole = Folder::of(&[slice(0), slice(1)]);
    let typed = Some(WindowChoice::Numbers(Window::linear(700.0, 800.0)));
    alike(&whole, std::slice::from_ref(&typed));
    let used = whole.slice(0, typed).unwrap().origin.window.unwrap();
    assert_eq!(used.function, WindowFunction::Linear);
    // A record is shown again by its own formula.
    let exactly = Some(WindowChoice::Exactly(Window::between(0.0, 800.0)));
    assert_eq!(whole.slice(0, exactly).unwrap().origin.window, Some(Window::between(0.0, 800.0)));
}

#[test]
fn overlays_are_announced() {
    let overlay = |n| {
        let bits = [0u8; 2];
        slice(n).shorts(Tag(0x6000, 0x0010), &[4]).bytes(Tag(0x6002, 0x3000), VR::OB, &bits)
    };
    let folder = Folder::of(&[overlay(0), overlay(1)]);
    assert!(folder.notes().contains("2 overlay planes (60xx) not drawn"), "{}", folder.notes());
    for picture in [folder.file(0, None), folder.slice(0, None).unwrap()] {
        assert!(picture.origin.steps.iter().any(|s| s.contains("60xx")), "{:?}", picture.origin.steps);
    }
}

#[test]
fn slices_that_were_not_stored_say_so() {
    let placed = |n: usize, z: f64| {
        windowed(slice(n), "750", "1500").text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{z}"))
    };
    let folder = Folder::of(&[placed(0, 0.0), placed(1, 3.0), placed(2, 9.0)]);
    let note = |irregular, n| {
        let series = Options { irregular, ..Options::default() };
        let loader = Loader::new(DecodeLimits::default()).with_series(series);
        let view = View { slice: Some(SliceAt::Index(n)), ..View::default() };
        let source = MediaSource::Folder(folder.dir.path().to_owned());
        loader
            .load(&MediaRef { source, view, name: String::new(), stated_size: None })
            .unwrap()
            .origin
            .spacing_note
    };
    assert_eq!(note(Irregular::Resample, 1), None);
    assert!(note(Irregular::Resample, 2).unwrap().contains("interpolated"));
    assert!(note(Irregular::Nearest, 1).unwrap().contains("nearest"));
}

#[test]
fn a_multi_frame_volume_opens_in_the_middle_and_its_frames_by_number() {
    let frames = 5;
    let group = |n: usize| {
        let position = Set::default().text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{}", n * 2));
        let window = windowed(Set::default(), &(n * 100 + 50).to_string(), "100");
        Set::default()
            .items(tags::PLANE_POSITION_SEQUENCE, vec![position])
            .items(tags::FRAME_VOILUT_SEQUENCE, vec![window])
    };
    let orientation = Set::default().text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
    let measures = Set::default().text(tags::PIXEL_SPACING, VR::DS, "1\\1");
    let shared = Set::default()
        .items(tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation])
        .items(tags::PIXEL_MEASURES_SEQUENCE, vec![measures]);
    let values: Vec<u16> = (0..frames).flat_map(|n| (0..16).map(move |v| n as u16 * 100 + v * 6)).collect();
    let set = grey(SIDE, SIDE, 16, false, &values)
        .text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string())
        .text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.5")
        .items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared])
        .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, (0..frames).map(group).collect());
    let folder = Folder::of(&[set]);
    let middle = shown(&folder.files[0], View::default()).unwrap();
    assert_eq!((middle.origin.slice, middle.origin.frame), (Some(2), None));
    for n in 0..frames {
        let alone = shown(&folder.files[0], View { frame: Some(n), ..View::default() }).unwrap();
        let slice = View { slice: Some(SliceAt::Index(n)), ..View::default() };
        assert_eq!(shown(&folder.files[0], slice).unwrap().pixels(), alone.pixels(), "frame {n}");
        assert_eq!(alone.origin.frame, Some(n));
    }
}

#[test]
fn of_two_copies_the_whole_one_counts_whatever_its_name() {
    let sets = [0, 1].map(|n| windowed(slice(n), "750", "1500"));
    for cut_off in ["!.dcm", "z.dcm"] {
        let folder = Folder::of(&sets);
        let bytes = std::fs::read(&folder.files[0]).unwrap();
        std::fs::write(folder.dir.path().join(cut_off), &bytes[..bytes.len() - 8]).unwrap();
        assert_eq!(folder.slice(0, None).unwrap().pixels(), folder.file(0, None).pixels(), "{cut_off}");
    }
}

#[test]
fn the_series_of_a_folder_are_numbered_by_their_contents() {
    let other = |n: usize| {
        slice(n).text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.9").text(tags::SERIES_NUMBER, VR::IS, "2").text(
            tags::SOP_INSTANCE_UID,
            VR::UI,
            &format!("1.2.9.{n}"),
        )
    };
    let first = |n: usize| windowed(slice(n), "100", "200").text(tags::SERIES_NUMBER, VR::IS, "1");
    let sets = [first(0), first(1), other(0), other(1)];
    let orders = [["a", "b", "c", "d"], ["d", "c", "b", "a"]];
    let shots = orders.map(|names| {
        let folder = Folder::named(&sets, &names.map(str::to_owned));
        let series = Options { series: Some(0), ..Options::default() };
        let loader = Loader::new(DecodeLimits::default()).with_series(series);
        let source = MediaSource::Folder(folder.dir.path().to_owned());
        let picture = loader
            .load(&MediaRef { source, view: View::default(), name: String::new(), stated_size: None })
            .unwrap();
        (picture.pixels().to_vec(), picture.origin.window)
    });
    assert_eq!(shots[0], shots[1]);
    assert_eq!(shots[0].1.unwrap().centre, 100.0);
}

/// A window that reaches no value shows nothing, and that is said: of a file alone, of its slice and of its series.
#[test]
fn a_window_outside_of_the_values_is_said() {
    let missed = |picture: &Picture| {
        picture.origin.steps.iter().find(|s| s.contains("outside of the values")).cloned()
    };
    for (centre, width, side) in
        [("1000000000", "1", Some("below")), ("-5000", "100", Some("above")), ("750", "100", None)]
    {
        let folder = Folder::of(&[0, 1, 2].map(|n| windowed(slice(n), centre, width)));
        for picture in [folder.file(0, None), folder.slice(1, None).unwrap()] {
            let said = missed(&picture);
            assert_eq!(said.is_some(), side.is_some(), "{centre}/{width}: {said:?}");
            assert!(said.is_none_or(|said| said.contains(side.unwrap_or_default())), "{centre}/{width}");
        }
        let found = inspect(folder.dir.path(), &inspect::Options::default()).unwrap();
        assert_eq!(
            found.notes.iter().any(|n| n.contains("outside of the values")),
            side.is_some(),
            "{:?}",
            found.notes
        );
        // Another window shows it.
        assert_eq!(missed(&folder.slice(1, Some(WindowChoice::FullRange)).unwrap()), None);
    }
    // A window of one's own, and padding in which there is nothing to see.
    let padded = slice(0).shorts(tags::PIXEL_PADDING_VALUE, &[0]);
    let folder = Folder::of(&[0, 1].map(|n| if n == 0 { padded.clone() } else { slice(n) }));
    let low = Some(WindowChoice::Numbers(Window::linear(0.0, 50.0)));
    assert!(missed(&folder.file(0, low.clone())).is_some_and(|said| said.contains("above")));
    assert!(missed(&folder.slice(0, low.clone()).unwrap()).is_some_and(|said| said.contains("above")));
    assert_eq!(missed(&folder.slice(1, low).unwrap()), None);
}

/// A folder is the same to whoever looks into it and to whoever shows it, and what is left aside is counted.
#[test]
fn files_left_aside_are_counted() {
    let folder = Folder::of(&[0, 1, 2].map(|n| windowed(slice(n), "750", "1500")));
    let (root, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let put = |name: &str, bytes: &[u8]| {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let picture = loupe_testing::bmp(3, 2, |x, _| x as u8);
    put("about.txt", b"words");
    put("cover.bmp", &picture);
    for (n, file) in folder.files.iter().enumerate() {
        put(&format!("series/{n}.dcm"), &std::fs::read(file).unwrap());
    }
    let said = |words: &str| {
        let found = inspect(root.path(), &inspect::Options::default()).unwrap();
        let picture = shown(root.path(), View::default()).unwrap();
        for notes in [&found.notes, &picture.origin.steps] {
            assert!(notes.iter().any(|note| note.contains(words)), "{notes:?}");
        }
        (found.format, picture.width())
    };
    assert_eq!(
        said("1 image file of another format beside the DICOM files left aside"),
        ("DICOM series".to_owned(), 4)
    );
    // However many pictures stand before them.
    (0..9).for_each(|n| put(&format!("{n}.bmp"), &picture));
    assert_eq!(
        said("10 image files of another format beside the DICOM files left aside"),
        ("DICOM series".to_owned(), 4)
    );
    let volume = loupe_core::Volume {
        voxels: ndarray::Array3::zeros((2, 2, 2)),
        lps_from_index: loupe_core::LpsFromIndex::from_columns(
            [1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.],
            [0.; 3],
        ),
        modality: loupe_core::Modality::Other,
    };
    // Without them it is a folder of pictures, which holds other images too.
    std::fs::rename(root.path().join("series"), dir.path().join("series")).unwrap();
    put("below/map.nii.gz", &loupe_preprocess::nifti::volume_bytes(&volume).unwrap());
    assert_eq!(
        said("1 other image file in and below the folder left aside"),
        ("folder of pictures".to_owned(), 3)
    );
}
