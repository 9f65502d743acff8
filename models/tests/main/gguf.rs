//! Checkpoints in GGUF files: those that gguf-py wrote give what `transformers` does, weights stay in the blocks of the file, and
//! files that are damaged or hold what is not read are refused by name.

use crate::common::{Case, TEMPLATE, cosine, dumped, folder, greedy, largest_difference};
use crate::gguf_files::{self, Kept, Tensor, file, gives_what_transformers_does, kinds, noise};
use loupe_core::ModelInfo;
use loupe_models::{Activations, Dtype, LoadOptions, Quant, load};
use serde_json::Value;
use std::path::Path;

// The fuzz target, another workspace, uses the same file.
#[path = "../../../fuzz/bodies/gguf.rs"]
#[allow(unreachable_pub)]
mod body;

/// The files that make_gguf.py wrote: family and case.
const WRITTEN: [(&str, &str); 2] =
    [("qwen2_5_vl", "gqa_two_images"), ("qwen2_vl", "five_images_mixed_lengths")];

/// Both files of a case in a folder.
fn pair((family, name): (&str, &str)) -> (Case, tempfile::TempDir) {
    gguf_files::pair(family, name, &format!("{family}.{name}"))
}

fn refused(path: &Path, options: &LoadOptions) -> String {
    load(path, options).err().expect("it should be refused").to_string()
}

fn info(path: &Path, options: &LoadOptions) -> ModelInfo {
    load(path, options).unwrap().info().clone()
}

#[test]
fn files_of_gguf_py_give_what_transformers_does() {
    for written in WRITTEN {
        let (case, dir) = pair(written);
        // A folder with both, and the text model with the other beside it.
        for path in [dir.path().to_path_buf(), dir.path().join("tiny.gguf")] {
            gives_what_transformers_does(&case, &path);
        }
    }
}

#[test]
fn the_record_has_the_hash_of_every_file_and_the_types_of_its_tensors() {
    let (_, dir) = pair(WRITTEN[0]);
    let info = info(dir.path(), &LoadOptions::default());
    assert_eq!((info.family.as_str(), info.name.as_str()), ("qwen2.5-vl", "tiny"));
    let record = info.checkpoint().unwrap();
    let files: Vec<&str> = record.files_sha256.keys().map(String::as_str).collect();
    assert_eq!(files, ["mmproj-tiny.gguf", "tiny.gguf"]);
    let digest = |bytes: &[u8]| -> String {
        use sha2::{Digest, Sha256};
        Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
    };
    for (file, sha256) in &record.files_sha256 {
        assert_eq!(digest(&std::fs::read(dir.path().join(file)).unwrap()), *sha256);
    }
    let [vision, text] = [&record.files_sha256[files[0]], &record.files_sha256[files[1]]];
    assert_eq!(
        record.weights_sha256,
        digest(format!("{text}  {}\n{vision}  {}\n", files[1], files[0]).as_bytes())
    );
    assert_eq!(record.dtype, "as stored");
    let types = record.quant.as_deref().unwrap();
    assert!(types.starts_with("f32 ") && !types.contains(','), "{types}");
}

/// Bytes of `count` weights of about 0.05, of either sign.
fn stored(kind: &str, count: usize, seed: usize) -> Vec<u8> {
    let noisy = |i: usize| (((i + seed * 977) * 2_654_435_761) >> 7) as u8;
    let number = |i: usize| (f32::from(noisy(i)) - 127.5) / 1500.0;
    match kind {
        "F32" => (0..count).flat_map(|i| number(i).to_le_bytes()).collect(),
        "F16" => (0..count).flat_map(|i| half::f16::from_f32(number(i)).to_le_bytes()).collect(),
        "BF16" => (0..count).flat_map(|i| half::bf16::from_f32(number(i)).to_le_bytes()).collect(),
        _ => noise(kind, count, seed as u64),
    }
}

const WIDE: u64 = 256;

/// The settings of a text model of two layers, its vocabulary that of make_gguf.py.
fn settings() -> Vec<(&'static str, Kept)> {
    let made = std::fs::read(folder("gguf").join("vocabulary.json")).unwrap();
    let made: Value = serde_json::from_slice(&made).unwrap();
    let texts = |name: &str| Kept::Texts(serde_json::from_value(made[name].clone()).unwrap());
    let text = |text: &str| Kept::Text(text.to_owned());
    vec![
        ("general.architecture", text("qwen2")),
        ("qwen2.block_count", Kept::U32(2)),
        ("qwen2.context_length", Kept::U32(512)),
        ("qwen2.embedding_length", Kept::U32(WIDE as u32)),
        ("qwen2.feed_forward_length", Kept::U32(2 * WIDE as u32)),
        ("qwen2.attention.head_count", Kept::U32(8)),
        ("qwen2.attention.head_count_kv", Kept::U32(2)),
        ("qwen2.attention.layer_norm_rms_epsilon", Kept::F32(1e-6)),
        ("qwen2.rope.freq_base", Kept::F32(1e6)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("qwen2")),
        ("tokenizer.ggml.tokens", texts("tokens")),
        ("tokenizer.ggml.token_type", Kept::Numbers(serde_json::from_value(made["types"].clone()).unwrap())),
        ("tokenizer.ggml.merges", texts("merges")),
        ("tokenizer.ggml.eos_token_id", Kept::U32(2)),
        ("tokenizer.chat_template", text(TEMPLATE)),
    ]
}

/// Its tensors; `kind` says how a matrix is stored.
fn tensors(kind: impl Fn(&str) -> &'static str) -> Vec<Tensor> {
    let matrix = |name: &str, out: u64, input: u64| {
        let kind = kind(name);
        let (_, number, ..) = kinds().into_iter().find(|k| k.0 == kind).unwrap();
        (
            name.to_owned(),
            vec![input, out],
            number,
            stored(kind, (input * out) as usize, name.len() + out as usize),
        )
    };
    let vector = |name: &str, size: u64, around: f32| {
        let values = (0..size).flat_map(|i| (around + i as f32 / 4096.0).to_le_bytes());
        (name.to_owned(), vec![size], 0, values.collect::<Vec<u8>>())
    };
    let Some((_, Kept::Texts(tokens))) = settings().into_iter().find(|s| s.0.ends_with(".tokens")) else {
        panic!()
    };
    let vocab = tokens.len() as u64;
    let mut all = vec![
        matrix("token_embd.weight", vocab, WIDE),
        vector("output_norm.weight", WIDE, 1.0),
        matrix("output.weight", vocab, WIDE),
    ];
    for layer in 0..2 {
        let name = |part: &str| format!("blk.{layer}.{part}");
        all.push(vector(&name("attn_norm.weight"), WIDE, 1.0));
        all.push(vector(&name("ffn_norm.weight"), WIDE, 1.0));
        for (part, out) in [("q", WIDE), ("k", 64), ("v", 64)] {
            all.push(matrix(&name(&format!("attn_{part}.weight")), out, WIDE));
            all.push(vector(&name(&format!("attn_{part}.bias")), out, 0.0));
        }
        all.push(matrix(&name("attn_output.weight"), WIDE, WIDE));
        all.push(matrix(&name("ffn_gate.weight"), 2 * WIDE, WIDE));
        all.push(matrix(&name("ffn_up.weight"), 2 * WIDE, WIDE));
        all.push(matrix(&name("ffn_down.weight"), WIDE, 2 * WIDE));
    }
    all
}

/// As Q4_K_M has it: values and half of the feed-forward parts in 6 bits, so that one layer has several types.
fn mixed(name: &str) -> &'static str {
    match name {
        "token_embd.weight" => "q6_k",
        "output.weight" => "BF16",
        _ if name.contains("attn_v") => "q6_k",
        "blk.0.ffn_down.weight" => "q8_0",
        "blk.1.ffn_down.weight" => "F16",
        "blk.1.ffn_gate.weight" => "q4_0",
        _ => "q4_k",
    }
}

fn small(kind: impl Fn(&str) -> &'static str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("small.gguf"), file(&settings(), &tensors(kind), &[])).unwrap();
    dir
}

#[test]
fn weights_stay_in_the_blocks_of_the_file_and_mean_the_same() {
    let ask = [greedy(Vec::new(), "what is shown in this chest x ray image", 12)];
    let kinds: [fn(&str) -> &'static str; 7] =
        [|_| "F32", |_| "F16", |_| "BF16", |_| "q8_0", |_| "q4_0", |_| "q4_k", |_| "q6_k"];
    for kind in kinds.into_iter().chain([mixed as fn(&str) -> &'static str]) {
        let dir = small(kind);
        let kept = dumped(dir.path(), &ask, &LoadOptions::default());
        let widened = LoadOptions { dtype: Some(Dtype::F32), ..LoadOptions::default() };
        let exact = dumped(dir.path(), &ask, &widened);
        let (a, b) = (kept.floats("logits"), exact.floats("logits"));
        assert!(b.iter().any(|v| v.abs() > 0.05), "logits that say something");
        let off = largest_difference(&a, &b);
        assert!(off <= 5e-5, "{}: logits differ by {off}", kind("blk.0.attn_q.weight"));
        assert_eq!(kept.ints("generated_ids"), exact.ints("generated_ids"));
        let half = LoadOptions { dtype: Some(Dtype::Bf16), ..LoadOptions::default() };
        let rounded = LoadOptions { activations: Activations::Bf16, ..LoadOptions::default() };
        for options in [half, rounded] {
            let close = cosine(&dumped(dir.path(), &ask, &options).floats("logits"), &b);
            assert!(close > 0.999, "{close}");
        }
    }
    let dir = small(mixed);
    let own = info(dir.path(), &LoadOptions::default());
    assert_eq!(own.family, "qwen2");
    let record = own.checkpoint().unwrap();
    assert_eq!(record.quant.as_deref(), Some("bf16 1, f16 1, f32 11, q4_0 1, q4_k 9, q6_k 3, q8_0 1"));
    assert_eq!(record.activations, None);
    let rounded = LoadOptions { activations: Activations::Bf16, ..LoadOptions::default() };
    let record = info(dir.path(), &rounded);
    assert_eq!(record.checkpoint().unwrap().activations.as_deref(), Some("bf16"));
    // Widened on request, and then on record so.
    let widened = info(dir.path(), &LoadOptions { dtype: Some(Dtype::F32), ..LoadOptions::default() });
    let record = widened.checkpoint().unwrap();
    assert_eq!((record.dtype.as_str(), record.quant.as_deref()), ("f32", None));
}

#[test]
fn what_is_quantised_already_is_not_quantised_again() {
    let options = LoadOptions { quant: Some(Quant::Q8_0), ..LoadOptions::default() };
    assert!(refused(small(mixed).path(), &options).contains("quantised already"));
    let plain = info(small(|_| "BF16").path(), &options);
    assert_eq!(plain.checkpoint().unwrap().quant.as_deref(), Some("q8_0"));
    let adapter = LoadOptions { adapter: Some(folder("adapters")), ..LoadOptions::default() };
    let error = refused(small(mixed).path(), &adapter);
    assert!(error.contains("--adapter"), "{error}");
}

#[test]
fn texts_are_cut_as_qwen2_does() {
    let made = std::fs::read(folder("gguf").join("vocabulary.json")).unwrap();
    let made: Value = serde_json::from_slice(&made).unwrap();
    let dir = small(|_| "q8_0");
    for case in made["cases"].as_array().unwrap() {
        let text = case[0].as_str().unwrap();
        let want: Vec<i64> = serde_json::from_value(case[1].clone()).unwrap();
        let got =
            dumped(dir.path(), &[greedy(Vec::new(), text, 1)], &LoadOptions::default()).ints("input_ids");
        assert!(got.windows(want.len()).any(|part| part == want), "{text:?}: {want:?} is not in {got:?}");
    }
}

#[test]
fn settings_of_generation_come_from_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut own = settings();
    own.push(("general.sampling.penalty_repeat", Kept::F32(1.05)));
    own.push(("general.sampling.temp", Kept::F32(0.1)));
    let path = dir.path().join("own.gguf");
    std::fs::write(&path, file(&own, &tensors(|_| "q8_0"), &[])).unwrap();
    let info = info(&path, &LoadOptions::default());
    let generation = info.checkpoint().unwrap().generation.clone().unwrap();
    assert_eq!(generation.repetition_penalty, 1.05);
    assert_eq!(generation.end_tokens, [0, 2]);
    assert_eq!(generation.not_used["temperature"], 0.1);
}

#[test]
fn files_that_do_not_make_one_model_are_refused_by_name() {
    let (_, dir) = pair(WRITTEN[0]);
    let at = |name: &str| dir.path().join(name);
    let default = LoadOptions::default();
    std::fs::copy(at("mmproj-tiny.gguf"), at("mmproj-other.gguf")).unwrap();
    let error = refused(dir.path(), &default);
    assert!(error.contains("mmproj-other.gguf, mmproj-tiny.gguf"), "{error}");
    std::fs::remove_file(at("mmproj-other.gguf")).unwrap();
    std::fs::copy(at("tiny.gguf"), at("copy.gguf")).unwrap();
    let error = refused(dir.path(), &default);
    assert!(error.contains("copy.gguf, tiny.gguf") && error.contains("name one"), "{error}");
    assert_eq!(info(&at("copy.gguf"), &default).name, "copy");
    let error = refused(&at("mmproj-tiny.gguf"), &default);
    assert!(error.contains("a vision part alone"), "{error}");
    std::fs::remove_file(at("mmproj-tiny.gguf")).unwrap();
    let error = refused(&at("copy.gguf"), &default);
    assert!(error.contains("its vision part is not there"), "{error}");
    let (_, dir) = pair(WRITTEN[1]);
    std::fs::remove_file(dir.path().join("tiny.gguf")).unwrap();
    let error = refused(dir.path(), &default);
    assert!(error.contains("not the text model"), "{error}");
}

/// The small model with another setting.
fn with(key: &'static str, value: Option<Kept>) -> String {
    let mut own = settings();
    own.retain(|s| s.0 != key);
    own.extend(value.map(|value| (key, value)));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("own.gguf"), file(&own, &tensors(|_| "q8_0"), &[])).unwrap();
    refused(dir.path(), &LoadOptions::default())
}

#[test]
fn what_is_not_read_is_named() {
    let text = |text: &str| Some(Kept::Text(text.to_owned()));
    let tokens = || Some(Kept::Texts((0..300).map(|n| format!("t{n}")).collect()));
    let types = || Some(Kept::Numbers(vec![1; 4]));
    for (key, value, wanted) in [
        ("general.architecture", text("llama"), "\"llama\" is not read from GGUF files"),
        ("general.architecture", None, "general.architecture: missing"),
        ("qwen2.rope.scaling.type", text("yarn"), "\"yarn\" is not read"),
        ("qwen2.attention.layer_norm_rms_epsilon", None, "layer_norm_rms_epsilon: missing"),
        ("qwen2.block_count", Some(Kept::U32(1 << 30)), "more than the file has tensors"),
        ("qwen2.embedding_length", Some(Kept::U32(0)), "not a size"),
        ("split.count", Some(Kept::U32(3)), "join them"),
        ("tokenizer.ggml.model", text("llama"), "only \"gpt2\" is"),
        ("tokenizer.ggml.pre", text("llama-bpe"), "only \"qwen2\" is"),
        ("tokenizer.ggml.tokens", tokens(), "tokenizer.ggml.token_type: not a number for every token"),
        ("tokenizer.ggml.token_type", types(), "not a number for every token"),
        ("tokenizer.ggml.merges", Some(Kept::Texts(vec!["no merge at all".into()])), "make a third"),
        ("tokenizer.ggml.eos_token_id", Some(Kept::U32(9999)), "not the number of a token"),
    ] {
        let error = with(key, value);
        assert!(error.contains(wanted) && error.contains("own.gguf"), "{key}: {error}");
    }
    // A vocabulary of placeholders, as files for timing have.
    let mut own = settings();
    own.retain(|s| !s.0.ends_with(".tokens") && !s.0.ends_with(".token_type"));
    own.extend(tokens().map(|t| ("tokenizer.ggml.tokens", t)));
    own.push(("tokenizer.ggml.token_type", Kept::Numbers(vec![1; 300])));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("own.gguf"), file(&own, &tensors(|_| "q8_0"), &[])).unwrap();
    let error = refused(dir.path(), &LoadOptions::default());
    assert!(error.contains("placeholder"), "{error}");
}

/// What is said of a file with these tensors.
fn said(tensors: &[Tensor], places: &[u64]) -> String {
    let dir = tempfile::tempdir().unwrap();
    body::gguf(&file(&settings(), tensors, places), None, dir.path()).unwrap()
}

#[test]
fn tensors_lie_one_after_the_other_within_the_file() {
    let tensor = |name: &str, sides: &[u64], kind: u32, bytes: usize| {
        (name.to_owned(), sides.to_vec(), kind, vec![0u8; bytes])
    };
    let embed = || tensor("token_embd.weight", &[256, 300], 8, 300 * 8 * 34);
    let size = (300 * 8 * 34u64).next_multiple_of(32);
    let two = |second: Tensor, at: u64| said(&[embed(), second], &[0, at]);
    let wanted = [
        (two(tensor("a", &[8], 0, 32), 0), "overlaps"),
        (two(tensor("a", &[8], 0, 32), 32), "overlaps"),
        (two(tensor("a", &[8], 0, 32), size + 64), "hole"),
        (two(tensor("a", &[8], 0, 32), size + 4), "no multiple of 32"),
        (two(tensor("a", &[1 << 20], 0, 32), size), "shorter than its header says"),
        (two(tensor("token_embd.weight", &[8], 0, 32), size), "twice"),
        (two(tensor("a", &[u64::MAX, 2], 0, 32), size), "impossible shape"),
        (two(tensor("a", &[0], 0, 32), size), "impossible shape"),
        (two(tensor("a", &[100, 2], 12, 144), size), "no whole blocks of 256 weights"),
        (two(tensor("a", &[8], 77, 32), size), "unknown number type 77"),
        (two(tensor("a", &[1; 5], 0, 32), size), "5 sides"),
        (two(tensor("a", &[8], 0, 96), size), "bytes follow the last tensor"),
        (two(tensor("a", &[8], 0, 32), u64::MAX - 31), "hole"),
    ];
    for (found, wanted) in wanted {
        assert!(found.contains(wanted), "{found}, not {wanted}");
    }
    // Types that are not read are named, with the tensor.
    let mut all = tensors(|_| "q8_0");
    let place = all.iter().position(|t| t.0 == "blk.1.ffn_up.weight").unwrap();
    (all[place].2, all[place].3) = (13, vec![0; 512 * 176]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("own.gguf"), file(&settings(), &all, &[])).unwrap();
    let error = refused(dir.path(), &LoadOptions::default());
    assert!(error.contains("q5_k") && error.contains("up_proj") && error.contains("q6_k"), "{error}");
    // Scales that are no numbers are found when they are read.
    let mut all = tensors(|_| "q4_k");
    all[place].3[1] = 0x7e;
    std::fs::write(dir.path().join("own.gguf"), file(&settings(), &all, &[])).unwrap();
    assert!(refused(dir.path(), &LoadOptions::default()).contains("not finite"));
}

#[test]
fn headers_that_lie_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let sound = file(&settings(), &tensors(|_| "q8_0"), &[]);
    let said = |bytes: &[u8]| body::gguf(bytes, None, dir.path()).unwrap();
    assert_eq!(said(&sound), "qwen2");
    let patched = |at: usize, bytes: &[u8]| {
        let mut changed = sound.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        said(&changed)
    };
    let huge = u64::MAX.to_le_bytes();
    for (at, bytes, wanted) in [
        (4, &1u32.to_le_bytes()[..], "version 1"),
        (4, &3u32.to_be_bytes()[..], "big-endian"),
        (8, &huge[..], "tensors; up to"),
        (16, &huge[..], "keys; up to"),
        // The length of the first key, its type, the length of its text.
        (24, &huge[..], "a text of 18446744073709551615 bytes"),
        (52, &99u32.to_le_bytes()[..], "unknown type 99"),
        (56, &huge[..], "a text of 18446744073709551615 bytes"),
        (64, &[0xff, 0xfe][..], "not UTF-8"),
    ] {
        let found = patched(at, bytes);
        assert!(found.contains(wanted), "{found}, not {wanted}");
    }
    // A list that is longer than the file, one within another without end, and one key twice.
    let start = |keys: u64| {
        [b"GGUF".as_slice(), &3u32.to_le_bytes(), &0u64.to_le_bytes(), &keys.to_le_bytes()].concat()
    };
    let key = [1u64.to_le_bytes().as_slice(), b"k", &9u32.to_le_bytes()].concat();
    let list = |kind: u32, count: u64| [kind.to_le_bytes().as_slice(), &count.to_le_bytes()].concat();
    for deep in [list(0, 1 << 40), list(8, 1 << 60), list(9, 1).repeat(4000)] {
        let found = said(&[start(1), key.clone(), deep].concat());
        assert!(found.contains("which cannot be"), "{found}");
    }
    let twice = [key, list(0, 0)].concat().repeat(2);
    assert!(said(&[start(2), twice].concat()).contains("twice"));
    // Beginnings of the file: many of its header, and some of its data.
    let data: usize = tensors(|_| "q8_0").iter().map(|tensor| tensor.3.len()).sum();
    let head = sound.len() - data;
    for length in (0..head).step_by(7).chain((head..sound.len() - 64).step_by(99_991)) {
        assert_ne!(said(&sound[..length]), "qwen2", "{length} of {} bytes", sound.len());
    }
}

/// A whole file without layers' weights, in which the metadata are all that there is to read.
fn whole(name: &str) -> Vec<u8> {
    std::fs::read(folder("gguf").join("whole").join(name)).unwrap()
}

#[test]
fn files_with_some_bits_turned_are_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = 1u64;
    for (text, vision, family) in [
        ("gemma3", Some("gemma3"), "gemma3"),
        ("qwen2", Some("internvl"), "internvl"),
        ("qwen3", Some("internvl"), "internvl"),
        ("qwen2vl", Some("qwen2.5vl_merger"), "qwen2.5-vl"),
        ("gemma3", None, "gemma3-text"),
        ("qwen2", None, "qwen2"),
        ("qwen3", None, "qwen3"),
    ] {
        let words = whole(&format!("{text}.gguf"));
        let (fuzzed, beside) = match vision {
            Some(vision) => (whole(&format!("mmproj-{vision}.gguf")), Some(words.as_slice())),
            None => (words.clone(), None),
        };
        assert_eq!(body::gguf(&fuzzed, beside, dir.path()).as_deref(), Some(family));
        for round in 0..150 {
            let mut changed = fuzzed.clone();
            for _ in 0..=round % 3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % changed.len();
                changed[at] ^= 1 << (state >> 20 & 7);
            }
            body::gguf(&changed, beside, dir.path()).unwrap();
        }
        for length in (0..fuzzed.len() - 64).step_by(13) {
            assert_ne!(body::gguf(&fuzzed[..length], beside, dir.path()).as_deref(), Some(family));
        }
    }
}
