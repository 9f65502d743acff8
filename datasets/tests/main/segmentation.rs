use super::{images, open, samples};
use loupe_core::{MediaSource, Sample, Target};
use loupe_testing::folder;
use std::path::Path;

fn masks(dir: &Path, sample: &Sample) -> Vec<String> {
    let Target::Masks(masks) = &sample.target else { panic!("{:?}", sample.target) };
    let of = |source: &MediaSource| match source {
        MediaSource::File(path) => path.strip_prefix(dir).unwrap().to_string_lossy().into_owned(),
        other => panic!("{other:?}"),
    };
    masks.iter().map(|m| of(&m.at.source)).collect()
}

#[test]
fn folders_of_images_and_masks() {
    let dir = folder(&[
        ("images/a.png", ""),
        ("images/b.jpg", ""),
        ("images/c.png", ""),
        ("masks/a_mask.png", ""),
        ("masks/liver/b.png", ""),
        ("masks/left_kidney/b.png", ""),
        ("val/images/z.png", ""),
        ("val/masks/z.png", ""),
    ]);
    let set = open("masks", dir.path(), "all");
    assert_eq!(set.len(), 4);
    assert_eq!(masks(dir.path(), &set.get(0).unwrap()), ["masks/a_mask.png"]);
    let kidney = set.get(1).unwrap();
    assert_eq!((kidney.id.as_str(), kidney.question.as_str()), ("b:left_kidney", "Outline the left kidney."));
    assert_eq!(masks(dir.path(), &set.get(2).unwrap()), ["masks/liver/b.png"]);
    assert!(set.get(3).unwrap_err().to_string().contains("the image has no mask"));
    assert_eq!(images(dir.path(), &samples("masks", dir.path(), "val")[0]), ["val/images/z.png"]);
}

#[test]
fn sa_med2d_in_both_directions() {
    let dir = folder(&[
        (
            "label2image_test.json",
            r#"{"data_demo/masks/s1_2_liver_000.png": "data_demo/images/s1_2.png",
                "data_demo/masks/s1_2_liver_001.png": "data_demo/images/s1_2.png", "x": 3}"#,
        ),
        (
            "SAMed2D_v1.json",
            r#"{"images/ct_00--Set--Case_1--x_0010.png": ["masks/ct_00--Set--Case_1--x_0010--0001_000.png"]}"#,
        ),
    ]);
    let set = open("sa-med2d", dir.path(), "test");
    let liver = set.get(0).unwrap();
    assert_eq!(
        (images(dir.path(), &liver), liver.tag("label")),
        (vec!["images/s1_2.png".to_owned()], Some("liver"))
    );
    assert_eq!(masks(dir.path(), &liver), ["masks/s1_2_liver_000.png", "masks/s1_2_liver_001.png"]);
    assert!(set.get(1).is_err());
    let all = &samples("sa-med2d", dir.path(), "all")[0];
    assert_eq!(
        (all.tag("modality"), all.tag("dataset"), all.group.as_str()),
        (Some("ct"), Some("Set"), "Set--Case_1")
    );
}

#[test]
fn label_maps_of_nnunet_and_totalsegmentator() {
    let dir = folder(&[
        (
            "dataset.json",
            r#"{"labels": {"background": 0, "liver": 1, "tumour": 2, "both": [1, 2], "ignore": 3}}"#,
        ),
        ("imagesTr/c1_0000.nii.gz", ""),
        ("labelsTr/c1.nii.gz", ""),
        ("imagesTs/c2.nii.gz", ""),
        ("labelsTs/c2.nii.gz", ""),
        ("s0011/ct.nii.gz", ""),
        ("s0011/segmentations/aorta.nii.gz", ""),
        ("s0011/segmentations/rib_left_9.nii.gz", ""),
    ]);
    let train = samples("nifti-labels", dir.path(), "train");
    assert_eq!(
        train.iter().map(|s| (s.id.as_str(), s.tag("value").unwrap())).collect::<Vec<_>>(),
        [("c1:liver", "1"), ("c1:tumour", "2")]
    );
    assert_eq!(images(dir.path(), &train[0]), ["imagesTr/c1_0000.nii.gz"]);
    assert_eq!(masks(dir.path(), &train[1]), ["labelsTr/c1.nii.gz"]);
    assert_eq!(images(dir.path(), &samples("nifti-labels", dir.path(), "test")[0]), ["imagesTs/c2.nii.gz"]);
    let all = samples("nifti-labels", dir.path(), "all");
    assert_eq!(all.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["s0011:aorta", "s0011:rib_left_9"]);
    assert_eq!(all[1].question, "Outline the rib left 9.");
}

#[test]
fn findings_of_rexgroundingct_have_layers_of_one_file() {
    let scan = |name: &str, findings: &str| {
        format!(
            r#"{{"name": "{name}.nii.gz", "findings": {findings}, "categories": {{"0": "2d", "1": "2e"}}, "pixels": {{"0": 5}}}}"#
        )
    };
    let two = r#"{"1": "Effusion on the left", "0": " Nodule in the right lung "}"#;
    let dataset = format!(
        r#"{{"train": [], "val": [{}, {}], "test": [{}]}}"#,
        scan("train_17_b_2", two),
        scan("valid_3_a_1", r#"{"0": "Scar", "x": "?", "2": ""}"#),
        scan("train_9_a_1", two)
    );
    let dir = folder(&[
        ("dataset.json", &dataset),
        ("dataset/train_fixed/train_17/train_17_b/train_17_b_2.nii.gz", ""),
        ("images/valid_3_a_1.nii.gz", ""),
        ("segmentations/train_17_b_2.nii.gz", ""),
    ]);
    let set = open("rexgroundingct", dir.path(), "val");
    assert_eq!(set.len(), 5);
    let found: Vec<_> = (0..3).map(|n| set.get(n).unwrap()).collect();
    assert_eq!(found[0].id, "train_17_b_2:0");
    assert_eq!(found[1].question, "Outline this finding: Effusion on the left");
    assert_eq!((found[1].tag("category"), found[1].group.as_str()), (Some("2e"), "train_17"));
    assert_eq!(
        images(dir.path(), &found[1]),
        ["dataset/train_fixed/train_17/train_17_b/train_17_b_2.nii.gz"]
    );
    assert_eq!(masks(dir.path(), &found[1]), ["segmentations/train_17_b_2.nii.gz"]);
    let layer = |sample: &loupe_core::Sample| match &sample.target {
        Target::Masks(masks) => (masks[0].label.clone(), masks[0].at.view.layer),
        other => panic!("{other:?}"),
    };
    assert_eq!(layer(&found[0]), ("Nodule in the right lung".to_owned(), Some(0)));
    assert_eq!(layer(&found[1]).1, Some(1));
    assert_eq!(images(dir.path(), &found[2]), ["images/valid_3_a_1.nii.gz"]);
    assert!((3..5).all(|n| set.get(n).unwrap_err().to_string().contains("no text with a number")));
    // The masks of the test are withheld.
    assert_eq!(samples("rexgroundingct", dir.path(), "test")[0].target, Target::Unknown);
}

/// Masks made from COCO segmentations against areas and boxes that pycocotools gives for the same
/// (fixtures/coco_masks.json, written by make_coco_masks.py).
#[test]
fn coco_segmentations_equal_pycocotools() {
    let expected: serde_json::Value =
        serde_json::from_str(include_str!("../fixtures/coco_masks.json")).unwrap();
    let dir = folder(&[("annotations.json", &expected["file"].to_string())]);
    let all = samples("coco-masks", dir.path(), "all");
    let wanted = expected["masks"].as_object().unwrap();
    assert_eq!(all.len(), wanted.len());
    for sample in &all {
        let Target::Masks(masks) = &sample.target else { panic!() };
        let rows: Vec<String> = masks.iter().map(|m| drawn(&m.at.source)).collect();
        assert_eq!(rows.join("\n\n"), wanted[&sample.id].as_str().unwrap(), "{}", sample.id);
    }
}

/// A PGM's pixels as lines of `.` and `#`.
fn drawn(source: &MediaSource) -> String {
    let MediaSource::Bytes(bytes) = source else { panic!() };
    let mut heading = bytes.splitn(4, |b| *b == b'\n');
    assert_eq!(heading.next(), Some(b"P5".as_slice()));
    let size = String::from_utf8(heading.next().unwrap().to_vec()).unwrap();
    let width: usize = size.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(heading.next(), Some(b"255".as_slice()));
    let pixels = heading.next().unwrap();
    let line = |row: &[u8]| row.iter().map(|p| if *p > 0 { '#' } else { '.' }).collect::<String>();
    pixels.chunks(width).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn segmentations_that_do_not_fit_are_row_errors() {
    let file = |segmentation: &str| {
        format!(
            r#"{{"images": [{{"id": 1, "file_name": "a.png", "width": 4, "height": 3}}], "categories": [{{"id": 1, "name": "x"}}],
                "annotations": [{{"id": 1, "image_id": 1, "category_id": 1, "segmentation": {segmentation}}}]}}"#
        )
    };
    for bad in [
        r#"{"size": [4, 3], "counts": [12]}"#,
        r#"{"size": [3, 4], "counts": [13]}"#,
        r#"{"size": [3, 4], "counts": "~~~"}"#,
        r#"{"size": [3, 4], "counts": "ooooooooooooooooo"}"#,
        r#"[[1, 2, 1e300, 4, 5, 6]]"#,
        r#""words""#,
    ] {
        let dir = folder(&[("annotations.json", &file(bad))]);
        let error = open("coco-masks", dir.path(), "all").get(0).unwrap_err().to_string();
        assert!(
            error.contains("does not fit") || error.ends_with("\"segmentation\" is text"),
            "{bad}: {error}"
        );
    }
}
