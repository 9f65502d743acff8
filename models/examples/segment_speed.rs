//! Seconds for the first and for further prompts on one picture: the loupe side of
//! `benches/compare/sam.py`.
//!
//! `segment_speed CHECKPOINT WIDTH HEIGHT ROUNDS`; `segment_speed --volume MESHNET_FOLDER` times the
//! labelling of a 256³ volume instead.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod shared;

use loupe_core::{Box2, LpsFromIndex, Modality, Picture, SegmentPrompt, Segmenter, Volume};
use loupe_models::{Checkpoint, LoadOptions, load_segmenter, load_volume_segmenter};
use std::path::Path;
use std::time::Instant;

fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    let _ = std::hint::black_box(work());
    began.elapsed().as_secs_f64()
}

fn region(n: usize, width: f64, height: f64) -> SegmentPrompt {
    let share = 0.02 * (n % 20) as f64;
    SegmentPrompt::Box(Box2::new(
        share * width,
        share * height,
        (share + 0.5) * width,
        (share + 0.55) * height,
    ))
}

fn pictures(checkpoint: &str, width: usize, height: usize, rounds: usize) {
    let checkpoint = Checkpoint::directory(Path::new(checkpoint));
    let mut sam: Box<dyn Segmenter> =
        load_segmenter(&checkpoint, None, &LoadOptions::default()).expect("a checkpoint");
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let (w, h) = (width as f64, height as f64);
    let (mut first, mut next, mut ten) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let pixels: Vec<u8> = (0..width * height * 3).map(|n| (n * (7 + round) / 5 % 251) as u8).collect();
        let picture = Picture::new(width, height, 3, pixels).unwrap();
        first.push(timed(|| sam.segment(&picture, &[region(0, w, h)]).unwrap()));
        next.extend((1..6).map(|n| timed(|| sam.segment(&picture, &[region(n, w, h)]).unwrap())));
        let objects: Vec<Vec<SegmentPrompt>> = (0..10).map(|n| vec![region(n, w, h)]).collect();
        ten.push(timed(|| sam.segment_all(&picture, &objects)));
    }
    let figures = serde_json::json!({
        "first_s": least(&first), "next_s": least(&next), "ten_boxes_s": least(&ten), "peak_mib": shared::peak_mib(),
    });
    println!("{figures}");
}

fn volume(folder: &str) {
    let checkpoint = Checkpoint::directory(Path::new(folder));
    let mut net = load_volume_segmenter(&checkpoint, None, &LoadOptions::default()).expect("a checkpoint");
    let voxels = ndarray::Array3::from_shape_fn((256, 256, 256), |(k, j, i)| ((k * j + i) % 97) as f32);
    let volume = Volume { voxels, lps_from_index: LpsFromIndex::IDENTITY, modality: Modality::Mr };
    println!("{}", serde_json::json!({ "label_s": timed(|| net.label(&volume).unwrap()) }));
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| args.get(at).and_then(|v| v.parse().ok()).unwrap_or(default);
    match args.first().map(String::as_str) {
        Some("--volume") => volume(args.get(1).expect("a folder")),
        Some(checkpoint) => pictures(checkpoint, number(1, 512), number(2, 512), number(3, 2)),
        None => println!("segment_speed CHECKPOINT [WIDTH HEIGHT ROUNDS] | --volume FOLDER"),
    }
}
