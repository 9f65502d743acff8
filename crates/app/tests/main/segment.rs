//! Objects on a slice: measures, files, propagation, phrases, and what cannot be done.

use crate::ct::{Ct, bright_slice, loader};
use loupe_app::AppError;
use loupe_app::open::ImageOptions;
use loupe_app::segment::{
    Grounder, ObjectPrompt, ObjectPrompts, SaliencyOptions, SegmentDocument, SegmentOptions, Segmenters,
    segment_objects,
};
use loupe_app::view::Marks;
use loupe_core::{
    Bottleneck, Box2, LabelVolume, MediaLoader, MediaRef, ModelError, ModelInfo, PairEncoder, PairLogit,
    PairReading, Picture, Plane, Saliency, View,
};
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

    fn run(&self, grounder: Option<Grounder<'_>>) -> Result<SegmentDocument, AppError> {
        let mut segmenter = PromptShapes::lit(script_info("shapes"));
        // Taken apart by hand: the trait object's own lifetime is longer than this call.
        let grounder = grounder.map(|grounder| match grounder {
            Grounder::Answers(model) => Grounder::Answers(model),
            Grounder::Compares(encoder, how) => Grounder::Compares(encoder, how),
        });
        let mut models = Segmenters { segmenter: &mut segmenter, grounder };
        let options = SegmentOptions {
            image: self.ct.name(),
            media: self.ct.media(self.view.clone()),
            reading: ImageOptions::default(),
            instances: false,
            marks: Marks { letters: true, scale_bar: true },
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
    for name in ["mask-01-object-1.png", "picture.png", "overlay.png", "measures.json"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    let text = |name| std::fs::read_to_string(out.join(name)).unwrap();
    assert!(text("labels.ctbl").contains("\n1 object_1 "), "{}", text("labels.ctbl"));
    assert!(text("labels.txt").contains("\"object 1\""), "{}", text("labels.txt"));
    // What a result depends on is in it.
    let kept: Value = serde_json::from_str(&text("measures.json")).unwrap();
    assert_eq!(kept["reading"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (&kept["reading"]["xform"], &kept["reading"]["irregular"]),
        (&"nibabel".into(), &"error".into())
    );
    let origin = &kept["picture"]["origin"];
    assert_eq!((&origin["window"]["centre"], &origin["plane"]), (&20.0.into(), &"upright".into()));
    assert!(origin["steps"].as_array().unwrap().iter().any(|s| s == "geometry: sform (nibabel)"), "{origin}");
}

#[test]
fn voxels_that_a_later_object_takes_over_are_counted() {
    let ct = Ct::write();
    let run = |output: Option<PathBuf>| {
        let prompts = ObjectPrompts {
            boxes: vec![[2.0, 3.0, 6.0, 8.0], [4.0, 3.0, 8.0, 8.0]],
            ..ObjectPrompts::default()
        };
        Task { output, ..Task::new(&ct, prompts) }.run(None).unwrap()
    };
    let out = ct.dir.path().join("out");
    let document = run(Some(out.clone()));
    let [first, second] = document.objects.as_slice() else { panic!("{document:?}") };
    assert!(first.notes.is_empty(), "{:?}", first.notes);
    assert!(
        second.notes.concat().starts_with("10 of its voxels belong to earlier objects too"),
        "{second:?}"
    );
    let read = loader().load_volume(&MediaRef::file(out.join("labels.nii.gz"))).unwrap();
    let labels = labels_of(&read).unwrap();
    assert_eq!([1, 2].map(|l| labels.labels.iter().filter(|v| **v == l).count()), [10, 20]);
    // Without a label map on disk nothing is taken over.
    assert!(run(None).objects.iter().all(|o| o.notes.is_empty()));
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
    // The picture is stretched to square pixels of 0.5 mm, six rows a slice, and boxes are in its pixels.
    let out = ct.dir.path().join("out");
    let task = Task { view, output: Some(out.clone()), ..Task::new(&ct, boxed([0.0, 6.0, 6.0, 30.0])) };
    let document = task.run(None).unwrap();
    let one = &document.objects[0];
    let solid = one.solid.as_ref().unwrap();
    // Half of the columns, all lit slices, one row; 0.5 × 2 × 3 mm each.
    assert_eq!((one.flat.area_px, one.flat.area_mm2), (6 * 24, Some(36.0)));
    assert_eq!((solid.voxels, solid.volume_mm3), (24, 72.0));
    // Of the voxels, each once: 10, 20, 30 and 40.
    let values = one.intensities.as_ref().unwrap();
    assert_eq!((values.n, values.mean), (24, 25.0));
    let picture = &document.picture;
    assert_eq!((picture.size, picture.origin.source_size), ([12, 36], [12, 36]));
    assert_eq!(picture.origin.spacing_mm, Some([0.5, 0.5]));
    // Mask, overlay and COCO file are of the same pixels, and the name tells the plane.
    let size = |name: &str| {
        let media = MediaRef::file(out.join(name));
        let picture = loader().load(&media).unwrap();
        [picture.width(), picture.height()]
    };
    assert_eq!([size("mask-01-object-1.png"), size("overlay.png"), size("picture.png")], [[12, 36]; 3]);
    let coco: Value = serde_json::from_slice(&std::fs::read(out.join("masks.json")).unwrap()).unwrap();
    assert_eq!(coco["annotations"][0]["segmentation"]["size"], serde_json::json!([36, 12]));
    let name = coco["images"][0]["file_name"].as_str().unwrap();
    assert!(name.ends_with("#plane=coronal&slice=4"), "{name}");
}

#[test]
fn an_empty_mask_and_a_propagation_that_ends_at_once_are_said() {
    let ct = Ct::write();
    // Slice 0 is air, so that nothing of it is lit.
    let air = Task { view: bright_slice(0), ..Task::new(&ct, boxed([2.0, 3.0, 6.0, 8.0])) };
    let document = air.run(None).unwrap();
    let said = |document: &SegmentDocument| {
        let objects = document.objects.iter().flat_map(|o| o.notes.clone());
        objects.chain(document.failed.iter().map(|f| f.reason.clone())).collect::<Vec<_>>().join("\n")
    };
    assert!(said(&document).contains("empty") || said(&document).contains("nothing"), "{document:?}");
    // Across the columns nothing ends; across one slice everything does.
    let only = tempfile::tempdir().unwrap();
    let file = only.path().join("one.nii.gz");
    let mut volume = crate::ct::volume();
    volume.voxels = volume.voxels.slice(ndarray::s![2..3, .., ..]).to_owned();
    std::fs::write(&file, loupe_preprocess::nifti::volume_bytes(&volume).unwrap()).unwrap();
    let one = Ct { dir: only, file };
    let alone =
        Task { view: bright_slice(0), propagate: true, ..Task::new(&one, boxed([2.0, 3.0, 6.0, 8.0])) };
    let document = alone.run(None).unwrap();
    assert!(said(&document).contains("ended at once: there are no slices beside it"), "{document:?}");
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
    let document = task.run(Some(Grounder::Answers(&mut grounder(said)))).unwrap();
    let boxes: Vec<_> = document.objects.iter().map(|o| o.box_xyxy.unwrap()).collect();
    assert_eq!(boxes, [[1., 1., 4., 4.], [6., 2., 9., 5.]]);
    assert!(document.objects.iter().all(|o| o.label == "the cysts"));
    let document = task.run(Some(Grounder::Answers(&mut grounder("There are none.")))).unwrap();
    assert!(document.objects.is_empty() && document.failed[0].reason.contains("no box"));
}

/// Two cells of a grid of 6 × 5, each two pixels wide and high, bear on whatever is said; of a place outside the middle
/// nothing is known.
struct Salience(ModelInfo);

impl PairEncoder for Salience {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn width(&self) -> usize {
        1
    }

    fn logit(&self) -> PairLogit {
        PairLogit { scale: 1.0, bias: 0.0, reading: PairReading::Among }
    }

    fn picture(&mut self, _: &Picture) -> Result<Vec<f32>, ModelError> {
        Ok(vec![1.0])
    }

    fn text(&mut self, _: &str) -> Result<Vec<f32>, ModelError> {
        Ok(vec![1.0])
    }

    fn saliency(&mut self, _: &Picture, text: &str, how: &Bottleneck) -> Result<Saliency, ModelError> {
        let level = if text == "nothing" { 0.0 } else { 1.0 };
        let mut cells = vec![0.0; 25];
        (cells[6], cells[7], cells[18]) = (level, level, level * how.beta as f32);
        Ok(Saliency { grid: [5, 5], cells, seen: Box2::new(1.0, 0.0, 11.0, 10.0), side: 10 })
    }
}

#[test]
fn a_phrase_is_found_by_what_of_the_picture_bears_on_it() {
    let ct = Ct::write();
    let out = ct.dir.path().join("out");
    let phrases = vec!["the cysts".to_owned(), "nothing".to_owned()];
    let prompts = ObjectPrompts { phrases, ..ObjectPrompts::default() };
    let task = Task { output: Some(out.clone()), ..Task::new(&ct, prompts) };
    let run =
        |how: SaliencyOptions| task.run(Some(Grounder::Compares(&mut Salience(script_info("pairs")), how)));
    let two = SaliencyOptions {
        bottleneck: Bottleneck { beta: 1.0, ..Bottleneck::default() },
        threshold: Some(0.7),
        parts: 2,
    };
    let document = run(two).unwrap();
    let boxes: Vec<_> = document.objects.iter().map(|o| o.prompt.region.unwrap()).collect();
    assert_eq!(boxes, [[3., 2., 7., 4.], [7., 6., 9., 8.]]);
    let [entry] = document.saliency.as_slice() else { panic!("{document:?}") };
    assert_eq!((entry.threshold, entry.threshold_given), (0.7, true));
    assert_eq!((entry.seen_xyxy, entry.parts.len()), ([1., 0., 11., 10.], 2));
    assert_eq!(entry.parts[0].share, 8.0 / 100.0);
    assert!(
        document.notes.concat().contains("saw the middle of the picture, 10 × 10 of 12 × 10"),
        "{document:?}"
    );
    // The second phrase fails, and the first goes on.
    assert!(document.failed[0].reason.contains("nothing stands out"), "{document:?}");
    assert_eq!(&std::fs::read(out.join("saliency-01.png")).unwrap()[1..4], b"PNG");
    let array = std::fs::read(out.join("saliency-01.npy")).unwrap();
    let text = String::from_utf8_lossy(&array);
    assert!(text.contains("'shape': (10, 12)"), "{text}");
    let last: [f32; 120] = std::array::from_fn(|n| {
        f32::from_le_bytes(array[array.len() - 480 + 4 * n..][..4].try_into().unwrap())
    });
    assert!(last[0].is_nan() && last[11].is_nan() && last[3 * 12 + 4] > 0.9 && last[9 * 12 + 1] == 0.0);
    assert!(!out.join("saliency-02.npy").exists());
    // One part, above what parts the map best.
    let plain = run(SaliencyOptions { bottleneck: two.bottleneck, ..SaliencyOptions::default() }).unwrap();
    assert_eq!(plain.objects.len(), 1);
    assert!(!plain.saliency[0].threshold_given && (0.1..0.9).contains(&plain.saliency[0].threshold));
    let error = run(SaliencyOptions { threshold: Some(1.0), ..two }).unwrap();
    assert!(error.failed[0].reason.contains("below 1"), "{error:?}");
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
