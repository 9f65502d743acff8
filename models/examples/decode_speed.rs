//! Tokens a second of prompts and of replies: the loupe side of `benches/compare/tokens.py` and of `benches/gpu/card.py`.
//!
//! `decode_speed CHECKPOINT WORK.json [f32|bf16|f16|q8_0|q4_0|stored] [DEVICE]`, where the file holds `new_tokens`, `rounds` and
//! `prompts`: a list of texts that are asked at the same time; `prompt_lookup` may be the most tokens that are looked up at a time. Or a
//! list of such works, which gives a line each; the first says how many tokens are looked up. A round answers the texts with one new
//! token and with all of them; the difference is decoding.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod shared;

use loupe_core::ask::{Part, Role, Turn};
use loupe_core::{Ask, Counts, GenerationLimits, VisionLanguageModel};
use loupe_models::{LoadOptions, load};
use serde_json::{Value, json};
use std::time::Instant;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().expect("a checkpoint folder");
    let works = std::fs::read(args.next().expect("a file of prompts")).expect("the file of prompts");
    let works: Value = serde_json::from_slice(&works).expect("JSON");
    let works = works.as_array().cloned().unwrap_or_else(|| vec![works]);
    let (number, device) = (args.next().unwrap_or_default(), args.next());
    let began = Instant::now();
    let prompt_lookup = works[0]["prompt_lookup"].as_u64().unwrap_or(0) as usize;
    let options =
        LoadOptions { prompt_lookup, cache_bytes: 0, ..shared::options(&number, device.as_deref()) };
    let mut model = load(dir.as_ref(), &options).expect("a checkpoint");
    let load_s = began.elapsed().as_secs_f64();
    for work in &works {
        let mut figures = measured(model.as_mut(), work);
        figures["load_s"] = json!(load_s);
        figures["peak_mib"] = json!(shared::peak_mib());
        println!("{figures}");
    }
}

fn measured(model: &mut dyn VisionLanguageModel, work: &Value) -> Value {
    let number = |name: &str| work[name].as_u64().unwrap() as usize;
    let prompts: Vec<&str> =
        work["prompts"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    let mut answer = |new: usize| {
        let limits = GenerationLimits { max_new_tokens: new, ..GenerationLimits::default() };
        let ask = |text: &&str| Ask {
            pictures: Vec::new(),
            turns: vec![Turn { role: Role::User, parts: vec![Part::Text((*text).to_owned())] }],
            limits: limits.clone(),
        };
        let asks: Vec<Ask> = prompts.iter().map(ask).collect();
        let began = Instant::now();
        let replies: Vec<_> = model.generate(&asks).into_iter().map(|r| r.expect("an answer")).collect();
        let tokens: usize = replies.iter().map(|r| r.counts.prompt_tokens).sum();
        assert!(replies.iter().all(|r| r.counts.new_tokens == new), "a reply ended early");
        (began.elapsed().as_secs_f64(), tokens, replies)
    };
    let new = number("new_tokens");
    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    let (mut prompt_tokens, mut replies) = (0, Vec::new());
    for _ in 0..number("rounds") {
        let (one, tokens, _) = answer(1);
        let (all, _, last) = answer(new + 1);
        (prompt_tokens, replies) = (tokens, last);
        prefill.push(tokens as f64 / one);
        decode.push((new * prompts.len()) as f64 / (all - one));
    }
    let counts = replies.iter().fold(Counts::default(), |mut sum, reply| {
        sum += reply.counts;
        sum
    });
    let ids: Vec<&[u32]> = replies.iter().map(|reply| &reply.token_ids[..]).collect();
    json!({ "prompt_tokens": prompt_tokens, "prefill": prefill, "decode": decode,
        "proposed": counts.proposed_tokens, "accepted": counts.accepted_tokens, "ids": ids })
}
