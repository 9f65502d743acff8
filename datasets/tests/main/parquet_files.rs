use super::{fixture, samples, text};
use loupe_core::{Dataset, MediaSource, Sample, Target};

fn first_bytes(sample: &Sample) -> Vec<u8> {
    match &sample.media[0].source {
        MediaSource::Bytes(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rows_of_several_files_and_row_groups_in_any_order() {
    let set = super::open("vqa-rad", &fixture("hf_short"), "test");
    assert_eq!(set.len(), 11);
    let forward: Vec<Sample> = (0..11).map(|i| set.get(i).unwrap()).collect();
    for i in [10, 3, 3, 0, 7, 1, 9, 2, 8, 6, 5, 4] {
        assert_eq!(set.get(i).unwrap(), forward[i], "{i}");
    }
    for (i, sample) in forward.iter().enumerate() {
        assert_eq!(sample.media.len(), 1);
        assert!(first_bytes(sample).starts_with(b"\x89PNG"));
        assert_eq!(sample.question, format!("question {i}?"));
        assert_eq!(sample.target, text(&[&if i % 2 == 1 { "yes".to_owned() } else { format!("word {i}") }]));
    }
    assert_eq!(forward[8].id, "test-00001-of-00002-bb:1");
    assert_eq!(forward[0].group, forward[1].group);
    assert_eq!(forward[4].group, forward[5].group);
    assert_ne!(forward[2].group, forward[3].group);
    assert_eq!(samples("pathvqa", &fixture("hf_short"), "train").len(), 2);
}

#[test]
fn many_threads_read_the_same_rows() {
    let set = super::open("vqa-rad", &fixture("hf_short"), "test");
    let alone: Vec<Sample> = (0..11).map(|i| set.get(i).unwrap()).collect();
    let set: &dyn Dataset = set.as_ref();
    std::thread::scope(|scope| {
        for t in 0..8 {
            let alone = &alone;
            scope.spawn(move || {
                for n in 0..220 {
                    let i = (n * 7 + t * 3) % 11;
                    assert_eq!(set.get(i).unwrap(), alone[i]);
                }
            });
        }
    });
}

#[test]
fn medframeqa_frames_and_letters() {
    let all = samples("medframeqa", &fixture("medframeqa"), "test");
    assert_eq!(all.iter().map(|s| s.media.len()).collect::<Vec<_>>(), [2, 3, 4, 5, 2]);
    assert_eq!(all[3].tag("n_images"), Some("5"));
    assert_eq!(all[0].choices[0].text, "one. two", "only the letter is taken off");
    assert_eq!(
        all.iter().map(|s| s.target.clone()).collect::<Vec<_>>(),
        "ABCBA".chars().map(Target::Choice).collect::<Vec<_>>()
    );
    assert_eq!((all[0].group.as_str(), all[1].group.as_str(), all[4].group.as_str()), ("v1", "v1", "v3"));
    assert_eq!(all[2].tag("organ"), None);
}

#[test]
fn mmmu_subjects_options_and_open_questions() {
    let all = samples("mmmu-medical", &fixture("mmmu"), "validation");
    assert_eq!(all.len(), 10);
    let first = &all[0];
    assert_eq!(
        first.choices.iter().map(|c| c.text.as_str()).collect::<Vec<_>>(),
        ["<image 2>", "it's b", "25%"]
    );
    assert_eq!((first.media.len(), first.target.clone()), (2, Target::Choice('B')));
    assert_eq!(all[1].target, text(&["aorta", "the aorta"]));
    assert_eq!(all[1].media.len(), 1);
    let pharmacy = samples("mmmu-medical", &fixture("mmmu"), "validation:Pharmacy");
    assert_eq!((pharmacy.len(), pharmacy[0].tag("subject")), (2, Some("Pharmacy")));
    let error =
        loupe_datasets::open("mmmu-medical", &fixture("mmmu"), Some("dev")).err().unwrap().to_string();
    assert!(error.contains("Basic_Medical_Science/dev-*.parquet is missing"), "{error}");
}

#[test]
fn medxpertqa_of_hugging_face() {
    let all = samples("medxpertqa-mm", &fixture("medxpertqa"), "test");
    assert_eq!((all[0].choices.len(), all[0].target.clone()), (2, Target::Choice('B')));
    assert_eq!((all[1].choices.len(), all[1].target.clone()), (3, Target::Choice('C')));
    assert_eq!(all[0].media.len(), 2);
}

#[test]
fn text_sets_of_hugging_face() {
    let of = |set: &str, folder: &str, split: &str| samples(set, &fixture(&format!("text/{folder}")), split);
    // Numbers count from 0 here, and -1 is an answer that is not published.
    let mcqa = of("medmcqa", "medmcqa", "validation");
    assert_eq!((mcqa[0].target.clone(), mcqa[1].target.clone()), (Target::Choice('A'), Target::Choice('D')));
    assert_eq!(mcqa[1].choices[3].text, "d two");
    assert_eq!(of("medmcqa", "medmcqa", "test")[0].target, Target::Unknown);
    let mmlu = of("mmlu-medical", "mmlu", "test");
    assert_eq!((mmlu.len(), mmlu[0].target.clone()), (12, Target::Choice('C')));
    // Options that are numbers are named by their place, not by their words.
    assert_eq!((mmlu[1].target.clone(), mmlu[1].choices[1].text.as_str()), (Target::Choice('B'), "2"));
    assert_eq!(of("mmlu-medical", "mmlu", "test:medical_genetics").len(), 2);
    let pro = of("mmlu-pro-health", "mmlu_pro", "test");
    assert_eq!((pro.len(), pro[0].choices.len(), pro[0].target.clone()), (2, 10, Target::Choice('J')));
    let pubmed = of("pubmedqa", "pubmedqa", "labelled");
    assert_eq!(
        (pubmed[0].question.as_str(), pubmed[1].target.clone()),
        ("One.\nTwo.\n\nDoes it?", Target::Choice('B'))
    );
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let whole = std::fs::read(fixture("hf_short/data/test-00000-of-00002-aa.parquet")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test-x.parquet");
    let mut spoiled = vec![std::fs::read(fixture("damaged.parquet")).unwrap()];
    spoiled.extend([0, 3, 100, whole.len() - 1].map(|n| whole[..n].to_vec()));
    for at in (0..whole.len()).step_by(61) {
        let mut copy = whole.clone();
        copy[at] ^= 0xff;
        spoiled.push(copy);
    }
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut refused = 0;
    for bytes in spoiled {
        std::fs::write(&path, bytes).unwrap();
        match loupe_datasets::open("vqa-rad", dir.path(), None) {
            Err(_) => refused += 1,
            Ok(set) => refused += usize::from((0..set.len().min(20)).any(|i| set.get(i).is_err())),
        }
    }
    std::panic::set_hook(quiet);
    assert!(refused > 5, "{refused}");
}

/// A file of VQA-RAD's columns; the picture of a row is there, without bytes, or absent.
fn write_rows(path: &std::path::Path, pictures: &[(&[u8], i16)]) {
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::writer::SerializedFileWriter;
    let schema = "message schema {
        optional group image { optional binary bytes; optional binary path (UTF8); }
        optional binary question (UTF8);
        optional binary answer (UTF8);
    }";
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut put = |rows: Vec<(&[u8], i16)>, present: i16| {
        let mut column = group.next_column().unwrap().unwrap();
        let levels: Vec<i16> = rows.iter().map(|(_, level)| *level).collect();
        let held = rows.iter().filter(|(_, level)| *level == present);
        let values: Vec<ByteArray> = held.map(|(bytes, _)| ByteArray::from(bytes.to_vec())).collect();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
        column.close().unwrap();
    };
    put(pictures.to_vec(), 2);
    put(pictures.iter().map(|(_, level)| (&b"x1.jpg"[..], if *level == 1 { 2 } else { 0 })).collect(), 2);
    put(pictures.iter().map(|_| (&b"Is it?"[..], 1)).collect(), 1);
    put(pictures.iter().map(|_| (&b"no"[..], 1)).collect(), 1);
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn a_row_without_its_picture_is_an_error_and_not_a_question_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let picture = std::fs::read(fixture("damaged.parquet")).unwrap();
    // There, the whole group absent, and the bytes absent beside a path.
    write_rows(&dir.path().join("test-0.parquet"), &[(&picture, 2), (b"", 0), (b"", 1), (&picture, 2)]);
    let set = super::open("vqa-rad", dir.path(), "test");
    assert_eq!(set.len(), 4);
    for row in [0, 3] {
        assert_eq!(set.get(row).unwrap().media.len(), 1);
    }
    for row in [1, 2] {
        let error = set.get(row).unwrap_err().to_string();
        assert!(error.contains("the bytes of no image"), "{error}");
    }
}
