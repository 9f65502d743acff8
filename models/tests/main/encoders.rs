//! BERT, RoBERTa and DistilBERT held against `transformers` (`tests/parity/make_encoders.py`): token
//! ids equal, hidden states of every layer within 1e-5, texts alone equal to texts in a batch.

use crate::common::{Values, folder, largest_difference, plain, weight, write_tensors};
use loupe_core::{ModelError, TextEncoder};
use loupe_models::{Checkpoint, Dtype, LoadError, LoadOptions, families::bert_score_layer, load_encoder};
use serde_json::{Value, json};
use std::path::Path;

struct Case {
    name: String,
    facts: Value,
    reference: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder("encoders")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "json"));
    paths.sort();
    assert_eq!(paths.len(), 6);
    let case = |p: &std::path::PathBuf| Case {
        name: p.file_stem().unwrap().to_string_lossy().into_owned(),
        facts: serde_json::from_slice(&std::fs::read(p).unwrap()).unwrap(),
        reference: std::fs::read(p.with_extension("safetensors")).unwrap(),
    };
    paths.iter().map(case).collect()
}

type Tensors = Vec<(String, Vec<usize>, Vec<u8>)>;

impl Case {
    fn texts(&self) -> Vec<&str> {
        self.facts["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect()
    }

    /// The checkpoint in a temporary folder, its tensors after `change`.
    fn write(&self, change: impl FnOnce(&mut Tensors)) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, part) in [
            ("config.json", "config"),
            ("tokenizer.json", "tokenizer"),
            ("tokenizer_config.json", "tokenizer_config"),
        ] {
            std::fs::write(dir.path().join(file), self.facts[part].to_string()).unwrap();
        }
        let rules = self.facts["weights"].as_object().unwrap();
        let mut tensors: Tensors = rules
            .iter()
            .map(|(name, rule)| {
                let (shape, bytes) = weight(name, rule);
                (name.clone(), shape, bytes)
            })
            .collect();
        change(&mut tensors);
        write_tensors(&tensors, &dir.path().join("model.safetensors"));
        dir
    }

    /// Hidden states of a text: layer after layer, token after token.
    fn wanted(&self, text: usize) -> Vec<f32> {
        Values::of(&self.reference, &text.to_string()).floats()
    }
}

fn load(dir: &Path) -> Box<dyn TextEncoder> {
    load_encoder(&Checkpoint::directory(dir), &LoadOptions::default()).unwrap()
}

fn refused(dir: &Path) -> LoadError {
    load_encoder(&Checkpoint::directory(dir), &LoadOptions::default()).err().unwrap()
}

fn check(case: &Case, encoder: &mut dyn TextEncoder, most: f32) {
    let texts = case.texts();
    for layer in 0..=encoder.layers() {
        let batch = encoder.encode(&texts, layer).unwrap();
        for (i, got) in batch.iter().enumerate() {
            let at = format!("{}, text {i}, layer {layer}", case.name);
            let ids: Vec<u32> = serde_json::from_value(case.facts["ids"][i].clone()).unwrap();
            assert_eq!(got.ids, ids, "{at}");
            let wanted = case.wanted(i);
            let size = wanted.len() / (encoder.layers() + 1);
            let off = largest_difference(&got.vectors, &wanted[layer * size..(layer + 1) * size]);
            assert!(off <= most, "{at}: off by {off}");
        }
    }
}

#[test]
fn ids_and_every_layer_equal_transformers() {
    for case in cases() {
        let dir = case.write(|_| ());
        let mut encoder = load(dir.path());
        check(&case, encoder.as_mut(), 1e-5);
        let [first, last] = encoder.frame();
        assert_eq!(encoder.tokens("").unwrap(), [first, last], "{}", case.name);
        let longest = case.texts().iter().map(|t| encoder.tokens(t).unwrap().len()).max().unwrap();
        assert_eq!(Some(longest), encoder.info().context_tokens, "{}: one text is cut", case.name);
    }
}

#[test]
fn a_batch_changes_nothing() {
    for case in cases() {
        let dir = case.write(|_| ());
        let mut encoder = load(dir.path());
        let last = encoder.layers();
        let batch = encoder.encode(&case.texts(), last).unwrap();
        for (text, together) in case.texts().iter().zip(batch) {
            let alone = encoder.encode(&[text], last).unwrap().remove(0);
            assert_eq!(alone.ids, together.ids);
            let off = largest_difference(&alone.vectors, &together.vectors);
            assert!(off <= 1e-6, "{}: {off}", case.name);
        }
        assert!(encoder.encode(&[], last).unwrap().is_empty());
        // More tokens than are computed at a time.
        let many: Vec<&str> = case.texts().into_iter().cycle().take(600).collect();
        let all = encoder.encode(&many, 1).unwrap();
        let few = encoder.encode(&case.texts(), 1).unwrap();
        for (i, got) in all.iter().enumerate() {
            assert!(largest_difference(&got.vectors, &few[i % few.len()].vectors) <= 1e-6);
        }
        let error = encoder.encode(&["a"], last + 1).unwrap_err();
        assert!(matches!(error, ModelError::Setting { setting: "layer", .. }), "{error}");
    }
}

#[test]
fn names_of_old_files_and_half_precision() {
    for case in cases() {
        let dir = case.write(|tensors| {
            for (name, _, _) in tensors.iter_mut().filter(|t| t.0.contains("LayerNorm")) {
                *name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
                *name = name.replace("LayerNorm.bias", "LayerNorm.beta");
            }
            tensors.push(("embeddings.position_ids".into(), vec![2], vec![0; 8]));
        });
        check(&case, load(dir.path()).as_mut(), 1e-5);
        let options = LoadOptions { dtype: Some(Dtype::F16), ..LoadOptions::default() };
        check(&case, load_encoder(&Checkpoint::directory(dir.path()), &options).unwrap().as_mut(), 2e-2);
    }
}

#[test]
fn the_operations_of_a_gpu_give_the_same_states() {
    for case in cases() {
        let dir = case.write(|_| ());
        for (dtype, most) in [(Dtype::F32, 1e-5), (Dtype::Bf16, 0.15)] {
            let encoder = load_encoder(&Checkpoint::directory(dir.path()), &plain(dtype));
            check(&case, encoder.unwrap().as_mut(), most);
        }
    }
}

#[test]
fn refused_with_the_tensor_or_field() {
    let case = &cases()[0];
    let dir = case.write(|t| t.retain(|t| !t.0.ends_with("1.output.dense.bias")));
    assert!(refused(dir.path()).to_string().contains("encoder.layer.1.output.dense.bias"));
    let dir = case.write(|t| t.push(("encoder.layer.9.odd".into(), vec![1], vec![0; 4])));
    assert!(refused(dir.path()).to_string().contains("encoder.layer.9.odd"));
    let dir = case.write(|_| ());
    for (field, value) in [
        ("model_type", json!("bart")),
        ("hidden_act", json!("relu")),
        ("position_embedding_type", json!("relative_key")),
        ("is_decoder", json!(true)),
        ("num_attention_heads", json!(5)),
        ("vocab_size", json!(3)),
    ] {
        let mut config = case.facts["config"].clone();
        config[field] = value;
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        refused(dir.path());
    }
    std::fs::write(dir.path().join("config.json"), case.facts["config"].to_string()).unwrap();
    let mut tokenizer = case.facts["tokenizer"].clone();
    tokenizer["post_processor"] = Value::Null;
    std::fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    assert!(refused(dir.path()).to_string().contains("frame"));
}

#[test]
fn layers_of_published_checkpoints() {
    assert_eq!(bert_score_layer("distilroberta-base"), Some(5));
    assert_eq!(bert_score_layer("FacebookAI/roberta-large"), Some(17));
    assert_eq!(bert_score_layer("scibert_scivocab_uncased"), Some(8));
    assert_eq!(bert_score_layer("my-own-bert"), None);
}
