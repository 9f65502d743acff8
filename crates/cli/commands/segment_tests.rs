#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
use super::*;
use crate::fakes::{Outlines, Script, info, write_ct};
use clap::Parser;
use loupe_preprocess::volume_io::labels_of;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(words: &[&str]) -> Args {
    Line::parse_from(["segment"].iter().chain(words)).args
}

fn outlined(words: &[&str], grounder: Option<&mut Script>) -> Result<Document> {
    let args = args(words);
    let mut segmenter = Outlines(info("outlines"));
    let mut helpers =
        Helpers { segmenter: &mut segmenter, grounder: grounder.map(|g| g as &mut dyn VisionLanguageModel) };
    let (asked, media) = (args.asked()?, args.view.media(&args.image)?);
    outline(&args, asked, &media, &args.images.loader(), &mut helpers, &Printer::new(true, true))
}

#[test]
fn a_box_on_a_slice_is_measured_in_millimetres_and_the_volume_s_own_values() {
    let dir = tempfile::tempdir().unwrap();
    let (ct, out) = (dir.path().join("ct.nii.gz"), dir.path().join("out"));
    write_ct(&ct);
    let (ct, out) = (ct.to_str().unwrap(), out.to_str().unwrap());
    let window = ["--slice", "2", "--window", "20/100", "-o", out];
    let document =
        outlined(&[&[ct, "--box", "2,3,6,8", "--point", "9.5,1.5"][..], &window].concat(), None).unwrap();
    // One box and one point describe one object.
    let [one] = document.objects.as_slice() else { panic!("{document:?}") };
    assert_eq!((document.place.slice, one.flat.area_px), (Some(2), 4 * 5 + 5 * 4));
    let intensities = one.intensities.as_ref().unwrap();
    assert_eq!((intensities.mean, intensities.sd, one.unit), (20.0, 0.0, None)); // NIfTI does not say that it is CT
    assert_eq!(one.flat.area_mm2, Some(40.0));
    let file = Path::new(out).join("labels.nii.gz");
    let read = Loader::new(Default::default()).load_volume(&MediaRef::file(&file)).unwrap();
    let labels = labels_of(&read).unwrap();
    assert_eq!(labels.labels.iter().filter(|v| **v == 1).count(), 40);
    assert!(labels.labels.outer_iter().enumerate().all(|(k, s)| (k == 2) == s.iter().any(|v| *v > 0)));
    assert_eq!(labels.lps_from_index.m, [[0.5, 0., 0., -10.], [0., 2., 0., -20.], [0., 0., 3., 30.]]);
    let coco: serde_json::Value =
        serde_json::from_slice(&std::fs::read(Path::new(out).join("masks.json")).unwrap()).unwrap();
    assert_eq!(coco["annotations"][0]["area"], 40);
    for name in ["mask-01-object-1.png", "overlay.png", "measures.json"] {
        assert!(Path::new(out).join(name).is_file(), "{name}");
    }
}

#[test]
fn outlines_go_on_until_they_end() {
    let dir = tempfile::tempdir().unwrap();
    let ct = dir.path().join("ct.nii.gz");
    write_ct(&ct);
    let words = ["--slice", "2", "--window", "20/100", "--box", "2,3,6,8", "--propagate"];
    let document = outlined(&[&[ct.to_str().unwrap()][..], &words].concat(), None).unwrap();
    let solid = document.objects[0].solid.as_ref().unwrap();
    // Slices 1 to 4 are not air.
    assert_eq!((solid.slices, solid.voxels), (Some([1, 4]), 4 * 20));
    assert_eq!(solid.volume_mm3, 80.0 * 3.0);
}

#[test]
fn places_of_a_reformat_come_back_to_the_voxels() {
    let dir = tempfile::tempdir().unwrap();
    let ct = dir.path().join("ct.nii.gz");
    write_ct(&ct);
    let words = ["--plane", "coronal", "--slice", "4", "--window", "20/100", "--box", "0,1,6,5"];
    let document = outlined(&[&[ct.to_str().unwrap()][..], &words].concat(), None).unwrap();
    let solid = document.objects[0].solid.as_ref().unwrap();
    // Half of the columns, all lit slices, one row; 0.5 × 2 × 3 mm each.
    assert_eq!(document.objects[0].flat.area_px, 6 * 4);
    assert_eq!((solid.voxels, solid.volume_mm3), (24, 72.0));
}

#[test]
fn a_phrase_becomes_one_object_a_box() {
    let dir = tempfile::tempdir().unwrap();
    let ct = dir.path().join("ct.nii.gz");
    write_ct(&ct);
    let ct = ct.to_str().unwrap();
    let said = r#"```json
[{"bbox_2d": [1, 1, 4, 4], "label": "cyst"}, {"bbox_2d": [6, 2, 9, 5], "label": "cyst"}]
```"#;
    let mut grounder = Script::new(&[said]);
    let words = [ct, "--slice", "2", "--window", "20/100", "--phrase", "the cysts"];
    let document = outlined(&words, Some(&mut grounder)).unwrap();
    let boxes: Vec<_> = document.objects.iter().map(|o| o.box_xyxy.unwrap()).collect();
    assert_eq!(boxes, [[1., 1., 4., 4.], [6., 2., 9., 5.]]);
    assert!(document.objects.iter().all(|o| o.label == "the cysts"));
    let document = outlined(&words, Some(&mut Script::new(&["There are none."]))).unwrap();
    assert!(document.objects.is_empty() && document.failed[0].reason.contains("no box"));
}

#[test]
fn one_bad_object_does_not_spoil_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let ct = dir.path().join("ct.nii.gz");
    write_ct(&ct);
    let prompts = dir.path().join("prompts.json");
    let text = r#"[{"label": "swapped", "box": [6, 3, 2, 8]}, {"label": "good", "points": [[5.5, 4.5]]}]"#;
    std::fs::write(&prompts, text).unwrap();
    let words =
        [ct.to_str().unwrap(), "--slice", "2", "--window", "20/100", "--prompts", prompts.to_str().unwrap()];
    let document = outlined(&words, None).unwrap();
    assert_eq!((document.objects.len(), document.failed.len()), (1, 1));
    assert!(document.failed[0].reason.contains("no area"));
    for (text, reason) in [("[{}]", "neither"), ("[{\"bx\": 1}]", "unknown field"), ("3", "JSON list")] {
        std::fs::write(&prompts, text).unwrap();
        let error = outlined(&words, None).unwrap_err();
        assert!(format!("{error:#}").contains(reason), "{error:#}");
    }
}

#[test]
fn unclear_prompts_are_refused() {
    let refused = |words: &[&str]| args(words).asked().unwrap_err().to_string();
    assert!(refused(&["a.png"]).contains("nothing to outline"));
    let two = ["a.png", "--box", "0,0,1,1", "--box", "2,2,3,3", "--point", "1,1"];
    assert!(refused(&two).contains("--prompts"));
    assert!(numbers::<4>("1,2,3").is_err() && numbers::<2>("1,nan").is_err());
}
