//! JSON Schema (draft 2020-12), as far as servers of models keep to it: whether a document fits.
//!
//! A keyword that is not known here is refused when the schema is read, because a document could not be held against it.

use crate::words::did_you_mean;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::cell::Cell;
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
/// Keywords that a document is held against.
const KEYWORDS: [&str; 24] = [
    "type",
    "enum",
    "const",
    "required",
    "properties",
    "additionalProperties",
    "minProperties",
    "maxProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "$ref",
];
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];
/// Schemas within schemas, references followed: more than this is a circle.
const DEEPEST: usize = 256;
/// Schemas that a document is held against at most: parts that refer to each other several times would double at each step.
const MOST_LOOKS: usize = 1_000_000;
const GIVEN_UP: &str = "cannot be checked: the schema refers to itself in a circle, or too often";

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
        self.differences(document, Found::first()).all.pop()
    }

    /// The first `most` things in which the document differs, each as [`JsonSchema::problem`], and the number of further ones.
    pub fn problems(&self, document: &Value, most: usize) -> (Vec<String>, usize) {
        let found = Found { all: Vec::new(), most, further: Some(0) };
        let found = self.differences(document, found);
        (found.all, found.further.unwrap_or(0))
    }

    fn differences(&self, document: &Value, mut found: Found) -> Found {
        let looking = Looking { root: self, looks: Cell::new(0) };
        looking.differs(&self.0, document, "", 0, &mut found);
        // What was not looked at to its end says nothing, least of all within `not` or `anyOf`.
        if looking.looks.get() > MOST_LOOKS {
            found = Found { all: vec![GIVEN_UP.to_owned()], ..Found::first() };
        }
        found
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
                    let some = |all: &Vec<Value>| !all.is_empty() && all.iter().all(one);
                    let fits = one(value) || value.as_array().is_some_and(some);
                    (!fits).then_some("the name of a type, or a list of them")
                }
                "enum" => value.as_array().is_none_or(Vec::is_empty).then_some("a list of values"),
                "const" => None,
                "required" => {
                    let fits = value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
                    (!fits).then_some("a list of names")
                }
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
                    whole(value).is_none().then_some("a whole number from 0")
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
                other => {
                    let near = did_you_mean(other, KEYWORDS);
                    let problem =
                        format!("this keyword cannot be held against a reply here{near}; leave it out");
                    return Err(SchemaError { at: place, problem });
                }
            };
            if let Some(expected) = expected {
                return Err(SchemaError { at: place, problem: format!("expected {expected}") });
            }
        }
        contradiction(object).map_or(Ok(()), |what| wrong(format!("no document fits: {what}")))
    }
}

/// Why nothing can fit these keywords.
fn contradiction(keywords: &Map<String, Value>) -> Option<String> {
    let number = |name: &str| keywords.get(name).and_then(Value::as_f64);
    let ends = [
        ("minItems", "maxItems"),
        ("minLength", "maxLength"),
        ("minProperties", "maxProperties"),
        ("minimum", "maximum"),
    ];
    let crossed = |(least, most): &(&str, &str)| number(least).zip(number(most)).is_some_and(|(l, m)| l > m);
    if let Some((least, most)) = ends.into_iter().find(crossed) {
        return Some(format!("{least} is more than {most}"));
    }
    let is_closed = keywords.get("additionalProperties") == Some(&Value::Bool(false));
    let declared = |name: &&str| keywords.get("properties").is_some_and(|all| all.get(*name).is_some());
    let required = keywords.get("required").and_then(Value::as_array).into_iter().flatten();
    let lacking = required.filter_map(Value::as_str).find(|name| !declared(name)).filter(|_| is_closed)?;
    Some(format!("{lacking:?} is required, and \"properties\" does not allow it"))
}

/// What was found to differ.
struct Found {
    all: Vec<String>,
    /// So many are kept.
    most: usize,
    /// How many there are beside them; nothing where nobody counts, so that the search ends with the last one that is kept.
    further: Option<usize>,
}

impl Found {
    /// Nothing yet, and the first thing is enough.
    fn first() -> Self {
        Self { all: Vec::new(), most: 1, further: None }
    }

    fn add(&mut self, problem: String) {
        if self.all.len() < self.most {
            self.all.push(problem);
        } else if let Some(further) = &mut self.further {
            *further += 1;
        }
    }

    fn is_full(&self) -> bool {
        self.all.len() >= self.most && self.further.is_none()
    }
}

/// A document on its way through a schema.
struct Looking<'a> {
    root: &'a JsonSchema,
    /// Schemas that were looked at; more than [`MOST_LOOKS`] where that was given up.
    looks: Cell<usize>,
}

impl Looking<'_> {
    fn differs(&self, schema: &Value, value: &Value, at: &str, depth: usize, found: &mut Found) {
        let here = |problem: &str| format!("{} {problem}", place(at));
        if found.is_full() {
            return;
        }
        let keywords = match schema {
            Value::Object(keywords) if depth <= DEEPEST && self.looks.get() < MOST_LOOKS => keywords,
            Value::Object(_) => {
                self.looks.set(MOST_LOOKS + 1);
                return found.add(GIVEN_UP.to_owned());
            }
            Value::Bool(false) => return found.add(here("is not allowed")),
            _ => return,
        };
        self.looks.set(self.looks.get() + 1);
        let get = |name: &str| keywords.get(name);
        let fits = |schema: &Value| {
            let mut one = Found::first();
            self.differs(schema, value, at, depth + 1, &mut one);
            one.all.is_empty()
        };
        if let Some(target) = get("$ref").and_then(Value::as_str).and_then(|at| self.root.target(at)) {
            self.differs(target, value, at, depth + 1, found);
        }
        if let Some(kinds) = get("type") {
            let one = |kind: &Value| kind.as_str().is_some_and(|kind| is_of(kind, value));
            if !one(kinds) && !kinds.as_array().is_some_and(|all| all.iter().any(one)) {
                // What the other keywords say is of values of this type.
                return found.add(here(&format!("is not of the type {kinds}")));
            }
        }
        if get("enum").and_then(Value::as_array).is_some_and(|all| !all.iter().any(|one| same(one, value))) {
            found.add(here("is none of the values that the schema lists"));
        }
        if get("const").is_some_and(|only| !same(only, value)) {
            found.add(here("is not the one value that the schema allows"));
        }
        let parts = |name: &str| get(name).and_then(Value::as_array).map(Vec::as_slice);
        for schema in parts("allOf").unwrap_or_default() {
            self.differs(schema, value, at, depth + 1, found);
        }
        if parts("anyOf").is_some_and(|all| !all.iter().any(fits)) {
            found.add(here("fits none of the schemas of anyOf"));
        }
        if parts("oneOf").is_some_and(|all| all.iter().filter(|schema| fits(schema)).count() != 1) {
            found.add(here("does not fit exactly one of the schemas of oneOf"));
        }
        if get("not").is_some_and(fits) {
            found.add(here("fits the schema of not"));
        }
        let bound = match value {
            Value::Object(object) => return self.object_differs(keywords, object, at, depth, found),
            Value::Array(items) => return self.items_differ(keywords, items, at, depth, found),
            Value::String(text) => bounds(keywords, "Length", text.chars().count()),
            Value::Number(number) => number.as_f64().and_then(|n| range(keywords, n)),
            Value::Null | Value::Bool(_) => None,
        };
        if let Some(problem) = bound {
            found.add(here(&problem));
        }
    }

    fn object_differs(
        &self,
        keywords: &Map<String, Value>,
        object: &Map<String, Value>,
        at: &str,
        depth: usize,
        found: &mut Found,
    ) {
        let required = keywords.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str).filter(|name| !object.contains_key(*name)) {
            found.add(format!("{at}/{name} is missing"));
        }
        if let Some(problem) = bounds(keywords, "Properties", object.len()) {
            found.add(format!("{} {problem}", place(at)));
        }
        let declared = keywords.get("properties").and_then(Value::as_object);
        for (name, value) in object {
            match declared.and_then(|all| all.get(name)) {
                Some(schema) => self.differs(schema, value, &format!("{at}/{name}"), depth + 1, found),
                None => match keywords.get("additionalProperties") {
                    Some(Value::Bool(false)) => {
                        found.add(format!("{} has a property that the schema does not name", place(at)));
                    }
                    Some(schema) => self.differs(schema, value, &format!("{at}/*"), depth + 1, found),
                    None => {}
                },
            }
        }
    }

    fn items_differ(
        &self,
        keywords: &Map<String, Value>,
        items: &[Value],
        at: &str,
        depth: usize,
        found: &mut Found,
    ) {
        if let Some(problem) = bounds(keywords, "Items", items.len()) {
            found.add(format!("{} {problem}", place(at)));
        }
        let first = keywords.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (n, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(n).or_else(|| keywords.get("items")) {
                self.differs(schema, item, &format!("{at}/{n}"), depth + 1, found);
            }
        }
        let unique = keywords.get("uniqueItems") == Some(&Value::Bool(true));
        let twice = |(n, one): (usize, &Value)| items.iter().take(n).any(|other| same(one, other));
        if unique && !found.is_full() && items.iter().enumerate().any(twice) {
            found.add(format!("{} has an item twice", place(at)));
        }
    }
}

/// A JSON pointer (RFC 6901), or the whole.
fn place(at: &str) -> &str {
    if at.is_empty() { "the document" } else { at }
}

/// A whole number from 0, however it is written (`1`, `1.0`).
fn whole(value: &Value) -> Option<u64> {
    let whole = |n: &f64| *n >= 0.0 && n.fract() == 0.0 && *n <= 2f64.powi(53);
    value.as_u64().or_else(|| value.as_f64().filter(whole).map(|n| n as u64))
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
    let bound = |end: &str| keywords.get(&format!("{end}{of}")).and_then(whole);
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
        // What leads back to itself decides nothing, not even within `not`, and what doubles at each step ends.
        let twice = |next: usize| json!({ "allOf": [{ "$ref": format!("#/$defs/{next}") }, { "$ref": format!("#/$defs/{next}") }] });
        let mut doubled: Map<String, Value> = (0..60).map(|n| (n.to_string(), twice(n + 1))).collect();
        doubled.insert("60".to_owned(), json!(true));
        for circle in [
            json!({ "$ref": "#" }),
            json!({ "not": { "$ref": "#" } }),
            json!({ "anyOf": [{ "$ref": "#" }, true] }),
            json!({ "oneOf": [{ "$ref": "#" }, { "$ref": "#" }] }),
            json!({ "$ref": "#/$defs/0", "$defs": doubled }),
        ] {
            let problem = JsonSchema::new(circle).unwrap().problem(&json!(1)).unwrap();
            assert!(problem.contains("circle"), "{problem}");
        }
    }

    #[test]
    fn everything_that_differs_is_named_where_all_is_asked_for() {
        let document = json!({ "thought": "secret", "sizes": [3, 0, 10], "secret": 1 });
        let (all, further) = schema().problems(&document, 9);
        assert_eq!((all.len(), further), (5, 0), "{all:?}");
        assert_eq!(schema().problems(&document, 2), (all[..2].to_vec(), 3));
        assert_eq!(schema().problems(&document, 0), (Vec::new(), 5));
        assert_eq!(schema().problem(&document).as_ref(), all.first());
        for place in
            ["/answer is missing", "/thought has length 6", "/sizes/1 is too small", "/sizes/2 is too large"]
        {
            assert!(all.iter().any(|problem| problem.contains(place)), "{place}: {all:?}");
        }
        assert!(schema().problems(&json!({ "answer": "left" }), 1).0.is_empty());
        let counts = JsonSchema::new(json!({ "minItems": 1.0 })).unwrap();
        assert!(counts.problem(&json!([])).is_some() && counts.problem(&json!([1])).is_none());
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
            (json!({ "minLenght": 1 }), "did you mean \"minLength\""),
            (json!({ "type": [] }), "#/type: expected the name of a type"),
            (json!({ "enum": [] }), "#/enum: expected a list of values"),
            (json!({ "minItems": 1.5 }), "#/minItems: expected a whole number"),
            (
                json!({ "items": { "minLength": 3, "maxLength": 2 } }),
                "#/items: no document fits: minLength is more",
            ),
            (json!({ "minimum": 3, "maximum": 2.5 }), "minimum is more than maximum"),
            (
                json!({ "additionalProperties": false, "required": ["a"], "properties": { "b": {} } }),
                "\"a\" is required",
            ),
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
