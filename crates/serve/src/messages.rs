//! The turns of a request, as chat completions and decisions write them.

use crate::api_error::ApiError;
use crate::fields::{Fields, Rule, as_text, kind, shortened};
use loupe_core::{Part, Role, Turn};
use serde_json::Value;

/// A conversation whose pictures are still data URIs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// The turns; their pictures are numbered in `pictures`.
    pub(crate) turns: Vec<Turn>,
    /// Where each picture stands in the request, and its address.
    pub(crate) pictures: Vec<(String, String)>,
}

/// Most turns, and most parts of a turn.
const MOST_PARTS: usize = 4096;

/// Fields of a message. Those of earlier replies, which clients send back as they got them, must be empty.
static MESSAGE: &[(&str, Rule)] = &[
    ("role", Rule::Read),
    ("content", Rule::Read),
    ("type", Rule::Only(&["\"message\""])),
    ("name", Rule::Only(&[])),
    ("refusal", Rule::Only(&[])),
    ("audio", Rule::Only(&[])),
    ("annotations", Rule::Only(&["[]"])),
    ("tool_calls", Rule::Only(&["[]"])),
    ("tool_call_id", Rule::Only(&[])),
    ("function_call", Rule::Only(&[])),
    ("reasoning", Rule::Only(&[])),
    ("reasoning_content", Rule::Only(&[])),
    ("phase", Rule::LeftAside),
    ("id", Rule::LeftAside),
    ("status", Rule::LeftAside),
];

static TEXT_PART: &[(&str, Rule)] = &[
    ("type", Rule::Read),
    ("text", Rule::Read),
    ("annotations", Rule::Only(&["[]"])),
    ("cache_control", Rule::LeftAside),
    ("prompt_cache_breakpoint", Rule::LeftAside),
];

static PICTURE_PART: &[(&str, Rule)] = &[
    ("type", Rule::Read),
    ("image_url", Rule::Read),
    ("detail", Rule::LeftAside),
    ("uuid", Rule::LeftAside),
    ("cache_control", Rule::LeftAside),
    ("prompt_cache_breakpoint", Rule::LeftAside),
];

static PICTURE_ADDRESS: &[(&str, Rule)] = &[("url", Rule::Read), ("detail", Rule::LeftAside)];

impl Conversation {
    /// From the list `messages` of the field `at`.
    pub(crate) fn read(at: &str, messages: Value) -> Result<Self, ApiError> {
        let Value::Array(messages) = messages else {
            return Err(ApiError::field(at, format!("{at} is {}, expected a list", kind(&messages))));
        };
        if messages.is_empty() || messages.len() > MOST_PARTS {
            let message = format!("{at} has {} messages, expected 1 to {MOST_PARTS}", messages.len());
            return Err(ApiError::field(at, message));
        }
        let mut conversation = Self::default();
        for (n, mut message) in messages.into_iter().enumerate() {
            conversation.add_message(&format!("{at}[{n}]"), &mut message)?;
        }
        Ok(conversation)
    }

    /// The same, when its last turn is the user's.
    pub(crate) fn asking(self, at: &str) -> Result<Self, ApiError> {
        match self.turns.last() {
            Some(turn) if turn.role == Role::User => Ok(self),
            _ => Err(ApiError::field(at, format!("the last of {at} is not the user's; nothing is asked"))),
        }
    }

    fn add_message(&mut self, at: &str, message: &mut Value) -> Result<(), ApiError> {
        let mut fields = Fields::of(at, message, MESSAGE)?;
        let role = match fields.text("role")?.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => {
                let problem = format!(
                    "is {:?}, expected system, developer, user or assistant; tools are not supported",
                    shortened(other)
                );
                return Err(fields.refused("role", &problem));
            }
        };
        let content = fields.need("content")?;
        let parts = self.parts(&format!("{at}.content"), content)?;
        if role != Role::User && parts.iter().any(|part| matches!(part, Part::Picture(_))) {
            return Err(fields.refused("content", "holds a picture, which only the user's messages may"));
        }
        self.turns.push(Turn { role, parts });
        Ok(())
    }

    /// The parts of a turn: text, or a list of texts and pictures in any order.
    pub(crate) fn parts(&mut self, at: &str, content: Value) -> Result<Vec<Part>, ApiError> {
        let list = match content {
            Value::String(text) => return Ok(vec![Part::Text(text)]),
            Value::Array(list) => list,
            other => {
                let message = format!("{at} is {}, expected text or a list of parts", kind(&other));
                return Err(ApiError::field(at, message));
            }
        };
        if list.len() > MOST_PARTS {
            let message = format!("{at} has {} parts, the limit is {MOST_PARTS}", list.len());
            return Err(ApiError::field(at, message));
        }
        let parts = list.into_iter().enumerate();
        parts.map(|(n, mut part)| self.part(&format!("{at}[{n}]"), &mut part)).collect()
    }

    fn part(&mut self, at: &str, part: &mut Value) -> Result<Part, ApiError> {
        let name = part.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        match name.as_str() {
            "text" | "input_text" | "output_text" => {
                Fields::of(at, part, TEXT_PART)?.text("text").map(Part::Text)
            }
            "image_url" | "input_image" => {
                let mut fields = Fields::of(at, part, PICTURE_PART)?;
                let path = fields.path("image_url");
                let address = match fields.need("image_url")? {
                    mut object @ Value::Object(_) => {
                        Fields::of(&path, &mut object, PICTURE_ADDRESS)?.text("url")?
                    }
                    other => as_text(&path, other)?,
                };
                self.pictures.push((path, address));
                Ok(Part::Picture(self.pictures.len() - 1))
            }
            other => {
                let message = format!(
                    "{at}.type is {:?}, expected text (input_text) or image_url (input_image)",
                    shortened(other)
                );
                Err(ApiError::field(format!("{at}.type"), message))
            }
        }
    }
}
