//! The options of a reply file, in the forms in which tools keep them.

use crate::read::options::unlettered;
use crate::read::{python_list, words};
use loupe_core::Choice;
use serde_json::{Map, Value};

/// Options as a list, an object by letter (MMMU's `index2ans`), a list of objects (`{"letter", "content"}`), lists of letters
/// and texts side by side, or any of these as words, of JSON or of Python; also `A. one\nB. two`. A list of letters alone
/// (MMMU's `all_choices`) offers letters without words. An option without words is not offered and moves no other.
pub(super) fn offered(value: &Value) -> Vec<Choice> {
    match value {
        Value::Object(map) => by_letter(map),
        Value::Array(list) if list.iter().all(Value::is_object) => list.iter().filter_map(one).collect(),
        Value::Array(list) => of_list(list.iter().map(words).collect()),
        Value::String(text) => of_words(text),
        _ => Vec::new(),
    }
}

/// pandas writes an empty cell as "nan".
#[expect(clippy::ptr_arg, reason = "a filter of strings")]
fn real(text: &String) -> bool {
    !text.is_empty() && !text.eq_ignore_ascii_case("nan")
}

fn letter(text: &str) -> Option<char> {
    let mut bare = text.trim().trim_matches(['(', ')', '.', ':', ' ']).chars();
    let letter = bare.next().filter(|c| c.is_alphanumeric() && bare.next().is_none())?;
    Some(letter.to_ascii_uppercase())
}

fn by_letter(map: &Map<String, Value>) -> Vec<Choice> {
    // {"text": ["one", "two"], "label": ["A", "B"]}
    let list = |names: &[&str]| names.iter().find_map(|n| map.get(*n)?.as_array());
    if let (Some(letters), Some(texts)) =
        (list(&["label", "labels", "letter", "key"]), list(&["text", "texts", "content", "value"]))
    {
        let pair = |(l, t): (&Value, &Value)| {
            Some(Choice { letter: letter(&words(l)?)?, text: words(t).filter(real)? })
        };
        return letters.iter().zip(texts).filter_map(pair).collect();
    }
    let named = |prefixed: bool| -> Vec<Choice> {
        let one = |(name, text): (&String, &Value)| {
            let name = if prefixed { without_prefix(name)? } else { name };
            Some(Choice { letter: letter(name)?, text: words(text).filter(real)? })
        };
        map.iter().filter_map(one).collect()
    };
    let plain = named(false);
    if plain.is_empty() { named(true) } else { plain }
}

/// `a` of `option_a`.
fn without_prefix(name: &str) -> Option<&str> {
    let is = |p: &&str| name.get(..p.len()).is_some_and(|head| head.eq_ignore_ascii_case(p));
    ["option_", "choice_", "option", "choice"].iter().copied().find(is).map(|p| &name[p.len()..])
}

/// `{"letter": "A", "content": "one"}` under the names in use.
fn one(value: &Value) -> Option<Choice> {
    let field = |names: &[&str]| names.iter().find_map(|n| words(value.get(n)?));
    let letter = letter(&field(&["letter", "key", "label", "option", "option_letter", "id"])?)?;
    Some(Choice { letter, text: field(&["content", "text", "value", "option_text", "answer"]).filter(real)? })
}

fn of_list(texts: Vec<Option<String>>) -> Vec<Choice> {
    let letters: Option<Vec<char>> = texts.iter().map(|t| t.as_deref().and_then(letter)).collect();
    match letters {
        Some(letters) if letters.len() > 1 && letters.iter().copied().eq(('A'..='Z').take(letters.len())) => {
            letters.into_iter().map(|letter| Choice { letter, text: String::new() }).collect()
        }
        _ => unlettered(texts),
    }
}

fn of_words(text: &str) -> Vec<Choice> {
    let text = text.trim();
    if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
        return offered(&value);
    }
    if let Some(list) = python_list(text) {
        return of_list(list);
    }
    python_object(text).map_or_else(|| lettered_words(text), |map| by_letter(&map))
}

/// `{'A': 'one', "B": "it's two"}` as Python prints an object of words.
fn python_object(text: &str) -> Option<Map<String, Value>> {
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?.trim_start();
    let mut map = Map::new();
    while !rest.is_empty() {
        let (name, after) = python_word(rest)?;
        let (value, after) = python_word(after.trim_start().strip_prefix(':')?.trim_start())?;
        map.insert(name, Value::String(value));
        let after = after.trim_start();
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
    }
    Some(map)
}

/// The word in quotes that the text begins with, and what follows.
fn python_word(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    })?;
    // As a list of one word, so that escapes are read in one place.
    let word =
        python_list(&format!("[{}]", &text[..=end.0]))?.into_iter().next().flatten().unwrap_or_default();
    Some((word, &text[end.0 + 1..]))
}

/// `A. one\nB. two`, `(A) one (B) two`, `A: one, B: two`: at least two letters from A on.
fn lettered_words(text: &str) -> Vec<Choice> {
    let mut marks: Vec<(usize, usize)> = Vec::new();
    for wanted in 'A'..='Z' {
        let from = marks.last().map_or(0, |(_, end)| *end);
        let found = text[from..].match_indices(wanted).map(|(at, _)| from + at).find_map(|at| {
            let bracket = text[..at].ends_with('(');
            let before = text[..at].trim_end_matches('(');
            let begins = before.is_empty()
                || before.ends_with(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|'));
            let rest = &text[at + wanted.len_utf8()..];
            let delimiter = rest
                .chars()
                .next()
                .filter(|c| if bracket { *c == ')' } else { matches!(c, '.' | ':' | ')' | '：') })?;
            begins.then_some((at - usize::from(bracket), at + wanted.len_utf8() + delimiter.len_utf8()))
        });
        match found {
            Some(mark) => marks.push(mark),
            None => break,
        }
    }
    if marks.len() < 2 {
        return Vec::new();
    }
    let ends = marks.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    let texts = marks
        .iter()
        .zip(ends)
        .map(|((_, from), to)| text[*from..to].trim().trim_end_matches([',', ';', '|']).trim());
    ('A'..='Z')
        .zip(texts)
        .filter(|(_, t)| !t.is_empty())
        .map(|(letter, t)| Choice { letter, text: t.to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn options_are_found_in_every_form_in_use() {
        for value in [
            json!(["one", "it's two"]),
            json!(["A. one", "B. it's two"]),
            json!({"A": "one", "B": "it's two"}),
            json!({"(A)": "one", "(B)": "it's two"}),
            json!({"option_a": "one", "option_b": "it's two"}),
            json!([{"letter": "A", "content": "one"}, {"letter": "B", "content": "it's two"}]),
            json!([{"key": "A", "value": "one"}, {"key": "B", "value": "it's two"}]),
            json!({"label": ["A", "B"], "text": ["one", "it's two"]}),
            json!("[\"one\", \"it's two\"]"),
            json!("['one', \"it's two\"]"),
            json!("{\"A\": \"one\", \"B\": \"it's two\"}"),
            json!("{'A': 'one', 'B': \"it's two\"}"),
            json!("{'A': 'one', 'B': 'it\\'s two'}"),
            json!("A. one\nB. it's two"),
            json!("(A) one (B) it's two"),
            json!("A: one, B: it's two"),
        ] {
            let got: Vec<(char, String)> = offered(&value).into_iter().map(|c| (c.letter, c.text)).collect();
            assert_eq!(got, [('A', "one".to_owned()), ('B', "it's two".to_owned())], "{value}");
        }
    }

    #[test]
    fn letters_alone_have_no_words_and_an_empty_option_moves_no_other() {
        let got = |value: Value| offered(&value).into_iter().map(|c| (c.letter, c.text)).collect::<Vec<_>>();
        assert_eq!(got(json!(["A", "B"])), [('A', String::new()), ('B', String::new())]);
        assert_eq!(
            got(json!({"A": "one", "B": "", "C": null, "D": "four"})),
            [('A', "one".to_owned()), ('D', "four".to_owned())]
        );
        assert_eq!(got(json!({})), []);
        assert_eq!(got(json!("plain words")), []);
        assert_eq!(got(json!("B. only one")), []);
        assert_eq!(got(json!(3)), []);
    }
}
