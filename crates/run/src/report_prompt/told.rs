//! A report as JSON in words. Its sections are those of the JSON: its words are not searched for headings, so that a property may be called
//! like one.

use super::schema::{SECTIONS, StructuredReport};
use loupe_core::Record;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What the JSON of a report says, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToldReport {
    /// The findings, where there are any.
    pub findings: Option<String>,
    /// The impression.
    pub impression: Option<String>,
    /// Every other property of the root that holds anything, as `name: value`.
    pub others: Vec<String>,
}

impl StructuredReport {
    /// That of a reply whose template has a schema.
    pub fn of(record: &Record) -> Option<Self> {
        let structured = record.rounds()?.summary.get("structured")?;
        serde_json::from_value(structured.clone()).ok()
    }

    /// The JSON in words; nothing where it has neither section.
    pub fn told(&self) -> Option<ToldReport> {
        let Some(Value::Object(fields)) = &self.value else { return None };
        if !SECTIONS.iter().any(|name| fields.contains_key(*name)) {
            return None;
        }
        let section = |name: &str| fields.get(name).map(told).filter(|text| !text.is_empty());
        let others = fields.iter().filter(|(name, _)| !SECTIONS.contains(&name.as_str()));
        Some(ToldReport {
            findings: section("findings"),
            impression: section("impression"),
            others: others.filter_map(|(name, value)| named(name, value)).collect(),
        })
    }
}

impl ToldReport {
    /// The sections as a reader has them: the other properties stand under the last one.
    pub fn sections(&self) -> [Option<String>; 2] {
        let mut both = [self.findings.clone(), self.impression.clone()];
        if !self.others.is_empty() {
            let others = self.others.join("\n");
            let last = usize::from(both[1].is_some() || both[0].is_none());
            both[last] = Some(match both[last].take() {
                Some(text) => format!("{text}\n{others}"),
                None => others,
            });
        }
        both
    }

    /// The sections that are scored, by their names; the other properties are part of none.
    pub fn by_name(&self) -> BTreeMap<String, String> {
        let both = [&self.findings, &self.impression].map(|text| text.clone().unwrap_or_default());
        SECTIONS.map(str::to_owned).into_iter().zip(both).collect()
    }

    /// The whole report with headings.
    pub fn text(&self) -> String {
        let [findings, impression] = self.sections();
        let both = [("Findings", findings), ("Impression", impression)];
        let told = both.into_iter().filter_map(|(name, text)| Some(format!("{name}:\n{}", text?)));
        told.collect::<Vec<_>>().join("\n\n")
    }
}

/// `name: value` on one line; nothing where there is no value.
fn named(name: &str, value: &Value) -> Option<String> {
    let text = told(value);
    (!text.is_empty()).then(|| format!("{name}: {}", text.replace('\n', ", ")))
}

/// A value in words: a text as it is, a list line by line, an object in a sentence.
fn told(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Array(all) => {
            all.iter().map(told).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
        }
        Value::Object(fields) => told_object(fields),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// "nodule (left), 18 mm, grew." where it has a `finding`; its `text` as it is; what it has besides, name by name.
fn told_object(fields: &Map<String, Value>) -> String {
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => Some(text.trim()).filter(|text| !text.is_empty()),
        _ => None,
    };
    let (mut head, mut used): (String, Vec<&str>) = (String::new(), Vec::new());
    if let Some(words) = text("text") {
        (head, used) = (words.trim_end_matches('.').to_owned(), vec!["text"]);
    } else if let Some(finding) = text("finding") {
        used.push("finding");
        head.push_str(finding.trim_end_matches('.'));
        if let Some(side) = text("side") {
            used.push("side");
            head.push_str(&format!(" ({side})"));
        }
        if let Some(Value::Number(size)) = fields.get("size_mm") {
            used.push("size_mm");
            head.push_str(&format!(", {size} mm"));
        }
        if let Some(change) = text("change") {
            used.push("change");
            head.push_str(&format!(", {change}"));
        }
    }
    let rest = fields.iter().filter(|(name, _)| !used.contains(&name.as_str()));
    let parts = Some(head).filter(|head| !head.is_empty()).into_iter();
    let parts: Vec<String> = parts.chain(rest.filter_map(|(name, value)| named(name, value))).collect();
    match parts.join("; ") {
        none if none.is_empty() => none,
        words if words.ends_with(['.', '!', '?']) => words,
        words => format!("{words}."),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use serde_json::json;

    fn of(value: Value) -> Option<ToldReport> {
        StructuredReport { value: Some(value), problems: Vec::new() }.told()
    }

    #[test]
    fn a_finding_is_a_sentence_and_nothing_is_lost() {
        let full = json!({"finding": "nodule", "side": "left", "size_mm": 18, "change": "grew", "comparison": "CT of May", "sure": true, "more": null});
        let report = of(json!({"findings": [full, {"text": "Heart normal.", "code": 3}, "Clear."], "impression": ["A.", {"text": "B."}]})).unwrap();
        assert_eq!(
            report.findings.as_deref(),
            Some(
                "nodule (left), 18 mm, grew; comparison: CT of May; sure: true.\nHeart normal; code: 3.\nClear."
            )
        );
        assert_eq!(report.impression.as_deref(), Some("A.\nB."));
        let odd = of(json!({"findings": {"finding": 3, "side": ["left"], "size_mm": "two"}})).unwrap();
        assert_eq!(odd.findings.as_deref(), Some("finding: 3; side: left; size_mm: two."));
    }

    #[test]
    fn other_properties_stand_under_the_last_section() {
        let report = of(json!({"findings": "A.", "impression": "B.", "recommendation": "CT.", "critical": true, "grade": [1, 2]})).unwrap();
        assert_eq!(
            report.text(),
            "Findings:\nA.\n\nImpression:\nB.\nrecommendation: CT.\ncritical: true\ngrade: 1, 2"
        );
        assert_eq!(report.by_name()["impression"], "B.");
        let alone = of(json!({"findings": "A.", "impression": "", "technique": "PA."})).unwrap();
        assert_eq!(alone.sections(), [Some("A.\ntechnique: PA.".to_owned()), None]);
        assert_eq!(of(json!({"findings": []})).unwrap().text(), "");
        assert_eq!(of(json!({"technique": "PA."})), None);
        assert_eq!(of(json!(["findings"])), None);
    }
}
