use super::{check, images, open, rows, samples, text};
use loupe_core::media::WindowChoice;
use loupe_core::{Box2, DataError, MeasureUnit, MediaSource, Plane, Point2, SliceAt, Target, Window};
use loupe_testing::{folder, put};

/// A row with a text of any length is one that cannot be read, whatever field it is in; the others are read.
#[test]
fn rows_with_texts_too_long_to_judge_are_errors_of_their_own() {
    let long = "lung ".repeat(230_000);
    let plain = serde_json::json!({"id": "a", "question": "Which?", "image": "x.png", "answer": "left"});
    let with = |field: &str, value: serde_json::Value| {
        let mut row = plain.clone();
        row[field] = value;
        row
    };
    let many: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
    let rows_of_file = [
        (with("answer", long.clone().into()), "reference"),
        (with("answer", serde_json::json!(["left", long])), "reference"),
        (with("answer", many.into()), "reference"),
        (with("report", serde_json::json!({"findings": long})), "reference"),
        (with("question", long.clone().into()), "question"),
        (with("choices", serde_json::json!(["left", long])), "options"),
        (with("tags", serde_json::json!({"organ": long})), "tags"),
        (with("id", "x".repeat(5000).into()), "id"),
        (with("group", "x".repeat(5000).into()), "group"),
        (with("image", ("x".repeat(5000) + ".png").into()), "image name"),
    ];
    let mut rows_of_file = rows_of_file.to_vec();
    // Answers and sections are two kinds of reference.
    rows_of_file[3].0.as_object_mut().unwrap().remove("answer");
    let lines: String = rows_of_file.iter().map(|(row, _)| format!("{row}\n")).collect();
    let dir = folder(&[("set.jsonl", (lines + &plain.to_string()).as_str())]);
    let set = open("jsonl", dir.path(), "all");
    let read = rows(set.as_ref());
    assert_eq!(read.len(), 11);
    for (n, (row, (_, what))) in read.iter().zip(&rows_of_file).enumerate() {
        let problem = row.as_ref().unwrap_err().to_string();
        assert!(problem.contains(what) && problem.contains("the most is"), "{n}: {problem}");
        assert!(
            problem.contains("set.jsonl") && problem.contains(&format!("line {}", n + 1)),
            "{n}: {problem}"
        );
        assert!(problem.len() < 300, "{problem}");
    }
    assert_eq!(read[10].as_ref().unwrap().target, text(&["left"]));
}

#[test]
fn every_field_of_the_json_lines() {
    let dir = folder(&[(
        "set.jsonl",
        r#"{"id": "a1", "question": " Which? ", "image": "x.png", "choices": ["left", "right"], "answer": "right", "group": "p1", "language": "de", "split": "test", "tags": {"organ": "lung", "age": 61}}
{"question": "Free?", "images": ["x.png", {"path": "ct.nii.gz", "slice": 40, "plane": "coronal", "window": "lung"}], "answer": ["a", 4]}

{"question": "Slice?", "image": [{"path": "s.dcm", "frame": 3, "window": {"centre": 40, "width": 400}}, {"path": "series", "slice": "50%", "window": "full"}, {"path": "v.nii", "slice": "-12.5mm"}], "count": 3}
{"question": "Where?", "image": "x.png", "boxes": [[1, 2, 3.5, 4], {"label": "cyst", "box": [0, 0, 9, 9], "reader": "R1"}]}
{"question": "Point.", "image": "x.png", "points": [{"label": "tip", "point": [3, 4]}]}
{"question": "Report.", "image": "x.png", "report": {"findings": "None.", "impression": "Normal."}}
{"question": "Mask.", "image": "x.png", "masks": [{"label": "liver", "path": "m.png"}]}
{"question": "Unknown?", "image": "x.png", "choices": {"A": "yes", "C": "no"}}
{"question": "How long?", "image": "x.png", "measurements": [{"name": "femur", "value": 61.5, "unit": "mm"}, {"value": -4, "unit": "°"}]}
"#,
    )]);
    std::fs::create_dir(dir.path().join("series")).unwrap();
    let all = samples("jsonl", dir.path(), "all");
    assert_eq!(all.len(), 9);
    assert_eq!((all[0].question.as_str(), &all[0].target), ("Which?", &Target::Choice('B')));
    assert_eq!((all[0].id.as_str(), all[0].group.as_str(), all[0].language.as_str()), ("a1", "p1", "de"));
    assert_eq!((all[0].tag("organ"), all[0].tag("age")), (Some("lung"), Some("61")));
    assert_eq!((all[1].id.as_str(), all[1].group.as_str()), ("set:1", "x.png"));
    assert_eq!(all[1].target, text(&["a", "4"]));
    let view = &all[1].media[1].view;
    assert_eq!((view.slice, view.plane), (Some(SliceAt::Index(40)), Plane::Coronal));
    assert_eq!(view.window, Some(WindowChoice::Preset("lung".to_owned())));
    assert_eq!(all[1].media[0].view, Default::default());
    let media = &all[2].media;
    assert_eq!(all[2].id, "set:3", "rows are counted as lines of the file");
    assert_eq!(media[0].view.frame, Some(3));
    assert_eq!(media[0].view.window, Some(WindowChoice::Numbers(Window::linear(40.0, 400.0))));
    assert_eq!(
        (media[1].view.slice, media[2].view.slice),
        (Some(SliceAt::Share(0.5)), Some(SliceAt::Mm(-12.5)))
    );
    assert_eq!(media[1].view.window, Some(WindowChoice::FullRange));
    assert!(matches!(media[1].source, MediaSource::Folder(_)));
    assert_eq!(all[2].target, Target::Count(3.0));
    let Target::Boxes(boxes) = &all[3].target else { panic!() };
    assert_eq!((boxes[0].at, boxes[1].label.as_str()), (Box2::new(1.0, 2.0, 3.5, 4.0), "cyst"));
    assert_eq!(boxes[1].reader.as_deref(), Some("R1"));
    let Target::Points(points) = &all[4].target else { panic!() };
    assert_eq!(points[0].at, Point2::new(3.0, 4.0));
    assert!(matches!(&all[5].target, Target::Report(r) if r["impression"] == "Normal."));
    assert!(matches!(&all[6].target, Target::Masks(m) if m[0].label == "liver"));
    assert_eq!((all[7].target.clone(), all[7].choices[1].letter), (Target::Unknown, 'C'));
    let Target::Measurements(lengths) = &all[8].target else { panic!() };
    let said: Vec<_> = lengths.iter().map(|m| (m.name.as_str(), m.value, m.unit)).collect();
    assert_eq!(said, [("femur", 61.5, MeasureUnit::Mm), ("", -4.0, MeasureUnit::Degrees)]);
    let test = samples("jsonl", &dir.path().join("set.jsonl"), "test");
    assert_eq!(test.len(), 1);
    match loupe_datasets::open("jsonl", dir.path(), Some("dev")).err().unwrap() {
        DataError::Split { known, .. } => assert_eq!(known, "all, test"),
        other => panic!("{other}"),
    }
}

#[test]
fn several_right_choices_are_a_list_of_answers() {
    let row = |answer: serde_json::Value| {
        serde_json::json!({"question": "?", "image": "x.png", "choices": ["one", "two", "three"], "answer": answer}).to_string()
    };
    for (answer, target) in [
        (serde_json::json!(["A", "C"]), Target::Choices(vec!['A', 'C'])),
        (serde_json::json!(["three", 0]), Target::Choices(vec!['A', 'C'])),
        (serde_json::json!("A, C"), Target::Choices(vec!['A', 'C'])),
        (serde_json::json!("ABC"), Target::Choices(vec!['A', 'B', 'C'])),
        (serde_json::json!(["B"]), Target::Choice('B')),
    ] {
        let dir = folder(&[("set.jsonl", &row(answer.clone()))]);
        assert_eq!(samples("jsonl", dir.path(), "all")[0].target, target, "{answer}");
    }
    let dir = folder(&[("set.jsonl", &row(serde_json::json!(["A", "seven"])))]);
    let error = open("jsonl", dir.path(), "all").get(0).unwrap_err().to_string();
    assert!(error.contains("none of the choices"), "{error}");
}

#[test]
fn windows_are_written_as_on_the_command_line() {
    let written = ["-600/1500", "stored:1", "p1-p99.5", "bone", " full "];
    let wanted = [
        WindowChoice::Numbers(Window::linear(-600.0, 1500.0)),
        WindowChoice::Stored(1),
        WindowChoice::Percentiles(1.0, 99.5),
        WindowChoice::Preset("bone".to_owned()),
        WindowChoice::FullRange,
    ];
    for (text, window) in written.iter().zip(wanted) {
        let line =
            serde_json::json!({"question": "?", "image": {"path": "x.dcm", "window": text}}).to_string();
        let dir = folder(&[("set.jsonl", &line)]);
        assert_eq!(samples("jsonl", dir.path(), "all")[0].media[0].view.window, Some(window), "{text}");
    }
}

#[test]
fn a_check_compares_stated_checksums() {
    let right = "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"; // of "aaa"
    let line = |image: &str, hash: &str| {
        serde_json::json!({"question": "?", "image": image, "tags": {"image_sha256": hash}}).to_string()
    };
    let text = [line("a.png", right), line("b.png", right)].join("\n");
    let dir = folder(&[("set.jsonl", &text), ("a.png", "aaa"), ("b.png", "bbb")]);
    let found = &check("jsonl", dir.path()).unwrap().splits[0];
    assert_eq!((found.known_checksums, found.wrong_checksums, found.is_good()), (2, 1, false));
}

#[test]
fn a_table_says_the_same() {
    let csv = "id,question,image,slice,window,A,B,answer,boxes,tag:organ,split\n\
               1,\"Which, then?\",a.png|b.png,,,left,right,B,,lung,test\n\
               2,Where?,ct.nii.gz,50%,\"{\"\"centre\"\": -600, \"\"width\"\": 1500}\",,,,\"[[0,0,2,2]]\",,dev\n\
               3,Open?,\"[\"\"a.png\"\"]\",,,,,4,,,dev\n";
    let dir = folder(&[("set.csv", csv)]);
    let all = samples("csv", dir.path(), "all");
    assert_eq!(images(dir.path(), &all[0]), ["a.png", "b.png"]);
    assert_eq!((all[0].target.clone(), all[0].tag("organ")), (Target::Choice('B'), Some("lung")));
    assert_eq!(all[1].media[0].view.slice, Some(SliceAt::Share(0.5)));
    assert_eq!(all[1].media[0].view.window, Some(WindowChoice::Numbers(Window::linear(-600.0, 1500.0))));
    assert!(matches!(&all[1].target, Target::Boxes(b) if b.len() == 1));
    assert_eq!(all[2].target, text(&["4"]));
    assert_eq!(samples("csv", dir.path(), "dev").len(), 2);
    let tsv = folder(&[("set.tsv", "question\timage\tanswer\nWhat?\ta.png\tx\n")]);
    assert_eq!(samples("csv", tsv.path(), "all")[0].target, text(&["x"]));
}

#[test]
fn what_is_wrong_with_a_row_is_said_and_the_others_go_on() {
    let good = r#"{"question": "Fine?", "image": "x.png", "answer": "yes"}"#;
    let bad = [
        (r#"{"question": "?", "imgae": "x.png"}"#, "unknown field \"imgae\"; did you mean \"image\"?"),
        (r#"{"image": "x.png", "answer": "yes"}"#, "\"question\" is missing or empty"),
        (r#"{"question": "?", "image": "../x.png"}"#, "leaves the dataset's folder"),
        (r#"{"question": "?", "image": "/etc/passwd"}"#, "leaves the dataset's folder"),
        (r#"{"question": "?", "image": "a/../../b"}"#, "leaves the dataset's folder"),
        (r#"{"question": "?", "image": "x.png", "answer": "a", "count": 2}"#, "one reference a row"),
        (
            r#"{"question": "?", "image": "x.png", "choices": ["a", "b"], "answer": "c"}"#,
            "the answer is option C, which is absent or has no words",
        ),
        (r#"{"question": "?", "image": {"path": "x.png", "slcie": 3}}"#, "an image has no field \"slcie\""),
        (r#"{"question": "?", "image": {"path": "x.png", "slice": -3}}"#, "\"slice\" is neither"),
        (r#"{"question": "?", "image": {"path": "x.png", "slice": "150%"}}"#, "\"slice\" is neither"),
        (
            r#"{"question": "?", "image": {"path": "x.png", "window": {"centre": 4, "width": 0}}}"#,
            "\"window\" is neither",
        ),
        (r#"{"question": "?", "image": {"path": "x.png", "plane": "oblique"}}"#, "\"plane\" is none of"),
        (
            r#"{"question": "?", "image": "x.png", "boxes": [[1, 2, 3]]}"#,
            "box 1 of \"boxes\": expected 4 numbers, found 3",
        ),
        (r#"{"question": "?", "image": "x.png", "count": "many"}"#, "\"count\" is not a number"),
        (
            r#"{"question": "?", "image": "x.png", "boxes": [["1", 2, 3, "x", 5]]}"#,
            "number 1 of a list of 4 is text",
        ),
        (r#"{"question": "?", "image": "x.png", "boxes": [[1, 2, null, 4, 5]]}"#, "is null"),
        (
            r#"{"question": "?", "image": "x.png", "boxes": [[0, 0, 9, 9], [9, 2, 3, 4]]}"#,
            "box 2 of \"boxes\": the box 9, 2, 3, 4 is reversed",
        ),
        (
            r#"{"question": "?", "image": "x.png", "boxes": [[1, NaN, 3, 4]]}"#,
            "number 2 of a list of 4 is null",
        ),
        (r#"{"question": "?", "image": "x.png", "boxes": true}"#, "\"boxes\" needs a list of 4 numbers each"),
        (
            r#"{"question": "?", "image": "x.png", "points": [[1, 2, 3]]}"#,
            "point 1 of \"points\": expected 2 numbers",
        ),
        (
            r#"{"question": "?", "image": "x.png", "points": [{"point": [1, 2], "image": 5}]}"#,
            "lies in image 5, counted from 0, but there are 1",
        ),
        (r#"{"question": "?", "image": "x.png", "masks": [true]}"#, "a mask has no path"),
        (
            r#"{"question": "?", "image": "x.png", "report": true}"#,
            "\"report\" is neither text nor an object",
        ),
        (
            r#"{"question": "?", "image": "x.png", "images": ["y.png"]}"#,
            "\"image\" and \"images\" are both given",
        ),
        (r#"{"question": "?", "image": "x.png", "tags": {"a": [1]}}"#, "the tag \"a\" is not a single value"),
        (
            r#"{"question": "?", "image": "x.png", "choices": ["a", "", "c"], "answer": "B"}"#,
            "the answer is option B, which is absent or has no words",
        ),
        (
            r#"{"question": "?", "image": "x.png", "measurements": [{"value": 3, "unit": "inch"}]}"#,
            "mm or degrees",
        ),
        (r#"{"question": "?", "image": [{"slice": 1}]}"#, "an image has no path"),
        ("[1, 2]", "expected an object of named fields"),
        ("{", "not JSON"),
    ];
    let mut lines: Vec<&str> = bad.iter().map(|(line, _)| *line).collect();
    lines.push(good);
    let dir = folder(&[("set.jsonl", &lines.join("\n"))]);
    let set = open("jsonl", dir.path(), "all");
    let all = rows(set.as_ref());
    for (i, (line, problem)) in bad.iter().enumerate() {
        let error = all[i].as_ref().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("set.jsonl, line {}: ", i + 1)) && error.contains(problem),
            "{line}: {error}"
        );
    }
    assert_eq!(all.last().unwrap().as_ref().unwrap().question, "Fine?");
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let error = |dir: &tempfile::TempDir, name: &str| {
        loupe_datasets::open(name, dir.path(), None).err().unwrap().to_string()
    };
    let two = folder(&[("a.jsonl", ""), ("b.jsonl", "")]);
    assert!(error(&two, "jsonl").contains("2 files of this kind; name the one to open"));
    let twice = folder(&[("a.csv", "question,question\nx,y\n")]);
    assert!(error(&twice, "csv").contains("\"question\" stands there twice"));
    let latin = folder(&[]);
    put(&latin.path().join("a.csv"), b"question\nd\xe9j\xe0\n");
    assert!(error(&latin, "csv").contains("not UTF-8 at byte 10"));
    let marked = folder(&[]);
    put(&marked.path().join("a.csv"), "\u{feff}question,answer\nx,y\n".as_bytes());
    assert_eq!(samples("csv", marked.path(), "all")[0].target, text(&["y"]));
    assert_eq!(open("jsonl", &two.path().join("a.jsonl"), "all").len(), 0);
}

mod any_bytes {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Whatever a file holds, opening and reading it ends in samples or errors.
        #[test]
        fn never_stop_the_program(bytes in prop::collection::vec(any::<u8>(), 0..200), json in "[\\[\\]{}\":,a-c0-9 |']{0,120}") {
            let dir = tempfile::tempdir().unwrap();
            for (name, file) in [("jsonl", "x.jsonl"), ("csv", "x.csv"), ("vlmevalkit", "x.tsv"), ("coco", "annotations.json"),
                ("pascal-voc", "x.xml"), ("vqa-rad", "testset.json"), ("sa-med2d", "label2image_test.json")] {
                for content in [&bytes, json.as_bytes()] {
                    std::fs::write(dir.path().join(file), content).unwrap();
                    if let Ok(set) = loupe_datasets::open(name, &dir.path().join(file), None) {
                        for i in 0..set.len() {
                            let _ = set.get(i);
                        }
                    }
                }
            }
        }

        /// A path either stays below the folder or is refused.
        #[test]
        fn never_leave_the_folder(path in "[./a-c\\\\]{0,24}") {
            let dir = tempfile::tempdir().unwrap();
            let line = serde_json::json!({"question": "?", "image": path}).to_string();
            std::fs::write(dir.path().join("x.jsonl"), line).unwrap();
            let set = loupe_datasets::open("jsonl", dir.path(), None).unwrap();
            if let Ok(sample) = set.get(0) {
                for media in &sample.media {
                    let loupe_core::MediaSource::File(path) = &media.source else { panic!() };
                    let inside = path.strip_prefix(dir.path()).unwrap();
                    prop_assert!(inside.components().all(|c| matches!(c, std::path::Component::Normal(_))));
                }
            }
        }
    }
}
