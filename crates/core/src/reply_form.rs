//! The form that a reply must have: a JSON document by a schema, or what a grammar derives.

use crate::json_schema::JsonSchema;
use serde::{Deserialize, Serialize};

/// The form that a reply must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyForm {
    /// One JSON document that fits a schema.
    Json(JsonForm),
    /// Words that a grammar derives, in the notation of llama.cpp's GBNF, which vLLM and SGLang read too. Only a
    /// server that writes by grammars can keep to one.
    Grammar(String),
}

/// A JSON document as a reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JsonForm {
    /// What fits.
    pub schema: JsonSchema,
    /// The member of the document that is the answer; the whole document when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}
