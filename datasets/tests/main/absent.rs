//! What is absent or cannot be read is never turned into a value.

use super::{check, open, samples, text};
use loupe_core::{MediaRef, Sample, Target};
use loupe_datasets::{CheckReport, Look, NoteKind};
use loupe_testing::folder;
use std::path::Path;

fn letters(sample: &Sample) -> Vec<(char, &str)> {
    sample.choices.iter().map(|c| (c.letter, c.text.as_str())).collect()
}

/// An option without words keeps its letter from the others, in every reader of options.
#[test]
fn an_empty_option_moves_no_letter_in_any_reader() {
    let row = |choices: &str, answer: &str| {
        format!(
            r##"{{"question": "Which tooth?", "image": "p.png", "choices": {choices}, "answer": {answer}}}"##
        )
    };
    let own = [
        row(r##"["#25", "", "#26", "#27"]"##, "\"C\""),
        row(r##"["#25", null, "#26", "#27"]"##, "2"),
        row(r##"["#25", "  ", "#26", "#27"]"##, "2.0"),
        row(r##"{"A": "#25", "B": null, "C": "#26", "D": "#27"}"##, "\"C\""),
        row(r##"["A. #25", "B.", "C. #26", "D. #27"]"##, "\"#26\""),
        row(r##"["#25", NaN, "#26", "#27"]"##, "\"C\""),
    ];
    let dir = folder(&[
        ("own/set.jsonl", &own.join("\n")),
        (
            "table/set.csv",
            "question,image,A,B,C,D,choices,answer\nWhich tooth?,p.png,#25,,#26,#27,,C\n\
             Which tooth?,p.png,,,,,#25||#26|#27,C\nWhich tooth?,p.png,,,,,\"['#25', None, '#26', '#27']\",2\n",
        ),
        (
            "pmc/test_2.csv",
            "index,Figure_path,Caption,Question,Choice A,Choice B,Choice C,Choice D,Answer,split\n\
             0,f.png,c,Which tooth?,A: #25,,C: #26,D: #27,C,test\n1,f.png,c,Which tooth?,A: #25,B: ,C: #26,D: #27,C,test\n",
        ),
        (
            "omni/QA_information/Open-access/x.json",
            r##"[{"question_id": "1", "question": "Which tooth?", "image_path": "p.png", "option_A": "#25", "option_B": "",
               "option_C": "#26", "option_D": "#27", "gt_answer": "#26"}]"##,
        ),
        (
            "expert/test.jsonl",
            "{\"id\": \"1\", \"question\": \"Which tooth?\", \"images\": [\"p.png\"], \"label\": \"C\", \"options\": {\"A\": \"#25\", \"B\": null, \"C\": \"#26\", \"D\": \"#27\", \"E\": null}}\n\
             {\"id\": \"2\", \"question\": \"Which tooth?\", \"images\": [\"p.png\"], \"label\": [\"C\"], \"options\": [{\"letter\": \"A\", \"content\": \"#25\"}, {\"letter\": \"B\", \"content\": \"\"}, {\"letter\": \"C\", \"content\": \"#26\"}, {\"letter\": \"D\", \"content\": \"#27\"}]}\n",
        ),
        (
            "tsv/set.tsv",
            "index\timage_path\tquestion\tA\tB\tC\tD\tanswer\n0\tp.png\tWhich tooth?\t#25\tnan\t#26\t#27\tC\n",
        ),
        (
            "tumour/benchmark/test_qa.json",
            r##"{"questions": [{"qid": "1", "image_id": "i", "mc_question": "Which tooth? A: #25 B: C: #26 D: #27", "correct_option": "C"}]}"##,
        ),
    ]);
    for (set, folder, split, rows) in [
        ("jsonl", "own", "all", 6),
        ("csv", "table", "all", 3),
        ("pmc-vqa", "pmc", "test_2", 2),
        ("omnimedvqa", "omni", "open", 1),
        ("medxpertqa-mm", "expert", "test", 2),
        ("vlmevalkit", "tsv", "all", 1),
        ("deeptumorvqa", "tumour", "test", 1),
    ] {
        let path = dir.path().join(folder);
        let all = samples(set, &path, split);
        assert_eq!(all.len(), rows, "{set}");
        for sample in &all {
            assert_eq!(letters(sample), [('A', "#25"), ('C', "#26"), ('D', "#27")], "{set}: {}", sample.id);
            assert_eq!(sample.target, Target::Choice('C'), "{set}: {}", sample.id);
        }
        let report = check(set, &path).unwrap();
        let found = report.splits.iter().find(|s| s.split == split).unwrap();
        let named = found.notes.iter().filter(|n| n.text.ends_with("option B is empty and not offered"));
        assert_eq!(named.count(), rows, "{set}: {:?}", found.notes);
    }
}

/// Columns that only other rows of a table need are no empty options.
#[test]
fn fewer_options_than_columns_are_nothing_odd() {
    let dir = folder(&[("set.csv", "question,A,B,C,D,answer\nYes?,yes,no,,,A\nWhich?,a,b,c,d,D\n")]);
    let found = &check("csv", dir.path()).unwrap().splits[0];
    assert_eq!(found.notes, []);
    assert_eq!(letters(&samples("csv", dir.path(), "all")[0]).len(), 2);
}

#[test]
fn references_that_say_nothing_are_unknown_and_booleans_are_yes_and_no() {
    let rows = [
        (r#""answer": """#, Target::Unknown),
        (r#""answer": "  ""#, Target::Unknown),
        (r#""answer": null"#, Target::Unknown),
        (r#""answer": NaN"#, Target::Unknown),
        (r#""answer": []"#, Target::Unknown),
        (r#""answer": ["", null]"#, Target::Unknown),
        (r#""report": {"findings": ""}"#, Target::Unknown),
        (r#""answer": true"#, text(&["yes"])),
        (r#""answer": [false]"#, text(&["no"])),
        (r#""answer": "True""#, text(&["True"])),
        (r#""answer": 3.0"#, text(&["3"])),
        (r#""answer": ["", "a"]"#, text(&["a"])),
        (r#""answer": true, "choices": ["no", "yes"]"#, Target::Choice('B')),
        (r#""answer": false, "choices": ["True", "False"]"#, Target::Choice('B')),
        (r#""boxes": []"#, Target::Boxes(Vec::new())),
        (r#""count": 0.0"#, Target::Count(0.0)),
    ];
    let lines: Vec<String> =
        rows.iter().map(|(field, _)| format!(r#"{{"question": "?", "image": "x.png", {field}}}"#)).collect();
    let dir = folder(&[("set.jsonl", &lines.join("\n"))]);
    for (sample, (field, target)) in samples("jsonl", dir.path(), "all").iter().zip(&rows) {
        assert_eq!(&sample.target, target, "{field}");
    }
    let found = &check("jsonl", dir.path()).unwrap().splits[0];
    assert_eq!(found.rows_without_reference, 7);
    let named: Vec<&str> =
        found.notes.iter().filter(|n| n.text.contains("no reference")).map(|n| n.text.as_str()).collect();
    assert_eq!((named.len(), named[6].split(':').next()), (7, Some("set.jsonl, line 7")));
}

/// Python writes NaN for a missing cell; it costs its own field.
#[test]
fn a_number_that_is_none_costs_one_field_of_one_row() {
    let row = |qid: usize, answer: &str| {
        format!(
            r#"{{"img_name": "x/source.jpg", "question": "What?", "answer": {answer}, "q_lang": "en", "qid": {qid}}}"#
        )
    };
    let slake = format!("[{}, {}, {}]", row(1, "\"CT\""), row(2, "NaN"), row(3, "\"CT\""));
    let dir = folder(&[
        ("test.json", &slake),
        ("set.jsonl", "{\"question\": \"?\", \"answer\": NaN}\n{\"question\": Infinity}\n"),
    ]);
    let all = samples("slake", dir.path(), "test");
    assert_eq!(
        all.iter().map(|s| s.target.clone()).collect::<Vec<_>>(),
        [text(&["CT"]), Target::Unknown, text(&["CT"])]
    );
    let own = open("jsonl", dir.path(), "all");
    assert_eq!(own.get(0).unwrap().target, Target::Unknown);
    assert!(own.get(1).unwrap_err().to_string().contains("line 2: \"question\" is missing"));
}

/// Whole numbers that pandas wrote with a fraction of zeros, wherever a number counts.
#[test]
fn whole_numbers_with_a_fraction_of_zeros_are_whole_numbers() {
    let dir = folder(&[
        (
            "set.jsonl",
            r#"{"id": 7.0, "question": "?", "image": {"path": "x.nii", "slice": 3.0, "frame": 1.0}, "choices": ["a", "b"], "answer": 1.0}"#,
        ),
        ("set.csv", "question,image,slice,choices,answer\n?,x.nii,3.0,a|b,1.0\n"),
        (
            "coco/annotations.json",
            r#"{"images": [{"id": 5, "file_name": "a.png", "width": 8.0, "height": 6}], "categories": [{"id": 1, "name": "cyst"}],
                "annotations": [{"id": 1, "image_id": 5.0, "category_id": 1.0, "bbox": [1, 2, 3, 2]}]}"#,
        ),
    ]);
    for (name, file) in [("jsonl", "set.jsonl"), ("csv", "set.csv")] {
        let sample = loupe_datasets::open(name, &dir.path().join(file), None).unwrap().get(0).unwrap();
        assert_eq!(sample.target, Target::Choice('B'));
        assert_eq!(sample.media[0].view.slice, Some(loupe_core::SliceAt::Index(3)));
    }
    assert_eq!(open("jsonl", &dir.path().join("set.jsonl"), "all").get(0).unwrap().id, "7");
    let boxed = &samples("coco", &dir.path().join("coco"), "all")[0];
    assert_eq!((boxed.id.as_str(), boxed.media[0].stated_size), ("5:cyst", Some([8, 6])));
}

const COCO: &str = r#"{"images": [
    {"id": 0, "file_name": "a.png", "width": 90, "height": 90}, {"id": 1, "file_name": "b.png"},
    {"id": 2, "file_name": "c.png"}, {"id": 3, "file_name": "d.png"}, {"id": 3, "file_name": "e.png"}, {"id": 4, "file_name": "f.png"}],
  "categories": [{"id": 1, "name": "cyst"}, {"id": 2, "name": "mass"}],
  "annotations": [
    {"id": 1, "image_id": 0, "category_id": 1, "bbox": ["1", "2", "3", "4"]},
    {"id": 2, "image_id": 0, "category_id": 2, "bbox": [1, 2, 3, 4]},
    {"id": 3, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3]},
    {"id": 4, "image_id": 2, "category_id": 1, "segmentation": [[1, 2, 3, 4, 5, 6]]},
    {"id": 5, "image_id": 3, "category_id": 1, "bbox": [1, 2, -3, 4]},
    {"id": 6, "image_id": 77, "category_id": 1, "bbox": [1, 2, 3, 4]},
    {"id": 7, "image_id": 4, "category_id": 9, "bbox": [1, 2, 3, 4]}]}"#;

/// An annotation that cannot be read is not the absence of a finding.
#[test]
fn a_box_that_cannot_be_read_is_no_image_without_boxes() {
    let dir = folder(&[("annotations.json", COCO)]);
    let set = open("coco", dir.path(), "all");
    let said: Vec<Result<String, String>> =
        (0..set.len()).map(|i| set.get(i).map(|s| s.id).map_err(|e| e.to_string())).collect();
    let error = |n: usize, place: &str, problem: &str| {
        let error = said[n].as_ref().unwrap_err();
        assert!(error.contains(place) && error.contains(problem), "{error}");
    };
    error(0, "annotations.json, annotations, row 1", "number 1 of a list of 4 is text");
    assert_eq!(said[1].as_deref(), Ok("0:mass"), "what can be read of the image is asked");
    error(2, "row 3", "expected 4 numbers, found 3");
    error(3, "row 4", "found null");
    error(4, "row 5", "the width -3");
    error(5, "images, row 5", "the image id 3 is that of an earlier image too");
    error(6, "row 7", "category_id is that of no category");
    error(7, "row 6", "image_id 77 is that of no image");
    assert_eq!(said.len(), 8);
    // All labels of an image together fail with one of them.
    let whole = open("coco", dir.path(), "all:image");
    assert!((0..whole.len()).all(|i| whole.get(i).is_err()));

    let dir = folder(&[
        (
            "detection_all.json",
            r#"{"x1": [{"Liver": [1, 2, 3]}, {"Lung": [1, 2, 3, 4]}], "x2": [{"Liver": [1, 2, "3", 4, 5]}]}"#,
        ),
        (
            "vindr/train.csv",
            "image_id,class_name,rad_id,x_min,y_min,x_max,y_max\ni1,Nodule,R1,,,,\ni2,No finding,R1,,,,\ni3,Mass,R1,9,1,5,5\n",
        ),
        (
            "voc/annotations/a.xml",
            "<annotation><size><width>20</width><height>10</height></size><object><name>x</name><bndbox><xmin>9</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>",
        ),
    ]);
    let fails = |set: &str, path: &Path, split: &str| -> Vec<bool> {
        let set = open(set, path, split);
        (0..set.len()).map(|i| set.get(i).is_err()).collect()
    };
    assert_eq!(fails("slake-boxes", dir.path(), "all"), [true, false, true]);
    let vindr = dir.path().join("vindr");
    assert_eq!(fails("vindr-cxr", &vindr, "train"), [true, false, true]);
    assert_eq!(fails("vindr-cxr", &vindr, "train:consensus"), [true, false, true]);
    assert_eq!(fails("pascal-voc", &dir.path().join("voc"), "all"), [true]);
}

#[test]
fn a_polygon_that_cannot_be_read_is_no_other_polygon() {
    let with = |segmentation: &str| {
        let text = format!(
            r#"{{"images": [{{"id": 1, "file_name": "a.png", "width": 9, "height": 9}}], "categories": [{{"id": 1, "name": "x"}}],
               "annotations": [{{"image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3], "segmentation": {segmentation}}}]}}"#
        );
        let dir = folder(&[("annotations.json", &text)]);
        open("coco-masks", dir.path(), "all").get(0).map(|s| s.id).map_err(|e| e.to_string())
    };
    assert_eq!(with("[[1, 1, 4, 1, 4, 4]]").as_deref(), Ok("1:x"));
    for (segmentation, problem) in [
        (r#"[[1, 1, "4", 1, 4, 4, 1, 4]]"#, "polygon 1 of the segmentation holds text"),
        ("[[1, 1, 4, 1, 4, 4], [1, 2, 3]]", "polygon 2 of the segmentation has 3 numbers"),
        ("[]", "the segmentation is empty"),
        ("null", "\"segmentation\" is null"),
        (r#"{"size": [9, 9], "counts": [1, "2", 78]}"#, "does not fit"),
    ] {
        let error = with(segmentation).unwrap_err();
        assert!(error.contains(problem) && error.contains("annotations, row 1"), "{segmentation}: {error}");
    }
}

/// A check with pictures of 100 × 50 pixels, one turned, one that cannot be shown as asked.
fn looked(dir: &Path, split: Option<&str>) -> CheckReport {
    let mut look = |media: &MediaRef| match media.name.as_str() {
        "deep.nii" => Err("slice 400 of 20 (counted from 0)".to_owned()),
        name => Ok(Look {
            size: if name == "small.png" { [10, 5] } else { [100, 50] },
            turned: name == "turned.jpg",
        }),
    };
    loupe_datasets::check("jsonl", dir, split, &mut look).unwrap()
}

#[test]
fn a_check_names_every_row_and_what_does_not_fit_its_image() {
    let lines = r#"{"question": "1?", "image": "x.png", "boxes": [[10, 10, 100, 50]]}

{"question": "3?", "image": "x.png", "boxes": [[10, 10, 20, 20], [90, 10, 140, 50]]}
{"question": "4?", "image": "x.png", "boxes": [[0.1, 0.2, 0.5, 0.9]]}
{"question": "5?", "image": "x.png", "points": [[50, 60]]}
{"question": "6?", "image": {"path": "deep.nii", "slice": 400}, "answer": "x"}
{"question": "7?", "image": "x.png", "masks": ["small.png"]}
{"question": "8?", "image": "x.png", "masks": ["gone.png"]}
{"question": "9?", "image": "turned.jpg", "boxes": [[1, 1, 9, 9]]}
{"question": "10?", "image": "x.png", "boxes": [[5, 5, 5, 9]]}
{"question": "11?", "image": "x.png", "boxes": [[1, 2]]}
{"question": "12?", "image": "x.png", "masks": ["same.png"], "split": "b"}
{"question": "13?", "image": ["x.png", "gone.png"], "answer": "x"}
{"question": "14?", "image": "gone.png", "answer": "x"}
"#;
    let dir = folder(&[
        ("set.jsonl", lines),
        ("x.png", ""),
        ("deep.nii", ""),
        ("small.png", ""),
        ("turned.jpg", ""),
        ("same.png", ""),
    ]);
    let report = looked(dir.path(), None);
    let found = &report.splits[0];
    let said: Vec<(NoteKind, &str)> = found.notes.iter().map(|n| (n.kind, n.text.as_str())).collect();
    let expected = [
        (NoteKind::BadRow, "set.jsonl, line 11: box 1 of \"boxes\": expected 4 numbers, found 2"),
        (NoteKind::MissingImage, "set.jsonl, line 8: missing image: gone.png (also line 13, line 14)"),
        (NoteKind::Image, "set.jsonl, line 6: image deep.nii: slice 400 of 20 (counted from 0)"),
        (
            NoteKind::Place,
            "set.jsonl, line 3: box 2 (90, 10, 140, 50) reaches out of the picture of 100 × 50 pixels",
        ),
        (
            NoteKind::Place,
            "set.jsonl, line 4: every box lies within 0 to 1 of a picture of 100 × 50 pixels: shares, not pixels?",
        ),
        (NoteKind::Place, "set.jsonl, line 5: point 1 (50, 60) lies outside the picture of 100 × 50 pixels"),
        (NoteKind::Place, "set.jsonl, line 7: mask small.png is 10 × 5, its picture 100 × 50 pixels"),
        (
            NoteKind::Remark,
            "set.jsonl, line 9: the picture is turned by its EXIF orientation; places are taken as those of the turned picture",
        ),
        (NoteKind::Remark, "set.jsonl, line 10: 1 box encloses no area"),
    ];
    assert_eq!(said, expected);
    assert!(!report.is_good());
    let part = looked(dir.path(), Some("b"));
    assert_eq!((part.splits[0].rows, part.splits[0].notes.len(), part.is_good()), (1, 0, true));
}

/// Lines of a table are those of an editor, whatever cells hold and however lines end.
#[test]
fn rows_of_a_table_are_counted_as_lines() {
    for end in ["\n", "\r\n"] {
        let csv = [
            "question,image,answer,count",
            "\"Two",
            "lines?\",x.png,a,",
            "",
            "Both?,x.png,a,2",
            "Short,x.png",
            "",
        ];
        let dir = folder(&[("set.csv", &csv.join(end))]);
        let found = check("csv", dir.path()).unwrap();
        let said: Vec<&str> = found.splits[0]
            .notes
            .iter()
            .filter(|n| n.kind == NoteKind::BadRow)
            .map(|n| n.text.split(':').next().unwrap())
            .collect();
        assert_eq!(said, ["set.csv, line 5", "set.csv, line 6"], "{end:?}");
    }
}

#[test]
fn an_image_that_is_not_there_is_never_no_image() {
    let tsv = format!(
        "index\timage\tquestion\tanswer\n0\t{}\tIs it?\tyes\n1\t\tIs it?\tno\n",
        "iVBORw0KGgo".repeat(9)
    );
    let dir = folder(&[
        ("set.tsv", &tsv),
        (
            "mm/test.jsonl",
            r#"{"id": "1", "question": "?", "images": [], "label": "A", "options": {"A": "a", "B": "b"}}"#,
        ),
        ("iu/indiana_projections.csv", "uid,filename,projection\n1,a.png,Frontal\n"),
        ("iu/indiana_reports.csv", "uid,findings,impression\n1,Clear.,Normal.\n2,Clear.,Normal.\n"),
    ]);
    let tsv = open("vlmevalkit", &dir.path().join("set.tsv"), "all");
    assert!(tsv.get(0).is_ok() && tsv.get(1).unwrap_err().to_string().contains("the row has no image"));
    assert!(
        open("medxpertqa-mm", &dir.path().join("mm"), "test")
            .get(0)
            .unwrap_err()
            .to_string()
            .contains("names no image")
    );
    let iu = open("iu-xray", &dir.path().join("iu"), "all");
    assert!(iu.get(0).is_ok() && iu.get(1).unwrap_err().to_string().contains("line 3: "));
}

#[test]
fn an_empty_picture_is_no_question_without_one() {
    let dir = folder(&[
        (
            "own/set.jsonl",
            r#"{"question": "1?", "image": null, "answer": "x"}
{"question": "2?", "images": "", "answer": "x"}
{"question": "3?", "image": [null], "answer": "x"}
{"question": "4?", "image": [], "answer": "x"}
{"question": "5?", "answer": "x"}
{"question": "6?", "image": "x.png", "choices": ["", null], "answer": "x"}
{"question": "7?", "image": "x.png", "choices": {"A": ""}, "answer": "x"}
{"question": "8?", "image": {"path": "x.png", "slice": 3}, "answer": "x"}
{"question": "9?", "image": "x.png", "choices": {"1": "lung", "2": "liver"}, "answer": "2"}
"#,
        ),
        ("table/set.csv", "question,image,answer\n1?,,x\n2?,x.png,x\n3?,[],x\n"),
    ]);
    let rows = |name: &str, folder: &str| {
        let set = loupe_datasets::open(name, &dir.path().join(folder), None).unwrap();
        (0..set.len()).map(|at| set.get(at).map_err(|e| e.to_string())).collect::<Vec<_>>()
    };
    let own = rows("jsonl", "own");
    for (at, problem) in [
        (0, "\"image\" is empty"),
        (1, "\"images\" is empty"),
        (2, "no path"),
        (5, "none of the 2 choices"),
        (6, "none of the 1 choices"),
        (8, "one letter for each choice"),
    ] {
        let error = own[at].as_ref().unwrap_err();
        assert!(error.contains(problem) && error.contains(&format!("line {}", at + 1)), "{error}");
    }
    let media = |at: usize| own[at].as_ref().unwrap().media.len();
    assert_eq!([3, 4, 7].map(media), [0, 0, 1]);
    let table = rows("csv", "table");
    assert!(table[0].as_ref().unwrap_err().contains("\"image\" is empty"));
    assert_eq!([1, 2].map(|at| table[at].as_ref().unwrap().media.len()), [1, 0]);
}
