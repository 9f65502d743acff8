//! A reply as words, option letters and marks, with what of it names an option.

use super::cues::AUXILIARIES;
use super::extract::bare;
use super::words::is_cjk;
use loupe_core::Choice;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One letter that is offered, standing alone; whether it means the option depends on what is around it.
    Letter(char),
    Word,
    /// A Chinese, Japanese or Korean character.
    Han,
    Mark(char),
    Line,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Lower case, without apostrophes.
    pub(super) word: String,
    /// White space stands before it.
    pub(super) apart: bool,
    /// It begins with a capital.
    pub(super) capital: bool,
}

impl Token {
    pub(super) fn is_mark(&self, marks: &[char]) -> bool {
        matches!(self.kind, Kind::Mark(c) if marks.contains(&c))
    }

    pub(super) fn is_word(&self, words: &[&str]) -> bool {
        matches!(self.kind, Kind::Word | Kind::Letter(_)) && words.contains(&self.word.as_str())
    }

    fn spelled(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Letter(_) | Kind::Han)
    }
}

/// Cuts a text into tokens; `offered` says which letters are options.
pub(super) fn tokens(text: &str, offered: impl Fn(char) -> bool) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut found: Vec<Token> = Vec::new();
    let (mut at, mut apart) = (0, true);
    let in_word = |c: &char| c.is_alphanumeric() && !is_cjk(*c);
    while let Some(&c) = chars.get(at) {
        let mut n = 1;
        let (kind, word) = match c {
            '\n' | '\r' => (Kind::Line, String::new()),
            c if c.is_whitespace() => {
                (at, apart) = (at + 1, true);
                continue;
            }
            c if is_cjk(c) => (Kind::Han, c.to_string()),
            c if in_word(&c) => {
                // An apostrophe inside a word is left out; the s behind it too (it's, A's).
                while chars.get(at + n).is_some_and(&in_word)
                    || (chars.get(at + n) == Some(&'\'') && chars.get(at + n + 1).is_some_and(in_word))
                {
                    n += 1;
                }
                let run: String = chars[at..at + n].iter().collect();
                let run = run.strip_suffix("'s").unwrap_or(&run);
                let word: String = run.chars().filter(|c| *c != '\'').flat_map(char::to_lowercase).collect();
                let alone = run.chars().count() == 1;
                let bracketed = chars.get(at + 1) == Some(&')') && at > 0 && chars[at - 1] == '(';
                let upper = c.to_ascii_uppercase();
                let letter = alone
                    && c.is_ascii_alphabetic()
                    && (c.is_ascii_uppercase() || bracketed)
                    && offered(upper);
                (if letter { Kind::Letter(upper) } else { Kind::Word }, word)
            }
            mark => (Kind::Mark(mark), String::new()),
        };
        found.push(Token { kind, word, apart, capital: c.is_uppercase() });
        (at, apart) = (at + n, false);
    }
    found
}

/// The words of an option; some sets write its letter into them as well ("A: Diffuse uptake").
pub(super) fn own_text(choice: &Choice) -> &str {
    let own = bare(&choice.text);
    own.strip_prefix(choice.letter).and_then(|r| r.strip_prefix([':', '.', ')'])).unwrap_or(own)
}

/// The options, ready to be found in texts.
pub(super) struct Names {
    letters: Vec<char>,
    /// The words of each option as tokens have them, empty where they are too few to be told from others.
    texts: Vec<Vec<String>>,
}

impl Names {
    pub(super) fn new(choices: &[Choice]) -> Self {
        let text = |c: &Choice| {
            let own = own_text(c);
            let words: Vec<String> =
                tokens(own, |_| false).into_iter().filter(Token::spelled).map(|t| t.word).collect();
            let told = words.iter().map(|w| w.chars().count()).sum::<usize>() > 1;
            let common = matches!(&words[..], [w] if COMMON.contains(&w.as_str()));
            if told && !common { words } else { Vec::new() }
        };
        Self {
            letters: choices.iter().map(|c| c.letter).collect(),
            texts: choices.iter().map(text).collect(),
        }
    }

    pub(super) fn tokens(&self, text: &str) -> Vec<Token> {
        tokens(text, |c| self.letters.contains(&c))
    }

    /// The option whose words stand at `at`, the longest first, and where they end.
    pub(super) fn text_at(&self, all: &[Token], at: usize) -> Option<(char, usize)> {
        let ends = self
            .letters
            .iter()
            .zip(&self.texts)
            .filter_map(|(letter, text)| Some((*letter, matches_at(all, at, text)?)));
        ends.max_by_key(|(_, end)| *end)
    }

    /// Where the words of the option `letter` end, when they stand at `at` (over marks).
    pub(super) fn own_text_at(&self, all: &[Token], at: usize, letter: char) -> Option<usize> {
        let text = &self.texts[self.letters.iter().position(|l| *l == letter)?];
        let start = (at..all.len()).take(4).find(|i| all[*i].spelled())?;
        matches_at(all, start, text)
    }

    /// The option that is named at `at` by its letter or its words, and where that ends.
    pub(super) fn at(&self, all: &[Token], at: usize) -> Option<(char, usize)> {
        if let Kind::Letter(letter) = all.get(at)?.kind
            && self.means_option(all, at, letter)
        {
            let end = at + 1;
            return Some((letter, self.own_text_at(all, end, letter).unwrap_or(end)));
        }
        self.text_at(all, at)
    }

    /// Does the letter at `at` stand for the option, and is it no article, pronoun, abbreviation or part of a name?
    fn means_option(&self, all: &[Token], at: usize, letter: char) -> bool {
        let before = at.checked_sub(1).and_then(|b| all.get(b));
        let next = all.get(at + 1);
        if before.is_some_and(|t| t.is_mark(&['(', '['])) && next.is_some_and(|t| t.is_mark(&[')', ']'])) {
            return true;
        }
        if before.is_some_and(|t| t.is_word(&["option", "choice", "letter"])) {
            return true;
        }
        if before.is_some_and(|t| t.is_word(&COMPOUNDS)) {
            return false;
        }
        let Some(next) = next else { return true };
        let third = all.get(at + 2);
        let follows = third.is_some_and(|t| !t.apart && t.spelled());
        match next.kind {
            // T-cell, X-ray, B+C are names; "A - text" is not.
            Kind::Mark('-' | '+' | '&' | '\'') if !next.apart && follows => false,
            // B超, A型
            Kind::Han if !next.apart => !"超型族线级期组区股柱细链".contains(next.word.as_str()),
            Kind::Mark('.') if follows && third.is_some_and(|t| t.kind != Kind::Han) => false,
            // E. coli: a genus is written with one letter.
            Kind::Mark('.') if !next.apart => !third.is_some_and(|t| {
                let species = t.kind == Kind::Word && !t.capital && t.word.chars().all(char::is_alphabetic);
                let function = t.is_word(&AUXILIARIES) || t.is_word(&FUNCTION);
                species && !function && self.own_text_at(all, at + 2, letter).is_none()
            }),
            Kind::Word => match letter {
                'A' if next.is_word(&AUXILIARIES) || next.is_word(&AFTER_LETTER) => true,
                'A' => self.own_text_at(all, at + 1, letter).is_some(),
                'I' => next.is_word(&["is", "or", "because", "since"]),
                _ => true,
            },
            Kind::Mark(',') if letter == 'I' => false,
            _ => true,
        }
    }
}

fn matches_at(all: &[Token], at: usize, text: &[String]) -> Option<usize> {
    let mut end = at;
    for (n, word) in text.iter().enumerate() {
        // Marks inside a name do not count, a new line does.
        while n > 0 && matches!(all.get(end)?.kind, Kind::Mark(_)) {
            end += 1;
        }
        if all.get(end)?.word != *word || !all[end].spelled() {
            return None;
        }
        end += 1;
    }
    (!text.is_empty()).then_some(end)
}

/// Options of one word that is in too many sentences to name it.
const COMMON: [&str; 9] = ["no", "not", "yes", "none", "all", "both", "neither", "is", "there"];

/// Words before a letter that make a name of both.
const COMPOUNDS: [&str; 34] = [
    "vitamin",
    "hepatitis",
    "type",
    "grade",
    "stage",
    "class",
    "group",
    "figure",
    "fig",
    "image",
    "panel",
    "phase",
    "factor",
    "protein",
    "zone",
    "level",
    "segment",
    "series",
    "part",
    "patient",
    "plan",
    "section",
    "influenza",
    "lead",
    "point",
    "line",
    "wave",
    "table",
    "haemophilia",
    "hemophilia",
    "category",
    "score",
    "birads",
    "subtype",
];

/// Words behind a letter that show it to be no article, beside [`AUXILIARIES`].
const AFTER_LETTER: [&str; 42] = [
    "does",
    "do",
    "did",
    "cannot",
    "cant",
    "might",
    "must",
    "will",
    "seems",
    "appears",
    "looks",
    "fits",
    "matches",
    "and",
    "or",
    "nor",
    "but",
    "because",
    "since",
    "as",
    "given",
    "due",
    "based",
    "therefore",
    "if",
    "than",
    "vs",
    "versus",
    "not",
    "isnt",
    "doesnt",
    "arent",
    "incorrect",
    "unlikely",
    "excluded",
    "ruled",
    "remains",
    "fails",
    "lacks",
    "contradicts",
    "explains",
    "describes",
];

/// Words that begin a sentence behind "B.", as no name of a species does, beside [`AUXILIARIES`].
const FUNCTION: [&str; 33] = [
    "does",
    "do",
    "did",
    "cannot",
    "fits",
    "matches",
    "seems",
    "appears",
    "and",
    "or",
    "but",
    "because",
    "since",
    "as",
    "given",
    "due",
    "based",
    "therefore",
    "the",
    "this",
    "that",
    "it",
    "there",
    "these",
    "in",
    "on",
    "with",
    "an",
    "a",
    "not",
    "most",
    "so",
    "by",
];
