//! The checkpoint's chat template, rendered as `apply_chat_template` does with jinja2.

use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use loupe_core::words::hex;
use loupe_core::{Part, Role, Turn};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, Value};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

const NAME: &str = "chat_template";

/// A compiled chat template.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    /// `bos_token`, `eos_token` and the like, which templates print.
    tokens: Vec<(String, String)>,
    sha256: String,
    /// True when the checkpoint has none of its own.
    pub(crate) is_stand_in: bool,
}

impl ChatTemplate {
    /// Finds the template in chat_template.jinja, chat_template.json, processor_config.json or
    /// tokenizer_config.json (in this order, as `ProcessorMixin` does), or uses `fallback`; none of it where `instead` is
    /// given.
    pub(crate) fn read(
        checkpoint: &Checkpoint,
        fallback: &str,
        instead: Option<&str>,
    ) -> Result<Self, LoadError> {
        const TOKENIZER: &str = "tokenizer_config.json";
        let tokenizer = checkpoint.json(TOKENIZER)?.unwrap_or(Json::Null);
        let in_json = |file: &str, value: Option<&Json>| {
            let Some(entry) = value.and_then(|v| v.get(NAME)).filter(|v| !v.is_null()) else {
                return Ok(None);
            };
            let unusable = || LoadError::File {
                file: file.to_owned(),
                problem: format!("{NAME} is neither a text nor a list with an entry called \"default\""),
            };
            default_template(entry).map(Some).ok_or_else(unusable)
        };
        let mut source = match instead {
            Some(own) => Some(own.to_owned()),
            None => checkpoint.text("chat_template.jinja")?,
        };
        for file in ["chat_template.json", "processor_config.json", TOKENIZER] {
            if source.is_none() {
                source = in_json(file, checkpoint.json(file)?.as_ref())?;
            }
        }
        let is_stand_in = source.is_none();
        let names = ["bos_token", "eos_token", "pad_token", "unk_token"];
        let content = |v: &Json| v.as_str().or_else(|| v.get("content")?.as_str()).map(str::to_owned);
        let tokens =
            names.into_iter().filter_map(|n| Some((n.to_owned(), content(tokenizer.get(n)?)?))).collect();
        let template = Self::new(source.unwrap_or_else(|| fallback.to_owned()), tokens)?;
        Ok(Self { is_stand_in, ..template })
    }

    /// Compiles a template with jinja2's settings in `transformers`: blocks trimmed.
    pub(crate) fn new(source: String, tokens: Vec<(String, String)>) -> Result<Self, LoadError> {
        let mut environment = Environment::new();
        let problem = |e: &Error| LoadError::File { file: "chat template".into(), problem: e.to_string() };
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|e| problem(&e))?);
        // A template is a program of the checkpoint: it may loop, but not for ever.
        environment.set_fuel(Some(10_000_000));
        environment.set_unknown_method_callback(python_method);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_filter("tojson", python_json);
        let sha256 = hex(&Sha256::digest(source.as_bytes()));
        environment.add_template_owned(NAME, source).map_err(|e| problem(&e))?;
        Ok(Self { environment, tokens, sha256, is_stand_in: false })
    }

    /// The special tokens that a template can print, by their names.
    pub(crate) fn tokens(&self) -> &[(String, String)] {
        &self.tokens
    }

    /// SHA-256 of the template's text in hexadecimal.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The prompt's text. `protect` is applied to what the caller wrote.
    pub(crate) fn render(&self, turns: &[Turn], protect: &dyn Fn(&str) -> String) -> Result<String, String> {
        let messages: Vec<Json> = turns.iter().map(|turn| message(turn, protect)).collect();
        let mut values: std::collections::BTreeMap<String, Value> =
            self.tokens.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect();
        values.insert("messages".into(), Value::from(Serde(&messages)));
        values.insert("add_generation_prompt".into(), Value::from(true));
        let template = self.environment.get_template(NAME).map_err(|e| e.to_string())?;
        let shown = |e: Error| format!("{:#}", Detail(&e));
        template.render(Value::from(values)).map_err(shown)
    }
}

/// An error with its causes, on one line.
struct Detail<'a>(&'a Error);

impl std::fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// A template, or the one called `default` of a list of named templates.
fn default_template(value: &Json) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let named = |entry: &&Json| entry.get("name").and_then(Json::as_str) == Some("default");
    value.as_array()?.iter().find(named)?.get("template")?.as_str().map(str::to_owned)
}

/// Words alone are a string; with pictures the content is a list of typed parts.
fn message(turn: &Turn, protect: &dyn Fn(&str) -> String) -> Json {
    let role = match turn.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let only_words = turn.parts.iter().all(|p| matches!(p, Part::Text(_)));
    let content = if only_words {
        Json::String(protect(&turn.words()))
    } else {
        let part = |part: &Part| match part {
            Part::Text(text) => json!({ "type": "text", "text": protect(text) }),
            Part::Picture(_) => json!({ "type": "image" }),
        };
        turn.parts.iter().map(part).collect()
    };
    json!({ "role": role, "content": content })
}

/// `tojson` of `transformers`: `json.dumps` with `ensure_ascii=False`, so `", "` and `": "` between.
#[allow(clippy::needless_pass_by_value)] // the signature of a filter
fn python_json(value: &Value, options: minijinja::value::Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    let json =
        serde_json::to_value(value).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    let mut out = String::new();
    write_json(&json, indent, 0, &mut out);
    Ok(Value::from_safe_string(out))
}

fn write_json(value: &Json, indent: Option<usize>, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| {
        if let Some(n) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', n * depth));
        }
    };
    let comma = if indent.is_some() { "," } else { ", " };
    match value {
        Json::Array(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { comma } else { "" });
                line(depth + 1, out);
                write_json(item, indent, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        Json::Object(fields) if !fields.is_empty() => {
            out.push('{');
            for (i, (key, item)) in fields.iter().enumerate() {
                out.push_str(if i > 0 { comma } else { "" });
                line(depth + 1, out);
                out.push_str(&Json::String(key.clone()).to_string());
                out.push_str(": ");
                write_json(item, indent, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// The methods of Python strings and dictionaries that chat templates call.
fn python_method(
    _: &mut minijinja::State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let unknown = || Error::new(ErrorKind::UnknownMethod, format!("no method called {method}"));
    let arg = |i: usize| args.get(i).and_then(Value::as_str);
    if let Some(text) = value.as_str() {
        let chars: Option<Vec<char>> = arg(0).map(|c| c.chars().collect());
        let cut = |c: char| chars.as_ref().map_or(c.is_whitespace(), |set| set.contains(&c));
        return Ok(match method {
            "strip" => Value::from(text.trim_matches(cut)),
            "lstrip" => Value::from(text.trim_start_matches(cut)),
            "rstrip" => Value::from(text.trim_end_matches(cut)),
            "startswith" => Value::from(text.starts_with(arg(0).ok_or_else(unknown)?)),
            "endswith" => Value::from(text.ends_with(arg(0).ok_or_else(unknown)?)),
            "upper" => Value::from(text.to_uppercase()),
            "lower" => Value::from(text.to_lowercase()),
            "title" | "capitalize" => {
                let mut letters = text.chars();
                let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
                Value::from(first + &letters.as_str().to_lowercase())
            }
            "replace" => Value::from(text.replace(arg(0).ok_or_else(unknown)?, arg(1).ok_or_else(unknown)?)),
            "split" => match arg(0) {
                Some(by) => text.split(by).collect::<Value>(),
                None => text.split_whitespace().collect::<Value>(),
            },
            _ => return Err(unknown()),
        });
    }
    match method {
        "items" => value.try_iter().map(|keys| {
            keys.map(|k| {
                let item = value.get_item(&k).unwrap_or_default();
                Value::from(vec![k, item])
            })
            .collect::<Value>()
        }),
        "get" => {
            let key = args.first().ok_or_else(unknown)?;
            let found = value.get_item(key)?;
            Ok(if found.is_undefined() { args.get(1).cloned().unwrap_or(Value::from(())) } else { found })
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    const QWEN_VL: &str = include_str!("../../tests/templates/qwen_vl.jinja");
    const TOOLS: &str = include_str!("../../tests/templates/qwen2_5_tools.jinja");
    const CASES: &str = include_str!("../../tests/templates/cases.json");

    fn turns(messages: &Json) -> Vec<Turn> {
        let turn = |m: &Json| {
            let part = |(p, n): (&Json, usize)| match p.get("text") {
                Some(text) => Part::Text(text.as_str().unwrap().to_owned()),
                None => Part::Picture(n),
            };
            let parts = match &m["content"] {
                Json::String(text) => vec![Part::Text(text.clone())],
                list => list.as_array().unwrap().iter().zip(0..).map(part).collect(),
            };
            Turn { role: serde_json::from_value(m["role"].clone()).unwrap(), parts }
        };
        messages.as_array().unwrap().iter().map(turn).collect()
    }

    #[test]
    fn templates_render_as_jinja2_does() {
        let cases: Vec<Json> = serde_json::from_str(CASES).unwrap();
        assert_eq!(cases.len(), 6);
        for case in &cases {
            let vision = case["template"] == "qwen_vl";
            let template =
                ChatTemplate::new(if vision { QWEN_VL } else { TOOLS }.to_owned(), Vec::new()).unwrap();
            let turns = turns(&case["messages"]);
            let same = |text: &str| text.to_owned();
            assert_eq!(template.render(&turns, &same).unwrap(), case["rendered"].as_str().unwrap());
        }
    }

    #[test]
    fn broken_and_endless_templates_are_errors() {
        assert!(ChatTemplate::new("{% for %}".into(), Vec::new()).is_err());
        let render = |source: &str| {
            let template = ChatTemplate::new(source.to_owned(), Vec::new()).unwrap();
            template.render(&[Turn::text(Role::User, "x")], &|t: &str| t.to_owned())
        };
        assert!(render("{{ raise_exception('only pairs') }}").unwrap_err().contains("only pairs"));
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
        assert!(render(endless).is_err());
        assert_eq!(render("{{ {'a': [1, 'é']} | tojson }}").unwrap(), r#"{"a": [1, "é"]}"#);
    }
}
