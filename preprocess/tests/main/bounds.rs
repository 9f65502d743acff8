//! What a file may take at most, and where the formats are strict.

use crate::dicom_support::{EXPLICIT, grey};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use loupe_core::MediaLoader;
use loupe_core::media::{MediaError, MediaRef, MediaSource, View};
use loupe_dicom::{VR, tags};
use loupe_preprocess::nifti::Xform;
use loupe_preprocess::picture_io::{decode, facts};
use loupe_preprocess::render::percentiles;
use loupe_preprocess::volume_io::read_volume;
use loupe_preprocess::{DecodeLimits, Loader};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)).unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut to = ZlibEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Stored, so that a changed byte changes nothing but itself.
    let mut to = GzEncoder::new(Vec::new(), Compression::none());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(name);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes()[..], name, data, &crc.sum().to_be_bytes()].concat()
}

/// A PNG of these chunks.
fn png(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    chunks.iter().for_each(|(name, data)| out.extend(chunk(name, data)));
    out
}

fn header(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat()
}

fn refusal<T>(result: Result<T, MediaError>) -> String {
    result.err().expect("refused").to_string()
}

#[test]
fn a_colour_profile_is_not_inflated() {
    let profile = zlib(&vec![0; 256 << 20]);
    let bytes = png(&[
        (b"IHDR", header(4, 4, 8, 0)),
        (b"iCCP", [b"x\0\0".to_vec(), profile].concat()),
        (b"IDAT", zlib(&[0; 20])),
        (b"IEND", Vec::new()),
    ]);
    // The file alone is a megabyte or so; its profile would take 256.
    let limits = DecodeLimits::default().with_memory(8 << 20);
    let began = Instant::now();
    assert_eq!(decode(&bytes, &View::default(), &limits).unwrap().pixels(), [0; 16]);
    assert!(facts(&bytes, &limits).unwrap().icc_profile);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn sums_of_png_are_compared() {
    let limits = DecodeLimits::default();
    let good = |pixels: Vec<u8>| {
        png(&[
            (b"IHDR", header(4, 4, 8, 0)),
            (b"tEXt", b"a\0b".to_vec()),
            (b"IDAT", pixels),
            (b"IEND", Vec::new()),
        ])
    };
    assert!(decode(&good(zlib(&[0; 20])), &View::default(), &limits).is_ok());
    // Of the pixels (Adler), behind a chunk whose own sum fits.
    let mut pixels = zlib(&[0; 20]);
    *pixels.last_mut().unwrap() ^= 1;
    refusal(decode(&good(pixels), &View::default(), &limits));
    // Of each chunk, those that pixels do not need included.
    let bytes = good(zlib(&[0; 20]));
    for name in [b"IHDR", b"tEXt", b"IDAT"] {
        let at = bytes.windows(4).position(|w| w == name).unwrap();
        let mut broken = bytes.clone();
        broken[at + 4] ^= 1;
        let words = refusal(decode(&broken, &View::default(), &limits));
        assert!(words.contains("checksum") && words.contains(std::str::from_utf8(name).unwrap()), "{words}");
    }
}

#[test]
fn animations_and_pages_are_counted() {
    let limits = DecodeLimits::default();
    let bytes = png(&[
        (b"IHDR", header(4, 4, 8, 0)),
        (b"acTL", [0, 0, 0, 7, 0, 0, 0, 0].to_vec()),
        (b"IDAT", zlib(&[0; 20])),
        (b"IEND", Vec::new()),
    ]);
    assert_eq!(facts(&bytes, &limits).unwrap().frames, 7);
    let picture = decode(&bytes, &View::default(), &limits).unwrap();
    let said: Vec<&str> = picture.origin.warnings().collect();
    assert!(
        said[0].starts_with("one of several: the first of 7 frames; the others are not read"),
        "{said:?}"
    );
    let second = View { frame: Some(1), ..View::default() };
    assert!(refusal(decode(&bytes, &second, &limits)).contains("only the first"));
    // A TIFF whose chain of directories goes on for 70 000 pages, and one whose chain is a circle.
    let one = fixture("pictures/grey.tif");
    let little = one.starts_with(b"II");
    assert!(little, "the fixture is little-endian");
    let u32_at = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let first = u32_at(&one, 4) as usize;
    let entries = usize::from(u16::from_le_bytes(one[first..first + 2].try_into().unwrap()));
    let link = first + 2 + 12 * entries;
    let mut many = one.clone();
    let start = many.len() + many.len() % 2;
    many.resize(start, 0);
    many[link..link + 4].copy_from_slice(&(start as u32).to_le_bytes());
    for n in 0..70_000u32 {
        let next = if n == 69_999 { 0 } else { start as u32 + 6 * (n + 1) };
        many.extend([0, 0]);
        many.extend(next.to_le_bytes());
    }
    assert_eq!(facts(&many, &limits).unwrap().frames, 70_001);
    let last = many.len() - 4;
    many[last..].copy_from_slice(&(first as u32).to_le_bytes());
    assert_eq!(facts(&many, &limits).unwrap().frames, 70_001);
    let mut circle = one;
    circle[link..link + 4].copy_from_slice(&(first as u32).to_le_bytes());
    assert!(refusal(facts(&circle, &limits)).contains("cycle"));
}

#[test]
fn a_frame_that_nobody_chose_is_said_to_be_one_of_several() {
    let limits = DecodeLimits::default();
    let said = |bytes: &[u8], frame: Option<usize>| {
        let view = View { frame, ..View::default() };
        let picture = decode(bytes, &view, &limits).unwrap();
        picture.origin.warnings().map(str::to_owned).collect::<Vec<_>>()
    };
    // Two pages: the directory once more at the end.
    let one = fixture("pictures/grey.tif");
    let first = u32::from_le_bytes(one[4..8].try_into().unwrap()) as usize;
    let entries = usize::from(u16::from_le_bytes(one[first..first + 2].try_into().unwrap()));
    let (link, mut two) = (first + 2 + 12 * entries, one.clone());
    two.resize(two.len() + two.len() % 2, 0);
    let second = (two.len() as u32).to_le_bytes();
    two[link..link + 4].copy_from_slice(&second);
    two.extend(&one[first..link + 4]);
    let animated = fixture("pictures/frames.gif");
    let frames = facts(&animated, &limits).unwrap().frames;
    for (name, bytes, frames) in [("TIFF", two, 2), ("GIF", animated, frames)] {
        let warned = said(&bytes, None);
        assert_eq!(warned.len(), 1, "{name}");
        assert!(warned[0].contains(&format!("the first of {frames} frames; name the one")), "{warned:?}");
        // Whoever names it means it.
        assert_eq!(said(&bytes, Some(0)), [""; 0], "{name}");
        assert_eq!(said(&bytes, Some(1)), [""; 0], "{name}");
    }
    for single in ["grey.tif", "grey.png", "lossy.webp", "grey.jpg"] {
        assert_eq!(said(&fixture(&format!("pictures/{single}")), None), [""; 0], "{single}");
    }
}

#[test]
fn frames_of_dicom_files_and_pictures_of_folders_are_several_too() {
    let loader = || Loader::new(DecodeLimits::default());
    let said = |media: MediaRef| -> Vec<String> {
        loader().load(&media).unwrap().origin.warnings().map(str::to_owned).collect()
    };
    let dir = tempfile::tempdir().unwrap();
    let cine = grey(4, 3, 16, false, &[7; 36]).text(tags::NUMBER_OF_FRAMES, VR::IS, "3").file(EXPLICIT);
    std::fs::write(dir.path().join("cine.dcm"), cine).unwrap();
    let file = |frame: Option<usize>| {
        let view = View { frame, ..View::default() };
        MediaRef { view, ..MediaRef::file(dir.path().join("cine.dcm")) }
    };
    assert!(said(file(None))[0].contains("the first of 3 frames"));
    assert_eq!(said(file(Some(0))), [""; 0]);
    let folder = tempfile::tempdir().unwrap();
    for name in ["1.png", "2.png"] {
        std::fs::write(folder.path().join(name), fixture("pictures/grey.png")).unwrap();
    }
    let pictures = |frame: Option<usize>| MediaRef {
        source: MediaSource::Folder(folder.path().into()),
        view: View { frame, ..View::default() },
        ..MediaRef::file("")
    };
    assert!(said(pictures(None))[0].contains("the first of 2 frames"));
    assert_eq!(said(pictures(Some(1))), [""; 0]);
}

#[test]
fn a_progressive_jpeg_without_its_end_is_refused() {
    let limits = DecodeLimits::default();
    for name in ["pictures/progressive.jpg", "pictures/rgb420_progressive.jpg"] {
        let whole = fixture(name);
        assert!(decode(&whole, &View::default(), &limits).is_ok());
        let scans: Vec<usize> =
            (0..whole.len() - 1).filter(|n| whole[*n] == 0xFF && whole[n + 1] == 0xDA).collect();
        assert!(scans.len() > 2);
        // Before each later scan, and before the end.
        for cut in scans.iter().skip(1).copied().chain([whole.len() - 2]) {
            let words = refusal(decode(&whole[..cut], &View::default(), &limits));
            assert!(words.contains("EOI") || words.contains("ends early"), "{words}");
        }
    }
}

#[test]
fn a_jpeg_with_fractions_of_samples_is_refused() {
    let whole = fixture("pictures/rgb420.jpg");
    let header = whole.windows(2).position(|mark| mark == [0xFF, 0xC0]).unwrap();
    let sampled = |luminance: u8, colour: u8| {
        let mut changed = whole.clone();
        for (n, factors) in [luminance, colour, colour].into_iter().enumerate() {
            changed[header + 11 + 3 * n] = factors;
        }
        decode(&changed, &View::default(), &DecodeLimits::default())
    };
    assert!(sampled(0x22, 0x11).is_ok());
    for (luminance, colour) in [(0x31, 0x21), (0x32, 0x21), (0x13, 0x12), (0x41, 0x31)] {
        let words = refusal(sampled(luminance, colour));
        assert!(words.contains("fractions of the samples"), "{luminance:x} {colour:x}: {words}");
    }
}

#[test]
fn a_sum_of_gzip_that_does_not_fit_is_refused() {
    let limits = DecodeLimits::default();
    let plain = fixture("volumes/be_u1.nii");
    let packed = gzip(&plain);
    assert!(read_volume(&packed, 0, Xform::Nibabel, &limits).is_ok());
    let mut changed = packed.clone();
    let last = changed.len() - 9; // the last voxel, before sum and length
    changed[last] ^= 1;
    assert!(refusal(read_volume(&changed, 0, Xform::Nibabel, &limits)).contains("checksum"));
    let cut = &packed[..packed.len() - 8];
    assert!(refusal(read_volume(cut, 0, Xform::Nibabel, &limits)).contains("cut off"));
    // Members one after the other, and zeros behind them, are read as gzip reads them.
    let (a, b) = plain.split_at(200);
    let members = [gzip(a), gzip(b), vec![0; 512]].concat();
    assert!(read_volume(&members, 0, Xform::Nibabel, &limits).is_ok());

    let nrrd = |data: &[u8]| {
        let head = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: gzip\n\n";
        [head.as_bytes(), data].concat()
    };
    let mut data = gzip(&[1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(read_volume(&nrrd(&data), 0, Xform::Nibabel, &limits).is_ok());
    let at = data.len() - 9;
    data[at] ^= 1;
    assert!(refusal(read_volume(&nrrd(&data), 0, Xform::Nibabel, &limits)).contains("checksum"));
}

#[test]
fn words_of_metaimage_mean_something_or_are_refused() {
    let read = |field: &str, word: &str| {
        let head = format!(
            "NDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\n{field} = {word}\nElementDataFile = LOCAL\n"
        );
        read_volume(&[head.as_bytes(), &[1, 2, 3, 4]].concat(), 0, Xform::Nibabel, &DecodeLimits::default())
    };
    for field in ["BinaryDataByteOrderMSB", "ElementByteOrderMSB", "CompressedData"] {
        for word in ["False", "false", "0", "F"] {
            assert!(read(field, word).is_ok(), "{field} = {word}");
        }
        for word in ["txt", "1e400", "maybe", "-1", ""] {
            assert!(refusal(read(field, word)).contains("neither True nor False"), "{field} = {word}");
        }
    }
}

#[test]
fn vectors_of_nrrd_are_vectors_or_none() {
    let read = |directions: &str| {
        let head = format!(
            "NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n\
             space directions: {directions}\nencoding: raw\n\n"
        );
        let bytes = [head.as_bytes(), &[1, 2, 3, 4, 5, 6, 7, 8]].concat();
        read_volume(&bytes, 0, Xform::Nibabel, &DecodeLimits::default())
    };
    assert_eq!(read("(1,0,0) (0,1,0) (0,0,1)").unwrap().frames, 1);
    assert_eq!(read("none (1,0,0) (0,1,0)").unwrap().frames, 2);
    assert_eq!(read("(1,0,0)  (0,1,0)\tnone").unwrap().frames, 2);
    for damaged in [
        "(1,0,0) (0,1,0) (0,0,1;2)",
        "(1,0,0) (0,x,0) (0,0,1)",
        "(1,0,0) (0,1,0) nome",
        "(1,0,0) (0,1,0) (0,0,1",
    ] {
        assert!(refusal(read(damaged)).contains("space directions"), "{damaged}");
    }
}

#[test]
fn every_reader_says_what_it_needs() {
    let folder = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let endings =
        ["png", "jpg", "tif", "gif", "webp", "bmp", "pgm", "nii", "gz", "nrrd", "mha", "npy", "dcm"];
    let mut seen = 0;
    for dir in ["pictures", "volumes", "codecs"] {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder(dir)).unwrap().map(|e| e.unwrap().path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| endings.iter().any(|known| *known == e)));
        for path in paths {
            let load = |bytes: u64| {
                let limits = DecodeLimits::default().with_memory(bytes);
                Loader::new(limits).load(&MediaRef::file(&path))
            };
            let Ok(whole) = load(1 << 30) else { continue };
            // No picture fits into less than itself.
            let least = whole.pixels().len() as u64 / 2;
            let words = refusal(load(least));
            assert!(words.contains("--max-memory"), "{path:?}: {words}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_no_images() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("i.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let link = dir.path().join("zero.png");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    let loader = Loader::new(DecodeLimits::default());
    for path in [pipe, link] {
        let began = Instant::now();
        let words = refusal(loader.load(&MediaRef::file(&path)));
        assert!(words.contains("not a file"), "{words}");
        assert!(refusal(loader.load_volume(&MediaRef::file(&path))).contains("not a file"));
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn percentiles_are_those_of_the_sorted_values() {
    let mut values: Vec<f32> = (0..4001).map(|n| ((n * 7919) % 4001) as f32 * 0.37 - 700.0).collect();
    values.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, 1e-40, f32::MAX, f32::MIN]);
    let mut sorted: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f32::total_cmp);
    let last = (sorted.len() - 1) as f64;
    for p in [0.0, 0.5, 1.0, 13.7, 50.0, 99.5, 100.0] {
        let at = p / 100.0 * last;
        let (below, above) = (f64::from(sorted[at.floor() as usize]), f64::from(sorted[at.ceil() as usize]));
        let [found] = percentiles(&values, [p]).unwrap();
        let wanted = below + (above - below) * at.fract();
        assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{p}: {found} for {wanted}");
    }
    assert_eq!(percentiles(&[f32::NAN], [50.0]), None);
    assert_eq!(percentiles(&[3.0], [0.0, 100.0]), Some([3.0, 3.0]));
}

/// An axial slice at this height, as a file.
fn axial(z: f64) -> Vec<u8> {
    grey(4, 3, 16, false, &[7; 12])
        .text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3")
        .text(tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.3.{}", z as u32 + 1))
        .text(tags::PIXEL_SPACING, VR::DS, "1\\1")
        .text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{z}"))
        .text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0")
        .file(EXPLICIT)
}

#[test]
fn a_folder_with_a_file_that_cannot_be_read_says_so_wherever_it_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let slice = |z: f64| {
        let bytes = axial(z);
        std::fs::write(dir.path().join(format!("{z}.dcm")), bytes).unwrap();
    };
    (0..5).for_each(|n| slice(f64::from(n) * 2.0));
    let loader = Loader::new(DecodeLimits::default());
    let load =
        || loader.load(&MediaRef { source: MediaSource::Folder(dir.path().into()), ..MediaRef::file("") });
    assert_eq!(load().unwrap().origin.warnings().count(), 0);
    // A copy that stopped at the end slice, one that stopped in its header, one that never was DICOM.
    let fresh = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    fresh("10.dcm", b"");
    // Elements are even in length, so that it ends within one.
    fresh("11.dcm", &axial(10.0)[..201]);
    fresh("readme.txt", b"words");
    let loader = Loader::new(DecodeLimits::default());
    let load =
        || loader.load(&MediaRef { source: MediaSource::Folder(dir.path().into()), ..MediaRef::file("") });
    let warnings: Vec<String> = load().unwrap().origin.warnings().map(str::to_owned).collect();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("2 files next to it could not be read"), "{warnings:?}");
}
