//! Replies of another tool beside the questions they answer.

use loupe_core::sample::Outcome;
use loupe_core::{
    Box2, Dataset, Failure, Given, MediaError, MediaLoader, MediaRef, Picture, Prediction, Retry, Target,
};
use loupe_datasets::replies::{ColumnOptions, Join, JoinError, JoinOptions, PairBy, PlaceOptions, join};
use loupe_testing::folder;
use serde_json::json;
use std::path::Path;

/// Pictures of 80 × 40 pixels; `gone.bmp` is not there.
struct Wide;

impl MediaLoader for Wide {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        if media.name == "gone.bmp" {
            return Err(MediaError::NotFound);
        }
        Ok(Picture::new(80, 40, 1, vec![0; 80 * 40]).unwrap())
    }
}

fn set(dir: &Path) -> Box<dyn Dataset> {
    let row = |id: &str, image: &str| json!({"id": id, "question": "Box it.", "image": image, "boxes": [{"label": "it", "box": [8, 10, 40, 30]}]});
    let rows = [row("1", "a.bmp"), row("2", "a.bmp"), row("3", "gone.bmp")].map(|r| r.to_string());
    std::fs::write(dir.join("set.jsonl"), rows.join("\n")).unwrap();
    loupe_datasets::open("jsonl", &dir.join("set.jsonl"), None).unwrap()
}

fn lines(rows: &[serde_json::Value]) -> String {
    rows.iter().map(|r| format!("{r}\n")).collect()
}

fn refused(options: &JoinOptions, set: Option<&dyn Dataset>) -> String {
    join(options, set, &Wide).err().unwrap().to_string()
}

fn boxes(prediction: &Prediction) -> Vec<Box2<Given>> {
    let Outcome::Reply(reply) = &prediction.outcome else { panic!("{:?}", prediction.outcome) };
    reply.boxes().map(|(_, region)| region).collect()
}

#[test]
fn pictures_of_the_set_give_the_sizes() {
    let right = "```json\n[{\"bbox_2d\": [100, 250, 500, 750], \"label\": \"it\"}]\n```";
    let rows = ["1", "2", "3"].map(|id| json!({"id": id, "response": right}));
    let dir = folder(&[("replies.jsonl", &lines(&rows))]);
    let set = set(dir.path());
    let mut options = JoinOptions::new(dir.path().join("replies.jsonl"));
    options.places.dialect = Some("qwen3-vl".into());
    options.data = Some("jsonl=set".into());
    let joined = join(&options, Some(set.as_ref()), &Wide).unwrap();
    assert_eq!((joined.items, joined.dataset.name.as_str()), (3, "jsonl"));
    assert_eq!((joined.box_dialect.as_str(), joined.name.as_str()), ("qwen3-vl", "replies"));
    assert!(joined.folder.starts_with("replies-") && joined.folder.len() == "replies-".len() + 8);
    assert_eq!(joined.samples().filter(|s| s.sample.is_ok()).count(), 3);
    let replies: Vec<_> = joined.replies().collect();
    // In thousandths of 80 × 40 pixels.
    let found = boxes(&replies[0].prediction);
    assert_eq!(found.iter().map(|b| b.xyxy()).collect::<Vec<_>>(), [[8.0, 10.0, 40.0, 30.0]]);
    assert_eq!((replies[0].item, replies[0].pictures[0].size), (0, [80, 40]));
    assert_eq!(replies[0].pictures[0].sha256.len(), 64, "the pixels were at hand");
    let Outcome::Failed(Failure { reason, retry }) = &replies[2].prediction.outcome else { panic!() };
    assert_eq!((reason.as_str(), *retry), ("image file not found", Retry::May));
    // The folder's name follows how the file is read.
    let again = join(&options, Some(set.as_ref()), &Wide).unwrap();
    assert_eq!(again.folder, joined.folder);
    options.places.dialect = Some("internvl".into());
    assert_ne!(join(&options, Some(set.as_ref()), &Wide).unwrap().folder, joined.folder);
}

#[test]
fn sizes_and_references_come_from_columns() {
    let boxed = |b: [f64; 4]| json!([{"bbox_2d": b, "label": "it"}]).to_string();
    let row = |id: &str, reply: String, gold: String| json!({"id": id, "response": reply, "answer": gold, "size": [100, 50], "seen": {"w": 56, "h": 28}});
    let half = || boxed([0.0, 0.0, 28.0, 14.0]);
    let rows = [
        row("1", half(), half()),
        row("2", "[]".into(), "[]".into()),
        row("3", r#"[{"point_2d": [28, 14]}]"#.into(), "[]".into()),
        row("4", "It is there.".into(), "unreadable".into()),
        row("5", half(), r#"{"counts": 4}"#.into()),
        row("6", half(), r#"[{"point_2d": [28, 14], "label": "centre"}]"#.into()),
        json!({"id": "7", "response": half(), "answer": half(), "size": [100], "seen": {"w": 56, "h": 28}}),
    ];
    let dir = folder(&[("replies.jsonl", &lines(&rows))]);
    let mut options = JoinOptions::new(dir.path().join("replies.jsonl"));
    options.places.dialect = Some("qwen2.5-vl".into());
    assert!(refused(&options, None).contains("--reference-dialect"));
    options.places.reference_dialect = Some("qwen2.5-vl".into());
    assert!(refused(&options, None).contains("--input-size-columns"));
    options.places.input_size_columns = Some(("seen.w".into(), "seen.h".into()));
    assert!(refused(&options, None).contains("--size-columns"));
    options.places.size_columns = Some(("size.0".into(), "size.1".into()));
    let joined = join(&options, None, &Wide).unwrap();
    let targets: Vec<Target> = joined.samples().map(|s| s.sample.unwrap().target).collect();
    let Target::Boxes(first) = &targets[0] else { panic!("{:?}", targets[0]) };
    assert_eq!((first[0].label.as_str(), first[0].at.xyxy()), ("it", [0.0, 0.0, 50.0, 25.0]));
    assert_eq!(targets[1], Target::Boxes(Vec::new()));
    assert_eq!(targets[2], Target::Points(Vec::new()), "of the kind that the reply speaks of");
    assert_eq!((&targets[3], &targets[4]), (&Target::Unknown, &Target::Count(4.0)));
    let Target::Points(sixth) = &targets[5] else { panic!("{:?}", targets[5]) };
    assert_eq!((sixth[0].label.as_str(), sixth[0].at.x, sixth[0].at.y), ("centre", 50.0, 25.0));
    assert_eq!(targets[6], Target::Unknown);
    let replies: Vec<_> = joined.replies().collect();
    assert_eq!(boxes(&replies[0].prediction)[0].xyxy(), [0.0, 0.0, 50.0, 25.0]);
    let Outcome::Failed(failure) = &replies[6].prediction.outcome else { panic!() };
    assert_eq!(
        (failure.reason.as_str(), failure.retry),
        ("the row does not say the size of its picture", Retry::Never)
    );
    options.places.dialect = Some("qwen2-5-vl".into());
    let unknown = refused(&options, None);
    assert!(
        unknown.contains("loupe list dialects") && unknown.contains("did you mean \"qwen2.5-vl\"?"),
        "{unknown}"
    );
}

/// Item, rollout, and what was said.
fn said(joined: &Join<'_>) -> Vec<(usize, usize, String)> {
    joined.replies().map(|r| (r.item, r.rollout, r.prediction.text().unwrap().to_owned())).collect()
}

#[test]
fn rows_find_their_items_by_id_or_by_position() {
    let csv = "name,said\n3,c\n1,a\n9,nobody\n1,again\n";
    let dir = folder(&[("r.csv", csv)]);
    let set = set(dir.path());
    let mut options = JoinOptions::new(dir.path().join("r.csv"));
    options.columns = ColumnOptions { reply: Some("said".into()), ..ColumnOptions::default() };
    // Rows could be numbered, but a number is no id of the set.
    assert!(refused(&options, Some(set.as_ref())).contains("no column of the file is an id of its rows"));
    options.columns.id = Some("name".into());
    let by_id = join(&options, Some(set.as_ref()), &Wide).unwrap();
    assert_eq!(said(&by_id), [(2, 0, "c".to_owned()), (0, 0, "a".to_owned())]);
    assert_eq!(
        by_id.problems,
        [
            "line 5 (id \"1\"): an earlier row is a reply to the same question; --rollouts counts replies per question"
        ]
    );
    assert_eq!(
        by_id.notes[0],
        "1 row of the file left out, because no item of jsonl is theirs: line 4 (id \"9\")"
    );
    let mut replies = by_id.replies();
    assert_eq!(replies.by_ref().count(), 2);
    assert_eq!(by_id.warnings(&replies)[0], "1 of 3 replies are not in the file (ids 2)");
    options.rollouts = 2;
    let twice = join(&options, Some(set.as_ref()), &Wide).unwrap();
    assert_eq!(said(&twice)[2], (0, 1, "again".to_owned()));
    options.pair_by = PairBy::Order;
    assert!(refused(&options, Some(set.as_ref())).contains("the file has 4 rows and the set 3"));
    std::fs::write(dir.path().join("r.csv"), "name,said\nx,a\ny,b\nz,c\n").unwrap();
    options.rollouts = 1;
    let ordered = join(&options, Some(set.as_ref()), &Wide).unwrap();
    assert_eq!(said(&ordered).iter().map(|s| s.0).collect::<Vec<_>>(), [0, 1, 2]);
    options.pair_by = PairBy::Id;
    let none = refused(&options, Some(set.as_ref()));
    assert!(none.contains("\"x\" there and \"1\" here") && none.contains("columns: reply said"), "{none}");
    options.columns.id = Some("id".into());
    assert_eq!(refused(&options, None), "the file has no column \"id\"; there are name, said");
    options.rollouts = 0;
    assert_eq!(join(&options, None, &Wide).err(), Some(JoinError::NoRollouts));
}

#[test]
fn a_guessed_id_that_repeats_gives_way_to_numbers() {
    let rows =
        [("1", "a"), ("1", "b"), ("2", "c")].map(|(id, r)| json!({"id": id, "response": r, "question": "?"}));
    let dir = folder(&[("r.jsonl", &(lines(&rows) + "{broken\n"))]);
    let mut options = JoinOptions::new(dir.path().join("r.jsonl"));
    options.unreferenced = true;
    let joined = join(&options, None, &Wide).unwrap();
    assert_eq!(
        joined.notes[..2],
        ["column \"id\" is no id: 1 value of an earlier row, first line 2 (id \"1\")", "rows are numbered"]
    );
    assert_eq!(
        joined.notes[2],
        "columns: reply response, reference –, id –, question question, options –, group –, tags –"
    );
    assert_eq!((joined.items, joined.problems.len()), (3, 1));
    assert_eq!(said(&joined).len(), 3);
    assert_eq!((joined.dataset.name.as_str(), joined.dataset.group_by.as_str()), ("r", "row"));
    let ids: Vec<String> = joined.samples().map(|s| s.sample.unwrap().id).collect();
    assert_eq!(ids, ["0", "1", "2"]);
    let mut replies = joined.replies();
    assert_eq!(replies.by_ref().count(), 3);
    let warnings = joined.warnings(&replies);
    assert!(warnings.len() == 1 && warnings[0].contains("r.jsonl, line 4: not JSON"), "{warnings:?}");
}

#[test]
fn references_of_a_file_of_their_own_are_matched_by_id() {
    let dir = folder(&[
        ("replies.json", r#"{"a": "B", "b": "yes"}"#),
        (
            "gold.jsonl",
            "{\"id\": \"a\", \"answer\": \"B\", \"options\": [\"one\", \"two\"]}\n{\"id\": \"b\", \"answer\": \"no\"}\n",
        ),
        ("map.json", r#"{"a": "x", "b": "y"}"#),
        ("empty.csv", "id,response\n"),
    ]);
    let mut options = JoinOptions::new(dir.path().join("replies.json"));
    options.references = Some(dir.path().join("gold.jsonl"));
    let of = |options: &JoinOptions| -> Vec<Target> {
        let joined = join(options, None, &Wide).unwrap();
        joined.samples().map(|s| s.sample.unwrap().target).collect()
    };
    assert_eq!(of(&options), [Target::Choice('B'), crate::text(&["no"])]);
    options.references = Some(dir.path().join("map.json"));
    assert_eq!(of(&options), [crate::text(&["x"]), crate::text(&["y"])]);
    let empty = JoinOptions::new(dir.path().join("empty.csv"));
    assert!(refused(&empty, None).ends_with("empty.csv holds no replies"));
    let missing =
        JoinOptions { places: PlaceOptions::default(), ..JoinOptions::new(dir.path().join("no.csv")) };
    assert_eq!(refused(&missing, None), "the replies could not be read");
}

#[test]
fn references_that_are_letters_without_options_are_said() {
    let note = |row: &str, letters: &str| {
        let dir = folder(&[("replies.jsonl", &format!("{row}\n").repeat(3))]);
        let mut options = JoinOptions::new(dir.path().join("replies.jsonl"));
        options.columns.letters = letters.into();
        let notes = join(&options, None, &Wide).unwrap().notes;
        notes.iter().any(|note| note.contains("no options were found"))
    };
    let bare = r#"{"question": "?", "reply": "B", "answer": "B"}"#;
    assert_eq!([note(bare, ""), note(bare, "ABCD")], [true, false]);
    assert!(!note(r#"{"reply": "B", "answer": "B", "index2ans": {"A": "x", "B": "y"}}"#, ""));
    assert!(!note(r#"{"reply": "B", "answer": "bone"}"#, ""));
}

#[test]
fn columns_that_come_up_late_are_found() {
    let mut text: String =
        (0..40).map(|n| format!("{{\"id\": \"{n}\", \"answer\": \"yes\", \"reply\": \"Yes\"}}\n")).collect();
    text += "{\"id\": \"x\", \"choices\": [\"Pneumothorax\", \"Effusion\"], \"answer\": \"B\", \"reply\": \"Effusion\"}\n";
    let dir = folder(&[("r.jsonl", &text)]);
    let joined = join(&JoinOptions::new(dir.path().join("r.jsonl")), None, &Wide).unwrap();
    let last = joined.samples().nth(40).unwrap().sample.unwrap();
    assert_eq!((last.choices.len(), &last.target), (2, &Target::Choice('B')));
}
