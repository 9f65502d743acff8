//! Answers the questions of a file and reports how long it took: the loupe side of
//! `benches/compare/vqa_throughput.py`.
//!
//! `throughput CHECKPOINT WORK.json [f32|bf16|f16]`, where the file holds `new_tokens`, `seed`, and
//! `images`: a list of {width, height, questions}. Pictures are noise made from the seed.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use loupe_core::{Ask, GenerationLimits, Picture};
use loupe_models::{Dtype, LoadOptions, load};
use std::sync::Arc;
use std::time::Instant;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().expect("a checkpoint folder");
    let work = std::fs::read(args.next().expect("a file of questions")).expect("the file of questions");
    let work: serde_json::Value = serde_json::from_slice(&work).expect("JSON");
    let dtype = match args.next().as_deref() {
        Some("bf16") => Dtype::Bf16,
        Some("f16") => Dtype::F16,
        _ => Dtype::F32,
    };
    // As much as two dozen pictures' prefixes need; the default would only raise the peak.
    let options = LoadOptions { dtype: Some(dtype), cache_bytes: 128 << 20, ..LoadOptions::default() };
    let mut model = load(dir.as_ref(), &options).expect("a checkpoint");
    let limits = GenerationLimits {
        max_new_tokens: work["new_tokens"].as_u64().unwrap() as usize,
        ..GenerationLimits::default()
    };
    let (mut answers, mut tokens, mut reused) = (0, 0, 0);
    let began = Instant::now();
    for image in work["images"].as_array().unwrap() {
        let side = |name: &str| image[name].as_u64().unwrap() as usize;
        let (w, h) = (side("width"), side("height"));
        let mut state = image["seed"].as_u64().unwrap();
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let pixels: Vec<u8> = (0..w * h * 3).map(|_| byte()).collect();
        let picture = Arc::new(Picture::new(w, h, 3, pixels).unwrap());
        let questions = image["questions"].as_array().unwrap().iter();
        let asks: Vec<Ask> = questions
            .map(|q| Ask::pictures_then(vec![picture.clone()], q.as_str().unwrap(), limits.clone()))
            .collect();
        for reply in model.generate(&asks) {
            let reply = reply.expect("an answer");
            answers += 1;
            tokens += reply.counts.prompt_tokens;
            reused += reply.counts.reused_tokens;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB").trim();
    let peak: f64 = peak.trim_end_matches(" kB").parse().unwrap_or(0.0);
    println!(
        "{}",
        serde_json::json!({ "answers": answers, "seconds": seconds, "prompt_tokens": tokens, "reused_tokens": reused,
            "peak_mib": peak / 1024.0 })
    );
}
