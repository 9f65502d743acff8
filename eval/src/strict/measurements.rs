//! Lengths and angles: as many numbers as were asked for, with their units.
//!
//! A comma is never part of a number (`120,100` are two, `31,5` is not thirty-one and a half). A number
//! glued to letters that are no unit (`2D`, `T1`, `5mL`) or before a percent sign is none. A unit behind
//! the last of joined numbers (`3.1 x 2.0 cm`) is the unit of all of them. Centimetres become
//! millimetres because they are written, never because of the size of a number.

use super::extract::{How, extract, kept, refuses, ruled};
use super::figures::{ACCURACY, ANGLE_ERROR, LENGTH_ERROR, RELATIVE_ERROR, WITHIN_TENTH};
use crate::profile::{Judgement, Verdict};
use loupe_core::text_form::text_form;
use loupe_core::{MeasureUnit, Measurement, Reply};

/// Right within this share of the reference.
const SHARE: f64 = 0.1;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Word(String),
    Mark(char),
}

/// A token, and whether it touches the one before.
type Placed = (Token, bool);

fn tokens(text: &str) -> Vec<Placed> {
    let chars: Vec<char> = text_form(text).chars().flat_map(char::to_lowercase).collect();
    let mut found = Vec::new();
    let (mut at, mut glued) = (0, false);
    while let Some(&c) = chars.get(at) {
        let run = |from: usize, is: fn(&char) -> bool| chars[from..].iter().take_while(|c| is(c)).count();
        let n = match c {
            c if c.is_whitespace() => {
                (at, glued) = (at + 1, false);
                continue;
            }
            c if c.is_ascii_digit() => {
                let whole = run(at, char::is_ascii_digit);
                let more = if chars.get(at + whole) == Some(&'.') {
                    run(at + whole + 1, char::is_ascii_digit)
                } else {
                    0
                };
                let n = if more > 0 { whole + 1 + more } else { whole };
                let digits: String = chars[at..at + n].iter().collect();
                // Digits always make a number, if an infinite one.
                found.push((Token::Number(digits.parse().unwrap_or(f64::INFINITY)), glued));
                n
            }
            // The x of 3x4cm is a word of its own.
            'x' if matches!(found.last(), Some((Token::Number(_), _))) => {
                found.push((Token::Word("x".to_owned()), glued));
                1
            }
            c if c.is_alphabetic() => {
                let n = run(at, |c| c.is_alphabetic());
                found.push((Token::Word(chars[at..at + n].iter().collect()), glued));
                n
            }
            mark => {
                found.push((Token::Mark(mark), glued));
                1
            }
        };
        (at, glued) = (at + n, true);
    }
    found
}

/// A number with its unit, where one is written.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Said {
    /// The token.
    at: usize,
    value: f64,
    /// The unit, and how much of it one of the unit written is.
    unit: Option<(MeasureUnit, f64)>,
}

fn unit(token: &Token) -> Option<(MeasureUnit, f64)> {
    match token {
        Token::Mark('°' | 'º') => Some((MeasureUnit::Degrees, 1.0)),
        Token::Word(word) => match word.as_str() {
            "cm" | "centimetre" | "centimetres" | "centimeter" | "centimeters" => {
                Some((MeasureUnit::Mm, 10.0))
            }
            word => MeasureUnit::from_word(word).map(|unit| (unit, 1.0)),
        },
        _ => None,
    }
}

fn numbers(tokens: &[Placed]) -> Vec<Said> {
    let token = |at: Option<usize>| at.and_then(|at| tokens.get(at));
    let mut found: Vec<Said> = Vec::new();
    for (at, (this, glued)) in tokens.iter().enumerate() {
        let Token::Number(value) = this else { continue };
        let before = token(at.checked_sub(1)).filter(|_| *glued);
        let next = token(Some(at + 1));
        let named = matches!(before, Some((Token::Word(word), _)) if word != "x");
        let foreign = matches!(next, Some((Token::Word(word), true)) if word != "x");
        let unit = next.and_then(|(t, _)| unit(t));
        if named || (foreign && unit.is_none()) || matches!(next, Some((Token::Mark('%'), _))) {
            continue;
        }
        // A dash that touches a word or number before it joins; it is no sign.
        let minus = matches!(before, Some((Token::Mark('-' | '−'), touches)) if {
            let named = matches!(token(at.checked_sub(2)), Some((Token::Number(_) | Token::Word(_) | Token::Mark(')'), _)));
            !(*touches && named)
        });
        found.push(Said { at, value: if minus { -value } else { *value }, unit });
    }
    // The unit behind the last of joined numbers is that of all of them.
    for at in (1..found.len()).rev() {
        let (earlier, later) = (found[at - 1], found[at]);
        let between = &tokens[earlier.at + 1..later.at];
        if earlier.unit.is_none() && !between.is_empty() && between.iter().all(joins) {
            found[at - 1].unit = later.unit;
        }
    }
    for said in &mut found {
        said.value *= said.unit.map_or(1.0, |(_, of)| of);
    }
    found
}

fn joins((token, glued): &Placed) -> bool {
    match token {
        Token::Word(word) => matches!(word.as_str(), "x" | "by" | "and" | "to"),
        Token::Mark('-' | '−' | '–') => *glued,
        Token::Mark(mark) => matches!(mark, '×' | '*' | ',' | '/' | '&'),
        Token::Number(_) => false,
    }
}

/// The numbers that answer, in the order of the reference, and the rule that found them; or why not.
fn read(text: &str, gold: &[Measurement]) -> Result<(Vec<f64>, &'static str), &'static str> {
    let tokens = tokens(text);
    let said = numbers(&tokens);
    let wanted = gold.first().map(|m| m.unit);
    let fits = |s: &&Said| s.unit.is_none_or(|(unit, _)| Some(unit) == wanted);
    if said.is_empty() {
        return Err(if refuses(text) { "refusal" } else { "no_number" });
    }
    let fitting: Vec<Said> = said.iter().filter(fits).copied().collect();
    if fitting.is_empty() {
        return Err("other_unit");
    }
    if let Some(values) = named(&tokens, &fitting, gold) {
        return Ok((values, "named"));
    }
    let values = |of: &[Said]| -> Option<Vec<f64>> {
        let all: Vec<f64> = of.iter().map(|s| s.value).collect();
        let (first, rest) = all.split_at_checked(gold.len())?;
        // The same said again is no other answer.
        rest.chunks(gold.len().max(1)).all(|again| again == first).then(|| first.to_vec())
    };
    let with_unit: Vec<Said> = fitting.iter().filter(|s| s.unit.is_some()).copied().collect();
    if let Some(found) = values(&with_unit) {
        return Ok((found, "number_with_unit"));
    }
    match values(&fitting) {
        Some(found) => Ok((found, "number")),
        None if fitting.len() < gold.len() => Err("too_few_numbers"),
        None => Err("several_numbers"),
    }
}

/// Each number by the name before it, where every name of the reference stands exactly once.
fn named(tokens: &[Placed], said: &[Said], gold: &[Measurement]) -> Option<Vec<f64>> {
    if gold.len() < 2 {
        return None;
    }
    let places = gold.iter().map(|m| {
        let word = m.name.split_whitespace().next()?.to_lowercase();
        let mut at = tokens.iter().enumerate().filter(|(_, (t, _))| *t == Token::Word(word.clone()));
        let (first, again) = (at.next(), at.next());
        first.filter(|_| again.is_none()).map(|(at, _)| at)
    });
    let places: Vec<usize> = places.collect::<Option<_>>()?;
    let value = |from: &usize| {
        let to = places.iter().filter(|p| *p > from).min().copied().unwrap_or(tokens.len());
        let mut inside = said.iter().filter(|s| (*from..to).contains(&s.at));
        let (first, again) = (inside.next(), inside.next());
        first.filter(|_| again.is_none()).map(|s| s.value)
    };
    places.iter().map(value).collect()
}

pub(super) fn measurements(gold: &[Measurement], reply: &Reply) -> Judgement {
    let wanted = gold.iter().map(|m| format!("{} {}", m.value, m.unit.word())).collect::<Vec<_>>().join(", ");
    let unread = |rule: String| figures(Judgement::bare(Verdict::Unparsed, rule, wanted.clone()), gold, None);
    let text = text_form(&reply.text);
    let span = match extract(&text) {
        Ok(span) => span,
        Err(rule) => return unread(rule.to_owned()),
    };
    let last = || span.text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let found = read(span.text, gold).or_else(|why| match read(last(), gold) {
        Ok((values, _)) if span.how == How::Whole => Ok((values, "last_line")),
        _ => Err(why),
    });
    let mut judgement = match &found {
        Err(why) => unread(ruled(span.how, why)),
        Ok((values, rule)) => {
            let near = |(m, v): (&Measurement, &f64)| (v - m.value).abs() <= SHARE * m.value.abs();
            let right = gold.iter().zip(values).all(near);
            let verdict = if right { Verdict::Correct } else { Verdict::Wrong };
            figures(Judgement::bare(verdict, ruled(span.how, rule), wanted.clone()), gold, Some(values))
        }
    };
    judgement.span = kept(span.text);
    judgement.answer =
        found.ok().map(|(values, _)| values.iter().map(f64::to_string).collect::<Vec<_>>().join(", "));
    judgement
}

/// The figures of an item; unread and failed ones have no error, which is counted.
pub(super) fn figures(judgement: Judgement, gold: &[Measurement], read: Option<&[f64]>) -> Judgement {
    let right = match judgement.verdict {
        Verdict::Failed => f64::NAN,
        verdict => f64::from(verdict == Verdict::Correct),
    };
    let mean = |unit: Option<MeasureUnit>, error: fn(f64, f64) -> f64| {
        let of = |m: &&Measurement| unit.is_none_or(|u| m.unit == u);
        let n = gold.iter().filter(of).count();
        let pairs = gold.iter().zip(read.unwrap_or_default()).filter(|(m, _)| of(m));
        let sum: f64 = pairs.map(|(m, v)| error(m.value, *v)).sum();
        (n > 0).then(|| if read.is_some() { sum / n as f64 } else { f64::NAN })
    };
    let absolute: fn(f64, f64) -> f64 = |gold, said| (said - gold).abs();
    let lengths = mean(Some(MeasureUnit::Mm), absolute);
    let angles = mean(Some(MeasureUnit::Degrees), absolute);
    // A reference of 0 has no relative error.
    let relative = mean(None, |gold, said| if gold == 0.0 { f64::NAN } else { ((said - gold) / gold).abs() });
    let mut out = judgement.with(ACCURACY, right).with(WITHIN_TENTH, right);
    for (name, value) in [(LENGTH_ERROR, lengths), (ANGLE_ERROR, angles), (RELATIVE_ERROR, relative)] {
        if let Some(value) = value {
            out = out.with(name, value);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use proptest::prelude::*;

    fn gold(unit: MeasureUnit, names: &[&str]) -> Vec<Measurement> {
        let one = |(n, name): (usize, &&str)| Measurement {
            name: (*name).to_owned(),
            value: 30.0 - 10.0 * n as f64,
            unit,
        };
        names.iter().enumerate().map(one).collect()
    }

    #[test]
    fn numbers_by_unit_name_and_place() {
        let size = gold(MeasureUnit::Mm, &["major axis", "minor axis"]);
        let one = gold(MeasureUnit::Mm, &["BPD"]);
        let angle = gold(MeasureUnit::Degrees, &["ANB"]);
        type Expected<'a> = Result<(&'a [f64], &'a str), &'a str>;
        let cases: &[(&[Measurement], &str, Expected<'_>)] = &[
            (&size, "31.5, 20", Ok((&[31.5, 20.0], "number"))),
            (&size, "120,100", Ok((&[120.0, 100.0], "number"))),
            (&size, "3.1 x 2.0 cm in slice 14", Ok((&[31.0, 20.0], "number_with_unit"))),
            (&size, "3.1x2cm", Ok((&[31.0, 20.0], "number_with_unit"))),
            (&size, "Minor axis: 20 mm, major axis: 31 mm", Ok((&[31.0, 20.0], "named"))),
            (&size, "31 and 20 and 12", Err("several_numbers")),
            (&size, "31 mm", Err("too_few_numbers")),
            (&size, "31 × 20 mm. So: 31 × 20 mm.", Ok((&[31.0, 20.0], "number_with_unit"))),
            (&one, "About 31,5 mm", Err("several_numbers")),
            (
                &one,
                "On this 2D T1 image, 80% sure, the cyst of 5mL is 31mm long.",
                Ok((&[31.0], "number_with_unit")),
            ),
            (&one, "３１．５ ｍｍ", Ok((&[31.5], "number_with_unit"))),
            (&one, "31.5.", Ok((&[31.5], "number"))),
            (&one, "20-31 mm", Err("several_numbers")),
            (&one, "45 degrees", Err("other_unit")),
            (&one, "I cannot determine the length.", Err("refusal")),
            (&one, "Long.", Err("no_number")),
            (&angle, "-2.5°", Ok((&[-2.5], "number_with_unit"))),
            (&angle, "ANB = −2.5 deg", Ok((&[-2.5], "number_with_unit"))),
            (&angle, "(-2.5)", Ok((&[-2.5], "number"))),
        ];
        for (gold, text, expected) in cases {
            let expected = expected.map(|(values, rule)| (values.to_vec(), rule));
            assert_eq!(read(text, gold), expected, "{text}");
        }
    }

    #[test]
    fn errors_have_units_and_unread_replies_none() {
        let size = gold(MeasureUnit::Mm, &["major axis", "minor axis"]);
        let judged = measurements(&size, &Reply::from_text("I see 2 lesions.\n33 mm, 21 mm"));
        assert_eq!((judged.verdict, judged.rule.as_ref()), (Verdict::Correct, "number_with_unit"));
        assert_eq!(judged.value(LENGTH_ERROR), Some(2.0));
        assert!((judged.value(RELATIVE_ERROR).unwrap() - 0.075).abs() < 1e-12);
        assert_eq!(judged.value(ANGLE_ERROR), None);
        let judged = measurements(&size, &Reply::from_text("I see 2 lesions.\n33, 23"));
        assert_eq!((judged.verdict, judged.rule.as_ref()), (Verdict::Wrong, "last_line"));
        let judged = measurements(&size, &Reply::from_text("large"));
        assert_eq!((judged.verdict, judged.value(WITHIN_TENTH)), (Verdict::Unparsed, Some(0.0)));
        assert!(judged.value(LENGTH_ERROR).unwrap().is_nan());
        let zero = [Measurement { name: String::new(), value: 0.0, unit: MeasureUnit::Degrees }];
        let judged = measurements(&zero, &Reply::from_text("\\boxed{1}"));
        assert_eq!((judged.rule.as_ref(), judged.value(ANGLE_ERROR)), ("boxed/number", Some(1.0)));
        assert!(judged.value(RELATIVE_ERROR).unwrap().is_nan());
    }

    proptest! {
        #[test]
        fn any_reply_is_judged(text in "\\PC{0,60}", digits in "[-−.0-9x×,° mcdeg]{0,40}") {
            let size = gold(MeasureUnit::Mm, &["major axis", "minor axis"]);
            for reply in [text.as_str(), digits.as_str(), &format!("{text}{digits}")] {
                let judged = measurements(&size, &Reply::from_text(reply));
                prop_assert!(judged.verdict.counts());
            }
        }

        #[test]
        fn what_was_written_is_read(a in 0.0..500.0f64, b in 0.0..500.0f64) {
            let size = gold(MeasureUnit::Mm, &["major axis", "minor axis"]);
            let text = format!("The axes are {a:.2} mm and {b:.2} mm.");
            let (read, _) = read(&text, &size).unwrap();
            prop_assert!((read[0] - a).abs() <= 0.005 + 1e-9 && (read[1] - b).abs() <= 0.005 + 1e-9);
        }
    }
}
