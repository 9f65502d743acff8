//! A reply held against the form that it must have.

use crate::ask::{Reply, Stop};
use crate::model::ModelError;
use crate::reasoning::{answer_words, without_reasoning};
use crate::reply_form::{JsonForm, ReplyForm};
use serde_json::Value;

impl ReplyForm {
    /// The reply, held against the form where there is one, with the answer as its words.
    ///
    /// # Errors
    /// [`ModelError::Form`] when it has another one. Nothing of the reply is repeated.
    pub fn settled(form: Option<&Self>, mut reply: Reply) -> Result<Reply, ModelError> {
        let Some(Self::Json(form)) = form else { return Ok(reply) };
        if let Some(answer) = form.answer_in(&reply)? {
            reply.said = Some(std::mem::replace(&mut reply.text, answer));
        }
        Ok(reply)
    }
}

impl JsonForm {
    /// The words of the answer, where one member is it.
    fn answer_in(&self, reply: &Reply) -> Result<Option<String>, ModelError> {
        let wrong = |problem: String| ModelError::Form { problem };
        let behind = || without_reasoning(&reply.text).unwrap_or(&reply.text);
        let document = parsed(&reply.text).or_else(|_| parsed(behind()));
        let document: Value = document.map_err(|error| {
            let cut = match (reply.stop, error.is_eof()) {
                (Stop::Length | Stop::ContextFull, _) => {
                    " (it ends at the bound of tokens; allow more with --max-new-tokens)"
                }
                (_, true) => " (it ends early)",
                _ => "",
            };
            wrong(format!("it is no JSON document{cut}"))
        })?;
        if let Some(problem) = self.schema.problem(&document) {
            return Err(wrong(problem));
        }
        let Some(name) = &self.answer else { return Ok(None) };
        match document.get(name) {
            Some(Value::String(words)) => Ok(Some(words.clone())),
            Some(Value::Bool(true)) => Ok(Some("yes".to_owned())),
            Some(Value::Bool(false)) => Ok(Some("no".to_owned())),
            Some(Value::Null) | None => Err(wrong(format!("/{name}, which is the answer, is not there"))),
            Some(other) => Ok(Some(other.to_string())),
        }
    }
}

/// The JSON in a reply: all of its answer, or what stands there from the first brace to the last. Thoughts, a code fence and words around it are
/// no part of it.
///
/// # Errors
/// When there is none.
pub fn json_in(reply: &str) -> serde_json::Result<Value> {
    let words = answer_words(reply).trim();
    serde_json::from_str(words).or_else(|e| braced_json(words).unwrap_or(Err(e)))
}

/// The JSON from the first brace of a text to the last; `None` where there are none.
pub fn braced_json(text: &str) -> Option<serde_json::Result<Value>> {
    let inner = text.get(text.find('{')?..=text.rfind('}')?)?;
    Some(serde_json::from_str(inner))
}

/// The document that a text is, within a fence of Markdown where that is all there is.
fn parsed(text: &str) -> serde_json::Result<Value> {
    let text = text.trim();
    let fenced = || {
        let (language, document) = text.strip_prefix("```")?.strip_suffix("```")?.split_once('\n')?;
        (language.trim().is_empty() || language.trim() == "json").then_some(document)
    };
    serde_json::from_str(fenced().unwrap_or(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::failure::Retry;
    use crate::json_schema::JsonSchema;
    use serde_json::json;

    fn form(answer: Option<&str>) -> ReplyForm {
        let schema = json!({ "type": "object", "properties": { "why": { "type": "string" }, "answer": { "type": ["string", "boolean", "number", "null"] } }, "required": ["answer"] });
        ReplyForm::Json(JsonForm {
            schema: JsonSchema::new(schema).unwrap(),
            answer: answer.map(str::to_owned),
        })
    }

    #[test]
    fn the_answer_is_taken_out_and_all_that_was_said_is_kept() {
        for (said, answer) in [
            (r#"{"why": "dense", "answer": "B"}"#, "B"),
            ("```json\n{\"answer\": true}\n```", "yes"),
            ("<think>{\"answer\": \"A\"}</think>\n{\"answer\": false}", "no"),
            (r#" {"answer": 12.5} "#, "12.5"),
        ] {
            let reply = ReplyForm::settled(Some(&form(Some("answer"))), Reply::from_text(said)).unwrap();
            assert_eq!((reply.text.as_str(), reply.said.as_deref()), (answer, Some(said)));
        }
        let whole = ReplyForm::settled(Some(&form(None)), Reply::from_text("{\"answer\": \"B\"}")).unwrap();
        assert_eq!((whole.text.as_str(), whole.said), ("{\"answer\": \"B\"}", None));
    }

    #[test]
    fn what_has_another_form_is_a_failure_of_its_own() {
        for (said, problem) in [
            ("The answer is B.", "no JSON document"),
            (r#"{"answer": "B"} and more"#, "no JSON document"),
            (r#"{"answer": "#, "ends early"),
            (r#"{"why": "private"}"#, "/answer is missing"),
            (r#"{"answer": ["private"]}"#, "/answer is not of the type"),
            (r#"{"answer": null}"#, "is the answer, is not there"),
        ] {
            let error = ReplyForm::settled(Some(&form(Some("answer"))), Reply::from_text(said)).unwrap_err();
            assert_eq!(error.retry(), Retry::Never);
            let words = error.to_string();
            assert!(words.contains(problem) && !words.contains("private"), "{words}");
        }
        let cut = Reply { stop: Stop::Length, ..Reply::from_text(r#"{"why": "a"#) };
        let error = ReplyForm::settled(Some(&form(None)), cut).unwrap_err().to_string();
        assert!(error.contains("--max-new-tokens"), "{error}");
    }
}
