//! LoRA adapters held against peft (`tests/parity/make_adapters.py`): logits within 5e-5, 32 greedy tokens equal.

use crate::common::{Case, Dialect, Values, dumped, folder, largest_difference, weight, write_tensors};
use loupe_models::{LoadError, LoadOptions, load};
use serde_json::{Value, json};
use std::path::Path;

struct AdapterCase {
    name: String,
    facts: Value,
    reference: Vec<u8>,
}

impl AdapterCase {
    fn all() -> Vec<Self> {
        let mut paths: Vec<_> =
            std::fs::read_dir(folder("adapters")).unwrap().map(|e| e.unwrap().path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == "json"));
        paths.sort();
        assert!(paths.len() >= 3);
        let case = |p: std::path::PathBuf| Self {
            name: p.file_stem().unwrap().to_string_lossy().into_owned(),
            facts: serde_json::from_slice(&std::fs::read(&p).unwrap()).unwrap(),
            reference: std::fs::read(p.with_extension("safetensors")).unwrap(),
        };
        paths.into_iter().map(case).collect()
    }

    fn base(&self) -> Case {
        let (family, name) = (self.facts["family"].as_str().unwrap(), self.facts["case"].as_str().unwrap());
        Case::all(family).into_iter().find(|c| c.name.starts_with(name)).unwrap()
    }

    /// The adapter in a temporary folder; `rename` gives the names in its file, `None` leaves a tensor out.
    fn write(
        &self,
        change: &dyn Fn(&mut Value),
        rename: &dyn Fn(&str) -> Option<String>,
    ) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut config = self.facts["adapter_config"].clone();
        change(&mut config);
        std::fs::write(dir.path().join("adapter_config.json"), config.to_string()).unwrap();
        let tensors = self.facts["weights"].as_object().unwrap().iter().filter_map(|(name, rule)| {
            let (shape, bytes) = weight(name, rule);
            Some((rename(name)?, shape, bytes))
        });
        write_tensors(&tensors.collect::<Vec<_>>(), &dir.path().join("adapter_model.safetensors"));
        dir
    }
}

fn with(adapter: &Path) -> LoadOptions {
    LoadOptions { adapter: Some(adapter.to_path_buf()), ..LoadOptions::default() }
}

fn unchanged(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn replies_equal_those_of_peft() {
    for case in AdapterCase::all() {
        let (base, adapter) = (case.base(), case.write(&|_| (), &unchanged));
        let dir = base.write(&Dialect::default());
        for (i, ask) in base.asks(32).iter().enumerate() {
            let got = dumped(dir.path(), std::slice::from_ref(ask), &with(adapter.path()));
            let want = |name: &str| Values::of(&case.reference, &format!("{i}.{name}"));
            let off = largest_difference(&got.floats("logits"), &want("logits").floats());
            assert!(off <= 5e-5, "{} ask {i}: logits differ by {off}", case.name);
            assert_eq!(got.ints("generated_ids"), want("generated_ids").ints(), "{} ask {i}", case.name);
        }
    }
}

#[test]
fn names_of_older_writers_mean_the_same() {
    let case = AdapterCase::all().into_iter().find(|c| c.name == "language_and_vision").unwrap();
    let base = case.base();
    let dir = base.write(&Dialect { old_names: true, ..Dialect::default() });
    // transformers before 4.52, with the adapter's own name in the keys.
    let older = |name: &str| {
        let name = name
            .replace("model.model.language_model.", "model.model.")
            .replace("model.model.visual.", "model.visual.");
        Some(name.replace(".lora_A.", ".lora_A.default.").replace(".lora_B.", ".lora_B.default."))
    };
    let patterns = |config: &mut Value| {
        config["rank_pattern"] = json!({"layers.1.self_attn.q_proj": 2, "blocks.0.attn.qkv": 6});
    };
    let adapter = case.write(&patterns, &older);
    let mut model = load(dir.path(), &with(adapter.path())).unwrap();
    let reply = model.generate(&base.asks(32)[..1]).remove(0).unwrap();
    let want: Vec<u32> =
        Values::of(&case.reference, "0.generated_ids").ints().iter().map(|v| *v as u32).collect();
    assert_eq!(reply.token_ids, want);
    let info = model.info();
    assert!(info.name.contains('+'), "{}", info.name);
    let record = info.checkpoint().unwrap();
    assert_eq!(record.adapter_sha256.as_ref().map(String::len), Some(64));
    assert_eq!(record.settings["adapter"]["r"], 4);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let case = AdapterCase::all().into_iter().find(|c| c.name == "language_and_vision").unwrap();
    let dir = case.base().write(&Dialect::default());
    let refused =
        |adapter: &tempfile::TempDir| load(dir.path(), &with(adapter.path())).err().unwrap().to_string();
    let stray = |name: &str| Some(name.replace("layers.0.mlp", "layers.7.mlp"));
    let error = refused(&case.write(&|_| (), &stray));
    assert!(error.contains("layers.7.mlp") && error.contains("another base model"), "{error}");
    let half = |name: &str| (!name.contains("patch_embed.proj.lora_B")).then(|| name.to_owned());
    let error = refused(&case.write(&|_| (), &half));
    assert!(error.contains("patch_embed.proj.lora_B") && error.contains("missing"), "{error}");
    for (field, value) in [
        ("use_dora", json!(true)),
        ("init_lora_weights", json!("pissa_niter_4")),
        ("peft_type", json!("IA3")),
    ] {
        let error = refused(&case.write(&|config| config[field] = value.clone(), &unchanged));
        assert!(error.contains("adapter_config.json") && error.contains(field), "{error}");
    }
    let error = refused(&case.write(&|config| config["rank_pattern"] = json!({}), &unchanged));
    assert!(error.contains("has rank") && error.contains("says 4"), "{error}");
    let error = refused(&tempfile::tempdir().unwrap());
    assert!(error.contains("adapter_config.json"), "{error}");
    // A folder that holds an adapter beside or in place of a model says what to do.
    let adapter = case.write(&|_| (), &unchanged);
    let error = load(adapter.path(), &LoadOptions::default()).err().unwrap();
    assert!(matches!(&error, LoadError::File { problem, .. } if problem.contains("--adapter")), "{error}");
}

#[test]
fn an_adapter_of_embeddings_that_are_also_the_head_is_refused() {
    let case = AdapterCase::all().into_iter().find(|c| c.name.starts_with("rank_stabilised")).unwrap();
    let base = Case::all("qwen2_vl").into_iter().find(|c| c.name.starts_with("gqa")).unwrap();
    let dir = base.write(&Dialect::default());
    let mut config: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("config.json")).unwrap()).unwrap();
    config["tie_word_embeddings"] = json!(true);
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let adapter = case.write(&|_| (), &unchanged);
    let error = load(dir.path(), &with(adapter.path())).err().unwrap().to_string();
    assert!(error.contains("--adapter") && error.contains("output head"), "{error}");
}
