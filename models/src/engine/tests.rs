//! The engine over a family that has what Qwen has not: words between tiles, a picture mark that is no token,
//! features for deeper layers, and pictures that cannot be encoded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use super::architecture::{Architecture, Features, Network, PromptPicture, Span, digest};
use super::cache::PrefixCache;
use super::memory::Budget;
use super::prompt::Prompt;
use super::serve::Engine;
use super::work::Work;
use crate::chat::template::ChatTemplate;
use crate::chat::tokens::Tokens;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::weights::{Dtype, Numbers, Weights};
use crate::layers::rope::{RopeScaling, end_to_end};
use crate::networks::decoder::{BlockSpec, Decoder, DecoderConfig, LayerSpec, RopeSpec};
use candle_core::{Device, Tensor};
use loupe_core::model::AskId;
use loupe_core::{
    Ask, GenerationLimits, ModelError, ModelInfo, Picture, Reply, ReplySink, VisionLanguageModel,
};
use std::path::Path;
use std::sync::Arc;

const HIDDEN: usize = 32;
/// A picture with this level in its first pixel cannot be encoded.
const BROKEN: u8 = 13;

struct Tiled {
    spans: Vec<Span>,
    digest: [u8; 32],
}

impl PromptPicture for Tiled {
    fn spans(&self) -> &[Span] {
        &self.spans
    }

    fn frame(&self) -> [usize; 2] {
        [8, 8]
    }

    fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

struct Toy {
    decoder: Decoder,
    deep: usize,
}

impl Architecture for Toy {
    type Picture = Tiled;

    fn network(&self) -> Network<'_> {
        Network::Decoder(&self.decoder)
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    fn mark(&self) -> &str {
        "<image>"
    }

    fn feature_token(&self) -> u32 {
        59
    }

    fn show(&self, picture: &Picture) -> Result<Tiled, String> {
        let spans = vec![
            Span::Words("w1 ".into()),
            Span::Features { tokens: 40 },
            Span::Words(" w2 <end> ".into()),
            Span::Features { tokens: 30 },
        ];
        Ok(Tiled { spans, digest: digest(picture, b"") })
    }

    fn patches(&self, picture: &Picture, _: &Tiled) -> Result<Tensor, String> {
        let pixels: Vec<f32> = picture.pixels().iter().map(|p| f32::from(*p)).collect();
        Tensor::new(pixels, &Device::Cpu).map_err(|e| e.to_string())
    }

    fn encode(&self, patches: &Tensor, _: &Tiled) -> candle_core::Result<Features> {
        let pixels = patches.to_vec1::<f32>()?;
        if pixels.first() == Some(&f32::from(BROKEN)) {
            candle_core::bail!("out of memory");
        }
        let value = |n: usize| ((n * 31 % 97) as f32 + pixels[n % pixels.len()] * 0.3).sin();
        let rows = |from: usize| -> candle_core::Result<Tensor> {
            Tensor::from_vec((from..from + 70 * HIDDEN).map(value).collect(), (70, HIDDEN), &Device::Cpu)
        };
        let deep = (0..self.deep).map(|layer| rows(layer + 1)).collect::<candle_core::Result<_>>()?;
        Ok(Features { rows: rows(0)?, deep })
    }

    fn encode_bytes(&self, _: &Tiled) -> u64 {
        1000
    }

    fn positions(&self, shown: &Tiled, span: usize, next: u32) -> (Vec<[u32; 3]>, u32) {
        let Some(Span::Features { tokens }) = shown.spans.get(span) else { return (Vec::new(), next) };
        let end = next + *tokens as u32;
        ((next..end).map(|p| [p; 3]).collect(), end)
    }
}

/// The decoder of `tests/parity/decoders/make.py` that is called `qwen2`.
fn decoder() -> Decoder {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/decoders/qwen2");
    let numbers = Numbers::new(Device::Cpu, Dtype::F32);
    let own = |n: &str| (!n.starts_with("ref.")).then(|| n.to_owned());
    let weights = Weights::open(&Checkpoint::directory(&folder), numbers, own).unwrap();
    let config = DecoderConfig {
        hidden: HIDDEN,
        intermediate: 44,
        layers: vec![LayerSpec { rope: 0, window: None }; 3],
        heads: 4,
        kv_heads: 2,
        head_dim: 8,
        vocab: 60,
        eps: 1e-6,
        ropes: vec![RopeSpec { theta: 1e4, scaling: RopeScaling::None, axes: end_to_end([4, 0, 0]) }],
        block: BlockSpec::QWEN2,
        tied: true,
        context: 4096,
    };
    Decoder::load(&weights, "model.", config).unwrap()
}

/// Words `w1` to `w58`, and one special token.
fn tokens(mark: &str) -> Tokens {
    let dir = tempfile::tempdir().unwrap();
    let mut vocab = serde_json::Map::from_iter((1..59).map(|n| (format!("w{n}"), n.into())));
    vocab.insert("<end>".into(), 0.into());
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "decoder": null,
        "pre_tokenizer": { "type": "WhitespaceSplit" }, "post_processor": null,
        "added_tokens": [{ "id": 0, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false,
                           "normalized": false, "special": true }],
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "w58" },
    });
    std::fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    Tokens::read(&Checkpoint::directory(dir.path()), 60, mark).unwrap()
}

fn engine(deep: usize, step_tokens: usize) -> Engine<Toy> {
    let arch = Toy { decoder: decoder(), deep };
    let template = "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}\
                    {% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}\
                    {% endfor %}{% endif %}{% endfor %}";
    let mut budget = Budget::new(1 << 30, &arch.decoder.config, &Numbers::new(Device::Cpu, Dtype::F32));
    budget.step_tokens = step_tokens;
    Engine {
        tokens: tokens(arch.mark()),
        template: ChatTemplate::new(template, Vec::new()).unwrap(),
        ends: std::collections::BTreeSet::new(),
        repetition_penalty: 1.0,
        info: ModelInfo::scripted("toy", "toy", "none"),
        cache: PrefixCache::new(1 << 20),
        budget,
        rows: 8,
        is_cpu: true,
        lookup: 0,
        dump: None,
        arch,
    }
}

fn picture(first: u8) -> Arc<Picture> {
    let pixels: Vec<u8> = (0..64).map(|n| first.wrapping_add(n * 3)).collect();
    Arc::new(Picture::new(8, 8, 1, pixels).unwrap())
}

fn ask(pictures: &[u8], words: &str) -> Ask {
    let limits = GenerationLimits { max_new_tokens: 7, logprobs: Some(60), ..GenerationLimits::default() };
    Ask::pictures_then(pictures.iter().map(|p| picture(*p)).collect(), words, limits)
}

#[test]
fn spans_become_words_and_whole_features() {
    let engine = engine(0, 64);
    // What the caller writes is no mark.
    let asked = ask(&[1, 2], "w7 <image> w9");
    let prompt = Prompt::new(&asked, &engine.arch, &engine.tokens, &engine.template, 4096).unwrap();
    let tile = [vec![1], vec![59; 40], vec![2, 0], vec![59; 30]].concat();
    assert_eq!(prompt.ids, [tile.clone(), tile, vec![7, 58, 9]].concat());
    let starts: Vec<usize> = prompt.spans.iter().map(|s| s.tokens.start).collect();
    assert_eq!((starts, prompt.spans[3].first), (vec![1, 43, 74, 116], 40));
    assert_eq!(prompt.picture_tokens(), 140);
    assert_eq!([0, 1, 2, 40, 41, 42, 44].map(|n| prompt.cut(n)), [0, 1, 1, 1, 41, 42, 43]);
    assert_eq!([0, 1, 2, 44].map(|n| prompt.cut_after(n)), [0, 1, 41, 73]);
    assert_eq!((prompt.keys[1], prompt.keys[43]), (prompt.keys[1], prompt.keys[1].wrapping_add(40)));
    assert_ne!(prompt.keys[1], prompt.keys[74]);
    let long = ask(&[1], "w7");
    let refused = Prompt::new(&long, &engine.arch, &engine.tokens, &engine.template, 74).err().unwrap();
    assert_eq!(refused, ModelError::TooLong { tokens: 74, limit: 74 });
}

fn shares(reply: &Reply) -> Vec<f32> {
    let mut top: Vec<(u32, f32)> = reply.logprobs.iter().flatten().flat_map(|p| p.top.clone()).collect();
    top.chunks_mut(60).for_each(|line| line.sort_by_key(|t| t.0));
    top.iter().map(|t| t.1).collect()
}

#[test]
fn pieces_of_any_size_and_deep_features_give_what_the_whole_gives() {
    for deep in [0, 2] {
        let asks =
            [ask(&[1], "w3 w4"), ask(&[2, 1], "w5"), ask(&[], &"w9 w8 ".repeat(60)), ask(&[1], "w6 w7 w8")];
        let alone: Vec<Reply> = asks
            .iter()
            .map(|a| engine(deep, 4096).generate(std::slice::from_ref(a)).remove(0).unwrap())
            .collect();
        for step in [1, 16, 35, 45, 100] {
            for reply in engine(deep, step).generate(&asks).into_iter().zip(&alone) {
                let (got, want) = (reply.0.unwrap(), reply.1);
                assert_eq!(got.token_ids, want.token_ids, "{deep} {step}");
                let off =
                    shares(&got).iter().zip(shares(want)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off <= 1e-5, "{deep} {step}: {off}");
            }
        }
    }
    // Deep features do something.
    let [a, b] = [0, 2].map(|deep| engine(deep, 64).generate(&[ask(&[1], "w3 w4")]).remove(0).unwrap());
    assert_ne!(shares(&a), shares(&b));
}

#[test]
fn a_picture_that_cannot_be_encoded_fails_those_who_asked_about_it() {
    let mut engine = engine(0, 64);
    let asks = [
        ask(&[1], "w3"),
        ask(&[BROKEN], "w4"),
        ask(&[BROKEN], "w5 w6"),
        ask(&[1, BROKEN], "w5 w6"),
        ask(&[1], "w9"),
        ask(&[], "w9"),
    ];
    for _ in 0..2 {
        let replies = engine.generate(&asks);
        for (i, reply) in replies.iter().enumerate() {
            match reply {
                Ok(reply) => assert_eq!(reply.token_ids.len(), 7),
                Err(error) => assert!(
                    matches!(error, ModelError::Compute(problem) if problem.starts_with("out of memory")),
                    "{error}"
                ),
            }
            assert_eq!(reply.is_err(), [1, 2, 3].contains(&i), "{i}");
        }
    }
}

struct Nobody;

impl ReplySink for Nobody {
    fn done(&mut self, _: AskId, reply: Result<Reply, ModelError>) {
        reply.unwrap();
    }
}

#[test]
fn memory_decides_how_many_are_in_work_and_what_was_computed_gives_way() {
    let mut engine = engine(0, 64);
    let words = |n: usize| "w9 w8 w7 w6 ".repeat(n);
    // Something is stored, of which nothing can be used.
    engine.generate(&[ask(&[], &format!("w1 {}", words(100)))]).remove(0).unwrap();
    let stored = engine.cache.bytes();
    assert!(stored >= engine.budget.kv(400));
    // Asks of 40 tokens and 7 more, no two alike: three fit.
    let asks: Vec<Ask> = (20..28).map(|n| ask(&[], &format!("w{n} {}", words(10)))).collect();
    let each = engine.budget.kv(41 + 7);
    engine.budget.limit = engine.budget.step(64, 3) + 3 * each + each / 2;
    let mut work = Work::new();
    for (n, ask) in asks.iter().enumerate() {
        work.queue.push_back(engine.prepare(AskId(n as u64), ask).unwrap());
    }
    engine.admit(&mut work, &mut Nobody);
    assert_eq!((work.admitted().count(), work.asks(), engine.cache.bytes()), (3, 8, 0));
    // The others follow as these are done. Rows at different places leave holes in their buffers, but few.
    let mut most = 0;
    while work.asks() > 0 {
        engine.step(&mut work, &mut Nobody);
        let held: u64 = work.live.iter().map(|l| l.group.bytes()).sum();
        assert!(held <= 4 * each, "{held} of {}", 3 * each);
        most = most.max(held);
        engine.admit(&mut work, &mut Nobody);
        assert!(work.admitted().count() <= 3);
    }
    assert!(most > 0);
}

/// Asks whose replies repeat themselves, and what they are by plain decoding.
fn repeating() -> (Vec<Ask>, Vec<Reply>) {
    let words = "w3 w4 w5 w6 w7 w8 ".repeat(4);
    let mut asks =
        [ask(&[1], &words), ask(&[2, 1], "w5"), ask(&[], &words), ask(&[], "w9 w8"), ask(&[1], "w6 w7")];
    for (n, ask) in asks.iter_mut().enumerate() {
        ask.limits.max_new_tokens = 30 + n;
        ask.limits.repetition_penalty = Some(0.4);
    }
    let alone = |ask: &Ask| engine(0, 4096).generate(std::slice::from_ref(ask)).remove(0).unwrap();
    (asks.to_vec(), asks.iter().map(alone).collect())
}

#[test]
fn what_is_looked_up_counts_among_the_tokens_of_a_step() {
    let (asks, alone) = repeating();
    for step in [1, 16, 35, 64, 400] {
        let mut engine = Engine { lookup: 8, ..engine(0, step) };
        let mut accepted = 0;
        for (got, want) in engine.generate(&asks).into_iter().zip(&alone) {
            let got = got.unwrap();
            assert_eq!(got.token_ids, want.token_ids, "{step}");
            let off = shares(&got).iter().zip(shares(want)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off <= 1e-5, "{step}: {off}");
            accepted += got.counts.accepted_tokens;
        }
        // A quarter of a step at most; the rows take one each.
        assert_eq!(accepted > 0, step >= 16, "{step}: {accepted}");
        let mut work = Work::new();
        for (n, ask) in asks.iter().enumerate() {
            work.queue.push_back(engine.prepare(AskId(n as u64), ask).unwrap());
        }
        while work.asks() > 0 {
            engine.admit(&mut work, &mut Nobody);
            let proposed = engine.look_up(&mut work);
            assert_eq!(
                proposed,
                work.live.iter().flat_map(|l| &l.jobs).map(|job| job.lookup.ahead.len()).sum::<usize>()
            );
            assert!(proposed == 0 || proposed + work.rows() <= step.min(64) / 4, "{proposed} at {step}");
            engine.step(&mut work, &mut Nobody);
        }
    }
}

#[test]
fn nothing_is_looked_up_where_no_memory_is_left() {
    let (asks, alone) = repeating();
    let mut engine = Engine { lookup: 8, ..engine(0, 64) };
    engine.cache = PrefixCache::new(0);
    // Enough for one of them and its step, and for the logits of two tokens more.
    let ask = &asks[2];
    let job = engine.prepare(AskId(0), ask).unwrap();
    let needed = engine.budget.kv(job.prompt.ids.len() + job.most) + engine.budget.step(64, 1);
    for (spare, most) in [(0, 0), (1, 0), (2 * engine.budget.row_logits(), 2), (1 << 30, 8)] {
        engine.budget.limit = needed + spare;
        let mut work = Work::new();
        work.queue.push_back(engine.prepare(AskId(0), ask).unwrap());
        let mut largest = 0;
        while work.asks() > 0 {
            engine.admit(&mut work, &mut Nobody);
            largest = largest.max(engine.look_up(&mut work));
            engine.step(&mut work, &mut Nobody);
        }
        assert_eq!(largest, most, "{spare} bytes are left");
        let reply = engine.generate(std::slice::from_ref(ask)).remove(0).unwrap();
        assert_eq!(reply.token_ids, alone[2].token_ids);
        assert_eq!(reply.counts.proposed_tokens > 0, most > 0);
    }
}
