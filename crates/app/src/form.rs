//! The form that replies must have, from the files that describe it.

use crate::error::{AppError, InStep};
use crate::open::ModelOptions;
use crate::served::is_address;
use loupe_core::files::{SETTINGS_BYTES, read_text_at_most};
use loupe_core::{GenerationLimits, JsonForm, JsonSchema, ReplyForm};
use serde_json::Value;
use std::path::Path;

/// The form that a JSON schema, with the property that is the answer, or a grammar describes; none without both.
///
/// # Errors
/// When a file cannot be read, the schema has a part that no reply could be held against, or does not name the answer.
pub fn read_form(
    schema: Option<&Path>,
    answer: Option<&str>,
    grammar: Option<&Path>,
) -> Result<Option<ReplyForm>, AppError> {
    let text = |what: &str, path: &Path| {
        read_text_at_most(path, SETTINGS_BYTES)
            .step(|| format!("the {what} {} could not be read", path.display()))
    };
    let Some(path) = schema else {
        let grammar = grammar.map(|path| text("grammar", path)).transpose()?;
        return Ok(grammar.map(ReplyForm::Grammar));
    };
    let wrong = |why: String| AppError::input(format!("the schema {}: {why}", path.display()));
    let value: Value = serde_json::from_str(&text("schema", path)?).map_err(|e| wrong(e.to_string()))?;
    let schema = JsonSchema::new(value).map_err(|e| wrong(e.to_string()))?;
    if let Some(name) = answer.filter(|name| !schema.has_property(name)) {
        return Err(wrong(format!("it has no property {name:?} that could be the answer")));
    }
    Ok(Some(ReplyForm::Json(JsonForm { schema, answer: answer.map(str::to_owned) })))
}

/// Refuses a form that these replies cannot have.
///
/// # Errors
/// When a checkpoint should keep to a grammar, or replies are no words, or several with words of their own.
pub fn check_form(limits: &GenerationLimits, model: &ModelOptions, rethink: bool) -> Result<(), AppError> {
    let wrong = |why: &str| Err(AppError::input(why.to_owned()));
    match &limits.form {
        None => Ok(()),
        Some(_) if rethink => {
            wrong("a second look asks in words of its own; leave --schema and --grammar out beside --rethink")
        }
        Some(_) if limits.options.is_some() => wrong(
            "probabilities of options are read without writing a reply; leave --schema and --grammar out beside them",
        ),
        Some(ReplyForm::Grammar(_)) if !model.folder.as_deref().is_some_and(is_address) => wrong(
            "only servers write by grammars; leave --grammar out for a checkpoint, or describe the reply with --schema",
        ),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn forms_are_read_and_those_that_cannot_be_had_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let schema = file("s.json", r#"{"type": "object", "properties": {"answer": {"type": "string"}}}"#);
        let form = read_form(Some(&schema), Some("answer"), None).unwrap();
        assert!(matches!(&form, Some(ReplyForm::Json(json)) if json.answer.as_deref() == Some("answer")));
        let why = |path: &Path, answer| read_form(Some(path), answer, None).unwrap_err().in_one_line();
        assert!(why(&schema, Some("side")).contains("no property \"side\""));
        assert!(why(&file("t.json", r#"{"pattern": "x"}"#), None).contains("#/pattern"));
        assert!(why(&file("u.json", "{"), None).contains("u.json"));
        assert!(why(&dir.path().join("none"), None).contains("could not be read"));

        let served = ModelOptions { folder: Some(PathBuf::from("http://h/v1#m")), ..ModelOptions::default() };
        let here = ModelOptions::default();
        let grammar = read_form(None, None, Some(&file("g.gbnf", "root ::= \"yes\""))).unwrap();
        let limits =
            |form: &Option<ReplyForm>| GenerationLimits { form: form.clone(), ..GenerationLimits::default() };
        assert!(check_form(&limits(&grammar), &served, false).is_ok());
        assert!(check_form(&limits(&form), &here, false).is_ok());
        assert!(check_form(&limits(&grammar), &here, false).is_err());
        assert!(check_form(&limits(&form), &here, true).is_err());
        let both = GenerationLimits { options: Some(Vec::new()), ..limits(&form) };
        assert!(check_form(&both, &here, false).is_err());
    }
}
