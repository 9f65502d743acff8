//! The official MMMU evaluation (`eval/utils/eval_utils.py`, `main_eval_only.py`), whose parser many
//! harnesses carry.

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict};
use super::parts::{self, found_last, gold_text, round, strip_each};
use loupe_core::Sample;
use regex::Regex;
use std::sync::LazyLock;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&Mmmu];

#[derive(Debug, Clone, Copy)]
struct Mmmu;

/// Health and Medicine, the domain of medical tables.
const MEDICAL: [&str; 5] = [
    "Basic_Medical_Science",
    "Clinical_Medicine",
    "Diagnostics_and_Laboratory_Medicine",
    "Pharmacy",
    "Public_Health",
];

impl HarnessProfile for Mmmu {
    fn name(&self) -> &'static str {
        "mmmu"
    }

    fn harness(&self) -> &'static str {
        "MMMU-Benchmark/MMMU"
    }

    fn commit(&self) -> &'static str {
        "bb0b95a945998d91dfef37e969e07d49d1139438"
    }

    fn sets(&self) -> &'static [&'static str] {
        &["mmmu-medical"]
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "a reply without an option is a random choice (seed 42 there)",
            "a lone lower-case letter is no option",
            "open answers are right when they occur anywhere in the last part of a sentence",
            "figures are rounded to three decimals",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let judged = if !sample.choices.is_empty() {
            judge_choice(sample, reply, Letters::Spaced)
        } else if parts::lacks_options(sample) {
            // Read as an open answer, a letter would be looked for inside words.
            return super::harness::no_choice(sample);
        } else if gold_text(sample).is_some() {
            judge_open(sample, reply)
        } else {
            return HarnessVerdict::not_applicable("no reference text");
        };
        judged.also(format!(
            "subject {}",
            sample.tag("subject").or(subject_of(&sample.id)).unwrap_or("unknown")
        ))
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        let of =
            |subject: &str| (sums.mean(&format!("subject {subject}")), sums.n(&format!("subject {subject}")));
        // Accuracies by subject are weighed together again, as there.
        let over = |subjects: &mut dyn Iterator<Item = &str>| {
            let (sum, n) = subjects.map(of).fold((0.0, 0), |(s, n), (mean, m)| (s + mean * m as f64, n + m));
            (if n == 0 { 0.0 } else { sum / n as f64 }, n)
        };
        let (all, n) = over(&mut sums.under("subject "));
        let (medical, m) = over(&mut MEDICAL.into_iter());
        let mut out = vec![HarnessFigure::new("Overall", round(all, 3), n)];
        if m > 0 {
            out.push(HarnessFigure::new("Overall-Health and Medicine", round(medical, 3), m));
        }
        out.extend(sums.under("subject ").map(|s| HarnessFigure::new(s, round(of(s).0, 3), of(s).1)));
        out
    }
}

/// The subject in an id such as `validation_Basic_Medical_Science_7`, as `main_eval_only.py` takes it.
fn subject_of(id: &str) -> Option<&str> {
    Some(id.split_once('_')?.1.rsplit_once('_')?.0)
}

/// How a letter without brackets is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// Between two spaces (MMMU, MedEvalKit).
    Spaced,
    /// Before a space, then before a period (lmms-eval).
    Trailing,
}

/// `parse_multi_choice_response` and `eval_multi_choice`.
pub fn judge_choice(sample: &Sample, reply: &str, letters: Letters) -> HarnessVerdict {
    let Some(gold) = super::harness::gold_letter(sample) else {
        return super::harness::no_choice(sample);
    };
    let reply = format!(" {} ", strip_each(reply, &[',', '.', '!', '?', ';', ':', '\'']));
    let with = |form: &dyn Fn(char) -> String| -> Vec<(char, String)> {
        sample.choices.iter().map(|c| (c.letter, form(c.letter))).filter(|(_, s)| reply.contains(s)).collect()
    };
    let verdict = |letter: char, rule| HarnessVerdict::new(letter == gold, letter, rule);
    let spaced = |c: char| format!(" {c} ");
    let brackets = with(&|c| format!("({c})"));
    if let Some(letter) = found_last(&reply, &brackets) {
        return verdict(letter, "a letter in brackets");
    }
    let mut bare = with(&|c| if letters == Letters::Spaced { spaced(c) } else { format!("{c} ") });
    if bare.is_empty() && letters == Letters::Trailing {
        bare = with(&|c| format!("{c}."));
    }
    if let [(letter, _)] = bare[..] {
        return verdict(letter, "a letter by itself");
    }
    // Several candidates are told apart by the place of the spaced form, found or not.
    let bare: Vec<(char, String)> = bare.into_iter().map(|(c, _)| (c, spaced(c))).collect();
    if let Some(letter) = found_last(&reply, &bare) {
        return verdict(letter, "the last letter by itself");
    }
    if reply.split_whitespace().count() > 5 {
        let lower = reply.to_lowercase();
        let said: Vec<(char, String)> = sample
            .choices
            .iter()
            .map(|c| (c.letter, c.text.to_lowercase()))
            .filter(|(_, t)| lower.contains(t))
            .collect();
        if let Some(letter) = found_last(&lower, &said) {
            return verdict(letter, "the words of an option");
        }
    }
    HarnessVerdict::random(1.0 / sample.choices.len().max(1) as f64)
}

/// A word, or a number rounded to two decimals.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Words(String),
    Number(f64),
}

fn normal(text: &str) -> Vec<Answer> {
    let text = text.trim();
    if let Ok(number) = text.replace(',', "").trim().parse::<f64>() {
        return vec![Answer::Number(round(number, 2))];
    }
    let lower = text.to_lowercase();
    if lower.chars().count() == 1 {
        // A lone letter only counts beside a space.
        return vec![Answer::Words(format!(" {lower}")), Answer::Words(format!("{lower} "))];
    }
    vec![Answer::Words(lower)]
}

/// Numbers without commas that no comma, digit or exponent follows.
fn simple_numbers(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let digits = |mut at: usize| {
        while chars.get(at).is_some_and(char::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let exponent = |at: usize| {
        matches!(chars.get(at), Some('e' | 'E'))
            && (chars.get(at + 1).is_some_and(char::is_ascii_digit)
                || (matches!(chars.get(at + 1), Some('+' | '-'))
                    && chars.get(at + 2).is_some_and(char::is_ascii_digit)))
    };
    let ends = |at: usize| !exponent(at) && chars.get(at) != Some(&',');
    let (mut found, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let start = if chars[at] == '-' { at + 1 } else { at };
        let whole = digits(start);
        let fraction = if chars.get(whole) == Some(&'.') { digits(whole + 1) } else { whole };
        let word_ends = !chars.get(whole).is_some_and(|c| c.is_alphanumeric() || *c == '_');
        let end = if fraction > whole + 1 && ends(fraction) {
            Some(fraction)
        } else if whole > start && word_ends && ends(whole) {
            Some(whole)
        } else {
            None
        };
        if let Some(end) = end {
            found.push(chars[at..end].iter().collect());
            at = end;
        } else {
            at += 1;
        }
    }
    found
}

fn numbers(text: &str) -> Vec<String> {
    static COMMAS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"-?\b\d{1,3}(?:,\d{3})+\b").ok());
    static SCIENTIFIC: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"-?\d+(?:\.\d+)?[eE][+-]?\d+").ok());
    let mut found: Vec<String> = [&COMMAS, &SCIENTIFIC]
        .iter()
        .filter_map(|r| r.as_ref())
        .flat_map(|r| r.find_iter(text).map(|m| m.as_str().to_owned()))
        .collect();
    found.extend(simple_numbers(text));
    found
}

/// The shortest tails behind the words that announce an answer, a line each.
fn key_parts(reply: &str) -> Vec<String> {
    const ANNOUNCE: [&str; 9] =
        ["could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ", "="];
    let reply = reply.trim().trim_matches('.').to_lowercase();
    let lines: Vec<&str> = reply.split('\n').collect();
    let mut keys = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        // An equation counts in the last line only.
        let words = if i + 1 == lines.len() { &ANNOUNCE[..] } else { &ANNOUNCE[..8] };
        let mut shortest: Option<&str> = None;
        for word in words.iter().filter(|w| line.contains(**w)) {
            let tail = parts::after_last(line, word).trim();
            if shortest.is_none_or(|s| s.is_empty() || tail.chars().count() < s.chars().count()) {
                shortest = Some(tail);
            }
        }
        if let Some(key) =
            shortest.filter(|k| !k.is_empty() && !matches!(*k, ":" | "," | "." | "!" | "?" | ";" | "'"))
        {
            keys.push(key.to_owned());
        }
    }
    if keys.is_empty() { vec![reply] } else { keys }
}

/// `parse_open_response` and `eval_open`; any of the accepted wordings will do.
fn judge_open(sample: &Sample, reply: &str) -> HarnessVerdict {
    let wordings: Vec<&str> = match &sample.target {
        loupe_core::Target::Text(all) => all.iter().map(String::as_str).collect(),
        _ => gold_text(sample).into_iter().collect(),
    };
    let gold: Vec<Answer> = wordings.into_iter().flat_map(normal).collect();
    let keys = key_parts(reply);
    let mut said: Vec<Answer> = keys.iter().flat_map(|k| normal(k)).collect();
    said.extend(keys.iter().flat_map(|k| numbers(k)).flat_map(|n| normal(&n)));
    let right = said.iter().any(|s| match s {
        Answer::Words(words) => {
            gold.iter().any(|g| matches!(g, Answer::Words(w) if words.contains(w.as_str())))
        }
        number @ Answer::Number(_) => gold.contains(number),
    });
    HarnessVerdict::new(right, keys.join(" | "), "the reference occurs in a key part")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn numbers_as_the_regular_expressions_find_them() {
        assert_eq!(simple_numbers("12.345, 7"), ["12", "7"]);
        assert_eq!(simple_numbers("-.5 and 1e5 and 3mm"), ["-.5", "5"]);
        assert_eq!(numbers("1,200 or 3.5e-4"), ["1,200", "3.5e-4", "200", "3", "-4"]);
    }
}
