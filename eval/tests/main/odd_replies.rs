//! No reply, however odd, stops scoring or changes another row.

use crate::imported;
use loupe_core::{Choice, Sample, Target};
use loupe_eval::profiles::{self, AsProfile};
use loupe_eval::strict::Strict;
use loupe_eval::{Profile, Scoring, score};
use loupe_testing::dataset::info;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

fn sample(id: usize) -> Sample {
    let words = ["pneumonia", "pleural effusion", "fracture", "normal"];
    let choices: Vec<Choice> = if id.is_multiple_of(3) {
        ('A'..).zip(words).map(|(letter, text)| Choice { letter, text: text.to_owned() }).collect()
    } else {
        Vec::new()
    };
    let target = match id % 3 {
        0 => Target::Choice('B'),
        1 => Target::Text(vec!["yes".into()]),
        _ => Target::Text(vec!["left lung".into()]),
    };
    Sample {
        id: id.to_string(),
        media: Vec::new(),
        question: "Is there a “pleural” \u{202e}effusion?".into(),
        choices,
        target,
        group: (id / 2).to_string(),
        tags: BTreeMap::from([(
            "answer_type".to_owned(),
            ["CLOSED", "OPEN"][usize::from(id % 3 == 2)].to_owned(),
        )]),
        language: "en".into(),
    }
}

/// Three rows, one of each kind, with one reply each; returns the lines of scores.json by id.
fn scored(dir: &Path, replies: &[&str]) -> BTreeMap<String, Value> {
    imported(dir, info("odd"), (0..).map(sample).zip(replies.iter().map(|r| (*r).to_owned())));
    let others: Vec<AsProfile> = profiles::PROFILES.iter().copied().map(AsProfile::new).collect();
    let mut all: Vec<&dyn Profile> = vec![&Strict];
    all.extend(others.iter().map(|p| p as &dyn Profile));
    let summary = score(dir, &Scoring { profiles: &all, sensitivity: true, ..Scoring::default() }).unwrap();
    assert_eq!(summary.replies as usize, replies.len());
    let scores: Value = serde_json::from_slice(&std::fs::read(dir.join("scores.json")).unwrap()).unwrap();
    let items = scores["items"].as_array().unwrap();
    items.iter().map(|i| (i["id"].as_str().unwrap().to_owned(), i["profiles"].clone())).collect()
}

#[test]
fn odd_replies_are_scored_and_leave_their_neighbours_alone() {
    let megabyte = "the answer is (B) ".repeat((1 << 20) / 18);
    let binary: String = (0..4096u32).filter_map(|i| char::from_u32(i * 7 % 0x300)).collect();
    let odd: Vec<&str> = vec![
        "",
        " \n\t ",
        &megabyte,
        &binary,
        "\u{0}\u{1}\u{fffd}\u{feff}",
        "\u{202e}הריאה השמאלית\u{202c} نعم",
        "<think>It is B, yes, the left lung.",
        "<think>It is B.</think>",
        "</think></think><answer></answer>",
        "\\boxed{\\boxed{\\text{B",
        "{\"a\": [[[[[[[[",
        "nan",
        "1e999",
        "🫁".repeat(9).leak(),
    ];
    let plain = ["(B)", "Yes.", "left lung"];
    let dir = tempfile::tempdir().unwrap();
    let before = scored(&dir.path().join("plain"), &plain.repeat(odd.len()));
    let mixed: Vec<&str> = odd
        .iter()
        .enumerate()
        .flat_map(|(n, odd)| {
            // Each odd reply takes the place of one of three neighbours.
            let mut rows = plain;
            rows[n % 3] = odd;
            rows
        })
        .collect();
    let after = scored(&dir.path().join("mixed"), &mixed);
    assert_eq!(before.len(), after.len());
    for (n, _) in odd.iter().enumerate() {
        for (place, id) in (0..3).map(|place| (place, (3 * n + place).to_string())) {
            if place != n % 3 {
                assert_eq!(before[&id], after[&id], "row {id}, beside odd reply {n}");
            }
        }
    }
    // None of them is right by chance: what holds no answer is unparsed under strict.
    for (n, reply) in [(0, "empty"), (1, "empty"), (6, "reasoning_unfinished"), (7, "reasoning_only")] {
        let strict = &after[&(3 * n + n % 3).to_string()]["strict"];
        assert_eq!((&strict["verdict"], &strict["rule"]), (&"unparsed".into(), &reply.into()));
    }
}
