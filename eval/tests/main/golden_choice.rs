//! The measured table of multiple-choice parsers on the 2 000 questions of MedXpertQA-MM.
//!
//! `LOUPE_TEST_MORE/medxpertqa_mm_input.jsonl` holds the option lists. Two things of the table are
//! not on record: which wrong letter was drawn for each question, and the wording of some replies.
//! A wrong-letter cell must therefore lie within 4.5 standard deviations of its expectation over the
//! four wrong letters (which is an exact check where the reply decides), random answers likewise,
//! and cells that depend on unknown wording are named below and left out.

use loupe_core::{Choice, Sample, Target};
use loupe_eval::profiles::{self, HarnessProfile};
use loupe_testing::{dataset::worded, more_data};
use serde_json::Value;

/// `(form, harness)` whose figure hangs on words of the reply that the table does not give.
const UNKNOWN_WORDING: [(&str, &str); 6] = [
    ("Answer: B + explanation mentioning A and C", "MedEvalKit"),
    ("<answer>B. text</answer>", "VLMEvalKit_exact"),
    ("refusal", "MedEvalKit"),
    ("'Based on the image, a mass is present'", "MedEvalKit"),
    ("'Based on the image, a mass is present'", "MedFrameQA"),
    ("'I don't know'", "VLMEvalKit_exact"),
];

fn reply(form: &str, l: char, text: &str) -> String {
    match form {
        "B" => l.to_string(),
        "B." => format!("{l}."),
        "(B)" => format!("({l})"),
        "B. text" => format!("{l}. {text}"),
        "text only" => text.to_owned(),
        "The correct answer is B." => format!("The correct answer is {l}."),
        "**Answer: B**" => format!("**Answer: {l}**"),
        "Answer: B + explanation mentioning A and C" => {
            format!(
                "Answer: {l}\n\nOption A is unlikely because of the location, and C is not supported by the image."
            )
        }
        "CoT then 'Answer: B'" => {
            format!("Looking at the image, option A is unlikely and option D can be excluded.\nAnswer: {l}")
        }
        "boxed" => format!("Based on the findings, the answer is \\boxed{{{l}}}"),
        "boxed text{}" => format!("\\boxed{{\\text{{{l}}}}}"),
        "<think>..</think><answer>B</answer>" => {
            format!("<think>Option A or D could be right.</think><answer>{l}</answer>")
        }
        "<answer>B. text</answer>" => {
            format!("<think>This looks like A but no.</think><answer>{l}. {text}</answer>")
        }
        "'Therefore, among A through E, the answer is B.'" => {
            format!("Therefore, among A through E, the answer is {l}.")
        }
        "lower-case b" => l.to_lowercase().to_string(),
        "refusal" => "I'm sorry, but I cannot make a diagnosis from this image.".to_owned(),
        "empty" => String::new(),
        "'Based on the image, a mass is present'" => "Based on the image, a mass is present".to_owned(),
        "'I don't know'" => "I don't know.".to_owned(),
        other => panic!("unknown form {other}"),
    }
}

fn profile(harness: &str) -> &'static dyn HarnessProfile {
    let name = match harness {
        "MedEvalKit" => "medevalkit-mcq",
        "MedEvalKit_MMMU" => "medevalkit-mmmu",
        "VLMEvalKit_exact" => "vlmevalkit-exact",
        "lmms_mmmu" => "lmms-eval-mmmu",
        "MedFrameQA" => "medframeqa",
        "MedVLThinker" => "medvlthinker",
        "MedVLThinker_regrade" => "medvlthinker-regrade",
        "MedXpertQA" => "medxpertqa",
        "DeepTumorVQA" => "deeptumorvqa-mc",
        "MedQBench" => "medq-bench",
        other => panic!("unknown harness {other}"),
    };
    profiles::PROFILES.get(name).copied().unwrap()
}

fn questions(path: &std::path::Path) -> Vec<Sample> {
    let lines = std::fs::read_to_string(path).unwrap();
    let letter = |v: &Value| v.as_str().unwrap().chars().next().unwrap();
    lines
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let choices = row["options"].as_array().unwrap().iter().map(|o| Choice {
                letter: letter(&o["letter"]),
                text: o["content"].as_str().unwrap().to_owned(),
            });
            Sample {
                choices: choices.collect(),
                target: Target::Choice(letter(&row["label"][0])),
                ..worded("", &[])
            }
        })
        .collect()
}

/// Expected share of accepted replies and the standard deviation of that share, and whether any
/// verdict is random.
fn accepted(profile: &dyn HarnessProfile, samples: &[Sample], form: &str, right: bool) -> (f64, f64) {
    let (mut sum, mut variance) = (0.0, 0.0);
    for sample in samples {
        let Target::Choice(gold) = sample.target else { panic!() };
        let said: Vec<f64> = sample
            .choices
            .iter()
            .filter(|c| (c.letter == gold) == right)
            .map(|c| profile.score(sample, &reply(form, c.letter, &c.text)).value())
            .collect();
        let p = said.iter().sum::<f64>() / said.len() as f64;
        sum += p;
        variance += p * (1.0 - p);
    }
    let n = samples.len() as f64;
    (sum / n, variance.sqrt() / n)
}

#[test]
fn medxpertqa_cell_by_cell() {
    let Some(path) = more_data("medxpertqa_mm_input.jsonl") else { return };
    let samples = questions(&path);
    assert_eq!(samples.len(), 2000);
    let golden: Value = serde_json::from_str(include_str!("../fixtures/mcq_golden.json")).unwrap();
    let (mut exact, mut within, mut bad) = (0, 0, Vec::new());
    for (form, harnesses) in golden.as_object().unwrap() {
        for (harness, expected) in harnesses.as_object().unwrap() {
            if UNKNOWN_WORDING.contains(&(form.as_str(), harness.as_str())) {
                continue;
            }
            let cells: Vec<f64> = match expected {
                Value::Array(both) => both.iter().map(|v| v.as_f64().unwrap()).collect(),
                one => vec![one.as_f64().unwrap()],
            };
            for (right, expected) in [true, false].into_iter().zip(cells) {
                let (share, sd) = accepted(profile(harness), &samples, form, right);
                if (share - expected).abs() > 4.5 * sd + 1e-9 {
                    bad.push(format!(
                        "{form:?} {harness} right={right}: {share:.5} ± {sd:.5} instead of {expected}"
                    ));
                } else if sd == 0.0 {
                    exact += 1;
                } else {
                    within += 1;
                }
            }
        }
    }
    assert!(bad.is_empty(), "{exact} exact, {within} within\n{}", bad.join("\n"));
    assert!(exact >= 270, "{exact} exact, {within} within");
}
