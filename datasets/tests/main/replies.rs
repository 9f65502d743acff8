//! Files of other tools, row by row.

use loupe_core::Target;
use loupe_datasets::replies::{Mapping, Replies, ReplyRow, columns, read};
use loupe_testing::real_data;
use std::io::Write;
use std::path::Path;

fn file(ending: &str, contents: &[u8]) -> tempfile::TempPath {
    let mut file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
    file.write_all(contents).unwrap();
    file.into_temp_path()
}

fn mapping() -> Mapping {
    Mapping {
        id: Some("id".into()),
        reply: "said".into(),
        gold: Some("gold".into()),
        tags: vec![("kind".into(), "kind".into())],
        ..Mapping::default()
    }
}

fn three() -> Vec<ReplyRow> {
    let row = |row: usize, id: &str, reply: &str, gold: &str| ReplyRow {
        row,
        id: id.into(),
        named: true,
        reply: reply.into(),
        gold: vec![gold.into()],
        tags: [("kind".to_owned(), "open".to_owned())].into(),
        ..ReplyRow::default()
    };
    vec![row(0, "7", "left, \"lung\"", "left lung"), row(1, "8", "", "3"), row(2, "9", "是的", "yes")]
}

#[test]
fn every_format_gives_the_same_rows() {
    let lines = "{\"id\":7,\"said\":\"left, \\\"lung\\\"\",\"gold\":\"left lung\",\"kind\":\"open\"}\n\n{\"id\":8,\"said\":\"\",\"gold\":3,\"kind\":\"open\"}\n{\"id\":\"9\",\"said\":\"是的\",\"gold\":\"yes\",\"kind\":\"open\"}\n";
    let list = format!("[{}]", lines.trim().replace("\n\n", "\n").replace('\n', ","));
    let keyed = "{\"7\":{\"said\":\"left, \\\"lung\\\"\",\"gold\":\"left lung\",\"kind\":\"open\"},\"8\":{\"said\":\"\",\"gold\":3,\"kind\":\"open\"},\"9\":{\"said\":\"是的\",\"gold\":\"yes\",\"kind\":\"open\"}}";
    let csv =
        "\u{feff}id,said,gold,kind\n7,\"left, \"\"lung\"\"\",left lung,open\n8,,3,open\n9,是的,yes,open\n";
    let tsv = "id\tsaid\tgold\tkind\n7\t\"left, \"\"lung\"\"\"\tleft lung\topen\n8\t\t3\topen\n9\t是的\tyes\topen\n";
    for (ending, contents) in [
        (".jsonl", lines),
        (".jsonl", list.as_str()),
        (".json", list.as_str()),
        (".json", keyed),
        (".csv", csv),
        (".tsv", tsv),
    ] {
        let path = file(ending, contents.as_bytes());
        let mut read = read(&path, &mapping()).unwrap();
        // Where the rows stand depends on the format.
        read.rows.iter_mut().for_each(|row| row.at = None);
        assert_eq!(read, Replies { rows: three(), problems: Vec::new() }, "{ending}");
    }
    #[cfg(feature = "xlsx")]
    {
        let path = file(".xlsx", include_bytes!("../fixtures/replies.xlsx"));
        let mut rows = read(&path, &mapping()).unwrap().rows;
        rows.iter_mut().for_each(|row| row.at = None);
        assert_eq!(rows, three());
    }
    let map = file(".json", b"{\"validation_Pharmacy_1\": \"B\"}");
    assert_eq!(read(&map, &mapping()).unwrap().rows[0].reply, "B");
}

#[test]
fn bad_rows_are_named_and_the_others_kept() {
    let path =
        file(".jsonl", b"{\"id\":1,\"said\":\"a\"}\n{broken\n[]\n{\"id\":1,\"said\":\"b\"}\n\xff\xfe\n");
    let replies = read(&path, &mapping()).unwrap();
    assert_eq!(replies.rows.len(), 2);
    assert_eq!(replies.problems.len(), 3);
    assert!(replies.problems.iter().all(|p| !p.to_string().contains("broken")));
    assert!(read(&file(".jsonl", b"{\"other\":1}"), &mapping()).is_err());
    assert!(read(&file(".pkl", b""), &mapping()).is_err());
    assert!(read(&file(".xlsx", b"PK no"), &mapping()).is_err());
    assert!(read(&file(".json", b"3"), &mapping()).is_err());
    assert!(read(Path::new("/nonexistent.csv"), &mapping()).is_err());
    assert!(read(&file(".csv", b""), &mapping()).unwrap().rows.is_empty());
}

/// A text of any length in a file of others costs its own row and nothing else.
#[test]
fn texts_too_long_to_judge_are_failures_of_their_row() {
    let long = "lung ".repeat(230_000);
    let one = |id: &str, said: &str, gold: &str, kind: &str| {
        serde_json::json!({"id": id, "said": said, "gold": gold, "kind": kind}).to_string() + "\n"
    };
    let lines = one("a", &long, "yes", "x") + &one("b", "no", &long, "x") + &one("c", "no", "no", &long);
    let lines = lines + &one(&"d".repeat(5000), "no", "no", "x") + &one("e", "no", "no", "x");
    let replies = read(&file(".jsonl", lines.as_bytes()), &mapping()).unwrap();
    // The reply is the tool's, and stands as a failure; without a reference there is nothing to judge it by.
    let [reply, sound] = replies.rows.as_slice() else { panic!("{:?}", replies.problems) };
    assert_eq!((reply.id.as_str(), reply.reply.as_str(), sound.id.as_str()), ("a", "", "e"));
    let why = reply.failure.as_deref().unwrap();
    assert!(why.contains("1150000 bytes") && why.contains("the most is 1048576"), "{why}");
    let said: Vec<String> = replies.problems.iter().map(ToString::to_string).collect();
    for (problem, (line, what)) in said.iter().zip([(2, "reference"), (3, "tags"), (4, "id")]) {
        assert!(problem.contains(&format!("line {line}")) && problem.contains(what), "{problem}");
        assert!(problem.len() < 300 && !problem.contains("lung lung"), "{problem}");
    }
    assert_eq!(said.len(), 3);
}

#[test]
fn columns_are_guessed_from_their_names() {
    let path =
        file(".jsonl", b"{\"question_id\":1,\"gt_answer\":\"x\",\"pred_answer\":\"y\",\"is_correct\":true}");
    let names = columns(&path, None).unwrap();
    let guessed = Mapping::guess(names.iter().map(String::as_str)).unwrap();
    assert_eq!(
        (guessed.id.as_deref(), guessed.reply.as_str(), guessed.gold.as_deref()),
        (Some("question_id"), "pred_answer", Some("gt_answer"))
    );
    assert!(Mapping::guess(["a", "b"]).unwrap_err().contains("a, b"));
    let nested = Mapping { reply: "answer.second_response".into(), ..Mapping::default() };
    let path = file(".json", b"{\"results\":[{\"answer\":{\"second_response\":\"B\"}}]}");
    let rows = read(&path, &Mapping { rows: Some("results".into()), ..nested }).unwrap().rows;
    assert_eq!((rows[0].id.as_str(), rows[0].reply.as_str()), ("0", "B"));
    let path = file(".jsonl", b"{\"resps\":[[\"C\"]],\"size\":[640, 480.0],\"depth\":\"1.5\"}");
    let sizes = ["size.0", "size.1", "depth", "size.2"].map(str::to_owned).to_vec();
    let lists = Mapping { reply: "resps.0.0".into(), sizes, ..Mapping::default() };
    let row = &read(&path, &lists).unwrap().rows[0];
    assert_eq!((row.reply.as_str(), &row.sizes[..]), ("C", &[Some(640), Some(480), None, None][..]));
}

#[test]
fn rows_become_samples_with_the_target_they_mean() {
    let sample = |line: &str, letters: &str| {
        let path = file(".jsonl", line.as_bytes());
        let names = columns(&path, None).unwrap();
        let mut mapping = Mapping::guess(names.iter().map(String::as_str)).unwrap();
        mapping.letters = letters.to_owned();
        read(&path, &mapping).unwrap().rows[0].sample()
    };
    let wide = sample(
        r#"{"index": 4, "question": "Which?", "A": "one", "B": "two", "C": "nan", "answer": "B", "prediction": "B", "image": "7.png", "category": "x"}"#,
        "",
    );
    assert_eq!((wide.id.as_str(), wide.group.as_str(), &wide.target), ("4", "7.png", &Target::Choice('B')));
    assert_eq!((wide.choices.len(), wide.tag("category")), (2, Some("x")));
    let python = sample(
        r#"{"question": "Which?", "options": "['A. one', 'B. two']", "answer": "two", "response": "B"}"#,
        "",
    );
    assert_eq!((python.choices[1].text.as_str(), &python.target), ("two", &Target::Choice('B')));
    let by_letter = sample(r#"{"options": {"A": "one", "B": "two"}, "label": "A", "response": "B"}"#, "");
    assert_eq!(by_letter.target, Target::Choice('A'));
    // Letters alone are an offer only for references that are letters.
    let lone = |gold: &str| sample(&format!(r#"{{"answer": {gold}, "response": "B"}}"#), "ABC");
    assert_eq!((lone("\"C\"").choices.len(), lone("\"C\"").target), (3, Target::Choice('C')));
    assert_eq!(
        (lone("[\"1\", \"one\"]").choices.len(), lone("[\"1\", \"one\"]").target),
        (0, Target::Text(vec!["1".into(), "one".into()]))
    );
    let short = r#"{"question_type": "short-answer", "answer": "C", "response": "B"}"#;
    assert_eq!(sample(short, "ABC").target, Target::Text(vec!["C".into()]));
    assert_eq!(sample(r#"{"answer": "2", "response": "B"}"#, "ABC").target, Target::Text(vec!["2".into()]));
    assert_eq!(sample(r#"{"response": "B"}"#, "").target, Target::Unknown);
}

/// Six published prediction files, each in its own dialect.
#[test]
fn published_files_are_read_whole() {
    let Some(data) = real_data("") else { return };
    for (file, rows) in [
        ("pred_gr5293/results/baseline/predictions.jsonl", 451),
        ("pred_internvl2_vqarad/baseline_predictions.jsonl", 450),
        ("pred_huatuo_slake/original/predictions.jsonl", 1061),
        ("pred_fm_medvqa/llavamed_test_vqa_rad_answer_pred.jsonl", 451),
        ("pred_mmmu_med/example_outputs/llava1.5_13b/total_val_output.json", 900),
        ("pred_pointdetectcount/qwen-finetuned-6task-test500-result.jsonl", 500),
    ] {
        let path = data.join(file);
        let names = columns(&path, None).unwrap();
        let mapping = Mapping::guess(names.iter().map(String::as_str)).unwrap_or_default();
        assert_eq!(read(&path, &mapping).unwrap().rows.len(), rows, "{file}");
    }
}

/// A workbook of one sheet with these cells behind so many blanks.
#[cfg(feature = "xlsx")]
fn workbook(blanks: usize, cells: &str) -> Vec<u8> {
    use std::io::Write;
    let mut to = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let mut put = |name: &str, text: &str| {
        to.start_file(name, options).unwrap();
        if name.ends_with("sheet1.xml") {
            (0..blanks).for_each(|_| to.write_all(&[b' '; 1 << 20]).unwrap());
        }
        to.write_all(text.as_bytes()).unwrap();
    };
    let of = "http://schemas.openxmlformats.org";
    put(
        "[Content_Types].xml",
        &format!(
            "<Types xmlns=\"{of}/package/2006/content-types\"><Default Extension=\"xml\" ContentType=\"application/xml\"/></Types>"
        ),
    );
    put(
        "_rels/.rels",
        &format!(
            "<Relationships xmlns=\"{of}/package/2006/relationships\"><Relationship Id=\"a\" Type=\"{of}/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
        ),
    );
    put(
        "xl/_rels/workbook.xml.rels",
        &format!(
            "<Relationships xmlns=\"{of}/package/2006/relationships\"><Relationship Id=\"b\" Type=\"{of}/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>"
        ),
    );
    put(
        "xl/workbook.xml",
        &format!(
            "<workbook xmlns=\"{of}/spreadsheetml/2006/main\" xmlns:r=\"{of}/officeDocument/2006/relationships\"><sheets><sheet name=\"s\" sheetId=\"1\" r:id=\"b\"/></sheets></workbook>"
        ),
    );
    put(
        "xl/worksheets/sheet1.xml",
        &format!(
            "<worksheet xmlns=\"{of}/spreadsheetml/2006/main\"><sheetData>{cells}</sheetData></worksheet>"
        ),
    );
    to.finish().unwrap().into_inner()
}

#[cfg(feature = "xlsx")]
#[test]
fn a_spreadsheet_takes_as_much_as_the_cells_that_are_there() {
    let cell = |at: &str, words: &str| format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{words}</t></is></c>");
    let row = |n: usize, cells: &[String]| format!("<row r=\"{n}\">{}</row>", cells.concat());
    let heading = row(1, &[cell("A1", "id"), cell("B1", "said"), cell("D1", "gold")]);
    let rows = [
        heading,
        row(2, &[cell("A2", "1"), cell("D2", "yes"), cell("XFD2", "far right")]),
        // A row far below, as where somebody pressed the wrong key once.
        row(1_048_576, &[cell("A1048576", "2"), cell("B1048576", "no"), cell("D1048576", "no")]),
    ];
    let path = file(".xlsx", &workbook(0, &rows.concat()));
    let began = std::time::Instant::now();
    let found = read(&path, &mapping()).unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
    assert_eq!(found.rows.len(), 2);
    // Places that no sheet has, and numbers that no number type holds.
    for at in ["ZZZ7", "A1048577", "ZZZZZZZ99999999999", "A99999999999999999999"] {
        let cells = [row(1, &[cell("A1", "id"), cell("B1", "said")]), row(2, &[cell(at, "1")])];
        assert!(read(&file(".xlsx", &workbook(0, &cells.concat())), &mapping()).is_err(), "{at:?}");
    }
    // One that inflates beyond any list of replies is refused before it is read.
    let blanks = workbook(600, "");
    let refused = read(&file(".xlsx", &blanks), &mapping()).err().unwrap().to_string();
    assert!(refused.contains("save it as .csv"), "{refused}");
}

/// The output of MMMU's own tools, and of others that keep options under names of their own.
#[test]
fn options_are_read_from_the_fields_of_the_tool() {
    for (fields, letters) in [
        (r#""all_choices": ["A", "B"], "index2ans": {"A": "left", "B": "right"}"#, "AB"),
        (r#""options": "['left', 'right']""#, "AB"),
        (
            r#""answer_choices": [{"letter": "A", "content": "left"}, {"letter": "B", "content": "right"}]"#,
            "AB",
        ),
        (r#""opa": "left", "opb": "right""#, "AB"),
        (r#""Choice A": "left", "Choice B": "right""#, "AB"),
    ] {
        let line = format!(
            "{{\"id\": \"validation_Pharmacy_1\", \"response\": \"B\", \"answer\": \"B\", {fields}}}\n"
        );
        let path = file(".jsonl", line.as_bytes());
        let names = columns(&path, None).unwrap();
        let mapping = Mapping::guess(names.iter().map(String::as_str)).unwrap();
        let sample = read(&path, &mapping).unwrap().rows[0].sample();
        assert_eq!(sample.target, Target::Choice('B'), "{fields}");
        assert_eq!(sample.choices.iter().map(|c| c.letter).collect::<String>(), letters, "{fields}");
        assert_eq!(sample.choices[1].text, "right", "{fields}");
    }
    let several = file(
        ".jsonl",
        b"{\"reply\": \"A, C\", \"answer\": [\"A\", \"C\"], \"options\": [\"x\", \"y\", \"z\"]}\n",
    );
    let names = columns(&several, None).unwrap();
    let mapping = Mapping::guess(names.iter().map(String::as_str)).unwrap();
    assert_eq!(read(&several, &mapping).unwrap().rows[0].sample().target, Target::Choices(vec!['A', 'C']));
}
