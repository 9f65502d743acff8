use super::{check, images, open, samples, text};
use loupe_core::media::WindowChoice;
use loupe_core::{Box2, MeasureUnit, Measurement, Plane, SliceAt, Target, Window};
use loupe_testing::folder;

#[test]
fn medvision_boxes_and_measurements() {
    let lines = [
        r#"{"image_file": "A/img.nii.gz", "slice_dim": 2, "slice_idx": 7, "taskID": "01", "label": 1, "label_name": "liver", "image_size_2d": [20, 30], "bounding_boxes": {"min_coords": [[3, 4]], "max_coords": [[10, 22]], "dimensions": [[8, 19]]}}"#,
        r#"{"image_file": "A/img.nii.gz", "slice_dim": 2, "slice_idx": 8, "label": "tumour", "biometric_profile": {"metric_value_major_axis": [31.5], "metric_value_minor_axis": [20], "metric_unit": ["mm"]}}"#,
        r#"{"image_file": "A/img.nii.gz", "slice_dim": 0, "slice_idx": 8, "label": "x", "biometric_profile": {"metric_type": "angle", "metric_key": "ANB", "metric_value": 2.5, "metric_unit": "degree"}}"#,
        r#"{"image_file": "A/img.nii.gz", "slice_dim": 2, "slice_idx": -1, "label": "x"}"#,
        r#"{"image_file": "A/img.nii.gz", "slice_dim": 2, "slice_idx": 1, "label": "x", "biometric_profile": {"metric_value": 2, "metric_unit": "ml"}}"#,
        r#"{"image_file": "A/img.nii.gz", "slice_dim": 2, "slice_idx": 1, "label": "x", "biometric_profile": {"metric_value_major_axis": [-1], "metric_value_minor_axis": [2], "metric_unit": ["mm"]}}"#,
    ];
    let dir = folder(&[("test.jsonl", &lines.join("\n"))]);
    let set = open("medvision", dir.path(), "test");
    let first = set.get(0).unwrap();
    assert_eq!(
        (first.media[0].view.plane, first.media[0].view.slice),
        (Plane::AcrossK, Some(SliceAt::Index(7)))
    );
    assert!(
        matches!(&first.target, Target::Boxes(b) if b[0].at == Box2::new(4.0, 3.0, 22.0, 10.0) && b[0].label == "liver")
    );
    let second = set.get(1).unwrap();
    let axis = |name: &str, value| Measurement { name: name.into(), value, unit: MeasureUnit::Mm };
    assert_eq!(
        (second.target.clone(), second.tag("unit")),
        (Target::Measurements(vec![axis("major axis", 31.5), axis("minor axis", 20.0)]), Some("mm"))
    );
    let third = set.get(2).unwrap();
    assert_eq!(third.media[0].view.plane, Plane::AcrossI);
    let angle = Measurement { name: "ANB".into(), value: 2.5, unit: MeasureUnit::Degrees };
    assert_eq!((third.target.clone(), third.tag("task")), (Target::Measurements(vec![angle]), Some("angle")));
    assert!(set.get(3).unwrap_err().to_string().contains("\"slice_idx\" is not a whole number"));
    assert!(set.get(4).unwrap_err().to_string().contains("\"metric_unit\" is neither mm nor degrees"));
    let found = check("medvision", dir.path()).unwrap();
    let test = &found.splits[0];
    assert_eq!((test.rows, test.bad_rows, test.odd_measurements, test.missing_images), (6, 2, 2, 1));
}

const TUMOUR: &str = r#"{"version": "2.0", "questions": [{"qid": "bench_1", "image_id": "BDMAP_1", "spacing": "[0.83 0.83 5.0]",
    "sex": null, "question": "Which stage?", "answer": "Mild", "mc_question": "Which stage? A: Normal B: Mild C: Severe D: None",
    "correct_option": "B", "question_type": "medical reasoning", "question_subtype": "grading"}]}"#;

#[test]
fn deeptumorvqa_pictures_volumes_and_free_answers() {
    let dir = folder(&[
        ("benchmark/test_qa.json", TUMOUR),
        (
            "train/train_qa.csv",
            "qid,image_id,question,answer,mc_question,correct_option\n1,B2,Q?,yes,Q? A: yes B: no,A\n",
        ),
    ]);
    let picture = &samples("deeptumorvqa", dir.path(), "test")[0];
    assert_eq!(images(dir.path(), picture), ["benchmark/images_2d/whole/BDMAP_1.png"]);
    assert_eq!(
        (picture.question.as_str(), picture.choices.len(), picture.target.clone()),
        ("Which stage?", 4, Target::Choice('B'))
    );
    let volume = &samples("deeptumorvqa", dir.path(), "test:open-volume")[0];
    assert_eq!((volume.media.len(), volume.target.clone()), (16, text(&["Mild"])));
    let view = &volume.media[0].view;
    assert_eq!((view.plane, view.slice), (Plane::Axial, Some(SliceAt::Share(0.03125))));
    assert_eq!(view.window, Some(WindowChoice::Numbers(Window::linear(50.0, 400.0))));
    assert_eq!(samples("deeptumorvqa", dir.path(), "train")[0].target, Target::Choice('A'));
}

#[test]
fn reasonknee_questions_for_every_volume() {
    let dir = folder(&[
        (
            "data/split_files/test_split.csv",
            "patient_id,time,study_folder,series_folder,knee_side,image_filepath,label_filepath\n9,00m,a,b,RIGHT,vol/1.nii.gz,x\n",
        ),
        (
            "data/question_files/questions_nobbox_guided.json",
            r#"{"1": "Grade the patella.", "2": "Grade the tibia."}"#,
        ),
        ("data/answers.json", r#"{"9_00m_a_b_RIGHT_2": {"MOAKS_scores": {"tibia": 1}}}"#),
    ]);
    let all = samples("3dreasonknee", dir.path(), "test");
    assert_eq!((all.len(), all[0].media.len(), all[0].group.as_str()), (2, 16, "vol/1.nii.gz"));
    assert_eq!(
        (all[0].target.clone(), all[1].target.clone()),
        (Target::Unknown, text(&[r#"{"MOAKS_scores":{"tibia":1}}"#]))
    );
    assert_eq!(all[1].id, "test_split:0:2", "no patient in the id");
}
