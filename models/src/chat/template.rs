//! The checkpoint's chat template, rendered as `apply_chat_template` does with jinja2.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::token_ids::token_text;
use crate::error::LoadError;
use loupe_core::sandbox::Sandbox;
use loupe_core::words::hex;
use loupe_core::{Part, Role, Turn};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, Value};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

const NAME: &str = "chat_template";
/// Blanks that `tojson` may put before a line for each level.
const MOST_INDENT: usize = 32;

/// A compiled chat template.
pub(crate) struct ChatTemplate {
    sandbox: Sandbox,
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
        let text = |name: &str| Some((name.to_owned(), token_text(tokenizer.get(name)?)?.to_owned()));
        let tokens = names.into_iter().filter_map(text).collect();
        let template = Self::new(source.as_deref().unwrap_or(fallback), tokens)?;
        Ok(Self { is_stand_in, ..template })
    }

    /// The same with more that it can print.
    pub(crate) fn with(mut self, values: &[(&str, &str)]) -> Self {
        self.tokens.extend(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    /// Compiles a template with jinja2's settings in `transformers`: blocks trimmed.
    pub(crate) fn new(source: &str, tokens: Vec<(String, String)>) -> Result<Self, LoadError> {
        let problem = |e: &Error| LoadError::File { file: "chat template".into(), problem: e.to_string() };
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        let sha256 = hex(&Sha256::digest(source.as_bytes()));
        let source = without_generation(source);
        let sandbox = Sandbox::new(source, syntax.map_err(|e| problem(&e))?, furnish);
        Ok(Self { sandbox: sandbox.map_err(|e| problem(&e))?, tokens, sha256, is_stand_in: false })
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
    ///
    /// Templates that expect a list of parts where there are words alone write nothing of them; such a template is
    /// given lists.
    pub(crate) fn render(
        &self,
        turns: &[Turn],
        protect: &dyn Fn(&str) -> String,
        volume: bool,
    ) -> Result<String, String> {
        let asked = turns.iter().filter(|turn| turn.role != Role::Assistant);
        let words = |turn: &Turn| match only_words(turn) {
            true => vec![protect(&turn.words())],
            false => turn
                .parts
                .iter()
                .filter_map(|p| if let Part::Text(t) = p { Some(protect(t)) } else { None })
                .collect(),
        };
        let asked: Vec<String> = asked.flat_map(words).collect();
        let has_all = |text: &String| asked.iter().all(|words| text.contains(words.trim()));
        let written = self.render_as(turns, protect, false, volume);
        if written.as_ref().is_ok_and(has_all) {
            return written;
        }
        let in_parts = self.render_as(turns, protect, true, volume);
        if in_parts.as_ref().is_ok_and(has_all) { in_parts } else { written }
    }

    fn render_as(
        &self,
        turns: &[Turn],
        protect: &dyn Fn(&str) -> String,
        in_parts: bool,
        volume: bool,
    ) -> Result<String, String> {
        let messages: Vec<Json> = turns.iter().map(|turn| message(turn, protect, in_parts, volume)).collect();
        let mut values: std::collections::BTreeMap<String, Value> =
            self.tokens.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect();
        values.insert("messages".into(), Value::from(Serde(&messages)));
        values.insert("add_generation_prompt".into(), Value::from(true));
        let shown = |e: Error| format!("{:#}", Detail(&e));
        self.sandbox.render(Value::from(values)).map_err(shown)
    }
}

/// What templates of `transformers` may call.
fn furnish(environment: &mut Environment<'_>) {
    environment.set_unknown_method_callback(python_method);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_filter("tojson", python_json);
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

/// The template with the blocks that `transformers` knows beside jinja2's, `{% generation %}` around what an assistant
/// said, as blocks that are always written.
fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut parts = source.split("{%");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str("{%");
        let (tag, rest) = part.split_once("%}").unwrap_or((part, ""));
        let own = match tag.trim_matches(|c: char| c.is_whitespace() || c == '-') {
            "generation" => tag.replace("generation", "if true"),
            "endgeneration" => tag.replace("endgeneration", "endif"),
            _ => tag.to_owned(),
        };
        out.push_str(&own);
        if tag.len() < part.len() {
            out.push_str("%}");
            out.push_str(rest);
        }
    }
    out
}

/// A template, or the one called `default` of a list of named templates.
fn default_template(value: &Json) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let named = |entry: &&Json| entry.get("name").and_then(Json::as_str) == Some("default");
    value.as_array()?.iter().find(named)?.get("template")?.as_str().map(str::to_owned)
}

fn only_words(turn: &Turn) -> bool {
    turn.parts.iter().all(|p| matches!(p, Part::Text(_)))
}

/// Words alone are a string, unless all shall be `in_parts`; with pictures the content is a list of typed parts, the
/// slices of a `volume` one of them.
fn message(turn: &Turn, protect: &dyn Fn(&str) -> String, in_parts: bool, volume: bool) -> Json {
    let role = match turn.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let content = if only_words(turn) && !in_parts {
        Json::String(protect(&turn.words()))
    } else {
        let together = |a: &Part, b: &Part| volume && matches!((a, b), (Part::Picture(_), Part::Picture(_)));
        let part = |parts: &[Part]| match parts {
            [Part::Text(text)] => json!({ "type": "text", "text": protect(text) }),
            [Part::Picture(_)] => json!({ "type": "image" }),
            slices => json!({ "type": "video", "num_frames": slices.len() }),
        };
        turn.parts.chunk_by(together).map(part).collect()
    };
    json!({ "role": role, "content": content })
}

/// `tojson` of `transformers`: `json.dumps` with `ensure_ascii=False`, so `", "` and `": "` between.
#[allow(clippy::needless_pass_by_value)] // the signature of a filter
fn python_json(value: &Value, options: minijinja::value::Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    if indent.is_some_and(|n| n > MOST_INDENT) {
        let problem = format!("an indent of at most {MOST_INDENT} is possible");
        return Err(Error::new(ErrorKind::InvalidOperation, problem));
    }
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

/// Most bytes that one replacement may write.
const MOST_REPLACED: usize = 16 << 20;

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
            // As the filter, within its bounds.
            "replace" => {
                let (from, to) = (arg(0).ok_or_else(unknown)?, arg(1).ok_or_else(unknown)?);
                let times = if from.is_empty() { text.len() + 1 } else { text.len() / from.len() };
                if times.saturating_mul(to.len()) > MOST_REPLACED {
                    let problem = format!("replace() may give {MOST_REPLACED} bytes at most");
                    return Err(Error::new(ErrorKind::InvalidOperation, problem));
                }
                Value::from(text.replace(from, to))
            }
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
            let template = ChatTemplate::new(if vision { QWEN_VL } else { TOOLS }, Vec::new()).unwrap();
            let turns = turns(&case["messages"]);
            let same = |text: &str| text.to_owned();
            assert_eq!(template.render(&turns, &same, false).unwrap(), case["rendered"].as_str().unwrap());
        }
    }

    #[test]
    fn words_are_given_in_parts_to_templates_that_read_nothing_else() {
        let source = "{% for m in messages %}{{ m.role | upper + ': ' }}\
            {% for c in m.content | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}\
            {% for c in m.content | selectattr('type', 'equalto', 'text') %}\
            {%- generation -%}{{ c.text + ' ' }}{% endgeneration %}{% endfor %}{% endfor %}";
        let template = ChatTemplate::new(source, Vec::new()).unwrap();
        let turns = [
            Turn { role: Role::User, parts: vec![Part::Picture(0), Part::Text("Left?".into())] },
            Turn::text(Role::Assistant, "Yes."),
            Turn::text(Role::User, "Sure?"),
        ];
        let written = template.render(&turns, &str::to_owned, false).unwrap();
        assert_eq!(written, "USER: <image>\nLeft? ASSISTANT: Yes. USER: Sure? ");
    }

    fn render(source: &str) -> Result<String, String> {
        let template = ChatTemplate::new(source, Vec::new()).map_err(|e| e.to_string())?;
        template.render(&[Turn::text(Role::User, "x")], &|t: &str| t.to_owned(), false)
    }

    #[test]
    fn what_templates_do_is_as_in_jinja2() {
        for (source, wanted) in [
            ("{{ {'a': [1, 'é']} | tojson }}", r#"{"a": [1, "é"]}"#),
            ("{{ 'a' ~ 1 ~ none }}", "a1None"),
            ("{{ 'a' + 'b' }}{{ 1 + 2 }}{{ 1.5 + 2 }}{{ 3 * 4 }}{{ 'ab' * 3 }}", "ab33.512ababab"),
            ("{{ ([1] + [2, 3])|length }}{{ ([0] * 4)|length }}", "34"),
            (
                "{% set ns = namespace(n=0) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
                "10",
            ),
            (
                "{% macro m(a, b='z') %}[{{ a }}{{ b }}]{% endmacro %}{{ m('x') }}{{ m('x', b='y') }}",
                "[xz][xy]",
            ),
            (
                "{% for a in [1, 2, 3] if a != 2 %}{{ a }}{% if not loop.last %},{% endif %}{% else %}none{% endfor %}",
                "1,3",
            ),
            ("{% for a in [1, 2, 3] %}{% if a == 2 %}{% continue %}{% endif %}{{ a }}{% endfor %}", "13"),
            ("{% set t %}a{{ 'b'|upper }}{% endset %}{{ t|replace('a', 'c')|trim }}", "cB"),
            ("{{ ' a,b '.strip().split(',')|join('-') }}{{ 'aXb'.replace('X', '') }}", "a-bab"),
            ("{{ messages[0].content if messages[0].role == 'user' and messages else 'no' }}", "x"),
            ("{% if false or messages is defined %}yes{% endif %}{{ [3, 1]|sort|first }}", "yes1"),
            ("{{ '%s-%03d'|format('a', 7) }}{{ 'a\nb'|indent(2) }}", "a-007a\n  b"),
            (
                "{%- for a in [[1, [2]]] recursive %}{% if a is iterable %}{{ loop(a) }}{% else %}{{ a }}{% endif %}{% endfor %}",
                "12",
            ),
        ] {
            assert_eq!(render(source).as_deref(), Ok(wanted), "{source}");
        }
        assert!(render("{{ raise_exception('only pairs') }}").unwrap_err().contains("only pairs"));
    }

    #[test]
    fn broken_and_endless_templates_are_errors() {
        let nested =
            |open: &str, close: &str, n: usize| format!("{{{{ {}1{} }}}}", open.repeat(n), close.repeat(n));
        let grow = |start: &str, step: &str, end: &str| {
            format!(
                "{{% set ns = namespace(s={start}) %}}{{% for i in range(90000) %}}{step}{{% endfor %}}{end}"
            )
        };
        let doubled = |n: usize| {
            format!("{{% set x = 'aaaaaaaa' %}}{}{{{{ x|length }}}}", "{% set x = x ~ x %}".repeat(n))
        };
        for source in [
            "{% for %}".to_owned(),
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}".to_owned(),
            grow("'x'", "{% set ns.s = ns.s ~ ns.s %}", "{{ ns.s|length }}"),
            grow("'x'", "{% set ns.s = ns.s + ns.s %}", "{{ ns.s }}"),
            grow("'x'", "{% set ns.s = ns.s * 9 %}", ""),
            grow("'x'", "{% set ns.s = '%s%s'|format(ns.s, ns.s) %}", ""),
            grow("'x'", "{% set ns.s = ns.s|replace('x', 'xx') %}", ""),
            grow("'x'", "{% set ns.s = ns.s.replace('x', 'xx') %}", ""),
            grow("'x'", "{% set ns.s = [ns.s, ns.s]|join %}", ""),
            grow("'x'", "{% set ns.s = [ns.s, ns.s]|string %}", ""),
            grow("'x'", "{% set ns.s = (ns.s ~ '\"')|tojson %}", ""),
            grow("[1]", "{% set ns.s = ns.s + ns.s %}", "{{ ns.s|length }}"),
            grow("[1]", "{% set ns.s = ns.s * 7 %}", "{{ ns.s|list|length }}"),
            grow("[]", "{% set ns.s = [ns.s] %}", "{{ ns.s }}"),
            grow("[]", "{% set ns.s = [ns.s, ns.s] %}", "{{ ns.s|length }}"),
            grow("{}", "{% set ns.s = {'a': ns.s} %}", "{{ ns.s }}"),
            grow("1", "{% set ns.a = ns %}", "{{ ns }}"),
            grow("1", "{% set ns.a = [ns] %}", "{{ ns|string }}"),
            grow(
                "1",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                "",
            )
            .repeat(40),
            doubled(60),
            "{% macro m(x) %}{{ m(x ~ x) }}{% endmacro %}{{ m('xx') }}".to_owned(),
            "{% macro m(x) %}{{ m([x]) }}{% endmacro %}{{ m('xx') }}".to_owned(),
            "{{ 'a\nb'|indent(9999999999) }}".to_owned(),
            "{{ 'a\nb'|indent(width=9999999999) }}".to_owned(),
            "{{ '%999999999999d'|format(1) }}".to_owned(),
            "{{ '%.999999999d'|format(1) }}".to_owned(),
            "{{ [1, [2]]|tojson(indent=99999999999) }}".to_owned(),
            "{{ [1]|batch(9999999999, 'x') }}".to_owned(),
            "{{ [1]|slice(9999999999)|list }}".to_owned(),
            "{{ ('x' * 9999) * 9999 ~ ('y' * 9999) * 9999 }}".to_owned(),
            "{% for i in range(3) %}{{ loop.cycle() }}{% endfor %}".to_owned(),
            nested("-", "", 100_000),
            nested("(", ")", 100_000),
            nested("[", "]", 100_000),
            nested("not ", "", 100_000),
            format!("{{{{ x{} }}}}", ".a".repeat(100_000)),
            format!("{{{{ 1{} }}}}", "|abs".repeat(100_000)),
            "{% if x %}".repeat(20_000),
            format!("{{% if x %}}{}{{% endif %}}", "{% elif y %}".repeat(20_000)),
            "x".repeat(600 << 10),
        ] {
            let started = std::time::Instant::now();
            let shown: String = source.chars().take(120).collect();
            assert!(render(&source).is_err(), "{shown}");
            assert!(started.elapsed().as_secs() < 10, "{shown}: {:?}", started.elapsed());
        }
    }
}
