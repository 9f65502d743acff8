//! Objects on a slice: measures, files, propagation, phrases, and what cannot be done.

use crate::ct::{Ct, bright_slice, loader};
use loupe_app::AppError;
use loupe_app::segment::{
    ObjectPrompt, ObjectPrompts, SegmentDocument, SegmentOptions, Segmenters, segment_objects,
};
use loupe_core::{LabelVolume, MediaRef, Plane, View, VisionLanguageModel};
use loupe_preprocess::nifti::label_bytes;
use loupe_preprocess::volume_io::labels_of;
use loupe_testing::{PromptShapes, Script, script_info};
use ndarray::Array3;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is asked of a slice.
struct Task<'a> {
    ct: &'a Ct,
    view: View,
    prompts: ObjectPrompts,
    propagate: bool,
    output: Option<PathBuf>,
}

impl<'a> Task<'a> {
    fn new(ct: &'a Ct, prompts: ObjectPrompts) -> Self {
        Self { ct, view: bright_slice(2), prompts, propagate: false, output: None }
    }

    fn run(&self, grounder: Option<&mut Script>) -> Result<SegmentDocument, AppError> {
        let mut segmenter = PromptShapes::lit(script_info("shapes"));
        let mut models = Segmenters {
            segmenter: &mut segmenter,
            grounder: grounder.map(|g| g as &mut dyn VisionLanguageModel),
        };
        let options = SegmentOptions {
            image: self.ct.name(),
            media: self.ct.media(self.view.clone()),
            prompts: self.prompts.grouped()?,
            resample_masks: false,
            propagate: self.propagate,
            output: self.output.clone(),
        };
        segment_objects(&options, &loader(), &mut models)
    }
}

fn boxed(region: [f64; 4]) -> ObjectPrompts {
    ObjectPrompts { boxes: vec![region], ..ObjectPrompts::default() }
}

#[test]
fn a_box_on_a_slice_is_measured_in_millimetres_and_the_volume_s_own_values() {
    let ct = Ct::write();
    let out = ct.dir.path().join("out");
    let prompts = ObjectPrompts { points: vec![[9.5, 1.5]], ..boxed([2.0, 3.0, 6.0, 8.0]) };
    let document = Task { output: Some(out.clone()), ..Task::new(&ct, prompts) }.run(None).unwrap();
    // One box and one point describe one object.
    let [one] = document.objects.as_slice() else { panic!("{document:?}") };
    assert_eq!((document.view.slice, one.flat.area_px), (Some(2), 4 * 5 + 5 * 4));
    let intensities = one.intensities.as_ref().unwrap();
    assert_eq!((intensities.mean, intensities.sd, one.unit), (20.0, 0.0, None)); // NIfTI does not say that it is CT
    assert_eq!(one.flat.area_mm2, Some(40.0));
    let read = loader().load_volume(&MediaRef::file(out.join("labels.nii.gz"))).unwrap();
    let labels = labels_of(&read).unwrap();
    assert_eq!(labels.labels.iter().filter(|v| **v == 1).count(), 40);
    assert!(labels.labels.outer_iter().enumerate().all(|(k, s)| (k == 2) == s.iter().any(|v| *v > 0)));
    assert_eq!(labels.lps_from_index.m, [[0.5, 0., 0., -10.], [0., 2., 0., -20.], [0., 0., 3., 30.]]);
    let coco: Value = serde_json::from_slice(&std::fs::read(out.join("masks.json")).unwrap()).unwrap();
    assert_eq!(coco["annotations"][0]["area"], 40);
    for name in ["mask-01-object-1.png", "overlay.png", "measures.json"] {
        assert!(out.join(name).is_file(), "{name}");
    }
}

#[test]
fn masks_go_on_until_they_end() {
    let ct = Ct::write();
    let task = Task { propagate: true, ..Task::new(&ct, boxed([2.0, 3.0, 6.0, 8.0])) };
    let document = task.run(None).unwrap();
    let solid = document.objects[0].solid.as_ref().unwrap();
    // Slices 1 to 4 are not air.
    assert_eq!((solid.slices, solid.voxels), (Some([1, 4]), 4 * 20));
    assert_eq!(solid.volume_mm3, 80.0 * 3.0);
}

#[test]
fn places_of_a_reformat_come_back_to_the_voxels() {
    let ct = Ct::write();
    let view = View { plane: Plane::Coronal, ..bright_slice(4) };
    let document = Task { view, ..Task::new(&ct, boxed([0.0, 1.0, 6.0, 5.0])) }.run(None).unwrap();
    let solid = document.objects[0].solid.as_ref().unwrap();
    // Half of the columns, all lit slices, one row; 0.5 × 2 × 3 mm each.
    assert_eq!(document.objects[0].flat.area_px, 6 * 4);
    assert_eq!((solid.voxels, solid.volume_mm3), (24, 72.0));
}

#[test]
fn a_phrase_becomes_one_object_a_box() {
    let ct = Ct::write();
    let said = r#"```json
[{"bbox_2d": [1, 1, 4, 4], "label": "cyst"}, {"bbox_2d": [6, 2, 9, 5], "label": "cyst"}]
```"#;
    let grounder = |line: &str| {
        let mut script = Script::new(&[line]);
        script.info.box_dialect = "qwen2.5-vl".to_owned();
        script
    };
    let prompts = ObjectPrompts { phrases: vec!["the cysts".to_owned()], ..ObjectPrompts::default() };
    let task = Task::new(&ct, prompts);
    let document = task.run(Some(&mut grounder(said))).unwrap();
    let boxes: Vec<_> = document.objects.iter().map(|o| o.box_xyxy.unwrap()).collect();
    assert_eq!(boxes, [[1., 1., 4., 4.], [6., 2., 9., 5.]]);
    assert!(document.objects.iter().all(|o| o.label == "the cysts"));
    let document = task.run(Some(&mut grounder("There are none."))).unwrap();
    assert!(document.objects.is_empty() && document.failed[0].reason.contains("no box"));
}

#[test]
fn one_bad_object_does_not_spoil_the_others() {
    let ct = Ct::write();
    let file = ct.dir.path().join("prompts.json");
    let text = r#"[{"label": "swapped", "box": [6, 3, 2, 8]}, {"label": "good", "points": [[5.5, 4.5]]}]"#;
    std::fs::write(&file, text).unwrap();
    let task = Task::new(&ct, ObjectPrompts { file: Some(file.clone()), ..ObjectPrompts::default() });
    let document = task.run(None).unwrap();
    assert_eq!((document.objects.len(), document.failed.len()), (1, 1));
    assert!(document.failed[0].reason.contains("no area"));
    for (text, reason) in [("[{}]", "neither"), ("[{\"bx\": 1}]", "unknown field"), ("3", "JSON list")] {
        std::fs::write(&file, text).unwrap();
        let error = task.run(None).unwrap_err();
        assert!(error.in_one_line().contains(reason), "{error:?}");
    }
}

/// A label map on the CT's own grid: label 1 on slices 2 and 3, label 5 on slice 3 alone.
fn label_map(ct: &Ct) -> PathBuf {
    let volume = crate::ct::volume();
    let labels = Array3::from_shape_fn(volume.voxels.dim(), |(k, j, i)| match (k, j, i) {
        (2..4, 3..8, 2..6) => 1,
        (3, 1..3, 8..11) => 5,
        _ => 0,
    });
    let names = BTreeMap::from([(1, "organ".to_owned())]);
    let labels = LabelVolume { labels, lps_from_index: volume.lps_from_index, names };
    let path = ct.dir.path().join("mask.nii.gz");
    std::fs::write(&path, label_bytes(&labels).unwrap()).unwrap();
    path
}

#[test]
fn a_mask_volume_counts_on_the_slice_that_is_shown_each_label_by_itself() {
    let ct = Ct::write();
    let mask = label_map(&ct);
    let masked = |label: Option<&str>| ObjectPrompts {
        masks: vec![mask.clone()],
        mask_label: label.map(str::to_owned),
        ..ObjectPrompts::default()
    };
    let areas = |view: View, label| {
        let document = Task { view, ..Task::new(&ct, masked(label)) }.run(None).unwrap();
        assert!(document.failed.is_empty(), "{document:?}");
        document.objects.iter().map(|o| o.flat.area_px).collect::<Vec<_>>()
    };
    assert_eq!(areas(bright_slice(2), None), [20]);
    assert_eq!(areas(bright_slice(3), None), [20, 6]);
    assert_eq!(areas(bright_slice(3), Some("5")), [6]);
    // Across the slices too: row 4 of slices 2 and 3, head up.
    let coronal = View { plane: Plane::Coronal, ..bright_slice(4) };
    let document = Task { view: coronal, ..Task::new(&ct, masked(None)) }.run(None).unwrap();
    assert_eq!(document.objects[0].solid.as_ref().unwrap().voxels, 2 * 4);
    // Where it holds nothing it is no prompt, and the reason says where it does.
    let failed = |view, label| Task { view, ..Task::new(&ct, masked(label)) }.run(None).unwrap().failed;
    let empty = failed(bright_slice(1), None);
    assert!(empty[0].reason.contains("from 2 to 3"), "{empty:?}");
    let unknown = failed(bright_slice(3), Some("liver"));
    assert!(unknown[0].reason.contains("no label \"liver\"; it has 1, 5"), "{unknown:?}");
}

#[test]
fn an_empty_drawn_mask_is_refused() {
    let ct = Ct::write();
    let path = ct.dir.path().join("empty.bmp");
    std::fs::write(&path, loupe_testing::bmp(12, 10, |_, _| 0)).unwrap();
    let prompts = ObjectPrompts { masks: vec![path], ..ObjectPrompts::default() };
    let document = Task::new(&ct, prompts).run(None).unwrap();
    assert!(document.failed[0].reason.contains("is empty: no pixel is inside"), "{document:?}");
}

#[test]
fn unclear_prompts_are_refused() {
    let refused = |prompts: &ObjectPrompts| prompts.grouped().unwrap_err().to_string();
    assert!(refused(&ObjectPrompts::default()).contains("nothing to segment"));
    let two = ObjectPrompts {
        boxes: vec![[0.0, 0.0, 1.0, 1.0], [2.0, 2.0, 3.0, 3.0]],
        points: vec![[1.0, 1.0]],
        ..ObjectPrompts::default()
    };
    assert!(refused(&two).contains("--prompts"));
    let one = ObjectPrompts { outside: vec![[4.0, 4.0]], ..boxed([0.0, 0.0, 1.0, 1.0]) };
    let together = ObjectPrompt {
        region: Some([0.0, 0.0, 1.0, 1.0]),
        outside: vec![[4.0, 4.0]],
        ..ObjectPrompt::default()
    };
    assert_eq!(one.grouped().unwrap(), [together]);
}
