//! Outlines from outside: `loupe segment` and `loupe eval --segment` with the small SAM of the
//! parity tests.

use crate::common::{bmp, json, loupe, put, source, text};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn sam() -> String {
    source("models/tests/parity/sam/pil").to_str().unwrap().to_owned()
}

/// Covered pixels of a COCO run-length encoding.
fn covered(rle: &Value) -> u64 {
    rle["counts"].as_array().unwrap().iter().skip(1).step_by(2).map(|n| n.as_u64().unwrap()).sum()
}

#[test]
fn boxes_and_points_give_masks_that_other_tools_open() {
    let dir = tempfile::tempdir().unwrap();
    let model = sam();
    let image = Path::new(&model).join("picture.png");
    let out = dir.path().join("out");
    let run = |out: &Path| {
        json(&[
            "segment",
            image.to_str().unwrap(),
            "--model",
            &model,
            "--box",
            "10,10,40,36",
            "--box",
            "4,4,20,30",
            "-o",
            out.to_str().unwrap(),
            "--json",
            "--quiet",
        ])
    };
    let said = run(&out);
    let objects = said["objects"].as_array().unwrap();
    assert_eq!((objects.len(), said["failed"].as_array().unwrap().len()), (2, 0));
    assert_eq!(said["model"]["family"], "sam");
    let coco: Value = serde_json::from_slice(&fs::read(out.join("masks.json")).unwrap()).unwrap();
    for (object, annotation) in objects.iter().zip(coco["annotations"].as_array().unwrap()) {
        assert_eq!(object["area_px"], annotation["area"]);
        assert_eq!(object["area_px"].as_u64().unwrap(), covered(&annotation["segmentation"]));
        assert!(object["predicted_iou"].is_number() && object["area_mm2"].is_null());
    }
    assert!(objects.iter().any(|o| o["area_px"].as_u64().unwrap() > 0), "both masks are empty");
    for name in ["mask-01-object-1.png", "mask-02-object-2.png", "overlay.png"] {
        assert_eq!(&fs::read(out.join(name)).unwrap()[1..4], b"PNG");
    }
    // The same command says the same.
    let again = run(&dir.path().join("again"));
    assert_eq!(said, again);
}

#[test]
fn a_text_becomes_a_mask_by_what_an_encoder_shows() {
    let dir = tempfile::tempdir().unwrap();
    let encoder = source("tests/biomedclip");
    let (encoder, image) = (encoder.to_str().unwrap(), encoder.join("picture.png"));
    let (image, out) = (image.to_str().unwrap(), dir.path().join("out"));
    let args = [
        "segment",
        image,
        "--phrase",
        "pleural effusion",
        "--grounder",
        encoder,
        "--model",
        &sam(),
        "--json",
    ];
    let run = |more: &[&str]| loupe(&[&args[..], more].concat());
    // The tower has two layers.
    let failed = run(&[]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stdout).contains("from 0 to 0 have one behind"), "{}", text(&failed.stdout));
    let chosen = ["--saliency-layer", "0", "--saliency-seed", "5", "-o", out.to_str().unwrap()];
    let found: Value = serde_json::from_slice(&run(&chosen).stdout).unwrap();
    let (entry, object) = (&found["saliency"][0], &found["objects"][0]);
    assert_eq!((&entry["model"]["family"], &entry["bottleneck"]["seed"]), (&"biomedclip".into(), &5.into()));
    assert_eq!(object["prompt"]["box"], entry["parts"][0]["box_xyxy"]);
    assert_eq!(&fs::read(out.join("saliency-01.png")).unwrap()[1..4], b"PNG");
    assert_eq!(&fs::read(out.join("saliency-01.npy")).unwrap()[1..6], b"NUMPY");
    assert_eq!(serde_json::from_slice::<Value>(&run(&chosen).stdout).unwrap(), found);
    // What is said of saliency does not go with a model that is asked for boxes.
    let args = ["segment", image, "--phrase", "a lung", "--grounder", &sam(), "--saliency-layer", "0"];
    let refused = loupe(&args);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("encoders of images and texts"), "{}", text(&refused.stderr));
}

#[test]
fn the_built_in_segmenter_finds_a_phantoms_lung() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let made =
        loupe(&["phantom", "--out", data.to_str().unwrap(), "--studies", "1", "--seed", "9", "--quiet"]);
    assert!(made.status.success());
    let rows = fs::read_to_string(data.join("grounding/grounding.jsonl")).unwrap();
    let row = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lung = row.into_iter().find(|r| r["boxes"][0]["label"] == "left lung").unwrap();
    let edges: Vec<String> =
        lung["boxes"][0]["box"].as_array().unwrap().iter().map(|v| v.to_string()).collect();
    let mask = data.join("segmentation/masks").join(format!("{}.png", lung["id"].as_str().unwrap()));
    let said = json(&[
        "segment",
        data.join("grounding").join(lung["image"].as_str().unwrap()).to_str().unwrap(),
        "--box",
        &edges.join(","),
        "-o",
        dir.path().join("out").to_str().unwrap(),
        "--json",
        "--quiet",
    ]);
    assert_eq!(said["model"]["name"], "phantom-sam");
    let area = said["objects"][0]["area_px"].as_f64().unwrap();
    let box_area = {
        let e: Vec<f64> = edges.iter().map(|v| v.parse().unwrap()).collect();
        (e[2] - e[0]) * (e[3] - e[1])
    };
    assert!(mask.exists() && area > 0.4 * box_area && area < box_area, "{area} of {box_area}");
}

#[test]
fn what_cannot_be_done_is_said() {
    let model = sam();
    let image = Path::new(&model).join("picture.png");
    let image = image.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 4] = [
        (&["segment", image, "--model", &model, "--box", "5,5,5,9"], 1, "no area"),
        (&["segment", image, "--model", &model], 2, "needs one"),
        (&["segment", image, "--model", &model, "--box", "1,1,5,5", "--propagate"], 2, "slices of a volume"),
        (&["eval", "--data", "jsonl=x", "--segment", "middle"], 2, "jittered-box"),
    ];
    for (args, code, words) in cases {
        let out = loupe(args);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?} said: {said}");
    }
}

/// Three pictures with a bright block each, and its mask.
fn masked_set(dir: &Path) {
    for n in 0..3usize {
        let block = |x: usize, y: usize| (8 + n..24 + n).contains(&x) && (10..22 + 2 * n).contains(&y);
        let (w, h) = (48, 40);
        put(&dir.join(format!("images/{n}.bmp")), &bmp(w, h, |x, y| if block(x, y) { 220 } else { 30 }));
        put(&dir.join(format!("masks/{n}.bmp")), &bmp(w, h, |x, y| if block(x, y) { 255 } else { 0 }));
    }
}

#[test]
fn a_set_of_masks_is_scored_and_scored_again_from_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    masked_set(&dir.path().join("set"));
    let (data, model) = (format!("masks={}", dir.path().join("set").display()), sam());
    let eval = |run: &Path, prompt: &str| {
        json(&[
            "eval",
            "--data",
            &data,
            "--model",
            &model,
            "--segment",
            prompt,
            "--seed",
            "7",
            "-o",
            run.to_str().unwrap(),
            "--quiet",
            "--json",
        ])
    };
    for prompt in ["box", "jittered-box", "centre", "inside"] {
        let run = dir.path().join(prompt);
        let summary = eval(&run, prompt);
        let figures = summary["profiles"][0]["figures"].as_array().unwrap();
        let figure = |name: &str| figures.iter().find(|f| f["name"] == name).unwrap_or(&Value::Null).clone();
        assert_eq!(
            (figure("Dice")["n"].as_u64(), summary["failed"].as_u64()),
            (Some(3), Some(0)),
            "{prompt}"
        );
        let dice = figure("Dice")["value"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&dice));
        // Nothing is calibrated: distances are pixels and say so.
        assert!(figure("HD95 distance (px)").is_object() && figure("NSD at 2 px").is_object());
        let scores = fs::read(run.join("scores.json")).unwrap();
        let page = fs::read_to_string(run.join("report.html")).unwrap();
        assert!(page.contains("\"masks\":[{"));
        assert!(loupe(&["score", run.to_str().unwrap(), "--quiet"]).status.success());
        assert_eq!(scores, fs::read(run.join("scores.json")).unwrap());
        // The same seed prompts the same in another run.
        eval(&dir.path().join(format!("{prompt}-again")), prompt);
        let again = fs::read(dir.path().join(format!("{prompt}-again/scores.json"))).unwrap();
        assert_eq!(scores, again);
    }
}

/// Prompts of the true pictures on grey, strange and shuffled ones; the strangers have another size.
#[test]
fn what_masks_owe_to_the_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    masked_set(&set);
    put(&set.join("images/3.bmp"), &bmp(64, 32, |x, _| if x > 30 { 200 } else { 20 }));
    put(&set.join("masks/3.bmp"), &bmp(64, 32, |x, _| if x > 30 { 255 } else { 0 }));
    let (data, model) = (format!("masks={}", set.display()), sam());
    let eval = |name: &str, more: &[&str]| {
        let run = dir.path().join(name);
        let args = ["eval", "--data", &data, "--model", &model, "--segment", "box", "--quiet", "--json"];
        let summary = json(&[&args[..], &["-o", run.to_str().unwrap()], more].concat());
        let figures = summary["profiles"][0]["figures"].as_array().unwrap();
        let dice = figures.iter().find(|f| f["name"] == "Dice").unwrap().clone();
        assert_eq!((dice["n"].as_u64(), summary["failed"].as_u64()), (Some(4), Some(0)), "{name}");
        assert!(fs::read_to_string(run.join("report.html")).unwrap().contains("\"masks\":[{"));
        let lines = fs::read_to_string(run.join("replies.jsonl")).unwrap();
        let mut rows: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        // Samples that share a picture are asked together, so the order depends on the pictures.
        rows.sort_by_key(|r| r["item"].as_u64());
        (run, rows)
    };
    let (run, plain) = eval("plain", &[]);
    for probe in ["blank", "swapped", "shuffled:8"] {
        let (probed, rows) = eval(probe, &["--probe", probe]);
        for (a, b) in plain.iter().zip(&rows) {
            // The same question on another picture: prompts and references are those of the true one.
            assert_eq!(a["trace"]["prompts"], b["trace"]["prompts"]);
            assert_eq!(a["trace"]["reference"], b["trace"]["reference"]);
            let size = |r: &Value| r["outcome"]["reply"]["findings"][0]["mask"]["size"].clone();
            assert_eq!(size(a), size(b), "the mask lies on the grid of the reference");
        }
        let masks = |rows: &[Value]| -> Vec<Value> {
            rows.iter().map(|r| r["outcome"]["reply"]["findings"].clone()).collect()
        };
        assert_ne!(masks(&plain), masks(&rows), "{probe} changes something");
        let out = loupe(&["compare", run.to_str().unwrap(), probed.to_str().unwrap(), "--json"]);
        let compared: Value =
            serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", text(&out.stderr)));
        assert_eq!(compared["figures"][0]["name"], "Dice");
        assert!(compared["dependence"].is_null(), "masks are neither right nor wrong");
    }
}
