//! One of the options.

use super::extract::{How, Span, bare, refuses};
use super::words::words;
use loupe_core::Choice;

/// The letter and the rule, or the reason why none was read.
pub(super) fn read(span: &Span<'_>, choices: &[Choice]) -> Result<(char, &'static str), &'static str> {
    let options = Options::new(choices);
    let text = bare(span.text);
    if let Some(found) = options.plain(text) {
        return found;
    }
    if span.how != How::Whole {
        return match options.letter_then_reason(text) {
            Some(found) => found,
            None if refuses(text) => Err("refusal"),
            None => options.named(text).map(|letter| (letter, "option_named")).ok_or("no_option"),
        };
    }
    let lines: Vec<&str> = text.lines().map(bare).filter(|l| !l.is_empty()).collect();
    if let (Some(&last), true) = (lines.last(), lines.len() > 1) {
        if options.listed(&lines) > 1 {
            return Err("several_options");
        }
        if let Some(Ok((letter, _))) = options.plain(last) {
            return Ok((letter, "last_line"));
        }
    }
    if refuses(text) {
        return Err("refusal");
    }
    let words = words(text);
    let denies = words.iter().any(|w| DENIALS.contains(&w.as_str()));
    if denies {
        return Err("no_option");
    }
    match options.chosen(text)[..] {
        [letter] => return Ok((letter, "only_letter_chosen")),
        [] => {}
        _ => return Err("several_options"),
    }
    if lines.len() == 1
        && words.len() <= LONGEST_SENTENCE
        && let Some(letter) = options.named(text)
    {
        return Ok((letter, "option_named"));
    }
    Err("no_option")
}

/// A sentence that names one option answers with it only when it is no essay.
const LONGEST_SENTENCE: usize = 30;

/// Words that turn the naming of an option into its contrary.
const DENIALS: [&str; 18] = [
    "not",
    "no",
    "without",
    "cannot",
    "cant",
    "isnt",
    "doesnt",
    "dont",
    "neither",
    "nor",
    "unlikely",
    "incorrect",
    "wrong",
    "exclude",
    "excluded",
    "excludes",
    "rather",
    "except",
];

struct Options<'a> {
    choices: &'a [Choice],
    texts: Vec<Vec<String>>,
}

type Found = Result<(char, &'static str), &'static str>;

impl<'a> Options<'a> {
    fn new(choices: &'a [Choice]) -> Self {
        // Some sets write the letter into the text as well ("A: Diffuse uptake").
        let text = |c: &Choice| {
            let own = bare(&c.text);
            let rest =
                own.strip_prefix(c.letter).and_then(|r| r.strip_prefix([':', '.', ')'])).unwrap_or(own);
            words(rest)
        };
        Self { choices, texts: choices.iter().map(text).collect() }
    }

    fn offered(&self, letter: char) -> Option<char> {
        self.choices.iter().map(|c| c.letter).find(|l| l.eq_ignore_ascii_case(&letter))
    }

    fn text_of(&self, letter: char) -> Option<&[String]> {
        self.choices.iter().position(|c| c.letter == letter).map(|at| self.texts[at].as_slice())
    }

    /// Letters whose text is exactly `said`.
    fn equal(&self, said: &[String]) -> Vec<char> {
        let same =
            self.choices.iter().zip(&self.texts).filter(|(_, t)| !t.is_empty() && t.as_slice() == said);
        same.map(|(c, _)| c.letter).collect()
    }

    /// The text is a letter, an option's words, or a letter followed by words.
    fn plain(&self, text: &str) -> Option<Found> {
        let lone = lone_letter(text);
        if let Some(offered) = lone.and_then(|letter| self.offered(letter)) {
            // The letter is the option's, even where options are themselves letters (of figures).
            return Some(Ok((offered, "letter")));
        }
        let said = words(text);
        let leading = leading_letter(text).and_then(|(letter, rest)| Some((self.offered(letter)?, rest)));
        if let Some((letter, rest)) = leading {
            let own = self.text_of(letter).unwrap_or_default();
            let rest_words = words(rest);
            if rest_words.is_empty() || (!own.is_empty() && rest_words.starts_with(own)) {
                let several = self.lists_more(letter, rest);
                return Some(if several { Err("several_options") } else { Ok((letter, "letter_and_text")) });
            }
        }
        match self.equal(&said)[..] {
            [letter] => return Some(Ok((letter, "option_text"))),
            [] if lone.is_some() => return Some(Err("letter_not_offered")),
            [] => {}
            _ => return Some(Err("several_options")),
        }
        let (letter, rest) = leading?;
        let others = self.equal(&words(rest));
        // "E. coli": the words belong to another option that begins like a letter.
        let spelled = self
            .choices
            .iter()
            .zip(&self.texts)
            .any(|(c, t)| c.letter != letter && t.len() > 1 && said.starts_with(t));
        if spelled || others.iter().any(|o| *o != letter) {
            return Some(Err("letter_and_text_differ"));
        }
        if self.lists_more(letter, rest) {
            return Some(Err("several_options"));
        }
        Some(Ok((letter, "leading_letter")))
    }

    /// Does the text go on with another option in the form of a list (its letter and its words, or a
    /// letter at the start of a line)?
    fn lists_more(&self, letter: char, rest: &str) -> bool {
        let marked = rest
            .char_indices()
            .filter(|(at, c)| c.is_ascii_uppercase() && !rest[..*at].ends_with(char::is_alphanumeric));
        marked.filter_map(|(at, _)| leading_letter(&rest[at..])).any(|(other, words_after)| {
            let Some(other) = self.offered(other).filter(|o| *o != letter) else { return false };
            let own = self.text_of(other).unwrap_or_default();
            let longest = own.iter().map(String::len).sum::<usize>() * 2 + 40;
            !own.is_empty() && words(&words_after.chars().take(longest).collect::<String>()).starts_with(own)
        }) || self.listed(&rest.lines().skip(1).map(bare).collect::<Vec<_>>()) > 0
    }

    /// How many letters open a line as in a list of options.
    fn listed(&self, lines: &[&str]) -> usize {
        let mut letters: Vec<char> =
            lines.iter().filter_map(|l| leading_letter(l)).filter_map(|(l, _)| self.offered(l)).collect();
        letters.sort_unstable();
        letters.dedup();
        letters.len()
    }

    /// In a declared span: "B because …", "B, as the lesion …", "option B".
    fn letter_then_reason(&self, text: &str) -> Option<Found> {
        let lower = text.to_ascii_lowercase();
        let skip = ["option ", "choice ", "letter ", "选项", "选"]
            .iter()
            .find(|p| lower.starts_with(*p))
            .map_or(0, |p| p.len());
        let text = bare(&text[skip..]);
        if skip > 0
            && let Some(found) = self.plain(text)
        {
            return Some(found);
        }
        let mut chars = text.chars();
        let open = text.starts_with(['(', '[']);
        let letter = if open { chars.nth(1) } else { chars.next() }?;
        let letter = self.offered(letter.is_ascii_uppercase().then_some(letter)?)?;
        let rest = chars.as_str();
        let rest = rest.trim_start_matches([')', ']', '*', '_', '"', '\'', '`', '}']);
        if rest.starts_with(char::is_alphanumeric) {
            return None;
        }
        let tail = rest.trim_start_matches(|c: char| {
            c.is_whitespace() || c.is_ascii_punctuation() || matches!(c, '，' | '。')
        });
        let next = words(tail).into_iter().next().unwrap_or_default();
        // "A and B", "A, B", "A/B": more than one.
        let another = tail.split(|c: char| !c.is_alphanumeric()).map(|w| w.chars().collect::<Vec<_>>());
        let another = another.take(2).any(|w| matches!(w[..], [c] if c.is_ascii_uppercase() && self.offered(c).is_some_and(|o| o != letter)));
        if another
            && (rest.trim_start().starts_with([',', '/', '&']) || matches!(next.as_str(), "and" | "or"))
        {
            return Some(Err("several_options"));
        }
        let punctuated = rest.starts_with(|c: char| c.is_ascii_punctuation() || matches!(c, '，' | '。'));
        let reason = matches!(next.as_str(), "because" | "since" | "as" | "given" | "due" | "based");
        (punctuated || reason || tail.is_empty()).then_some(Ok((letter, "leading_letter")))
    }

    /// Letters after "option", "choose" and their like, without repeats.
    fn chosen(&self, text: &str) -> Vec<char> {
        let tokens: Vec<&str> =
            text.split(|c: char| !c.is_alphanumeric()).filter(|t| !t.is_empty()).collect();
        let mut found: Vec<char> = tokens
            .windows(2)
            .filter(|w| {
                let cue = w[0].to_ascii_lowercase();
                matches!(
                    cue.as_str(),
                    "option" | "choice" | "choose" | "select" | "pick" | "选择" | "选项" | "选"
                )
            })
            .filter_map(|w| {
                let mut letter = w[1].chars();
                letter.next().filter(|c| c.is_ascii_uppercase() && letter.next().is_none())
            })
            .filter_map(|l| self.offered(l))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The one option whose words stand in the text, those inside a longer named option not counted.
    fn named(&self, text: &str) -> Option<char> {
        let said = words(text);
        if said.len() > LONGEST_SENTENCE || said.iter().any(|w| DENIALS.contains(&w.as_str())) {
            return None;
        }
        let mut hits: Vec<(usize, usize, char)> = Vec::new();
        // A word of one letter or digit is in too many sentences to count as named.
        let long = |t: &[String]| t.iter().map(|w| w.chars().count()).sum::<usize>() > 1;
        for (choice, option) in self.choices.iter().zip(&self.texts).filter(|(_, t)| long(t)) {
            let places =
                said.windows(option.len().max(1)).enumerate().filter(|(_, w)| *w == option.as_slice());
            hits.extend(places.map(|(at, _)| (at, at + option.len(), choice.letter)));
        }
        let inside = |a: &(usize, usize, char), b: &(usize, usize, char)| {
            b.0 <= a.0 && a.1 <= b.1 && (b.1 - b.0) > (a.1 - a.0)
        };
        let mut letters: Vec<char> =
            hits.iter().filter(|h| !hits.iter().any(|other| inside(h, other))).map(|h| h.2).collect();
        letters.sort_unstable();
        letters.dedup();
        if let [letter] = letters[..] { Some(letter) } else { None }
    }
}

/// The text is one letter but for brackets and punctuation.
fn lone_letter(text: &str) -> Option<char> {
    let lower = text.to_ascii_lowercase();
    let skip = ["option ", "choice "].iter().find(|p| lower.starts_with(*p)).map_or(0, |p| p.len());
    let text = text[skip..].trim_matches(|c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '(' | ')'
                    | '['
                    | ']'
                    | '{'
                    | '}'
                    | '.'
                    | ','
                    | ':'
                    | ';'
                    | '!'
                    | '*'
                    | '。'
                    | '：'
                    | '，'
                    | '<'
                    | '>'
            )
    });
    let mut chars = text.chars();
    chars.next().filter(|c| c.is_ascii_alphabetic() && chars.next().is_none())
}

/// A letter with a delimiter that the text opens with, and what follows: `B. text`, `(B) text`, `B: text`, `B - text`.
fn leading_letter(text: &str) -> Option<(char, &str)> {
    let (open, rest) = match text.strip_prefix(['(', '[']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut chars = rest.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    let rest = chars.as_str().trim_start_matches(['*', '_']);
    let after = if open {
        rest.strip_prefix([')', ']'])?
    } else if let Some(after) = rest.strip_prefix(['.', ')', ':', '：', '．', '、']) {
        after
    } else {
        ["\n", " - ", " – ", " — ", " : "].iter().find_map(|d| rest.strip_prefix(d))?
    };
    // "a." and "i)" in running text are no options; in brackets they may be.
    (open || letter.is_ascii_uppercase())
        .then(|| (letter, after.trim_start_matches(['*', '_', '.', ':', ' '])))
}
