//! Questions as replies are held against them: is this reply an answer to that question?

use super::rows::ReplyRow;
use crate::read::options::chosen_of;
use crate::read::values::key;
use loupe_core::{Choice, Sample, Target};

/// What is known of a question on one side.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) id: String,
    /// In its normal form.
    pub(super) question: String,
    /// Name of its first image without folder and ending; empty where unknown.
    pub(super) image: String,
    /// Is there anything to judge a reply by?
    pub(super) is_referenced: bool,
    reference: Reference,
}

#[derive(Debug, Clone)]
enum Reference {
    /// Accepted wordings in their normal form.
    Words(Vec<String>),
    Letter(char, Vec<Choice>),
    /// None, or one that a column of words does not hold.
    Other,
}

/// How a reply's own question or reference departs from that of its item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Departure {
    /// `question` or `reference`.
    pub(super) what: &'static str,
    pub(super) theirs: String,
    pub(super) ours: String,
}

/// The form in which questions are compared: lower case, single spaces, without marks of images.
pub(super) fn normal(text: &str) -> String {
    let mut plain = text.to_lowercase();
    while let Some(begins) = plain.find("<image") {
        let rest = plain.get(begins..).unwrap_or_default();
        let Some(ends) = rest.find('>').filter(|ends| *ends <= "<image 999".len()) else { break };
        plain.replace_range(begins..=begins + ends, " ");
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The form in which short references are compared.
fn plain(text: &str) -> String {
    let text = normal(text);
    let text = key(text.trim_end_matches(['.', '。'])).to_owned();
    match text.as_str() {
        "true" => "yes".to_owned(),
        "false" => "no".to_owned(),
        _ => text,
    }
}

/// A name without folders and ending.
fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or(file, |(stem, _)| stem);
    stem.to_lowercase()
}

impl Asked {
    pub(super) fn of_sample(sample: &Sample) -> Self {
        let reference = match &sample.target {
            Target::Choice(letter) => Reference::Letter(*letter, sample.choices.clone()),
            Target::Text(wordings) => Reference::Words(wordings.iter().map(|w| plain(w)).collect()),
            _ => Reference::Other,
        };
        let image = sample.media.first().map_or_else(String::new, |media| stem(&media.name));
        Self {
            id: sample.id.clone(),
            question: normal(&sample.question),
            image,
            is_referenced: sample.target != Target::Unknown,
            reference,
        }
    }

    pub(super) fn of_row(row: &ReplyRow) -> Self {
        let image = row.group.as_deref().map_or_else(String::new, stem);
        Self { image, ..Self::of_sample(&row.sample()) }
    }

    /// What of the reply's own question and reference is not that of this item; nothing where they agree, or
    /// where a side has none.
    pub(super) fn departs(&self, row: &ReplyRow) -> Option<Departure> {
        let question = normal(&row.question);
        if !question.is_empty() && !self.question.is_empty() && !same_question(&question, &self.question) {
            return Some(Departure { what: "question", theirs: question, ours: self.question.clone() });
        }
        let (theirs, ours) = match &self.reference {
            Reference::Words(wordings) => {
                let same = row.gold.iter().any(|gold| wordings.contains(&plain(gold)));
                (!same).then(|| (row.gold.first().map(|g| plain(g)), wordings.first().cloned()))?
            }
            Reference::Letter(letter, choices) => {
                let [gold] = row.gold.as_slice() else { return None };
                let theirs = chosen_of(choices, gold)?;
                (theirs != *letter).then(|| (Some(gold.clone()), Some(letter.to_string())))?
            }
            Reference::Other => return None,
        };
        Some(Departure { what: "reference", theirs: theirs?, ours: ours? })
    }

    /// Can anything of this row be held against this item?
    pub(super) fn comparable(&self, row: &ReplyRow) -> bool {
        let questions = !self.question.is_empty() && !row.question.trim().is_empty();
        questions || (!row.gold.is_empty() && !matches!(self.reference, Reference::Other))
    }

    /// The reference in words; empty where there are none.
    pub(super) fn reference(&self) -> String {
        match &self.reference {
            Reference::Words(wordings) => wordings.first().cloned().unwrap_or_default(),
            Reference::Letter(letter, _) => letter.to_string(),
            Reference::Other => String::new(),
        }
    }
}

/// The same question, or the one inside the prompt that was made of it.
fn same_question(theirs: &str, ours: &str) -> bool {
    theirs == ours || holds(theirs, ours, 2) || holds(ours, theirs, 3)
}

/// Does the text hold these words, at least so many, as whole words?
fn holds(text: &str, words: &str, least: usize) -> bool {
    if words.split(' ').count() < least {
        return false;
    }
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(words).any(|(at, found)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|t| t.chars().next());
        edge(before) && (edge(after) || words.ends_with(|c: char| !c.is_alphanumeric()))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(question: &str, target: Target) -> Asked {
        let choices = ["lung", "liver"].into_iter().zip(['A', 'B']);
        let choices = choices.map(|(text, letter)| Choice { letter, text: text.to_owned() }).collect();
        let row = ReplyRow { question: question.to_owned(), ..ReplyRow::default() };
        Asked::of_sample(&Sample { target, choices, ..row.sample() })
    }

    fn row(question: &str, gold: &[&str]) -> ReplyRow {
        let gold = gold.iter().map(|g| (*g).to_owned()).collect();
        ReplyRow { question: question.to_owned(), gold, ..ReplyRow::default() }
    }

    #[test]
    fn prompts_hold_their_question_and_other_questions_depart() {
        let item = asked("Is there a mass?", Target::Text(vec!["Yes".into()]));
        for theirs in [
            "is  there a MASS?",
            "<image 1>\nIs there a mass?",
            "Answer with a word.\nIs there a mass?\nAnswer:",
            "",
        ] {
            assert_eq!(item.departs(&row(theirs, &["yes."])), None, "{theirs}");
        }
        let other = item.departs(&row("Is there a massive bleed?", &[])).unwrap();
        assert_eq!((other.what, other.theirs.as_str()), ("question", "is there a massive bleed?"));
        assert_eq!(item.departs(&row("", &["no"])).unwrap().what, "reference");
        assert_eq!(item.departs(&row("", &["true"])), None);
        assert_eq!(item.departs(&row("", &["maybe", "YES"])), None);
    }

    #[test]
    fn references_are_compared_as_what_they_mean() {
        let item = asked("Which?", Target::Choice('B'));
        for same in ["B", "(b)", "liver", "1", "no option at all"] {
            assert_eq!(item.departs(&row("", &[same])), None, "{same}");
        }
        assert_eq!(item.departs(&row("", &["lung"])).unwrap().what, "reference");
        let count = asked("How many?", Target::Text(vec!["3".into()]));
        assert_eq!(count.departs(&row("", &["3.0"])), None);
        assert!(!asked("", Target::Unknown).comparable(&row("x", &["y"])));
    }
}
