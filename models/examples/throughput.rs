//! Answers the questions of a file and reports how long it took: the loupe side of
//! `benches/compare/vqa_throughput.py` and of `benches/gpu/card.py`.
//!
//! `throughput CHECKPOINT WORK.json [f32|bf16|f16] [DEVICE] [DUMP]`, where the file holds `new_tokens` and
//! `images`: a list of {width, height, seed, questions}. Pictures are noise made from the seed. `DUMP` is a folder for what the
//! last question's model saw and computed.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod shared;

use loupe_core::{Ask, GenerationLimits};
use loupe_models::{LoadOptions, load};
use std::sync::Arc;
use std::time::Instant;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().expect("a checkpoint folder");
    let work = std::fs::read(args.next().expect("a file of questions")).expect("the file of questions");
    let work: serde_json::Value = serde_json::from_slice(&work).expect("JSON");
    let (number, device) = (args.next().unwrap_or_else(|| "f32".to_owned()), args.next());
    // As much as two dozen pictures' prefixes need; the default would only raise the peak.
    let cache_bytes = if device.is_none() { 128 << 20 } else { LoadOptions::default().cache_bytes };
    let dump = args.next().map(Into::into);
    let options = LoadOptions { cache_bytes, dump, ..shared::options(&number, device.as_deref()) };
    let mut model = load(dir.as_ref(), &options).expect("a checkpoint");
    let limits = GenerationLimits {
        max_new_tokens: work["new_tokens"].as_u64().unwrap() as usize,
        ..GenerationLimits::default()
    };
    let (mut answers, mut tokens, mut reused) = (0, 0, 0);
    let mut ids = Vec::new();
    let began = Instant::now();
    for image in work["images"].as_array().unwrap() {
        let number = |name: &str| image[name].as_u64().unwrap();
        let picture = shared::noise(number("width") as usize, number("height") as usize, number("seed"));
        let picture = Arc::new(picture);
        let questions = image["questions"].as_array().unwrap().iter();
        let asks: Vec<Ask> = questions
            .map(|q| Ask::pictures_then(vec![picture.clone()], q.as_str().unwrap(), limits.clone()))
            .collect();
        for reply in model.generate(&asks) {
            let reply = reply.expect("an answer");
            answers += 1;
            tokens += reply.counts.prompt_tokens;
            reused += reply.counts.reused_tokens;
            ids = reply.token_ids;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{}",
        serde_json::json!({ "answers": answers, "seconds": seconds, "prompt_tokens": tokens, "reused_tokens": reused,
            "last_ids": ids, "peak_mib": shared::peak_mib() })
    );
}
