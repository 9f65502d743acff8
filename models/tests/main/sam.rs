//! SAM equals `transformers`' SamModel, and its relatives their references, on random checkpoints
//! (made by parity/sam/make.py and make_relatives.py):
//! embeddings within 1e-5, mask logits within 5e-5, predicted IoU within 1e-5.

use crate::common::{cosine, plain};
use crate::sam2_cases::{flat, worst};
use crate::segment_prompts::ObjectPrompts;
use candle_core::{Device, Tensor};
use loupe_core::{Box2, Picture, Point2, SegmentPrompt, Segmenter};
use loupe_models::families::{find, lite_medsam, medsam, mobile_sam, sam, sam_med2d};
use loupe_models::{Checkpoint, Decoded, Dtype, LoadOptions, Resample, Sam, load_segmenter};
use std::collections::HashMap;
use std::path::PathBuf;

const CASES: [&str; 10] = [
    "window3",
    "window4",
    "grey",
    "pil",
    "original",
    "stretched",
    "medsam",
    "sam_med2d",
    "mobile_sam",
    "lite_medsam",
];

fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity/sam").join(case)
}

fn picture(case: &str) -> Picture {
    let image = image::open(folder(case).join("picture.png")).unwrap();
    let (w, h) = (image.width() as usize, image.height() as usize);
    match image {
        image::DynamicImage::ImageLuma8(grey) => Picture::new(w, h, 1, grey.into_raw()),
        other => Picture::new(w, h, 3, other.into_rgb8().into_raw()),
    }
    .unwrap()
}

fn load(case: &str) -> Sam {
    load_with(case, &LoadOptions::default())
}

fn load_with(case: &str, options: &LoadOptions) -> Sam {
    // Files do not tell all: original releases come without processor file, and both classes of
    // transformers write the same name.
    let resample = match case {
        "original" | "mobile_sam" => Some(Resample::Torchvision),
        "pil" => Some(Resample::Pillow),
        _ => None,
    };
    let options = LoadOptions { resample, ..options.clone() };
    let checkpoint = Checkpoint::directory(&folder(case));
    match find(&checkpoint, None).unwrap().name {
        "sam" => sam::load(&checkpoint, &options),
        "medsam" => medsam::load(&checkpoint, &options),
        "sam-med2d" => sam_med2d::load(&checkpoint, &options),
        "lite-medsam" => lite_medsam::load(&checkpoint, &options),
        "mobile-sam" => mobile_sam::load(&checkpoint, &options),
        other => panic!("{case} was taken for {other}"),
    }
    .unwrap()
}

/// Every second row and column of the low-resolution logits, as the reference keeps them.
fn thinned(decoded: &Decoded) -> Vec<f32> {
    let rows = |mask: &Vec<f32>| -> Vec<f32> {
        let rows = mask.chunks_exact(decoded.side).step_by(2);
        rows.flat_map(|row| row.iter().step_by(2).copied()).collect()
    };
    decoded.low_resolution.iter().flat_map(rows).collect()
}

fn reference(case: &str) -> (HashMap<String, Tensor>, Vec<ObjectPrompts>) {
    let tensors = candle_core::safetensors::load(folder(case).join("ref.safetensors"), &Device::Cpu).unwrap();
    let prompts = std::fs::read(folder(case).join("prompts.json")).unwrap();
    (tensors, serde_json::from_slice(&prompts).unwrap())
}

#[test]
fn embeddings_equal_the_reference() {
    for case in CASES {
        let (tensors, _) = reference(case);
        let got = load(case).embedding(&picture(case)).unwrap();
        let off = worst(&got, &flat(&tensors["embedding"]));
        assert!(off <= 1e-5, "{case}: {off}");
    }
}

#[test]
fn masks_and_predicted_iou_equal_the_reference() {
    for case in CASES {
        let (tensors, prompts) = reference(case);
        let (mut sam, picture) = (load(case), picture(case));
        for (n, prompt) in prompts.iter().enumerate() {
            let previous = prompt.mask.then(|| flat(&tensors[&format!("prompt{n}.mask")]));
            let low = &tensors[&format!("prompt{n}.low")].squeeze(0).unwrap();
            let iou = &tensors[&format!("prompt{n}.iou")].squeeze(0).unwrap();
            for (object, prompts) in prompt.objects().iter().enumerate() {
                let got = sam.decode(&picture, prompts, previous.as_deref()).unwrap();
                let off = worst(&thinned(&got), &flat(&low.get(object).unwrap()));
                assert!(off <= 5e-5, "{case}, prompt {n}, object {object}: logits differ by {off}");
                let off = worst(&got.predicted_iou, &flat(&iou.get(object).unwrap()));
                assert!(off <= 1e-5, "{case}, prompt {n}, object {object}: IoU differs by {off}");
                // Going on from a mask takes the likeliest of the reference's candidates beside the single-mask output.
                let iou = flat(&iou.get(object).unwrap());
                let best = (1..iou.len()).max_by(|a, b| iou[*a].total_cmp(&iou[*b])).unwrap_or(0);
                let refined = sam.refine(&picture, prompts, previous.as_deref()).unwrap();
                assert_eq!(refined.logits.as_ref(), Some(&got.low_resolution[best]), "{case}, prompt {n}");
                assert!((refined.segment.predicted_iou.unwrap() - iou[best]).abs() <= 1e-5);
                let full = sam.upsampled(&got, best, &picture).unwrap();
                let bits: Vec<bool> = full.iter().map(|v| *v > 0.0).collect();
                assert_eq!(refined.segment.mask.bits(), bits);
                if n == 0 {
                    let full = flat(&tensors["prompt0.full"].get(object).unwrap());
                    let got = [0, 1].map(|n| sam.upsampled(&got, n, &picture).unwrap()).concat();
                    assert!(worst(&got, &full) <= 5e-5, "{case}: upsampled logits");
                    for (a, b) in got.iter().zip(&full) {
                        assert!(((*a > 0.0) == (*b > 0.0)) || b.abs() <= 1e-4, "{case}: {a} against {b}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_gpu_can_compute_in_half_precision() {
    for case in CASES {
        let (tensors, prompts) = reference(case);
        // candle multiplies no bf16 on the processor.
        let (mut sam, picture) = (load_with(case, &plain(Dtype::F16)), picture(case));
        let close = cosine(&sam.embedding(&picture).unwrap(), &flat(&tensors["embedding"]));
        assert!(close >= 0.995, "{case}: cosine of embeddings {close}");
        let low = flat(&tensors["prompt0.low"].squeeze(0).unwrap().get(0).unwrap());
        let got = sam.decode(&picture, &prompts[0].objects()[0], None).unwrap();
        let close = cosine(&thinned(&got), &low);
        assert!(close >= 0.98, "{case}: cosine of mask logits {close}");
    }
}

#[test]
fn prompts_that_cannot_be_used_are_refused_in_words() {
    let (mut sam, picture) = (load("window3"), picture("window3"));
    let outside = SegmentPrompt::Point { at: Point2::new(500.0, 3.0), positive: true };
    assert!(sam.segment(&picture, &[outside]).unwrap_err().to_string().contains("outside"));
    assert!(sam.segment(&picture, &[]).unwrap_err().to_string().contains("needed"));
    let phrase = SegmentPrompt::Phrase("liver".into());
    assert!(sam.segment(&picture, &[phrase]).unwrap_err().to_string().contains("phrase"));
    let empty = SegmentPrompt::Box(Box2::new(5.0, 5.0, 5.0, 9.0));
    assert!(sam.segment(&picture, &[empty]).is_err());
}

#[test]
fn a_kept_embedding_gives_the_same_masks_and_another_picture_is_not_mistaken_for_it() {
    let picture = picture("window4");
    let prompts = [SegmentPrompt::Box(Box2::new(4.0, 5.0, 20.0, 40.0))];
    let mut sam = load("window4");
    let first = sam.segment(&picture, &prompts).unwrap();
    assert_eq!(first, sam.segment(&picture, &prompts).unwrap());
    let mut changed = picture.pixels().to_vec();
    for v in &mut changed[..600] {
        *v = 255 - *v;
    }
    let changed = Picture::new(picture.width(), picture.height(), picture.channels(), changed).unwrap();
    let fresh = load("window4").decode(&changed, &prompts, None).unwrap();
    assert_eq!(sam.decode(&changed, &prompts, None).unwrap().low_resolution, fresh.low_resolution);
}

#[test]
fn objects_decoded_together_equal_those_decoded_alone() {
    let picture = picture("grey");
    let mut sam =
        load_segmenter(&Checkpoint::directory(&folder("grey")), None, &LoadOptions::default()).unwrap();
    assert_eq!(sam.info().family, "sam");
    let region = |x: f64| SegmentPrompt::Box(Box2::new(x, 3.0, x + 30.0, 31.0));
    let point = |x: f64| SegmentPrompt::Point { at: Point2::new(x, 20.0), positive: true };
    let mut objects: Vec<Vec<SegmentPrompt>> = (0..11).map(|n| vec![region(4.0 * f64::from(n))]).collect();
    objects.insert(2, vec![point(30.0)]);
    objects.insert(5, vec![SegmentPrompt::Phrase("lung".into())]);
    objects.insert(7, vec![point(60.0), region(50.0)]);
    let together = sam.segment_all(&picture, &objects);
    assert_eq!(together.len(), objects.len());
    for (prompts, got) in objects.iter().zip(together) {
        match (sam.segment(&picture, prompts), got) {
            (Ok(alone), Ok(got)) => {
                assert_eq!(alone.len(), got.len());
                for (a, b) in alone.iter().zip(&got) {
                    assert_eq!(a.mask, b.mask);
                    assert!((a.predicted_iou.unwrap() - b.predicted_iou.unwrap()).abs() < 1e-5);
                }
            }
            (alone, got) => assert_eq!(alone.unwrap_err(), got.unwrap_err()),
        }
    }
    // One point is ambiguous: three candidates, best first.
    let candidates = sam.segment(&picture, &[point(30.0)]).unwrap();
    assert_eq!(candidates.len(), 3);
    assert!(candidates.windows(2).all(|pair| pair[0].predicted_iou >= pair[1].predicted_iou));
}

#[test]
fn each_family_answers_in_its_own_way() {
    let segment = |case: &str, prompts: &[SegmentPrompt]| load(case).segment(&picture(case), prompts);
    let point = SegmentPrompt::Point { at: Point2::new(20.0, 20.0), positive: true };
    let region = SegmentPrompt::Box(Box2::new(5.0, 6.0, 30.0, 40.0));
    let refusal = segment("medsam", std::slice::from_ref(&point)).unwrap_err().to_string();
    assert_eq!(refusal, "medsam takes no point prompts");
    assert_eq!(segment("medsam", std::slice::from_ref(&region)).unwrap().len(), 1);
    assert_eq!(segment("mobile_sam", std::slice::from_ref(&point)).unwrap().len(), 3);
    // SAM-Med2D gives the best of its three masks, whatever the prompt.
    let mut sam = load("sam_med2d");
    for prompts in [vec![point], vec![region]] {
        let best = sam.segment(&picture("sam_med2d"), &prompts).unwrap();
        let all = sam.decode(&picture("sam_med2d"), &prompts, None).unwrap().predicted_iou;
        assert_eq!(best.len(), 1);
        assert_eq!(best[0].predicted_iou, all[1..].iter().copied().max_by(f32::total_cmp));
    }
}

#[test]
fn bytes_in_memory_load_as_a_folder_does() {
    static FILES: &[(&str, &[u8])] = &[
        ("config.json", include_bytes!("../parity/sam/grey/config.json")),
        ("model.safetensors", include_bytes!("../parity/sam/grey/model.safetensors")),
        ("processor_config.json", include_bytes!("../parity/sam/grey/processor_config.json")),
    ];
    let embedded = Checkpoint::Embedded { name: "built in", files: FILES };
    let mut sam = load_segmenter(&embedded, None, &LoadOptions::default()).unwrap();
    let prompts = [SegmentPrompt::Box(Box2::new(4.0, 5.0, 60.0, 30.0))];
    let picture = picture("grey");
    assert_eq!(sam.segment(&picture, &prompts), load("grey").segment(&picture, &prompts));
    assert_eq!(sam.info().name, "built in");
}

#[test]
fn configurations_that_make_no_sense_are_errors_that_name_the_field() {
    let read = |file: &str| std::fs::read(folder("grey").join(file)).unwrap();
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("model.safetensors"), read("model.safetensors")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&read("config.json")).unwrap();
    let attempt = |config: &serde_json::Value| {
        std::fs::write(temp.path().join("config.json"), config.to_string()).unwrap();
        let loaded = load_segmenter(&Checkpoint::directory(temp.path()), None, &LoadOptions::default());
        loaded.err().map(|e| e.to_string())
    };
    assert_eq!(attempt(&config), None);
    let mut refused = 0;
    for part in ["vision_config", "prompt_encoder_config", "mask_decoder_config"] {
        let fields = config[part].as_object().unwrap();
        for field in fields.iter().filter(|(_, v)| v.is_number()).map(|(name, _)| name) {
            for value in
                [0.into(), 1.into(), 7.into(), (1u64 << 31).into(), (-1).into(), serde_json::Value::from("x")]
            {
                let mut wrong = config.clone();
                wrong[part][field] = value;
                if let Some(message) = attempt(&wrong) {
                    refused += 1;
                    assert!(
                        message.contains("config.json") || message.contains("tensor"),
                        "{part}.{field}: {message}"
                    );
                }
            }
        }
    }
    assert!(refused > 80, "{refused}");
    let mut wrong = config;
    wrong["vision_config"]["hidden_act"] = "silu".into();
    assert!(attempt(&wrong).unwrap().contains("hidden_act"));
}
