//! JSON Schema (draft 2020-12), as far as servers of models keep to it: whether a document fits.
//!
//! A keyword that is not known here is refused when the schema is read, because a document could not be held against it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use thiserror::Error;

/// Keywords that say nothing about which documents fit (`format` is an annotation where nobody asks for more).
const ANNOTATIONS: [&str; 14] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
];
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];
/// Schemas within schemas, references followed: more than this is a circle.
const DEEPEST: usize = 256;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{at}: {problem}")]
pub struct SchemaError {
    /// The place in the schema, as a JSON pointer (RFC 6901); `#` is the whole.
    pub at: String,
    /// What is wrong there.
    pub problem: String,
}

/// A schema whose every keyword is understood. Copies share it; the order of its properties is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct JsonSchema(Arc<Value>);

impl JsonSchema {
    /// A schema after a look at every part of it.
    ///
    /// # Errors
    /// When a keyword is not known, has a value of the wrong kind, or refers to nothing.
    pub fn new(schema: Value) -> Result<Self, SchemaError> {
        let checked = Self(Arc::new(schema));
        checked.check(&checked.0, "#", 0)?;
        Ok(checked)
    }

    /// As it was given.
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// Does the schema name this property of a document that is an object?
    pub fn has_property(&self, name: &str) -> bool {
        self.names_property(&self.0, name, 0)
    }

    /// The first thing in which the document differs from the schema, with its place; nothing where it fits. Nothing of
    /// the document is repeated but names that the schema has.
    pub fn problem(&self, document: &Value) -> Option<String> {
        self.differs(&self.0, document, "", 0)
    }

    fn names_property(&self, schema: &Value, name: &str, depth: usize) -> bool {
        let Some(schema) = schema.as_object().filter(|_| depth < DEEPEST) else { return false };
        let within = |schema: &Value| self.names_property(schema, name, depth + 1);
        let here = schema.get("properties").is_some_and(|p| p.get(name).is_some());
        let there = schema.get("$ref").and_then(Value::as_str).and_then(|at| self.target(at));
        let parts = ["allOf", "anyOf", "oneOf"].iter().filter_map(|k| schema.get(*k)?.as_array()).flatten();
        here || there.is_some_and(within) || parts.into_iter().any(within)
    }

    /// What a reference within the schema means.
    fn target(&self, reference: &str) -> Option<&Value> {
        let path = reference.strip_prefix('#')?;
        self.0.pointer(path)
    }

    fn check(&self, schema: &Value, at: &str, depth: usize) -> Result<(), SchemaError> {
        let wrong = |problem: String| Err(SchemaError { at: at.to_owned(), problem });
        if depth > DEEPEST {
            return wrong("schemas lie too deep in each other".to_owned());
        }
        let object = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(object) => object,
            _ => return wrong("a schema is an object, true or false".to_owned()),
        };
        for (keyword, value) in object {
            let place = format!("{at}/{}", keyword.replace('~', "~0").replace('/', "~1"));
            let below = |schema: &Value, end: &str| self.check(schema, &format!("{place}{end}"), depth + 1);
            let expected = match keyword.as_str() {
                "type" => {
                    let one = |v: &Value| v.as_str().is_some_and(|t| TYPES.contains(&t));
                    let fits = one(value) || value.as_array().is_some_and(|all| all.iter().all(one));
                    (!fits).then_some("the name of a type, or a list of them")
                }
                "enum" => (!value.is_array()).then_some("a list"),
                "const" => None,
                "required" => {
                    let fits = value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
                    (!fits).then_some("a list of names")
                }
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
                    value.as_u64().is_none().then_some("a whole number from 0")
                }
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                    (!value.is_number()).then_some("a number")
                }
                "uniqueItems" => (!value.is_boolean()).then_some("true or false"),
                "properties" | "$defs" | "definitions" => match value.as_object() {
                    Some(all) => {
                        all.iter().try_for_each(|(name, schema)| below(schema, &format!("/{name}")))?;
                        None
                    }
                    None => Some("an object of schemas"),
                },
                "additionalProperties" | "items" | "not" => {
                    below(value, "")?;
                    None
                }
                "allOf" | "anyOf" | "oneOf" | "prefixItems" => match value.as_array() {
                    Some(all) => {
                        all.iter().enumerate().try_for_each(|(n, s)| below(s, &format!("/{n}")))?;
                        None
                    }
                    None => Some("a list of schemas"),
                },
                "$ref" => match value.as_str().and_then(|at| self.target(at)) {
                    Some(_) => None,
                    None => Some("a place within this schema, such as #/$defs/NAME"),
                },
                known if ANNOTATIONS.contains(&known) => None,
                _ => {
                    let problem = "this keyword cannot be held against a reply here; leave it out".to_owned();
                    return Err(SchemaError { at: place, problem });
                }
            };
            if let Some(expected) = expected {
                return Err(SchemaError { at: place, problem: format!("expected {expected}") });
            }
        }
        Ok(())
    }

    fn differs(&self, schema: &Value, value: &Value, at: &str, depth: usize) -> Option<String> {
        let here = |problem: &str| {
            let place = if at.is_empty() { "the document" } else { at };
            Some(format!("{place} {problem}"))
        };
        let keywords = match schema {
            Value::Object(keywords) if depth <= DEEPEST => keywords,
            Value::Object(_) => return here("cannot be checked: the schema refers to itself in a circle"),
            Value::Bool(false) => return here("is not allowed"),
            _ => return None,
        };
        let get = |name: &str| keywords.get(name);
        let fits = |schema: &Value| self.differs(schema, value, at, depth + 1).is_none();
        if let Some(target) = get("$ref").and_then(Value::as_str).and_then(|at| self.target(at))
            && let Some(problem) = self.differs(target, value, at, depth + 1)
        {
            return Some(problem);
        }
        if let Some(kinds) = get("type") {
            let one = |kind: &Value| kind.as_str().is_some_and(|kind| is_of(kind, value));
            if !one(kinds) && !kinds.as_array().is_some_and(|all| all.iter().any(one)) {
                return here(&format!("is not of the type {kinds}"));
            }
        }
        if get("enum").and_then(Value::as_array).is_some_and(|all| !all.iter().any(|one| same(one, value))) {
            return here("is none of the values that the schema lists");
        }
        if get("const").is_some_and(|only| !same(only, value)) {
            return here("is not the one value that the schema allows");
        }
        let parts = |name: &str| get(name).and_then(Value::as_array).map(Vec::as_slice);
        if let Some(all) = parts("allOf") {
            let problem = all.iter().find_map(|schema| self.differs(schema, value, at, depth + 1));
            if problem.is_some() {
                return problem;
            }
        }
        if parts("anyOf").is_some_and(|all| !all.iter().any(fits)) {
            return here("fits none of the schemas of anyOf");
        }
        if parts("oneOf").is_some_and(|all| all.iter().filter(|schema| fits(schema)).count() != 1) {
            return here("does not fit exactly one of the schemas of oneOf");
        }
        if get("not").is_some_and(fits) {
            return here("fits the schema of not");
        }
        match value {
            Value::Object(object) => self.object_differs(keywords, object, at, depth),
            Value::Array(items) => self.items_differ(keywords, items, at, depth),
            Value::String(text) => bounds(keywords, "Length", text.chars().count()).and_then(|p| here(&p)),
            Value::Number(number) => number.as_f64().and_then(|n| range(keywords, n)).and_then(|p| here(&p)),
            Value::Null | Value::Bool(_) => None,
        }
    }

    fn object_differs(
        &self,
        keywords: &Map<String, Value>,
        object: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Option<String> {
        let place = if at.is_empty() { "the document" } else { at };
        let required = keywords.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if !object.contains_key(name) {
                return Some(format!("{at}/{name} is missing"));
            }
        }
        if let Some(problem) = bounds(keywords, "Properties", object.len()) {
            return Some(format!("{place} {problem}"));
        }
        let declared = keywords.get("properties").and_then(Value::as_object);
        for (name, value) in object {
            let problem = match declared.and_then(|all| all.get(name)) {
                Some(schema) => self.differs(schema, value, &format!("{at}/{name}"), depth + 1),
                None => match keywords.get("additionalProperties") {
                    Some(Value::Bool(false)) => {
                        Some(format!("{place} has a property that the schema does not name"))
                    }
                    Some(schema) => self.differs(schema, value, &format!("{at}/*"), depth + 1),
                    None => None,
                },
            };
            if problem.is_some() {
                return problem;
            }
        }
        None
    }

    fn items_differ(
        &self,
        keywords: &Map<String, Value>,
        items: &[Value],
        at: &str,
        depth: usize,
    ) -> Option<String> {
        let place = if at.is_empty() { "the document" } else { at };
        if let Some(problem) = bounds(keywords, "Items", items.len()) {
            return Some(format!("{place} {problem}"));
        }
        let first = keywords.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (n, item) in items.iter().enumerate() {
            let schema = first.get(n).or_else(|| keywords.get("items"));
            let problem = schema.and_then(|s| self.differs(s, item, &format!("{at}/{n}"), depth + 1));
            if problem.is_some() {
                return problem;
            }
        }
        let unique = keywords.get("uniqueItems") == Some(&Value::Bool(true));
        let twice = |(n, one): (usize, &Value)| items.iter().take(n).any(|other| same(one, other));
        (unique && items.iter().enumerate().any(twice)).then(|| format!("{place} has an item twice"))
    }
}

impl TryFrom<Value> for JsonSchema {
    type Error = SchemaError;

    fn try_from(schema: Value) -> Result<Self, SchemaError> {
        Self::new(schema)
    }
}

impl From<JsonSchema> for Value {
    fn from(schema: JsonSchema) -> Self {
        Arc::unwrap_or_clone(schema.0)
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        // 1.0 is a whole number (JSON Schema validation 6.1.1).
        _ => value.as_f64().is_some_and(|n| n.fract() == 0.0),
    }
}

/// Equal as JSON Schema has it: numbers by their size, members in any order.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

/// `minLength`, `maxItems` and their like.
fn bounds(keywords: &Map<String, Value>, of: &str, count: usize) -> Option<String> {
    let bound = |end: &str| keywords.get(&format!("{end}{of}")).and_then(Value::as_u64);
    let count = count as u64;
    let words = of.to_lowercase();
    match (bound("min"), bound("max")) {
        (Some(least), _) if count < least => Some(format!("has {words} {count}, the least is {least}")),
        (_, Some(most)) if count > most => Some(format!("has {words} {count}, the most is {most}")),
        _ => None,
    }
}

fn range(keywords: &Map<String, Value>, number: f64) -> Option<String> {
    let bound = |name: &str| keywords.get(name).and_then(Value::as_f64);
    let below = bound("minimum").is_some_and(|least| number < least)
        || bound("exclusiveMinimum").is_some_and(|least| number <= least);
    let above = bound("maximum").is_some_and(|most| number > most)
        || bound("exclusiveMaximum").is_some_and(|most| number >= most);
    (below || above).then(|| format!("is too {}", if below { "small" } else { "large" }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use serde_json::json;

    fn schema() -> JsonSchema {
        JsonSchema::new(json!({
            "$defs": { "site": { "type": "string", "enum": ["left", "right"] } },
            "type": "object", "title": "Finding", "additionalProperties": false,
            "properties": {
                "thought": { "type": "string", "minLength": 1, "maxLength": 5 },
                "answer": { "anyOf": [{ "$ref": "#/$defs/site" }, { "const": null }] },
                "sizes": { "type": "array", "minItems": 1, "uniqueItems": true, "items": { "type": ["integer", "null"], "exclusiveMinimum": 0, "maximum": 9 } },
                "more": { "type": "object", "additionalProperties": { "type": "boolean" } },
            },
            "required": ["answer"],
        }))
        .unwrap()
    }

    #[test]
    fn documents_that_fit_have_no_problem() {
        for document in [
            json!({ "answer": "left" }),
            json!({ "answer": null, "thought": "Größe", "sizes": [1, 2.0, null], "more": { "a": true } }),
        ] {
            assert_eq!(schema().problem(&document), None, "{document}");
        }
        assert!(schema().has_property("answer") && !schema().has_property("side"));
    }

    #[test]
    fn what_differs_is_named_without_words_of_the_document() {
        for (document, place) in [
            (json!([]), "the document is not of the type \"object\""),
            (json!({}), "/answer is missing"),
            (json!({ "answer": "secret" }), "/answer fits none of the schemas of anyOf"),
            (json!({ "answer": null, "secret": 1 }), "a property that the schema does not name"),
            (json!({ "answer": null, "thought": "" }), "/thought has length 0, the least is 1"),
            (json!({ "answer": null, "thought": "secret" }), "/thought has length 6, the most is 5"),
            (json!({ "answer": null, "sizes": [] }), "/sizes has items 0"),
            (json!({ "answer": null, "sizes": [1, 1.0] }), "/sizes has an item twice"),
            (json!({ "answer": null, "sizes": [1.5] }), "/sizes/0 is not of the type"),
            (json!({ "answer": null, "sizes": [3, 0] }), "/sizes/1 is too small"),
            (json!({ "answer": null, "sizes": [10] }), "/sizes/0 is too large"),
            (json!({ "answer": null, "more": { "secret": 1 } }), "/more/* is not of the type"),
        ] {
            let problem = schema().problem(&document).unwrap();
            assert!(problem.contains(place) && !problem.contains("secret"), "{document}: {problem}");
        }
        let with = |keyword: &str, value: Value| JsonSchema::new(json!({ keyword: value })).unwrap();
        assert!(with("oneOf", json!([{ "type": "number" }, { "minimum": 3 }])).problem(&json!(4)).is_some());
        assert!(with("oneOf", json!([{ "type": "number" }, { "minimum": 3 }])).problem(&json!(2)).is_none());
        assert!(with("not", json!({ "type": "null" })).problem(&json!(null)).is_some());
        assert!(with("prefixItems", json!([{ "const": 1 }, false])).problem(&json!([1, 2])).is_some());
        assert!(
            with("allOf", json!([{ "const": { "a": 1, "b": 2 } }]))
                .problem(&json!({ "b": 2.0, "a": 1 }))
                .is_none()
        );
        assert!(with("$ref", json!("#")).problem(&json!(1)).unwrap().contains("circle"));
    }

    #[test]
    fn what_is_not_understood_is_refused_where_it_stands() {
        for (schema, place) in [
            (json!({ "properties": { "a": { "pattern": "x" } } }), "#/properties/a/pattern: this keyword"),
            (json!({ "type": "text" }), "#/type: expected the name of a type"),
            (json!({ "$ref": "#/$defs/none" }), "#/$ref: expected a place within"),
            (json!({ "$ref": "https://elsewhere/schema" }), "#/$ref"),
            (json!({ "items": 3 }), "#/items: a schema is an object"),
            (json!({ "anyOf": { "type": "null" } }), "#/anyOf: expected a list"),
            (json!({ "required": "a" }), "#/required: expected a list of names"),
            (json!(7), "#: a schema is"),
        ] {
            let error = JsonSchema::new(schema).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
        let order = r#"{"type":"object","properties":{"reasoning":{},"answer":{}}}"#;
        let schema: JsonSchema = serde_json::from_str(order).unwrap();
        assert_eq!(serde_json::to_string(&schema).unwrap(), order);
    }
}
