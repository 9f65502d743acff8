//! Encoders of pictures and texts held against `transformers` and open_clip (`tests/parity/make_siglip.py`,
//! `make_clip.py`, `make_medclip.py`): vectors within 1e-5, logits within 5e-5.

use crate::common::{Values, cosine, folder, largest_difference, picture, plain, weight, write_tensors};
use crate::damaged::{fill, is_of_tower};
use loupe_core::{Bottleneck, ModelError, PairEncoder, PairReading};
use loupe_models::{Checkpoint, Dtype, LoadError, LoadOptions, load_encoder, load_pair_encoder};
use serde_json::{Value, json};
use std::path::PathBuf;

pub(crate) struct Case {
    pub(crate) name: String,
    family: &'static str,
    facts: Value,
    reference: Vec<u8>,
}

impl Case {
    pub(crate) fn all(family: &'static str) -> Vec<Self> {
        let files = std::fs::read_dir(folder(family)).unwrap().map(|e| e.unwrap().path());
        let mut paths: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
        paths.sort();
        assert_eq!(paths.len(), 3);
        let case = |p: PathBuf| Self {
            name: p.file_stem().unwrap().to_string_lossy().into_owned(),
            family,
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
        let put = |name: &str, value: &Value| {
            let file = dir.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, value.to_string()).unwrap();
        };
        if self.family == "medclip" {
            // Its files have no settings.
        } else if self.family == "biomedclip" {
            put("open_clip_config.json", &config);
            // What the text model is called where its heads do not follow from its tensors.
            put("beside/bert/config.json", &self.facts["bert"]);
        } else {
            put("config.json", &config);
            put("processor_config.json", &json!({ "image_processor": self.facts["image_processor"] }));
        }
        let tokenizer = folder(&format!("{}/tokenizer/tokenizer.json", self.family));
        std::fs::copy(tokenizer, dir.path().join("tokenizer.json")).unwrap();
        let tensors = self.facts["weights"].as_object().unwrap().iter().map(|(name, rule)| {
            let (shape, bytes) = weight(name, rule);
            (rename(name), shape, bytes)
        });
        write_tensors(&tensors.collect::<Vec<_>>(), &dir.path().join("model.safetensors"));
        dir
    }

    pub(crate) fn load(&self) -> Box<dyn PairEncoder> {
        self.load_with(&LoadOptions::default())
    }

    fn load_with(&self, options: &LoadOptions) -> Box<dyn PairEncoder> {
        let dir = self.write(|_| {}, str::to_owned);
        load_pair_encoder(&Checkpoint::directory(dir.path()), options).unwrap()
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
fn vectors_and_logits_equal_the_reference() {
    for case in ["siglip", "clip", "biomedclip", "medclip"].into_iter().flat_map(Case::all) {
        let at = format!("{} ({})", case.name, case.family);
        let mut encoder = case.load();
        let [pictures, texts] = case.vectors(encoder.as_mut());
        for (got, name) in [(&pictures, "image_embeds"), (&texts, "text_embeds")] {
            assert!(got.iter().all(|v| v.len() == encoder.width()));
            let off = largest_difference(&got.concat(), &case.floats(name));
            assert!(off <= 1e-5, "{at}: {name} differ by {off}");
        }
        let logit = encoder.logit();
        let logits = pictures.iter().flat_map(|p| texts.iter().map(move |t| logit.of(p, t) as f32));
        let off = largest_difference(&logits.collect::<Vec<_>>(), &case.floats("logits_per_image"));
        assert!(off <= 5e-5, "{at}: logits differ by {off}");
        let wanted = if case.family == "siglip" { PairReading::Each } else { PairReading::Among };
        assert_eq!((logit.reading, encoder.info().family.as_str()), (wanted, case.family), "{at}");
    }
}

#[test]
fn the_operations_of_a_gpu_give_the_same_vectors() {
    for case in ["siglip", "clip", "biomedclip", "medclip"].into_iter().flat_map(Case::all) {
        let at = format!("{} ({})", case.name, case.family);
        let wanted = [case.floats("image_embeds"), case.floats("text_embeds")];
        let found = case.vectors(case.load_with(&plain(Dtype::F32)).as_mut());
        for (got, wanted) in found.iter().zip(&wanted) {
            let off = largest_difference(&got.concat(), wanted);
            assert!(off <= 1e-5, "{at}: {off}");
        }
        // candle multiplies no bf16 on the processor.
        let found = case.vectors(case.load_with(&plain(Dtype::F16)).as_mut());
        for (got, wanted) in found.iter().zip(&wanted) {
            let close = cosine(&got.concat(), wanted);
            assert!(close >= 0.995, "{at}: cosine {close}");
        }
    }
}

#[test]
fn published_settings_and_names_load_the_same() {
    let case = Case::all("siglip").remove(2);
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
    let case = Case::all("siglip").remove(2);
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

#[test]
fn an_end_token_outside_the_vocabulary_is_refused_by_name() {
    let case = Case::all("clip").remove(0);
    let vocab = case.facts["config"]["text_config"]["vocab_size"].as_u64().unwrap();
    let dir = case.write(|c| c["text_config"]["eos_token_id"] = json!(vocab), str::to_owned);
    let error = load_pair_encoder(&Checkpoint::directory(dir.path()), &LoadOptions::default()).err().unwrap();
    assert!(error.to_string().contains("text_config.eos_token_id"), "{error}");
}

#[test]
fn a_tower_that_overflows_gives_no_vector() {
    for case in ["siglip", "clip", "biomedclip"].into_iter().map(|family| Case::all(family).remove(0)) {
        let dir = case.write(|_| {}, str::to_owned);
        fill(&dir.path().join("model.safetensors"), 1e30, is_of_tower);
        let mut encoder =
            load_pair_encoder(&Checkpoint::directory(dir.path()), &LoadOptions::default()).unwrap();
        let error = encoder.picture(&picture(48, 51, 3)).unwrap_err();
        assert_eq!(error, ModelError::NotFinite("vision features"), "{}", case.family);
        assert!(encoder.text("chest").is_ok(), "{}", case.family);
    }
}

#[test]
fn older_files_of_clip_load_the_same() {
    let case = Case::all("clip").remove(0);
    let older = |config: &mut Value| {
        // The older field counts.
        config["text_config_dict"] = config["text_config"].clone();
        config["text_config"]["num_attention_heads"] = json!(1);
        config["vision_config"].as_object_mut().unwrap().remove("hidden_act").unwrap();
    };
    let dir = case.write(older, str::to_owned);
    let mut encoder = load_pair_encoder(&Checkpoint::directory(dir.path()), &LoadOptions::default()).unwrap();
    assert_eq!(case.vectors(encoder.as_mut()), case.vectors(case.load().as_mut()));
}

/// The vectors of the picture and the texts in expected.json.
fn assert_as_expected(folder: &std::path::Path) {
    let checkpoint = Checkpoint::directory(folder);
    let mut encoder = load_pair_encoder(&checkpoint, &LoadOptions::default()).unwrap();
    let expected = std::fs::read(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let numbers = |value: &Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
    };
    let got = encoder.picture(&picture(48, 51, 3)).unwrap();
    let off = largest_difference(&got, &numbers(&expected["image_embed"]));
    assert!(off <= 1e-5, "vectors of pictures differ by {off}");
    for (text, want) in
        expected["texts"].as_array().unwrap().iter().zip(expected["text_embeds"].as_array().unwrap())
    {
        let got = encoder.text(text.as_str().unwrap()).unwrap();
        let off = largest_difference(&got, &numbers(want));
        assert!(off <= 1e-5, "{text}: vectors differ by {off}");
    }
}

#[test]
fn published_state_dicts_load() {
    let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_as_expected(&own.join("../tests/biomedclip"));
    // With the vocabulary of its BERT alone.
    assert_as_expected(&own.join("tests/parity/medclip/published"));
}

#[test]
fn what_is_no_medclip_is_refused_by_name() {
    let case = Case::all("medclip").remove(1);
    let options = LoadOptions::default();
    let refused = |rename: fn(&str) -> String| {
        let dir = case.write(|_| {}, rename);
        load_pair_encoder(&Checkpoint::directory(dir.path()), &options).err().unwrap().to_string()
    };
    let error = refused(|name| name.replace("encoder.layer.2.", "encoder.layer.4."));
    assert!(error.contains("encoder.layer.2"), "{error}");
    let error = refused(|name| name.replace("relative_position_bias_table", "table"));
    assert!(error.contains("relative_position_bias_table"), "{error}");
    let mut encoder = case.load();
    let error = encoder.saliency(&picture(48, 51, 3), "a chest x ray", &Bottleneck::default()).unwrap_err();
    assert!(error.to_string().contains("medclip shows no place"), "{error}");
}

/// A name of open_clip as `convert.py` of MedCLIP-SAMv2 changes it; the joined projections are taken apart elsewhere.
fn converted(name: &str) -> String {
    const PARTS: &[(&str, &str)] = &[
        ("visual.trunk.blocks.", "vision_model.encoder.layers."),
        ("visual.trunk.cls_token", "vision_model.embeddings.class_embedding"),
        ("visual.trunk.pos_embed", "vision_model.embeddings.position_embedding.weight"),
        ("visual.trunk.patch_embed.proj.", "vision_model.embeddings.patch_embedding."),
        ("visual.trunk.norm.", "vision_model.post_layernorm."),
        ("visual.head.proj.", "visual_projection."),
        (".norm1.", ".layer_norm1."),
        (".norm2.", ".layer_norm2."),
        (".attn.proj.", ".self_attn.out_proj."),
        ("text.transformer.embeddings.word_embeddings.", "text_model.embeddings.token_embedding."),
        ("text.transformer.embeddings.position_embeddings.", "text_model.embeddings.position_embedding."),
        ("text.transformer.embeddings.token_type_embeddings.", "text_model.embeddings.token_type_embedding."),
        ("text.transformer.embeddings.LayerNorm.", "text_model.embeddings.layer_norm."),
        ("text.transformer.encoder.layer.", "text_model.encoder.layers."),
        (".attention.self.query.", ".self_attn.q_proj."),
        (".attention.self.key.", ".self_attn.k_proj."),
        (".attention.self.value.", ".self_attn.v_proj."),
        (".attention.output.dense.", ".self_attn.out_proj."),
        (".attention.output.LayerNorm.", ".layer_norm1."),
        (".intermediate.dense.", ".mlp.fc1."),
        (".output.LayerNorm.", ".layer_norm2."),
        (".output.dense.", ".mlp.fc2."),
        ("text.proj.0.", "text_projection.fc1."),
        ("text.proj.2.", "text_projection.fc2."),
    ];
    PARTS.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

#[test]
fn the_layout_of_medclip_sam_loads_the_same() {
    let case = Case::all("biomedclip").remove(0);
    let weights = case.facts["weights"].as_object().unwrap();
    let mut tensors = Vec::new();
    for (name, rule) in weights.iter().filter(|(name, _)| !name.contains("pooler.")) {
        let (shape, bytes) = weight(name, rule);
        let Some((block, kind)) = name.split_once(".attn.qkv.") else {
            tensors.push((converted(name), shape, bytes));
            continue;
        };
        for (part, bytes) in ["q", "k", "v"].iter().zip(bytes.chunks_exact(bytes.len() / 3)) {
            let shape = [&[shape[0] / 3], &shape[1..]].concat();
            tensors.push((
                format!("{}.self_attn.{part}_proj.{kind}", converted(block)),
                shape,
                bytes.to_vec(),
            ));
        }
    }
    let shape = |name: &str| weights[name][0].as_array().unwrap().iter().map(|n| n.as_u64().unwrap());
    let rows = |name: &str| shape(name).next().unwrap();
    let vision = json!({
        "model_type": "vit", "hidden_act": "gelu", "hidden_size": rows("visual.trunk.norm.weight"),
        "image_size": case.facts["config"]["model_cfg"]["vision_cfg"]["image_size"], "layer_norm_eps": 1e-6,
        "intermediate_size": rows("visual.trunk.blocks.0.mlp.fc1.weight"), "num_attention_heads": 1,
        "num_hidden_layers": 2, "patch_size": shape("visual.trunk.patch_embed.proj.weight").next_back().unwrap(),
    });
    let config = json!({
        "architectures": ["BiomedCLIPModel"], "model_type": "clip", "text_config": case.facts["bert"],
        "vision_config": vision, "projection_dim": rows("visual.head.proj.weight"),
    });
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let tokenizer = folder("biomedclip/tokenizer/tokenizer.json");
    std::fs::copy(tokenizer, dir.path().join("tokenizer.json")).unwrap();
    write_tensors(&tensors, &dir.path().join("model.safetensors"));
    let mut encoder = load_pair_encoder(&Checkpoint::directory(dir.path()), &LoadOptions::default()).unwrap();
    assert_eq!(encoder.info().family, "biomedclip");
    let mut own = case.load();
    // As large as the network reads: torchvision and the libraries of open_clip cut the middle out at other pixels.
    let square = picture(48, 48, 9);
    assert_eq!(encoder.picture(&square).unwrap(), own.picture(&square).unwrap());
    let text = "no pleural effusion";
    assert_eq!(encoder.text(text).unwrap(), own.text(text).unwrap());
}

#[test]
fn what_open_clip_leaves_open_is_refused_by_name() {
    let case = Case::all("biomedclip").into_iter().find(|c| c.name == "named_heads").unwrap();
    let refused = |change: fn(&mut Value)| {
        let dir = case.write(change, str::to_owned);
        let error = load_pair_encoder(&Checkpoint::directory(dir.path()), &LoadOptions::default()).err();
        error.unwrap().to_string()
    };
    let error = refused(|c| drop(c["model_cfg"]["vision_cfg"].as_object_mut().unwrap().remove("heads")));
    assert!(error.contains("timm_model_name") && error.contains("state heads"), "{error}");
    let error = refused(|c| c["model_cfg"]["text_cfg"]["hf_pooler_type"] = json!("max_pooler"));
    assert!(error.contains("hf_pooler_type") && error.contains("max_pooler"), "{error}");
    let error = refused(|c| c["preprocess_cfg"]["size"] = json!([224, 224]));
    assert!(error.contains("preprocess_cfg.size"), "{error}");
}
