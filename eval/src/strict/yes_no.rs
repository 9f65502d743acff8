//! Yes or no.

use super::denial::faulted;
use super::extract::{How, Span, bare, declared, misses_image, refuses};
use super::lines;
use super::polarity::{opening_ar, opening_zh};

const YES: [&str; 5] = ["yes", "yeah", "yep", "yup", "true"];
const NO: [&str; 4] = ["no", "nope", "nah", "false"];

/// Behind a yes or no: nothing is answered.
const UNDETERMINED: [&str; 6] = [
    "cannot determine that",
    "can't determine that",
    "cannot be determined",
    "can't be determined",
    "unable to determine that",
    "not possible to determine",
];

/// The answer and the rule, or the reason why none was read.
type Found = Result<(bool, &'static str), &'static str>;

/// The answer to `question`. A box that holds neither yes nor no gives way to a declaration.
pub(super) fn read(span: &Span<'_>, question: &str) -> (Found, How) {
    let found = read_span(span, question);
    if found == Err("no_yes_or_no")
        && span.how == How::Boxed
        && let Some(declared) = declared(span)
    {
        return (read_span(&declared, question), How::Declared);
    }
    (found, span.how)
}

fn read_span(span: &Span<'_>, question: &str) -> Found {
    let text = bare(span.text);
    let first = opening(text, question)?;
    if span.how != How::Whole {
        return first.ok_or_else(|| if refuses(text) { "refusal" } else { "no_yes_or_no" });
    }
    // An apology is no answer, even when it begins with "No".
    let lower = text.to_lowercase();
    if ["i'm sorry", "i am sorry", "as an ai", "can't assist", "cannot assist", "抱歉"]
        .iter()
        .any(|s| lower.contains(s))
        || misses_image(&lower)
    {
        return Err("refusal");
    }
    let lines: Vec<&str> = text.lines().map(bare).filter(|line| !line.is_empty()).collect();
    let is_answer = |line: &str| matches!(opening(line, question), Ok(Some(_)));
    if lines.len() > 1 && lines::last_is_denied(&lines, is_answer) {
        return Err("denied");
    }
    if first.is_some() && UNDETERMINED.iter().any(|s| lower.contains(s)) {
        return Err("refusal");
    }
    let last = match text.rsplit_once('\n') {
        Some((_, line)) => opening(bare(line), question)?,
        None => None,
    };
    match (first, last) {
        (Some((a, _)), Some((b, _))) if a != b => Err("both_yes_and_no"),
        (Some(found), _) => Ok(found),
        (None, Some((answer, _))) => Ok((answer, "last_line")),
        (None, None) if refuses(text) => Err("refusal"),
        (None, None) => Err("no_yes_or_no"),
    }
}

/// A yes or no that the text is or opens with; an error when it says both.
fn opening(text: &str, question: &str) -> Result<Option<(bool, &'static str)>, &'static str> {
    let lower = text.to_lowercase();
    match lower.chars().next() {
        Some('\u{0600}'..='\u{06ff}') => return opening_ar(&lower, question),
        Some(c) if !c.is_ascii() => return Ok(opening_zh(&lower, question)),
        _ => {}
    }
    let end = lower.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(lower.len());
    let (word, rest) = lower.split_at(end);
    let answer = match word {
        w if YES.contains(&w) => true,
        w if NO.contains(&w) => false,
        _ => return Ok(None),
    };
    let rest = rest.trim_start_matches(['*', '_', '"', '\'', '`']);
    if rest.trim_matches(|c: char| c.is_whitespace() || c.is_ascii_punctuation() || c == '。').is_empty() {
        return Ok(Some((answer, "word")));
    }
    // "No. 3", "No 2": a number; "Yes? …": a question.
    let number = rest.trim_start_matches(['.', ' ', '#']).starts_with(|c: char| c.is_ascii_digit());
    if (word == "no" && number) || rest.trim_start().starts_with('?') {
        return Ok(None);
    }
    let opposite = if answer { &NO[..] } else { &YES[..] };
    let mut words = rest.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    let next = words.next().unwrap_or_default();
    let after = if matches!(next, "or" | "and") { words.next().unwrap_or_default() } else { next };
    if opposite.contains(&after) {
        return Err("both_yes_and_no");
    }
    // "No, I mean yes": taken back.
    const TAKEN_BACK: [&str; 6] = ["mean", "meant", "wait", "actually", "rather", "correction"];
    let all: Vec<&str> = rest.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    if all.windows(2).any(|pair| TAKEN_BACK.contains(&pair[0]) && opposite.contains(&pair[1])) {
        return Err("both_yes_and_no");
    }
    // "Yes" is incorrect: the word is spoken of and denied.
    if faulted(rest) {
        return Ok(None);
    }
    // "true" and "false" answer only alone; "No fracture" answers another question than "No, …".
    let clause = rest.starts_with(|c: char| {
        matches!(c, ',' | '.' | ';' | ':' | '!' | '-' | '–' | '—' | '\n' | '(' | ')' | '，' | '。')
    }) || rest.trim_start().starts_with(['-', '–', '—', '(']);
    let goes_on = matches!(
        next,
        "there"
            | "it"
            | "this"
            | "that"
            | "the"
            | "they"
            | "these"
            | "i"
            | "he"
            | "she"
            | "because"
            | "not"
            | "we"
    );
    match (answer, clause || goes_on) {
        _ if matches!(word, "true" | "false") => Ok(None),
        (true, _) | (false, true) => Ok(Some((answer, "opening"))),
        (false, false) => Ok(None),
    }
}
