//! Text metrics against the packages whose names they carry.

use loupe_core::Score;
use loupe_eval::metrics::{self, Compute, cider};
use loupe_testing::real_data;
use serde_json::Value;

/// Single-precision packages round; the others agree to double precision.
fn tolerance(name: &str, expected: f64) -> f64 {
    let relative = if name.ends_with("torchmetrics") { 2e-7 } else { 1e-9 };
    relative * expected.abs().max(1.0)
}

fn value(score: Score) -> f64 {
    match score {
        Score::Value(v) => v,
        Score::Unscored(why) => panic!("unscored: {why}"),
    }
}

fn text(name: &str, reference: &str, reply: &str) -> f64 {
    let Compute::Text(f) = metrics::METRICS.get(name).unwrap_or_else(|| panic!("no metric {name}")).compute
    else {
        panic!("{name} is not a text metric")
    };
    value(f(reference, reply))
}

fn corpus(name: &str, pairs: &[(&str, &str)]) -> f64 {
    let Compute::Corpus(f) = metrics::METRICS.get(name).unwrap().compute else {
        panic!("{name} is not a corpus metric")
    };
    value(f(pairs))
}

fn check(name: &str, got: f64, expected: f64, bad: &mut Vec<String>) {
    if (got - expected).abs() > tolerance(name, expected) {
        bad.push(format!("{name}: {got} instead of {expected}"));
    }
}

fn pairs(items: &[Value]) -> Vec<(&str, &str)> {
    items.iter().map(|i| (i["ref"].as_str().unwrap(), i["hyp"].as_str().unwrap())).collect()
}

#[test]
fn equal_to_the_packages_on_invented_sentences() {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/text_metrics.json")).unwrap();
    let items = fixture["items"].as_array().unwrap();
    let pairs = pairs(items);
    let mut bad = Vec::new();
    for (item, (reference, reply)) in items.iter().zip(&pairs) {
        for (name, expected) in item["metrics"].as_object().unwrap() {
            check(name, text(name, reference, reply), expected.as_f64().unwrap(), &mut bad);
        }
    }
    for (item, got) in items.iter().zip(cider::per_pair(&pairs, true)) {
        check("cider_d", got, item["cider_d"].as_f64().unwrap(), &mut bad);
    }
    for (name, expected) in fixture["corpus"].as_object().unwrap() {
        check(name, corpus(name, &pairs), expected.as_f64().unwrap(), &mut bad);
    }
    assert!(bad.is_empty(), "{} differences\n{}", bad.len(), bad.join("\n"));
}

/// The reference values computed on real reports lie beside the test data.
#[test]
fn equal_to_the_golden_values_on_real_reports() {
    let Some(folder) = real_data("") else { return };
    let file = folder.join("../reference/golden/text_metrics.json");
    let golden: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let items = golden["items"].as_array().unwrap();
    let pairs = pairs(items);
    let mut bad = Vec::new();
    let mut n = 0;
    for (item, (reference, reply)) in items.iter().zip(&pairs) {
        let mut one = |name: &str, expected: &Value| {
            n += 1;
            check(name, text(name, reference, reply), expected.as_f64().unwrap(), &mut bad);
        };
        for order in 1..=4 {
            let key = order.to_string();
            one(&format!("bleu{order}_nltk"), &item["nltk_sentence_bleu_nosmooth_tok_lower_dot"][&key]);
            if order != 3 {
                one(&format!("bleu{order}_torchmetrics"), &item["torchmetrics_bleu"][&key]);
            }
        }
        one("bleu4_nltk_method1", &item["nltk_sentence_bleu4_method1_ws_lower"]);
        one("bleu_sacrebleu_sentence", &item["sacrebleu_sentence_13a_exp"]);
        for (ours, theirs) in
            [("rouge1_sets", "rouge-1"), ("rouge2_sets", "rouge-2"), ("rouge_l_sets", "rouge-l")]
        {
            one(ours, &item["rouge_1.0.1_f"][theirs]);
        }
        for (ours, theirs) in
            [("rouge1", "rouge1"), ("rouge2", "rouge2"), ("rouge_l", "rougeL"), ("rouge_lsum", "rougeLsum")]
        {
            one(ours, &item["rouge_score_0.1.2_stem_False"][theirs]);
            one(&format!("{ours}_stem"), &item["rouge_score_0.1.2_stem_True"][theirs]);
        }
        one("rouge_l_coco", &item["coco_rouge_l"]);
        one("rouge_l_torchmetrics", &item["torchmetrics_rouge"]["rougeL_fmeasure"]);
        one("rouge1_torchmetrics", &item["torchmetrics_rouge"]["rouge1_fmeasure"]);
    }
    for (item, got) in items.iter().zip(cider::per_pair(&pairs, true)) {
        check("cider_d", got, item["coco_cider_in_this_corpus"].as_f64().unwrap(), &mut bad);
    }
    for (i, expected) in golden["corpus"]["coco_bleu"].as_array().unwrap().iter().enumerate() {
        let name = format!("bleu{}_coco", i + 1);
        check(&name, corpus(&name, &pairs), expected.as_f64().unwrap(), &mut bad);
    }
    for (name, key) in [
        ("cider_d", "coco_cider_mean"),
        ("bleu4_nltk_corpus", "nltk_corpus_bleu4"),
        ("bleu_sacrebleu", "sacrebleu_corpus_13a"),
    ] {
        check(name, corpus(name, &pairs), golden["corpus"][key].as_f64().unwrap(), &mut bad);
    }
    assert!(bad.is_empty(), "{} differences of {n}\n{}", bad.len(), bad.join("\n"));
}
