//! Options of multiple-choice rows. A letter is the place of its option: one that is absent or has no words
//! is not offered and does not move those behind it.

use super::files::Root;
use super::row::{Row, python_list};
use super::values::whole;
use loupe_core::{Choice, DataError, Target};

/// Options by place from A on, as the row's list has them; `None` and empty words are options that are not
/// there, which `data check` names.
///
/// # Errors
/// When there are more than letters.
pub(crate) fn options(root: &Root, row: &Row, texts: Vec<Option<String>>) -> Result<Vec<Choice>, DataError> {
    if texts.len() > 26 {
        return Err(row.error(format!("{} options, but letters end with Z", texts.len())));
    }
    let count = texts.len();
    let given = unlettered(texts);
    if !given.is_empty() {
        name_empty(root, row, &given, count);
    }
    Ok(given)
}

/// Options in columns of their own, by letter. Those behind the last one with words are columns that other
/// rows of the table need.
pub(crate) fn option_columns(
    root: &Root,
    row: &Row,
    columns: impl IntoIterator<Item = (char, Option<String>)>,
) -> Vec<Choice> {
    let real = |text: &String| !text.trim().is_empty() && !text.eq_ignore_ascii_case("nan");
    let given =
        columns.into_iter().filter_map(|(letter, text)| Some(Choice { letter, text: text.filter(real)? }));
    let mut given: Vec<Choice> = given.collect();
    given.sort_by_key(|c| c.letter);
    // pandas writes the absent cells of a mixed column as nan.
    if let Some(last) = given.last() {
        name_empty(root, row, &given, place(last.letter) + 1);
    }
    given
}

fn place(letter: char) -> usize {
    (letter as usize).saturating_sub('A' as usize)
}

/// Names the letters among the first `count` that are not offered.
fn name_empty(root: &Root, row: &Row, given: &[Choice], count: usize) {
    let letters = ('A'..='Z').take(count);
    let empty: Vec<String> =
        letters.filter(|l| given.iter().all(|c| c.letter != *l)).map(String::from).collect();
    if !empty.is_empty() {
        let have = if empty.len() == 1 { "option {} is" } else { "options {} are" };
        root.remark(row, format!("{} empty and not offered", have.replace("{}", &empty.join(", "))));
    }
}

/// Options from A on; those without words are left out, and the others keep their letters.
pub(crate) fn lettered(texts: impl IntoIterator<Item = Option<String>>) -> Vec<Choice> {
    let given = ('A'..='Z').zip(texts).filter_map(|(letter, text)| Some(Choice { letter, text: text? }));
    given.filter(|c| !c.text.trim().is_empty()).collect()
}

/// Options whose own text may begin with their letter (`A. one`, `A: one`, `(A) one`): the letter is taken
/// off when every option with words carries the letter of its place.
pub(crate) fn unlettered(texts: Vec<Option<String>>) -> Vec<Choice> {
    let bare = |text: &str, letter: char| {
        let text = text.trim();
        let text = text.strip_prefix('(').unwrap_or(text).strip_prefix(letter)?;
        let rest = text.strip_prefix(['.', ':', ')'])?;
        Some(rest.strip_prefix(':').unwrap_or(rest).trim().to_owned())
    };
    let stripped: Option<Vec<Option<String>>> = texts
        .iter()
        .zip('A'..='Z')
        .map(|(text, letter)| match text.as_deref().filter(|t| !t.trim().is_empty()) {
            None => Some(None),
            Some(text) => bare(text, letter).map(Some),
        })
        .collect();
    lettered(stripped.filter(|s| s.len() == texts.len()).unwrap_or(texts))
}

/// The target of a multiple-choice row whose answer may be a letter, a number from 0, or the words
/// of an option.
pub(crate) fn chosen(row: &Row, choices: &[Choice], answer: &str) -> Result<Target, DataError> {
    let problem = || match lone_letter(answer).filter(|l| l.is_ascii_alphabetic()) {
        Some(letter) => format!("the answer is option {letter}, which is absent or has no words"),
        None => format!("the answer is none of the {} choices", choices.len()),
    };
    chosen_of(choices, answer).map(Target::Choice).ok_or_else(|| row.error(problem()))
}

/// The target of a multiple-choice row whose field is the number of an option, the first being `first`. Options that are numbers
/// themselves are never meant.
pub(crate) fn numbered(
    row: &Row,
    choices: &[Choice],
    field: &str,
    first: usize,
) -> Result<Target, DataError> {
    let place = whole(&row.need(field)?).and_then(|number| number.checked_sub(first));
    let letter = place.and_then(|place| ('A'..='Z').nth(place));
    let there = letter.filter(|letter| choices.iter().any(|c| c.letter == *letter));
    there.map(Target::Choice).ok_or_else(|| row.error(format!("{field:?} is the number of no option")))
}

/// The letter that the text is, but for brackets and punctuation.
fn lone_letter(answer: &str) -> Option<char> {
    let mut characters = answer.trim().trim_matches(['(', ')', '.', ':']).chars();
    characters.next().filter(|_| characters.next().is_none()).map(|l| l.to_ascii_uppercase())
}

/// The letter of the choice that an answer means.
pub(crate) fn chosen_of(choices: &[Choice], answer: &str) -> Option<char> {
    let answer = answer.trim();
    if let Some(choice) = lone_letter(answer).and_then(|l| choices.iter().find(|c| c.letter == l)) {
        return Some(choice.letter);
    }
    let same = |c: &&Choice| c.text.trim().eq_ignore_ascii_case(answer);
    if let Some(choice) = choices.iter().find(same) {
        return Some(choice.letter);
    }
    if let Some(place) = whole(answer) {
        // Numbers count the options that are not there too.
        let by_letter = choices.iter().all(|c| c.letter.is_ascii_uppercase());
        let letter = ('A'..='Z').nth(place).filter(|_| by_letter);
        let choice = match letter {
            Some(letter) => choices.iter().find(|c| c.letter == letter),
            None => choices.get(place).filter(|_| !by_letter),
        };
        return choice.map(|c| c.letter);
    }
    let leading = answer.split_once(['.', ':', ')']).map(|(l, _)| l.trim_matches(['(', ' ']))?;
    choices.iter().find(|c| leading.len() == 1 && leading.starts_with(c.letter)).map(|c| c.letter)
}

/// The target of a reference that means several of the choices: a list of letters, words or numbers of choices, or nothing
/// but letters (`A, C`, `AC`, `['A', 'C']`). Of a list whose entries are one choice, that choice.
pub(crate) fn letters_of(choices: &[Choice], answers: &[String]) -> Option<Target> {
    let mut letters: Vec<char> = match answers {
        [one] => match python_list(one) {
            Some(list) => list.iter().map(|a| chosen_of(choices, a.as_deref()?)).collect::<Option<_>>()?,
            None => spelled(choices, one)?,
        },
        several => several.iter().map(|a| chosen_of(choices, a)).collect::<Option<_>>()?,
    };
    letters.sort_unstable();
    letters.dedup();
    match letters[..] {
        [] => None,
        [one] => Some(Target::Choice(one)),
        _ => Some(Target::Choices(letters)),
    }
}

/// Different letters of choices and separators, and nothing else.
fn spelled(choices: &[Choice], text: &str) -> Option<Vec<char>> {
    let text = text.replace(" and ", " ");
    let rest = |c: &char| {
        !(c.is_whitespace() || matches!(c, ',' | ';' | '/' | '&' | '+' | '|' | '、' | '，' | '(' | ')'))
    };
    let mut letters: Vec<char> = text.chars().filter(rest).collect();
    let all = letters.iter().all(|l| choices.iter().any(|c| c.letter == *l));
    let count = letters.len();
    letters.sort_unstable();
    letters.dedup();
    (all && count > 1 && letters.len() == count).then_some(letters)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|s| Some((*s).to_owned())).collect()
    }

    #[test]
    fn answers_name_their_choice_in_every_way_in_use() {
        let choices = unlettered(some(&["A. one", "B. two", "C. three"]));
        assert_eq!(choices[1], Choice { letter: 'B', text: "two".to_owned() });
        let row = Row::new(&"rows.json".into(), 3, Value::Object(Map::new())).unwrap();
        for answer in ["B", "b", "(B)", "B.", "two", "TWO ", "1", "1.0", "B. two", "B: two"] {
            assert_eq!(chosen(&row, &choices, answer).unwrap(), Target::Choice('B'), "{answer}");
        }
        assert!(chosen(&row, &choices, "seven").is_err());
        assert!(chosen(&row, &choices, "7").is_err());
        assert!(chosen(&row, &choices, "D").unwrap_err().to_string().contains("option D"));
    }

    #[test]
    fn several_right_choices_are_a_set_in_every_way_in_use() {
        let choices = unlettered(some(&["one", "two", "three", "A, C"]));
        let of = |answers: &[&str]| {
            letters_of(&choices, &answers.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
        };
        for answers in [
            &["C", "A"][..],
            &["A", "C", "A"],
            &["one", "three"],
            &["AC"],
            &["A,C"],
            &["A and C"],
            &["['A', 'C']"],
        ] {
            assert_eq!(of(answers), Some(Target::Choices(vec!['A', 'C'])), "{answers:?}");
        }
        assert_eq!(of(&["B", "two"]), Some(Target::Choice('B')));
        for answers in [&["A", "seven"][..], &["AA"], &["AE"], &["two three"], &["[]"], &[]] {
            assert_eq!(of(answers), None, "{answers:?}");
        }
    }

    #[test]
    fn letters_are_taken_off_only_when_every_choice_has_its_own() {
        let texts = |t: &[&str]| unlettered(some(t));
        assert_eq!(texts(&["A:x", "B:y"])[0].text, "x");
        assert_eq!(texts(&["A: fib. B", "CT"])[0].text, "A: fib. B");
        assert_eq!(texts(&["(A) x", "(B) y"])[1].text, "y");
        assert_eq!(texts(&["Aorta", "Bone"])[0].text, "Aorta");
        // An option that is only its letter has no words.
        let given = texts(&["A: x", "B:", "", "D: z"]);
        assert_eq!(
            given.iter().map(|c| (c.letter, c.text.as_str())).collect::<Vec<_>>(),
            [('A', "x"), ('D', "z")]
        );
    }

    proptest! {
        /// Whatever is empty, an option keeps the letter and the number of its place.
        #[test]
        fn an_empty_option_moves_no_other(texts in prop::collection::vec(prop::option::of("[ x-z]{0,3}"), 1..8)) {
            let given = unlettered(texts.clone());
            for (place, (letter, text)) in ('A'..='Z').zip(&texts).enumerate() {
                let offered = given.iter().find(|c| c.letter == letter);
                let words = text.as_deref().filter(|t| !t.trim().is_empty());
                prop_assert_eq!(offered.map(|c| c.text.as_str()), words);
                prop_assert_eq!(chosen_of(&given, &letter.to_string()), words.map(|_| letter));
                prop_assert_eq!(chosen_of(&given, &place.to_string()), words.map(|_| letter));
            }
        }
    }
}
