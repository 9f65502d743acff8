//! Masks from outside: `loupe measure` and `loupe segment --mask` with segmentations and structure sets of a small
//! series (`preprocess/tests/masks`).

use crate::common::{json, loupe, source, text};
use serde_json::Value;

fn file(name: &str) -> String {
    source("preprocess/tests/masks").join(name).to_str().unwrap().to_owned()
}

#[test]
fn every_label_is_measured_by_itself() {
    let found = json(&["measure", &file("ct"), &file("binary.dcm"), "--json", "-q"]);
    let labels = found["labels"].as_array().unwrap();
    assert_eq!(labels.len(), 2);
    // Voxels of 1.5 × 2 × 3 mm.
    let expected = [(1, "Liver", 192, [1, 4]), (2, "Cyst", 12, [2, 2])];
    for (label, (number, name, voxels, slices)) in labels.iter().zip(expected) {
        assert_eq!(
            (&label["number"], &label["name"], &label["voxels"]),
            (&number.into(), &name.into(), &voxels.into())
        );
        assert_eq!(label["volume_mm3"].as_f64().unwrap().round(), f64::from(voxels) * 9.0);
        assert_eq!(label["slices"], serde_json::json!(slices));
        assert_eq!((&label["intensities"]["n"], &label["unit"]), (&voxels.into(), &"HU".into()));
        assert_eq!(label["shape"]["VoxelVolume"], label["volume_mm3"]);
        assert!(label["shape"]["MeshVolume"].as_f64().unwrap() < label["volume_mm3"].as_f64().unwrap());
    }
    assert_eq!(labels[0]["code"]["value"], "10200004");
    assert_eq!(found["overlaps"], serde_json::json!([{ "labels": [1, 2], "voxels": 6 }]));
    let out = loupe(&["measure", &file("ct"), &file("structures.dcm"), "--label", "ring"]);
    let shown = text(&out.stdout);
    assert!(
        shown.starts_with("  1  Ring (SCT 10200004, Liver)\n") && shown.contains("Sphericity"),
        "{shown}"
    );
    assert!(!shown.contains("Parts"), "{shown}");
}

#[test]
fn a_slice_alone_is_measured_as_a_picture() {
    let found = json(&["measure", &file("ct"), &file("binary.dcm"), "--slice", "2", "--json", "-q"]);
    let areas: Vec<&Value> = found["labels"].as_array().unwrap().iter().map(|l| &l["area_px"]).collect();
    assert_eq!((areas, &found["slice"]), (vec![&48.into(), &12.into()], &2.into()));
    assert_eq!(found["labels"][1]["area_mm2"].as_f64().unwrap().round(), 36.0);
    let empty = json(&["measure", &file("ct"), &file("binary.dcm"), "--slice", "5", "--json", "-q"]);
    assert_eq!(empty["labels"][0]["area_px"], 0);
}

#[test]
fn masks_that_do_not_belong_are_refused() {
    let volume = source("preprocess/tests/volumes/codes_q0_s1.nii");
    let volume = volume.to_str().unwrap();
    let refused = |args: &[&str]| {
        let out = loupe(args);
        assert_eq!(out.status.code(), Some(2), "{}", text(&out.stdout));
        text(&out.stderr)
    };
    assert!(refused(&["measure", volume, &file("binary.dcm")]).contains("--resample-mask"));
    assert!(
        refused(&["measure", &file("ct"), &file("binary.dcm"), "--label", "spleen"]).contains("no label")
    );
    assert!(refused(&["measure", &file("ct"), &file("want.json")]).contains("could not be used"));
}

#[test]
fn a_segmentation_prompts_on_the_slice_that_is_shown() {
    let segment = |slice: &str, more: &[&str]| {
        let args = ["segment", &file("ct"), "--mask", &file("binary.dcm"), "--slice", slice, "--json", "-q"];
        let out = loupe(&[&args[..], more].concat());
        let found: Value = serde_json::from_slice(&out.stdout).unwrap();
        (out.status.code(), found)
    };
    let labels = |found: &Value| -> Vec<String> {
        let objects = found["objects"].as_array().unwrap();
        objects.iter().map(|o| o["label"].as_str().unwrap().to_owned()).collect()
    };
    let (code, both) = segment("2", &[]);
    assert_eq!((code, labels(&both)), (Some(0), vec!["Liver".to_owned(), "Cyst".to_owned()]));
    assert_eq!(labels(&segment("2", &["--mask-label", "cyst"]).1), ["Cyst"]);
    assert_eq!(labels(&segment("4", &[]).1), ["Liver"]);
    let (code, none) = segment("0", &[]);
    assert_eq!(code, Some(1));
    assert!(none["failed"][0]["reason"].as_str().unwrap().contains("from 1 to 4"), "{none}");
}
