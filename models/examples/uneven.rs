//! Answers questions whose replies differ in length, and reports how many a minute.
//!
//! `uneven CHECKPOINT [QUESTIONS LONGEST PICTURES f32|bf16|f16 [TOGETHER]]`: by default 200 questions about 20 pictures,
//! with replies of 1 to 200 tokens. With TOGETHER so many are asked at once and all are waited for before the next, as
//! engines without continuous batches do. Lengths, words and pictures are drawn from a fixed seed; the checkpoint
//! must name no end token, so that every reply has the length drawn for it.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod shared;

use loupe_core::{Ask, GenerationLimits, Picture};
use loupe_models::load;
use std::sync::Arc;
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| args.get(at).and_then(|v| v.parse().ok()).unwrap_or(default);
    let dir = args.first().expect("a checkpoint folder");
    let (questions, longest, pictures) = (number(1, 200), number(2, 200), number(3, 20));
    let mut state = 7u64;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let pictures: Vec<Arc<Picture>> = (0..pictures)
        .map(|_| {
            let pixels: Vec<u8> = (0..224 * 224 * 3).map(|_| draw(256) as u8).collect();
            Arc::new(Picture::new(224, 224, 3, pixels).unwrap())
        })
        .collect();
    let asks: Vec<Ask> = (0..questions)
        .map(|n| {
            let limits =
                GenerationLimits { max_new_tokens: 1 + draw(longest), ..GenerationLimits::default() };
            let words: Vec<String> = (0..5 + draw(15)).map(|_| format!("word{}", draw(1000))).collect();
            let picture = pictures[n * pictures.len() / questions].clone();
            Ask::pictures_then(vec![picture], words.join(" "), limits)
        })
        .collect();
    let options = shared::options(args.get(4).map_or("f32", String::as_str), None);
    let mut model = load(dir.as_ref(), &options).expect("a checkpoint");
    let together = number(5, questions).max(1);
    let began = Instant::now();
    let replies: Vec<_> = asks.chunks(together).flat_map(|asks| model.generate(asks)).collect();
    let seconds = began.elapsed().as_secs_f64();
    let tokens: usize = replies.iter().map(|r| r.as_ref().expect("an answer").token_ids.len()).sum();
    assert_eq!(tokens, asks.iter().map(|a| a.limits.max_new_tokens).sum::<usize>(), "an end token");
    let a_minute = 60.0 * questions as f64 / seconds;
    println!("{}", serde_json::json!({ "asks_a_minute": a_minute, "seconds": seconds, "tokens": tokens }));
}
