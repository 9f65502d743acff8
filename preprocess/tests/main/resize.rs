//! Resizing against Pillow 13 and torchvision 0.29, whose outputs are in `resize_fixtures.json` as
//! hashes (made by `resize_fixtures.py`).

use loupe_core::geometry::Point2;
use loupe_core::picture::Picture;
use loupe_preprocess::resize::{Backend, Filter, ResizeError, opencv, resize, resize_pixels, skimage};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn mix(mut v: u32) -> u32 {
    v ^= v >> 16;
    v = v.wrapping_mul(0x7FEB_352D);
    v ^= v >> 15;
    v = v.wrapping_mul(0x846C_A68B);
    v ^ (v >> 16)
}

fn pixels(seed: u32, w: usize, h: usize, c: usize) -> Vec<u8> {
    if seed.is_multiple_of(2) {
        return (0..(w * h * c) as u32)
            .map(|n| (mix(n.wrapping_add(seed.wrapping_mul(1_000_003))) >> 24) as u8)
            .collect();
    }
    let mut out = Vec::with_capacity(w * h * c);
    for y in 0..h {
        for x in 0..w {
            for k in 0..c {
                let tile = mix((y / 5 * 4096 + x / 7 + k * 77) as u32 + seed) & 3;
                out.push(match tile {
                    0 => 0,
                    1 => 255,
                    _ => ((x * 3 + y * 2 + k * 50) % 256) as u8,
                });
            }
        }
    }
    out
}

type Row = (u32, usize, usize, usize, usize, usize, Filter, Backend, String);

#[test]
fn every_byte_equals_the_library() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../resize_fixtures.json")).unwrap();
    assert!(rows.len() > 600, "{} cases", rows.len());
    let mut wrong = Vec::new();
    for (seed, w, h, c, ow, oh, filter, backend, hash) in &rows {
        let source = pixels(*seed, *w, *h, *c);
        let got = resize_pixels(&source, [*w, *h], *c, [*ow, *oh], *filter, *backend).unwrap();
        let digest = Sha256::digest(&got).iter().map(|b| format!("{b:02x}")).collect::<String>();
        if !digest.starts_with(hash.as_str()) {
            wrong.push(format!("{backend:?} {filter:?} {w}x{h}x{c} -> {ow}x{oh}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ: {wrong:#?}", wrong.len(), rows.len());
}

/// Seed of the pixels, size before and after, hash of the result.
type Hashed = (u32, usize, usize, usize, usize, String);

#[test]
fn every_byte_of_a_cubic_spline_equals_scikit_image() {
    let rows: Vec<Hashed> = serde_json::from_str(include_str!("../skimage_fixtures.json")).unwrap();
    let mut wrong = Vec::new();
    for (seed, w, h, ow, oh, hash) in &rows {
        let got = skimage::cubic_rgb(&pixels(*seed, *w, *h, 3), [*w, *h], [*ow, *oh]).unwrap();
        let digest = Sha256::digest(&got).iter().map(|b| format!("{b:02x}")).collect::<String>();
        if !digest.starts_with(hash.as_str()) {
            wrong.push(format!("{w}x{h} -> {ow}x{oh}, pixels {seed}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ: {wrong:#?}", wrong.len(), rows.len());
    assert!(skimage::cubic_rgb(&[0; 9], [3, 1], [0, 4]).is_err());
    assert!(skimage::cubic_rgb(&[0; 8], [3, 1], [4, 4]).is_err());
}

#[test]
fn every_byte_equals_opencv() {
    type Resize = fn(&[u8], [usize; 2], usize, [usize; 2]) -> Result<Vec<u8>, ResizeError>;
    let fixtures: [(&str, Resize); 2] = [
        (include_str!("../opencv_fixtures.json"), opencv::area),
        (include_str!("../opencv_linear.json"), opencv::linear),
    ];
    for (text, resize) in fixtures {
        let rows: Vec<Hashed> = serde_json::from_str(text).unwrap();
        let mut wrong = Vec::new();
        for (seed, w, h, ow, oh, hash) in &rows {
            let got = resize(&pixels(*seed, *w, *h, 3), [*w, *h], 3, [*ow, *oh]).unwrap();
            let digest = Sha256::digest(&got).iter().map(|b| format!("{b:02x}")).collect::<String>();
            if !digest.starts_with(hash.as_str()) {
                wrong.push(format!("{w}x{h} -> {ow}x{oh}, pixels {seed}"));
            }
        }
        assert!(wrong.is_empty(), "{} of {} differ: {wrong:#?}", wrong.len(), rows.len());
        assert!(resize(&[0; 9], [3, 1], 3, [0, 4]).is_err());
        assert!(resize(&[0; 8], [3, 1], 3, [4, 4]).is_err());
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    let p = |w, h| resize_pixels(&[0; 12], [2, 2], 3, [w, h], Filter::Lanczos, Backend::Torchvision);
    assert_eq!(p(3, 3), Err(ResizeError::NotInTorchvision("lanczos")));
    assert!(matches!(p(0, 3), Err(ResizeError::Size { .. })));
    assert!(matches!(p(usize::MAX, 3), Err(ResizeError::Size { .. })));
    let short = resize_pixels(&[0; 11], [2, 2], 3, [1, 1], Filter::Box, Backend::Pillow);
    assert!(matches!(short, Err(ResizeError::Picture(_))));
    let two = resize_pixels(&[0; 8], [2, 2], 2, [1, 1], Filter::Box, Backend::Pillow);
    assert!(matches!(two, Err(ResizeError::Picture(_))));
}

fn any_filter() -> impl Strategy<Value = Filter> {
    prop::sample::select(vec![
        Filter::Nearest,
        Filter::Box,
        Filter::Bilinear,
        Filter::Hamming,
        Filter::Bicubic,
        Filter::Lanczos,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn grey_then_rgb_is_rgb_then_grey(
        w in 1usize..90, h in 1usize..90, ow in 1usize..120, oh in 1usize..120, seed: u32, filter in any_filter()
    ) {
        let grey = Picture::new(w, h, 1, pixels(seed >> 1, w, h, 1)).unwrap();
        for backend in [Backend::Pillow, Backend::Torchvision] {
            let Ok(once) = resize(&grey, ow, oh, filter, backend) else { continue };
            let thrice = resize(&grey.to_rgb(), ow, oh, filter, backend).unwrap();
            let once = once.to_rgb();
            prop_assert_eq!(once.pixels(), thrice.pixels());
        }
    }

    #[test]
    fn a_flat_picture_stays_flat_and_knows_its_way_back(
        w in 1usize..300, h in 1usize..300, ow in 1usize..300, oh in 1usize..300, v: u8, filter in any_filter()
    ) {
        let flat = Picture::new(w, h, 1, vec![v; w * h]).unwrap();
        let out = resize(&flat, ow, oh, filter, Backend::Pillow).unwrap();
        prop_assert!(out.pixels().iter().all(|&b| b == v));
        let corner = out.origin.source_from_self.point(Point2::new(ow as f64, oh as f64));
        prop_assert!((corner.x - w as f64).abs() < 1e-9 && (corner.y - h as f64).abs() < 1e-9);
    }
}
