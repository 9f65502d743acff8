//! Gemma 3, MedGemma and InternVL in GGUF files: those that gguf-py wrote give what `transformers` does with the weights that their
//! blocks stand for (`tests/parity/make_gguf_families.py`), and what a file lacks is asked for by name.

use crate::common::{Values, dumped, folder, greedy, largest_difference, picture, weight};
use crate::gguf_files::{Kept, Tensor, file, gives_what_transformers_does, pair};
use loupe_core::ModelInfo;
use loupe_models::{LoadOptions, load};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

fn info(path: &Path) -> ModelInfo {
    load(path, &LoadOptions::default()).unwrap().info().clone()
}

fn refused(path: &Path) -> String {
    load(path, &LoadOptions::default()).err().expect("it should be refused").to_string()
}

#[test]
fn files_in_f32_give_what_transformers_does() {
    for (family, name) in [
        ("gemma3", "gqa_two_images"),
        // Every third layer sees the whole text, two patches a side of a token, and a template without the first token.
        ("gemma3", "mha_untied_no_scaling"),
        ("gemma3", "wide"),
        ("internvl", "chat_layout"),
        // RMSNorm, normalised queries and keys, twelve tiles by default.
        ("internvl", "chat_layout_qwen3"),
    ] {
        let (case, dir) = pair(family, name, &format!("{family}.{name}.f32"));
        gives_what_transformers_does(&case, dir.path());
    }
}

#[test]
fn blocks_give_what_transformers_does_with_their_values() {
    for (family, name, kind) in [
        ("gemma3", "gqa_two_images", "f16"),
        ("gemma3", "gqa_two_images", "q8_0"),
        ("gemma3", "gqa_two_images", "q4_0"),
        ("gemma3", "wide", "q4_k"),
        ("gemma3", "wide", "q6_k"),
        ("gemma3", "wide", "mixed"),
        ("internvl", "chat_layout", "f16"),
        ("internvl", "chat_layout", "q8_0"),
        ("internvl", "chat_layout_qwen3", "q4_0"),
    ] {
        let file = format!("{family}.{name}.{kind}");
        let (case, dir) = pair(family, name, &file);
        let reference = std::fs::read(folder("gguf").join(format!("{file}.safetensors"))).unwrap();
        let options = LoadOptions { resample: case.resample(), ..LoadOptions::default() };
        for (i, ask) in case.asks(32).iter().enumerate() {
            let got = dumped(dir.path(), std::slice::from_ref(ask), &options);
            let want = |name: &str| Values::of(&reference, &format!("{i}.{name}"));
            let off = largest_difference(&got.floats("logits"), &want("logits").floats());
            assert!(off <= 5e-5, "{file} ask {i}: logits differ by {off}");
            assert_eq!(got.ints("generated_ids"), want("generated_ids").ints(), "{file} ask {i}");
        }
    }
}

#[test]
fn a_text_model_alone_answers_in_words() {
    let (case, dir) = pair("gemma3", "wide", "gemma3.wide.f32");
    std::fs::remove_file(dir.path().join("mmproj-tiny.gguf")).unwrap();
    assert_eq!(info(dir.path()).family, "gemma3-text");
    let asks = case.asks(32);
    let got = dumped(dir.path(), &asks[1..], &LoadOptions::default());
    for name in ["input_ids", "generated_ids"] {
        assert_eq!(got.ints(name), case.reference(&format!("1.{name}")).ints());
    }
    let off = largest_difference(&got.floats("logits"), &case.reference("1.logits").floats());
    assert!(off <= 5e-5, "{off}");
    let seen = load(dir.path(), &LoadOptions::default()).unwrap().generate(&asks[..1]);
    assert!(seen[0].as_ref().unwrap_err().to_string().contains("words alone"));
}

#[test]
fn medgemma_is_told_by_its_name_or_that_of_the_file() {
    let whose = |path: &Path| {
        let info = info(path);
        (info.family, info.box_dialect)
    };
    let medgemma = ("medgemma".to_owned(), "medgemma".to_owned());
    let (_, dir) = pair("gemma3", "gqa_two_images", "gemma3.gqa_two_images.q8_0");
    assert_eq!(whose(dir.path()), ("gemma3".to_owned(), "gemma".to_owned()));
    let renamed = dir.path().join("medgemma-4b-it-Q8_0.gguf");
    std::fs::rename(dir.path().join("tiny.gguf"), &renamed).unwrap();
    assert_eq!(whose(&renamed), medgemma);
    // `general.name` of this one says so.
    let (_, dir) = pair("gemma3", "wide", "gemma3.wide.q4_k");
    assert_eq!(whose(dir.path()), medgemma);
}

#[test]
fn what_the_files_leave_out_is_on_record() {
    let notes = |family: &str, name: &str, kind: &str| {
        let (_, dir) = pair(family, name, &format!("{family}.{name}.{kind}"));
        info(dir.path()).checkpoint().unwrap().notes.join("\n")
    };
    let gemma = notes("gemma3", "gqa_two_images", "q8_0");
    for said in [
        "tiny.gguf does not say how scores",
        "1/√16",
        "all but every 6th",
        "mmproj-tiny.gguf",
        "pan-and-scan",
    ] {
        assert!(gemma.contains(said), "{said}: {gemma}");
    }
    assert!(!notes("gemma3", "mha_untied_no_scaling", "f32").contains("every 6th"));
    let internvl = notes("internvl", "chat_layout_qwen3", "q4_0");
    assert!(internvl.contains("how pictures are cut: 1 to 12 tiles of 56 × 56"), "{internvl}");
    let internvl = notes("internvl", "chat_layout", "q8_0");
    assert!(internvl.contains("beside the number of tiles: 1 to 4 tiles"), "{internvl}");
}

fn text(text: &str) -> Kept {
    Kept::Text(text.to_owned())
}

type Settings = Vec<(&'static str, Kept)>;
const WIDTH: u64 = 32;

/// A vocabulary of pieces as make_gguf_families.py keeps it.
fn pieces() -> Value {
    serde_json::from_slice(&std::fs::read(folder("gguf").join("pieces.json")).unwrap()).unwrap()
}

/// The settings of a text model of Gemma 3 with one layer, and with the tokens of pictures where it is to see.
fn gemma(sees: bool) -> Settings {
    let made = pieces();
    let mut tokens: Vec<String> = serde_json::from_value(made["tokens"].clone()).unwrap();
    let mut scores: Vec<f32> = serde_json::from_value(made["scores"].clone()).unwrap();
    let mut types: Vec<i32> = serde_json::from_value(made["types"].clone()).unwrap();
    if sees {
        for token in ["<start_of_image>", "<end_of_image>", "<image_soft_token>"] {
            tokens.push(token.to_owned());
            scores.push(-1000.0);
            types.push(3);
        }
    }
    vec![
        ("general.architecture", text("gemma3")),
        ("gemma3.block_count", Kept::U32(1)),
        ("gemma3.context_length", Kept::U32(512)),
        ("gemma3.embedding_length", Kept::U32(WIDTH as u32)),
        ("gemma3.feed_forward_length", Kept::U32(WIDTH as u32)),
        ("gemma3.attention.head_count", Kept::U32(2)),
        ("gemma3.attention.key_length", Kept::U32(8)),
        ("gemma3.attention.layer_norm_rms_epsilon", Kept::F32(1e-6)),
        ("gemma3.attention.sliding_window", Kept::U32(16)),
        ("gemma3.rope.freq_base", Kept::F32(1e6)),
        ("tokenizer.ggml.model", text("llama")),
        ("tokenizer.ggml.tokens", Kept::Texts(tokens)),
        ("tokenizer.ggml.scores", Kept::Floats(scores)),
        ("tokenizer.ggml.token_type", Kept::Numbers(types)),
        ("tokenizer.ggml.bos_token_id", Kept::U32(2)),
        ("tokenizer.ggml.unknown_token_id", Kept::U32(3)),
        ("tokenizer.ggml.add_bos_token", Kept::Flag(true)),
        ("tokenizer.ggml.add_space_prefix", Kept::Flag(false)),
    ]
}

/// A tensor of small noise, or of noise about 1.
fn tensor(name: &str, shape: &[u64]) -> Tensor {
    let about = if name.contains("norm") || name.contains("ln") { 1.0 } else { 0.0 };
    let rule = json!([shape.iter().rev().collect::<Vec<_>>(), 0.3, about]);
    (name.to_owned(), shape.to_vec(), 0, weight(name, &rule).1)
}

/// The tensors that go with [`gemma`]; sides from the one whose values are neighbours on.
fn gemma_tensors(settings: &Settings) -> Vec<Tensor> {
    let Some((_, Kept::Texts(tokens))) = settings.iter().find(|s| s.0.ends_with(".tokens")) else { panic!() };
    let mut all = vec![
        tensor("token_embd.weight", &[WIDTH, tokens.len() as u64]),
        tensor("output_norm.weight", &[WIDTH]),
    ];
    let parts: [(&str, &[u64]); 13] = [
        ("attn_norm", &[WIDTH]),
        ("attn_q", &[WIDTH, 16]),
        ("attn_k", &[WIDTH, 16]),
        ("attn_v", &[WIDTH, 16]),
        ("attn_q_norm", &[8]),
        ("attn_k_norm", &[8]),
        ("attn_output", &[16, WIDTH]),
        ("post_attention_norm", &[WIDTH]),
        ("ffn_norm", &[WIDTH]),
        ("ffn_gate", &[WIDTH, WIDTH]),
        ("ffn_up", &[WIDTH, WIDTH]),
        ("ffn_down", &[WIDTH, WIDTH]),
        ("post_ffw_norm", &[WIDTH]),
    ];
    all.extend(parts.iter().map(|(part, shape)| tensor(&format!("blk.0.{part}.weight"), shape)));
    all
}

/// A vision part of this kind with one block of 4 × 4 patches.
fn vision(kind: &str) -> Settings {
    let floats = |three: [f32; 3]| Kept::Floats(three.to_vec());
    vec![
        ("general.architecture", text("clip")),
        ("clip.projector_type", text(kind)),
        ("clip.vision.projection_dim", Kept::U32(WIDTH as u32)),
        ("clip.vision.image_size", Kept::U32(56)),
        ("clip.vision.patch_size", Kept::U32(14)),
        ("clip.vision.embedding_length", Kept::U32(16)),
        ("clip.vision.feed_forward_length", Kept::U32(24)),
        ("clip.vision.block_count", Kept::U32(1)),
        ("clip.vision.attention.head_count", Kept::U32(2)),
        ("clip.vision.attention.layer_norm_epsilon", Kept::F32(1e-6)),
        ("clip.vision.image_mean", floats([0.485, 0.456, 0.406])),
        ("clip.vision.image_std", floats([0.229, 0.224, 0.225])),
        ("clip.vision.projector.scale_factor", Kept::U32(2)),
        ("clip.use_gelu", Kept::Flag(true)),
    ]
}

/// The tensors of Gemma's vision part.
fn vision_tensors() -> Vec<Tensor> {
    let mut all = vec![
        tensor("v.patch_embd.weight", &[14, 14, 3, 16]),
        tensor("v.patch_embd.bias", &[16]),
        tensor("v.position_embd.weight", &[16, 16]),
        tensor("v.post_ln.weight", &[16]),
        tensor("v.post_ln.bias", &[16]),
        tensor("mm.input_projection.weight", &[WIDTH, 16]),
        tensor("mm.soft_emb_norm.weight", &[16]),
    ];
    let parts: [(&str, &[u64]); 8] = [
        ("ln1", &[16]),
        ("attn_q", &[16, 16]),
        ("attn_k", &[16, 16]),
        ("attn_v", &[16, 16]),
        ("attn_out", &[16, 16]),
        ("ln2", &[16]),
        ("ffn_up", &[16, 24]),
        ("ffn_down", &[24, 16]),
    ];
    for (part, shape) in parts {
        all.push(tensor(&format!("v.blk.0.{part}.weight"), shape));
        all.push(tensor(&format!("v.blk.0.{part}.bias"), &shape[shape.len() - 1..]));
    }
    all
}

/// Files of these settings and tensors in a folder.
fn made(text: (&Settings, &[Tensor]), vision: Option<(&Settings, &[Tensor])>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let files = [("own.gguf", Some(text)), ("mmproj-own.gguf", vision)];
    for (name, (settings, tensors)) in files.into_iter().filter_map(|(name, made)| Some((name, made?))) {
        std::fs::write(dir.path().join(name), file(settings, tensors, &[])).unwrap();
    }
    dir
}

/// `settings` with another value of `key`, or without it.
fn with(settings: &Settings, key: &'static str, value: Option<Kept>) -> Settings {
    let mut own = settings.clone();
    own.retain(|s| s.0 != key);
    own.extend(value.map(|value| (key, value)));
    own
}

#[test]
fn texts_are_cut_as_gemma_does() {
    let mut settings = gemma(false);
    settings.push(("tokenizer.chat_template", text("{% for m in messages %}{{ m.content }}{% endfor %}")));
    let dir = made((&settings, &gemma_tensors(&settings)), None);
    for case in pieces()["cases"].as_array().unwrap() {
        let asked = case[0].as_str().unwrap();
        // The template leaves the first token to the file, which asks for it.
        let mut want: Vec<i64> = serde_json::from_value(case[1].clone()).unwrap();
        want.insert(0, 2);
        let got = dumped(dir.path(), &[greedy(Vec::new(), asked, 1)], &LoadOptions::default());
        assert_eq!(got.ints("input_ids"), want, "{asked:?}");
    }
}

#[test]
fn a_vocabulary_that_ends_before_the_token_of_pictures_is_read() {
    let ask = [greedy(vec![Arc::new(picture(50, 31, 1))], "what is shown?", 8)];
    let (whole, tower) = (gemma(true), vision("gemma3"));
    let tensors = gemma_tensors(&whole);
    let dir = made((&whole, &tensors), Some((&tower, &vision_tensors())));
    let wanted = dumped(dir.path(), &ask, &LoadOptions::default());
    // The same without the last token and its row.
    let mut short = whole;
    for (_, value) in &mut short {
        match value {
            Kept::Texts(all) => all.truncate(all.len() - 1),
            Kept::Numbers(all) => all.truncate(all.len() - 1),
            Kept::Floats(all) => all.truncate(all.len() - 1),
            _ => {}
        }
    }
    let mut shorter = tensors;
    shorter[0].1[1] -= 1;
    let rows = shorter[0].1[1] as usize;
    shorter[0].3.truncate(rows * WIDTH as usize * 4);
    let dir = made((&short, &shorter), Some((&tower, &vision_tensors())));
    let got = dumped(dir.path(), &ask, &LoadOptions::default());
    assert_eq!(got.ints("input_ids"), wanted.ints("input_ids"));
    assert!(got.ints("input_ids").contains(&(rows as i64)));
    let (a, b) = (got.floats("logits"), wanted.floats("logits"));
    assert!(largest_difference(&a, &b[..rows]) <= 1e-6);
}

#[test]
fn older_files_with_exchanged_feed_forward_parts_are_read() {
    let ask = [greedy(vec![Arc::new(picture(50, 31, 1))], "what is shown?", 8)];
    let (words, tower) = (gemma(true), vision("gemma3"));
    let tensors = gemma_tensors(&words);
    let dir = made((&words, &tensors), Some((&tower, &vision_tensors())));
    let wanted = dumped(dir.path(), &ask, &LoadOptions::default()).floats("logits");
    let mut exchanged = vision_tensors();
    for tensor in &mut exchanged {
        tensor.0 = match tensor.0.as_str() {
            name if name.contains("ffn_up") => name.replace("ffn_up", "ffn_down"),
            name => name.replace("ffn_down", "ffn_up"),
        };
    }
    let dir = made((&words, &tensors), Some((&tower, &exchanged)));
    assert_eq!(dumped(dir.path(), &ask, &LoadOptions::default()).floats("logits"), wanted);
}

#[test]
fn what_a_text_model_of_gemma_lacks_is_named() {
    let own = gemma(false);
    let tensors = gemma_tensors(&own);
    assert_eq!(info(made((&own, &tensors), None).path()).family, "gemma3-text");
    for (key, value, wanted) in [
        ("gemma3.attention.key_length", None, "key_length: missing"),
        ("gemma3.attention.value_length", Some(Kept::U32(16)), "differs from attention.key_length"),
        ("gemma3.rope.freq_base", None, "rope.freq_base: missing"),
        ("gemma3.rope.scaling.type", Some(text("yarn")), "\"yarn\" is not read"),
        ("gemma3.rope.scaling.factor", Some(Kept::F32(-8.0)), "not a number above 0"),
        ("gemma3.final_logit_softcapping", Some(Kept::F32(30.0)), "Gemma 3 has none"),
        ("gemma3.attention.sliding_window_pattern", Some(Kept::Flags(vec![true; 3])), "each of 1 layers"),
        ("tokenizer.ggml.add_space_prefix", Some(Kept::Flag(true)), "begin without a space"),
        ("tokenizer.ggml.model", Some(text("gpt2")), "only \"llama\" is"),
        ("tokenizer.ggml.scores", None, "scores: missing"),
        ("tokenizer.ggml.scores", Some(Kept::Floats(vec![0.0; 3])), "not a number for every token"),
        ("tokenizer.ggml.unknown_token_id", None, "unknown_token_id: missing"),
    ] {
        let error = refused(made((&with(&own, key, value), &tensors), None).path());
        assert!(error.contains(wanted) && error.contains("own.gguf"), "{key}: {error}");
    }
    let mut fewer = tensors.clone();
    fewer.retain(|t| t.0 != "blk.0.attn_q_norm.weight");
    let error = refused(made((&own, &fewer), None).path());
    assert!(error.contains("self_attn.q_norm.weight"), "{error}");
    let mut other = tensors;
    other[1] = tensor("output_norm.weight", &[WIDTH / 2]);
    let error = refused(made((&own, &other), None).path());
    assert!(error.contains("model.norm.weight") && error.contains("[16]"), "{error}");
}

#[test]
fn what_a_vision_part_lacks_is_named() {
    let (words, tower) = (gemma(true), vision("gemma3"));
    let (tensors, seen) = (gemma_tensors(&words), vision_tensors());
    assert_eq!(info(made((&words, &tensors), Some((&tower, &seen))).path()).family, "gemma3");
    for (key, value, wanted) in [
        (
            "clip.projector_type",
            Some(text("ldpv2")),
            "\"ldpv2\" is not read with a text model of the architecture \"gemma3\", which goes with gemma3",
        ),
        ("clip.projector_type", None, "clip.projector_type: missing"),
        ("general.architecture", Some(text("gemma3")), "is it a second text model?"),
        ("clip.use_gelu", None, "SigLIP"),
        ("clip.vision.projection_dim", Some(Kept::U32(64)), "the two files are not of one model"),
        ("clip.vision.projector.scale_factor", Some(Kept::U32(3)), "does not divide the 4 patches"),
        ("clip.vision.image_mean", Some(Kept::Floats(vec![0.5; 2])), "not three numbers"),
        ("clip.vision.attention.layer_norm_epsilon", None, "layer_norm_epsilon: missing"),
        ("clip.vision.block_count", Some(Kept::U32(1 << 20)), "more than the file has tensors"),
    ] {
        let error = refused(made((&words, &tensors), Some((&with(&tower, key, value), &seen))).path());
        assert!(error.contains(wanted) && error.contains("mmproj-own.gguf"), "{key}: {error}");
    }
    // The product turned round, a part that is not there, one that is not known.
    let at = |name: &str| seen.iter().position(|t| t.0 == name).unwrap();
    let changed = |name: &str, own: &[Tensor]| {
        let mut list = seen.clone();
        let place = at(name);
        list.splice(place..=place, own.iter().cloned());
        refused(made((&words, &tensors), Some((&tower, &list))).path())
    };
    const PRODUCT: &str = "mm.input_projection.weight";
    let error = changed(PRODUCT, &[tensor(PRODUCT, &[16, WIDTH])]);
    assert!(error.contains("mm_input_projection_weight") && error.contains("[32, 16]"), "{error}");
    let error = changed("v.post_ln.bias", &[]);
    assert!(error.contains("post_layernorm.bias"), "{error}");
    let error = changed("v.post_ln.bias", &["v.post_ln.bias", "v.own.bias"].map(|name| tensor(name, &[16])));
    assert!(error.contains("v.own.bias") && !error.contains("post_layernorm.bias"), "{error}");
    // Pictures have no place in this vocabulary.
    let blind = gemma(false);
    let error = refused(made((&blind, &gemma_tensors(&blind)), Some((&tower, &seen))).path());
    assert!(error.contains("has no token <start_of_image>"), "{error}");
}

#[test]
fn what_internvl_needs_is_named() {
    let (_, dir) = pair("internvl", "chat_layout", "internvl.chat_layout.q8_0");
    let beside = |tower: &Settings| {
        let path = dir.path().join("mmproj-tiny.gguf");
        std::fs::write(path, file(tower, &[tensor("v.blk.0.ln1.bias", &[16])], &[])).unwrap();
        refused(dir.path())
    };
    let own = with(&vision("internvl"), "clip.vision.projection_dim", Some(Kept::U32(64)));
    let error = beside(&own);
    assert!(error.contains("patch_embedding") || error.contains("model.vision_tower"), "{error}");
    for (key, value, wanted) in [
        ("clip.projector_type", Some(text("gemma3")), "which goes with internvl; move this file elsewhere"),
        ("clip.vision.projector.scale_factor", Some(Kept::U32(4)), "only 2 is read"),
        ("clip.vision.projector.scale_factor", None, "scale_factor: missing"),
        ("clip.vision.image_mean", Some(Kept::Floats(vec![0.5; 3])), "that of ImageNet"),
        ("clip.vision.projection_dim", Some(Kept::U32(32)), "not of one model"),
        ("general.name", Some(text("InternVL2 8B")), "older than InternVL 2.5"),
        ("general.name", Some(text("Mini InternVL Chat 2B V1 5")), "older than InternVL 2.5"),
    ] {
        let error = beside(&with(&own, key, value));
        assert!(error.contains(wanted), "{key}: {error}");
    }
    for newer in ["InternVL2_5 4B", "InternVL3 8B", "Internvl3.5 2B"] {
        let error = beside(&with(&own, "general.name", Some(text(newer))));
        assert!(!error.contains("older"), "{newer}: {error}");
    }
}
