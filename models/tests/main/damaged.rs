//! Checkpoints whose numbers or files are damaged: refused when they are loaded, or the ask fails; never a reply.

use crate::common::{Case, Dialect, greedy, picture};
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
fn fill(file: &Path, value: f32, which: impl Fn(&str) -> bool) {
    let bytes = std::fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
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

/// Every way to answer by logits fails where they overflow, and where so much was lost before them that all are equal.
#[test]
fn numbers_that_overflow_fail_the_ask_however_it_is_answered() {
    let wrong =
        [(3e38, NORM, ModelError::NotFinite("logits")), (1e30, "mlp.down_proj", ModelError::EqualLogits)];
    for (value, part, error) in wrong {
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
            assert_eq!(reply.unwrap_err(), error);
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
    for (part, what) in
        [("iou_prediction_head.proj_out", "scores of masks"), ("upscale_conv2", "mask logits")]
    {
        let dir = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(&from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
        }
        fill(&dir.path().join("model.safetensors"), 3e38, |name| {
            name.contains(part) && name.ends_with("weight")
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
