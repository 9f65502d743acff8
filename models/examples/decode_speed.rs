//! Tokens a second of prompts and of replies: the loupe side of `benches/compare/tokens.py`.
//!
//! `decode_speed CHECKPOINT WORK.json [f32|bf16|f16|q8_0|q4_0|stored]`, where the file holds `new_tokens`, `rounds` and `prompts`: a list
//! of texts that are asked at the same time; `prompt_lookup` may be the most tokens that are looked up at a time. A round answers them
//! with one new token and with all of them; the difference is decoding.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use loupe_core::ask::{Part, Role, Turn};
use loupe_core::{Ask, Counts, GenerationLimits};
use loupe_models::{Dtype, LoadOptions, Quant, load};
use std::time::Instant;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().expect("a checkpoint folder");
    let work = std::fs::read(args.next().expect("a file of prompts")).expect("the file of prompts");
    let work: serde_json::Value = serde_json::from_slice(&work).expect("JSON");
    let named = args.next().unwrap_or_default();
    let quant = Quant::ALL.into_iter().find(|quant| quant.name() == named);
    let dtype = match named.as_str() {
        "f16" => Some(Dtype::F16),
        "f32" => Some(Dtype::F32),
        "stored" => None,
        _ => Some(Dtype::Bf16),
    };
    let began = Instant::now();
    let prompt_lookup = work["prompt_lookup"].as_u64().unwrap_or(0) as usize;
    let options = LoadOptions { dtype, quant, prompt_lookup, cache_bytes: 0, ..LoadOptions::default() };
    let mut model = load(dir.as_ref(), &options).expect("a checkpoint");
    let load_s = began.elapsed().as_secs_f64();
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
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB").trim();
    let peak: f64 = peak.trim_end_matches(" kB").parse().unwrap_or(0.0);
    let counts = replies.iter().fold(Counts::default(), |mut sum, reply| {
        sum += reply.counts;
        sum
    });
    let ids: Vec<&[u32]> = replies.iter().map(|reply| &reply.token_ids[..]).collect();
    println!(
        "{}",
        serde_json::json!({ "prompt_tokens": prompt_tokens, "prefill": prefill, "decode": decode, "load_s": load_s,
            "peak_mib": peak / 1024.0, "proposed": counts.proposed_tokens, "accepted": counts.accepted_tokens, "ids": ids })
    );
}
