//! BERTScore over a run equals the package's, fed with the vectors of a fake encoder
//! (make/bertscore.py has the same one).

use crate::imported;
use loupe_core::{EncodedText, Metric, ModelError, ModelInfo, Sample, Score, Target, TextEncoder};
use loupe_eval::metrics::Texts;
use loupe_eval::metrics::bertscore::{Baseline, BertScores, Idf, Settings};
use loupe_eval::strict::Strict;
use loupe_eval::{Scoring, score, tables};
use loupe_run::RunFolder;
use loupe_testing::PromptHash;
use loupe_testing::dataset::{info, worded};
use serde_json::Value;
use tempfile::TempDir;

/// The fake of make/bertscore.py.
struct Fake {
    info: ModelInfo,
    words: Vec<String>,
    encoded: usize,
}

impl Fake {
    fn new(words: Vec<String>) -> Self {
        Self { info: ModelInfo { context_tokens: Some(16), ..PromptHash::new().info }, words, encoded: 0 }
    }
}

impl TextEncoder for Fake {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn layers(&self) -> usize {
        3
    }

    fn frame(&self) -> [u32; 2] {
        [0, 1]
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let known = |w: &str| self.words.iter().position(|known| known == w).unwrap_or(self.words.len());
        let words = text.split_whitespace().map(|w| 3 + known(w) as u32).take(14);
        Ok([0].into_iter().chain(words).chain([1]).collect())
    }

    fn encode(&mut self, texts: &[&str], layer: usize) -> Result<Vec<EncodedText>, ModelError> {
        self.encoded += texts.len();
        let value = |id: u32, place: usize, c: usize| {
            let (id, place, c) = (f64::from(id), (place + layer) as f64, (c + 1) as f64);
            (((id + 1.0) * c * 0.37).sin() + 0.5 * (place * c * 0.11).cos() + 0.3) as f32
        };
        let one = |text: &&str| {
            let ids = self.tokens(text)?;
            let vectors = ids.iter().enumerate().flat_map(|(p, id)| (0..20).map(move |c| value(*id, p, c)));
            Ok(EncodedText { vectors: vectors.collect(), ids })
        };
        texts.iter().map(one).collect()
    }
}

/// A run of references and replies.
fn run_of(pairs: &[(Vec<String>, String)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let item = |(row, (wordings, reply)): (usize, &(Vec<String>, String))| {
        let sample = Sample {
            id: row.to_string(),
            question: "Describe.".into(),
            target: Target::Text(wordings.clone()),
            group: row.to_string(),
            ..worded("", &[])
        };
        (sample, reply.clone())
    };
    imported(dir.path(), info("fake"), pairs.iter().enumerate().map(item));
    dir
}

#[test]
fn every_figure_equals_the_package() {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/bertscore.json")).unwrap();
    let words: Vec<String> = serde_json::from_value(fixture["words"].clone()).unwrap();
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("baseline.tsv");
    std::fs::write(&file, fixture["baseline"].as_str().unwrap()).unwrap();
    let (mut numbers, mut without) = (0, 0);
    for case in fixture["cases"].as_array().unwrap() {
        let pairs: Vec<(Vec<String>, String)> = serde_json::from_value(case["pairs"].clone()).unwrap();
        let layer = case["layer"].as_u64().unwrap() as usize;
        let settings = Settings {
            layer,
            idf: serde_json::from_value::<Idf>(case["idf"].clone()).unwrap(),
            baseline: case["rescaled"].as_bool().unwrap().then(|| Baseline::read(&file, layer).unwrap()),
            texts: Texts::default(),
        };
        let dir = run_of(&pairs);
        let folder = RunFolder::open(dir.path()).unwrap();
        let scores = BertScores::of_run(&folder, &mut Fake::new(words.clone()), &settings, &|_| ()).unwrap();
        for (at, name) in ["bertscore_p", "bertscore_r", "bertscore_f1"].into_iter().enumerate() {
            let metric = scores.metric(name).unwrap();
            for (item, wanted) in folder.items().unwrap().zip(case["scores"].as_array().unwrap()) {
                let item = item.unwrap();
                let got = metric.score(item.line.sample.as_ref().unwrap(), &item.prediction().unwrap());
                match (got, wanted[at].as_f64()) {
                    (Score::Value(got), Some(wanted)) => {
                        assert!((got - wanted).abs() < 2e-6, "{name} of {settings:?}: {got}, {wanted}");
                        numbers += 1;
                    }
                    (Score::Unscored(why), None) => {
                        assert!(why.contains("weight 0"), "{why}");
                        without += 1;
                    }
                    other => panic!("{name} of {settings:?}: {other:?}"),
                }
            }
        }
    }
    assert!(numbers > 500 && without == 3, "{numbers} {without}");
}

#[test]
fn a_summary_says_what_it_was_made_with_and_every_text_is_encoded_once() {
    let words = ["heart", "normal"].map(str::to_owned).to_vec();
    let pair = |gold: &str, reply: &str| (vec![gold.to_owned()], reply.to_owned());
    let mut pairs = vec![pair("heart normal", "heart"), pair("heart", "normal"), pair("heart", "heart")];
    pairs.extend(std::iter::repeat_n(pair("heart normal", "heart"), 200));
    let dir = run_of(&pairs);
    let mut fake = Fake::new(words);
    let settings = Settings { layer: 1, idf: Idf::References, baseline: None, texts: Texts::default() };
    let folder = RunFolder::open(dir.path()).unwrap();
    let scores = BertScores::of_run(&folder, &mut fake, &settings, &|_| ()).unwrap();
    assert_eq!(fake.encoded, 3);
    let metric = scores.metric("bertscore_f1").unwrap();
    let scoring = Scoring {
        profiles: &[&Strict],
        metrics: &[&metric as &dyn Metric],
        bertscore: Some(&scores.facts),
        ..Scoring::default()
    };
    let summary = score(dir.path(), &scoring).unwrap();
    let figure = summary.metrics.iter().find(|f| f.name == "bertscore_f1").unwrap();
    // Every reply says something else than its reference: values that are all alike tell no spread.
    assert!(figure.n == 203 && figure.value == Some(0.0) && figure.interval.is_none(), "{figure:?}");
    assert_eq!(summary.bertscore.as_ref().unwrap().layer, 1);
    let text = tables::join(&tables::summary(&summary), loupe_core::table::Format::Terminal);
    assert!(text.contains("BERTScore: fake-1b (abcd"), "{text}");
    assert!(text.contains("layer 1, idf from references, not rescaled"), "{text}");
    let read: loupe_eval::Summary =
        serde_json::from_slice(&std::fs::read(dir.path().join("summary.json")).unwrap()).unwrap();
    assert_eq!(read.bertscore, summary.bertscore);
}

#[test]
fn baselines_of_another_form_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("b.tsv");
    for (text, layer) in [("LAYER,P,R,F\n0,1,2\n", 0), ("LAYER,P,R,F\n0,.1,.1,.1\n", 1), ("", 0)] {
        std::fs::write(&file, text).unwrap();
        let error = Baseline::read(&file, layer).unwrap_err().to_string();
        assert!(error.contains(&format!("layer {layer}")), "{error}");
    }
    assert!(Baseline::read(&dir.path().join("none.tsv"), 0).is_err());
}
