//! Each strategy with scripted models, and the tables against the folders.

use crate::models;
use loupe_core::trace::Ended;
use loupe_core::{Ask, Choice, GenerationLimits, ModelError, ModelInfo, Sample, Sampling, Target};
use loupe_rethink::answer::{boxed, key, letter, of_reply, votes};
use loupe_rethink::strategies::{budgeted, chain_of_thought, plan_and_solve};
use loupe_rethink::{Models, Outcome, PROTOCOLS, Request, STRATEGIES, Settings, run};
use loupe_testing::{Nearest, PromptShapes, Script, assert_table_is_folder, picture, reply};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

fn request() -> Request {
    let mut request = Request::new(vec![picture(40, 30, 3)], "Which side?");
    request.choices =
        vec![Choice { letter: 'A', text: "left".into() }, Choice { letter: 'B', text: "right".into() }];
    request
}

fn play(name: &str, lines: &[&str], settings: &Settings) -> (Outcome, Script) {
    let mut script = Script::new(lines);
    let outcome = run(name, models(&mut script, &Nearest::default()), &request(), settings).unwrap();
    (outcome, script)
}

#[test]
fn single_asks_once() {
    let (outcome, script) = play("single", &["left"], &Settings::default());
    assert_eq!(script.asks[0].turns[0].words(), "Which side?\nA. left\nB. right");
    assert_eq!((outcome.reply.text.as_str(), script.asks.len()), ("left", 1));
}

#[test]
fn a_recipe_words_the_plain_pass() {
    let asked = Ask::pictures_then(request().pictures, "Recipe: which side?", GenerationLimits::default());
    let sample = Sample {
        id: "7".into(),
        media: Vec::new(),
        question: "Which side?".into(),
        choices: request().choices,
        target: Target::Choice('A'),
        group: "g".into(),
        tags: BTreeMap::new(),
        language: "en".into(),
    };
    let request = Request::of_sample(&sample, &asked);
    for name in ["single", "self-consistency"] {
        let mut script = Script::forever("A");
        run(name, models(&mut script, &Nearest::default()), &request, &Settings::default()).unwrap();
        assert_eq!(script.asks[0].turns, asked.turns, "{name}");
    }
    // A protocol words the question itself.
    let mut script = Script::new(&["A"]);
    run("loupe", models(&mut script, &Nearest::default()), &request, &Settings::default()).unwrap();
    assert!(script.asks[0].turns[0].words().starts_with("Which side?\nA. left"));
}

#[test]
fn thinking_strategies_think_and_then_answer() {
    for (name, trigger) in
        [("chain-of-thought", chain_of_thought::TRIGGER), ("plan-and-solve", plan_and_solve::TRIGGER)]
    {
        let (outcome, script) = play(name, &["The heart is on the left.", "(A)"], &Settings::default());
        assert!(script.asks[0].turns[0].words().ends_with(trigger));
        assert_eq!(script.asks[1].turns[2].words(), chain_of_thought::EXTRACT);
        assert_eq!(outcome.reply.text, "(A)");
        assert_eq!(outcome.reply.counts.prompt_tokens, 200, "counts of both rounds");
    }
}

#[test]
fn the_majority_wins_and_agreement_is_on_record() {
    let (outcome, script) =
        play("self-consistency", &["right", "A", "(A) left", "left", "I cannot say"], &Settings::default());
    assert_eq!(outcome.reply.text, "A");
    assert_eq!(outcome.trace.summary["agreement"], 0.6);
    let seeds: Vec<u64> = script
        .asks
        .iter()
        .map(|a| if let Sampling::Random { seed, .. } = a.limits.sampling { seed } else { panic!() })
        .collect();
    assert_eq!(seeds, [0, 1, 2, 3, 4]);
    // Equal counts: the earlier answer.
    let settings = Settings { samples: 2, ..Settings::default() };
    assert_eq!(play("self-consistency", &["B", "A"], &settings).0.reply.text, "B");
}

#[test]
fn a_vote_over_a_protocol() {
    let zoom = "{\"bbox_2d\": [5, 6, 20, 20]}";
    let settings = Settings { samples: 3, ..Settings::default() };
    let (outcome, script) = play("self-consistency+loupe", &[zoom, "A", "B", zoom, "B"], &settings);
    assert_eq!((outcome.reply.text.as_str(), script.asks.len()), ("B", 5));
    assert_eq!(outcome.trace.regions().count(), 2);
    assert_eq!(outcome.trace.by, "self-consistency+loupe");
}

#[test]
fn votes_without_failed_passes() {
    let broken = Err(ModelError::Compute("x".into()));
    let mut script = Script::of(vec![broken.clone(), Ok(reply("A")), broken]);
    let settings = Settings { samples: 3, ..Settings::default() };
    let outcome =
        run("self-consistency", models(&mut script, &Nearest::default()), &request(), &settings).unwrap();
    assert_eq!(outcome.reply.text, "A");
    assert_eq!(outcome.trace.summary["without_answer"], 2);
    assert!(matches!(outcome.trace.ended, Ended::Failed(_)));
}

#[test]
fn ranked_lists_are_read() {
    for text in [
        "1. pneumonia\n2) **oedema**\n3. Pneumonia\n4. tumour",
        "<think>1. no</think>- pneumonia\n- oedema\n- tumour",
        "pneumonia\noedema\n\ntumour\nfourth",
    ] {
        let settings = Settings { ranks: 3, ..Settings::default() };
        let (outcome, _) = play("ranked", &[text], &settings);
        assert_eq!(
            outcome.trace.summary["ranked"],
            serde_json::json!(["pneumonia", "oedema", "tumour"]),
            "{text}"
        );
        assert_eq!(outcome.reply.text, "pneumonia");
    }
}

#[test]
fn thought_is_bounded_and_forced() {
    // Cut off by the bound: the answer is forced.
    let settings = Settings { think_tokens: 4, ..Settings::default() };
    let (outcome, script) = play("budgeted", &["one two three four five six", "A"], &settings);
    assert_eq!(script.asks[0].limits.max_new_tokens, 4);
    assert_eq!(script.asks[1].turns.last().unwrap().words(), budgeted::FORCE);
    assert_eq!((outcome.reply.text.as_str(), &outcome.trace.summary["forced"]), ("A", &true.into()));
    // Ends early: made to go on twice.
    let settings = Settings { think_tokens: 100, go_on: 2, ..Settings::default() };
    let (outcome, script) = play(
        "budgeted",
        &["<answer>A</answer>", "hm <answer>B</answer>", "yes <answer>B</answer>"],
        &settings,
    );
    assert_eq!(script.asks[1].turns.last().unwrap().words(), budgeted::GO_ON);
    assert_eq!((outcome.reply.text.as_str(), script.asks.len()), ("B", 3));
}

#[test]
fn a_second_opinion() {
    let settings = Settings::default();
    let ask = |one: &[&str], two: &[&str]| {
        let (mut one, mut two) = (Script::new(one).named("one"), Script::new(two).named("two"));
        let nearest = Nearest::default();
        let both = Models {
            first: &mut one,
            second: Some(&mut two),
            segmenter: None,
            resampler: &nearest,
            loader: None,
        };
        let outcome = run("second-opinion", both, &request(), &settings).unwrap();
        (outcome, one.asks.len(), two.asks.len())
    };
    let (outcome, one, two) = ask(&["A"], &["left"]);
    assert_eq!((outcome.reply.text.as_str(), one, two), ("A", 1, 1));
    assert_eq!(outcome.trace.rounds[1].model, "two");
    // The first gives in.
    let (outcome, one, two) = ask(&["A", "B"], &["B", "B"]);
    assert_eq!((outcome.reply.text.as_str(), one, two), ("B", 2, 2));
    assert_eq!(outcome.trace.summary["agreed"], true);
    // Neither does: a third vote settles it.
    let (outcome, one, two) = ask(&["A", "A", "B"], &["B", "B"]);
    assert_eq!((outcome.reply.text.as_str(), one, two), ("B", 3, 2));
    assert_eq!(outcome.trace.summary["adjudicated"], "B");
}

#[test]
fn modules_are_asked_and_put_together() {
    let (outcome, script) = play("modular", &["CT", "lungs", "none", "B"], &Settings::default());
    let last = script.asks[3].turns[0].words();
    assert!(last.starts_with("radiology: CT\nanatomy: lungs\npathology: none\n"), "{last}");
    assert_eq!(outcome.reply.text, "B");
}

#[test]
fn answers_are_found_and_compared() {
    let choices = request().choices;
    for (text, want) in [
        ("<think>B</think>\nA", "A"),
        ("x <answer> y </answer>", "y"),
        ("so \\boxed{\\frac{1}{2}} ok", "\\frac{1}{2}"),
        ("Long.\nFinal answer: left lung\n", "left lung"),
        ("plain", "plain"),
        ("\\boxed{open", "\\boxed{open"),
    ] {
        assert_eq!(of_reply(text), want, "{text}");
    }
    for (text, want) in [
        ("A", Some('A')),
        ("(b)", Some('B')),
        ("A. left", Some('A')),
        ("the left", Some('A')),
        ("A lesion", None),
        ("both", None),
    ] {
        assert_eq!(letter(text, &choices), want, "{text}");
    }
    assert_eq!(key("The Left lung.", &[]), key("left  lung", &[]));
    assert_ne!(key("1.5 cm", &[]), key("15 cm", &[]));
    assert_eq!(votes(["b", "B. right", "left"], &choices)[0], ("b".to_owned(), 2));
    assert_eq!(boxed("no box"), None);
}

proptest! {
    #[test]
    fn any_reply_is_survived(text in any::<String>(), junk in "[\\[\\]{}<>:,\"/a-z0-9_ .]{0,120}", tag in 0usize..8) {
        let wrap = ["<tool_call>", "<grounding>{\"bbox_2d\": ", "{\"actions\": [", "<answer>", "\\boxed{", "{\"slice\": ",
            "<action>Positive Point (", "Action: Zoom-in\n```json\n[{\"bbox_2d\": ["][tag];
        for p in PROTOCOLS.iter() {
            for t in [text.clone(), format!("{wrap}{junk}"), format!("{wrap}{junk}</tool_call>"), format!("{wrap}{junk}, \"source\": \"x\"}}</grounding>")] {
                let mut script = Script::forever(&t);
                let resampler = Nearest::default();
                let mut segmenter = PromptShapes::new(ModelInfo::scripted("medsam2", "", "none"));
                let models = Models { segmenter: Some(&mut segmenter), ..models(&mut script, &resampler) };
                let outcome = run(p.name, models, &request(), &Settings::default());
                prop_assert!(outcome.is_ok());
                prop_assert!(outcome.unwrap().trace.rounds.len() <= p.rounds);
            }
        }
    }
}

/// One file and one line for everything that multiplies.
#[test]
fn tables_list_their_folders() {
    let folder = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name);
    assert_table_is_folder(&folder("protocols"), PROTOCOLS.files.iter().map(|(file, _)| file));
    assert_table_is_folder(&folder("strategies"), STRATEGIES.files.iter().map(|(file, _)| file));
    // A file may hold variants of one protocol, named after it.
    for (file, protocols) in PROTOCOLS.files {
        for p in *protocols {
            assert!(p.name.starts_with(&file.replace('_', "-")), "{} in {file}", p.name);
            assert!(p.dialect == "family" || loupe_core::dialect::dialect(p.dialect).is_some(), "{}", p.name);
            assert!(p.rounds > 0 && !p.actions.is_empty() && !p.about.is_empty() && !p.source.is_empty());
        }
    }
    let names: Vec<&str> = STRATEGIES.names().chain(PROTOCOLS.names()).collect();
    for (n, name) in names.iter().enumerate() {
        assert!(!names[n + 1..].contains(name), "{name} is there twice");
    }
}
