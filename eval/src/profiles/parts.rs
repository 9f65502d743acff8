//! What several profiles share.

use loupe_core::{Sample, Target};

/// The reference answer of a question that is answered in words.
pub fn gold_text(sample: &Sample) -> Option<&str> {
    sample.target.text()
}

/// Is it a multiple-choice question by the set's own `question_type`, whose options were not in the file?
pub fn lacks_options(sample: &Sample) -> bool {
    let kind = sample.tag("question_type").map(str::to_lowercase).unwrap_or_default();
    sample.choices.is_empty() && kind.contains("multi") && kind.contains("choice")
}

/// The words of the right choice.
pub fn gold_choice(sample: &Sample) -> Option<&str> {
    let Target::Choice(letter) = sample.target else { return None };
    sample.choices.iter().find(|c| c.letter == letter).map(|c| c.text.as_str())
}

/// Is this an OPEN question by the set's own `answer_type`?
pub fn is_open(sample: &Sample) -> bool {
    sample
        .tag("answer_type")
        .is_some_and(|t| matches!(t.trim().to_lowercase().as_str(), "open" | "other" | "number"))
}

/// Is this a CLOSED question by the set's own `answer_type`?
pub fn is_closed(sample: &Sample) -> bool {
    sample.tag("answer_type").is_some_and(|t| matches!(t.trim().to_lowercase().as_str(), "closed" | "yes/no"))
}

/// What is inside the last `\boxed{…}` with balanced braces (mathruler 0.1.0), or `None`.
pub fn boxed(text: &str) -> Option<&str> {
    const OPEN: &str = "\\boxed{";
    let content = text.get(text.rfind(OPEN)? + OPEN.len()..)?;
    let mut depth = 0i64;
    for (at, c) in content.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return content.get(..at).map(str::trim);
        }
    }
    None
}

/// The spans between `<tag>` and `</tag>`, joined by spaces and trimmed; `None` when there is no
/// complete span or only empty ones.
pub fn between_tags(text: &str, tag: &str) -> Option<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let (mut found, mut rest) = (String::new(), text);
    while let Some((_, after)) = rest.split_once(&open) {
        let Some((inside, tail)) = after.split_once(&close) else { break };
        found.push_str(inside);
        found.push(' ');
        rest = tail;
    }
    let found = found.trim();
    (!found.is_empty()).then(|| found.to_owned())
}

/// The text after the last `marker`, or all of it.
pub fn after_last<'a>(text: &'a str, marker: &str) -> &'a str {
    text.rsplit_once(marker).map_or(text, |(_, tail)| tail)
}

/// Rounds to `digits` decimals as Python's `round` does.
pub fn round(value: f64, digits: usize) -> f64 {
    format!("{value:.digits$}").parse().unwrap_or(value)
}

/// Strips one character from both ends, once for each given, in order (Python's `strip` in a loop).
pub fn strip_each<'a>(text: &'a str, marks: &[char]) -> &'a str {
    marks.iter().fold(text, |t, m| t.trim_matches(*m))
}

/// The candidate whose needle is found last; the first of equals (`candidates[argmax(rfind)]`).
pub fn found_last<T: Copy>(text: &str, candidates: &[(T, String)]) -> Option<T> {
    let mut best: Option<(Option<usize>, T)> = None;
    for (candidate, needle) in candidates {
        let at = text.rfind(needle.as_str());
        if best.is_none_or(|(b, _)| at > b) {
            best = Some((at, *candidate));
        }
    }
    best.map(|(_, c)| c)
}
