//! Picture files against Pillow: `pictures/make.py` wrote both the files and what Pillow reads.

use loupe_core::media::{MediaError, View, WindowChoice};
use loupe_core::picture::Picture;
use loupe_core::window::Window;
use loupe_preprocess::DecodeLimits;
use loupe_preprocess::picture_io::{decode, facts, frame_files, open_frame};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn open(name: &str, view: &View) -> Picture {
    decode(&read(name), view, &DecodeLimits::default()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn worst(a: &Picture, b: &Picture) -> u8 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let (a, b) = (a.to_rgb(), b.to_rgb());
    a.pixels().iter().zip(b.pixels()).map(|(x, y)| x.abs_diff(*y)).max().unwrap()
}

#[test]
fn every_file_equals_pillow() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.contains(".want.") || !folder().join(format!("{name}.want.png")).exists() {
            continue;
        }
        seen += 1;
        let got = open(&name, &View::default());
        let want = open(&format!("{name}.want.png"), &View::default());
        // WebP leaves the rounding of colours to the decoder; JPEG is decoded as libjpeg does.
        let allowed = if name == "lossy.webp" { 2 } else { 0 };
        assert!(worst(&got, &want) <= allowed, "{name}: off by {}", worst(&got, &want));
    }
    assert_eq!(seen, 58);
}

#[test]
fn pages_and_frames_are_counted_from_zero() {
    let frame = |frame| View { frame: Some(frame), ..View::default() };
    let page = open("pages.tif", &frame(2));
    assert_eq!(worst(&page, &open("pages.tif.page2.png", &View::default())), 0);
    assert_eq!(page.origin.frame, Some(2));
    assert_eq!(worst(&open("frames.gif", &frame(1)), &open("frames.gif.frame1.png", &View::default())), 0);
    for name in ["pages.tif", "frames.gif", "rgb.png"] {
        let error = decode(&read(name), &frame(3), &DecodeLimits::default()).unwrap_err();
        assert!(matches!(&error, MediaError::View(m) if m.contains('3')), "{name}: {error}");
    }
    assert_eq!(facts(&read("pages.tif"), &DecodeLimits::default()).unwrap().frames, 3);
    assert_eq!(facts(&read("frames.gif"), &DecodeLimits::default()).unwrap().frames, 2);
    let header = facts(&read("orientation6.png"), &DecodeLimits::default()).unwrap();
    assert_eq!((header.width, header.height, header.exif_orientation), (37, 22, 6));
}

#[test]
fn animations_are_composed_as_pillow_composes_them() {
    for name in ["kept.gif", "cleared.gif", "restored.gif", "mixed.gif"] {
        assert_eq!(facts(&read(name), &DecodeLimits::default()).unwrap().frames, 5, "{name}");
        for n in 0..5 {
            let got = open(name, &View { frame: Some(n), ..View::default() });
            let want = open(&format!("{name}.frame{n}.png"), &View::default());
            assert_eq!(worst(&got, &want), 0, "{name}, frame {n}");
        }
    }
}

#[test]
fn grey_stays_grey_and_steps_are_on_record() {
    assert_eq!(open("grey.png", &View::default()).channels(), 1);
    assert_eq!(open("rgba.png", &View::default()).origin.steps, ["alpha dropped"]);
    assert_eq!(open("word.png", &View::default()).origin.steps, ["16 bit to 8: high byte"]);
    let turned = open("orientation6.jpg", &View::default());
    assert_eq!(turned.origin.steps, ["exif orientation 6"]);
    assert_eq!(turned.origin.source_size, [22, 37]);
}

#[test]
fn windows_apply_to_grey_intensities_only() {
    let with = |window| View { window: Some(window), ..View::default() };
    let numbers = WindowChoice::Numbers(Window::between(0.0, 65535.0));
    let shown = open("word.png", &with(numbers.clone()));
    let high_byte = open("word.png", &View::default());
    assert!(worst(&shown, &high_byte) <= 1);
    assert_eq!(shown.origin.window, Some(Window::between(0.0, 65535.0)));
    let full = open("word.tif", &with(WindowChoice::FullRange));
    assert_eq!((full.pixels().iter().min(), full.pixels().iter().max()), (Some(&0), Some(&255)));
    for (name, choice) in [("rgb.png", numbers), ("grey.png", WindowChoice::Preset("lung".into()))] {
        assert!(matches!(
            decode(&read(name), &with(choice), &DecodeLimits::default()),
            Err(MediaError::View(_))
        ));
    }
}

#[test]
fn limits_name_their_option() {
    let small = DecodeLimits { max_pixels: 800, ..DecodeLimits::default() };
    for name in ["rgb.png", "grey.jpg", "rgb_lzw.tif", "frames.gif", "lossless.webp", "rgb.bmp"] {
        let error = decode(&read(name), &View::default(), &small).unwrap_err().to_string();
        assert!(error.contains("--decode-max-pixels") && error.contains("814"), "{name}: {error}");
    }
    let tight = DecodeLimits { max_memory_bytes: 900, ..DecodeLimits::default() };
    for name in ["rgb.png", "rgb_lzw.tif"] {
        let error = decode(&read(name), &View::default(), &tight).unwrap_err().to_string();
        assert!(error.contains("--max-memory"), "{name}: {error}");
    }
}

#[test]
fn folders_are_frames_in_the_order_of_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    for (name, file) in
        [("f_10.png", "grey.png"), ("f_2.png", "rgb.png"), ("f_1.png", "word.png"), ("notes.txt", "rgb.png")]
    {
        std::fs::copy(folder().join(file), dir.path().join(name)).unwrap();
    }
    let files = frame_files(dir.path()).unwrap();
    let names: Vec<_> = files.iter().map(|p| p.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["f_1.png", "f_2.png", "f_10.png"]);
    let second =
        open_frame(&files, &View { frame: Some(1), ..View::default() }, &DecodeLimits::default()).unwrap();
    assert_eq!((second.channels(), second.origin.frame), (3, Some(1)));
    let missing = open_frame(&files, &View { frame: Some(3), ..View::default() }, &DecodeLimits::default());
    assert!(matches!(missing, Err(MediaError::View(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn damaged_files_are_answered(which in 0usize..12, cut in 0.0f64..1.5, at in 0.0f64..1.0, noise in prop::collection::vec(any::<u8>(), 1..17)) {
        let names = ["rgb.png", "palette.tif", "rgb16.png", "rgb420.jpg", "progressive.jpg", "cmyk.jpg",
            "rgb_lzw.tif", "pages.tif", "one_bit.tif", "palette.bmp", "lossy.webp", "frames.gif"];
        let mut bytes = read(names[which]);
        let start = (at * bytes.len() as f64) as usize;
        for (slot, n) in bytes[start..].iter_mut().zip(&noise) { *slot = *n; }
        bytes.truncate((cut * bytes.len() as f64) as usize);
        let limits = DecodeLimits { max_pixels: 1 << 20, max_memory_bytes: 64 << 20 };
        let _ = facts(&bytes, &limits);
        if let Ok(picture) = decode(&bytes, &View::default(), &limits) {
            prop_assert!(picture.width() * picture.height() <= 1 << 20);
        }
    }
}

/// Sampling factors say how components stand to each other; a lone one has none to stand to.
#[test]
fn a_lone_component_may_have_any_sampling_factors() {
    let mut grey = read("grey.jpg");
    let at = grey.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap() + 11;
    assert_eq!(grey[at], 0x11);
    for factors in [0x22, 0x14, 0x41] {
        grey[at] = factors;
        let got = decode(&grey, &View::default(), &DecodeLimits::default()).unwrap();
        assert_eq!(worst(&got, &open("grey.jpg.want.png", &View::default())), 0, "{factors:#x}");
    }
}

#[test]
fn scans_without_end_are_refused() {
    let side = 4096u16.to_be_bytes();
    let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
    jpeg.extend([1u8; 64]);
    jpeg.extend([0xFF, 0xC2, 0, 11, 8, side[0], side[1], side[0], side[1], 1, 1, 0x11, 0]);
    // One AC symbol of one bit: a run of 16 384 empty blocks and 14 more bits of them.
    jpeg.extend([0xFF, 0xC4, 0, 20, 0x10, 1]);
    jpeg.extend([0u8; 15]);
    jpeg.push(0xE0);
    let mut scan = vec![0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 63, 0];
    let bits = "011111111111111".repeat(9) + "1";
    for byte in bits.as_bytes().chunks(8) {
        let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
        scan.push(byte);
        if byte == 0xFF {
            scan.push(0);
        }
    }
    let file = |scans: usize| [jpeg.clone(), scan.repeat(scans), vec![0xFF, 0xD9]].concat();
    let read = |bytes: &[u8]| decode(bytes, &View::default(), &DecodeLimits::default());
    assert_eq!(read(&file(3)).unwrap().width(), 4096);
    // Thirty kilobytes that would take minutes.
    let error = read(&file(900)).unwrap_err().to_string();
    assert!(error.contains("more scans than a picture of this size can need"), "{error}");
}
