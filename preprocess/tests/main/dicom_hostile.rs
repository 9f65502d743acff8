//! Files made to hurt: every one is an error that names a field, or sound pixels; never a panic.

use crate::dicom_support::{EXPLICIT, RLE, Set, colour, grey};
use loupe_core::media::{MediaError, View};
use loupe_dicom::{VR, tags};
use loupe_preprocess::DecodeLimits;
use loupe_preprocess::dicom::Image;
use std::time::{Duration, Instant};

const JPEG: &str = "1.2.840.10008.1.2.4.50";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const J2K: &str = "1.2.840.10008.1.2.4.90";
const JXL: &str = "1.2.840.10008.1.2.4.110";

fn open(bytes: Vec<u8>) -> Result<(), MediaError> {
    within(64 << 20, bytes)
}

fn within(max_memory_bytes: u64, bytes: Vec<u8>) -> Result<(), MediaError> {
    let limits = DecodeLimits { max_memory_bytes, ..DecodeLimits::default() };
    let image = Image::parse(bytes, &limits)?;
    for frame in 0..image.format().frames.min(4) {
        image.picture(&View { frame: Some(frame), ..View::default() })?;
    }
    Ok(())
}

/// The error's text, which must contain `part`.
fn refused(bytes: Vec<u8>, part: &str) {
    let started = Instant::now();
    let error = open(bytes).expect_err(part).to_string();
    assert!(error.contains(part), "{error:?} does not name {part:?}");
    // Far above what any of these takes; a hang would not come back at all.
    assert!(started.elapsed() < Duration::from_secs(60));
}

fn plain() -> Set {
    grey(2, 2, 16, false, &[1, 2, 3, 4])
}

#[test]
fn nesting_does_not_exhaust_the_stack() {
    for depth in [100, 2_000, 20_000] {
        let mut bytes = plain().file(EXPLICIT);
        for _ in 0..depth {
            bytes.extend([0xE0, 0x7F, 0x11, 0x00, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
            bytes.extend([0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]);
        }
        refused(bytes, "nested deeper than 64");
    }
}

#[test]
fn impossible_attributes_are_named() {
    let shorts: [(loupe_dicom::Tag, u16, &str); 14] = [
        (tags::BITS_STORED, 0, "BitsStored"),
        (tags::BITS_STORED, 31, "BitsStored"),
        (tags::BITS_STORED, 65535, "BitsStored"),
        (tags::BITS_ALLOCATED, 0, "BitsAllocated"),
        (tags::BITS_ALLOCATED, 64, "BitsAllocated"),
        (tags::BITS_ALLOCATED, 12, "BitsAllocated"),
        (tags::HIGH_BIT, 16, "HighBit"),
        (tags::HIGH_BIT, 3, "HighBit"),
        (tags::SAMPLES_PER_PIXEL, 0, "SamplesPerPixel"),
        (tags::SAMPLES_PER_PIXEL, 65535, "SamplesPerPixel"),
        (tags::SAMPLES_PER_PIXEL, 3, "SamplesPerPixel"),
        (tags::PIXEL_REPRESENTATION, 7, "PixelRepresentation"),
        (tags::ROWS, 0, "Rows"),
        (tags::COLUMNS, 65535, "PixelData"),
    ];
    for (tag, value, name) in shorts {
        refused(plain().shorts(tag, &[value]).file(EXPLICIT), name);
    }
    for (frames, name) in
        [("2147483647", "--decode-max-pixels"), ("-5", "NumberOfFrames"), ("1A", "NumberOfFrames")]
    {
        refused(plain().text(tags::NUMBER_OF_FRAMES, VR::IS, frames).file(EXPLICIT), name);
    }
    refused(plain().text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "PINK").file(EXPLICIT), "Photometric");
    refused(plain().text(tags::RESCALE_SLOPE, VR::DS, "inf").file(EXPLICIT), "RescaleSlope");
    refused(plain().text(tags::RESCALE_SLOPE, VR::DS, "0").file(EXPLICIT), "RescaleSlope");
    refused(plain().words(tags::PIXEL_DATA, &[1, 2, 3]).file(EXPLICIT), "PixelData");
    refused(plain().bytes(tags::PIXEL_DATA, VR::OW, &[]).file(EXPLICIT), "PixelData");
}

#[test]
fn lengths_that_the_file_does_not_have() {
    for length in [0xFFFF_FFF0u32, 0x7FFF_FFFE, 100] {
        let mut bytes = Set::default().text(tags::MODALITY, VR::CS, "CT").file(EXPLICIT);
        bytes.extend([0xE0, 0x7F, 0x10, 0x00, b'O', b'W', 0, 0]);
        bytes.extend(length.to_le_bytes());
        bytes.extend([0; 16]);
        refused(bytes, "Rows");
    }
    refused(Vec::new(), "not an image format");
    refused(b"DICM".to_vec(), "not an image format");
    refused(vec![0; 132], "not an image format");
    refused([vec![0; 128], b"DICM".to_vec()].concat(), "not an image format");
}

#[test]
fn codestreams_must_agree_with_the_data_set() {
    let frame = |syntax: &str, stream: &[u8]| plain().fragments(vec![stream.to_vec()]).file(syntax);
    // Frame headers that announce 255×255, or three components, for an image of 2×2×1.
    let sof = |marker: u8, h: u8, count: u8| {
        let mut out = vec![0xFF, 0xD8, 0xFF, marker, 0, 8 + 3 * count, 8, 0, h, 0, h, count];
        (0..count).for_each(|n| out.extend([n + 1, 0x11, 0]));
        out
    };
    for marker in [0xC0, 0xC1, 0xC2, 0xC3] {
        refused(frame(JPEG, &sof(marker, 255, 1)), "codestream header");
        refused(frame(JPEG, &sof(marker, 2, 3)), "components");
        refused(frame(JPEG, &sof(marker, 2, 1)), "JPEG SOS");
    }
    refused(frame(JPEG_LS, &sof(0xF7, 255, 1)), "codestream header");
    refused(frame(JPEG_LS, &sof(0xF7, 1, 1)), "codestream header");
    refused(frame(JPEG_LS, &sof(0xF7, 2, 3)), "components");
    let siz = |side: u32, tile: u32, count: u16| {
        let mut out = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 38 + 3 * count as u8, 0, 0];
        for value in [side, side, 0, 0, tile, tile, 0, 0] {
            out.extend(value.to_be_bytes());
        }
        out.extend(count.to_be_bytes());
        (0..count).for_each(|_| out.extend([15, 1, 1]));
        out.extend([0; 32]);
        out
    };
    refused(frame(J2K, &siz(4096, 4096, 1)), "codestream header");
    refused(frame(J2K, &siz(2, 2, 3)), "components");
    refused(frame(J2K, &siz(2, 0, 1)), "tiles");
    refused(frame(J2K, &siz(2, 2, 1)), "JPEG 2000 codestream");
    refused(frame(J2K, &[0; 100]), "SIZ");
    refused(frame(JXL, &[0xFF, 0x0A, 1, 2, 3]), "JPEG XL");
    let bytes = [(tags::BITS_ALLOCATED, 8), (tags::BITS_STORED, 8), (tags::HIGH_BIT, 7)];
    let vast = [(tags::ROWS, 8000), (tags::COLUMNS, 8000)].into_iter().chain(bytes);
    let vast = vast.fold(plain(), |set, (tag, value)| set.shorts(tag, &[value]));
    for (syntax, stream) in [(J2K, siz(8000, 8000, 1)), (JXL, vec![0xFF, 0x0A, 1, 2, 3, 0])] {
        let bytes = vast.clone().fragments(vec![stream]).file(syntax);
        refused(bytes.clone(), "--max-memory");
        let error = within(8 << 30, bytes).expect_err("blank").to_string();
        assert!(error.contains("too few to be a picture"), "{error}");
    }
    refused(frame("1.2.840.10008.1.2.4.102", &[0; 8]), "MPEG-4 AVC/H.264 High Profile");
    refused(frame("1.2.3.4.5", &[0; 8]), "private or unknown transfer syntax");
}

#[test]
fn run_lengths_that_do_not_fill_the_frame() {
    let frame = |header: [u32; 4], tail: &[u8]| {
        let mut out: Vec<u8> = header.iter().flat_map(|v| v.to_le_bytes()).collect();
        out.resize(64, 0);
        out.extend(tail);
        plain().fragments(vec![out]).file(RLE)
    };
    refused(frame([2, 64, 66, 0], &[253, 1, 253, 1][..2]), "RLE");
    refused(frame([2, 64, 66, 0], &[254, 1, 254, 1]), "3 of 4 bytes");
    refused(frame([1, 64, 0, 0], &[253, 1]), "segments");
    refused(frame([2, 64, 4_000_000, 0], &[253, 1]), "a segment outside");
    refused(frame([2, 3, 66, 0], &[253, 1]), "a segment outside");
    refused(frame([0xFFFF_FFFF, 64, 66, 0], &[253, 1]), "segments");
    open(frame([2, 64, 66, 0], &[253, 1, 253, 1])).unwrap();
    refused(plain().fragments(vec![vec![0; 10]]).file(RLE), "shorter than 64");
    let huge = plain().shorts(tags::ROWS, &[65535]).shorts(tags::COLUMNS, &[65535]);
    refused(huge.fragments(vec![vec![0; 64]]).file(RLE), "--decode-max-pixels");
}

#[test]
fn inflation_is_counted() {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0u8; 1 << 20];
    for _ in 0..80 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    refused(plain().fragments(vec![bomb.clone()]).file("1.2.840.10008.1.2.8.1"), "inflated size");
    let mut whole = Set::default().file("1.2.840.10008.1.2.1.99");
    whole.extend(bomb);
    refused(whole, "inflated size");
}

/// A generator without dependencies: xorshift (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// 600 mutants of each format: cut off, or 1, 4 or 16 bytes overwritten, as in the survey that found
/// other readers panicking. Decoding happens on a guarded thread, whose message would tell.
#[test]
fn mutants_are_refused_or_read() {
    let mut rle = vec![0u8; 64];
    rle[..12].copy_from_slice(&[2, 0, 0, 0, 64, 0, 0, 0, 68, 0, 0, 0]);
    rle.extend([253, 1, 253, 2, 3, 1, 2, 3, 4, 253, 9]);
    let sets = [
        grey(16, 16, 12, true, &[7; 256]).text(tags::WINDOW_CENTER, VR::DS, "40").file(EXPLICIT),
        colour(16, 16, "YBR_FULL_422", &[9; 512]).file(EXPLICIT),
        grey(2, 4, 16, false, &[]).fragments(vec![rle]).file(RLE),
        lossless_jpeg(0x11),
    ];
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for (n, base) in sets.iter().enumerate() {
        open(base.clone()).unwrap_or_else(|e| panic!("base {n}: {e}"));
        for _ in 0..600 {
            let mut bytes = base.clone();
            match random.below(4) {
                0 => bytes.truncate(random.below(base.len())),
                kind => {
                    for _ in 0..[0, 1, 4, 16][kind] {
                        // Past the preamble, which nothing reads.
                        let at = 128 + random.below(base.len() - 128);
                        bytes[at] = random.below(256) as u8;
                    }
                }
            }
            if let Err(error) = open(bytes) {
                assert!(
                    !error.to_string().contains("could not cope"),
                    "a decoder panicked on a mutant of {n}"
                );
            }
        }
    }
}

/// A 16×16 image, all values 100, in the lossless process: the first difference, then zeros.
fn lossless_jpeg(factors: u8) -> Vec<u8> {
    let mut stream = vec![0xFF, 0xD8, 0xFF, 0xC3, 0, 11, 8, 0, 16, 0, 16, 1, 1, factors, 0];
    // Code 0: no difference; code 10: five bits follow.
    stream.extend([0xFF, 0xC4, 0, 21, 0, 1, 1]);
    stream.extend([0; 14]);
    stream.extend([0, 5]);
    stream.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 0, 0]);
    // 100 - 128 = -28: category 5, bits 00011.
    stream.extend([0b1000_0110]);
    stream.extend([0; 31]);
    stream.extend([0, 0xFF, 0xD9]);
    grey(16, 16, 8, false, &[]).shorts(tags::BITS_ALLOCATED, &[8]).fragments(vec![stream]).file(JPEG)
}

#[test]
fn the_lossless_picture_is_flat() {
    // Sampling factors of a lone component say nothing.
    for factors in [0x11, 0x22] {
        let image = Image::parse(lossless_jpeg(factors), &DecodeLimits::default()).unwrap();
        assert_eq!(image.stored(0).unwrap().to_f64().unwrap(), vec![100.0; 256]);
    }
}
