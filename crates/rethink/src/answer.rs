//! Finding the answer in a reply, and telling whether two answers are the same.

use loupe_core::Choice;
use loupe_core::reasoning::without_reasoning;

/// The text between the last `open` and the `close` after it; to the end when it is not closed.
pub fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inner = text.get(text.rfind(open)? + open.len()..)?;
    Some(inner.find(close).and_then(|end| inner.get(..end)).unwrap_or(inner).trim())
}

/// The contents of the last `\boxed{…}`, inner braces kept; `None` when it is never closed.
pub fn boxed(text: &str) -> Option<&str> {
    let inner = text.get(text.rfind("\\boxed{")? + "\\boxed{".len()..)?;
    let mut depth = 1usize;
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return inner.get(..at).map(str::trim);
        }
    }
    None
}

/// The answer of a free reply: what follows the thoughts, inside `<answer>` or `\boxed{}` where
/// there is one, else after the last `Answer:`.
pub fn of_reply(text: &str) -> &str {
    // A reply of thoughts alone stays as it is, so that whoever scores it sees what it is.
    let Ok(after) = without_reasoning(text) else { return text.trim() };
    if after.contains("<answer>") {
        return between(after, "<answer>", "</answer>").unwrap_or(after);
    }
    if let Some(found) = boxed(after) {
        return found;
    }
    for mark in ["Final answer:", "final answer:", "Answer:", "answer:"] {
        if let Some(at) = after.rfind(mark) {
            let rest = after.get(at + mark.len()..).unwrap_or_default().trim();
            let line = rest.lines().next().unwrap_or_default().trim();
            if !line.is_empty() {
                return line;
            }
        }
    }
    after.trim()
}

/// The form in which answers are compared: the letter of a choice where the answer names one, else
/// the words in lower case without punctuation and articles.
pub fn key(answer: &str, choices: &[Choice]) -> String {
    letter(answer, choices).map_or_else(|| plain(answer), String::from)
}

/// The words in lower case without punctuation and articles.
fn plain(answer: &str) -> String {
    let lower = answer.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric() && c != '.' && c != '-');
    let words = words.map(|w| w.trim_matches(['.', '-']));
    words.filter(|w| !w.is_empty() && !matches!(*w, "a" | "an" | "the")).collect::<Vec<_>>().join(" ")
}

/// The letter of the choice that `answer` names: a letter on its own (`B`, `(B)`, `B.`, `B: …`) or the
/// words of exactly one choice.
pub fn letter(answer: &str, choices: &[Choice]) -> Option<char> {
    let trimmed = answer.trim().trim_start_matches(['(', '[', '*', ' ']);
    let mut chars = trimmed.chars();
    if let Some(first) = chars.next() {
        let alone = chars.next().is_none_or(|c| !c.is_alphanumeric() && c != '\'' && c != ' ');
        let known = choices.iter().find(|c| c.letter.eq_ignore_ascii_case(&first));
        if let (true, Some(choice)) = (alone, known) {
            return Some(choice.letter);
        }
    }
    let wanted = plain(answer);
    let mut same = choices.iter().filter(|c| plain(&c.text) == wanted);
    match (same.next(), same.next()) {
        (Some(choice), None) => Some(choice.letter),
        _ => None,
    }
}

/// The answers grouped by [`key`], most frequent first and earliest first among equals: the words
/// of the first of each group and how many there are.
pub fn votes<'a>(answers: impl IntoIterator<Item = &'a str>, choices: &[Choice]) -> Vec<(String, usize)> {
    let mut groups: Vec<(String, String, usize)> = Vec::new();
    for answer in answers {
        let key = key(answer, choices);
        match groups.iter_mut().find(|g| g.0 == key) {
            Some(group) => group.2 += 1,
            None => groups.push((key, answer.to_owned(), 1)),
        }
    }
    groups.sort_by_key(|g| std::cmp::Reverse(g.2)); // stable: earliest first among equals
    groups.into_iter().map(|(_, words, n)| (words, n)).collect()
}
