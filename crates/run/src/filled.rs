//! Words filled in by templates from files: their blocks, the pictures between the words, and what goes wrong.

use loupe_core::Part;
use minijinja::Error;

/// Stand around the number of a picture in filled-in words: characters for private use that no text may hold.
pub(crate) const MARKS: [char; 2] = ['\u{F0000}', '\u{F0001}'];

/// A picture within filled-in words.
pub(crate) fn mark(at: usize) -> String {
    format!("{}{at}{}", MARKS[0], MARKS[1])
}

/// What stands in the tags `{% … %}` of a template.
pub(crate) fn tags(text: &str) -> impl Iterator<Item = &str> {
    let inside = |tag: &'_ str| tag.split("%}").next().map_or(0, str::len);
    let own = move |tag| tag_words(&tag[..inside(tag)]);
    text.split("{%").skip(1).map(own)
}

/// The words of a tag without its marks of white space.
pub(crate) fn tag_words(tag: &str) -> &str {
    tag.trim_matches(|c: char| matches!(c, '-' | '+') || c.is_whitespace())
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

/// Stand around the block that is wanted in [`alone`]: a character for private use that no text may hold.
pub(crate) const BLOCK: char = '\u{F0002}';

/// A template with one of its blocks alone, behind everything that stands outside of blocks: what the other blocks hold is left out, so that each
/// block is filled in once and by itself. Lines stay where they are.
pub(crate) fn alone(text: &str, block: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Of the blocks that are open: is it the wanted one, or inside of it?
    let mut open: Vec<bool> = Vec::new();
    let mut rest = text;
    let lines = |out: &mut String, words: &str| out.extend(words.chars().filter(|c| *c == '\n'));
    loop {
        let Some((before, behind)) = rest.split_once("{%") else {
            out.push_str(rest);
            return out;
        };
        let kept = open.last().copied().unwrap_or(true);
        if kept {
            out.push_str(before);
        } else {
            lines(&mut out, before);
        }
        let Some((tag, after)) = behind.split_once("%}") else {
            out.push_str("{%");
            out.push_str(behind);
            return out;
        };
        let mut words = tag.trim_matches(['-', '+', ' ', '\t', '\n', '\r']).split_whitespace();
        match (words.next(), words.next()) {
            (Some("block"), Some(name)) => {
                let inside = open.last().copied();
                if name == block {
                    out.push(BLOCK);
                }
                open.push(inside.unwrap_or(false) || name == block);
                lines(&mut out, tag);
            }
            (Some("endblock"), _) => {
                let ended = open.pop().unwrap_or(false);
                // The outermost of the kept ones is the wanted block.
                if ended && !open.last().copied().unwrap_or(false) {
                    out.push(BLOCK);
                }
                lines(&mut out, tag);
            }
            _ if kept => {
                out.push_str("{%");
                out.push_str(tag);
                out.push_str("%}");
            }
            _ => lines(&mut out, tag),
        }
        rest = after;
    }
}

/// What stands between the tags of a block, as the template has it.
pub(crate) fn block_text(text: &str, block: &str) -> Option<String> {
    alone(text, block).split(BLOCK).nth(1).map(str::to_owned)
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
