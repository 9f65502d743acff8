//! Words filled in by templates from files: their blocks, the pictures between the words, and what goes wrong.

use loupe_core::Part;
use loupe_core::sandbox::{Sandbox, TOO_MUCH};
use loupe_core::words::did_you_mean;
use minijinja::{Error, ErrorKind, Value};
use std::collections::BTreeMap;

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

/// Most bytes of a template and of the words that a block makes.
const MOST_BYTES: usize = 1 << 20;
/// Most blocks of a template: each is parsed by itself, with all that stands outside of blocks.
const MOST_BLOCKS: usize = 256;
/// Tags that need other files.
const ELSEWHERE: [&str; 4] = ["include", "import", "extends", "from"];
/// What minijinja brings.
const GLOBALS: [&str; 7] = ["range", "dict", "namespace", "debug", "loop", "self", "super"];

/// A template from a file within the bounds of [`Sandbox`]: all of it, and each of its blocks by itself.
pub(crate) struct FileTemplate {
    whole: Sandbox,
    blocks: BTreeMap<String, Sandbox>,
}

impl FileTemplate {
    /// Reads a template; `parse` says what it may call.
    ///
    /// # Errors
    /// When it is no minijinja, too large or too deep, of too many blocks, or does not stand by itself.
    pub(crate) fn new(text: &str, parse: impl Fn(String) -> Result<Sandbox, Error>) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("it has {} bytes; {MOST_BYTES} at most", text.len()));
        }
        if holds_marks(text) {
            return Err("it holds a private-use character that stands for pictures here".to_owned());
        }
        let names = blocks(text);
        if names.len() > MOST_BLOCKS {
            return Err(format!("it has {} blocks; {MOST_BLOCKS} at most", names.len()));
        }
        let parsed = |text: String| parse(text).map_err(|e| format!("not minijinja: {}", words_of(&e)));
        let whole = parsed(text.to_owned())?;
        if let Some(tag) = tags(text).find_map(|tag| ELSEWHERE.into_iter().find(|word| tag.starts_with(word)))
        {
            return Err(format!("it uses {tag:?}; a template is one file and stands by itself"));
        }
        let alone = names.into_iter().map(|name| Ok((name.to_owned(), parsed(alone(text, name))?)));
        Ok(Self { whole, blocks: alone.collect::<Result<_, String>>()? })
    }

    /// Has it a block of this name?
    pub(crate) fn has(&self, block: &str) -> bool {
        self.blocks.contains_key(block)
    }

    /// Refuses a template that uses a name which is none of `known`; `who` has them.
    ///
    /// # Errors
    /// The message names the nearest.
    pub(crate) fn need_names(&self, known: &[&str], who: &str) -> Result<(), String> {
        let used = self.whole.names().unwrap_or_default();
        let strange = |name: &&String| !known.contains(&name.as_str()) && !GLOBALS.contains(&name.as_str());
        let Some(name) = used.iter().filter(strange).min() else { return Ok(()) };
        let near = did_you_mean(name, known.iter().copied());
        Err(format!("nothing is called {name:?}{near}; {who} has {}", known.join(", ")))
    }

    /// All of it filled in.
    ///
    /// # Errors
    /// When it cannot be, or makes too much.
    pub(crate) fn fill(&self, values: Value) -> Result<String, Error> {
        bounded(self.whole.render(values)?)
    }

    /// A block filled in; blank where there is none of this name.
    ///
    /// # Errors
    /// When it cannot be, or makes too much.
    pub(crate) fn fill_block(&self, block: &str, values: Value) -> Result<String, Error> {
        let Some(block) = self.blocks.get(block) else { return Ok(String::new()) };
        let words = block.render(values)?;
        bounded(words.split(BLOCK).nth(1).unwrap_or_default().to_owned())
    }
}

fn bounded(words: String) -> Result<String, Error> {
    match words.len() {
        ..=MOST_BYTES => Ok(words),
        n => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("{TOO_MUCH}{n} bytes of words; {MOST_BYTES} at most"),
        )),
    }
}

/// Does a text hold a character that stands for a picture or a block here?
pub(crate) fn holds_marks(text: &str) -> bool {
    text.contains(MARKS) || text.contains(BLOCK)
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

/// What minijinja says of a template that is not filled in yet, with the line.
fn words_of(error: &Error) -> String {
    let line = place_of(error);
    match error.detail() {
        Some(detail) => format!("{}: {detail}{line}", error.kind()),
        None => format!("{}{line}", error.kind()),
    }
}

/// What minijinja says of macros that call themselves.
const TOO_DEEP: &str = "recursion limit exceeded";

/// Why a template could not be filled in: nothing of what it is filled with, which minijinja's details may repeat.
pub(crate) fn why_not(error: &Error) -> String {
    let is_own = |detail: &&str| detail.starts_with(TOO_MUCH) || *detail == TOO_DEEP;
    match error.detail().filter(is_own) {
        Some(detail) => detail.to_owned(),
        None => format!("{}{}", error.kind(), place_of(error)),
    }
}

/// ` (line 3)`, where that is known.
pub(crate) fn place_of(error: &Error) -> String {
    error.line().map(|n| format!(" (line {n})")).unwrap_or_default()
}
