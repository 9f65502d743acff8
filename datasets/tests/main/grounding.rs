use super::{check, images, open, samples};
use loupe_core::{Box2, Sample, Source, Target};
use loupe_testing::folder;

fn boxes(sample: &Sample) -> Vec<(String, Box2<Source>)> {
    match &sample.target {
        Target::Boxes(boxes) => boxes.iter().map(|b| (b.label.clone(), b.at)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn slake_boxes_in_one_file_and_beside_the_images() {
    let dir = folder(&[
        (
            "detection_all.json",
            r#"{"xmlab1": [{"Liver": [33.0, 67.0, 98.0, 108.0]}, {"Spleen": [1, 2, 3, 4]}, {"Liver": [0, 0, 5, 5]}],
                "xmlab2": [], "xmlab3": [{"Liver": [1, 2, 3]}]}"#,
        ),
        ("test.json", r#"[{"img_name": "xmlab2/source.jpg", "qid": 1, "question": "?", "answer": "x"}]"#),
        ("imgs/xmlab1/source.jpg", ""),
    ]);
    let set = open("slake-boxes", dir.path(), "all");
    assert_eq!(set.len(), 4);
    let liver = set.get(0).unwrap();
    assert_eq!((liver.id.as_str(), liver.tag("n_boxes")), ("xmlab1:Liver", Some("2")));
    assert_eq!(boxes(&liver)[0].1, Box2::new(33.0, 67.0, 131.0, 175.0));
    assert_eq!(images(dir.path(), &liver), ["imgs/xmlab1/source.jpg"]);
    assert!(set.get(1).unwrap().question.contains("Spleen"));
    assert_eq!(boxes(&set.get(2).unwrap()), [], "an image without boxes is asked too");
    assert!(set.get(3).unwrap_err().to_string().contains("[x, y, width, height]"));
    let whole = open("slake-boxes", dir.path(), "all:image");
    assert_eq!((whole.len(), boxes(&whole.get(0).unwrap()).len()), (3, 3));
    assert_eq!(samples("slake-boxes", dir.path(), "test")[0].id, "xmlab2");

    let dir = folder(&[
        ("imgs/xmlab7/detection.json", r#"[{"Lung": [1, 1, 2, 2]}]"#),
        ("imgs/xmlab7/source.jpg", ""),
    ]);
    assert_eq!(boxes(&samples("slake-boxes", dir.path(), "all")[0])[0].1, Box2::new(1.0, 1.0, 3.0, 3.0));
}

const VINDR: &str = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n\
    i1,Nodule,8,R1,10,10,30,30\ni1,Nodule,8,R2,12,10,32,30\ni1,Mass,9,R3,1,1,5,5\n\
    i2,No finding,14,R1,,,,\ni2,No finding,14,R2,,,,\ni3,Nodule,8,R1,a,0,0,0\n";

#[test]
fn vindr_keeps_readers_and_images_without_findings() {
    let dir = folder(&[("train.csv", VINDR), ("train/i1.dicom", "")]);
    let set = open("vindr-cxr", dir.path(), "train");
    assert_eq!(set.len(), 4);
    let nodules = set.get(0).unwrap();
    let Target::Boxes(found) = &nodules.target else { panic!() };
    assert_eq!(found.iter().map(|b| b.reader.as_deref().unwrap()).collect::<Vec<_>>(), ["R1", "R2"]);
    assert_eq!(found[0].at, Box2::new(10.0, 10.0, 30.0, 30.0));
    assert_eq!(nodules.tag("n_readers"), Some("3"));
    assert_eq!(images(dir.path(), &nodules), ["train/i1.dicom"]);
    assert_eq!(boxes(&set.get(2).unwrap()), []);
    assert!(set.get(3).unwrap_err().to_string().contains("\"x_min\" is not a number"));
    let agreed = open("vindr-cxr", dir.path(), "train:consensus");
    let first = agreed.get(0).unwrap();
    assert_eq!(boxes(&first), [("Nodule".to_owned(), Box2::new(11.0, 10.0, 31.0, 30.0))]);
}

const COCO: &str = r#"{"images": [{"id": 5, "file_name": "a.png", "width": 8, "height": 6}, {"id": 6, "file_name": "b.png", "width": 4, "height": 4}, {"id": 7, "file_name": "c.png"}],
  "categories": [{"id": 1, "name": "cyst"}, {"id": 2, "name": "mass"}],
  "annotations": [
    {"id": 1, "image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 2], "iscrowd": 0, "segmentation": [[1, 2, 4, 2, 4, 4, 1, 4]]},
    {"id": 2, "image_id": 5, "category_id": 2, "bbox": [0, 0, 8, 6], "iscrowd": 1, "segmentation": {"size": [6, 8], "counts": [6, 6, 36]}},
    {"id": 3, "image_id": 7, "category_id": 9, "bbox": [0, 0, 1, 1]}]}"#;

#[test]
fn coco_boxes() {
    let dir = folder(&[("annotations/instances_val.json", COCO), ("images/a.png", "")]);
    let set = open("coco", dir.path(), "val");
    assert_eq!(set.len(), 3);
    let cyst = set.get(0).unwrap();
    assert_eq!((boxes(&cyst)[0].1, cyst.tag("crowd_regions")), (Box2::new(1.0, 2.0, 4.0, 4.0), Some("1")));
    assert_eq!(images(dir.path(), &cyst), ["images/a.png"]);
    assert_eq!(boxes(&set.get(1).unwrap()), []);
    // What is marked there nobody knows, so that the image cannot be asked about.
    assert!(set.get(2).unwrap_err().to_string().contains("category"));
    // A file that is named stands for every split, and is looked through once.
    let checked = check("coco", &dir.path().join("annotations/instances_val.json")).unwrap();
    assert_eq!(checked.splits.len(), 1);
}

const VOC: &str = "<annotation><filename>a.jpg</filename><object><name>RBC</name><bndbox><xmin>1</xmin><ymin>3</ymin>\
    <xmax>10</xmax><ymax>4</ymax></bndbox></object><object><name>WBC &amp; co</name><bndbox><xmin>5</xmin>\
    <ymin>5</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>";

#[test]
fn pascal_voc_counts_pixels_from_one() {
    let dir = folder(&[
        ("annotations/a.xml", VOC),
        ("annotations/b.xml", "<annotation><object><name>x</name></object></annotation>"),
        ("images/a.jpg", ""),
        ("ImageSets/Main/val.txt", "a 1\n"),
    ]);
    let set = open("pascal-voc", dir.path(), "all");
    assert_eq!(set.len(), 3);
    let first = set.get(0).unwrap();
    assert_eq!(boxes(&first), [("RBC".to_owned(), Box2::new(0.0, 2.0, 10.0, 4.0))]);
    assert_eq!(first.tag("zero_extent_boxes"), Some("1"));
    assert_eq!(boxes(&set.get(1).unwrap()), [("WBC & co".to_owned(), Box2::new(4.0, 4.0, 5.0, 5.0))]);
    assert!(set.get(2).unwrap_err().to_string().contains("no bndbox"));
    let edges = samples("pascal-voc", dir.path(), "val:edges");
    assert_eq!(boxes(&edges[0])[0].1, Box2::new(1.0, 3.0, 10.0, 4.0));
}

#[test]
fn radfact_sentences_boxes_and_units() {
    let dir = folder(&[
        (
            "grounded_reporting_examples.json",
            r#"[{"example_id": 0, "target": [{"text": "Opacity.", "boxes": [{"x_min": 0.5, "y_min": 0.25, "x_max": 1, "y_max": 0.5}]},
             {"text": "No fluid.", "boxes": null}], "prediction": []},
            {"example_id": 1, "image": "x.png", "image_width": 200, "image_height": 100,
             "target": [{"text": "Mass.", "boxes": [{"x_min": 0.5, "y_min": 0.25, "x_max": 1, "y_max": 0.5}]}]}]"#,
        ),
        ("findings_generation_examples.csv", "example_id,prediction,target\n0,\"a, b\",Clear lungs.\n"),
    ]);
    let all = samples("radfact", dir.path(), "grounded");
    assert_eq!(boxes(&all[0]), [("Opacity.".to_owned(), Box2::new(0.5, 0.25, 1.0, 0.5))]);
    assert_eq!((all[0].tag("box_unit"), all[1].tag("box_unit")), (Some("share"), Some("pixel")));
    assert!(all[0].tag("sentences").unwrap().contains("No fluid."));
    assert_eq!(boxes(&all[1])[0].1, Box2::new(100.0, 25.0, 200.0, 50.0));
    let findings = &samples("radfact", dir.path(), "findings")[0];
    assert!(matches!(&findings.target, Target::Report(r) if r["findings"] == "Clear lungs."));
}

#[test]
fn medmultipoints_tasks() {
    let row = |task: &str, answer: &str| {
        serde_json::json!({
            "messages": [{"role": "user", "content": format!("<image> Do {task}."), "task": task, "source": "polyp"},
                         {"role": "assistant", "content": format!("```json\n{answer}\n```")}],
            "images": [{"bytes": null, "path": "MedMultiPoints-images/ab.png"}]
        })
        .to_string()
    };
    let lines = [
        row("pointing", r#"[{"point_2d": [1.5, 2], "label": "polyp"}]"#),
        row(
            "bounding",
            r#"[{"bbox_2d": [1, 2, 3, 4], "label": "polyp"}, {"bbox_2d": [5, 5, 9, 9], "label": "polyp"}]"#,
        ),
        row("counting", r#"{"counts": 41, "label": "sperm"}"#),
        row("count_and_box", r#"{"counts": 1, "bbox_2d": [[1, 2, 3, 4]], "label": "polyp"}"#),
        row("cnt_and_point", r#"{"counts": 2, "point_2d": [[1, 2], [3, 4]], "label": "polyp"}"#),
        row("pointing", "nothing"),
    ];
    let dir = folder(&[
        ("instruction_dataset/multi-task-test.jsonl", &lines.join("\n")),
        ("MedMultiPoints-images/ab.png", ""),
    ]);
    let set = open("medmultipoints", dir.path(), "test");
    let of = |i: usize| set.get(i).unwrap();
    assert!(matches!(&of(0).target, Target::Points(p) if p[0].label == "polyp" && p[0].at.x == 1.5));
    assert_eq!(boxes(&of(1))[1].1, Box2::new(5.0, 5.0, 9.0, 9.0));
    assert_eq!((of(2).target, of(2).question.as_str()), (Target::Count(41.0), "Do counting."));
    assert_eq!((boxes(&of(3)).len(), of(3).tag("count")), (1, Some("1")));
    assert!(matches!(&of(4).target, Target::Points(p) if p.len() == 2));
    assert_eq!(images(dir.path(), &of(0)), ["MedMultiPoints-images/ab.png"]);
    assert!(set.get(5).unwrap_err().to_string().contains("not JSON in a fence"));
}
