//! Words filled in by templates from files: their blocks, the pictures between the words, and what goes wrong.

use loupe_core::Part;
use minijinja::Error;

/// Stand around the number of a picture in filled-in words: characters for private use that no text may hold.
pub(crate) const MARKS: [char; 2] = ['\u{F0000}', '\u{F0001}'];

/// A picture within filled-in words.
pub(crate) fn mark(at: usize) -> String {
    format!("{}{at}{}", MARKS[0], MARKS[1])
}

/// Names of the blocks that a template opens.
pub(crate) fn blocks(text: &str) -> Vec<&str> {
    let tags = text.split("{%").skip(1);
    let name = |tag: &'_ str| -> Option<(usize, usize)> {
        let rest = tag.trim_start_matches(['-', '+']).trim_start().strip_prefix("block")?;
        let name = rest.trim_start();
        let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(name.len());
        let start = tag.len() - name.len();
        (rest.len() > name.len() && end > 0).then_some((start, start + end))
    };
    tags.filter_map(|tag| name(tag).and_then(|(start, end)| tag.get(start..end))).collect()
}

/// What stands between the tags of a block, as the template has it.
pub(crate) fn block_text<'a>(text: &'a str, block: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let (_, behind) = rest.split_once("{%")?;
        let (tag, inner) = behind.split_once("%}")?;
        let mut words = tag.trim_matches(['-', '+', ' ', '\t', '\n', '\r']).split_whitespace();
        if (words.next(), words.next()) == (Some("block"), Some(block)) {
            return inner.split_once("{%").map(|(words, _)| words);
        }
        rest = inner;
    }
}

/// The filled-in words taken apart at their pictures. Marks come in pairs, so that every other piece is the number of a picture.
pub(crate) fn parts(words: &str) -> Vec<Part> {
    let pieces = words.trim().split(MARKS).enumerate();
    let part = |(at, piece): (usize, &str)| match at % 2 {
        0 => (!piece.is_empty()).then(|| Part::Text(piece.to_owned())),
        _ => piece.parse().ok().map(Part::Picture),
    };
    pieces.filter_map(part).collect()
}

/// What minijinja says, with the line; nothing of what the template is filled with.
pub(crate) fn words_of(error: &Error) -> String {
    let line = error.line().map(|n| format!(" (line {n})")).unwrap_or_default();
    match error.detail() {
        Some(detail) => format!("{}: {detail}{line}", error.kind()),
        None => format!("{}{line}", error.kind()),
    }
}
