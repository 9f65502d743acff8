//! Reports as JSON by a schema, and what a reply makes of it.

use loupe_core::{JsonSchema, json_in};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The sections of a report that a schema may have.
pub(super) const SECTIONS: [&str; 2] = ["findings", "impression"];
/// Problems of one reply that are told one by one; of further ones their number.
const MOST_PROBLEMS: usize = 256;

/// What a report as JSON looks like. Its root is an object with `findings` or `impression`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportSchema {
    schema: JsonSchema,
    text: String,
}

/// A reply that was asked for as JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StructuredReport {
    /// The JSON in it; nothing where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Where it departs from the schema, by the place within the JSON; empty when it follows it.
    pub problems: Vec<String>,
}

impl ReportSchema {
    /// Reads a schema.
    ///
    /// # Errors
    /// When it is no JSON, cannot be held against a reply, or describes no report.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let value: Value = serde_json::from_str(text).map_err(|e| format!("the schema is no JSON: {e}"))?;
        let types = value.get("type");
        let is_object = types.is_none_or(|types| {
            types == "object" || types.as_array().is_some_and(|all| all.iter().any(|name| name == "object"))
        });
        let schema = JsonSchema::new(value.clone()).map_err(|e| format!("the schema, {e}"))?;
        if !is_object {
            return Err("the schema: a report is an object, so that \"type\" is \"object\"".to_owned());
        }
        if !SECTIONS.iter().any(|name| schema.has_property(name)) {
            return Err("the schema has neither a property \"findings\" nor \"impression\", of which a report is made".to_owned());
        }
        Ok(Self { schema, text: text.to_owned() })
    }

    /// Its words.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The JSON in a reply, and where it departs from the schema. Thoughts, a code fence and words around the JSON are no part of it.
    pub fn read(&self, reply: &str) -> StructuredReport {
        match json_in(reply) {
            Err(e) => StructuredReport {
                value: None,
                problems: vec![format!(
                    "no JSON ({:?} error in line {}, column {})",
                    e.classify(),
                    e.line(),
                    e.column()
                )],
            },
            Ok(value) => {
                let (mut problems, further) = self.schema.problems(&value, MOST_PROBLEMS);
                if further > 0 {
                    problems.push(format!("and {further} further departures from the schema"));
                }
                StructuredReport { value: Some(value), problems }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use serde_json::json;

    const SCHEMA: &str = r#"{"type": "object", "additionalProperties": false, "required": ["findings", "impression"], "properties": {
        "findings": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["finding"], "properties": {
            "finding": {"type": "string", "minLength": 3}, "side": {"enum": ["left", "right", null]},
            "size_mm": {"type": ["number", "null"], "minimum": 1, "maximum": 400}, "count": {"type": "integer"}}}},
        "impression": {"type": "string"}}}"#;

    fn problems(reply: &Value) -> Vec<String> {
        ReportSchema::new(SCHEMA).unwrap().read(&reply.to_string()).problems
    }

    #[test]
    fn a_reply_follows_its_schema_or_says_where_it_does_not() {
        let good = json!({"findings": [{"finding": "nodule", "side": "left", "size_mm": 12}], "impression": "Nodule."});
        assert_eq!(problems(&good), Vec::<String>::new());
        for (change, said) in [
            (json!({"findings": [], "impression": ""}), "/findings has items 0"),
            (json!({"findings": [{"finding": "x"}], "impression": ""}), "/findings/0/finding has length 1"),
            (json!({"findings": [{"side": "left"}], "impression": ""}), "/findings/0/finding is missing"),
            (
                json!({"findings": [{"finding": "mass", "side": "up"}], "impression": ""}),
                "/findings/0/side is none of",
            ),
            (
                json!({"findings": [{"finding": "mass", "size_mm": "12"}], "impression": ""}),
                "size_mm is not of the type",
            ),
            (
                json!({"findings": [{"finding": "mass", "size_mm": 0}], "impression": ""}),
                "size_mm is too small",
            ),
            (
                json!({"findings": [{"finding": "mass", "count": 1.5}], "impression": ""}),
                "count is not of the type",
            ),
            (
                json!({"findings": [{"finding": "mass"}], "impression": "", "name": "Doe"}),
                "a property that the schema does not name",
            ),
            (json!({"findings": [{"finding": "mass"}]}), "/impression is missing"),
            (json!([1]), "the document is not of the type"),
        ] {
            let found = problems(&change);
            assert!(
                found.len() == 1 && found[0].contains(said) && !found[0].contains("Doe"),
                "{said}: {found:?}"
            );
        }
    }

    #[test]
    fn json_is_found_among_words_and_told_as_a_report() {
        let schema = ReportSchema::new(SCHEMA).unwrap();
        let reply = "<think>{}</think>Here it is:\n```json\n{\"findings\": [{\"finding\": \"nodule\", \"side\": \"left\"}], \"impression\": \"Nodule.\"}\n```";
        let read = schema.read(reply);
        assert_eq!(read.problems, Vec::<String>::new());
        assert_eq!(read.told().unwrap().text(), "Findings:\nnodule (left).\n\nImpression:\nNodule.");
        let none = schema.read("The lungs are clear.");
        assert!(none.value.is_none() && none.problems[0].starts_with("no JSON"), "{none:?}");
        assert!(none.told().is_none());
    }

    #[test]
    fn every_departure_is_told_or_counted() {
        let all = |n: usize| problems(&json!({"findings": vec![json!({"finding": 1}); n], "impression": ""}));
        assert_eq!(all(12).len(), 12);
        let many = all(300);
        assert_eq!((many.len(), many[256].as_str()), (257, "and 44 further departures from the schema"));
    }

    #[test]
    fn numbers_are_compared_by_what_they_are() {
        let schema = |text: &str| ReportSchema::new(text).unwrap();
        let one = schema(r#"{"properties": {"findings": {"minItems": 1.0, "items": {"enum": [1, [2]]}}}}"#);
        assert_eq!(one.read(r#"{"findings": [1.0, [2.0]]}"#).problems, Vec::<String>::new());
        assert_eq!(one.read(r#"{"findings": []}"#).problems.len(), 1);
        assert_eq!(one.read(r#"{"findings": [1.5]}"#).problems.len(), 1);
    }

    #[test]
    fn a_schema_at_fault_is_refused() {
        for (text, said) in [
            ("{", "no JSON"),
            (r#"{"type": "object"}"#, "neither a property"),
            (r#"{"properties": {"findings": {"patern": "x"}}}"#, "patern: this keyword"),
            (r#"{"properties": {"findings": {"minLenght": 1}}}"#, "did you mean \"minLength\""),
            (
                r#"{"properties": {"findings": {"type": "text"}}}"#,
                "/findings/type: expected the name of a type",
            ),
            (r#"{"properties": {"findings": 3}}"#, "a schema is an object"),
            (r#"{"properties": {"findings": {"type": []}}}"#, "/findings/type: expected the name of a type"),
            (r#"{"properties": {"findings": {"enum": []}}}"#, "expected a list of values"),
            (r#"{"properties": {"findings": {"minLength": 3, "maxLength": 2}}}"#, "minLength is more than"),
            (r#"{"properties": {"findings": {"minItems": 3, "maxItems": 2}}}"#, "minItems is more than"),
            (r#"{"properties": {"findings": {"minimum": 3, "maximum": 2.5}}}"#, "minimum is more than"),
            (r#"{"properties": {"findings": {"minItems": 1.5}}}"#, "expected a whole number"),
            (r#"{"type": "array", "properties": {"findings": {}}}"#, "a report is an object"),
            (
                r#"{"additionalProperties": false, "required": ["impression"], "properties": {"findings": {}}}"#,
                "\"impression\" is required",
            ),
        ] {
            let error = ReportSchema::new(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
