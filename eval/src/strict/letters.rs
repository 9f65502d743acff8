//! Several of the options: questions whose reference is a set of letters.

use super::choice::{Options, REASONS, announced};
use super::extract::{How, Span, bare, refuses};
use super::lines;
use super::tokens::{Kind, Token};
use loupe_core::Choice;

/// The letters in order, or the reason why none were read.
pub(super) fn read(
    span: &Span<'_>,
    choices: &[Choice],
    exception: bool,
) -> Result<(Vec<char>, &'static str), &'static str> {
    let options = Options::new(choices, span.reply, exception);
    let text = bare(span.text);
    let last = || text.lines().rev().map(bare).find(|l| !l.is_empty()).filter(|l| *l != text);
    if let Some(ticked) = lines::ticked(text) {
        let sets: Option<Vec<Vec<char>>> = ticked.iter().map(|one| options.set(one)?.ok()).collect();
        let mut letters: Vec<char> = sets.ok_or("no_option")?.concat();
        letters.sort_unstable();
        letters.dedup();
        return if letters.is_empty() { Err("no_option") } else { Ok((letters, "letters")) };
    }
    let found = match (options.set(text), span.how) {
        (Some(found), _) => found.map(|letters| (letters, "letters")),
        (None, How::Whole) => match last().and_then(|line| options.set(line)) {
            Some(found) => found.map(|letters| (letters, "last_line")),
            None => Err("no_option"),
        },
        (None, _) => Err("no_option"),
    };
    match found {
        Ok((letters, _)) if letters.iter().any(|l| options.denied.contains(l)) => Err("denied"),
        Err("no_option") if refuses(text) => Err("refusal"),
        found => found,
    }
}

/// Share of the letters of either side that both have.
pub(super) fn jaccard(gold: &[char], said: &[char]) -> f64 {
    let both = said.iter().filter(|l| gold.contains(l)).count();
    let either = gold.len() + said.len() - both;
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

/// Share of the options about which both sides agree.
pub(super) fn agreement(choices: &[Choice], gold: &[char], said: &[char]) -> f64 {
    let agree = |c: &&Choice| gold.contains(&c.letter) == said.contains(&c.letter);
    choices.iter().filter(agree).count() as f64 / choices.len().max(1) as f64
}

impl Options<'_> {
    /// The letters that a text lists: `A, C`, `A and C`, `ACD`, `["A", "C"]`, each with its words or without, or the words
    /// alone; a reason or another sentence may follow.
    fn set(&self, text: &str) -> Option<Result<Vec<char>, &'static str>> {
        let text = bare(&text[announced(text)..]);
        let mut found =
            self.glued(text).map_or_else(|| self.listed_letters(text), |letters| Some(Ok(letters)))?;
        if let Ok(letters) = &mut found {
            letters.sort_unstable();
            letters.dedup();
        }
        Some(found)
    }

    /// `ACD`: nothing but different letters that are offered.
    fn glued(&self, text: &str) -> Option<Vec<char>> {
        let text = text.trim_matches(|c: char| !c.is_alphanumeric());
        let letters: Vec<char> = text
            .chars()
            .filter_map(|c| c.is_ascii_uppercase().then_some(c).and_then(|c| self.offered(c)))
            .collect();
        let mut different = letters.clone();
        different.sort_unstable();
        different.dedup();
        (letters.len() > 1 && letters.len() == text.chars().count() && different.len() == letters.len())
            .then_some(letters)
    }

    fn listed_letters(&self, text: &str) -> Option<Result<Vec<char>, &'static str>> {
        let tokens = self.names.tokens(text);
        let mut letters: Vec<char> = Vec::new();
        let (mut at, mut ended, mut bare_letter) = (0, false, false);
        while let Some(token) = tokens.get(at) {
            if let Some((letter, end)) = self.names.at(&tokens, at) {
                let by_words = !matches!(token.kind, Kind::Letter(_));
                // "A." with the words of another option.
                if by_words && bare_letter {
                    return Some(Err("letter_and_text_differ"));
                }
                bare_letter = !by_words && end == at + 1;
                letters.push(letter);
                (at, ended) = (end, false);
                continue;
            }
            let separates = token.is_mark(&[',', ';', '/', '&', '+', '、', '|'])
                || token.kind == Kind::Line
                || token.is_word(&["and"])
                || (token.kind == Kind::Han && "和与及".contains(token.word.as_str()));
            bare_letter &= !separates;
            ended |= token.kind == Kind::Line || token.is_mark(&['.', ';', '。']);
            let passes = separates
                || matches!(token.kind, Kind::Mark(_))
                || token.is_word(&["both", "options", "option", "choices", "letters", "answers"])
                || (token.kind == Kind::Han && "选项".contains(token.word.as_str()));
            if !passes {
                // "C. four": a letter that reads like a genus, before the words of another option.
                let point = tokens.get(at + 1).is_some_and(|t| t.is_mark(&['.', ')', ':']));
                if point
                    && matches!(token.kind, Kind::Letter(_))
                    && self.names.text_at(&tokens, at + 2).is_some()
                {
                    return Some(Err("letter_and_text_differ"));
                }
                break;
            }
            at += 1;
        }
        if letters.is_empty() {
            return None;
        }
        let rest = &tokens[at..];
        let stops = |t: &Token| {
            t.is_word(&REASONS)
                || t.is_word(&["not", "but"])
                || (t.kind == Kind::Han && "因由".contains(t.word.as_str()))
        };
        // "A and C are (the) correct (answers)"; what is denied is not read anyway.
        let praised = rest.first().is_some_and(|t| t.is_word(&["are"]))
            && rest.iter().skip(1).take(4).any(|t| t.is_word(&["correct", "right", "true", "answers"]));
        if rest.first().is_some_and(|t| !ended && !praised && !stops(t)) {
            return None;
        }
        // What follows must not name others as well.
        let others = (at..tokens.len())
            .filter(|i| matches!(tokens[*i].kind, Kind::Letter(_)))
            .filter_map(|i| self.names.at(&tokens, i));
        let more = others.map(|(l, _)| l).any(|l| !letters.contains(&l) && !self.denied.contains(&l));
        Some(if more { Err("several_options") } else { Ok(letters) })
    }
}
