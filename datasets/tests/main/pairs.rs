//! Replies stand beside the questions that they answer, or nowhere.

use loupe_core::Dataset;
use loupe_datasets::replies::{Join, JoinError, JoinOptions, PairBy, join};
use loupe_testing::{NoPictures, folder};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|r| format!("{r}\n")).collect()
}

const QUESTIONS: [(&str, &str); 4] = [
    ("Is there a pneumothorax?", "yes"),
    ("Which organ is shown?", "liver"),
    ("Are there more than 12 ribs?", "no"),
    ("Is the heart enlarged?", "no"),
];

/// The four questions under the ids 0 to 3.
fn set(dir: &Path) -> Box<dyn Dataset> {
    let row = |(n, (question, answer)): (usize, &(&str, &str))| json!({"id": n, "question": question, "image": format!("{n}.png"), "answer": answer});
    let rows: Vec<Value> = QUESTIONS.iter().enumerate().map(row).collect();
    std::fs::write(dir.join("set.jsonl"), lines(&rows)).unwrap();
    loupe_datasets::open("jsonl", &dir.join("set.jsonl"), None).unwrap()
}

/// Replies that say the reference, in this order of the questions; the id is the number of the row.
fn right(order: &[usize]) -> Vec<Value> {
    let row = |(n, q): (usize, &usize)| {
        let (question, answer) = QUESTIONS[*q];
        json!({"id": n, "question": question, "answer": answer, "prediction": answer})
    };
    order.iter().enumerate().map(row).collect()
}

/// Item and words of every reply.
fn said(joined: &Join<'_>) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> =
        joined.replies().map(|r| (r.item, r.prediction.text().unwrap_or("FAILED").to_owned())).collect();
    all.sort();
    all
}

fn answers() -> Vec<(usize, String)> {
    QUESTIONS.iter().map(|(_, answer)| (*answer).to_owned()).enumerate().collect()
}

#[test]
fn rows_of_other_questions_are_refused_with_the_first_and_their_number() {
    let dir = folder(&[("r.jsonl", &lines(&right(&[0, 2, 1, 3])))]);
    let set = set(dir.path());
    let mut options = JoinOptions::new(dir.path().join("r.jsonl"));
    for by in [PairBy::Id, PairBy::Order] {
        options.pair_by = by;
        let Err(JoinError::Differ(found)) = join(&options, Some(set.as_ref()), &NoPictures) else { panic!() };
        assert_eq!((found.count, found.rows, found.what), (2, 4, "question"));
        assert_eq!(found.place, "line 2 (id \"1\")");
        let text = found.to_string();
        assert!(
            text.contains("are there more than 12 ribs?") && text.contains("which organ is shown?"),
            "{text}"
        );
        assert!(text.contains("--by-question") && text.contains("--ids-only"));
    }
    options.pair_by = PairBy::Question;
    assert_eq!(said(&join(&options, Some(set.as_ref()), &NoPictures).unwrap()), answers());
    // On request the ids alone decide.
    (options.pair_by, options.ids_only) = (PairBy::Id, true);
    assert_eq!(said(&join(&options, Some(set.as_ref()), &NoPictures).unwrap())[1].1, "no");
}

#[test]
fn references_alone_show_a_wrong_pairing_too() {
    let mut rows = right(&[1, 0, 2, 3]);
    rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("question")));
    let dir = folder(&[("r.jsonl", &lines(&rows))]);
    let set = set(dir.path());
    let Err(JoinError::Differ(found)) =
        join(&JoinOptions::new(dir.path().join("r.jsonl")), Some(set.as_ref()), &NoPictures)
    else {
        panic!()
    };
    assert_eq!(
        (found.count, found.what, found.theirs.as_str(), found.ours.as_str()),
        (2, "reference", "liver", "yes")
    );
}

#[test]
fn prompts_around_the_question_and_another_case_are_the_same_question() {
    let row = |n: usize, prompt: String| json!({"id": n, "prompt": prompt, "prediction": "x"});
    let rows = [
        row(0, "<image>\nIS THERE a pneumothorax?".into()),
        row(1, "You are a radiologist. Which organ is  shown? Answer with one word.".into()),
        row(2, QUESTIONS[2].0.into()),
    ];
    let dir = folder(&[("r.jsonl", &lines(&rows))]);
    let set = set(dir.path());
    let joined =
        join(&JoinOptions::new(dir.path().join("r.jsonl")), Some(set.as_ref()), &NoPictures).unwrap();
    assert_eq!(said(&joined).len(), 3);
    let mut replies = joined.replies();
    assert_eq!(replies.by_ref().count(), 3);
    assert_eq!(joined.warnings(&replies), ["1 of 4 replies are not in the file (ids 3)"]);
}

#[test]
fn without_ids_the_words_of_the_question_decide_and_numbers_of_rows_never_do() {
    let mut rows = right(&[3, 1, 0, 2]);
    rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("id")));
    rows.push(json!({"question": "Is there a fracture?", "prediction": "no"}));
    let dir = folder(&[("r.jsonl", &lines(&rows)), ("bare.csv", "prediction\na\nb\nc\nd\n")]);
    let set = set(dir.path());
    let joined =
        join(&JoinOptions::new(dir.path().join("r.jsonl")), Some(set.as_ref()), &NoPictures).unwrap();
    assert_eq!(said(&joined), answers());
    assert!(joined.notes.iter().any(|n| n.contains("paired by the words")), "{:?}", joined.notes);
    assert!(
        joined
            .notes
            .contains(&"1 row of the file left out, because no item of jsonl is theirs: line 5".to_owned()),
        "{:?}",
        joined.notes
    );
    let mut bare = JoinOptions::new(dir.path().join("bare.csv"));
    let error = join(&bare, Some(set.as_ref()), &NoPictures).err().unwrap().to_string();
    assert!(error.contains("no column of the file is an id") && error.contains("--in-order"), "{error}");
    bare.pair_by = PairBy::Order;
    let joined = join(&bare, Some(set.as_ref()), &NoPictures).unwrap();
    assert_eq!(said(&joined).len(), 4);
    assert!(joined.notes.iter().any(|n| n.contains("neither questions nor references to compare")));
}

/// Where several items ask the same, image and reference tell them apart; what is still the same is nobody's.
#[test]
fn the_same_question_of_two_images_is_told_apart_or_left_out() {
    let row = |id: &str, image: &str, answer: &str| json!({"id": id, "question": "Is it normal?", "image": image, "answer": answer});
    let rows = [
        row("a", "1.png", "yes"),
        row("b", "2.png", "yes"),
        row("c", "3.png", "no"),
        row("d", "3.png", "no"),
    ];
    let reply = |image: &str, answer: &str, said: &str| json!({"question": "is it normal?", "image": image, "answer": answer, "response": said});
    let replies = [
        reply("folder/2.jpg", "yes", "second"),
        reply("folder/1.jpg", "yes", "first"),
        reply("folder/3.jpg", "no", "nobody's"),
    ];
    let dir = folder(&[("set.jsonl", &lines(&rows)), ("r.jsonl", &lines(&replies))]);
    let set = loupe_datasets::open("jsonl", &dir.path().join("set.jsonl"), None).unwrap();
    let joined =
        join(&JoinOptions::new(dir.path().join("r.jsonl")), Some(set.as_ref()), &NoPictures).unwrap();
    assert_eq!(said(&joined), [(0, "first".to_owned()), (1, "second".to_owned())]);
    // A question that is asked once in the set and twice in the file: either row may be the one.
    let row = |id: &str, image: &str| json!({"id": id, "question": "Is it large?", "image": image, "answer": "yes"});
    std::fs::write(dir.path().join("set.jsonl"), lines(&[row("e", "5.png")])).unwrap();
    let reply = |image: Option<&str>, answer: &str| {
        let mut reply = json!({"question": "Is it large?", "answer": answer, "response": "x"});
        if let (Some(image), Some(fields)) = (image, reply.as_object_mut()) {
            fields.insert("image".to_owned(), image.into());
        }
        reply
    };
    let set = loupe_datasets::open("jsonl", &dir.path().join("set.jsonl"), None).unwrap();
    let paired = |replies: &[Value]| {
        std::fs::write(dir.path().join("r.jsonl"), lines(replies)).unwrap();
        let joined = join(&JoinOptions::new(dir.path().join("r.jsonl")), Some(set.as_ref()), &NoPictures);
        joined.map(|joined| said(&joined).len()).map_err(|error| error.to_string())
    };
    let none = paired(&[reply(None, "yes"), reply(None, "yes")]).unwrap_err();
    assert!(none.contains("none of the 2 rows"), "{none}");
    assert_eq!(paired(&[reply(Some("5.png"), "yes"), reply(Some("6.png"), "yes")]), Ok(1));
    // Another reference is another question.
    assert_eq!(paired(&[reply(None, "yes"), reply(None, "no")]), Ok(1));
    assert!(paired(&[reply(None, "no")]).is_err());
}

#[test]
fn any_column_that_identifies_rows_on_both_sides_is_an_id() {
    let replies = "report,study_id,id\nClear lungs.,s1.0,0\n,s2.0,1\nNodule.,s3,2\n"
        .replace("s1.0", "51.0")
        .replace("s2.0", "52.0")
        .replace("s3", "53.0");
    let references =
        "id,study_id,report\n0,53,A nodule.\n1,51,Lungs are clear.\n2,52,Normal.\n3,54,Never answered.\n";
    let dir = folder(&[("r.csv", &replies), ("g.csv", references)]);
    let mut options = JoinOptions::new(dir.path().join("r.csv"));
    options.references = Some(dir.path().join("g.csv"));
    options.columns.reply = Some("report".into());
    options.columns.gold = Some("report".into());
    for id in [None, Some("study_id")] {
        options.columns.id = id.map(str::to_owned);
        let joined = join(&options, None, &NoPictures).unwrap();
        let samples: Vec<(String, String)> = joined
            .samples()
            .map(|s| s.sample.unwrap())
            .map(|s| (s.id.clone(), s.target.text().unwrap().to_owned()))
            .collect();
        let of = |n: usize| (samples[n].0.as_str(), samples[n].1.as_str());
        assert_eq!(
            [of(0), of(1), of(2)],
            [("51", "Lungs are clear."), ("52", "Normal."), ("53", "A nodule.")]
        );
        assert_eq!(of(3), ("54", "Never answered."), "a reference without a reply is an item too");
        assert_eq!(said(&joined).iter().map(|s| s.0).collect::<Vec<_>>(), [0, 1, 2]);
        let mut replies = joined.replies();
        assert_eq!(replies.by_ref().count(), 3);
        assert_eq!(joined.warnings(&replies)[0], "1 of 4 replies are not in the file (ids 54)");
    }
    std::fs::write(dir.path().join("g.csv"), "study_id,report\nz1,A.\nz2,B.\n").unwrap();
    assert!(matches!(join(&options, None, &NoPictures).err(), Some(JoinError::NoSharedId { .. })));
}

#[test]
fn replies_without_any_reference_are_an_error() {
    let dir = folder(&[
        ("r.jsonl", "{\"id\": 1, \"question\": \"?\", \"prediction\": \"yes\"}\n"),
        (
            "empty.jsonl",
            "{\"id\": 1, \"answer\": \"\", \"prediction\": \"\"}\n{\"id\": 2, \"answer\": null, \"prediction\": \"\"}\n",
        ),
        ("g.csv", "id,words\n1,yes\n"),
    ]);
    for file in ["r.jsonl", "empty.jsonl"] {
        let mut options = JoinOptions::new(dir.path().join(file));
        let error = join(&options, None, &NoPictures).err().unwrap();
        assert!(matches!(error, JoinError::NoReference { .. }), "{file}: {error}");
        assert!(error.to_string().contains("--gold-column") && error.to_string().contains("--references"));
        options.unreferenced = true;
        assert_eq!(join(&options, None, &NoPictures).unwrap().items, if file == "r.jsonl" { 1 } else { 2 });
    }
    let mut options = JoinOptions::new(dir.path().join("r.jsonl"));
    options.references = Some(dir.path().join("g.csv"));
    let error = join(&options, None, &NoPictures).err().unwrap().to_string();
    assert!(error.contains("the references have the columns id, words"), "{error}");
}

/// An empty reference beside an empty reply is no agreement.
#[test]
fn empty_references_are_unknown() {
    let rows = "{\"id\": 1, \"answer\": \"\", \"prediction\": \"\"}\n{\"id\": 2, \"answer\": [null, \"\"], \"prediction\": \"x\"}\n{\"id\": 3, \"answer\": NaN, \"prediction\": \"nan\"}\n{\"id\": 4, \"answer\": false, \"prediction\": \"No.\"}\n";
    let dir = folder(&[("r.jsonl", rows)]);
    let joined = join(&JoinOptions::new(dir.path().join("r.jsonl")), None, &NoPictures).unwrap();
    let targets: Vec<_> = joined.samples().map(|s| s.sample.unwrap().target).collect();
    use loupe_core::Target::Unknown;
    assert_eq!(targets, [Unknown, Unknown, Unknown, crate::text(&["no"])]);
}

#[test]
fn options_of_replies_keep_their_letters() {
    let rows = [
        json!({"id": 1, "A": "a", "B": "", "C": "c", "D": "d", "answer": "C", "prediction": "c"}),
        json!({"id": 2, "A": "a", "B": "nan", "C": "c", "D": "nan", "answer": "C", "prediction": "c"}),
    ];
    let listed = [
        json!({"id": 1, "options": ["a", null, "c"], "answer": "C", "prediction": "c"}),
        json!({"id": 2, "options": "['a', None, 'c']", "answer": 2.0, "prediction": "c"}),
        json!({"id": 3, "options": {"(A)": "a", "b": "", "C": "c"}, "answer": "c", "prediction": "c"}),
    ];
    let dir = folder(&[("columns.jsonl", &lines(&rows)), ("lists.jsonl", &lines(&listed))]);
    for file in ["columns.jsonl", "lists.jsonl"] {
        let joined = join(&JoinOptions::new(dir.path().join(file)), None, &NoPictures).unwrap();
        for sample in joined.samples().map(|s| s.sample.unwrap()) {
            let letters: String = sample.choices.iter().map(|c| c.letter).filter(|l| *l != 'D').collect();
            assert_eq!(
                (letters.as_str(), &sample.target),
                ("AC", &loupe_core::Target::Choice('C')),
                "{file} {}",
                sample.id
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the order of the rows, every reply stands beside its own question or the file is refused.
    #[test]
    fn no_order_of_rows_pairs_a_reply_with_another_question(order in Just(vec![0usize, 1, 2, 3]).prop_shuffle(), ids in prop::sample::select(vec!["row", "own", "none"])) {
        let mut rows = right(&order);
        for (row, q) in rows.iter_mut().zip(&order) {
            let row = row.as_object_mut().unwrap();
            match ids {
                "own" => drop(row.insert("id".into(), (*q).into())),
                "none" => drop(row.remove("id")),
                _ => {}
            }
        }
        let dir = folder(&[("r.jsonl", &lines(&rows))]);
        let set = set(dir.path());
        match join(&JoinOptions::new(dir.path().join("r.jsonl")), Some(set.as_ref()), &NoPictures) {
            Ok(joined) => prop_assert_eq!(said(&joined), answers()),
            Err(error) => {
                prop_assert!(ids == "row" && order != [0, 1, 2, 3], "{}", error);
                prop_assert!(matches!(error, JoinError::Differ(_)));
            }
        }
    }
}
