//! ViTAR (`eval_medvqa.py`); the reply is that of the second round.

use super::{Figure, Judged, Profile, Row};
use loupe_core::{Sample, Score};
use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn Profile] = &[&Vitar];

#[derive(Debug, Clone, Copy)]
struct Vitar;

const UNREAD: &str = "no Terminate action: left out of the total";

impl Profile for Vitar {
    fn name(&self) -> &'static str {
        "vitar"
    }

    fn harness(&self) -> &'static str {
        "JLINEkai/ViTAR"
    }

    fn commit(&self) -> &'static str {
        "1448fb2f68652c103dad01983d09de59b0af6d11"
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "only a Terminate action with an \"answer\" is read, and of it the first character in upper case",
            "unread replies are left out of the overall accuracy but count as wrong in the accuracy by data set",
            "figures are percentages",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> Judged {
        static ACTION: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r#"\{\s*"name"\s*:\s*"Terminate"\s*,\s*"arguments"\s*:\s*\{[^}]*?"answer"\s*:\s*"([^"]+)""#).ok()
        });
        let Some(gold) = super::gold_letter(sample) else { return Judged::not_applicable("not a multiple-choice question") };
        let answer = ACTION.as_ref().and_then(|r| r.captures(reply)).and_then(|c| c.get(1));
        match answer.and_then(|a| a.as_str().to_uppercase().chars().next()) {
            Some(letter) => Judged::new(letter == gold, letter, "the first character of the answer"),
            None => Judged::unparsed(UNREAD),
        }
    }

    fn aggregate(&self, rows: &[Row]) -> Vec<Figure> {
        let read = rows.iter().filter(|r| r.judged.rule != UNREAD).count();
        let right = |rows: &[&Row]| rows.iter().map(|r| r.judged.value()).sum::<f64>();
        let all: Vec<&Row> = rows.iter().collect();
        let mut out = vec![if read == 0 {
            Figure { name: "accuracy".into(), value: Score::Value(0.0), n: 0 }
        } else {
            Figure::new("accuracy", 100.0 * right(&all) / read as f64, read)
        }];
        let mut by_set: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            by_set.entry(row.sample.tag("dataset").unwrap_or("unknown")).or_default().push(row);
        }
        for (set, rows) in by_set {
            let unread = rows.iter().filter(|r| r.judged.rule == UNREAD).count();
            let n = rows.len();
            out.push(Figure::new(format!("{set} accuracy"), 100.0 * right(&rows) / n as f64, n));
            out.push(Figure::new(format!("{set} error_rate"), 100.0 * unread as f64 / n as f64, n));
        }
        out
    }
}
