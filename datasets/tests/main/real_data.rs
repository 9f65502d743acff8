//! Real files, where `LOUPE_TEST_DATA` names their folder. What is there may be a part of a set, so
//! counts come from the files themselves; where a set is whole, the published sizes must hold too.

use super::{check, open, rows, samples};
use loupe_core::{Sample, Target};
use loupe_testing::real_data;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn expected(dir: &Path, file: &str) -> Value {
    let all = json(&dir.parent().unwrap().join("EXPECTED/expected.json"));
    let checks = all["checks"].as_array().unwrap();
    checks.iter().find(|c| c["file"] == file).unwrap_or_else(|| panic!("{file}"))["value"].clone()
}

fn tagged(all: &[Sample], tag: &str, value: &str) -> usize {
    all.iter().filter(|s| s.tag(tag) == Some(value)).count()
}

fn yes_or_no(sample: &Sample) -> bool {
    sample.target.text().is_some_and(|t| ["yes", "no"].contains(&t.to_lowercase().as_str()))
}

#[test]
fn vqa_rad() {
    let Some(dir) = real_data("vqa_rad") else { return };
    let whole = expected(&dir, "vqa_rad (full set, before the split)");
    for (split, file) in [("test", "testset.json"), ("train", "trainset.json")] {
        let raw = json(&dir.join(file));
        let raw = raw.as_array().unwrap();
        let all = samples("vqa-rad", &dir, split);
        assert_eq!(all.len(), raw.len());
        let closed = |r: &&Value| r["answer_type"].as_str().unwrap().trim() == "CLOSED";
        assert_eq!(tagged(&all, "answer_type", "CLOSED"), raw.iter().filter(closed).count());
        assert_eq!(tagged(&all, "answer_type", "CLOSED") + tagged(&all, "answer_type", "OPEN"), all.len());
        let raw_yes_no = raw.iter().filter(|r| {
            r["answer"].as_str().is_some_and(|a| ["yes", "no"].contains(&a.trim().to_lowercase().as_str()))
        });
        assert_eq!(all.iter().filter(|s| yes_or_no(s)).count(), raw_yes_no.count());
        for (sample, row) in all.iter().zip(raw) {
            assert_eq!(sample.id, row["qid"].to_string());
            assert_eq!(sample.question, row["question"].as_str().unwrap().trim());
            assert_eq!(sample.group, row["image_name"].as_str().unwrap());
        }
        let report = check("vqa-rad", &dir).unwrap();
        let found = report.splits.iter().find(|s| s.split == split).unwrap();
        assert_eq!(found.known_rows, whole[split].as_u64().map(|n| n as usize));
        assert_eq!((found.bad_rows, found.repeated_ids.len()), (0, 0));
        let names: HashSet<&str> = raw.iter().map(|r| r["image_name"].as_str().unwrap()).collect();
        let there = names.iter().filter(|n| dir.join("images").join(n).is_file()).count();
        assert_eq!((found.images, found.missing_images), (names.len(), names.len() - there));
        if split == "test" && all.len() == 451 {
            assert_eq!(tagged(&all, "answer_type", "CLOSED"), 272);
            assert_eq!(all.iter().filter(|s| yes_or_no(s)).count(), 251);
            assert_eq!(names.len(), 203);
        }
    }
}

#[test]
fn vqa_rad_overlap() {
    let Some(dir) = real_data("vqa_rad") else { return };
    let found = loupe_datasets::overlap(
        open("vqa-rad", &dir, "train").as_ref(),
        open("vqa-rad", &dir, "test").as_ref(),
        None,
    )
    .unwrap();
    let names = |file: &str| -> HashSet<String> {
        json(&dir.join(file))
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["image_name"].as_str().unwrap().to_owned())
            .collect()
    };
    let train = names("trainset.json");
    let raw = json(&dir.join("testset.json"));
    let shared =
        raw.as_array().unwrap().iter().filter(|r| train.contains(r["image_name"].as_str().unwrap())).count();
    assert_eq!(found.iter().filter(|o| o.image_name).count(), shared);
    // Same name means same bytes here, wherever the file is.
    assert!(found.iter().filter(|o| o.unread_images == 0 && o.image_name).all(|o| o.image));
}

#[test]
fn slake() {
    let Some(dir) = real_data("slake") else { return };
    let whole = expected(&dir, "slake (full set)");
    for (split, at) in [("test", 2), ("validate", 1)] {
        let raw = json(&dir.join(format!("{split}.json")));
        let raw = raw.as_array().unwrap();
        let both = samples("slake", &dir, split);
        let en = samples("slake", &dir, &format!("{split}:en"));
        let zh = samples("slake", &dir, &format!("{split}:zh"));
        let count = |field: &str, value: &str| raw.iter().filter(|r| r[field] == value).count();
        assert_eq!(
            (both.len(), en.len(), zh.len()),
            (raw.len(), count("q_lang", "en"), count("q_lang", "zh"))
        );
        assert_eq!(tagged(&both, "base_type", "kvqa"), count("base_type", "kvqa"));
        assert_eq!(both.iter().filter(|s| s.tag("triple").is_some()).count(), count("base_type", "kvqa"));
        let odd = en.iter().filter(|s| s.tag("answer_type") == Some("CLOSED") && !yes_or_no(s)).count();
        if en.len() == whole["en"][at].as_u64().unwrap() as usize {
            assert_eq!(odd, whole["closed_not_yes_no_en"][at].as_u64().unwrap() as usize);
        }
        if split == "test" && both.len() == 2094 {
            assert_eq!(
                (tagged(&en, "answer_type", "OPEN"), tagged(&en, "answer_type", "CLOSED")),
                (645, 416)
            );
        }
    }
    // A derived file without ids and languages, opened by its name.
    let derived = dir.join("cslake_test.json");
    let all = samples("slake", &derived, "test");
    assert_eq!(all.len(), json(&derived).as_array().unwrap().len());
    assert!(all.iter().all(|s| s.language == "en"));
    let boxes = samples("slake-boxes", &dir, "all:image");
    let raw = json(&dir.join("detection_all.json"));
    let raw = raw.as_object().unwrap();
    assert_eq!(boxes.len(), raw.len());
    let drawn = |s: &Sample| if let Target::Boxes(b) = &s.target { b.len() } else { 0 };
    assert_eq!(
        boxes.iter().map(drawn).sum::<usize>(),
        raw.values().map(|v| v.as_array().unwrap().len()).sum::<usize>()
    );
    let none = boxes.iter().filter(|s| drawn(s) == 0).count();
    assert_eq!(none, raw.values().filter(|v| v.as_array().unwrap().is_empty()).count());
    // One question a label, and one for an image without boxes.
    let labels: usize = raw
        .values()
        .map(|v| {
            v.as_array()
                .unwrap()
                .iter()
                .flat_map(|o| o.as_object().unwrap().keys())
                .collect::<HashSet<_>>()
                .len()
        })
        .sum();
    assert_eq!(open("slake-boxes", &dir, "all").len(), labels + none);
}

#[test]
fn bccd() {
    let Some(dir) = real_data("bccd") else { return };
    let all = samples("pascal-voc", &dir, "all:image");
    let (mut labels, mut raw): (BTreeMap<String, usize>, BTreeMap<String, usize>) = Default::default();
    for file in std::fs::read_dir(dir.join("annotations")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for name in text.split("<name>").skip(1) {
            *raw.entry(name.split('<').next().unwrap().to_owned()).or_default() += 1;
        }
    }
    for sample in &all {
        let Target::Boxes(boxes) = &sample.target else { panic!() };
        for b in boxes {
            *labels.entry(b.label.clone()).or_default() += 1;
            assert!(b.at.is_proper() && b.at.x1 <= 640.0 && b.at.y1 <= 480.0, "{:?}", b.at);
        }
    }
    assert_eq!(labels, raw);
    assert_eq!(labels.keys().collect::<Vec<_>>(), ["Platelets", "RBC", "WBC"]);
    let zero: usize =
        all.iter().filter_map(|s| s.tag("zero_extent_boxes")).map(|n| n.parse::<usize>().unwrap()).sum();
    let wanted = expected(&dir, "bccd (this split)");
    let there = wanted["where"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| dir.join("annotations").join(f.as_str().unwrap()).is_file());
    assert_eq!(zero, there.count());
    let found = &check("pascal-voc", &dir).unwrap().splits[0];
    assert_eq!((found.missing_images, found.bad_rows), (0, 0));
}

#[test]
fn radfact() {
    let Some(dir) = real_data("radfact") else { return };
    let raw = json(&dir.join("examples/grounded_reporting_examples.json"));
    let all = samples("radfact", &dir, "grounded");
    assert_eq!(all.len(), raw.as_array().unwrap().len());
    for (sample, row) in all.iter().zip(raw.as_array().unwrap()) {
        let Target::Boxes(boxes) = &sample.target else { panic!() };
        let wanted =
            row["target"].as_array().unwrap().iter().map(|s| s["boxes"].as_array().map_or(0, Vec::len));
        assert_eq!(boxes.len(), wanted.sum::<usize>());
        assert!(boxes.iter().all(|b| b.at.is_proper() && b.at.x1 <= 1.0 && b.at.y1 <= 1.0));
    }
    let findings = samples("radfact", &dir, "findings");
    assert!(!findings.is_empty() && findings.iter().all(|s| matches!(s.target, Target::Report(_))));
}

#[test]
fn sam_med2d_demonstration() {
    let Some(dir) = real_data("sam_med2d_demo") else { return };
    let all = samples("sa-med2d", &dir, "test");
    let raw = json(&dir.join("label2image_test.json"));
    let masks = |s: &Sample| if let Target::Masks(m) = &s.target { m.len() } else { 0 };
    assert_eq!(all.iter().map(masks).sum::<usize>(), raw.as_object().unwrap().len());
    let ids: Vec<&str> = all.iter().map(|s| s.id.as_str()).collect();
    for id in ["amos_0004_75:aorta", "amos_0004_75:inferior_vena_cava", "amos_0004_75:liver"] {
        assert!(ids.contains(&id), "{ids:?}");
        let sample = all.iter().find(|s| s.id == id).unwrap();
        let Target::Masks(masks) = &sample.target else { panic!() };
        for media in sample.media.iter().chain(masks.iter().map(|m| &m.at)) {
            let loupe_core::MediaSource::File(path) = &media.source else { panic!() };
            assert!(path.is_file(), "{}", media.name);
        }
    }
    assert!(!open("sa-med2d", &dir, "train").is_empty());
}

#[test]
fn medmultipoints_replies_with_labels() {
    let Some(dir) = real_data("pred_pointdetectcount") else { return };
    let name = "pred_pointdetectcount/qwen-finetuned-6task-test500-result.jsonl";
    let wanted = expected(&dir, name);
    let set = open("medmultipoints", &dir.parent().unwrap().join(name), "test");
    let all = rows(set.as_ref());
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let mut boxes = 0;
    for row in all {
        let sample = row.unwrap();
        let kind = match (&sample.target, sample.tag("count")) {
            (Target::Boxes(b), None) => {
                boxes += b.len() as u64;
                "bbox"
            }
            (Target::Boxes(_), Some(_)) => "bbox+count",
            (Target::Points(_), None) => "point",
            (Target::Points(_), Some(_)) => "point+count",
            (Target::Count(_), _) => "count",
            other => panic!("{other:?}"),
        };
        *kinds.entry(kind).or_default() += 1;
    }
    assert_eq!(serde_json::to_value(&kinds).unwrap(), wanted["kinds"]);
    assert_eq!(boxes, wanted["gt_boxes"].as_u64().unwrap());
}
