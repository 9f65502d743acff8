//! Reads the cases that make.py wrote: builds the checkpoint, the pictures and the prompts.

#![allow(unreachable_pub)] // shared by an integration test and a unit test

use candle_core::{DType, Device, Tensor};
use loupe_core::geometry::LpsFromIndex;
use loupe_core::{Box2, Mask, Modality, Picture, Point2, SegmentPrompt, Volume};
use ndarray::Array3;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity/sam2").join(case)
}

#[derive(Deserialize)]
pub struct Case {
    tensors: Vec<Filled>,
    pub prompts: serde_json::Value,
    #[serde(default)]
    frames: usize,
    /// Voxels that become black and white.
    #[serde(default)]
    pub window: Option<[f32; 2]>,
}

/// A tensor whose values are hashes of its place; see make.py.
#[derive(Deserialize)]
struct Filled {
    name: String,
    seed: String,
    shape: Vec<usize>,
    scale: f32,
    offset: f32,
    #[serde(default)]
    start: usize,
}

fn crc32(text: &str) -> u32 {
    !text.bytes().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

/// The same numbers as `values` of make.py.
pub fn values(seed: &str, start: usize, count: usize) -> Vec<f32> {
    let name = crc32(seed);
    let mix = |at: usize| {
        let mut x = (at as u32).wrapping_mul(2_654_435_761).wrapping_add(name);
        for (shift, factor) in [(16, 0x85EB_CA6B), (13, 0xC2B2_AE35)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        x ^= x >> 16;
        ((x & 2047) as f32 - 1024.0) / 1024.0
    };
    (start..start + count).map(mix).collect()
}

pub fn case(name: &str) -> Case {
    serde_json::from_slice(&std::fs::read(folder(name).join("case.json")).unwrap()).unwrap()
}

/// A checkpoint folder with the weights of a case.
pub fn checkpoint(name: &str) -> TempDir {
    let made = tempfile::tempdir().unwrap();
    let tensor = |t: &Filled| {
        let count = t.shape.iter().product();
        let values: Vec<f32> =
            values(&t.seed, t.start, count).into_iter().map(|v| v * t.scale + t.offset).collect();
        Tensor::from_vec(values, t.shape.as_slice(), &Device::Cpu).unwrap()
    };
    let all: HashMap<String, Tensor> =
        case(name).tensors.iter().map(|t| (t.name.clone(), tensor(t))).collect();
    candle_core::safetensors::save(&all, made.path().join("model.safetensors")).unwrap();
    for file in ["config.json", "processor_config.json"] {
        std::fs::copy(folder(name).join(file), made.path().join(file)).unwrap();
    }
    made
}

pub fn reference(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder(name).join("ref.safetensors"), &Device::Cpu).unwrap()
}

pub fn flat(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

pub fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

pub fn image(path: &Path) -> Picture {
    let image = image::open(path).unwrap();
    let (w, h) = (image.width() as usize, image.height() as usize);
    match image {
        image::DynamicImage::ImageLuma8(grey) => Picture::new(w, h, 1, grey.into_raw()),
        other => Picture::new(w, h, 3, other.into_rgb8().into_raw()),
    }
    .unwrap()
}

pub fn points(points: Option<&Vec<[f64; 2]>>, labels: Option<&Vec<u8>>) -> Vec<SegmentPrompt> {
    let both = points.into_iter().flatten().zip(labels.into_iter().flatten());
    both.map(|(p, &l)| SegmentPrompt::Point { at: Point2::new(p[0], p[1]), positive: l == 1 }).collect()
}

pub fn region([x0, y0, x1, y1]: [f64; 4]) -> SegmentPrompt {
    SegmentPrompt::Box(Box2::new(x0, y0, x1, y1))
}

#[derive(Deserialize)]
struct SlicePrompt {
    slice: usize,
    #[serde(rename = "box")]
    region: Option<[f64; 4]>,
    points: Option<Vec<[f64; 2]>>,
    labels: Option<Vec<u8>>,
    mask: bool,
}

impl SlicePrompt {
    fn prompts(&self, columns: usize, rows: usize) -> Vec<SegmentPrompt> {
        let mut prompts = points(self.points.as_ref(), self.labels.as_ref());
        prompts.extend(self.region.map(region));
        if self.mask {
            let inside = |at: usize| {
                let (x, y) = ((at % columns) as f64, (at / columns) as f64);
                let (dx, dy, r) = (x - 0.45 * columns as f64, y - 0.5 * rows as f64, 0.3 * rows as f64);
                dx * dx + dy * dy < r * r
            };
            prompts.push(SegmentPrompt::Mask(
                Mask::new(columns, rows, (0..columns * rows).map(inside).collect()).unwrap(),
            ));
        }
        prompts
    }
}

/// Slices with prompts about one object.
pub type Prompted = Vec<(usize, Vec<SegmentPrompt>)>;

/// The frames of a case as a volume, and the prompts of its object. Where the case has a window, a
/// voxel is 4 · level − 400, otherwise the level.
pub fn volume(name: &str) -> (Volume, [f32; 2], Prompted) {
    let case = case(name);
    let whole = image(&folder(name).join("frames.png"));
    let (columns, rows) = (whole.width(), whole.height() / case.frames);
    let voxel = |v: &u8| if case.window.is_some() { f32::from(*v) * 4.0 - 400.0 } else { f32::from(*v) };
    let voxels = whole.pixels().iter().map(voxel).collect();
    let voxels = Array3::from_shape_vec((case.frames, rows, columns), voxels).unwrap();
    let axes = ([0.7, 0.0, 0.0], [0.0, 0.7, 0.0], [0.0, 0.0, 2.5]);
    let lps_from_index = LpsFromIndex::from_columns(axes.0, axes.1, axes.2, [-20.0, -30.0, 40.0]);
    let prompts: Vec<SlicePrompt> = serde_json::from_value(case.prompts).unwrap();
    let prompts = prompts.iter().map(|p| (p.slice, p.prompts(columns, rows)));
    let volume = Volume { voxels, lps_from_index, modality: Modality::Ct };
    (volume, case.window.unwrap_or([0.0, 255.0]), prompts.collect())
}

/// The slices of a volume in grey levels: clipped, from the minimum to the maximum, whole numbers.
pub fn slices(volume: &Volume, [low, high]: [f32; 2]) -> Vec<Picture> {
    let clipped = volume.voxels.mapv(|v| f64::from(v.clamp(low, high)));
    let least = clipped.iter().copied().fold(f64::INFINITY, f64::min);
    let most = clipped.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (_, rows, columns) = clipped.dim();
    let picture = |slice: ndarray::ArrayView2<f64>| {
        let levels: Vec<u8> = slice.iter().map(|v| ((v - least) / (most - least) * 255.0) as u8).collect();
        Picture::new(columns, rows, 1, levels).unwrap()
    };
    clipped.outer_iter().map(picture).collect()
}
