//! Each published protocol, fed with scripted replies, says and shows what its source says and
//! shows. `golden/make.py` made the transcripts with the code of the sources themselves.

use crate::models;
use loupe_core::PictureRecord;
use loupe_core::{Choice, ModelInfo, Part, Role, Turn};
use loupe_rethink::{Models, PROTOCOLS, Request, Settings, pixels, run};
use loupe_testing::{Nearest, PromptShapes, Script, picture};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/golden.json")).unwrap()
}

/// The turn as one text, pictures as `P`.
fn flat(turn: &Turn) -> String {
    turn.parts.iter().map(|p| if let Part::Text(t) = p { t.as_str() } else { "P" }).collect()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
}

#[test]
fn transcripts_equal_their_sources() {
    let golden = golden();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 50);
    for case in cases {
        let name = case["protocol"].as_str().unwrap();
        let size: Vec<usize> =
            case["size"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
        let replies = texts(&case["replies"]);
        let mut script = Script::new(&replies);
        let resampler = Nearest::default();
        let mut request =
            Request::new(vec![picture(size[0], size[1], size[2])], case["question"].as_str().unwrap());
        request.limits.max_new_tokens = 20_000;
        let letters = "ABCDEF".chars();
        request.choices = letters
            .zip(texts(&case["options"]))
            .map(|(letter, t)| Choice { letter, text: t.into() })
            .collect();
        let mut segmenter = PromptShapes::new(ModelInfo::scripted("medsam2", "", "none"));
        let models = Models { segmenter: Some(&mut segmenter), ..models(&mut script, &resampler) };
        let outcome = run(name, models, &request, &Settings::default()).unwrap();
        let what = format!("{name}: {replies:?}");

        let rounds = &outcome.trace.rounds;
        let open: Vec<String> = rounds[0].turns.iter().map(flat).collect();
        assert_eq!(
            open,
            [case["open"]["system"].as_str().unwrap(), case["open"]["user"].as_str().unwrap()],
            "{what}"
        );
        assert_eq!(rounds[0].turns[0].role, Role::System);
        let calls = resampler.calls.lock().unwrap();
        let mut calls = calls.iter();
        if let Some(first) = case.get("first") {
            expect_picture(
                first,
                &outcome.trace.pictures[rounds[0].pictures[0]],
                &mut calls,
                "lanczos",
                &what,
            );
        }

        let turns = case["turns"].as_array().unwrap();
        assert_eq!(rounds.len(), turns.len() + 1, "{what}: {:?}", outcome.trace.ended);
        for (n, (round, want)) in rounds.iter().skip(1).zip(turns).enumerate() {
            let turn = round.turns.last().unwrap();
            assert_eq!(flat(turn), want["user"].as_str().unwrap(), "{what}");
            if case.get("alone").is_some() {
                // Nothing of earlier rounds: the system turn again, and one picture.
                assert_eq!((round.follows, flat(&round.turns[0])), (None, open[0].clone()), "{what}");
                let shown = &outcome.trace.pictures[round.pictures[0]];
                assert_eq!((round.turns.len(), round.pictures.len()), (2, 1), "{what}");
                expect_picture(&want["picture"], shown, &mut calls, "bicubic", &what);
                continue;
            }
            assert_eq!((round.turns.len(), round.follows), (1, Some(n)), "{what}");
            let before = &rounds[n];
            if let Some(wanted) = want.get("pictures").and_then(Value::as_array) {
                let new = &round.pictures[before.pictures.len()..];
                assert_eq!(new.len(), wanted.len(), "{what}");
                for (want, shown) in wanted.iter().zip(new) {
                    expect_picture(want, &outcome.trace.pictures[*shown], &mut calls, "bicubic", &what);
                }
                let failed = flat(turn).contains("Error");
                assert_eq!(before.error.is_some(), failed, "{what}");
                continue;
            }
            if want["picture"].is_null() {
                assert!(before.error.is_some(), "{what}");
                assert_eq!(round.pictures.len(), before.pictures.len(), "{what}");
            } else {
                let shown = &outcome.trace.pictures[*round.pictures.last().unwrap()];
                let filter = if name == "mini-o3" { "nearest" } else { "bicubic" };
                expect_picture(&want["picture"], shown, &mut calls, filter, &what);
                assert_eq!(round.turns[0].parts.iter().filter(|p| matches!(p, Part::Picture(_))).count(), 1);
                assert!(round.turns[0].parts.contains(&Part::Picture(round.pictures.len() - 1)), "{what}");
            }
        }
        assert!(calls.next().is_none(), "{what}: nothing else was resized");
        assert_eq!(outcome.reply.text, case["answer"].as_str().unwrap(), "{what}");
        if let Some(pixels) = case.get("mask").and_then(Value::as_u64) {
            // The mask is a finding on the picture given.
            let [found] = &outcome.reply.findings[..] else { panic!("{what}: {:?}", outcome.reply.findings) };
            let mask = found.as_mask().unwrap().to_mask().unwrap();
            assert_eq!(
                (found.picture, mask.bits().iter().filter(|b| **b).count()),
                (0, pixels as usize),
                "{what}"
            );
        }
    }
}

/// The picture's size, the resize it went through, and the SHA-256 of its pixels: after a resize by
/// NEAREST, before any other.
fn expect_picture<'a>(
    want: &Value,
    shown: &PictureRecord,
    calls: &mut impl Iterator<Item = &'a (PictureRecord, usize, usize, String)>,
    filter: &str,
    what: &str,
) {
    let size = |v: &Value| [v[0].as_u64().unwrap() as usize, v[1].as_u64().unwrap() as usize];
    assert_eq!(shown.size, size(&want["size"]), "{what}");
    let nearest = filter == "nearest";
    let mut sha = shown.sha256.clone();
    if nearest {
        // Resized or not, the bytes are Pillow's.
        for _ in shown.origin.steps.iter().rev().take_while(|s| *s == "nearest") {
            assert_eq!(calls.next().unwrap().3, "nearest", "{what}");
        }
    } else if want["size"] != want["before"] {
        let (before, w, h, used) = calls.next().unwrap();
        assert_eq!(
            (before.size, [*w, *h], used.as_str()),
            (size(&want["before"]), shown.size, filter),
            "{what}"
        );
        sha.clone_from(&before.sha256);
    }
    if let Some(expected) = want["sha256"].as_str() {
        assert_eq!(sha, expected, "{what}");
    }
}

#[test]
fn marks_equal_pillow() {
    for mark in golden()["marks"].as_array().unwrap() {
        let picture = picture(23, 17, mark["channels"].as_u64().unwrap() as usize);
        let b: Vec<f64> = mark["box"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let marked = pixels::rectangles(&picture, &[[b[0], b[1], b[2], b[3]]], pixels::RED, 3).unwrap();
        assert_eq!(PictureRecord::of(&marked).sha256, mark["sha256"].as_str().unwrap(), "{mark}");
    }
}

#[test]
fn the_inference_variant_of_vitar_shows_a_jpeg() {
    let mut script = Script::new(&[
        r#"{"thought": "t", "actions": [{"name": "mark", "arguments": {"box": [[1, 2, 30, 40]]}}]}"#,
        "anything",
    ]);
    let resampler = Nearest::default();
    let request = Request::new(vec![picture(60, 50, 3)], "q");
    run("vitar-inference", models(&mut script, &resampler), &request, &Settings::default()).unwrap();
    let jpegs = resampler.jpegs.lock().unwrap();
    let marked = pixels::rectangles(&picture(60, 50, 3), &[[1.0, 2.0, 30.0, 40.0]], pixels::RED, 3).unwrap();
    assert_eq!((jpegs.len(), jpegs[0].1, &jpegs[0].0.sha256), (1, 75, &PictureRecord::of(&marked).sha256));
}

#[test]
fn every_transcript_belongs_to_a_published_protocol_and_every_one_has_some() {
    let golden = golden();
    for case in golden["cases"].as_array().unwrap() {
        assert!(PROTOCOLS.get(case["protocol"].as_str().unwrap()).is_some());
    }
    for p in loupe_rethink::PROTOCOLS.iter().filter(|p| p.source != "loupe") {
        assert!(golden["cases"].as_array().unwrap().iter().any(|c| c["protocol"] == p.name), "{}", p.name);
    }
}
