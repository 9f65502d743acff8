//! Each of the silent wrong values that DICOM readers produce, held off by a test.

use crate::dicom_support::{BIG, Contents, EXPLICIT, IMPLICIT, RLE, Set, colour, grey};
use loupe_core::View;
use loupe_core::media::WindowChoice;
use loupe_core::window::Window;
use loupe_dicom::{VR, tags};
use loupe_preprocess::DecodeLimits;
use loupe_preprocess::dicom::Image;

fn image(bytes: Vec<u8>) -> Image {
    Image::parse(bytes, &DecodeLimits::default()).unwrap()
}

fn stored(bytes: Vec<u8>) -> Vec<f64> {
    image(bytes).stored(0).unwrap().to_f64().unwrap()
}

fn view(choice: WindowChoice) -> View {
    View { window: Some(choice), ..View::default() }
}

/// A baseline JPEG of one 8×8 block a component, all coefficients but DC zero: flat colours.
fn flat_jpeg(levels: [i32; 3], adobe: Option<u8>) -> Vec<u8> {
    [flat_jpeg_head(adobe), flat_scan(&[1, 2, 3], &levels), vec![0xFF, 0xD9]].concat()
}

fn flat_jpeg_head(adobe: Option<u8>) -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8];
    if let Some(transform) = adobe {
        out.extend([0xFF, 0xEE, 0, 14]);
        out.extend(b"Adobe\0\x64\0\0\0\0");
        out.push(transform);
    }
    out.extend([0xFF, 0xDB, 0, 67, 0]);
    out.extend([1u8; 64]);
    out.extend([0xFF, 0xC0, 0, 17, 8, 0, 8, 0, 8, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    // DC: category 11 alone, code 0; AC: end of block alone, code 0.
    for (class, symbol) in [(0x00, 11), (0x10, 0)] {
        out.extend([0xFF, 0xC4, 0, 20, class, 1]);
        out.extend([0u8; 15]);
        out.push(symbol);
    }
    out
}

fn flat_scan(components: &[u8], levels: &[i32]) -> Vec<u8> {
    let mut out = vec![0xFF, 0xDA, 0, 6 + 2 * components.len() as u8, components.len() as u8];
    out.extend(components.iter().flat_map(|id| [*id, 0]));
    out.extend([0, 63, 0]);
    let mut bits = String::new();
    for level in levels {
        // The DC coefficient of a flat block is eight times its level; category 11 needs |v| ≥ 1024.
        let value = (level - 128) * 8;
        assert!(value.abs() >= 1024 || *level == 0 || *level == 255);
        let code = if value < 0 { value + 2047 } else { value };
        bits += &format!("0{code:011b}0");
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    for byte in bits.as_bytes().chunks(8) {
        let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
        out.push(byte);
        if byte == 0xFF {
            out.push(0);
        }
    }
    out
}

#[test]
fn scans_of_single_components_wait_for_each_other() {
    let levels = [0, 0, 0];
    let file = |scans: &[Vec<u8>]| {
        let stream = [flat_jpeg_head(Some(1)), scans.concat(), vec![0xFF, 0xD9]].concat();
        image(colour(8, 8, "YBR_FULL", &[]).fragments(vec![stream]).file("1.2.840.10008.1.2.4.50")).rgb(0)
    };
    let all = || flat_scan(&[1, 2, 3], &levels);
    let alone = |id: u8| flat_scan(&[id], &levels[..1]);
    let want = file(&[all()]).unwrap();
    assert_eq!(want[..3], [0, 135, 0]);
    // In any order; not without one of them, and not one more when all are there.
    assert_eq!(file(&[alone(1), alone(2), alone(3)]).unwrap(), want);
    assert_eq!(file(&[alone(3), flat_scan(&[1, 2], &levels[..2])]).unwrap(), want);
    assert!(file(&[alone(1), alone(3)]).unwrap_err().to_string().contains("a component has no scan"));
    assert!(
        file(&[all(), all()]).unwrap_err().to_string().contains("a scan after one that had all components")
    );
}

#[test]
fn t1_jpeg_without_marker_follows_the_attribute() {
    let file = |photometric: &str, adobe| {
        let mut set = colour(8, 8, photometric, &[]);
        set = set.fragments(vec![flat_jpeg([0, 0, 0], adobe)]);
        image(set.file("1.2.840.10008.1.2.4.50")).rgb(0).unwrap()[..3].to_vec()
    };
    assert_eq!(file("RGB", None), [0, 0, 0]);
    // Y = Cb = Cr = 0 is a green in YCbCr.
    assert_eq!(file("YBR_FULL", None), [0, 135, 0]);
    assert_eq!(file("RGB", Some(0)), [0, 0, 0]);
    assert_eq!(file("RGB", Some(1)), [0, 135, 0]);
    assert_eq!(file("YBR_FULL", Some(0)), [0, 0, 0]);
}

#[test]
fn t2_ybr_full_has_the_right_green() {
    // PS3.3 C.7.6.3.1.2: G = Y - 0.3441 (Cb - 128) - 0.7141 (Cr - 128).
    let rgb = image(colour(1, 2, "YBR_FULL", &[100, 200, 60, 76, 85, 255]).file(EXPLICIT)).rgb(0).unwrap();
    let expected = [100.0 - 1.402 * 68.0, 100.0 - 0.344_14 * 72.0 + 0.714_14 * 68.0, 100.0 + 1.772 * 72.0];
    for (got, want) in rgb.iter().zip(expected) {
        assert!((f64::from(*got) - want).abs() <= 0.51, "{got} {want}");
    }
    assert_eq!(rgb[3..], [254, 0, 0]);
}

#[test]
fn t3_modality_lut_sequence_is_used() {
    let lut = Set::default()
        .shorts(tags::LUT_DESCRIPTOR, &[4, 10, 16])
        .words(tags::LUT_DATA, &[100, 300, 200, 900]);
    let set = grey(1, 4, 16, false, &[0, 11, 12, 99]).items(tags::MODALITY_LUT_SEQUENCE, vec![lut]);
    assert_eq!(image(set.file(EXPLICIT)).values(0).unwrap(), [100.0, 300.0, 200.0, 900.0]);
}

fn palette(set: Set, segmented: bool) -> Set {
    let mut set = set.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "PALETTE COLOR");
    let channels = [
        (tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA),
        (tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA),
        (tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA),
    ];
    let parts = [
        tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ];
    for (n, (descriptor, data)) in channels.into_iter().enumerate() {
        let base = 0x1000 * (n as u16 + 1);
        set = set.shorts(descriptor, &[5, 0, 16]);
        set = if segmented {
            // Two entries as they are, then three on the way to the last.
            set.words(parts[n], &[0, 2, base, base, 1, 3, base + 0x0300])
        } else {
            set.words(data, &[base, base, base + 0x0100, base + 0x0200, base + 0x0300])
        };
    }
    set
}

#[test]
fn t4_palette_becomes_colour() {
    for segmented in [false, true] {
        let set = palette(grey(1, 3, 16, false, &[0, 3, 9]), segmented);
        let rgb = image(set.file(EXPLICIT)).rgb(0).unwrap();
        assert_eq!(rgb, [0x10, 0x20, 0x30, 0x12, 0x22, 0x32, 0x13, 0x23, 0x33], "segmented: {segmented}");
    }
}

#[test]
fn palettes_of_big_endian_words_and_of_signed_indices() {
    let with = |mut set: Set, first: u16, table: &dyn Fn(u8) -> (VR, Contents)| {
        for (n, descriptor) in [
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        ]
        .into_iter()
        .enumerate()
        {
            set = set.shorts(descriptor, &[4, first, 8]);
            let (vr, contents) = table(n as u8 * 10);
            set.put(loupe_dicom::Tag(descriptor.0, descriptor.1 + 0x100), vr, contents);
        }
        set.text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "PALETTE COLOR")
    };
    // Four entries of 8 bits in two words: the first entry is the low byte, whatever the byte order.
    let words = |c: u8| {
        let word = |a: u8, b: u8| u16::from_le_bytes([c + a, c + b]);
        (VR::OW, Contents::Shorts(vec![word(1, 2), word(3, 4)]))
    };
    let set = with(grey(1, 2, 16, false, &[0, 3]), 0, &words);
    for syntax in [EXPLICIT, IMPLICIT, BIG] {
        assert_eq!(image(set.file(syntax)).rgb(0).unwrap(), [1, 11, 21, 4, 14, 24], "{syntax}");
    }
    let bytes = |c: u8| (VR::OB, Contents::Bytes(vec![c + 1, c + 2, c + 3, c + 4]));
    let set = with(grey(1, 2, 16, true, &[(-2i16).cast_unsigned(), 1]), (-2i16).cast_unsigned(), &bytes);
    for syntax in [EXPLICIT, BIG] {
        assert_eq!(image(set.file(syntax)).rgb(0).unwrap(), [1, 11, 21, 4, 14, 24], "{syntax}");
    }
}

#[test]
fn no_frames_means_the_one_there_is() {
    let set = grey(1, 2, 16, false, &[5, 6]).text(tags::NUMBER_OF_FRAMES, VR::IS, "0");
    assert_eq!(image(set.file(EXPLICIT)).values(0).unwrap(), [5.0, 6.0]);
}

#[test]
fn t5_signed_values_without_a_window_are_not_black() {
    let set = grey(1, 3, 16, true, &[(-1000i16).cast_unsigned(), 0, 1000]);
    let picture = image(set.file(EXPLICIT)).picture(&View::default()).unwrap();
    assert_eq!(picture.pixels(), [0, 128, 255]);
}

#[test]
fn t6_frames_share_one_range() {
    let set = grey(1, 2, 16, false, &[0, 200, 0, 1000]).text(tags::NUMBER_OF_FRAMES, VR::IS, "2");
    let image = image(set.file(EXPLICIT));
    let frame = |n| image.picture(&View { frame: Some(n), ..View::default() }).unwrap().pixels().to_vec();
    assert_eq!(frame(0), [0, 51]);
    assert_eq!(frame(1), [0, 255]);
}

#[test]
fn t7_numbers_with_vr_un_are_read_as_text() {
    let set = grey(1, 2, 16, false, &[0, 2000]).bytes(tags::RESCALE_SLOPE, VR::UN, b"2 ").bytes(
        tags::RESCALE_INTERCEPT,
        VR::UN,
        b"-1024 ",
    );
    assert_eq!(image(set.file(EXPLICIT)).values(0).unwrap(), [-1024.0, 2976.0]);
}

#[test]
fn t8_rle_does_not_change_the_colour_space() {
    // Three planes of two bytes: literal runs.
    let mut frame = vec![3u8, 0, 0, 0, 64, 0, 0, 0, 68, 0, 0, 0, 72, 0, 0, 0];
    frame.resize(64, 0);
    for plane in [[100u8, 76], [200, 85], [60, 255]] {
        frame.extend([1, plane[0], plane[1], 128]);
    }
    let rle = colour(1, 2, "YBR_FULL", &[]).fragments(vec![frame]);
    let native = colour(1, 2, "YBR_FULL", &[100, 200, 60, 76, 85, 255]);
    assert_eq!(image(rle.file(RLE)).rgb(0).unwrap(), image(native.file(EXPLICIT)).rgb(0).unwrap());
}

#[test]
fn t9_a_frame_without_its_group_does_not_take_a_neighbours() {
    let rescale = |slope: &str| {
        let item = Set::default().text(tags::RESCALE_SLOPE, VR::DS, slope).text(
            tags::RESCALE_INTERCEPT,
            VR::DS,
            "0",
        );
        Set::default().items(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![item])
    };
    let set = grey(1, 1, 16, false, &[1, 1, 1])
        .text(tags::NUMBER_OF_FRAMES, VR::IS, "3")
        .items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![rescale("7")])
        .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, vec![rescale("2"), Set::default(), rescale("3")]);
    let image = image(set.file(EXPLICIT));
    let values: Vec<f32> = (0..3).flat_map(|n| image.values(n).unwrap()).collect();
    assert_eq!(values, [2.0, 7.0, 3.0]);
    // A table in a group counts as one at the top does.
    let table = Set::default().shorts(tags::LUT_DESCRIPTOR, &[2, 1, 16]).words(tags::LUT_DATA, &[40, 50]);
    let group = Set::default().items(tags::MODALITY_LUT_SEQUENCE, vec![table]);
    let group = Set::default().items(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![group]);
    let set = grey(1, 2, 16, false, &[0, 2]).items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![group]);
    assert_eq!(self::image(set.file(EXPLICIT)).values(0).unwrap(), [40.0, 50.0]);
}

#[test]
fn t10_unused_bits_are_masked_and_signs_extended() {
    // Twelve bits; an overlay in bit 15 and rubbish in bit 12.
    let words = [0x0FFF, 0x8FFF, 0x1001, 0x0800];
    assert_eq!(stored(grey(2, 2, 12, false, &words).file(EXPLICIT)), [4095.0, 4095.0, 1.0, 2048.0]);
    assert_eq!(stored(grey(2, 2, 12, true, &words).file(EXPLICIT)), [-1.0, -1.0, 1.0, -2048.0]);
    // Twelve bits at the top of the word.
    let high = grey(1, 2, 12, true, &[0xFFF3, 0x7FF0]).shorts(tags::HIGH_BIT, &[15]);
    assert_eq!(stored(high.file(EXPLICIT)), [-1.0, 2047.0]);
}

#[test]
fn t11_levels_are_rounded_not_cut() {
    let set = grey(1, 3, 16, false, &[0, 2, 3]);
    let window = WindowChoice::Numbers(Window::between(0.0, 4.0));
    let picture = image(set.file(EXPLICIT)).picture(&view(window)).unwrap();
    // 127.5 to even, 191.25.
    assert_eq!(picture.pixels(), [0, 128, 191]);
}

#[test]
fn t12_every_window_can_be_chosen_and_32_bits_are_swapped() {
    let set = grey(1, 2, 16, false, &[0, 100]).text(tags::WINDOW_CENTER, VR::DS, "50.5\\1050").text(
        tags::WINDOW_WIDTH,
        VR::DS,
        "101\\100",
    );
    let image_of = image(set.file(EXPLICIT));
    assert_eq!(image_of.presentation(0).unwrap().windows.len(), 2);
    let at = |n| image_of.picture(&view(WindowChoice::Stored(n))).map(|p| p.pixels().to_vec());
    assert_eq!(at(0).unwrap(), [0, 255]);
    assert_eq!(at(1).unwrap(), [0, 0]);
    assert!(at(2).unwrap_err().to_string().contains("no window 2"));

    let mut wide = grey(1, 1, 16, false, &[]).shorts(tags::BITS_ALLOCATED, &[32]);
    wide = wide.shorts(tags::BITS_STORED, &[32]).shorts(tags::HIGH_BIT, &[31]);
    wide.put(tags::PIXEL_DATA, VR::OW, Contents::Bytes(vec![0x12, 0x34, 0x56, 0x78]));
    assert_eq!(stored(wide.file(BIG)), [f64::from(0x1234_5678)]);
    assert_eq!(stored(wide.file(EXPLICIT)), [f64::from(0x7856_3412)]);
}

#[test]
fn every_encoding_of_a_file_gives_the_same_values() {
    let set = grey(2, 2, 16, true, &[1, 0xFFFF, 3, 0x8000]);
    let expected = [1.0, -1.0, 3.0, -32768.0];
    for syntax in [EXPLICIT, IMPLICIT, BIG] {
        assert_eq!(stored(set.file(syntax)), expected, "{syntax}");
        // Without preamble and meta information.
        assert_eq!(stored(set.encode(syntax)), expected, "bare {syntax}");
    }
    // A transfer syntax that is not the file's: the data decide.
    for (said, done) in [(IMPLICIT, EXPLICIT), (EXPLICIT, BIG), (BIG, EXPLICIT)] {
        let mut file = set.file(said);
        file.truncate(file.len() - set.encode(said).len());
        file.extend(set.encode(done));
        assert_eq!(stored(file), expected, "{done} said to be {said}");
    }
    let mut deflated = set.file("1.2.840.10008.1.2.1.99");
    let body = deflated.split_off(deflated.len() - set.encode(EXPLICIT).len());
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(deflated, flate2::Compression::default());
    encoder.write_all(&body).unwrap();
    assert_eq!(stored(encoder.finish().unwrap()), expected);
}

#[test]
fn a_truncated_file_keeps_its_whole_frames() {
    let set = grey(1, 2, 16, false, &[1, 2, 3, 4]).text(tags::NUMBER_OF_FRAMES, VR::IS, "2");
    let mut bytes = set.file(EXPLICIT);
    bytes.truncate(bytes.len() - 1);
    let image = image(bytes);
    assert_eq!(image.object().truncated_in, Some(tags::PIXEL_DATA));
    assert_eq!(image.stored(0).unwrap().to_f64().unwrap(), [1.0, 2.0]);
    let error = image.stored(1).unwrap_err().to_string();
    assert!(error.contains("PixelData") && error.contains("frame 1"), "{error}");
    let picture =
        image.picture(&View { window: Some(WindowChoice::Preset("lung".into())), ..View::default() });
    assert!(picture.unwrap().origin.steps.iter().any(|s| s.contains("the file ends inside")));
}

#[test]
fn pixel_layouts() {
    // Bits: least significant first; the second frame begins inside a byte.
    let bits = grey(1, 3, 16, false, &[])
        .shorts(tags::BITS_ALLOCATED, &[1])
        .shorts(tags::BITS_STORED, &[1])
        .shorts(tags::HIGH_BIT, &[0])
        .text(tags::NUMBER_OF_FRAMES, VR::IS, "2")
        .bytes(tags::PIXEL_DATA, VR::OB, &[0b0010_1001, 0]);
    let image_of = image(bits.file(EXPLICIT));
    assert_eq!(image_of.stored(0).unwrap().to_f64().unwrap(), [1.0, 0.0, 0.0]);
    assert_eq!(image_of.stored(1).unwrap().to_f64().unwrap(), [1.0, 0.0, 1.0]);
    // Planes.
    let planes = colour(1, 2, "RGB", &[1, 2, 3, 4, 5, 6]).shorts(tags::PLANAR_CONFIGURATION, &[1]);
    assert_eq!(image(planes.file(EXPLICIT)).rgb(0).unwrap(), [1, 3, 5, 2, 4, 6]);
    // Shared colour differences.
    let shared = colour(1, 2, "YBR_FULL_422", &[50, 60, 128, 128]);
    assert_eq!(image(shared.file(EXPLICIT)).rgb(0).unwrap(), [50, 50, 50, 60, 60, 60]);
    // Monochrome 1 and padding.
    let inverted = grey(1, 3, 16, false, &[0, 10, 65535])
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1")
        .shorts(tags::PIXEL_PADDING_VALUE, &[65535]);
    let picture = image(inverted.file(EXPLICIT)).picture(&View::default()).unwrap();
    assert_eq!(picture.pixels(), [255, 0, 0]);
}

#[test]
fn the_picture_knows_its_place() {
    let set = grey(2, 3, 16, false, &[0; 6])
        .text(tags::PIXEL_SPACING, VR::DS, "0.5\\0.25")
        .text(tags::IMAGE_POSITION_PATIENT, VR::DS, "10\\20\\30")
        .text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1");
    let picture = image(set.file(EXPLICIT)).picture(&view(WindowChoice::FullRange)).unwrap();
    assert_eq!(picture.origin.spacing_mm, Some([0.25, 0.5]));
    let lps = picture.origin.lps_from_source.unwrap();
    assert_eq!(lps.apply(loupe_core::Point2::new(0.5, 0.5)), [10.0, 20.0, 30.0]);
    assert_eq!(lps.apply(loupe_core::Point2::new(2.5, 1.5)), [10.5, 20.0, 29.5]);
}
