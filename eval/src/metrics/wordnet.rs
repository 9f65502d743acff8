//! The database files of WordNet (Fellbaum 1998; format: wndb(5WN)), read as far as synonyms go, and looked
//! up as nltk 3.10.4 does: a word and its base forms by exceptions or else by endings, in every part of
//! speech.

use loupe_core::files::{SETTINGS_BYTES, read_at_most};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use thiserror::Error;

/// Ending and what takes its place.
type Endings = &'static [(&'static str, &'static str)];

/// Parts of speech: the ending of their files, and their endings of inflected forms.
const PARTS: [(&str, Endings); 4] = [
    (
        "noun",
        &[
            ("s", ""),
            ("ses", "s"),
            ("ves", "f"),
            ("xes", "x"),
            ("zes", "z"),
            ("ches", "ch"),
            ("shes", "sh"),
            ("men", "man"),
            ("ies", "y"),
        ],
    ),
    (
        "verb",
        &[
            ("s", ""),
            ("ies", "y"),
            ("es", "e"),
            ("es", ""),
            ("ed", "e"),
            ("ed", ""),
            ("ing", "e"),
            ("ing", ""),
        ],
    ),
    ("adj", &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")]),
    ("adv", &[]),
];

/// Which database it is, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// As its licence names it, such as `3.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// SHA-256 over the files read, one after the other, in hexadecimal.
    pub sha256: String,
    /// Sets of synonyms.
    pub synsets: usize,
}

impl Facts {
    /// For the note under a table.
    pub fn note(&self) -> String {
        let version = self.version.as_deref().unwrap_or("of unknown version");
        let short = self.sha256.get(..12).unwrap_or(&self.sha256);
        format!("METEOR: WordNet {version} ({short})")
    }
}

/// Why a folder is no WordNet.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WordNetError {
    /// A file cannot be read.
    #[error(
        "{file}: {source}; a folder of WordNet has data, index and exception files for noun, verb, adj and adv"
    )]
    File {
        /// Its name.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line breaks the format.
    #[error("{file}, line {line}: not in the format of WordNet's database files")]
    Line {
        /// Its name.
        file: String,
        /// From 1.
        line: usize,
    },
    /// A word stands in a set of synonyms that is not there.
    #[error("{file}, line {line}: the data file has no set of synonyms at {offset}")]
    Offset {
        /// Name of the index.
        file: String,
        /// From 1.
        line: usize,
        /// The place named.
        offset: u32,
    },
}

/// One part of speech.
#[derive(Debug, Default)]
struct Part {
    /// Places of sets of synonyms by word.
    index: HashMap<String, Vec<usize>>,
    /// Base forms of irregular words.
    exceptions: HashMap<String, Vec<String>>,
}

/// A loaded database.
#[derive(Debug)]
pub struct WordNet {
    /// Which one.
    pub facts: Facts,
    parts: [Part; 4],
    /// Single words of each set of synonyms, as written.
    synsets: Vec<Vec<Box<str>>>,
}

/// The lines of a file with their numbers, without those of the licence.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let all = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    all.filter(|(_, line)| !line.starts_with(' ') && !line.trim().is_empty())
}

/// Place in the file and the single words of a set of synonyms.
fn synset(line: &str) -> Option<(u32, Vec<Box<str>>)> {
    let mut fields = line.split('|').next()?.split_whitespace();
    let offset = fields.next()?.parse().ok()?;
    let (_lexicographer, _kind) = (fields.next()?, fields.next()?);
    let count = usize::from_str_radix(fields.next()?, 16).ok()?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (word, _sense) = (fields.next()?, fields.next()?);
        // Adjectives may carry where they stand: `alone(p)`.
        let bare = match word.strip_suffix(')').and_then(|w| w.rsplit_once('(')) {
            Some((bare, mark)) if !mark.contains(')') => bare,
            _ => word,
        };
        if !bare.contains('_') {
            words.push(bare.into());
        }
    }
    Some((offset, words))
}

/// A word and the places of its sets of synonyms.
fn entry(line: &str) -> Option<(String, Vec<u32>)> {
    let mut fields = line.split_whitespace();
    let (word, _part) = (fields.next()?, fields.next()?);
    let count: usize = fields.next()?.parse().ok()?;
    let pointers: usize = fields.next()?.parse().ok()?;
    let rest: Vec<&str> = fields.skip(pointers).collect();
    let [_senses, _ranked, offsets @ ..] = rest.as_slice() else { return None };
    let offsets = offsets.get(..count)?.iter().map(|o| o.parse().ok()).collect::<Option<_>>()?;
    Some((word.to_owned(), offsets))
}

/// The version that the licence at the head of a file names.
fn version(text: &str) -> Option<String> {
    let head = text.lines().take_while(|l| l.starts_with(' '));
    let number = |line: &str| Some(line.split_once("ordNet ")?.1.split_once(" Copyright")?.0.to_owned());
    head.filter_map(number).find(|v| v.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '+')))
}

impl WordNet {
    /// Reads `data`, `index` and exception files of the four parts of speech.
    ///
    /// # Errors
    /// When one is missing or not in the format.
    pub fn read(dir: &Path) -> Result<Self, WordNetError> {
        let mut hash = Sha256::new();
        let mut text = |file: &str| -> Result<String, WordNetError> {
            let failed = |source| WordNetError::File { file: file.to_owned(), source };
            let bytes = read_at_most(&dir.join(file), SETTINGS_BYTES).map_err(failed)?;
            hash.update(&bytes);
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let mut synsets = Vec::new();
        let mut parts = <[Part; 4]>::default();
        let mut found = None;
        for ((name, _), part) in PARTS.iter().zip(&mut parts) {
            let (data, index, exceptions) =
                (format!("data.{name}"), format!("index.{name}"), format!("{name}.exc"));
            let broken = |file: &str, line| WordNetError::Line { file: file.to_owned(), line };
            let mut places: HashMap<u32, usize> = HashMap::new();
            let whole = text(&data)?;
            found = found.or_else(|| version(&whole));
            for (number, line) in lines(&whole) {
                let (offset, words) = synset(line).ok_or_else(|| broken(&data, number))?;
                places.insert(offset, synsets.len());
                synsets.push(words);
            }
            for (number, line) in lines(&text(&index)?) {
                let (word, offsets) = entry(line).ok_or_else(|| broken(&index, number))?;
                let place = |offset: u32| {
                    let missing = || WordNetError::Offset { file: index.clone(), line: number, offset };
                    places.get(&offset).copied().ok_or_else(missing)
                };
                let places = offsets.into_iter().map(place).collect::<Result<_, _>>()?;
                part.index.insert(word, places);
            }
            for (_, line) in lines(&text(&exceptions)?) {
                let mut words = line.split_whitespace().map(str::to_owned);
                if let Some(irregular) = words.next() {
                    part.exceptions.insert(irregular, words.collect());
                }
            }
        }
        let sha256 = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self { facts: Facts { version: found, sha256, synsets: synsets.len() }, parts, synsets })
    }

    /// Single words, as written, that share a meaning with `word` (in lower case) or a base form of it;
    /// some come more than once.
    pub fn synonyms<'a>(&'a self, word: &str) -> impl Iterator<Item = &'a str> {
        let mut places = Vec::new();
        for ((_, endings), part) in PARTS.iter().zip(&self.parts) {
            places.extend(part.index.get(word).into_iter().flatten());
            match part.exceptions.get(word) {
                Some(forms) => {
                    places.extend(forms.iter().filter_map(|form| part.index.get(form)).flatten());
                }
                None => {
                    let forms = endings
                        .iter()
                        .filter_map(|(ending, put)| Some(format!("{}{put}", word.strip_suffix(ending)?)));
                    places.extend(forms.filter_map(|form| part.index.get(&form)).flatten());
                }
            }
        }
        places.into_iter().filter_map(|&at| self.synsets.get(at)).flatten().map(AsRef::as_ref)
    }
}
