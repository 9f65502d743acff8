//! Every step of the tracker from the reference's own memories, and sizes of the released models.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use super::config::Sam2Config;
use super::infer::config_from_shapes;
use super::names::canonical;
use super::network::Features;
use super::resample::{bicubic, shrunk};
use super::segmenter::Sam2;
use super::tracker::{Bank, Direction, Entry};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::{Dtype, Numbers, Weights};
use crate::error::LoadError;
use crate::families::{medsam2, sam2};
use crate::options::LoadOptions;
use candle_core::{DType, Device};
use std::io::Write as _;
use std::path::Path;

#[allow(dead_code)]
#[path = "../../../tests/parity/sam2/cases.rs"]
mod cases;

/// Logits within 5e-5 and scores within 1e-5 when the reference's memories are given; the memories
/// made of them equal the reference's, save where bfloat16 rounds the other way.
#[test]
fn every_step_equals_the_reference() {
    for name in ["medsam2", "point", "mask", "two_prompts"] {
        let (made, tensors) = (cases::checkpoint(name), cases::reference(name));
        let load = if name == "medsam2" { medsam2::load } else { sam2::load };
        let mut sam: Sam2 = load(&Checkpoint::directory(made.path()), &LoadOptions::default()).unwrap();
        let (volume, window, prompts) = cases::volume(name);
        let frames = cases::slices(&volume, window);
        for (key, direction) in [("up", Direction::Up), ("down", Direction::Down)] {
            let entry = |key: &str, at: usize| -> Option<Entry> {
                let memory = tensors.get(&format!("{key}{at}.memory"))?.to_dtype(DType::F32).unwrap();
                Some(Entry { memory, pointer: tensors[&format!("{key}{at}.pointer")].clone() })
            };
            let first = prompts[0].0;
            let mut bank = Bank::default();
            for (slice, _) in &prompts {
                bank.prompted.insert(*slice, entry("up", *slice).unwrap());
            }
            let order: Vec<usize> =
                if key == "up" { (first + 1..frames.len()).collect() } else { (0..first).rev().collect() };
            for at in order {
                let Some(known) = entry(key, at) else { panic!("{name}: no memory of {key}{at}") };
                if bank.prompted.contains_key(&at) {
                    continue;
                }
                let encoded = sam.sam.embed(&frames[at]).unwrap();
                let features = Features::of(&encoded).unwrap();
                let tracker = sam.tracker.as_ref().unwrap();
                let (mask, made) =
                    tracker.tracked(&sam.network, features, &bank, at, frames.len(), direction).unwrap();
                let off =
                    cases::worst(&mask.logits.values, &cases::flat(&tensors[&format!("{key}{at}.low")]));
                assert!(off <= 5e-5, "{name}, {key}{at}: logits differ by {off}");
                let score = cases::flat(&tensors[&format!("{key}{at}.score")])[0];
                assert!((mask.object_score - score).abs() <= 1e-5, "{name}, {key}{at}: {score}");
                let off = cases::worst(&cases::flat(&made.pointer), &cases::flat(&known.pointer));
                assert!(off <= 5e-5, "{name}, {key}{at}: pointers differ by {off}");
                let (ours, theirs) = (cases::flat(&made.memory), cases::flat(&known.memory));
                // A step of bfloat16 is at most 2^-7 of the value.
                let step = |a: f32, b: f32| (a - b).abs() <= 2f32.powi(-7) * b.abs() + 1e-6;
                assert!(ours.iter().zip(&theirs).all(|(a, b)| step(*a, *b)), "{name}, {key}{at}: memory");
                let other = ours.iter().zip(&theirs).filter(|(a, b)| a != b).count();
                assert!(other * 200 <= ours.len(), "{name}, {key}{at}: {other} memory values differ");
                bank.tracked.insert(at, known);
            }
        }
    }
}

/// A safetensors file of zeros with these tensors; only the header is written.
fn zeros(dir: &Path, tensors: &[(String, Vec<usize>)]) {
    let mut header = serde_json::Map::new();
    let mut at = 0u64;
    for (name, shape) in tensors {
        let end = at + 4 * shape.iter().product::<usize>() as u64;
        let entry = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [at, end] });
        header.insert(name.clone(), entry);
        at = end;
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = std::fs::File::create(dir.join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    file.set_len(8 + header.len() as u64 + at).unwrap();
}

fn inferred(width: usize, blocks: usize, background: usize) -> Result<Sam2Config, LoadError> {
    let mut tensors = vec![
        ("image_encoder.trunk.patch_embed.proj.weight".to_owned(), vec![width, 3, 7, 7]),
        ("image_encoder.trunk.pos_embed".to_owned(), vec![1, width, background, background]),
        ("sam_prompt_encoder.mask_downscaling.3.weight".to_owned(), vec![16, 4, 2, 2]),
        ("sam_mask_decoder.iou_token.weight".to_owned(), vec![1, 256]),
        ("sam_mask_decoder.mask_tokens.weight".to_owned(), vec![4, 256]),
        ("sam_mask_decoder.transformer.final_attn_token_to_image.q_proj.weight".to_owned(), vec![128, 256]),
        ("sam_mask_decoder.transformer.layers.0.mlp.layers.0.weight".to_owned(), vec![2048, 256]),
        ("sam_mask_decoder.iou_prediction_head.layers.0.weight".to_owned(), vec![256, 256]),
    ];
    tensors.extend(
        (0..blocks).map(|n| (format!("image_encoder.trunk.blocks.{n}.attn.proj.weight"), vec![1, 1])),
    );
    let made = tempfile::tempdir().unwrap();
    zeros(made.path(), &tensors);
    let numbers = Numbers::new(Device::Cpu, Dtype::F32);
    let checkpoint = Checkpoint::directory(made.path());
    config_from_shapes(&Weights::open(&checkpoint, numbers, |name| canonical(name, true)).unwrap(), 1024)
}

/// The four released sizes (`sam2/configs/sam2.1`) are told by their shapes.
#[test]
fn released_sizes_need_no_config() {
    let tiny = inferred(96, 12, 7).unwrap();
    assert_eq!((tiny.backbone.blocks, tiny.backbone.heads), ([1, 2, 7, 2], [1, 2, 4, 8]));
    assert_eq!((tiny.backbone.global.as_slice(), tiny.backbone.windows), (&[5, 7, 9][..], [8, 4, 14, 7]));
    assert_eq!((tiny.width, tiny.side, tiny.decoder.mlp_dim), (256, 1024, 2048));
    assert_eq!(tiny.decoder.attention_downsample_rate, 2);
    assert_eq!(inferred(96, 16, 7).unwrap().backbone.global, [7, 10, 13]);
    let base = inferred(112, 24, 14).unwrap().backbone;
    assert_eq!((base.widths, base.background), ([112, 224, 448, 896], 14));
    let large = inferred(144, 48, 7).unwrap().backbone;
    assert_eq!((large.windows, large.blocks), ([8, 4, 16, 8], [2, 6, 36, 4]));
    let odd = inferred(100, 12, 7).unwrap_err().to_string();
    assert!(odd.contains("config.json") && odd.contains("100"), "{odd}");
}

#[test]
fn mask_prompts_shrink_with_antialiasing_as_torch_does() {
    // torch.nn.functional.interpolate(x, size=(2, 3), mode="bilinear", antialias=True)
    let values: Vec<f32> = (0..35).map(|n| ((n * 37) % 11) as f32).collect();
    let plane = crate::networks::sam::upsample::Plane { width: 7, height: 5, values };
    let got = shrunk(&plane, 3, 2);
    assert!(cases::worst(&got.values, &SHRUNK) <= 1e-5, "{:?}", got.values);
    // torch.nn.functional.interpolate(x, size=(6, 6), mode="bicubic"), first row
    let values: Vec<f32> = (0..16).map(|n| ((n * 37) % 11) as f32).collect();
    let got = bicubic(&values, 4, 6);
    let wanted = [-0.781_250_4, 1.101_454_1, 4.762_414_5, 8.569_693, 5.007_922, -0.124_552_27];
    assert!(cases::worst(&got[..6], &wanted) <= 1e-5, "{got:?}");
}

const SHRUNK: [f32; 6] = [5.142_857, 4.558_824, 5.428_571_7, 4.428_571, 5.117_647, 4.928_571];
