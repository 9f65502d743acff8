//! Profiles against the harnesses' own functions, reply by reply (fixtures: `make/profiles.py`).

use loupe_core::{Choice, Sample, Score, Target};
use loupe_eval::metrics::token_f1;
use loupe_eval::metrics::vqa_normal::normalise_lower;
use loupe_eval::profiles::{self, CRASH, HarnessVerdict, RANDOM};
use serde_json::Value;

fn sample(target: Target, choices: Vec<Choice>, answer_type: &str) -> Sample {
    Sample {
        id: "1".into(),
        media: Vec::new(),
        question: "?".into(),
        choices,
        target,
        group: "1".into(),
        tags: [("answer_type".to_owned(), answer_type.to_owned())].into(),
        language: "en".into(),
    }
}

fn score(profile: &str, sample: &Sample, reply: &str) -> HarnessVerdict {
    profiles::PROFILES
        .get(profile)
        .copied()
        .unwrap_or_else(|| panic!("no profile {profile}"))
        .score(sample, reply)
}

#[test]
fn choices_are_read_as_the_harnesses_read_them() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("../fixtures/profiles_choice.json")).unwrap();
    let mut bad = Vec::new();
    let mut n = 0;
    for row in &rows {
        let choices: Vec<Choice> = row["options"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(l, t)| Choice { letter: l.chars().next().unwrap(), text: t.as_str().unwrap().to_owned() })
            .collect();
        let reply = row["reply"].as_str().unwrap();
        for (profile, read) in row["read"].as_object().unwrap() {
            let read = read.as_str().unwrap();
            for choice in &choices {
                n += 1;
                let question = sample(Target::Choice(choice.letter), choices.clone(), "");
                let judged = score(profile, &question, reply);
                let expected = if read == "?" {
                    if judged.rule != RANDOM {
                        bad.push(format!("{profile} {reply:?}: {} instead of a random choice", judged.rule));
                    }
                    1.0 / choices.len() as f64
                } else {
                    f64::from(u8::from(read.contains(choice.letter)))
                };
                // A reply that is left out has no verdict.
                if judged.value() != expected && !reply.is_empty() {
                    bad.push(format!(
                        "{profile} {reply:?} {}: {judged:?} instead of {read:?}",
                        choice.letter
                    ));
                }
            }
        }
    }
    assert!(bad.is_empty(), "{} differences of {n}\n{}", bad.len(), bad[..bad.len().min(20)].join("\n"));
    assert!(n > 20_000);
}

#[test]
fn words_are_read_as_the_harnesses_read_them() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("../fixtures/profiles_text.json")).unwrap();
    let mut bad = Vec::new();
    for row in &rows {
        let (gold, reply, read) =
            (row["gold"].as_str().unwrap(), row["reply"].as_str().unwrap(), &row["read"]);
        let target = || Target::Text(vec![gold.to_owned()]);
        let (open, closed) = (sample(target(), Vec::new(), "OPEN"), sample(target(), Vec::new(), "CLOSED"));
        let mut same = |what: &str, got: f64, expected: f64| {
            if (got - expected).abs() > 1e-9 {
                bad.push(format!("{what}: {gold:?} {reply:?}: {got} instead of {expected}"));
            }
        };
        let truth = |v: &Value| f64::from(u8::from(v.as_bool().unwrap()));
        let judged = score("medevalkit-slake", &open, reply);
        match &read["medevalkit-open"] {
            Value::String(_) => same("crash", f64::from(u8::from(judged.rule == CRASH)), 1.0),
            columns => {
                for (column, expected) in columns.as_object().unwrap() {
                    let name = format!("open.{column}");
                    let got = judged.values().find(|(n, _)| *n == name).map_or(-1.0, |(_, v)| v);
                    // The bare functions get the reply before the class has cut out its box or tags.
                    if !reply.contains("boxed") && !reply.contains("<answer>") {
                        same(&name, got, expected.as_f64().unwrap());
                    }
                }
            }
        }
        let judged = score("medevalkit-slake", &closed, reply);
        let expected = if matches!(gold, "yes" | "no") {
            &read["medevalkit-yes-no"]
        } else {
            &read["medevalkit-closed"]
        };
        same("medevalkit closed", judged.value(), truth(expected));
        same(
            "lmms-eval-slake",
            score("lmms-eval-slake", &open, reply).value(),
            truth(&read["lmms-eval-slake"]),
        );
        same(
            "llava-med closed",
            score("llava-med", &closed, reply).value(),
            truth(&read["llava-med-closed"]),
        );
        let judged = score("llava-med", &open, reply);
        for (i, column) in ["exact match", "f1", "precision", "recall"].into_iter().enumerate() {
            let got = judged.values().find(|(n, _)| *n == column).unwrap().1;
            same(column, got, read["llava-med"][i].as_f64().unwrap());
        }
        same("karma", token_f1::of_karma(&gold.to_lowercase(), reply).f1, read["karma"].as_f64().unwrap());
        if normalise_lower(reply) != read["clean"].as_str().unwrap() {
            bad.push(format!("clean: {reply:?}: {:?} instead of {}", normalise_lower(reply), read["clean"]));
        }
    }
    assert!(bad.is_empty(), "{} differences\n{}", bad.len(), bad[..bad.len().min(20)].join("\n"));
    assert!(rows.len() > 250);
}

#[test]
fn verdicts_of_medevalkit_that_its_users_reported() {
    let text = |t: &str| sample(Target::Text(vec![t.into()]), Vec::new(), "CLOSED");
    assert_eq!(score("medevalkit-vqa-rad", &text("no"), "The scan is abnormal").verdict, Score::Value(1.0));
    assert_eq!(
        score("medevalkit-vqa-rad", &text("yes"), "Yes, there is no doubt").verdict,
        Score::Value(0.0)
    );
    assert_eq!(score("medevalkit-vqa-rad", &text("left lung"), "").rule, CRASH);
}
