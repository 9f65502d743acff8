//! Reports against a structured truth: which findings are there, on which side, how large, and how they changed.
//!
//! Counted over all studies: a statement of a report is right when the truth has it too (precision), a fact of the truth is found
//! when the report states it (recall). A report that leaves a side open states no side: that costs recall of sides, not precision.

use super::lints::mentions;
use super::patterns::pattern;
use super::sentences::WrittenReport;
use loupe_run::report_prompt::StructuredReport;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::sync::LazyLock;

/// The tag of a sample that holds its truth: a JSON list of [`TrueFinding`].
pub const TRUTH_TAG: &str = "truth";

/// A finding that is there, or was there at the earlier study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrueFinding {
    /// `nodule`, `effusion` …
    pub finding: String,
    /// `left` or `right`, where the body has sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<String>,
    /// Longest diameter in mm, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_mm: Option<f64>,
    /// `grew`, `shrank`, `appeared`, `resolved` or `unchanged`, where there is an earlier study.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
}

/// What of a finding is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// That it is there.
    Finding,
    /// Its side.
    Side,
    /// Its size: within a quarter of the true one, or 2 mm.
    Size,
    /// What became of it since the earlier study.
    Change,
}

impl Fact {
    /// Every fact.
    pub const ALL: [Self; 4] = [Self::Finding, Self::Side, Self::Size, Self::Change];

    /// Name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finding => "finding",
            Self::Side => "side",
            Self::Size => "size",
            Self::Change => "change",
        }
    }
}

/// Statements of reports and facts of the truth, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactCounts {
    /// Statements that are true.
    pub right: usize,
    /// Statements of the reports.
    pub stated: usize,
    /// Facts of the truth.
    pub truth: usize,
}

impl FactCounts {
    /// Share of the statements that are true; nothing without any.
    pub fn precision(self) -> Option<f64> {
        (self.stated > 0).then(|| self.right as f64 / self.stated as f64)
    }

    /// Share of the facts that are stated; nothing without any.
    pub fn recall(self) -> Option<f64> {
        (self.truth > 0).then(|| self.right as f64 / self.truth as f64)
    }

    /// Adds those of another study.
    pub fn add(&mut self, other: Self) {
        self.right += other.right;
        self.stated += other.stated;
        self.truth += other.truth;
    }
}

/// What one report says, compared with the truth, by fact. A report as JSON whose findings have a `finding` each is compared by these fields
/// (`side`, `size_mm`, `change`); of its impression, as of every other report, the sentences are read.
pub fn compare(
    report: &WrittenReport,
    structured: Option<&StructuredReport>,
    truth: &[TrueFinding],
) -> [(Fact, FactCounts); 4] {
    let mut listed = Vec::new();
    if let Some(value) = structured.and_then(|structured| structured.value.as_ref()) {
        items(value, truth, &mut listed, 0);
    }
    let said = match (listed, structured.and_then(StructuredReport::told)) {
        (listed, Some(told)) if !listed.is_empty() => {
            let impression = told.impression.unwrap_or_default();
            let read = WrittenReport::of_sections(&[("impression".to_owned(), impression)].into());
            statements(&read, listed)
        }
        _ => statements(report, Vec::new()),
    };
    Fact::ALL.map(|fact| {
        let mut left: Vec<Value> = truth.iter().filter_map(|one| Value::of(one, fact)).collect();
        let stated: Vec<Value> = said.iter().filter_map(|one| Value::of(one, fact)).collect();
        let mut counts = FactCounts { stated: stated.len(), truth: left.len(), right: 0 };
        for value in &stated {
            if let Some(at) = left.iter().position(|other| other.agrees(value)) {
                left.swap_remove(at);
                counts.right += 1;
            }
        }
        (fact, counts)
    })
}

/// One fact about one finding.
struct Value {
    finding: String,
    word: Option<String>,
    size_mm: Option<f64>,
}

impl Value {
    fn of(one: &TrueFinding, fact: Fact) -> Option<Self> {
        let gone = one.change.as_deref() == Some("resolved");
        let bare = Self { finding: one.finding.clone(), word: None, size_mm: None };
        match fact {
            // What has gone is not there any more; only that it went is a fact.
            Fact::Finding | Fact::Side | Fact::Size if gone => None,
            Fact::Finding => Some(bare),
            Fact::Side => one.side.clone().map(|side| Self { word: Some(side), ..bare }),
            Fact::Size => one.size_mm.map(|mm| Self { size_mm: Some(mm), ..bare }),
            Fact::Change => one.change.clone().map(|change| Self { word: Some(change), ..bare }),
        }
    }

    fn agrees(&self, said: &Self) -> bool {
        let size = match (self.size_mm, said.size_mm) {
            (Some(is), Some(said)) => (is - said).abs() <= (0.25 * is).max(2.0),
            _ => true,
        };
        self.finding == said.finding && self.word == said.word && size
    }
}

/// JSON is looked into no deeper.
const DEEPEST: usize = 32;

/// The findings of JSON: every object with a `finding`. A finding that neither the table of findings nor the truth knows is no statement, as
/// in sentences.
fn items(value: &Json, truth: &[TrueFinding], all: &mut Vec<TrueFinding>, depth: usize) {
    let inner: Vec<&Json> = match value {
        _ if depth > DEEPEST => Vec::new(),
        Json::Array(items) => items.iter().collect(),
        Json::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    inner.into_iter().for_each(|one| items(one, truth, all, depth + 1));
    let text = |name: &str| value.get(name).and_then(Json::as_str).map(|text| text.trim().to_lowercase());
    let Some(words) = text("finding").filter(|words| !words.is_empty()) else { return };
    let change = text("change").filter(|change| !change.is_empty()).map(|change| match change.as_str() {
        "grew" | "shrank" | "appeared" | "resolved" | "unchanged" => change,
        other => change_of(other).map_or_else(|| other.to_owned(), str::to_owned),
    });
    let mut named: Vec<(String, Vec<Option<String>>)> = Vec::new();
    for mention in mentions(&words, 0) {
        let sides = mention.sides.iter().map(|side| Some((*side).to_owned()));
        named.push((mention.finding.to_owned(), sides.collect()));
    }
    if named.is_empty() {
        named.extend(
            truth
                .iter()
                .find(|one| one.finding.to_lowercase() == words)
                .map(|one| (one.finding.clone(), Vec::new())),
        );
    }
    for (finding, own) in named {
        let sides = match text("side").as_deref() {
            Some("bilateral" | "both" | "both sides") => {
                vec![Some("left".to_owned()), Some("right".to_owned())]
            }
            Some(side) if !side.is_empty() => vec![Some(side.to_owned())],
            _ if own.is_empty() => vec![None],
            _ => own,
        };
        for side in sides {
            all.push(TrueFinding {
                finding: finding.clone(),
                side,
                size_mm: value.get("size_mm").and_then(Json::as_f64).or_else(|| size_of(&words)),
                change: change.clone(),
            });
        }
    }
}

/// The findings that a report states beside those that are `listed`: each once, as fully as any of its sentences tells it.
fn statements(report: &WrittenReport, listed: Vec<TrueFinding>) -> Vec<TrueFinding> {
    let mut all = listed;
    for (at, sentence) in report.sentences.iter().enumerate() {
        let change = change_of(&sentence.text);
        let text = match change {
            // "The nodule has resolved" tells of a nodule that was there.
            Some("resolved") => RESOLVED.as_ref().map(|r| r.replace_all(&sentence.text, "").into_owned()),
            _ => None,
        };
        let text = text.as_deref().unwrap_or(&sentence.text);
        let size = size_of(text);
        for (n, mention) in mentions(text, at).into_iter().enumerate() {
            // A size belongs to the finding that the sentence opens with.
            let size_mm = size.filter(|_| n == 0);
            let sides: Vec<Option<&str>> = match mention.sides.len() {
                0 => vec![None],
                _ => mention.sides.iter().map(|side| Some(*side)).collect(),
            };
            for side in sides {
                let side = side.map(str::to_owned);
                let known = all.iter_mut().find(|other| {
                    other.finding == mention.finding
                        && (other.side == side || other.side.is_none() || side.is_none())
                });
                match known {
                    Some(known) => {
                        known.side = known.side.take().or(side);
                        known.size_mm = known.size_mm.or(size_mm);
                        known.change = known.change.take().or_else(|| change.map(str::to_owned));
                    }
                    None => all.push(TrueFinding {
                        finding: mention.finding.to_owned(),
                        side,
                        size_mm,
                        change: change.map(str::to_owned),
                    }),
                }
            }
        }
    }
    all
}

static RESOLVED: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"(?i)\b(resolved|no\s+longer(\s+\w+)?|disappeared|not\s+seen\s+any\s*more)\b"));
static SIZE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"(?i)(\d+(?:\.\d+)?)\s*-?\s*(mm|cm)\b"));

/// The first size of a sentence in mm.
fn size_of(text: &str) -> Option<f64> {
    let found = SIZE.as_ref()?.captures(text)?;
    let number: f64 = found.get(1)?.as_str().parse().ok()?;
    Some(if found.get(2)?.as_str().eq_ignore_ascii_case("cm") { 10.0 * number } else { number })
}

/// What a sentence says has become of its finding.
fn change_of(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if RESOLVED.as_ref().is_some_and(|r| r.is_match(text)) {
        return Some("resolved");
    }
    if has(&["unchanged", "stable", "no change", "has not changed"]) {
        return Some("unchanged");
    }
    if has(&["grown", "grew", "larger", "increased", "enlarged", "has progressed"]) {
        return Some("grew");
    }
    if has(&["shrunk", "shrank", "smaller", "decreased", "reduced"]) {
        return Some("shrank");
    }
    let new = lower.split(|c: char| !c.is_alphanumeric()).any(|word| word == "new" || word == "appeared");
    new.then_some("appeared")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn counts(report: &str, truth: &[TrueFinding], fact: Fact) -> FactCounts {
        let all = compare(&WrittenReport::read(report), None, truth);
        all.into_iter().find(|(of, _)| *of == fact).unwrap().1
    }

    fn nodule(side: &str, size: f64, change: Option<&str>) -> TrueFinding {
        TrueFinding {
            finding: "nodule".into(),
            side: Some(side.into()),
            size_mm: Some(size),
            change: change.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_stated_is_compared_with_what_is_there() {
        let truth = [nodule("left", 12.0, Some("grew"))];
        let right =
            "FINDINGS: A nodule of 13 mm in the left lung; it has grown.\nIMPRESSION: Growing nodule.";
        for fact in Fact::ALL {
            assert_eq!(counts(right, &truth, fact), FactCounts { right: 1, stated: 1, truth: 1 }, "{fact:?}");
        }
        let wrong = "FINDINGS: A nodule of 2.5 cm in the right lung and a left effusion.";
        assert_eq!(counts(wrong, &truth, Fact::Finding), FactCounts { right: 1, stated: 2, truth: 1 });
        assert_eq!(counts(wrong, &truth, Fact::Side), FactCounts { right: 0, stated: 2, truth: 1 });
        assert_eq!(counts(wrong, &truth, Fact::Size).right, 0);
        assert_eq!(counts(wrong, &truth, Fact::Change), FactCounts { right: 0, stated: 0, truth: 1 });
        assert_eq!(counts("No nodule.", &truth, Fact::Finding), FactCounts { right: 0, stated: 0, truth: 1 });
    }

    #[test]
    fn json_is_compared_by_its_fields() {
        let truth = [
            nodule("left", 18.0, Some("grew")),
            TrueFinding { finding: "drusen".into(), side: None, size_mm: None, change: None },
        ];
        let value = serde_json::json!({"findings": [
            {"finding": "Nodule", "side": "left", "size_mm": 18, "change": "grew"}, {"finding": "drusen"}, {"finding": "no effusion"}, {"finding": "heart normal"}
        ], "impression": "Left nodule. No fracture."});
        let structured = StructuredReport { value: Some(value), problems: Vec::new() };
        let report = WrittenReport::of("", Some(&structured));
        let all = compare(&report, Some(&structured), &truth);
        let right = |right, truth| FactCounts { right, stated: right, truth };
        assert_eq!(all.map(|(_, counts)| counts), [right(2, 2), right(1, 1), right(1, 1), right(1, 1)]);
        // The sentences that are made of it say the same.
        let all = compare(&report, None, &truth);
        assert_eq!(all.map(|(_, counts)| counts.right), [1, 1, 1, 1]);
    }

    #[test]
    fn what_has_gone_is_a_change_alone() {
        let truth = [nodule("left", 12.0, Some("resolved"))];
        let report = "FINDINGS: The nodule in the left lung has resolved.";
        assert_eq!(counts(report, &truth, Fact::Change), FactCounts { right: 1, stated: 1, truth: 1 });
        assert_eq!(counts(report, &truth, Fact::Finding), FactCounts::default());
        assert_eq!(FactCounts::default().precision(), None);
    }
}
