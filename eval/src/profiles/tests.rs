#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
use super::*;
use crate::sensitivity::{Sensitivity, Spread};
use loupe_core::{Choice, Sample, Score, Target};
use std::collections::BTreeSet;
use std::path::Path;

fn sample(target: Target, choices: &[&str]) -> Sample {
    Sample {
        id: "1".into(),
        media: Vec::new(),
        question: "Where is it?".into(),
        choices: choices
            .iter()
            .zip('A'..)
            .map(|(text, letter)| Choice { letter, text: (*text).to_owned() })
            .collect(),
        target,
        group: "1".into(),
        tags: [("answer_type".to_owned(), "OPEN".to_owned())].into(),
        language: "en".into(),
    }
}

#[test]
fn every_file_is_listed_and_every_name_is_unique() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/profiles");
    loupe_testing::assert_table_is_folder(&folder, PROFILES.files.iter().map(|(file, _)| file));
    let names: Vec<&str> = PROFILES.names().collect();
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len());
    for profile in PROFILES.iter() {
        assert_eq!(profile.commit().len(), 40, "{}", profile.name());
        assert!(!profile.quirks().is_empty(), "{}", profile.name());
        assert!(PROFILES.get(profile.name()).is_some());
    }
}

#[test]
fn odd_replies_neither_crash_nor_score_more_than_one() {
    let long = "A".repeat(1 << 20);
    let thoughts = format!("<think>{}", "is it B? ".repeat(20_000));
    let odd = [
        "",
        " ",
        "\u{0}\u{1}\u{fffd}",
        "\u{202e}صورة طبيعية",
        "<think>",
        "</think>",
        "\\boxed{",
        "\\boxed{{{}",
        "<answer>",
        "<answer></answer>",
        "```json\n[[[[",
        "```json\n{\"counts\": \"Numerous\"}\n```",
        "é́",
        "ß",
        "Final Answer:",
        "answer is",
        "答案:",
        "Z",
        "1e999 mm",
        "-",
        ".",
        "….",
        long.as_str(),
        thoughts.as_str(),
    ];
    let samples = [
        sample(Target::Text(vec!["Left lung".into()]), &[]),
        sample(Target::Text(vec!["yes".into()]), &[]),
        sample(Target::Text(vec![String::new()]), &[]),
        sample(Target::Text(vec!["```json\n{\"counts\": 3}\n```".into()]), &[]),
        sample(Target::Text(Vec::new()), &[]),
        sample(Target::Choice('B'), &["left", "right. or both", "", "left"]),
        sample(Target::Choice('C'), &[]),
        sample(Target::Unknown, &[]),
    ];
    for profile in PROFILES.iter() {
        for sample in &samples {
            for reply in odd {
                let judged = profile.score(sample, reply);
                for (name, value) in judged.values() {
                    assert!(value.is_finite() && value >= 0.0, "{} {name} {value}", profile.name());
                }
                if let Score::Value(v) = judged.verdict {
                    assert!((0.0..=1.0).contains(&v), "{} {v}", profile.name());
                }
            }
        }
    }
}

#[test]
fn the_same_reply_is_right_and_wrong_by_profile() {
    let question = sample(Target::Choice('B'), &["pneumonia", "pleural effusion", "fracture", "normal"]);
    let prediction = loupe_core::Prediction {
        id: "1".into(),
        outcome: loupe_core::sample::Outcome::Reply(loupe_core::Reply::from_text("The correct answer is B.")),
        record: loupe_core::Record::Single,
    };
    let mut row = Sensitivity::beside([]);
    row.add(&crate::profile::Case { sample: &question, prediction: &prediction, pictures: &[] }, &[]);
    let range = row.clone().finish("chestqa");
    assert_eq!(range.by_profile.last().unwrap().1, 1.0);
    assert!(range.by_profile.iter().all(|(_, share)| (0.0..=1.0).contains(share)));
    let why = |range: &Spread, profile: &str| {
        range.without.iter().find(|(name, _)| name == profile).map(|(_, why)| why.clone())
    };
    assert!(why(&range, "karma").is_some());
    // Its answers stand in another format, so its zero says nothing about these replies.
    let wrong = PROFILES.by_name("vitar").unwrap().score(&question, "The correct answer is B.");
    assert_eq!(wrong.verdict, Score::Value(0.0));
    assert_eq!(why(&range, "vitar").as_deref(), Some("reads nothing in these replies"));
    // Made for one set, and left out elsewhere.
    assert_eq!(why(&range, "medframeqa").as_deref(), Some("made for medframeqa"));
    assert_eq!(why(&row.finish("medframeqa"), "medframeqa"), why(&range, "vitar"));
}

#[test]
fn a_run_sees_the_commit_and_the_printed_figures() {
    use crate::profile::{Case, Profile as _, Verdict};
    let profile = AsProfile::new(*PROFILES.by_name("medevalkit-vqa-rad").unwrap());
    assert_eq!(profile.name(), "compat:medevalkit-vqa-rad@9b12e3b");
    let closed = sample(Target::Text(vec!["no".into()]), &[]);
    let open = sample(Target::Text(vec!["left lung".into()]), &[]);
    let prediction = loupe_core::Prediction {
        id: "1".into(),
        outcome: loupe_core::sample::Outcome::Reply(loupe_core::Reply::from_text("The scan is abnormal")),
        record: loupe_core::Record::Single,
    };
    let case = Case { sample: &closed, prediction: &prediction, pictures: &[] };
    assert_eq!(profile.judge(&case).verdict, Verdict::Correct);
    let mut gathered = profile.gather().unwrap();
    for (sample, reply) in [(&closed, "abnormal"), (&open, "left lung"), (&open, "right")] {
        let prediction = loupe_core::Prediction {
            outcome: loupe_core::sample::Outcome::Reply(loupe_core::Reply::from_text(reply)),
            ..prediction.clone()
        };
        let judgement = profile.judge(&Case { sample, prediction: &prediction, pictures: &[] });
        gathered.add(sample, reply, &judgement);
    }
    let printed = gathered.figures();
    assert_eq!(printed[0], ("total metrics.acc".to_owned(), 2.0 / 3.0));
    assert_eq!(printed[2], ("open.acc".to_owned(), 0.25));
}
