use super::{check, samples};
use loupe_core::DataError;
use loupe_datasets::{SETS, open, overlap};
use loupe_testing::{folder, put};

#[test]
fn an_empty_folder_is_a_missing_file_with_its_layout() {
    let dir = folder(&[]);
    for entry in SETS.iter() {
        for split in entry.splits {
            match open(entry.name, dir.path(), Some(split)).map(|set| set.len()) {
                Err(DataError::Missing { set, file, layout }) => {
                    assert_eq!((set, layout), (entry.name, entry.layout));
                    assert!(!file.is_empty());
                }
                other => panic!("{} {split}: {other:?}", entry.name),
            }
        }
        assert!(check(entry.name, dir.path()).is_err(), "{}", entry.name);
    }
}

#[test]
fn a_folder_that_is_not_there_is_missing() {
    let dir = folder(&[]);
    for entry in SETS.iter() {
        let error = open(entry.name, &dir.path().join("nothing"), None).err().unwrap();
        assert!(matches!(error, DataError::Missing { .. }), "{}: {error}", entry.name);
    }
}

#[test]
fn an_unknown_split_names_the_known_ones() {
    let dir = folder(&[]);
    for entry in SETS.iter().filter(|e| !e.splits.is_empty()) {
        let error = open(entry.name, dir.path(), Some("nonsense")).err().unwrap().to_string();
        assert!(error.contains("nonsense") && error.contains(entry.splits[0]), "{error}");
        let option = format!("{}:nonsense", entry.splits[0]);
        assert!(matches!(
            open(entry.name, dir.path(), Some(&option)).err().unwrap(),
            DataError::Split { .. }
        ));
    }
}

#[test]
fn an_unknown_set_suggests_the_nearest() {
    let error = open("VQA_RAD", std::path::Path::new("."), None).err().unwrap();
    assert_eq!(error.to_string(), "no dataset is called \"VQA_RAD\"; did you mean \"vqa-rad\"?");
}

const TRAIN: &str = r#"[
  {"qid": 1, "image_name": "a.jpg", "question": "Is it large?", "answer": "yes", "answer_type": "CLOSED"},
  {"qid": 2, "image_name": "b.jpg", "question": "What is it?", "answer": "a cyst", "answer_type": "OPEN"}]"#;
const TEST: &str = r#"[
  {"qid": 3, "image_name": "copy.jpg", "question": "is it large", "answer": "Yes", "answer_type": "CLOSED"},
  {"qid": 4, "image_name": "b.jpg", "question": "Where is it?", "answer": "left", "answer_type": "OPEN"},
  {"qid": 5, "image_name": "c.jpg", "question": "What is it? ", "answer": "a mass", "answer_type": "OPEN"},
  {"qid": 6, "image_name": "gone.jpg", "question": "New?", "answer": "no", "answer_type": "CLOSED"}]"#;

#[test]
fn overlap_finds_renamed_images_and_repeated_questions() {
    let dir = folder(&[
        ("trainset.json", TRAIN),
        ("testset.json", TEST),
        ("images/a.jpg", "picture a"),
        ("images/copy.jpg", "picture a"),
        ("images/b.jpg", "picture b"),
        ("images/c.jpg", "picture c"),
    ]);
    let set = |split| open("vqa-rad", dir.path(), Some(split)).unwrap();
    let found = overlap(set("train").as_ref(), set("test").as_ref(), None).unwrap();
    let flags = |id: &str| {
        let o = found.iter().find(|o| o.id == id).unwrap();
        (o.image, o.image_name, o.question, o.image_and_question, o.whole_row, o.unread_images)
    };
    assert_eq!(flags("3"), (true, false, true, true, true, 0));
    assert_eq!(flags("4"), (true, true, false, false, false, 0));
    assert_eq!(flags("5"), (false, false, true, false, false, 0));
    assert_eq!(flags("6"), (false, false, false, false, false, 1));
}

#[test]
fn a_check_counts_what_is_wrong() {
    let twice = r#"[
      {"qid": 7, "image_name": "a.jpg", "question": "?", "answer": 4},
      {"qid": 7, "image_name": "b.jpg", "question": "?", "answer": "x"},
      {"qid": 8, "image_name": "../../secret.png", "question": "?", "answer": "x"},
      {"qid": 9, "image_name": "a.jpg", "question": "?"},
      "words"]"#;
    let dir = folder(&[("testset.json", twice), ("images/a.jpg", "a")]);
    let report = check("vqa-rad", dir.path()).unwrap();
    let found = &report.splits[0];
    assert_eq!((found.rows, found.known_rows), (5, Some(451)));
    assert_eq!((found.images, found.missing_images), (2, 1));
    let said: Vec<&str> = found.notes.iter().map(|note| note.text.as_str()).collect();
    assert!(said.contains(&"testset.json, line 3: missing image: b.jpg"), "{said:?}");
    assert!(said.iter().any(|s| s.starts_with("testset.json, line 4: ") && s.contains("leaves")), "{said:?}");
    assert!(said.contains(&"testset.json, line 5: there is no reference answer; the row is not scored"));
    assert!(said.contains(&"the id 7 stands more than once"));
    assert_eq!(found.repeated_ids, ["7"]);
    assert_eq!((found.bad_rows, found.rows_without_reference), (2, 1));
    assert!(!found.is_good() && !report.is_good());
    assert_eq!(report.absent.len(), 1, "the training split is not there");
    // The other rows are still there, under ids of their own.
    let set = open("vqa-rad", dir.path(), None).unwrap();
    assert_eq!([0, 1].map(|i| set.get(i).unwrap().id), ["7", "7~2"]);
    assert!(set.get(2).unwrap_err().to_string().contains("leaves the dataset's folder"));
    assert!(serde_json::to_string(&report).unwrap().contains("\"bad_rows\":2"));
}

#[test]
fn the_fingerprint_follows_the_annotations_and_not_the_images() {
    let dir = folder(&[("testset.json", TEST), ("images/b.jpg", "1")]);
    let fingerprint = || open("vqa-rad", dir.path(), None).unwrap().info().fingerprint.clone();
    let before = fingerprint();
    assert_eq!(before.len(), 64);
    put(&dir.path().join("images/b.jpg"), b"2");
    assert_eq!(fingerprint(), before);
    put(&dir.path().join("testset.json"), TEST.replace("a mass", "a fish").as_bytes());
    assert_ne!(fingerprint(), before);
    assert_eq!(samples("vqa-rad", dir.path(), "test").len(), 4);
}

/// A set's line in docs/reference/datasets.md.
fn documented(entry: &loupe_datasets::SetEntry) -> String {
    let rows = |split: &str| entry.known.iter().find(|k| k.split == split).map(|k| format!(" ({})", k.rows));
    let splits: Vec<String> =
        entry.splits.iter().map(|s| format!("`{s}`{}", rows(s).unwrap_or_default())).collect();
    let splits = if splits.is_empty() { "those of the rows".to_owned() } else { splits.join(", ") };
    let options: Vec<String> = entry.options.iter().map(|(name, _)| format!("`:{name}`")).collect();
    let between = if options.is_empty() { "" } else { "; " };
    let (name, title, layout, group) = (entry.name, entry.title, entry.layout, entry.group_by);
    format!("| `{name}` | {title} | {splits}{between}{} | {layout} | {group} |", options.join(" "))
}

#[test]
fn the_documentation_lists_every_set_as_it_is() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/datasets.md");
    let text = std::fs::read_to_string(path).unwrap();
    for entry in SETS.iter() {
        let line = documented(entry);
        assert!(text.lines().any(|l| l == line), "docs/reference/datasets.md needs this line:\n{line}");
    }
    let listed =
        text.lines().skip_while(|l| !l.starts_with("## All sets")).filter(|l| l.starts_with("| `")).count();
    assert_eq!(
        listed,
        SETS.iter().count(),
        "docs/reference/datasets.md has lines of sets that are not there"
    );
}
