//! Prompt look-up is faster or not, but never another reply.

use crate::common::{Case, Dialect, FAMILIES, TEXT, greedy, largest_difference, picture};
use crate::florence2;
use loupe_core::{Ask, Reply, Role, Sampling, Stop, Turn, VisionLanguageModel};
use loupe_models::{Dtype, LoadError, LoadOptions, Quant, load};
use std::path::Path;
use std::sync::Arc;

fn options(prompt_lookup: usize) -> LoadOptions {
    LoadOptions { prompt_lookup, ..LoadOptions::default() }
}

fn open(dir: &Path, prompt_lookup: usize) -> Box<dyn VisionLanguageModel> {
    load(dir, &options(prompt_lookup)).unwrap()
}

fn one(model: &mut dyn VisionLanguageModel, ask: &Ask) -> Reply {
    model.generate(std::slice::from_ref(ask)).remove(0).unwrap()
}

/// Random models repeat themselves when they are let, and more so where a penalty below 1 favours what was seen.
fn asks(sees: bool) -> Vec<Ask> {
    let pictures = |list: &[(usize, usize, u64)]| -> Vec<_> {
        list.iter().filter(|_| sees).map(|(w, h, seed)| Arc::new(picture(*w, *h, *seed))).collect()
    };
    let long = "Heart size is normal. No effusion. Heart size is normal. No nodule. ".repeat(3);
    let mut asks = vec![
        greedy(pictures(&[(84, 56, 3)]), "Is there a fracture?", 48),
        greedy(pictures(&[(56, 112, 4), (84, 56, 3)]), &long, 40),
        greedy(vec![], &long, 64),
        greedy(pictures(&[(84, 56, 3)]), &long, 37),
        greedy(vec![], "Hello", 50),
        greedy(pictures(&[(56, 56, 5)]), "Which side is it, left or right?", 45),
    ];
    let drawn = |seed, temperature| Sampling::Random { temperature, top_k: 12, top_p: 0.9, seed };
    asks[1].limits.repetition_penalty = Some(0.6);
    asks[2].limits.repetition_penalty = Some(1.2);
    asks[3].limits.sampling = drawn(3, 0.2);
    asks[4].limits.sampling = drawn(4, 0.8);
    asks[5].limits.sampling = drawn(5, 0.3);
    asks[5].limits.repetition_penalty = Some(0.3);
    asks.iter_mut().for_each(|ask| ask.limits.logprobs = Some(5));
    asks
}

fn words(reply: &Reply) -> (&[u32], &str, Stop) {
    (&reply.token_ids, &reply.text, reply.stop)
}

/// The same to the bit, log-probabilities included.
fn equal(got: &Reply, want: &Reply, at: &str) {
    assert_eq!(words(got), words(want), "{at}");
    assert_eq!(got.logprobs, want.logprobs, "{at}");
    assert_eq!(got.findings, want.findings, "{at}");
    let counts = got.counts;
    assert!(counts.accepted_tokens <= counts.proposed_tokens, "{at}: {counts:?}");
    assert!(counts.accepted_tokens <= counts.new_tokens + 1, "{at}: {counts:?}");
    assert_eq!(
        (counts.prompt_tokens, counts.new_tokens),
        (want.counts.prompt_tokens, want.counts.new_tokens)
    );
}

/// As far as company lets sums be the same.
fn alike(got: &Reply, want: &Reply, at: &str) {
    assert_eq!(words(got), words(want), "{at}");
    let shares = |reply: &Reply| -> Vec<f32> { reply.logprobs.iter().flatten().map(|p| p.logprob).collect() };
    let off = largest_difference(&shares(got), &shares(want));
    assert!(off <= 1e-5, "{at}: {off}");
}

#[test]
fn alone_every_reply_is_the_same_to_the_bit() {
    for family in FAMILIES.iter().chain([&TEXT]) {
        let mut accepted = 0;
        for case in Case::all(family).iter().take(3) {
            let dir = case.write(&Dialect::default());
            let (mut plain, mut ahead) = (open(dir.path(), 0), open(dir.path(), 8));
            for (n, ask) in asks(*family != TEXT).iter().enumerate() {
                let (want, got) = (one(plain.as_mut(), ask), one(ahead.as_mut(), ask));
                equal(&got, &want, &format!("{}, ask {n}", case.name));
                accepted += got.counts.accepted_tokens;
                assert_eq!((want.counts.proposed_tokens, want.counts.accepted_tokens), (0, 0));
                assert_eq!(got.counts.reused_tokens, want.counts.reused_tokens, "{}, ask {n}", case.name);
            }
        }
        assert!(accepted > 60, "{family}: {accepted} tokens were accepted");
    }
}

#[test]
fn weights_of_every_number_type_give_the_same_bits() {
    let case = Case::all("qwen2_5_vl").remove(0);
    let dir = case.write(&Dialect::default());
    let types = [
        LoadOptions { dtype: Some(Dtype::Bf16), ..options(0) },
        LoadOptions { dtype: Some(Dtype::F16), ..options(0) },
        LoadOptions { quant: Some(Quant::Q8_0), ..options(0) },
        LoadOptions { quant: Some(Quant::Q4_0), ..options(0) },
    ];
    for options in types {
        let mut plain = load(dir.path(), &options).unwrap();
        let mut ahead = load(dir.path(), &LoadOptions { prompt_lookup: 16, ..options.clone() }).unwrap();
        let mut accepted = 0;
        for ask in asks(true) {
            let (want, got) = (one(plain.as_mut(), &ask), one(ahead.as_mut(), &ask));
            equal(&got, &want, &format!("{:?} {:?}", options.dtype, options.quant));
            accepted += got.counts.accepted_tokens;
        }
        assert!(accepted > 20, "{accepted}");
    }
}

#[test]
fn in_company_replies_are_those_of_plain_decoding() {
    for family in ["qwen2_5_vl", "gemma3", "llava"] {
        let dir = Case::all(family).remove(0).write(&Dialect::default());
        let mut plain = open(dir.path(), 0);
        // The same prompt drawn with several seeds shares its rows, and each goes its own way.
        let mut all = asks(true);
        for seed in 0..4 {
            let mut drawn = all[5].clone();
            drawn.limits.sampling = Sampling::Random { temperature: 0.5, top_k: 0, top_p: 0.95, seed };
            drawn.limits.max_new_tokens = 20 + 9 * seed as usize;
            all.push(drawn);
        }
        let want: Vec<Reply> = all.iter().map(|ask| one(plain.as_mut(), ask)).collect();
        for (rows, cache_bytes) in [(None, 1 << 30), (Some(4), 0), (Some(2), 1 << 20)] {
            let mut ahead = load(dir.path(), &LoadOptions { rows, cache_bytes, ..options(8) }).unwrap();
            for round in 0..2 {
                let got: Vec<Reply> = ahead.generate(&all).into_iter().map(Result::unwrap).collect();
                for (n, (got, want)) in got.iter().zip(&want).enumerate() {
                    alike(got, want, &format!("{family}, ask {n}, {rows:?} rows, round {round}"));
                }
                assert!(got.iter().map(|reply| reply.counts.accepted_tokens).sum::<usize>() > 30);
            }
        }
    }
}

#[test]
fn a_reply_ends_where_it_would_have_ended() {
    let dir = Case::all("qwen2_vl").remove(0).write(&Dialect::default());
    let (mut plain, mut ahead) = (open(dir.path(), 0), open(dir.path(), 8));
    let mut ask = asks(true).remove(1);
    let whole = one(plain.as_mut(), &ask);
    let accepted = one(ahead.as_mut(), &ask).counts.accepted_tokens;
    assert!(accepted > 15, "{accepted} of {}", whole.token_ids.len());
    // At every token, the last of an accepted run and those in its middle among them.
    for most in 0..whole.token_ids.len() {
        ask.limits.max_new_tokens = most;
        let (want, got) = (one(plain.as_mut(), &ask), one(ahead.as_mut(), &ask));
        assert_eq!((&got.token_ids[..], got.stop), (&whole.token_ids[..most], Stop::Length));
        equal(&got, &want, &format!("{most} tokens"));
        assert!(got.counts.accepted_tokens <= most);
    }
    ask.limits.max_new_tokens = whole.token_ids.len();
    let letters: Vec<char> = whole.text.chars().collect();
    let mut stopped = 0;
    for part in letters.windows(3).step_by(2) {
        ask.limits.stop = vec![part.iter().collect()];
        let (want, got) = (one(plain.as_mut(), &ask), one(ahead.as_mut(), &ask));
        equal(&got, &want, &format!("stopped at {part:?}"));
        stopped += usize::from(got.stop == Stop::StopString && got.counts.accepted_tokens > 0);
    }
    assert!(stopped > 3, "{stopped} replies were stopped after something was accepted");
}

#[test]
fn an_end_token_ends_a_reply_in_the_middle_of_what_was_looked_up() {
    let dir = Case::all("qwen2_vl").remove(0).write(&Dialect::default());
    let ask = asks(true).remove(1);
    let whole = one(open(dir.path(), 0).as_mut(), &ask);
    // Each of its tokens as the one that ends it; it was proposed when it came before.
    let mut ids: Vec<u32> = whole.token_ids;
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let settings = serde_json::json!({ "eos_token_id": id });
        std::fs::write(dir.path().join("generation_config.json"), settings.to_string()).unwrap();
        let (want, got) = (one(open(dir.path(), 0).as_mut(), &ask), one(open(dir.path(), 8).as_mut(), &ask));
        equal(&got, &want, &format!("ended by {id}"));
        assert_eq!(got.stop, Stop::EndOfTurn);
    }
}

#[test]
fn a_conversation_goes_on_from_what_was_looked_up() {
    for family in ["qwen2_5_vl", "gemma3"] {
        let dir = Case::all(family).remove(0).write(&Dialect::default());
        let (mut plain, mut ahead) = (open(dir.path(), 0), open(dir.path(), 8));
        for mut ask in [asks(true).remove(0), asks(true).remove(1), asks(true).remove(5)] {
            for round in 0..3 {
                let (want, got) = (one(plain.as_mut(), &ask), one(ahead.as_mut(), &ask));
                equal(&got, &want, &format!("{family}, round {round}"));
                // As many keys and values were kept, so that the same beginning is reused.
                assert_eq!(got.counts.reused_tokens, want.counts.reused_tokens, "{family}, round {round}");
                ask.turns.push(Turn::text(Role::Assistant, &want.text));
                ask.turns.push(Turn::text(Role::User, "And now?"));
            }
        }
    }
}

#[test]
fn it_is_on_record() {
    let dir = Case::all("qwen2_vl").remove(0).write(&Dialect::default());
    let record = |n| serde_json::to_value(open(dir.path(), n).info()).unwrap();
    let (with, without) = (record(8), record(0));
    assert_eq!(with["from"]["checkpoint"]["prompt_lookup"], 8);
    assert!(without["from"]["checkpoint"].get("prompt_lookup").is_none());
}

#[test]
fn models_that_write_without_their_prompt_refuse_it() {
    let (_dir, path) = florence2::Case::new("as_published").written();
    let error = load(&path, &options(8)).err().unwrap();
    assert!(matches!(error, LoadError::Option { option: "--prompt-lookup", .. }), "{error}");
}
