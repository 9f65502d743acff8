//! What is written in MedFrameQA's columns is what its reader gives back.

use loupe_core::{MediaSource, Target};
use loupe_datasets::{FrameRow, open, write_frames};

fn row(i: usize, pictures: usize) -> FrameRow {
    FrameRow {
        question_id: format!("q{i}"),
        video_id: format!("v{}", i / 2),
        organ: "chest".to_owned(),
        modality: "CT".to_owned(),
        question: format!("Which image? ({i})"),
        options: (1..=pictures).map(|k| format!("Image {k}")).collect(),
        correct_answer: "B".to_owned(),
        pictures: (0..pictures).map(|k| vec![i as u8, k as u8, 7]).collect(),
        ..FrameRow::default()
    }
}

#[test]
fn rows_come_back() {
    let dir = tempfile::tempdir().unwrap();
    // More rows than are written at once.
    let rows: Vec<FrameRow> = (0..450).map(|i| row(i, 2 + i % 4)).collect();
    write_frames(&dir.path().join("data/test-00000-of-00001.parquet"), &rows).unwrap();
    let set = open("medframeqa", dir.path(), None).unwrap();
    assert_eq!(set.len(), rows.len());
    for (i, row) in rows.iter().enumerate() {
        let sample = set.get(i).unwrap();
        assert_eq!(sample.id, row.question_id);
        assert_eq!(sample.group, row.video_id);
        assert_eq!(sample.question, row.question);
        assert_eq!(sample.target, Target::Choice('B'));
        let options: Vec<&str> = sample.choices.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(options, row.options);
        assert_eq!(sample.tag("modality"), Some("CT"));
        let pictures: Vec<&[u8]> = sample
            .media
            .iter()
            .map(|m| match &m.source {
                MediaSource::Bytes(bytes) => bytes.as_ref(),
                other => panic!("expected bytes, got {other:?}"),
            })
            .collect();
        assert_eq!(pictures, row.pictures.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}

#[test]
fn a_question_needs_one_to_five_pictures() {
    let dir = tempfile::tempdir().unwrap();
    for pictures in [0, 6] {
        let error = write_frames(&dir.path().join("a.parquet"), &[row(0, 2), row(1, pictures)]).unwrap_err();
        assert!(error.to_string().contains("row 2"), "{error}");
    }
}
