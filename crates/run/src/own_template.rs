//! A prompt template of one's own: minijinja, with a block for each turn.
//!
//! | block | is |
//! |---|---|
//! | `system` | the system turn; may be missing |
//! | `user` | the user's turn; without blocks the whole file is this turn |
//! | `answer` | what the model said to an example; without it the letter of its choice, or its reference |
//!
//! | name | is |
//! |---|---|
//! | `question`, `language`, `id` | of the sample |
//! | `kind` | what is asked for: `choice`, `letters` (several choices), `yes_no`, `open`, or `itself` (the question says it) |
//! | `choices` | list of `letter` and `text` |
//! | `options` | the choices as `A. text`, one a line |
//! | `tags` | the sample's tags by name |
//! | `pictures` | list; written, each stands where it is written: `{{ pictures[0] }}`, `{{ pictures \| join }}` |
//! | `answer` | of an example its reference; of the question itself it is not there |

use crate::filled::{FileTemplate, blocks, holds_marks, mark, parts, why_not};
use loupe_core::sandbox::Sandbox;
use loupe_core::{Part, Sample, Target};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a template may name.
const NAMES: [&str; 9] =
    ["question", "language", "id", "kind", "choices", "options", "tags", "pictures", "answer"];
/// A template from a file. It is its text: equal texts are equal templates.
#[derive(Clone)]
pub struct OwnTemplate {
    text: String,
    read: Arc<FileTemplate>,
}

impl fmt::Debug for OwnTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnTemplate").field(&self.text).finish()
    }
}

impl PartialEq for OwnTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for OwnTemplate {}

impl Serialize for OwnTemplate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for OwnTemplate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// What a sample is asked for and how its choices are written.
pub(crate) struct Wanted<'a> {
    pub(crate) kind: &'a str,
    pub(crate) options: String,
}

impl OwnTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is no minijinja, has another block, needs another file, or uses a name that no sample has; before anything is asked.
    pub fn new(text: &str) -> Result<Self, String> {
        let at_fault = |problem: String| format!("the prompt template: {problem}");
        let parse = |text| Sandbox::new(text, SyntaxConfig::default(), furnish);
        let read = FileTemplate::new(text, parse).map_err(at_fault)?;
        let blocks = blocks(text);
        if let Some(other) = blocks.iter().find(|name| !["system", "user", "answer"].contains(*name)) {
            return Err(at_fault(format!("it has a block {other:?}; blocks are system, user and answer")));
        }
        if !blocks.is_empty() && !blocks.contains(&"user") {
            return Err(at_fault("it has blocks, but none is called \"user\"".to_owned()));
        }
        read.need_names(&NAMES, "a sample").map_err(at_fault)?;
        Ok(Self { text: text.to_owned(), read: Arc::new(read) })
    }

    /// The system turn's words, where there are any.
    pub(crate) fn system(&self, sample: &Sample, wanted: &Wanted<'_>) -> Result<Option<String>, String> {
        if !self.read.has("system") {
            return Ok(None);
        }
        let words = self.fill("system", sample, wanted, 0..0, None)?;
        Ok(Some(words.trim().to_owned()).filter(|words| !words.is_empty()))
    }

    /// The user's turn; the sample's pictures have these numbers. `answer` is the reference of an example.
    pub(crate) fn user(
        &self,
        sample: &Sample,
        wanted: &Wanted<'_>,
        pictures: std::ops::Range<usize>,
        answer: Option<&str>,
    ) -> Result<Vec<Part>, String> {
        let mut parts = parts(&self.fill("user", sample, wanted, pictures.clone(), answer)?);
        let written = |at: &usize| parts.contains(&Part::Picture(*at));
        let missing = pictures.clone().filter(|at| !written(at)).count();
        if missing == pictures.len() {
            // Where the template does not speak of pictures, they stand before the words.
            parts.splice(0..0, pictures.map(Part::Picture));
        } else if missing > 0 {
            return Err(format!(
                "the template writes {} of {} pictures",
                pictures.len() - missing,
                pictures.len()
            ));
        }
        if parts.is_empty() {
            return Err("the template makes no words of it".to_owned());
        }
        Ok(parts)
    }

    /// What the model is shown to have said to an example.
    pub(crate) fn answer(
        &self,
        sample: &Sample,
        wanted: &Wanted<'_>,
        reference: &str,
    ) -> Result<String, String> {
        if !self.read.has("answer") {
            return Ok(reference.to_owned());
        }
        Ok(self.fill("answer", sample, wanted, 0..0, Some(reference))?.trim().to_owned())
    }

    fn fill(
        &self,
        block: &str,
        sample: &Sample,
        wanted: &Wanted<'_>,
        pictures: std::ops::Range<usize>,
        answer: Option<&str>,
    ) -> Result<String, String> {
        let choices = sample.choices.iter().map(|c| {
            BTreeMap::from([
                ("letter", Value::from(c.letter.to_string())),
                ("text", Value::from(c.text.as_str())),
            ])
        });
        let tags: BTreeMap<String, Value> =
            sample.tags.iter().map(|(tag, value)| (tag.clone(), Value::from(value.as_str()))).collect();
        let marked = |at: usize| Value::from(mark(at));
        let mut values: BTreeMap<&str, Value> = BTreeMap::from([
            ("question", Value::from(sample.question.as_str())),
            ("language", Value::from(sample.language.as_str())),
            ("id", Value::from(sample.id.as_str())),
            ("kind", Value::from(wanted.kind)),
            ("options", Value::from(wanted.options.as_str())),
            ("choices", choices.map(Value::from).collect()),
            ("tags", Value::from(tags)),
        ]);
        if let Some(answer) = answer {
            values.insert("answer", Value::from(answer));
        }
        let texts = [&sample.question, &sample.language, &sample.id, &wanted.options].into_iter();
        let texts = texts.chain(sample.tags.iter().flat_map(|(tag, value)| [tag, value]));
        let texts = texts.chain(sample.choices.iter().map(|choice| &choice.text));
        if texts.map(String::as_str).chain(answer).any(holds_marks) {
            return Err("a text of the sample holds a character for private use".to_owned());
        }
        values.insert("pictures", pictures.map(marked).collect());
        let values = Value::from(values);
        // Without blocks the whole file is the user's turn.
        let words = match self.read.has("user") {
            true => self.read.fill_block(block, values),
            false => self.read.fill(values),
        };
        words.map_err(|e| format!("the template cannot be filled in: {}", why_not(&e)))
    }
}

/// How templates treat what is not there.
fn furnish(environment: &mut Environment<'_>) {
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
}

/// The reference of an example as a model would say it; nothing where there is none in words.
pub(crate) fn reference(sample: &Sample) -> Option<String> {
    match &sample.target {
        Target::Choice(letter) => Some(letter.to_string()),
        Target::Choices(letters) => Some(letters.iter().map(char::to_string).collect::<Vec<_>>().join(", ")),
        Target::Text(all) => all.first().cloned(),
        Target::Count(n) => Some(n.to_string()),
        _ => None,
    }
}
