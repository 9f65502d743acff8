//! Checkpoints whose numbers or files are damaged: refused when they are loaded, or the ask fails; never a reply.

use crate::common::{Case, Dialect, FAMILIES, greedy, picture};
use loupe_core::{Box2, ModelError, SegmentError, SegmentPrompt};
use loupe_models::{Checkpoint, LoadError, LoadOptions, load, load_segmenter};
use safetensors::{Dtype, SafeTensors, serialize_to_file, tensor::TensorView};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const NORM: &str = "model.language_model.norm.weight";

fn checkpoint() -> tempfile::TempDir {
    Case::all("qwen2_5_vl").remove(0).write(&Dialect::default())
}

/// Replaces every value of the tensors that `which` chooses.
pub(crate) fn fill(file: &Path, value: f32, which: impl Fn(&str) -> bool) {
    let bytes = std::fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    assert!(tensors.names().into_iter().any(&which), "none of the tensors is chosen");
    let changed: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let shape = view.shape().to_vec();
            let filled = || value.to_le_bytes().repeat(shape.iter().product());
            match which(&name) {
                true => (name, (Dtype::F32, shape.clone(), filled())),
                false => (name, (view.dtype(), shape, view.data().to_vec())),
            }
        })
        .collect();
    let views = changed
        .iter()
        .map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    serialize_to_file(views, None, file).unwrap();
}

fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(file, value.to_string()).unwrap();
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let dir = checkpoint();
        fill(&dir.path().join("model.safetensors"), bad, |name| name == NORM);
        let error = load(dir.path(), &LoadOptions::default()).err().unwrap();
        assert!(matches!(&error, LoadError::NotFinite { name } if name == NORM), "{error}");
    }
}

/// Every way to answer by logits fails where they overflow, and where so much was lost before them that nothing was left to read.
#[test]
fn numbers_that_overflow_fail_the_ask_however_it_is_answered() {
    for (value, part) in [(3e38, NORM), (1e30, "mlp.down_proj")] {
        let dir = checkpoint();
        fill(&dir.path().join("model.safetensors"), value, |name| {
            name.contains("language_model") && name.contains(part)
        });
        let mut model = load(dir.path(), &LoadOptions::default()).unwrap();
        let words = greedy(vec![Arc::new(picture(64, 48, 1))], "Is there a nodule?", 4);
        let mut random = words.clone();
        random.limits.sampling =
            loupe_core::Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 1 };
        let mut options = words.clone();
        options.limits.options = Some(vec!["yes".into(), "no".into()]);
        for reply in model.generate(&[words, random, options]) {
            assert_eq!(reply.unwrap_err(), ModelError::NotFinite("logits"));
        }
    }
}

/// Biases of the last layer of a block's MLP: what overflows there stands in all that comes behind.
pub(crate) fn is_of_tower(name: &str) -> bool {
    name.contains("vis") && ["fc2.bias", "down_proj.bias", "lin2.bias"].iter().any(|end| name.ends_with(end))
}

/// A tower whose numbers overflow fails what shows a picture, and says that it was the tower; words alone are answered beside it. A
/// square that overflows before a norm, which would make zeros of it, is such a number too.
#[test]
fn a_tower_that_overflows_fails_the_ask_by_name() {
    for family in FAMILIES {
        let case = Case::all(family).remove(0);
        for value in [3e38, 1e30] {
            let dir = case.write(&Dialect::default());
            fill(&dir.path().join("model.safetensors"), value, is_of_tower);
            let options = LoadOptions { resample: case.resample(), ..LoadOptions::default() };
            let mut model = load(dir.path(), &options).unwrap();
            let shown = case.asks(2).remove(0);
            let mut options = shown.clone();
            options.limits.options = Some(vec!["yes".into(), "no".into()]);
            let words = greedy(Vec::new(), "Is there a nodule?", 2);
            let mut replies = model.generate(&[shown, words, options]).into_iter();
            let [first, alone, last] = [(); 3].map(|()| replies.next().unwrap());
            for reply in [first, last] {
                assert_eq!(reply.unwrap_err(), ModelError::NotFinite("vision features"), "{}", case.name);
            }
            assert!(alone.is_ok(), "{}: {alone:?}", case.name);
        }
    }
}

#[test]
fn settings_that_divide_by_nothing_are_refused() {
    for (field, value) in [("rms_norm_eps", json!(-1)), ("rms_norm_eps", json!(0)), ("rope_theta", json!(0))]
    {
        let dir = checkpoint();
        edit(&dir.path().join("config.json"), |config| {
            let text = &mut config["text_config"];
            match field {
                "rope_theta" => text["rope_parameters"][field] = value.clone(),
                _ => text[field] = value.clone(),
            }
        });
        let error = load(dir.path(), &LoadOptions::default()).err().unwrap().to_string();
        assert!(error.contains(field) && error.contains("above 0"), "{error}");
    }
}

#[test]
fn masks_and_scores_that_overflow_fail_the_object() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/sam/window3");
    for (part, what) in [
        ("iou_prediction_head.proj_out.weight", "scores of masks"),
        ("upscale_conv2.weight", "mask logits"),
        ("mlp.lin2.bias", "vision features"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(&from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
        }
        let of_encoder = |name: &str| name.starts_with("vision_encoder");
        fill(&dir.path().join("model.safetensors"), 3e38, |name| {
            name.ends_with(part) && of_encoder(name) == (what == "vision features")
        });
        let mut sam =
            load_segmenter(&Checkpoint::directory(dir.path()), None, &LoadOptions::default()).unwrap();
        let prompt = vec![SegmentPrompt::Box(Box2::new(4.0, 4.0, 30.0, 30.0))];
        let all = sam.segment_all(&picture(64, 48, 1), &[prompt.clone(), prompt]);
        assert_eq!(all.len(), 2);
        for one in all {
            assert!(matches!(&one, Err(SegmentError::NotFinite(found)) if *found == what), "{one:?}");
        }
    }
}

/// A safetensors file from its header and the length of its data.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.resize(out.len() + data, 0);
    out
}

#[test]
fn tensors_fill_their_file_one_after_the_other() {
    let tensor = |name: &str, from: usize, to: usize| {
        format!(r#""{name}":{{"dtype":"F32","shape":[{}],"data_offsets":[{from},{to}]}}"#, (to - from) / 4)
    };
    let refused = |pairs: &[String], data: usize| {
        let dir = checkpoint();
        let header = format!("{{{}}}", pairs.join(","));
        std::fs::write(dir.path().join("model.safetensors"), file(&header, data)).unwrap();
        load(dir.path(), &LoadOptions::default()).err().unwrap().to_string()
    };
    let (a, b) = (tensor("a", 0, 8), tensor("b", 8, 16));
    // Whole files of this form are read; the architecture is what is missing then.
    assert!(refused(&[a.clone(), b.clone()], 16).contains("is missing"));
    assert!(refused(&[b.clone(), a.clone()], 16).contains("is missing"));
    assert!(refused(&[a.clone(), tensor("b", 4, 12)], 12).contains("overlaps"));
    assert!(refused(&[a.clone(), tensor("b", 0, 8)], 8).contains("overlaps"));
    assert!(refused(&[a.clone(), tensor("b", 12, 20)], 20).contains("hole"));
    assert!(refused(&[a.clone(), b.clone()], 17).contains("1 bytes follow"));
    assert!(refused(&[a.clone(), b.clone()], 15).contains("shorter than its header says"));
    assert!(refused(&[a.clone(), b, a], 16).contains("twice"));
}
