//! SAM 2 equals `transformers`' Sam2Model and Sam2VideoModel on random networks (references made by
//! parity/sam2/make.py): embeddings within 1e-5, mask logits within 5e-5, predicted IoU and object
//! scores within 1e-5, also in the names of the original repository.

use loupe_core::{Box2, SegmentPrompt, Segmenter, Volume};
use loupe_models::families::{medsam2, sam2};
use loupe_models::{Checkpoint, LoadOptions, Sam2, SlicePrompts, load_segmenter};
use std::path::Path;

use crate::sam2_cases::{case, checkpoint, flat, folder, image, reference, slices, values, worst};
use crate::segment_prompts::ObjectPrompts;

const PICTURES: [&str; 3] = ["wide", "tall", "original"];
const VIDEOS: [&str; 4] = ["medsam2", "point", "mask", "two_prompts"];

fn load(dir: &Path) -> Sam2 {
    sam2::load(&Checkpoint::directory(dir), &LoadOptions::default()).unwrap()
}

fn prompts(name: &str) -> Vec<ObjectPrompts> {
    serde_json::from_value(case(name).prompts).unwrap()
}

#[test]
fn embeddings_equal_the_reference() {
    for name in PICTURES {
        let (made, tensors) = (checkpoint(name), reference(name));
        let picture = image(&folder(name).join("picture.png"));
        let got = load(made.path()).embeddings(&picture).unwrap();
        // Coarse first here, last in the reference.
        for (level, key) in [(0, "embedding2"), (1, "embedding0"), (2, "embedding1")] {
            let off = worst(&got[level], &flat(&tensors[key]));
            assert!(off <= 1e-5, "{name}, {key}: {off}");
        }
    }
}

#[test]
fn masks_scores_and_booleans_equal_the_reference() {
    for name in PICTURES {
        let (made, tensors) = (checkpoint(name), reference(name));
        let (mut sam, picture) = (load(made.path()), image(&folder(name).join("picture.png")));
        for (n, prompt) in prompts(name).iter().enumerate() {
            let of = |key: &str, object: usize| tensors[&format!("prompt{n}.{key}")].get(object).unwrap();
            for (object, prompts) in prompt.objects().iter().enumerate() {
                let low = of("low", object);
                let (_, rows, _) = low.dims3().unwrap();
                let side = rows * if n < 2 { 1 } else { 2 };
                let previous: Option<Vec<f32>> = prompt
                    .mask
                    .then(|| values(&format!("mask{n}"), 0, side * side).iter().map(|v| v * 4.0).collect());
                let got = sam.pictures().decode(&picture, prompts, previous.as_deref()).unwrap();
                assert_eq!(got.side, side);
                let logits: Vec<f32> = got.low_resolution.concat();
                // Later prompts keep every second row and column.
                let kept: Vec<f32> = if n < 2 {
                    logits
                } else {
                    let keep = |(at, _): &(usize, &f32)| at % side % 2 == 0 && at / side % 2 == 0;
                    logits.iter().enumerate().filter(keep).map(|(_, v)| *v).collect()
                };
                let off = worst(&kept, &flat(&low));
                assert!(off <= 5e-5, "{name}, prompt {n}, object {object}: logits differ by {off}");
                let off = worst(&got.predicted_iou, &flat(&of("iou", object)));
                assert!(off <= 1e-5, "{name}, prompt {n}, object {object}: IoU differs by {off}");
                let off = worst(&[got.object_score.unwrap()], &flat(&of("score", object)));
                assert!(off <= 1e-5, "{name}, prompt {n}, object {object}: object score differs by {off}");
                if n == 0 {
                    let full = flat(&tensors["prompt0.full"].get(object).unwrap());
                    let got: Vec<f32> =
                        (0..2).flat_map(|m| sam.pictures().upsampled(&got, m, &picture).unwrap()).collect();
                    assert!(worst(&got, &full) <= 5e-5, "{name}: upsampled logits");
                    for (a, b) in got.iter().zip(&full) {
                        assert!(((*a > 0.0) == (*b > 0.0)) || b.abs() <= 1e-4, "{name}: {a} against {b}");
                    }
                }
                // What is answered for anything but one point: the reference's choice of the single mask.
                if previous.is_none() && n != 2 {
                    let answer = sam.segment(&picture, prompts).unwrap();
                    let wanted = flat(&of("single_iou", object));
                    assert_eq!(answer.len(), 1);
                    assert!(
                        worst(&[answer[0].predicted_iou.unwrap()], &wanted) <= 1e-5,
                        "{name}, prompt {n}"
                    );
                }
            }
        }
    }
}

#[test]
fn objects_decoded_together_equal_objects_decoded_alone() {
    let made = checkpoint("wide");
    let picture = image(&folder("wide").join("picture.png"));
    let mut sam = load_segmenter(&Checkpoint::directory(made.path()), None, &LoadOptions::default()).unwrap();
    assert_eq!(sam.info().family, "sam2");
    let mut objects: Vec<Vec<SegmentPrompt>> =
        prompts("wide").iter().flat_map(ObjectPrompts::objects).collect();
    objects.push(vec![SegmentPrompt::Phrase("liver".into())]);
    let together = sam.segment_all(&picture, &objects);
    assert_eq!(together.len(), objects.len());
    for (prompts, got) in objects.iter().zip(&together) {
        match (got, sam.segment(&picture, prompts)) {
            (Ok(got), Ok(alone)) => {
                assert_eq!(got.len(), alone.len());
                for (a, b) in got.iter().zip(&alone) {
                    assert!(worst(&[a.predicted_iou.unwrap()], &[b.predicted_iou.unwrap()]) <= 1e-5);
                    let differ = a.mask.bits().iter().zip(b.mask.bits()).filter(|(a, b)| a != b).count();
                    assert!(differ <= 2, "{differ} pixels differ");
                }
            }
            (Err(got), Err(alone)) => assert_eq!(got, &alone),
            (got, alone) => panic!("{got:?} against {alone:?}"),
        }
    }
}

/// The volume of a case, its window and the prompts of its object.
fn volume(name: &str) -> (Volume, [f32; 2], Vec<SlicePrompts>) {
    let (volume, window, prompts) = crate::sam2_cases::volume(name);
    (volume, window, prompts.into_iter().map(|(slice, prompts)| SlicePrompts { slice, prompts }).collect())
}

/// The family of a case's checkpoint.
fn load_video(name: &str, dir: &Path) -> Sam2 {
    let checkpoint = Checkpoint::directory(dir);
    let load = if name == "medsam2" { medsam2::load } else { sam2::load };
    load(&checkpoint, &LoadOptions::default()).unwrap()
}

/// Memories are kept in bfloat16, as in the reference. One value rounded the other way because of
/// an error in its last place moves logits of these small grids by up to 1e-3 (measured in the
/// reference), so whole runs are compared to that; sam2/tests.rs compares every step to 5e-5.
#[test]
fn frames_followed_both_ways_equal_the_reference() {
    for name in VIDEOS {
        let (made, tensors) = (checkpoint(name), reference(name));
        let mut sam = load_video(name, made.path());
        let (volume, window, prompts) = volume(name);
        let frames = slices(&volume, window);
        for (key, upwards) in [("up", true), ("down", false)] {
            let followed = sam.follow_frames(&frames, &prompts, upwards).unwrap();
            let wanted = tensors.keys().filter(|k| k.starts_with(key) && k.ends_with(".low")).count();
            // The way down begins with the first prompted frame as well.
            assert_eq!(followed.len(), wanted + usize::from(!upwards), "{name}, {key}");
            for (slice, frame) in followed {
                let key = if slice == prompts[0].slice { "up" } else { key };
                let off = worst(&frame.logits, &flat(&tensors[&format!("{key}{slice}.low")]));
                let score = worst(&[frame.object_score], &flat(&tensors[&format!("{key}{slice}.score")]));
                let allowed = if prompts.iter().any(|h| h.slice == slice) { 5e-5 } else { 1e-3 };
                assert!(off <= allowed, "{name}, {key}{slice}: logits differ by {off}");
                assert!(score <= allowed, "{name}, {key}{slice}: object score differs by {score}");
            }
        }
    }
}

#[test]
fn a_volume_is_labelled_on_its_own_grid_as_the_reference_frames_are() {
    for name in VIDEOS {
        let (made, tensors) = (checkpoint(name), reference(name));
        let (volume, window, prompts) = volume(name);
        let mut sam = load_video(name, made.path());
        let tracks = sam.track(&volume, window, std::slice::from_ref(&prompts)).unwrap();
        if let [only] = prompts.as_slice() {
            let masks = sam.follow(&slices(&volume, window), only.slice, &only.prompts).unwrap();
            for (mask, plane) in masks.iter().zip(tracks.labels.labels.outer_iter()) {
                assert!(mask.bits().iter().zip(plane).all(|(bit, label)| *bit == (*label == 1)), "{name}");
            }
        }
        assert_eq!(tracks.labels.lps_from_index, volume.lps_from_index);
        assert_eq!(tracks.labels.labels.dim(), volume.voxels.dim());
        // The reference's frames until the first without a covered pixel beyond the prompts.
        let full = |key: &str, k: usize| flat(&tensors[&format!("{key}{k}.full")]);
        let covered = |logits: &[f32]| logits.iter().any(|v| *v > 0.0);
        let (first, last) = (prompts[0].slice, prompts[prompts.len() - 1].slice);
        let up = (first..volume.shape()[0]).take_while(|k| *k <= last || covered(&full("up", *k)));
        let down = (0..first).rev().take_while(|k| covered(&full("down", *k)));
        let mut wanted: Vec<(usize, &str)> = up.map(|k| (k, "up")).chain(down.map(|k| (k, "down"))).collect();
        wanted.sort_unstable();
        let found: Vec<usize> = tracks.slices.iter().map(|s| s.slice).collect();
        assert_eq!(found, wanted.iter().map(|(k, _)| *k).collect::<Vec<_>>(), "{name}");
        if name == "mask" {
            assert_eq!(found, [0, 1, 2], "the object leaves after slice 2");
        }
        for (k, plane) in tracks.labels.labels.outer_iter().enumerate() {
            let Some((_, key)) = wanted.iter().find(|(slice, _)| *slice == k) else {
                assert!(plane.iter().all(|v| *v == 0), "{name}: slice {k}");
                continue;
            };
            for (label, logit) in plane.iter().zip(full(key, k)) {
                assert!((*label == 1) == (logit > 0.0) || logit.abs() <= 2e-3, "{name}: slice {k}, {logit}");
            }
        }
    }
}

#[test]
fn several_objects_share_a_volume_and_bad_prompts_are_refused_in_words() {
    let made = checkpoint("medsam2");
    let (volume, window, prompts) = volume("medsam2");
    let mut sam = load_video("medsam2", made.path());
    let alone = sam.track(&volume, window, std::slice::from_ref(&prompts)).unwrap();
    let other =
        vec![SlicePrompts { slice: 1, prompts: vec![SegmentPrompt::Box(Box2::new(2.0, 2.0, 20.0, 20.0))] }];
    let both = sam.track(&volume, window, &[prompts.clone(), other]).unwrap();
    for (one, two) in alone.labels.labels.iter().zip(&both.labels.labels) {
        assert!(one == two || *two == 2, "{one} became {two}");
    }
    assert!(both.slices.iter().any(|s| s.label == 2 && s.prompted && s.slice == 1));

    let mut refused =
        |prompts: Vec<SlicePrompts>, window| sam.track(&volume, window, &[prompts]).unwrap_err().to_string();
    let beyond = vec![SlicePrompts { slice: 7, prompts: prompts[0].prompts.clone() }];
    assert!(refused(beyond, window).contains("slice 7"));
    assert!(refused(Vec::new(), window).contains("at least one slice"));
    assert!(refused(prompts.clone(), [5.0, 5.0]).contains("make no picture"));
    assert!(refused(prompts, [5000.0, 6000.0]).contains("same"));
}

#[test]
fn a_checkpoint_for_pictures_says_that_it_cannot_follow() {
    let made = checkpoint("wide");
    let (volume, window, prompts) = volume("point");
    let error = load(made.path()).track(&volume, window, &[prompts]).unwrap_err();
    assert!(error.to_string().contains("single pictures only"), "{error}");
}

#[test]
fn medsam2_is_told_by_its_name() {
    let made = checkpoint("medsam2");
    let named = made.path().join("MedSAM2_CTLesion");
    std::fs::create_dir(&named).unwrap();
    for file in ["model.safetensors", "config.json"] {
        std::fs::rename(made.path().join(file), named.join(file)).unwrap();
    }
    let loaded = load_segmenter(&Checkpoint::directory(&named), None, &LoadOptions::default()).unwrap();
    assert_eq!(
        (loaded.info().family.as_str(), loaded.info().checkpoint().unwrap().resample.as_str()),
        ("medsam2", "pillow")
    );
}
