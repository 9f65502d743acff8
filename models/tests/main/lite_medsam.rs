//! The published LiteMedSAM gives the masks of its authors' network.

use candle_core::Device;
use loupe_core::{Box2, Picture, SegmentPrompt, Segmenter};
use loupe_models::families::lite_medsam;
use loupe_models::{Checkpoint, LoadOptions};
use serde_json::Value;
use std::path::PathBuf;

#[test]
fn masks_of_the_published_checkpoint_equal_the_reference() {
    let Some(data) = std::env::var_os("LOUPE_TEST_DATA").map(PathBuf::from) else {
        eprintln!("SKIPPED: LOUPE_TEST_DATA does not name the folder of test data");
        return;
    };
    let folder = data.join("lite_medsam");
    let options = LoadOptions::default();
    let mut sam = lite_medsam::load(&Checkpoint::directory(&folder), &options).unwrap();
    let expected = std::fs::read(folder.join("reference/expected.json")).unwrap();
    let expected: Vec<Value> = serde_json::from_slice(&expected).unwrap();
    let logits = folder.join("reference/low_res_logits.safetensors");
    let logits = candle_core::safetensors::load(logits, &Device::Cpu).unwrap();
    let (mut pixels, mut off, mut worst) = (0, 0, 0f32);
    for one in &expected {
        let image = image::open(data.join(one["image"].as_str().unwrap())).unwrap().to_rgb8();
        let (w, h) = (image.width() as usize, image.height() as usize);
        let picture = Picture::new(w, h, 3, image.into_raw()).unwrap();
        let b: Vec<f64> =
            one["box_xyxy_of_pixels"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let prompts = [SegmentPrompt::Box(Box2::new(b[0], b[1], b[2], b[3]))];
        let name = PathBuf::from(one["mask"].as_str().unwrap());
        let name = name.file_stem().unwrap().to_str().unwrap();
        let decoded = sam.decode(&picture, &prompts, None).unwrap();
        let wanted =
            logits[&format!("{name}.low_res_logits")].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let iou = one["predicted_iou"].as_f64().unwrap() as f32;
        assert!((decoded.predicted_iou[0] - iou).abs() < 1e-4, "{name}: {:?} {iou}", decoded.predicted_iou);
        for (a, b) in decoded.low_resolution[0].iter().zip(&wanted) {
            worst = worst.max((a - b).abs());
        }
        let mask = sam.segment(&picture, &prompts).unwrap().remove(0).mask;
        let reference = image::open(folder.join(format!("reference/{name}.png"))).unwrap().to_luma8();
        pixels += w * h;
        off += mask.bits().iter().zip(reference.as_raw()).filter(|(a, b)| **a != (**b > 0)).count();
    }
    eprintln!("{} prompts, {pixels} pixels: {off} differ; logits differ by {worst} at most", expected.len());
    assert_eq!(expected.len(), 18);
    assert!(worst <= 5e-4, "{worst}");
    assert!(off <= 2, "{off} of {pixels} pixels differ");
}
