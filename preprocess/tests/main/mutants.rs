//! Mutated files of every format through the bodies of the fuzz targets: 600 mutants each, cut off, or
//! with 1, 4 or 16 bytes overwritten, as in the survey that found other readers panicking. Also what
//! the codecs give for the unmutated files.

// The fuzz targets, another workspace, use the same file.
#[allow(unreachable_pub)]
#[path = "../../../fuzz/bodies/images.rs"]
mod images;

use loupe_preprocess::DecodeLimits;
use loupe_preprocess::dicom::Image;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MUTANTS: u64 = 600;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// A generator without dependencies: xorshift (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

fn mutant(base: &[u8], seed: u64, first: usize) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    for _ in 0..8 {
        random.below(2);
    }
    let mut bytes = base.to_vec();
    match random.below(4) {
        0 => bytes.truncate(random.below(base.len())),
        kind => {
            for _ in 0..[0, 1, 4, 16][kind] {
                let at = first + random.below(base.len() - first);
                bytes[at] = random.below(256) as u8;
            }
        }
    }
    bytes
}

/// Runs `body` on the mutants of one file; panics outside the guarded decoders fail the test.
fn mutate(path: &Path, first: usize, body: fn(&[u8])) {
    let base = std::fs::read(path).unwrap();
    body(&base);
    (0..MUTANTS).into_par_iter().for_each(|seed| {
        let bytes = mutant(&base, seed, first);
        let started = Instant::now();
        body(&bytes);
        // Milliseconds when nothing is wrong; the bound leaves room for a slow, busy machine.
        assert!(started.elapsed() < Duration::from_secs(60), "{path:?}: mutant {seed} takes too long");
    });
}

#[test]
fn dicom_of_every_transfer_syntax() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder("codecs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "dcm") {
            // Past the preamble, which nothing reads.
            mutate(&path, 128, images::dicom);
            seen += 1;
        }
    }
    assert_eq!(seen, 18);
}

#[test]
fn volumes_of_every_format() {
    for name in ["slope.nii", "nifti2_be.nii", "analyze.hdr"] {
        mutate(&folder("volumes").join(name), 0, images::nifti);
    }
    let mut seen = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(folder("volumes")).unwrap() {
        let path = entry.unwrap().path();
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_owned();
        if ["mha", "nrrd", "npy", "gz"].contains(&ending.as_str()) && seen.insert(ending.clone()) {
            mutate(&path, 0, if ending == "gz" { images::nifti } else { images::research_volumes });
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

#[test]
fn pictures_of_every_format() {
    for name in [
        "rgb.png",
        "rgb420.jpg",
        "rgb420_progressive.jpg",
        "cmyk.jpg",
        "rgb_lzw.tif",
        "palette.bmp",
        "lossy.webp",
        "mixed.gif",
        "grey.pgm",
    ] {
        mutate(&folder("pictures").join(name), 0, images::pictures);
    }
}

/// What a decoder must give.
#[derive(serde::Deserialize)]
struct Want {
    values: Vec<f64>,
    within: f64,
}

#[test]
fn every_transfer_syntax_gives_what_was_encoded() {
    let text = std::fs::read_to_string(folder("codecs").join("values.json")).unwrap();
    let wanted: BTreeMap<String, Want> = serde_json::from_str(&text).unwrap();
    assert_eq!(wanted.len(), 18);
    let mut wrong = Vec::new();
    for (name, want) in &wanted {
        let bytes = std::fs::read(folder("codecs").join(format!("{name}.dcm"))).unwrap();
        let image = Image::parse(bytes, &DecodeLimits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let got: Vec<f64> = if image.format().photometric.is_grey() {
            image.stored(0).unwrap_or_else(|e| panic!("{name}: {e}")).to_f64().unwrap()
        } else {
            image.rgb(0).unwrap_or_else(|e| panic!("{name}: {e}")).into_iter().map(f64::from).collect()
        };
        assert_eq!(got.len(), want.values.len(), "{name}");
        let worst = got.iter().zip(&want.values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if worst > want.within {
            wrong.push(format!("{name}: off by {worst}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
