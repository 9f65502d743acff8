//! Florence-2 and AG-KD held against `transformers` (`tests/parity/make_florence2.py`): token ids and 8-bit pixels equal;
//! pixel values within 1e-6, vision features 1e-5, logits 5e-5, 32 greedy tokens equal; sequences of beam search equal,
//! their scores within 1e-5.

use crate::common::{
    Values, cosine, dumped, folder, greedy, largest_difference, picture, plain, weight, write_tensors,
};
use crate::damaged::{fill, is_of_tower};
use loupe_core::model::{AskId, Go, Listed};
use loupe_core::{Ask, ModelError, Reply, ReplySink, Role, Sampling, Stop, Turn};
use loupe_models::{Dtype, LoadError, LoadOptions, Quant, load};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

const CASES: [&str; 5] = ["as_published", "never_stops_early", "likely_stop", "authors", "authors_letterbox"];
const TABLE: &str = "model.language_model.shared.weight";

pub(crate) struct Case {
    name: &'static str,
    facts: Value,
    reference: Vec<u8>,
}

/// A tensor of f32: name, shape, bytes.
type Stored = (String, Vec<usize>, Vec<u8>);

/// What is changed before the files are written.
type Change<'a> = &'a dyn Fn(&mut Vec<Stored>);

fn unchanged(_: &mut Vec<Stored>) {}

impl Case {
    pub(crate) fn new(name: &'static str) -> Self {
        let file = |end: &str| folder("florence2").join(format!("{name}.{end}"));
        let facts = serde_json::from_slice(&std::fs::read(file("json")).unwrap()).unwrap();
        Self { name, facts, reference: std::fs::read(file("safetensors")).unwrap() }
    }

    fn all() -> impl Iterator<Item = Self> {
        CASES.into_iter().map(Self::new)
    }

    fn is_authors(&self) -> bool {
        self.facts["authors"] == true
    }

    fn reference(&self, name: &str) -> Values {
        Values::of(&self.reference, name)
    }

    fn asks(&self, tokens: usize) -> Vec<Ask> {
        let ask = |facts: &Value| {
            let n = |i: usize| facts["picture"][i].as_u64().unwrap();
            let seen = Arc::new(picture(n(0) as usize, n(1) as usize, n(2)));
            let mut ask = greedy(vec![seen], facts["text"].as_str().unwrap(), tokens);
            ask.limits.beams = Some(1);
            ask
        };
        self.facts["asks"].as_array().unwrap().iter().map(ask).collect()
    }

    /// The searches of an ask: what is asked, and what `transformers` found.
    fn searches(&self, ask: usize) -> Vec<(Ask, &Value)> {
        let found = self.facts["asks"][ask]["beams"].as_array().unwrap();
        let asked = |found: &Value| {
            let n = |field: &str| found[field].as_u64().unwrap() as usize;
            let mut ask = self.asks(n("tokens")).remove(ask);
            ask.limits.beams = Some(n("beams"));
            ask.limits.logprobs = Some(1);
            ask
        };
        found.iter().map(|found| (asked(found), found)).collect()
    }

    fn levels_sha256(&self, pixels: &[f32]) -> String {
        let (processor, plane) = (&self.facts["image_processor"], pixels.len() / 3);
        let number = |key: &str, c: usize| processor[key][c].as_f64().unwrap();
        let level = |(i, v): (usize, &f32)| {
            let c = i / plane;
            ((f64::from(*v) * number("image_std", c) + number("image_mean", c)) * 255.0).round() as u8
        };
        let bytes: Vec<u8> = pixels.iter().enumerate().map(level).collect();
        Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect()
    }

    fn tensors(&self) -> Vec<Stored> {
        let rules = self.facts["weights"].as_object().unwrap();
        let stored = |(name, rule): (&String, &Value)| {
            let (shape, bytes) = weight(name, rule);
            (name.clone(), shape, bytes)
        };
        let mut out: Vec<Stored> = rules.iter().map(stored).collect();
        if let Ok(shape) = serde_json::from_value::<Vec<usize>>(self.facts["waves"].clone()) {
            // Positions of frames: sines and cosines of 0 for the first, which is the only one.
            let value = |n: usize| if n < shape[1] { (n % 2) as f32 } else { 9.0 };
            let bytes = (0..shape[0] * shape[1]).flat_map(|n| value(n).to_le_bytes()).collect();
            let name = "model.multi_modal_projector.visual_temporal_embed.pos_idx_to_embed";
            out.push((name.to_owned(), shape, bytes));
        }
        out
    }

    /// The checkpoint in a temporary folder, and its path.
    fn write(&self, change: Change<'_>) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(if self.name.contains("letterbox") { "AG-KD" } else { "model" });
        std::fs::create_dir(&path).unwrap();
        let put = |name: &str, value: &Value| std::fs::write(path.join(name), value.to_string()).unwrap();
        put("config.json", &self.facts["config"]);
        put("generation_config.json", &self.facts["generation"]);
        put("tokenizer_config.json", &json!({ "bos_token": "<s>", "eos_token": { "content": "</s>" } }));
        let numbers = &self.facts["image_processor"];
        match self.is_authors() {
            true => put("preprocessor_config.json", numbers),
            false => put("processor_config.json", &json!({ "image_processor": numbers })),
        }
        let file = folder("florence2").join("tokenizer/tokenizer.json");
        let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        if !self.is_authors() {
            with_tokens(&mut tokenizer);
        }
        put("tokenizer.json", &tokenizer);
        let mut tensors = self.tensors();
        change(&mut tensors);
        if self.is_authors() {
            tensors = tensors.into_iter().map(authors).collect();
            let vocab = tensors.iter().find(|t| t.0 == "language_model.model.shared.weight").unwrap().1[0];
            tensors.push(("language_model.final_logits_bias".into(), vec![1, vocab], vec![0; 4 * vocab]));
        }
        write_tensors(&tensors, &path.join("model.safetensors"));
        (dir, path)
    }

    pub(crate) fn written(&self) -> (tempfile::TempDir, PathBuf) {
        self.write(&unchanged)
    }
}

/// Tokens that a processor of `transformers` stores with BART's.
fn with_tokens(tokenizer: &mut Value) {
    let behind = "cap ncap dcap grounding seg".split(' ').flat_map(|t| [format!("<{t}>"), format!("</{t}>")]);
    let regions = ["region_cap", "region_to_desciption", "proposal", "poly"];
    let regions = regions.iter().flat_map(|t| [format!("<{t}>"), format!("</{t}>")]);
    let all = ["<od>", "</od>", "<ocr>", "</ocr>"].into_iter().map(str::to_owned);
    let all = all.chain((0..1000).map(|n| format!("<loc_{n}>"))).chain(behind);
    let all =
        all.chain(["<sep>".to_owned()]).chain(regions).chain(["<and>".to_owned(), "<image>".to_owned()]);
    let list = tokenizer["added_tokens"].as_array_mut().unwrap();
    let first = 1 + list.last().unwrap()["id"].as_u64().unwrap();
    for (id, content) in (first..).zip(all) {
        list.push(json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }));
    }
}

/// A tensor as the authors' files have it.
fn authors((name, mut shape, mut bytes): Stored) -> Stored {
    let bare = name.strip_prefix("model.").unwrap_or(&name);
    let own = if let Some(rest) = bare.strip_prefix("language_model.") {
        format!("language_model.model.{rest}")
    } else if bare == "lm_head.weight" {
        format!("language_model.{bare}")
    } else if let Some(rest) = bare.strip_prefix("multi_modal_projector.") {
        if rest == "image_projection.weight" {
            let (rows, columns) = (shape[0], shape[1]);
            let values: Vec<&[u8]> = bytes.chunks(4).collect();
            bytes =
                (0..rows * columns).flat_map(|n| values[n % rows * columns + n / rows].to_vec()).collect();
            shape = vec![columns, rows];
        }
        rest.replace("image_projection.weight", "image_projection")
            .replace("image_position_embed", "image_pos_embed")
    } else if bare.contains(".blocks.") {
        let attention = if bare.contains("spatial_block") { "window_attn" } else { "channel_attn" };
        let own = bare.replace(".conv1.", ".conv1.fn.dw.").replace(".conv2.", ".conv2.fn.dw.");
        let own = own.replace(&format!("{attention}."), &format!("{attention}.fn."));
        let own = own.replace(".norm1.", &format!(".{attention}.norm.")).replace(".norm2.", ".ffn.norm.");
        own.replace(".ffn.fc", ".ffn.fn.net.fc")
    } else {
        bare.replace(".conv.", ".proj.")
    };
    (own, shape, bytes)
}

fn copy(tensors: &[Stored], of: &str, name: &str) -> Stored {
    let (_, shape, bytes) = tensors.iter().find(|t| t.0 == of).unwrap();
    (name.to_owned(), shape.clone(), bytes.clone())
}

fn ids(values: &Value) -> Vec<u32> {
    serde_json::from_value(values.clone()).unwrap()
}

#[test]
fn everything_equals_transformers() {
    equals_transformers(&LoadOptions::default());
}

#[test]
fn the_operations_of_a_gpu_equal_transformers() {
    equals_transformers(&plain(Dtype::F32));
}

fn equals_transformers(options: &LoadOptions) {
    for case in Case::all() {
        let (_dir, path) = case.written();
        let (mut most, mut words) = ([0f32; 3], 0);
        for (i, ask) in case.asks(32).iter().enumerate() {
            let at = format!("{} ask {i}", case.name);
            let got = dumped(&path, std::slice::from_ref(ask), options);
            let want = |name: &str| case.reference(&format!("{i}.{name}"));
            let (read, wanted) = (got.ints("input_ids"), want("input_ids").ints());
            // The authors' tokenizer has no token that stands for features.
            let features = wanted.iter().take_while(|id| **id == wanted[0]).count();
            assert_eq!(
                (read.len(), &read[features..]),
                (wanted.len(), &wanted[features..]),
                "{at}: input_ids"
            );
            assert!(case.is_authors() || read == wanted, "{at}: input_ids");
            words += read.len() - features;
            let positions: Vec<i64> = (0..3).flat_map(|_| 0..read.len() as i64).collect();
            assert_eq!(got.ints("position_ids"), positions, "{at}");
            assert_eq!(got.ints("generated_ids"), want("generated_ids").ints(), "{at}: generated_ids");
            let pixels = got.floats("pixel_values");
            assert_eq!(
                case.levels_sha256(&pixels),
                case.facts["asks"][i]["levels_sha256"],
                "{at}: 8-bit pixels"
            );
            let some: Vec<f32> = pixels.iter().copied().step_by(61).collect();
            let off = [
                largest_difference(&some, &want("pixel_values").floats()),
                largest_difference(&got.floats("vision_features"), &want("vision_features").floats()),
                largest_difference(&got.floats("logits"), &want("logits").floats()),
            ];
            most = std::array::from_fn(|n| most[n].max(off[n]));
            assert!(
                off[0] <= 1e-6 && off[1] <= 1e-5 && off[2] <= 5e-5,
                "{at}: pixels, features, logits {off:?}"
            );
        }
        eprintln!("{}: largest differences of pixels, features, logits {most:?}, {words} words", case.name);
    }
}

#[test]
fn beams_find_what_transformers_finds() {
    for case in Case::all() {
        let (_dir, path) = case.written();
        let mut model = load(&path, &LoadOptions::default()).unwrap();
        let (mut scores, mut searches, mut found_places) = (0f64, 0, 0);
        for ask in 0..case.asks(1).len() {
            for (asked, want) in case.searches(ask) {
                let at = format!("{} ask {ask} {}", case.name, want["beams"]);
                let reply = model.generate(std::slice::from_ref(&asked)).remove(0).unwrap();
                let mut wanted = ids(&want["ids"]);
                let ended = wanted.last() == Some(&2);
                wanted.truncate(wanted.len() - usize::from(ended));
                assert_eq!(reply.token_ids, wanted, "{at}");
                assert_eq!(reply.stop, if ended { Stop::EndOfTurn } else { Stop::Length }, "{at}");
                assert_eq!(reply.logprobs.as_ref().unwrap().len(), wanted.len(), "{at}");
                let off = (reply.beam_score.unwrap() - want["score"].as_f64().unwrap()).abs();
                scores = scores.max(off);
                // A length penalty below 0 multiplies by the length.
                assert!(off <= 1e-5 * want["score"].as_f64().unwrap().abs().max(1.0), "{at}: {off}");
                for finding in &reply.findings {
                    let off = (finding.score.unwrap() - want["confidence"].as_f64().unwrap()).abs();
                    assert!(off <= 1e-5, "{at}: {off}");
                    found_places += 1;
                }
                searches += 1;
            }
        }
        assert!(searches >= 3 && found_places > 0, "{}", case.name);
        eprintln!("{}: {searches} searches, scores differ by {scores:e} at most", case.name);
    }
}

#[test]
fn without_a_number_the_checkpoint_says_how_many_are_followed() {
    let case = Case::new("authors");
    let (_dir, path) = case.written();
    let mut model = load(&path, &LoadOptions::default()).unwrap();
    let (mut ask, want) = case.searches(0).remove(0);
    ask.limits.beams = None;
    assert_eq!(model.info().settled(&ask.limits).beams, Some(3));
    let reply = model.generate(std::slice::from_ref(&ask)).remove(0).unwrap();
    assert!((reply.beam_score.unwrap() - want["score"].as_f64().unwrap()).abs() <= 1e-5);
    // Drawn replies follow one.
    ask.limits.sampling = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 4 };
    assert_eq!(model.info().settled(&ask.limits).beams, None);
    let [one, again] = [0, 1].map(|_| model.generate(std::slice::from_ref(&ask)).remove(0).unwrap());
    assert_eq!((one.beam_score, &one.token_ids), (None, &again.token_ids));
    // What the outer file says in vain is no note; another number of beams there is.
    assert!(model.info().notes().is_empty(), "{:?}", model.info().notes());
    std::fs::write(path.join("generation_config.json"), r#"{ "num_beams": 7 }"#).unwrap();
    let model = load(&path, &LoadOptions::default()).unwrap();
    assert!(model.info().notes()[0].contains("not used: num_beams 7"), "{:?}", model.info().notes());
    let generation = model.info().checkpoint().unwrap().generation.clone().unwrap();
    assert_eq!((generation.beams, generation.end_tokens), (Some(3), vec![2]));
}

#[test]
fn what_overflows_or_names_no_token_is_refused() {
    let case = Case::new("as_published");
    let (_dir, path) = case.written();
    fill(&path.join("model.safetensors"), 1e30, is_of_tower);
    let mut model = load(&path, &LoadOptions::default()).unwrap();
    let found = model.generate(&case.asks(2));
    assert!(found.iter().all(|r| matches!(r, Err(ModelError::NotFinite("vision features")))), "{found:?}");
    for field in ["eos_token_id", "forced_eos_token_id", "decoder_start_token_id"] {
        let (_dir, path) = case.written();
        std::fs::write(path.join("generation_config.json"), json!({ field: 900_000 }).to_string()).unwrap();
        let error = load(&path, &LoadOptions::default()).err().unwrap().to_string();
        assert!(error.contains("generation_config.json") && error.contains(field), "{error}");
    }
}

/// Asks of all kinds of a case.
fn mixed(case: &Case) -> Vec<Ask> {
    let mut asks = case.asks(20);
    for ask in 0..asks.len() {
        asks.extend(case.searches(ask).into_iter().map(|(ask, _)| ask));
    }
    let mut options = asks[0].clone();
    options.limits.options = Some(["yes", "no", "left lung"].map(str::to_owned).to_vec());
    asks.push(options);
    asks.iter_mut().for_each(|ask| ask.limits.logprobs = Some(2));
    asks
}

fn same(got: &Reply, want: &Reply, at: &str) {
    assert_eq!((&got.token_ids, &got.text, got.stop), (&want.token_ids, &want.text, want.stop), "{at}");
    let numbers = |reply: &Reply| {
        let all = reply.logprobs.iter().flatten().flat_map(|p| p.top.iter().map(|t| t.1));
        let options = reply.options.iter().flat_map(|o| &o.each).map(|o| o.probability as f32);
        all.chain(options).chain(reply.beam_score.map(|s| s as f32)).collect::<Vec<f32>>()
    };
    let off = largest_difference(&numbers(got), &numbers(want));
    assert!(off <= 1e-5, "{at}: {off}");
}

#[test]
fn a_batch_and_little_memory_change_nothing() {
    for name in ["as_published", "never_stops_early"] {
        let case = Case::new(name);
        let (_dir, path) = case.written();
        let asks = mixed(&case);
        let alone: Vec<Reply> = asks
            .iter()
            .map(|a| {
                let mut model =
                    load(&path, &LoadOptions { cache_bytes: 0, ..LoadOptions::default() }).unwrap();
                model.generate(std::slice::from_ref(a)).remove(0).unwrap()
            })
            .collect();
        let needed = |ask: &Ask| {
            let tight = LoadOptions { memory_bytes: Some(1), ..LoadOptions::default() };
            match load(&path, &tight).unwrap().generate(std::slice::from_ref(ask)).remove(0) {
                Err(ModelError::Memory { needed, limit: 1 }) => needed,
                other => panic!("{other:?}"),
            }
        };
        let largest = asks.iter().map(needed).max();
        for memory_bytes in [None, largest] {
            let options = LoadOptions { memory_bytes, rows: Some(5), ..LoadOptions::default() };
            let mut model = load(&path, &options).unwrap();
            for round in 0..2 {
                for (i, (got, want)) in model.generate(&asks).into_iter().zip(&alone).enumerate() {
                    same(&got.unwrap(), want, &format!("{name} ask {i} round {round} {memory_bytes:?}"));
                }
            }
        }
    }
}

#[test]
fn options_have_the_probabilities_of_their_tokens() {
    let case = Case::new("as_published");
    let (_dir, path) = case.written();
    let mut model = load(&path, &LoadOptions::default()).unwrap();
    let mut ask = case.asks(4).remove(3);
    ask.limits.options = Some(vec!["a".into(), "b".into(), "c".into()]);
    let scores = model.generate(std::slice::from_ref(&ask)).remove(0).unwrap().options.unwrap();
    assert!((scores.each.iter().map(|o| o.probability).sum::<f64>() - 1.0).abs() < 1e-9);
    // The logits behind the token that is forced: those of the second token of a reply.
    ask.limits.options = None;
    ask.limits.logprobs = Some(2000);
    let reply = model.generate(std::slice::from_ref(&ask)).remove(0).unwrap();
    let second = &reply.logprobs.unwrap()[1].top;
    let p = |option: &str| {
        let token = model.vocabulary().unwrap();
        let id = (0..400).find(|id| token.bytes(*id).as_deref() == Some(option.as_bytes())).unwrap();
        f64::from(second.iter().find(|t| t.0 == id).unwrap().1).exp()
    };
    let all = ["a", "b", "c"].map(p);
    let mass: f64 = all.iter().sum();
    assert!((scores.mass - mass).abs() < 1e-6 && (scores.each[1].probability - all[1] / mass).abs() < 1e-6);
}

#[test]
fn half_precision_is_close() {
    for case in Case::all() {
        let (_dir, path) = case.written();
        for dtype in [Dtype::Bf16, Dtype::F16] {
            let packed = LoadOptions { dtype: Some(dtype), ..LoadOptions::default() };
            // candle multiplies no bf16 on the processor.
            let plain = (dtype == Dtype::F16).then(|| (plain(dtype), 0.998));
            for (options, least) in std::iter::once((packed, 0.999)).chain(plain) {
                let got = dumped(&path, &case.asks(1)[..1], &options).floats("logits");
                let close = cosine(&got, &case.reference("0.logits").floats());
                assert!(
                    close >= least,
                    "{} {} {:?}: cosine {close}",
                    case.name,
                    dtype.name(),
                    options.device
                );
            }
        }
    }
}

#[test]
fn copies_of_the_table_are_used_or_refused() {
    let case = Case::new("as_published");
    let copies = |tensors: &mut Vec<Stored>| {
        for name in ["model.language_model.encoder.embed_tokens.weight", "lm_head.weight"] {
            tensors.push(copy(tensors, TABLE, name));
        }
    };
    let (_dir, path) = case.write(&copies);
    let reply =
        load(&path, &LoadOptions::default()).unwrap().generate(&case.asks(32)[..1]).remove(0).unwrap();
    let want = case.reference("0.generated_ids").ints();
    assert!(want.iter().map(|id| *id as u32).take(reply.token_ids.len()).eq(reply.token_ids.iter().copied()));
    let other = |tensors: &mut Vec<Stored>| {
        let mut head = copy(tensors, TABLE, "lm_head.weight");
        head.2[1] ^= 1;
        tensors.push(head);
    };
    let (_dir, path) = case.write(&other);
    let error = load(&path, &LoadOptions::default()).err().unwrap();
    assert!(matches!(&error, LoadError::Field { field, .. } if field == "tie_word_embeddings"), "{error}");
    for (drop, kind) in [("norm1.weight", true), ("row_embeddings.weight", true), ("", false)] {
        let change = |tensors: &mut Vec<Stored>| {
            let at = tensors.iter().position(|t| kind && t.0.ends_with(drop));
            match at {
                Some(at) => drop_one(tensors, at),
                None => tensors.push(("model.vision_tower.norms.weight".into(), vec![2], vec![0; 8])),
            }
        };
        let (_dir, path) = case.write(&change);
        let error = load(&path, &LoadOptions::default()).err().unwrap();
        let named = match &error {
            LoadError::MissingTensor { name } => kind && name.ends_with(drop),
            LoadError::UnexpectedTensor { names, .. } => !kind && names.contains("norms"),
            _ => false,
        };
        assert!(named, "{error}");
    }
}

fn drop_one(tensors: &mut Vec<Stored>, at: usize) {
    tensors.remove(at);
}

#[test]
fn what_the_model_cannot_read_is_refused_alone_and_says_why() {
    let case = Case::new("as_published");
    let (_dir, path) = case.written();
    let mut model = load(&path, &LoadOptions::default()).unwrap();
    let good = case.asks(3).remove(3);
    let with = |change: &dyn Fn(&mut Ask)| {
        let mut ask = good.clone();
        change(&mut ask);
        ask
    };
    let seen = Arc::clone(&good.pictures[0]);
    let asks = [
        with(&|a| *a = Ask::pictures_then(vec![seen.clone(), seen.clone()], "both?", a.limits.clone())),
        with(&|a| *a = Ask::pictures_then(Vec::new(), "what?", a.limits.clone())),
        with(&|a| a.turns.insert(0, Turn::text(Role::System, "Be brief."))),
        with(&|a| *a = Ask::pictures_then(vec![seen.clone()], "<OD> and more", a.limits.clone())),
        with(&|a| a.limits.beams = Some(0)),
        with(&|a| a.limits.beams = Some(65)),
        with(&|a| {
            a.limits.beams = Some(2);
            a.limits.sampling = Sampling::Random { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 0 };
        }),
        with(&|a| *a = Ask::pictures_then(vec![seen.clone()], "word ".repeat(4000), a.limits.clone())),
        with(&|a| a.pictures.clear()),
        with(&|a| a.limits.repetition_penalty = Some(-1.0)),
        good.clone(),
    ];
    let out = model.generate(&asks);
    let setting = |n: usize| match &out[n] {
        Err(ModelError::Setting { setting, .. }) => *setting,
        other => panic!("{n}: {other:?}"),
    };
    assert!(
        matches!(&out[0], Err(ModelError::Picture { index: 1, problem }) if problem.contains("one picture"))
    );
    let settings = [1, 2, 3, 4, 5, 6, 9].map(setting);
    assert_eq!(settings, ["pictures", "turns", "question", "beams", "beams", "beams", "repetition_penalty"]);
    assert!(matches!(out[7], Err(ModelError::TooLong { limit: 256, .. })), "{:?}", out[7]);
    assert!(matches!(out[8], Err(ModelError::NoSuchPicture { index: 0, count: 0, .. })), "{:?}", out[8]);
    assert!(out[10].is_ok());
    let refused = |options: &LoadOptions| load(&path, options).err().unwrap();
    let error = refused(&LoadOptions { quant: Some(Quant::Q8_0), ..LoadOptions::default() });
    assert!(matches!(error, LoadError::Option { option: "--quant", .. }), "{error}");
    let error = refused(&LoadOptions { pan_and_scan: true, ..LoadOptions::default() });
    assert!(matches!(error, LoadError::NoCrops { .. }), "{error}");
}

#[test]
fn pieces_add_up_and_a_reply_that_nobody_wants_is_dropped() {
    #[derive(Default)]
    struct Tray {
        texts: BTreeMap<AskId, String>,
        replies: BTreeMap<AskId, Result<Reply, ModelError>>,
        stop: BTreeMap<AskId, usize>,
    }
    impl ReplySink for Tray {
        fn piece(&mut self, id: AskId, piece: &str) -> Go {
            assert!(!self.replies.contains_key(&id), "a piece after the end");
            *self.texts.entry(id).or_default() += piece;
            let left = self.stop.entry(id).or_insert(usize::MAX);
            *left = left.saturating_sub(1);
            if *left == 0 { Go::Stop } else { Go::On }
        }
        fn done(&mut self, id: AskId, reply: Result<Reply, ModelError>) {
            assert!(self.replies.insert(id, reply).is_none());
        }
    }
    let case = Case::new("as_published");
    let (_dir, path) = case.written();
    let asks = mixed(&case);
    let mut model = load(&path, &LoadOptions::default()).unwrap();
    for stopped in [vec![], vec![(0, 1), (1, 4), (5, 5), (asks.len() as u64 - 1, 1)]] {
        let mut tray =
            Tray { stop: stopped.iter().map(|(n, k)| (AskId(*n), *k)).collect(), ..Tray::default() };
        model.serve(&mut Listed::new(&asks), &mut tray);
        assert_eq!(tray.replies.len(), asks.len());
        for (id, reply) in &tray.replies {
            if stopped.iter().any(|(n, _)| *n == id.0) {
                assert_eq!(reply, &Err(ModelError::Cancelled), "{id:?}");
            } else if asks[id.0 as usize].limits.options.is_none() {
                assert_eq!(&reply.as_ref().unwrap().text, &tray.texts[id], "{id:?}");
            }
        }
    }
}

#[test]
fn a_model_called_ag_kd_is_shown_a_letterbox_and_speaks_of_it() {
    let case = Case::new("authors_letterbox");
    let (dir, path) = case.written();
    let whose = |path: &std::path::Path| {
        let info = load(path, &LoadOptions::default()).unwrap().info().clone();
        (info.family, info.box_dialect)
    };
    assert_eq!(whose(&path), ("ag-kd".to_owned(), "ag-kd".to_owned()));
    let mut model = load(&path, &LoadOptions::default()).unwrap();
    let (ask, _) = case.searches(1).remove(0);
    let reply = model.generate(&[ask]).remove(0).unwrap();
    // 1024 × 600 pixels: half as large, 106 rows of black above.
    let (_, region) = reply.boxes().next().unwrap();
    let [x0, y0, x1, y1] = region.xyxy();
    let bins = [x0, y0 + 212.0, x1, y1 + 212.0].map(|v| v / 1.024 - 0.5);
    assert!(bins.iter().all(|b| (b - b.round()).abs() < 1e-6 && (0.0..1000.0).contains(b)), "{bins:?}");
    let plain = dir.path().join("Florence-2-base");
    std::fs::rename(&path, &plain).unwrap();
    assert_eq!(whose(&plain), ("florence2".to_owned(), "florence2".to_owned()));
}
