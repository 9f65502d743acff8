//! Perceptual hashes against imagehash 4.3 (`perceptual.json`, made by `perceptual.py`).

use loupe_core::Picture;
use loupe_preprocess::perceptual::phash;
use serde_json::Value;

fn pixels(n: usize, width: usize, height: usize, channels: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(width * height * channels);
    for y in 0..height {
        for x in 0..width {
            for c in 0..channels {
                out.push((x * (n + 3) + y * y / (7 + n) + x * y / 11 + 53 * c + (x / 9 % 2) * 60) as u8);
            }
        }
    }
    out
}

#[test]
fn as_imagehash_has_them() {
    let cases: Value = serde_json::from_str(include_str!("../perceptual.json")).unwrap();
    for (n, case) in cases.as_array().unwrap().iter().enumerate() {
        let side = |name: &str| case[name].as_u64().unwrap() as usize;
        let (width, height, channels) = (side("width"), side("height"), side("channels"));
        let picture = Picture::new(width, height, channels, pixels(n, width, height, channels)).unwrap();
        assert_eq!(format!("{:016x}", phash(&picture).unwrap()), case["phash"].as_str().unwrap(), "case {n}");
    }
}
