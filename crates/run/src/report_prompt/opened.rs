//! What a block of a template can come to whatever the model answers: the block with its conditions on answers opened, so that what stands
//! in any of their branches is filled in. It tells, before anything is asked, which images a question can show and what a study lacks.

use super::values::{Answers, NAMES, Said, lacking, values};
use crate::filled::{MARKS, alone, parts, tag_words};
use loupe_core::Part;
use loupe_core::sandbox::Sandbox;
use loupe_core::study::{Study, StudyImage};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use std::collections::BTreeSet;

/// Stands for every answer: a word, and a number.
const ANY_ANSWER: &str = "1";

/// A block whatever the answers are. Where it cannot be filled in so, nothing is told of it.
pub(super) struct Opened {
    /// With every condition opened.
    shows: Option<Sandbox>,
    /// With the conditions on the study as they are.
    needs: Option<Sandbox>,
    text: String,
}

impl Opened {
    pub(super) fn new(text: &str, block: &str) -> Self {
        let text = alone(text, block);
        let of_study = names_of_study(&text);
        let read = |text: String, furnish| {
            let read = Sandbox::new(text, SyntaxConfig::default(), furnish);
            read.ok().map(Sandbox::ignoring_case)
        };
        Self {
            shows: read(without_conditions(&text, &|_| true), leniently),
            needs: read(without_conditions(&text, &|condition| !mentions(condition, &of_study)), strictly),
            text,
        }
    }

    /// The images that the block can show; all where that cannot be told.
    pub(super) fn pictures<'a>(&self, study: &Study, asks: impl Iterator<Item = &'a str>) -> Vec<usize> {
        let words = self.shows.as_ref().and_then(|shows| filled(shows, study, asks).ok());
        let picture = |part: Part| if let Part::Picture(at) = part { Some(at) } else { None };
        match words {
            Some(words) => parts(&words).into_iter().filter_map(picture).collect(),
            None => (0..study.images.len()).collect(),
        }
    }

    /// Does it write an image of a study that has everything?
    pub(super) fn shows_any_picture(&self) -> bool {
        let image = |view: &str, prior| StudyImage { view: Some(view.to_owned()), prior };
        let text = || Some("x".to_owned());
        let study = Study {
            images: vec![image("PA", false), image("LATERAL", false), image("PA", true)],
            indication: text(),
            technique: text(),
            comparison: text(),
            prior_report: text(),
            age_band: text(),
            sex: text(),
        };
        let words = self.shows.as_ref().and_then(|shows| filled(shows, &study, std::iter::empty()).ok());
        words.is_some_and(|words| words.contains(MARKS))
    }

    /// What the block may write and the study does not have.
    pub(super) fn lacking<'a>(
        &self,
        study: &Study,
        asks: impl Iterator<Item = &'a str>,
    ) -> Vec<&'static str> {
        let Some(Err(error)) = self.needs.as_ref().map(|needs| filled(needs, study, asks)) else {
            return Vec::new();
        };
        if error.kind() != ErrorKind::UndefinedError {
            return Vec::new();
        }
        let line = error.line().and_then(|n| self.text.lines().nth(n.saturating_sub(1)));
        lacking(line.unwrap_or(&self.text), &values(study, &Said::default(), None))
    }
}

fn filled<'a>(of: &Sandbox, study: &Study, asks: impl Iterator<Item = &'a str>) -> Result<String, Error> {
    let answers: Answers = asks.map(|name| (name.to_owned(), ANY_ANSWER.to_owned())).collect();
    of.render(values(study, &Said { answers, ..Said::default() }, None).context())
}

/// What is not there is blank; nothing refuses.
fn leniently(environment: &mut Environment<'_>) {
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.add_function("refuse", unheard);
}

/// What is not there must not be written; nothing refuses, since a condition on answers may stand before it.
fn strictly(environment: &mut Environment<'_>) {
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.add_function("refuse", unheard);
}

#[allow(clippy::unnecessary_wraps, clippy::needless_pass_by_value)] // the signature of a function
fn unheard(_: String) -> Result<Value, Error> {
    Ok(Value::from(""))
}

fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

fn mentions(text: &str, names: &BTreeSet<String>) -> bool {
    identifiers(text).any(|word| names.contains(word))
}

/// What a study tells, and the names that a template sets by it.
fn names_of_study(text: &str) -> BTreeSet<String> {
    let own = |name: &&&str| !matches!(**name, "answers" | "refuse" | "schema" | "findings");
    let mut names: BTreeSet<String> = NAMES.iter().filter(own).map(|name| (*name).to_owned()).collect();
    for tag in crate::filled::tags(text) {
        if let Some((name, value)) = tag.strip_prefix("set ").and_then(|set| set.split_once('='))
            && mentions(value, &names)
        {
            names.extend(identifiers(name).map(str::to_owned));
        }
    }
    names
}

/// The template without the `if`s whose condition is to be opened: every branch stands there.
fn without_conditions(text: &str, opens: &dyn Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    // Of the tags that are open: is it an `if` without its tags?
    let mut open: Vec<bool> = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{%") {
        out.push_str(before);
        let Some((tag, after)) = behind.split_once("%}") else {
            out.push_str("{%");
            out.push_str(behind);
            return out;
        };
        let words = tag_words(tag);
        let (first, condition) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
        let innermost = open.last().copied().unwrap_or(false);
        let dropped = match first {
            "if" => {
                open.push(opens(condition));
                opens(condition)
            }
            "for" => {
                open.push(false);
                false
            }
            "elif" | "else" => innermost,
            "endif" | "endfor" => open.pop().unwrap_or(false),
            _ => false,
        };
        if dropped {
            out.extend(tag.chars().filter(|c| *c == '\n'));
        } else {
            out.push_str("{%");
            out.push_str(tag);
            out.push_str("%}");
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::without_conditions;

    #[test]
    fn conditions_are_opened_and_others_stay() {
        let text = "{% if a %}1{% elif b %}2{%- else -%}3{% endif %}{% for x in y %}4{% else %}5{% endfor %}{% set z = 1 %}";
        assert_eq!(
            without_conditions(text, &|_| true),
            "123{% for x in y %}4{% else %}5{% endfor %}{% set z = 1 %}"
        );
        assert_eq!(without_conditions(text, &|_| false), text);
        let inner = "{% if keep %}{% if a %}1{% else %}2{% endif %}{% else %}3{% endif %}";
        assert_eq!(
            without_conditions(inner, &|condition| condition != "keep"),
            "{% if keep %}12{% else %}3{% endif %}"
        );
    }
}
