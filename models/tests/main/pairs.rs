//! Encoders of pictures and texts held against `transformers` (`tests/parity/make_siglip.py`): vectors and logits
//! within 1e-5.

use crate::common::{Values, folder, largest_difference, picture, weight, write_tensors};
use loupe_core::{ModelError, PairEncoder};
use loupe_models::{Checkpoint, LoadError, LoadOptions, load_encoder, load_pair_encoder};
use serde_json::{Value, json};
use std::path::PathBuf;

struct Case {
    name: String,
    facts: Value,
    reference: Vec<u8>,
}

impl Case {
    fn all() -> Vec<Self> {
        let files = std::fs::read_dir(folder("siglip")).unwrap().map(|e| e.unwrap().path());
        let mut paths: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
        paths.sort();
        assert_eq!(paths.len(), 3);
        let case = |p: PathBuf| Self {
            name: p.file_stem().unwrap().to_string_lossy().into_owned(),
            facts: serde_json::from_slice(&std::fs::read(&p).unwrap()).unwrap(),
            reference: std::fs::read(p.with_extension("safetensors")).unwrap(),
        };
        paths.into_iter().map(case).collect()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        Values::of(&self.reference, name).floats()
    }

    /// Writes the checkpoint; `change` alters its config, `rename` its tensors.
    fn write(&self, change: impl Fn(&mut Value), rename: impl Fn(&str) -> String) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut config = self.facts["config"].clone();
        change(&mut config);
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let processor = json!({ "image_processor": self.facts["image_processor"] });
        std::fs::write(dir.path().join("processor_config.json"), processor.to_string()).unwrap();
        std::fs::copy(folder("siglip/tokenizer/tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
        let tensors = self.facts["weights"].as_object().unwrap().iter().map(|(name, rule)| {
            let (shape, bytes) = weight(name, rule);
            (rename(name), shape, bytes)
        });
        write_tensors(&tensors.collect::<Vec<_>>(), &dir.path().join("model.safetensors"));
        dir
    }

    fn load(&self) -> Box<dyn PairEncoder> {
        let dir = self.write(|_| {}, str::to_owned);
        load_pair_encoder(&Checkpoint::directory(dir.path()), &LoadOptions::default()).unwrap()
    }

    fn vectors(&self, encoder: &mut dyn PairEncoder) -> [Vec<Vec<f32>>; 2] {
        let pictures = self.facts["pictures"].as_array().unwrap().iter().map(|p| {
            let n = |i: usize| p[i].as_u64().unwrap();
            encoder.picture(&picture(n(0) as usize, n(1) as usize, n(2))).unwrap()
        });
        let pictures = pictures.collect();
        let texts = self.facts["texts"].as_array().unwrap().iter();
        [pictures, texts.map(|t| encoder.text(t.as_str().unwrap()).unwrap()).collect()]
    }
}

#[test]
fn vectors_and_logits_equal_transformers() {
    for case in Case::all() {
        let mut encoder = case.load();
        let [pictures, texts] = case.vectors(encoder.as_mut());
        for (got, name) in [(&pictures, "image_embeds"), (&texts, "text_embeds")] {
            assert!(got.iter().all(|v| v.len() == encoder.width()));
            let off = largest_difference(&got.concat(), &case.floats(name));
            assert!(off <= 1e-5, "{}: {name} differ by {off}", case.name);
        }
        let logit = encoder.logit();
        let logits = pictures.iter().flat_map(|p| texts.iter().map(move |t| logit.of(p, t) as f32));
        let off = largest_difference(&logits.collect::<Vec<_>>(), &case.floats("logits_per_image"));
        assert!(off <= 5e-5, "{}: logits differ by {off}", case.name);
    }
}

#[test]
fn published_settings_and_names_load_the_same() {
    let case = Case::all().remove(2);
    let sparse = |config: &mut Value| {
        for (part, field) in [
            ("text_config", "hidden_act"),
            ("text_config", "layer_norm_eps"),
            ("text_config", "pad_token_id"),
            ("vision_config", "num_channels"),
            ("vision_config", "vision_use_head"),
        ] {
            assert!(config[part].as_object_mut().unwrap().remove(field).is_some(), "{field}");
        }
    };
    let dir = case.write(sparse, |name| format!("model.{name}"));
    let mut encoder = load_pair_encoder(&Checkpoint::directory(dir.path()), &LoadOptions::default()).unwrap();
    assert_eq!(case.vectors(encoder.as_mut()), case.vectors(case.load().as_mut()));
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let case = Case::all().remove(2);
    let mut encoder = case.load();
    let long = encoder.text(&"chest ".repeat(40)).unwrap_err();
    assert!(matches!(long, ModelError::TooLong { limit: 34, .. }), "{long}");
    let headless = case.write(|c| c["vision_config"]["vision_use_head"] = json!(false), str::to_owned);
    let options = LoadOptions::default();
    let error = load_pair_encoder(&Checkpoint::directory(headless.path()), &options).err().unwrap();
    assert!(error.to_string().contains("vision_use_head"), "{error}");
    let whole = case.write(|_| {}, str::to_owned);
    let error = load_encoder(&Checkpoint::directory(whole.path()), &options).err().unwrap();
    assert!(matches!(error, LoadError::Task { family: "siglip", .. }), "{error}");
}
