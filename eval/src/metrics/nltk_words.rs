//! Words as nltk 3.10.4's `word_tokenize` cuts them: its improved Penn Treebank rules, sentence by sentence.

use super::punkt::Punkt;
use super::words::is_python_space;
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Rules before and behind that of opening single quotes, which needs to look around itself.
const BEFORE: [(&str, &str); 4] =
    [("([«“‘„]|[`]+)", " $1 "), ("^\"", "``"), ("(``)", " $1 "), (r#"([ (\[{<])("|'{2})"#, "$1 `` ")];
const BEHIND: [(&str, &str); 26] = [
    (r#"([^.])(\.)([\])}>"'»”’ ]*)\s*$"#, "$1 $2 $3 "),
    (r"([:,])([^\d])", " $1 $2"),
    ("([:,])$", " $1 "),
    (r"(\.{2,})", " $1 "),
    ("([;@#$%&])", " $1 "),
    (r"([\x{2012}-\x{2015}])", " $1 "),
    (r#"([^.])(\.)([\])}>"']*)\s*$"#, "$1 $2$3 "),
    ("([?!])", " $1 "),
    ("([^'])' ", "$1 ' "),
    (r"([*])", " $1 "),
    (r"([\]\[(){}<>])", " $1 "),
    ("--", " -- "),
    // Here the text gets a space on both sides.
    (r"(?s)^(.*)$", " $1 "),
    ("([»”’])", " $1 "),
    ("''", " '' "),
    ("\"", " '' "),
    (r"\s+", " "),
    ("([^' ])('[sS]|'[mM]|'[dD]|') ", "$1 $2 "),
    ("([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", "$1 $2 "),
    (r"(?i)\b(can)(not)\b", " $1 $2 "),
    (r"(?i)\b(d)('ye)\b", " $1 $2 "),
    (r"(?i)\b(gim|lem)(me)\b", " $1 $2 "),
    (r"(?i)\b(gon)(na)\b|\b(got)(ta)\b", " $1$3 $2$4 "),
    (r"(?i)\b(more)('n)\b", " $1 $2 "),
    (r"(?i)\b(wan)(na)([\s\x1c-\x1f])", " $1 $2 $3"),
    (r"(?i) ('t)(is|was)\b", " $1 $2 "),
];

static RULES: LazyLock<[Vec<(Regex, &'static str)>; 2]> = LazyLock::new(|| {
    let rule = |(pattern, put): &(&str, &'static str)| Some((Regex::new(pattern).ok()?, *put));
    [BEFORE.iter().filter_map(rule).collect(), BEHIND.iter().filter_map(rule).collect()]
});

fn apply(rules: &[(Regex, &'static str)], mut text: String) -> String {
    for (pattern, put) in rules {
        if let Cow::Owned(changed) = pattern.replace_all(&text, *put) {
            text = changed;
        }
    }
    text
}

/// A single quote before a word, behind none, that begins no contraction: a space behind it.
fn opening_quotes(text: &str) -> String {
    const ENDINGS: [&str; 8] = ["re", "ve", "ll", "m", "t", "s", "d", "n"];
    static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\w$").ok());
    let word = |c: char| WORD.as_ref().is_some_and(|w| w.is_match(c.encode_utf8(&mut [0; 4])));
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    for (at, c) in text.char_indices() {
        out.push(c);
        let rest = &text[at + c.len_utf8()..];
        let ends = |ending: &&str| {
            let fits = rest.get(..ending.len()).is_some_and(|r| r.eq_ignore_ascii_case(ending));
            fits && !rest[ending.len()..].chars().next().is_some_and(word)
        };
        if c == '\''
            && !before.is_some_and(word)
            && rest.chars().next().is_some_and(word)
            && !ENDINGS.iter().any(ends)
        {
            out.push(' ');
        }
        before = Some(c);
    }
    out
}

/// Words of one sentence.
fn of_sentence(sentence: &str) -> Vec<String> {
    let [before, behind] = &*RULES;
    let text = apply(behind, opening_quotes(&apply(before, sentence.to_owned())));
    text.split(is_python_space).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// Words and marks of a text.
pub fn word_tokenize(text: &str, punkt: &Punkt) -> Vec<String> {
    punkt.sentences(text).iter().flat_map(|s| of_sentence(s)).collect()
}
