//! METEOR, the look-up in WordNet and the stems of words beyond ASCII equal nltk's, on an invented
//! database (make/meteor.py).

use crate::single;
use loupe_core::{Dataset, Metric, Reply, Score, Target};
use loupe_eval::metrics::meteor::MeteorMetric;
use loupe_eval::metrics::wordnet::{WordNet, WordNetError};
use loupe_eval::metrics::{Texts, porter};
use loupe_testing::QuestionSet;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wordnet")
}

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/meteor.json")).unwrap()
}

#[test]
fn synonyms_and_stems_are_those_of_nltk() {
    let (wordnet, fixture) = (WordNet::read(&folder()).unwrap(), fixture());
    assert_eq!((wordnet.facts.version.as_deref(), wordnet.facts.synsets), (Some("3.0"), 48));
    let mut some = 0;
    for (word, wanted) in fixture["synonyms"].as_object().unwrap() {
        let got: BTreeSet<&str> = wordnet.synonyms(word).collect();
        let wanted: BTreeSet<&str> = wanted.as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
        assert_eq!(got, wanted, "{word}");
        some += usize::from(!wanted.is_empty());
    }
    assert!(some > 100, "{some}");
    for (word, stem) in fixture["stems"].as_object().unwrap() {
        assert_eq!(porter::stem(word), stem.as_str().unwrap(), "{word}");
    }
}

#[test]
fn every_score_is_that_of_nltk() {
    let (wordnet, fixture) = (WordNet::read(&folder()).unwrap(), fixture());
    let metric = MeteorMetric { wordnet: &wordnet, punkt: None, texts: Texts::default() };
    let mut above = 0;
    for item in fixture["items"].as_array().unwrap() {
        let mut sample = QuestionSet::new(1).get(0).unwrap();
        sample.target = Target::Text(serde_json::from_value(item[0].clone()).unwrap());
        let reply = Reply::from_text(item[1].as_str().unwrap());
        let prediction = single("q0", reply);
        let Score::Value(got) = metric.score(&sample, &prediction) else { panic!("{item}") };
        assert!((got - item[2].as_f64().unwrap()).abs() < 1e-12, "{got}: {item}");
        above += usize::from(got > 0.0);
    }
    assert!(above > 250, "{above}");
}

#[test]
fn broken_databases_are_refused_by_file_and_line() {
    let broken = |file: &str, change: &dyn Fn(String) -> String| {
        let dir = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(folder()).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
        let path = dir.path().join(file);
        std::fs::write(&path, change(std::fs::read_to_string(&path).unwrap())).unwrap();
        WordNet::read(dir.path()).unwrap_err()
    };
    let error = broken("data.verb", &|t| t + "0000 00 v zz word 0 000 | x\n");
    assert!(matches!(&error, WordNetError::Line { file, line: 13 } if file == "data.verb"), "{error}");
    let error = broken("index.adv", &|t| t + "word r 2 0 2 0 00000124\n");
    assert!(matches!(&error, WordNetError::Line { file, .. } if file == "index.adv"), "{error}");
    let error = broken("index.adv", &|t| t + "word r 1 0 1 0 00000007\n");
    assert!(matches!(error, WordNetError::Offset { offset: 7, .. }), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = WordNet::read(empty.path()).unwrap_err().to_string();
    assert!(error.contains("data.noun") && error.contains("exception"), "{error}");
}
