//! Published figures, reproduced from the prediction files of their authors.

use loupe_core::{Choice, Sample, Score, Target};
use loupe_eval::metrics::boxes::iou_best;
use loupe_eval::metrics::coco_map::Params;
use loupe_eval::metrics::{count, radfact};
use loupe_eval::profiles::pointdetectcount::{Reading, Task, mean_average_precision, read};
use loupe_eval::profiles::{self, HarnessFigure, HarnessSums};
use loupe_eval::stats::bootstrap;
use loupe_eval::{Judgement, Verdict};
use loupe_testing::{assert_near, dataset::worded, real_data};
use serde_json::Value;
use std::path::Path;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        .unwrap()
}

fn jsonl(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

fn run(profile: &str, rows: &[(Sample, String)]) -> (Vec<HarnessFigure>, Vec<f64>) {
    let profile = profiles::PROFILES.get(profile).copied().unwrap();
    let (mut sums, mut verdicts) = (HarnessSums::default(), Vec::new());
    for (sample, reply) in rows {
        let judged = profile.score(sample, reply);
        sums.add_row(&judged);
        verdicts.push(judged.value());
    }
    (profile.figures(&sums), verdicts)
}

fn value(figures: &[HarnessFigure], name: &str) -> f64 {
    match &figures.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("no figure {name}")).value {
        Score::Value(v) => *v,
        Score::Unscored(why) => panic!("{name}: {why}"),
    }
}

#[track_caller]
fn near(got: f64, expected: f64, tolerance: f64) {
    assert_near("figure", got, expected, tolerance);
}

/// Predictions with `reference`/`prediction`/`qtype`, metrics beside them.
#[test]
fn gr5293_to_the_last_digit() {
    let Some(data) = real_data("") else { return };
    let folder = data.join("pred_gr5293");
    for (predictions, metrics) in [
        ("results/baseline/predictions.jsonl", "results/baseline/metrics.json"),
        ("checkpoints/lora_quick/lora_predictions.jsonl", "checkpoints/lora_quick/training_metrics.json"),
        ("checkpoints/lora_rank4/lora_predictions.jsonl", "checkpoints/lora_rank4/training_metrics.json"),
    ] {
        let rows: Vec<(Sample, String)> = jsonl(&folder.join(predictions))
            .iter()
            .map(|r| {
                (
                    worded(text(r, "reference"), &[("qtype", text(r, "qtype"))]),
                    text(r, "prediction").to_owned(),
                )
            })
            .collect();
        let (figures, verdicts) = run("gr5293", &rows);
        let metrics = json(&folder.join(metrics));
        let published = metrics.pointer("/evaluation").or(metrics.pointer("/eval")).unwrap_or(&metrics);
        for (name, path) in [
            ("overall.exact_match", "/overall/exact_match"),
            ("closed.exact_match", "/closed/exact_match"),
            ("open.bleu1", "/open/bleu1"),
            ("open.rougeL", "/open/rougeL"),
            ("open.f1", "/open/f1"),
        ] {
            near(value(&figures, name), published.pointer(path).unwrap().as_f64().unwrap(), 1e-15);
        }
        let closed: Vec<f64> = rows
            .iter()
            .zip(&verdicts)
            .filter(|((s, _), _)| s.tag("qtype") == Some("closed"))
            .map(|(_, v)| *v)
            .collect();
        assert_eq!(closed.len(), 251);
        let interval = bootstrap::rows(&closed, 10_000, 42, 0.95).unwrap().interval;
        for (got, path) in [(interval.lo, "/closed/ci95/lower"), (interval.hi, "/closed/ci95/upper")] {
            near(got, published.pointer(path).unwrap().as_f64().unwrap(), 1e-12);
        }
    }
}

#[test]
fn internvl2_on_vqa_rad() {
    let Some(data) = real_data("") else { return };
    let folder = data.join("pred_internvl2_vqarad");
    for (predictions, metrics) in [
        ("baseline_predictions.jsonl", "baseline_metrics.json"),
        ("baseline_v2_predictions.jsonl", "baseline_v2_metrics.json"),
        ("lora_r16_val_predictions.jsonl", "lora_r16_val_metrics.json"),
        ("lora_test_predictions.jsonl", "outputs/lora_test_metrics_relaxed.json"),
    ] {
        let stored = jsonl(&folder.join(predictions));
        let published = json(&folder.join(metrics));
        // Once with the stored closed/open label, once with the guess that made it.
        for guess in [false, true] {
            let rows: Vec<(Sample, String)> = stored
                .iter()
                .map(|r| {
                    let tags = [("qtype", text(r, "answer_type"))];
                    let mut sample = worded(text(r, "answer"), if guess { &[] } else { &tags });
                    sample.question = text(r, "question").to_owned();
                    (sample, text(r, "prediction").to_owned())
                })
                .collect();
            let (figures, _) = run("internvl2-vqarad", &rows);
            for (name, key) in [
                ("closed_exact_match", "closed_exact_match"),
                ("open_bleu1", "open_bleu1"),
                ("open_rouge_l", "open_rouge_l"),
                ("closed_relaxed_match", "closed_relaxed_match"),
            ] {
                if let Some(expected) = published[key].as_f64() {
                    near(value(&figures, name), expected, 1e-15);
                }
            }
            let n = |name: &str| figures.iter().find(|f| f.name == name).unwrap().n as u64;
            assert_eq!(n("closed_exact_match"), published["num_closed"].as_u64().unwrap());
            assert_eq!(n("open_bleu1"), published["num_open"].as_u64().unwrap());
        }
    }
}

#[test]
fn huatuo_on_slake_and_its_fault() {
    let Some(data) = real_data("") else { return };
    let mut lost = None;
    for condition in ["original", "black", "patch_shuffle"] {
        let folder = data.join("pred_huatuo_slake").join(condition);
        let stored = jsonl(&folder.join("predictions.jsonl"));
        let rows: Vec<(Sample, String)> = stored
            .iter()
            .map(|r| {
                let tags = [("answer_type", text(r, "answer_type")), ("content_type", text(r, "q_type"))];
                (worded(text(r, "gt_answer"), &tags), text(r, "pred_answer").to_owned())
            })
            .collect();
        let (figures, verdicts) = run("huatuo-slake", &rows);
        for (row, verdict) in stored.iter().zip(&verdicts) {
            assert_eq!(
                row["is_correct"].as_bool().unwrap(),
                *verdict == 1.0,
                "question {}",
                row["question_id"]
            );
        }
        let published = json(&folder.join("summary.json"));
        near(value(&figures, "accuracy"), published["overall"]["accuracy"].as_f64().unwrap(), 1e-15);
        for (group, names) in [
            ("by_answer_type", &["closed", "open"][..]),
            ("by_q_type", &["Abnormality", "Color", "Organ", "Size"]),
        ] {
            for name in names {
                near(value(&figures, name), published[group][name]["accuracy"].as_f64().unwrap(), 1e-15);
            }
        }
        let repaired = figures.iter().find(|f| f.name.contains("not theirs")).unwrap();
        if condition == "original" {
            near(value(&figures, &repaired.name), 0.470_311_027_332_705, 1e-12);
            lost = Some(((value(&figures, &repaired.name) - value(&figures, "accuracy")) * 1061.0).round());
        }
    }
    assert_eq!(lost, Some(32.0));
}

#[test]
fn mmmu_validation_of_llava_13b() {
    let Some(data) = real_data("") else { return };
    let folder = data.join("pred_mmmu_med");
    let replies = json(&folder.join("example_outputs/llava1.5_13b/total_val_output.json"));
    let answers = json(&folder.join("answer_dict_val.json"));
    let words = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let rows: Vec<(Sample, String)> = replies
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, reply)| {
            let subject = id.split_once('_').unwrap().1.rsplit_once('_').unwrap().0;
            let answer = &answers[id];
            let mut sample = worded("", &[("subject", subject)]);
            if answer["question_type"] == "multiple-choice" {
                sample.target = Target::Choice(words(&answer["ground_truth"]).chars().next().unwrap());
                // The stored replies are already single letters.
                sample.choices =
                    ('A'..='I').map(|letter| Choice { letter, text: format!("option {letter}") }).collect();
            } else {
                let all = match &answer["ground_truth"] {
                    Value::Array(all) => all.iter().map(words).collect(),
                    one => vec![words(one)],
                };
                sample.target = Target::Text(all);
            }
            (sample, words(reply))
        })
        .collect();
    assert_eq!(rows.len(), 900);
    let (figures, _) = run("mmmu", &rows);
    // The script prints three decimals.
    for (name, expected) in [
        ("Overall", 0.366_666_666_666_666_64),
        ("Overall-Health and Medicine", 0.386_666_666_666_666_66),
        ("Basic_Medical_Science", 0.5),
        ("Clinical_Medicine", 0.4),
        ("Diagnostics_and_Laboratory_Medicine", 0.366_666_666_666_666_64),
        ("Pharmacy", 0.266_666_666_666_666_66),
        ("Public_Health", 0.4),
    ] {
        near(value(&figures, name), (expected * 1000.0_f64).round() / 1000.0, 1e-12);
    }
}

#[test]
fn closed_questions_of_fm_medvqa() {
    let Some(data) = real_data("") else { return };
    let stored =
        std::fs::read_to_string(data.join("pred_fm_medvqa/tinyllava_test_vqa_rad_finetune_pred.jsonl"))
            .unwrap();
    let stored: Vec<Value> = serde_json::from_str(&stored).unwrap();
    let yes_no = stored.iter().filter(|r| matches!(text(r, "answer_gt"), "yes" | "no")).count();
    assert_eq!((stored.len(), yes_no), (451, 251));
    let rows: Vec<(Sample, String)> = stored
        .iter()
        .map(|r| {
            (
                worded(text(r, "answer_gt"), &[("answer_type", text(r, "answer_type"))]),
                text(r, "answer_pred").to_owned(),
            )
        })
        .collect();
    let (figures, _) = run("fm-medvqa", &rows);
    assert_eq!(
        figures.iter().map(|f| f.n).max(),
        Some(rows.iter().filter(|(s, _)| s.tag("answer_type") == Some("CLOSED")).count())
    );
}

#[test]
fn point_detect_count_as_its_script_and_as_pycocotools() {
    let Some(data) = real_data("") else { return };
    let lines = jsonl(&data.join("pred_pointdetectcount/qwen-finetuned-6task-test500-result.jsonl"));
    let rows: Vec<(Sample, String)> =
        lines.iter().map(|r| (worded(text(r, "labels"), &[]), text(r, "response").to_owned())).collect();
    assert_eq!(rows.len(), 500);
    let readings: Vec<Reading> =
        rows.iter().map(|(s, reply)| read(s.target.text().unwrap(), reply).unwrap()).collect();
    assert_eq!(readings.iter().filter(|r| !r.parsed).count(), 53);

    let of = |task: Task| readings.iter().filter(|r| r.task == task).collect::<Vec<_>>();
    let bounding = of(Task::Bounding);
    let coco = mean_average_precision(&bounding, &Params::coco());
    near(coco.ap.unwrap(), 0.849_215_747_825_443_1, 1e-9);
    near(coco.ap50.unwrap(), 0.953_400_514_431_394_1, 1e-9);
    near(coco.ap75.unwrap(), 0.881_862_527_279_754_6, 1e-9);
    assert_eq!(bounding.iter().map(|r| r.boxes.0.len()).sum::<usize>(), 1134);
    assert_eq!(bounding.iter().map(|r| r.boxes.1.len()).sum::<usize>(), 1132);

    let golden = json(&data.join("../reference/golden/detection.json"))["pointdetectcount"]["values"].clone();
    let (mut figures, _) = run("pointdetectcount", &rows);
    let mut gathered = profiles::PROFILES.get("pointdetectcount").copied().unwrap().gather().unwrap();
    let nothing = Judgement::bare(Verdict::Unscored, "", "");
    rows.iter().for_each(|(sample, reply)| gathered.add(sample, reply, &nothing));
    figures.extend(gathered.figures().into_iter().map(|(name, value)| HarnessFigure::new(name, value, 0)));
    for (task, values) in golden.as_object().unwrap() {
        for (name, expected) in values.as_object().unwrap() {
            let expected = expected.as_f64().unwrap();
            if name == "n" {
                assert_eq!(readings.iter().filter(|r| r.task.name() == task).count() as f64, expected);
            } else if name != "zero_case_point" || expected > 0.0 {
                let got = value(&figures, &format!("{task}.{name}"));
                assert!((got - expected).abs() <= 1e-6, "{task}.{name}: {got} instead of {expected}");
            }
        }
    }
    let counting = of(Task::Counting);
    let pairs = |given: &dyn Fn(&Reading) -> Option<f64>| -> Vec<(f64, Option<f64>)> {
        counting.iter().map(|r| (r.counts.unwrap().0, given(r))).collect()
    };
    let script = count::errors(&pairs(&|r| r.counts.map(|c| c.1)), false).unwrap();
    near(script.mae, 0.257_142_857_142_857_1, 1e-12);
    let exact = count::errors(&pairs(&|r| r.exact_count), true).unwrap();
    near(exact.mae, 0.733_333_333_333_333_3, 1e-12);
    near(exact.mse, 15.914_285_714_285_715, 1e-12);

    let best: Vec<f64> = bounding
        .iter()
        .filter_map(|r| if let Score::Value(v) = iou_best(&r.boxes.0, &r.boxes.1) { Some(v) } else { None })
        .collect();
    near(best.iter().sum::<f64>() / best.len() as f64, 0.973_087_962_607_378_3, 1e-9);
}

/// RadFact's mask comparison on its own example reports (values of its `box_metrics.py`).
#[test]
fn boxes_of_the_radfact_examples() {
    let Some(data) = real_data("") else { return };
    let examples = json(&data.join("radfact/examples/grounded_reporting_examples.json"));
    let boxes = |phrases: &Value| -> Vec<radfact::NormalisedBox> {
        let all = phrases.as_array().unwrap().iter().filter_map(|p| p["boxes"].as_array()).flatten();
        all.map(|b| ["x_min", "y_min", "x_max", "y_max"].map(|k| b[k].as_f64().unwrap())).collect()
    };
    let expected = [
        (0, Some(0.639_016_659_580_224_9), Some(0.983_228_262_162_483_6), Some(0.646_058_853_413_576)),
        (1, Some(0.472_943_048_180_078_7), Some(0.473_992_673_992_674), Some(0.995_339_577_394_688)),
        (2, Some(0.0), None, Some(0.0)),
        (7, Some(0.608_246_122_809_229_6), Some(1.0), Some(0.608_246_122_809_229_6)),
        (11, Some(0.443_079_936_713_629_16), Some(0.558_499_525_166_191_8), Some(0.681_934_137_291_280_2)),
        (19, Some(0.003_459_941_565_431_339_6), Some(1.0), Some(0.003_459_941_565_431_339_6)),
    ];
    for (id, iou, precision, recall) in expected {
        let example = examples.as_array().unwrap().iter().find(|e| e["example_id"] == id).unwrap();
        let got = radfact::box_overlap(
            &boxes(&example["prediction"]),
            &boxes(&example["target"]),
            radfact::MASK_SIZE,
        );
        for (got, expected) in [(got.iou, iou), (got.precision, precision), (got.recall, recall)] {
            match (got, expected) {
                (Some(got), Some(expected)) => near(got, expected, 1e-12),
                pair => assert_eq!(pair, (None, None), "example {id}"),
            }
        }
    }
}
