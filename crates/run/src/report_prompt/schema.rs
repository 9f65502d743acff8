//! Reports as JSON by a schema: the part of JSON Schema (draft 2020-12) that reports need, and what a reply makes of it.

use loupe_core::reasoning::answer_words;
use loupe_core::words::did_you_mean;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Keywords that are checked.
const KEYWORDS: [&str; 13] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
];
/// Keywords that only describe.
const DESCRIPTIVE: [&str; 7] = ["$schema", "$id", "$comment", "title", "description", "default", "examples"];
/// Types of values.
const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];
/// The sections of a report that a schema may have.
pub(super) const SECTIONS: [&str; 2] = ["findings", "impression"];
/// Problems of one reply that are told one by one; of further ones their number.
const MOST_PROBLEMS: usize = 256;
/// Schemas nest no deeper.
const DEEPEST: usize = 32;

/// What a report as JSON looks like. Its root is an object with `findings` or `impression`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportSchema {
    root: Node,
    text: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Node {
    types: Vec<String>,
    properties: Vec<(String, Node)>,
    required: Vec<String>,
    /// Refuses properties that are not named.
    closed: bool,
    items: Option<Box<Node>>,
    choices: Option<Vec<Value>>,
    items_count: [Option<u64>; 2],
    length: [Option<u64>; 2],
    range: [Option<f64>; 2],
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
    /// When it is no JSON, uses a keyword that is not checked here, or describes no report.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let value: Value = serde_json::from_str(text).map_err(|e| format!("the schema is no JSON: {e}"))?;
        let root = Node::read(&value, "", 0)?;
        if !root.types.is_empty() && !root.types.iter().any(|name| name == "object") {
            return Err(
                "the schema, the whole: a report is an object, so that \"type\" is \"object\"".to_owned()
            );
        }
        if !root.properties.iter().any(|(name, _)| SECTIONS.contains(&name.as_str())) {
            return Err("the schema has neither a property \"findings\" nor \"impression\", of which a report is made".to_owned());
        }
        Ok(Self { root, text: text.to_owned() })
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
                let mut problems = Vec::new();
                self.root.check(&value, "", &mut problems);
                if problems.len() > MOST_PROBLEMS {
                    let further = problems.len() - MOST_PROBLEMS;
                    problems.truncate(MOST_PROBLEMS);
                    problems.push(format!("and {further} further departures from the schema"));
                }
                StructuredReport { value: Some(value), problems }
            }
        }
    }
}

/// The JSON in a reply: all of its answer, or from the first brace to the last.
///
/// # Errors
/// When there is none.
pub fn json_in(reply: &str) -> Result<Value, serde_json::Error> {
    let words = answer_words(reply).trim();
    serde_json::from_str::<Value>(words).or_else(|e| {
        let inner = words.find('{').zip(words.rfind('}')).and_then(|(from, to)| words.get(from..=to));
        inner.map_or(Err(e), serde_json::from_str::<Value>)
    })
}

impl Node {
    fn read(value: &Value, at: &str, depth: usize) -> Result<Self, String> {
        let wrong = |what: String| format!("the schema, {}: {what}", place(at));
        if depth > DEEPEST {
            return Err(wrong(format!("nests deeper than {DEEPEST}")));
        }
        let Some(fields) = value.as_object() else {
            return Err(wrong("expected an object of keywords".to_owned()));
        };
        let mut node = Self::default();
        for (keyword, value) in fields {
            let count = || whole(value).ok_or_else(|| wrong(format!("{keyword:?} takes a whole number")));
            let number = || value.as_f64().ok_or_else(|| wrong(format!("{keyword:?} takes a number")));
            match keyword.as_str() {
                "type" => node.types = types(value).map_err(wrong)?,
                "properties" => {
                    let all = value
                        .as_object()
                        .ok_or_else(|| wrong("\"properties\" takes an object".to_owned()))?;
                    for (name, inner) in all {
                        node.properties
                            .push((name.clone(), Self::read(inner, &format!("{at}/{name}"), depth + 1)?));
                    }
                }
                "required" => {
                    let names =
                        value.as_array().map(|all| all.iter().map(|name| name.as_str().map(str::to_owned)));
                    let names = names.and_then(Iterator::collect::<Option<Vec<String>>>);
                    node.required =
                        names.ok_or_else(|| wrong("\"required\" takes a list of names".to_owned()))?;
                }
                "additionalProperties" => {
                    let open = value.as_bool();
                    node.closed =
                        !open.ok_or_else(|| wrong(format!("{keyword:?} takes true or false here")))?;
                }
                "items" => node.items = Some(Box::new(Self::read(value, &format!("{at}/0"), depth + 1)?)),
                "enum" => {
                    let all = value.as_array().filter(|all| !all.is_empty());
                    let all = all.ok_or_else(|| wrong("\"enum\" takes a list of values".to_owned()))?;
                    node.choices = Some(all.clone());
                }
                "const" => node.choices = Some(vec![value.clone()]),
                "minItems" => node.items_count[0] = Some(count()?),
                "maxItems" => node.items_count[1] = Some(count()?),
                "minLength" => node.length[0] = Some(count()?),
                "maxLength" => node.length[1] = Some(count()?),
                "minimum" => node.range[0] = Some(number()?),
                "maximum" => node.range[1] = Some(number()?),
                other if DESCRIPTIVE.contains(&other) => {}
                other => {
                    let near = did_you_mean(other, KEYWORDS);
                    return Err(wrong(format!(
                        "the keyword {other:?} is not checked here{near}; these are: {}",
                        KEYWORDS.join(", ")
                    )));
                }
            }
        }
        node.contradiction().map_or(Ok(node), |what| Err(wrong(what)))
    }

    /// Why nothing can follow this.
    fn contradiction(&self) -> Option<String> {
        let crossed = |[low, high]: [Option<u64>; 2]| low.zip(high).is_some_and(|(low, high)| low > high);
        let [low, high] = self.range;
        for (what, is) in [
            ("minItems is more than maxItems", crossed(self.items_count)),
            ("minLength is more than maxLength", crossed(self.length)),
            ("minimum is more than maximum", low.zip(high).is_some_and(|(low, high)| low > high)),
        ] {
            if is {
                return Some(format!("nothing follows it: {what}"));
            }
        }
        let named = |name: &&String| !self.properties.iter().any(|(known, _)| known == *name);
        let lacking = self.required.iter().find(named).filter(|_| self.closed)?;
        Some(format!("nothing follows it: {lacking:?} is required, and \"properties\" does not allow it"))
    }

    /// Adds where `value` departs from this. Words of the reply are not repeated.
    fn check(&self, value: &Value, at: &str, problems: &mut Vec<String>) {
        if !self.types.is_empty() && !self.types.iter().any(|name| is_a(value, name)) {
            problems.push(format!("{}: {} instead of {}", place(at), kind(value), self.types.join(" or ")));
            return;
        }
        if self.choices.as_ref().is_some_and(|choices| !choices.iter().any(|choice| equal(choice, value))) {
            problems.push(format!("{}: none of the values that are allowed", place(at)));
        }
        let mut within = |what: &str, n: u64, [low, high]: [Option<u64>; 2]| {
            if low.is_some_and(|low| n < low) || high.is_some_and(|high| n > high) {
                problems.push(format!("{}: {n} {what}, which the schema does not allow", place(at)));
            }
        };
        match value {
            Value::String(text) => within("characters", text.chars().count() as u64, self.length),
            Value::Array(all) => {
                within("items", all.len() as u64, self.items_count);
                if let Some(items) = &self.items {
                    all.iter()
                        .enumerate()
                        .for_each(|(n, one)| items.check(one, &format!("{at}/{n}"), problems));
                }
            }
            Value::Number(number) => {
                let [low, high] = self.range;
                let n = number.as_f64().unwrap_or(f64::NAN);
                if low.is_some_and(|low| n < low) || high.is_some_and(|high| n > high) {
                    problems
                        .push(format!("{}: {number} is out of the range that the schema allows", place(at)));
                }
            }
            Value::Object(fields) => self.check_fields(fields, at, problems),
            _ => {}
        }
    }

    fn check_fields(&self, fields: &Map<String, Value>, at: &str, problems: &mut Vec<String>) {
        for name in self.required.iter().filter(|name| !fields.contains_key(*name)) {
            problems.push(format!("{}: {name:?} is missing", place(at)));
        }
        let unknown =
            fields.keys().filter(|name| !self.properties.iter().any(|(known, _)| known == *name)).count();
        if self.closed && unknown > 0 {
            problems.push(format!("{}: {unknown} properties that the schema does not name", place(at)));
        }
        for (name, node) in &self.properties {
            if let Some(value) = fields.get(name) {
                node.check(value, &format!("{at}/{name}"), problems);
            }
        }
    }
}

/// A JSON pointer, or the root.
fn place(at: &str) -> &str {
    if at.is_empty() { "the whole" } else { at }
}

fn types(value: &Value) -> Result<Vec<String>, String> {
    let names: Option<Vec<&str>> = match value {
        Value::String(name) => Some(vec![name]),
        Value::Array(all) => all.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let names = names.filter(|names| !names.is_empty() && names.iter().all(|name| TYPES.contains(name)));
    names
        .map(|names| names.into_iter().map(str::to_owned).collect())
        .ok_or_else(|| format!("\"type\" takes one or several of {}", TYPES.join(", ")))
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        name => kind(value) == name,
    }
}

/// A number without a fraction, however it is written (`1`, `1.0`).
fn whole(value: &Value) -> Option<u64> {
    let whole = |n: &f64| *n >= 0.0 && n.fract() == 0.0 && *n <= 2f64.powi(53);
    value.as_u64().or_else(|| value.as_f64().filter(whole).map(|n| n as u64))
}

/// Equal as JSON Schema compares: numbers by what they are, not by how they are written.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| equal(x, y)))
        }
        _ => a == b,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
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
            (json!({"findings": [], "impression": ""}), "/findings: 0 items"),
            (json!({"findings": [{"finding": "x"}], "impression": ""}), "/findings/0/finding: 1 characters"),
            (
                json!({"findings": [{"side": "left"}], "impression": ""}),
                "/findings/0: \"finding\" is missing",
            ),
            (
                json!({"findings": [{"finding": "mass", "side": "up"}], "impression": ""}),
                "/findings/0/side: none of",
            ),
            (
                json!({"findings": [{"finding": "mass", "size_mm": "12"}], "impression": ""}),
                "size_mm: string instead of number or null",
            ),
            (json!({"findings": [{"finding": "mass", "size_mm": 0}], "impression": ""}), "out of the range"),
            (
                json!({"findings": [{"finding": "mass", "count": 1.5}], "impression": ""}),
                "number instead of integer",
            ),
            (json!({"findings": [{"finding": "mass"}], "impression": "", "name": "Doe"}), "1 properties"),
            (json!({"findings": [{"finding": "mass"}]}), "\"impression\" is missing"),
            (json!([1]), "the whole: array instead of object"),
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
            (r#"{"properties": {"findings": {"patern": "x"}}}"#, "\"patern\" is not checked"),
            (r#"{"properties": {"findings": {"minLenght": 1}}}"#, "did you mean \"minLength\""),
            (r#"{"properties": {"findings": {"type": "text"}}}"#, "/findings: \"type\" takes"),
            (r#"{"properties": {"findings": 3}}"#, "expected an object"),
            (r#"{"properties": {"findings": {"type": []}}}"#, "/findings: \"type\" takes"),
            (r#"{"properties": {"findings": {"enum": []}}}"#, "takes a list of values"),
            (r#"{"properties": {"findings": {"minLength": 3, "maxLength": 2}}}"#, "minLength is more than"),
            (r#"{"properties": {"findings": {"minItems": 3, "maxItems": 2}}}"#, "minItems is more than"),
            (r#"{"properties": {"findings": {"minimum": 3, "maximum": 2.5}}}"#, "minimum is more than"),
            (r#"{"properties": {"findings": {"minItems": 1.5}}}"#, "takes a whole number"),
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
