//! Run folders of the first layout, as version 0.1.0 wrote them (`fixtures/former`): read, never continued.

use loupe_core::sample::Outcome;
use loupe_core::{MaskTrace, Provenance, Record, Reply, Retry};
use loupe_run::{ImportSource, Item, RunError, RunFolder, import};
use loupe_testing::{dataset::info, scratch};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn former(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/former").join(name)
}

fn items(name: &str) -> Vec<Item> {
    RunFolder::open(&former(name)).unwrap().items().unwrap().map(Result::unwrap).collect()
}

fn reply(item: &Item) -> &Reply {
    match &item.reply.as_ref().unwrap().prediction.outcome {
        Outcome::Reply(reply) => reply,
        Outcome::Failed(failure) => panic!("{failure:?}"),
    }
}

#[test]
fn what_made_a_run_is_read() {
    let made_by = RunFolder::open(&former("boxes")).unwrap().made_by;
    assert_eq!((made_by.format, made_by.loupe.as_str(), made_by.n), (1, "0.1.0", 3));
    let Provenance::Checkpoint(checkpoint) = &made_by.model.from else { panic!("{:?}", made_by.model) };
    assert_eq!((checkpoint.parameters, checkpoint.device.as_str()), (2_158_336, "cpu"));
    assert_eq!((made_by.model.context_tokens, checkpoint.weights_sha256.len()), (Some(4096), 64));
}

#[test]
fn boxes_lie_on_the_pictures_that_stand_beside_them() {
    let items = items("boxes");
    let line = items[0].reply.as_ref().unwrap();
    assert_eq!(line.pictures[0].size, [336, 336]);
    let [found] = &reply(&items[0]).findings[..] else { panic!("{:?}", reply(&items[0]).findings) };
    assert_eq!((found.label.as_deref(), found.picture), (Some("left lung"), 0));
    assert_eq!(found.source_box().unwrap().xyxy(), [183.0, 93.0, 294.0, 234.0]);
    assert_eq!(found.origin, line.pictures[0].origin);
    // The missing picture: a failure, of which it is not known that it stays.
    let Outcome::Failed(failure) = &items[2].reply.as_ref().unwrap().prediction.outcome else { panic!() };
    assert_eq!((failure.reason.as_str(), failure.retry), ("image file not found", Retry::May));
}

#[test]
fn rounds_and_their_boxes_are_read() {
    let items = items("trace");
    let record = &items[0].reply.as_ref().unwrap().prediction.record;
    let Record::Rounds(trace) = record else { panic!("{record:?}") };
    assert_eq!((trace.by.as_str(), trace.rounds.len(), trace.pictures.len()), ("loupe", 2, 2));
    let looked = trace.rounds[0].reply.as_ref().unwrap();
    assert_eq!(looked.boxes().next().unwrap().1.xyxy(), [183.0, 90.0, 294.0, 234.0]);
    assert_eq!(trace.rounds[0].action.as_ref().unwrap().result, Some(1));
    assert_eq!(trace.pictures[1].size, [261, 336]);
    assert_eq!(trace.turns_of(1).unwrap().len(), 3);
    // A reply that was cut short keeps what had to be mended.
    let Record::Rounds(cut) = &items[1].reply.as_ref().unwrap().prediction.record else { panic!() };
    assert_eq!(cut.rounds[0].reply.as_ref().unwrap().repairs, ["truncated"]);
}

#[test]
fn masks_and_what_they_were_prompted_with_are_read() {
    for item in items("masks") {
        let [found] = &reply(&item).findings[..] else { panic!() };
        assert_eq!(found.as_mask().unwrap().size, [336, 336]);
        assert!(found.score.unwrap() > 0.5);
        let line = item.reply.as_ref().unwrap();
        assert_eq!(found.origin, line.pictures[0].origin);
        let Record::Masks(trace) = &line.prediction.record else { panic!() };
        let MaskTrace { by, prompts, reference, .. } = trace.as_ref();
        assert_eq!((by.as_str(), prompts.len(), reference.len()), ("segment", 1, 1));
        assert!(prompts[0].starts_with("box "), "{prompts:?}");
        assert_eq!(reference[0].label, found.label);
    }
}

#[test]
fn every_line_is_written_in_the_layout_of_today_and_read_back() {
    for name in ["boxes", "trace", "masks"] {
        for item in items(name) {
            let line = item.reply.unwrap();
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<loupe_run::ReplyLine>(&text).unwrap(), line, "{name}");
        }
    }
}

#[test]
fn nothing_is_added_to_it() {
    let dir = scratch();
    for name in ["run.json", "samples.jsonl", "replies.jsonl"] {
        fs::copy(former("boxes").join(name), dir.path().join(name)).unwrap();
    }
    // A last line that was cut short stays as it is, too.
    let replies = dir.path().join("replies.jsonl");
    let mut before = fs::read(&replies).unwrap();
    before.truncate(before.len() - 10);
    fs::write(&replies, &before).unwrap();
    let source = ImportSource {
        model: "any".into(),
        dataset: info("jsonl"),
        rollouts: 1,
        box_dialect: "none".into(),
        file_sha256: String::new(),
        settings: BTreeMap::new(),
        data_root: None,
        invocation: Default::default(),
    };
    let refused = [
        import(dir.path(), source, &mut std::iter::empty(), &mut std::iter::empty()).map(|_| ()),
        crate::go(dir.path(), &loupe_testing::QuestionSet::new(3), &crate::plan(1), 1).map(|_| ()),
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert!(matches!(error, RunError::Former { format: 1, .. }), "{error}");
        assert!(error.to_string().contains("scored"), "{error}");
    }
    assert!(fs::read(&replies).unwrap() == before);
    // What is whole is still read.
    assert_eq!(
        RunFolder::open(dir.path())
            .unwrap()
            .items()
            .unwrap()
            .filter(|i| i.as_ref().unwrap().reply.is_some())
            .count(),
        2
    );
}
