//! Settings of a checkpoint are used, refused by name or said to be left out; none is dropped.

use crate::common::{Case, Dialect, greedy, picture};
use loupe_core::{Ask, ModelInfo, VisionLanguageModel};
use loupe_models::{LoadError, LoadOptions, PixelBounds, load, load_segmenter};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

fn case(name: &str) -> Case {
    Case::all("qwen2_5_vl").into_iter().find(|c| c.name.starts_with(name)).unwrap()
}

/// Changes a JSON file of the folder; one that is not there is an empty object.
fn edit(dir: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = dir.join(file);
    let mut value = std::fs::read(&path).map_or(json!({}), |text| serde_json::from_slice(&text).unwrap());
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

fn open(dir: &Path) -> Box<dyn VisionLanguageModel> {
    load(dir, &LoadOptions::default()).unwrap()
}

fn refused(dir: &Path) -> String {
    load(dir, &LoadOptions::default()).err().unwrap().to_string()
}

fn ask() -> Ask {
    greedy(vec![Arc::new(picture(60, 45, 5))], "What is shown?", 32)
}

fn said(model: &mut dyn VisionLanguageModel, penalty: Option<f64>) -> Vec<u32> {
    let mut ask = ask();
    ask.limits.repetition_penalty = penalty;
    model.generate(&[ask]).remove(0).unwrap().token_ids
}

fn settings(info: &ModelInfo) -> &Value {
    &info.checkpoint().unwrap().settings
}

#[test]
fn a_stored_head_is_used_or_refused_whatever_the_flags_say() {
    let untied = case("gqa");
    let dir = untied.write(&Dialect::default());
    let expected = said(open(dir.path()).as_mut(), None);
    let flags = |outer: Option<bool>, inner: Option<bool>| {
        edit(dir.path(), "config.json", |c| {
            c["tie_word_embeddings"] = outer.map_or(Value::Null, Value::from);
            c["text_config"]["tie_word_embeddings"] = inner.map_or(Value::Null, Value::from);
        });
    };
    for (outer, inner) in [(Some(false), Some(true)), (Some(false), Some(false)), (None, None)] {
        flags(outer, inner);
        assert_eq!(said(open(dir.path()).as_mut(), None), expected, "{outer:?} {inner:?}");
    }
    for (outer, inner) in [(Some(true), None), (Some(true), Some(false)), (None, Some(true))] {
        flags(outer, inner);
        let error = refused(dir.path());
        assert!(error.contains("tie_word_embeddings") && error.contains("lm_head.weight"), "{error}");
    }
    // A stored copy of the embeddings changes nothing.
    let tied = case("mha_tied");
    let expected = said(open(tied.write(&Dialect::default()).path()).as_mut(), None);
    let stored = tied.write(&Dialect { stored_head: true, ..Dialect::default() });
    assert_eq!(said(open(stored.path()).as_mut(), None), expected);
}

#[test]
fn the_checkpoints_own_generation_is_used_or_its_neglect_is_said() {
    let dir = case("gqa").write(&Dialect { jinja_file: true, ..Dialect::default() });
    let mut plain = open(dir.path());
    let (without, with) = (said(plain.as_mut(), None), said(plain.as_mut(), Some(0.02)));
    // Below 1 it favours what was seen, which shows even where nothing is repeated otherwise.
    assert_ne!(without, with, "the penalty has to show");
    assert!(
        !plain.info().notes().iter().any(|n| n.contains("generation_config")),
        "{:?}",
        plain.info().notes()
    );
    edit(dir.path(), "generation_config.json", |g| {
        *g = json!({
            "repetition_penalty": 0.02, "do_sample": true, "temperature": 0.6, "top_k": null, "num_beams": 1,
            "no_repeat_ngram_size": 3, "transformers_version": "4.49.0", "pad_token_id": 0, "suppress_tokens": [],
        });
    });
    let mut model = open(dir.path());
    assert_eq!(said(model.as_mut(), None), with, "as `generate` does");
    assert_eq!(said(model.as_mut(), Some(1.0)), without, "an ask decides for itself");
    let info = model.info();
    let line = info.notes().iter().find(|n| n.contains("generation_config")).unwrap();
    for part in
        ["repetition_penalty 0.02 is used", "do_sample true", "temperature 0.6", "no_repeat_ngram_size 3"]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
    for part in ["num_beams", "version", "pad_token", "suppress", "top_k"] {
        assert!(!line.contains(part), "{part}: {line}");
    }
    let recorded = info.checkpoint().unwrap().generation.as_ref().unwrap();
    assert_eq!(recorded.repetition_penalty, 0.02);
    assert_eq!(recorded.not_used.len(), 3, "{recorded:?}");

    for (field, value) in
        [("repetition_penalty", json!("high")), ("eos_token_id", json!(["a"])), ("eos_token_id", json!(-1))]
    {
        edit(dir.path(), "generation_config.json", |g| *g = json!({ field: value }));
        assert!(refused(dir.path()).contains(field));
    }
}

#[test]
fn tokens_outside_the_vocabulary_are_refused_by_name() {
    let sound = case("gqa").write(&Dialect::default());
    let config: Value =
        serde_json::from_slice(&std::fs::read(sound.path().join("config.json")).unwrap()).unwrap();
    let vocab = config["text_config"]["vocab_size"].as_u64().unwrap();
    let write = |file: &str, part: Option<&str>, field: &str, value: Value| {
        let dir = case("gqa").write(&Dialect::default());
        edit(dir.path(), file, |c| {
            let to = if let Some(part) = part { &mut c[part] } else { c };
            to[field] = value;
        });
        dir
    };
    let (config, generation) = ("config.json", "generation_config.json");
    for field in ["eos_token_id", "bos_token_id"] {
        for value in [json!(vocab), json!([0, vocab + 7]), json!(4_000_000_000u64)] {
            for (file, part) in [(config, Some("text_config")), (config, None), (generation, None)] {
                let dir = write(file, part, field, value.clone());
                let error = refused(dir.path());
                assert!(
                    error.contains(file)
                        && error.contains(field)
                        && error.contains(&format!("{vocab} tokens")),
                    "{error}"
                );
            }
        }
        // The last one is a token.
        let dir = write(generation, None, field, json!([vocab - 1]));
        open(dir.path());
    }
    // So older writers say that there is none; padding is never read.
    open(write(config, None, "bos_token_id", json!(-1)).path());
    open(write(config, None, "pad_token_id", json!(vocab)).path());
    // Where no id is given the tokenizer's own end token counts, which has to be one.
    let dir = case("gqa").write(&Dialect::default());
    for (file, part) in [("config.json", Some("text_config")), ("config.json", None), (generation, None)] {
        edit(dir.path(), file, |c| {
            let to = if let Some(part) = part { &mut c[part] } else { c };
            to["eos_token_id"] = Value::Null;
        });
    }
    edit(dir.path(), "tokenizer_config.json", |c| c["eos_token"] = json!({ "content": "<never seen>" }));
    let error = refused(dir.path());
    assert!(error.contains("tokenizer_config.json") && error.contains("eos_token"), "{error}");
}

#[test]
fn end_tokens_end_a_reply_and_are_on_record() {
    let dir = case("gqa").write(&Dialect::default());
    let whole = said(open(dir.path()).as_mut(), None);
    edit(dir.path(), "generation_config.json", |g| *g = json!({ "eos_token_id": [whole[3], whole[3]] }));
    let mut model = open(dir.path());
    let first = whole.iter().position(|id| *id == whole[3]).unwrap();
    assert_eq!(said(model.as_mut(), None), whole[..first]);
    assert_eq!(model.info().checkpoint().unwrap().generation.as_ref().unwrap().end_tokens, [whole[3]]);
}

#[test]
fn the_size_of_pictures_is_that_of_the_file_or_of_the_option_and_odd_ones_are_refused() {
    let dir = case("gqa").write(&Dialect { old_processor: true, ..Dialect::default() });
    const FILE: &str = "preprocessor_config.json";
    let tokens = |options: &LoadOptions| {
        let mut model = load(dir.path(), options).unwrap();
        let reply = model.generate(&[ask()]).remove(0).unwrap();
        let shown = settings(model.info())["pictures"].clone();
        (reply.counts.picture_tokens, shown["min_pixels"].as_u64(), shown["max_pixels"].as_u64())
    };
    let bounds = |min, max| LoadOptions { pixels: PixelBounds { min, max }, ..LoadOptions::default() };
    let plain = tokens(&LoadOptions::default());
    assert_eq!((plain.1, plain.2), (Some(3136), Some(50176)));
    let small = tokens(&bounds(Some(784), Some(1568)));
    assert!(small.0 < plain.0 && (small.1, small.2) == (Some(784), Some(1568)), "{small:?} {plain:?}");
    let large = tokens(&bounds(Some(12_544), None));
    assert!(large.0 > plain.0 && large.1 == Some(12_544), "{large:?}");
    let error = load(dir.path(), &bounds(None, Some(100))).err().unwrap();
    assert!(matches!(&error, LoadError::Option { option: "--max-pixels", .. }), "{error}");

    let size = |size: Value| {
        edit(dir.path(), FILE, |p| {
            p.as_object_mut().unwrap().retain(|name, _| name != "min_pixels" && name != "max_pixels");
            p["size"] = size;
        });
    };
    for (odd, named) in [
        (json!({ "height": 448, "width": 448 }), "height"),
        (json!({ "shortest_edge": 3136 }), "longest_edge"),
        (json!({ "longest_edge": 3136 }), "shortest_edge"),
        (json!({ "shortest_edge": 784, "longest_edge": 1568, "width": 9 }), "width"),
        (json!(448), "size"),
    ] {
        size(odd);
        let error = refused(dir.path());
        assert!(error.contains(named) && error.contains(FILE), "{error}");
    }
    for sound in [
        json!({ "shortest_edge": 784, "longest_edge": 1568, "height": null }),
        json!({ "min_pixels": 784, "max_pixels": 1568 }),
    ] {
        size(sound);
        assert_eq!(tokens(&LoadOptions::default()), small);
    }
    edit(dir.path(), FILE, |p| p["do_center_crop"] = json!(true));
    assert!(refused(dir.path()).contains("do_center_crop"));
}

#[test]
fn what_is_known_and_not_implemented_is_refused_by_name() {
    let dir = case("gqa").write(&Dialect::default());
    let sound = std::fs::read(dir.path().join("config.json")).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        std::fs::write(dir.path().join("config.json"), &sound).unwrap();
        edit(dir.path(), "config.json", |c| change(c));
        refused(dir.path())
    };
    #[expect(clippy::type_complexity, reason = "a table")]
    let changes: &[(&str, &dyn Fn(&mut Value))] = &[
        ("quantization_config", &|c| c["quantization_config"] = json!({ "quant_method": "awq" })),
        ("layer_types", &|c| {
            c["text_config"]["layer_types"] = json!(["full_attention", "sliding_attention"]);
        }),
        ("head_dim", &|c| c["text_config"]["head_dim"] = json!(7)),
        ("hidden_act", &|c| c["text_config"]["hidden_act"] = json!("relu")),
        ("hidden_act", &|c| c["vision_config"]["hidden_act"] = json!(5)),
        ("partial_rotary_factor", &|c| {
            c["text_config"]["rope_parameters"]["partial_rotary_factor"] = json!(0.5);
        }),
        ("vision_config", &|c| c["vision_config"] = json!("large")),
    ];
    for (named, change) in changes {
        let error = with(change);
        assert!(error.contains(named), "{named}: {error}");
    }
    std::fs::write(dir.path().join("config.json"), &sound).unwrap();
    std::fs::write(dir.path().join("adapter_config.json"), "{}").unwrap();
    assert!(refused(dir.path()).contains("adapter"));
}

#[test]
fn files_and_settings_are_on_record_and_follow_the_files() {
    let dir = case("gqa").write(&Dialect { jinja_file: true, ..Dialect::default() });
    let before = open(dir.path()).info().clone();
    let record = before.checkpoint().unwrap();
    for file in ["config.json", "processor_config.json", "tokenizer.json", "chat_template.jinja"] {
        assert_eq!(record.files_sha256[file].len(), 64, "{file}");
    }
    // Other white space is another file that means the same.
    edit(dir.path(), "config.json", |c| c["transformers_version"] = json!("4.99"));
    let other = open(dir.path()).info().clone();
    assert_ne!(other.checkpoint().unwrap().files_sha256, record.files_sha256);
    assert_eq!(settings(&other), settings(&before));
    edit(dir.path(), "config.json", |c| c["text_config"]["rms_norm_eps"] = json!(0.01));
    assert_ne!(settings(open(dir.path()).info()), settings(&before));
}

#[test]
fn a_segmenter_has_no_budget_of_pixels() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/phantom/assets/phantom-sam");
    let options =
        LoadOptions { pixels: PixelBounds { min: None, max: Some(1000) }, ..LoadOptions::default() };
    let checkpoint = loupe_models::Checkpoint::directory(&folder);
    let error = load_segmenter(&checkpoint, None, &options).err().unwrap();
    assert!(matches!(error, LoadError::Option { option: "--max-pixels", .. }), "{error}");
    assert!(load_segmenter(&checkpoint, None, &LoadOptions::default()).is_ok());
}
