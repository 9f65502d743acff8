//! Sentences as nltk 3.10.4's Punkt tokenizer finds them (Kiss and Strunk 2006) with a trained model of the
//! user's: the four files of a language in nltk's data package `punkt_tab`.
//!
//! nltk cuts ends off by Python's white space and matches patterns by Unicode's, which has four control
//! characters less. Only places behind `.`, `?` and `!` are looked at, each with the word before and the word after it.

use super::words::is_python_space;
use loupe_core::files::{SETTINGS_BYTES, read_at_most};
use regex::Regex;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::LazyLock;
use thiserror::Error;

// How a word was seen in training: at the beginning of sentences, within them, or either, by case.
const MIDDLE_UPPER: u32 = 1 << 2;
const ANY_UPPER: u32 = (1 << 1) | (1 << 2) | (1 << 3);
const BEGINNING_LOWER: u32 = 1 << 4;
const ANY_LOWER: u32 = (1 << 4) | (1 << 5) | (1 << 6);
const NUMBER: &str = "##number##";

static NUMERIC: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^-?[.,]?\d[\d,.\-]*\.?$").ok());
static INITIAL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\w&&[^\d]]\.$").ok());

/// A trained model.
#[derive(Debug, Default)]
pub struct Punkt {
    abbreviations: HashSet<String>,
    collocations: HashSet<(String, String)>,
    starters: HashSet<String>,
    contexts: HashMap<String, u32>,
}

/// Why a folder is no model.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PunktError {
    /// A file cannot be read.
    #[error(
        "{file}: {source}; a Punkt model has abbrev_types.txt, collocations.tab, ortho_context.tab and sent_starters.txt"
    )]
    File {
        /// Its name.
        file: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line breaks the format.
    #[error("{file}, line {line}: expected two columns")]
    Line {
        /// Its name.
        file: &'static str,
        /// From 1.
        line: usize,
    },
}

/// A word with what is decided about it.
struct Token<'a> {
    text: &'a [char],
    /// In lower case; numbers are all the same.
    kind: String,
    ends_sentence: bool,
    abbreviation: bool,
    ellipsis: bool,
}

fn non_word(c: char) -> bool {
    matches!(
        c,
        ')' | '"'
            | ';'
            | '}'
            | ']'
            | '*'
            | ':'
            | '@'
            | '\''
            | '('
            | '{'
            | '['
            | '?'
            | '!'
            | '‘'
            | '’'
            | '“'
            | '”'
            | '«'
            | '»'
    )
}

fn begins_word(c: char) -> bool {
    !matches!(
        c,
        '(' | '"' | '`' | '{' | '[' | ':' | ';' | '&' | '#' | '*' | '@' | ')' | '}' | ']' | '-' | ','
    )
}

/// Length of the dashes or dots at the beginning, where they stand together: `--`, `...`, `. . .`.
fn together(text: &[char]) -> Option<usize> {
    let run = |c: char| text.iter().take_while(|&&t| t == c).count();
    if let Some(n) = [run('-'), run('.')].into_iter().find(|n| *n >= 2) {
        return Some(n);
    }
    let pairs = text.chunks_exact(2).take_while(|p| p[0] == '.' && p[1].is_whitespace()).count();
    let last = if text.get(2 * pairs) == Some(&'.') { pairs } else { pairs.saturating_sub(1) };
    (last >= 2).then_some(2 * last + 1)
}

/// Does a word end before `rest`?
fn word_ends(rest: &[char]) -> bool {
    let ends = |rest: &[char]| {
        rest.first().is_none_or(|&c| c.is_whitespace() || non_word(c)) || together(rest).is_some()
    };
    ends(rest) || (rest.first() == Some(&',') && ends(&rest[1..]))
}

/// Words and marks of one line.
fn words(line: &[char]) -> Vec<&[char]> {
    let (mut found, mut at) = (Vec::new(), 0);
    if line.iter().all(|c| is_python_space(*c)) {
        return found;
    }
    while let Some(&c) = line.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let length = match together(&line[at..]) {
            Some(n) => n,
            None if begins_word(c) => {
                (1..).find(|n| word_ends(line.get(at + n..).unwrap_or_default())).unwrap_or(1)
            }
            None => 1,
        };
        found.push(&line[at..at + length]);
        at += length;
    }
    found
}

fn text(chars: &[char]) -> String {
    chars.iter().collect()
}

fn without_period(kind: &str) -> &str {
    match kind.strip_suffix('.') {
        Some(bare) if !bare.is_empty() => bare,
        _ => kind,
    }
}

impl<'a> Token<'a> {
    fn new(word: &'a [char], model: &Punkt) -> Self {
        let lower = text(word).to_lowercase();
        let numeric = NUMERIC.as_ref().is_some_and(|n| n.is_match(&lower));
        let mut token = Self {
            text: word,
            kind: if numeric { NUMBER.to_owned() } else { lower.clone() },
            ends_sentence: false,
            abbreviation: false,
            ellipsis: false,
        };
        if let ['.' | '?' | '!'] = word {
            token.ends_sentence = true;
        } else if word.len() >= 2 && word.iter().all(|c| *c == '.') {
            token.ellipsis = true;
        } else if let Some(bare) = lower.strip_suffix('.').filter(|bare| !bare.ends_with('.')) {
            let last = bare.rsplit('-').next().unwrap_or_default();
            let known = model.abbreviations.contains(bare) || model.abbreviations.contains(last);
            (token.abbreviation, token.ends_sentence) = (known, !known);
        }
        token
    }

    /// Its kind without a period that ends the sentence.
    fn bare(&self) -> &str {
        if self.ends_sentence { without_period(&self.kind) } else { &self.kind }
    }

    fn first(&self) -> char {
        self.text.first().copied().unwrap_or_default()
    }

    fn is_initial(&self) -> bool {
        self.text.len() == 2 && INITIAL.as_ref().is_some_and(|i| i.is_match(&text(self.text)))
    }
}

impl Punkt {
    /// Reads the four files of a model.
    ///
    /// # Errors
    /// When one is missing or not in the format.
    pub fn read(dir: &Path) -> Result<Self, PunktError> {
        let lines = |file: &'static str| -> Result<Vec<String>, PunktError> {
            let bytes = read_at_most(&dir.join(file), SETTINGS_BYTES)
                .map_err(|source| PunktError::File { file, source })?;
            let text = String::from_utf8_lossy(&bytes);
            Ok(text.lines().map(str::to_owned).collect())
        };
        let pairs = |file: &'static str| -> Result<Vec<(String, String)>, PunktError> {
            let pair = |(at, line): (usize, &String)| {
                let (a, b) = line.split_once('\t').ok_or(PunktError::Line { file, line: at + 1 })?;
                Ok((a.to_owned(), b.to_owned()))
            };
            lines(file)?.iter().enumerate().map(pair).collect()
        };
        const CONTEXTS: &str = "ortho_context.tab";
        let context = |(at, (word, flags)): (usize, (String, String))| {
            let flags = flags.parse().map_err(|_| PunktError::Line { file: CONTEXTS, line: at + 1 })?;
            Ok((word, flags))
        };
        Ok(Self {
            abbreviations: lines("abbrev_types.txt")?.into_iter().collect(),
            collocations: pairs("collocations.tab")?.into_iter().collect(),
            starters: lines("sent_starters.txt")?.into_iter().collect(),
            contexts: pairs(CONTEXTS)?.into_iter().enumerate().map(context).collect::<Result<_, _>>()?,
        })
    }

    fn context(&self, word: &str) -> u32 {
        self.contexts.get(word).copied().unwrap_or(0)
    }

    /// Does the way the word is written show that it begins a sentence?
    fn begins(&self, token: &Token<'_>) -> Option<bool> {
        if let [';' | ':' | ',' | '.' | '!' | '?'] = token.text {
            return Some(false);
        }
        let (seen, first) = (self.context(token.bare()), token.first());
        if first.is_uppercase() && seen & ANY_LOWER != 0 && seen & MIDDLE_UPPER == 0 {
            return Some(true);
        }
        let lower = first.is_lowercase() && (seen & ANY_UPPER != 0 || seen & BEGINNING_LOWER == 0);
        lower.then_some(false)
    }

    /// Looks at a word again, knowing the next one.
    fn decide(&self, token: &mut Token<'_>, next: &Token<'_>) {
        if token.text.last() != Some(&'.') {
            return;
        }
        let (kind, next_kind) = (without_period(&token.kind).to_owned(), next.bare().to_owned());
        let initial = token.is_initial();
        if self.collocations.contains(&(kind.clone(), next_kind.clone())) {
            (token.ends_sentence, token.abbreviation) = (false, true);
            return;
        }
        let upper = next.first().is_uppercase();
        if (token.abbreviation || token.ellipsis)
            && !initial
            && (self.begins(next) == Some(true) || (upper && self.starters.contains(&next_kind)))
        {
            token.ends_sentence = true;
            return;
        }
        if initial || kind == NUMBER {
            let within = match self.begins(next) {
                Some(begins) => !begins,
                None => initial && upper && self.context(&next_kind) & ANY_LOWER == 0,
            };
            if within {
                (token.ends_sentence, token.abbreviation) = (false, true);
            }
        }
    }

    /// Does a sentence end within `context`, before its last word?
    fn breaks(&self, context: &[char]) -> bool {
        let lines = context.split(|c| *c == '\n');
        let mut tokens: Vec<Token<'_>> = lines.flat_map(words).map(|w| Token::new(w, self)).collect();
        for at in 1..tokens.len() {
            let (before, after) = tokens.split_at_mut(at);
            if let (Some(token), Some(next)) = (before.last_mut(), after.first()) {
                self.decide(token, next);
                if token.ends_sentence {
                    return true;
                }
            }
        }
        false
    }

    /// The sentences of a text.
    pub fn sentences(&self, all: &str) -> Vec<String> {
        let all: Vec<char> = all.chars().collect();
        let mut slices = Vec::new();
        let mut start = 0;
        for end in ends(&all) {
            if self.breaks(all.get(end.word..end.after).unwrap_or_default()) {
                slices.push((start, end.at + 1));
                start = end.next.unwrap_or(end.at + 1);
            }
        }
        let length = all.len() - all.iter().rev().take_while(|c| is_python_space(**c)).count();
        slices.push((start, length));
        let mut sentences = Vec::new();
        let mut moved = 0;
        for (at, (start, stop)) in slices.iter().enumerate() {
            let start = start + moved;
            moved = 0;
            let own = all.get(start..*stop).unwrap_or_default();
            match slices.get(at + 1).and_then(|next| Some((next.0, closing(all.get(next.0..next.1)?)?))) {
                // Closing marks behind the period belong to the sentence before.
                Some((next, (marks, whole))) => {
                    sentences.push(text(all.get(start..next + marks).unwrap_or_default()));
                    moved = whole;
                }
                None if own.is_empty() => {}
                None => sentences.push(text(own)),
            }
        }
        sentences
    }
}

/// A mark that may end a sentence.
struct End {
    at: usize,
    /// Beginning of the word before it.
    word: usize,
    /// End of what follows: one mark, or white space and a word.
    after: usize,
    /// Beginning of the next word, where white space comes first.
    next: Option<usize>,
}

/// Places where a sentence may end; of several within a word the last.
fn ends(all: &[char]) -> Vec<End> {
    let mut found: Vec<End> = Vec::new();
    // The word before the last candidate, and where the search for the next word begins.
    let mut previous = (0, 0);
    for (at, _) in all.iter().enumerate().filter(|(_, c)| matches!(c, '.' | '?' | '!')) {
        let rest = &all[at + 1..];
        let spaces = rest.iter().take_while(|c| c.is_whitespace()).count();
        let (after, next) = match rest.first() {
            Some(&c) if non_word(c) => (at + 2, None),
            Some(_) if spaces > 0 && spaces < rest.len() => {
                let word = rest[spaces..].iter().take_while(|c| !c.is_whitespace()).count();
                (at + 1 + spaces + word, Some(at + 1 + spaces))
            }
            _ => continue,
        };
        let space = |c: &char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
        let word = match all[previous.1..at].iter().rposition(space) {
            Some(n @ 1..) => previous.1 + n + 1,
            _ => previous.0,
        };
        if previous.1 > word {
            found.pop();
        }
        found.push(End { at, word, after, next });
        previous = (word, at);
    }
    found
}

/// Closing quotes and brackets at the beginning of a slice, followed by white space, a dash or nothing:
/// their number, and with the white space.
fn closing(slice: &[char]) -> Option<(usize, usize)> {
    let closes = |c: &&char| matches!(c, '"' | '\'' | ')' | ']' | '}' | '‘' | '’' | '“' | '”' | '«' | '»');
    let most = slice.iter().take_while(closes).count();
    (1..=most).find_map(|n| {
        let rest = &slice[n..];
        let spaces = rest.iter().take_while(|c| c.is_whitespace()).count();
        (spaces > 0 || rest.is_empty() || rest.starts_with(&['-', '-'])).then_some((n, n + spaces))
    })
}
