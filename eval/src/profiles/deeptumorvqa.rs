//! DeepTumorVQA v2 (`src/deeptumorvqa/eval/metrics.py`), multiple choice and free form.

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict};
use super::parts::{gold_text, round};
use crate::metrics::words::word_runs;
use loupe_core::{Sample, Score};
use std::collections::BTreeMap;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[
    &DeepTumorVqa { name: "deeptumorvqa-mc", free_form: false },
    &DeepTumorVqa { name: "deeptumorvqa-freeform", free_form: true },
];

#[derive(Debug, Clone, Copy)]
struct DeepTumorVqa {
    name: &'static str,
    free_form: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Numeric,
    Binary,
    Categorical,
}

/// How the free-form answer of a subtype is compared; unknown ones are categorical.
fn kind(subtype: &str) -> Kind {
    match subtype {
        "organ volume measurement"
        | "organ HU measurement"
        | "lesion volume measurement"
        | "organ HU ratio"
        | "tumor burden percentage"
        | "largest lesion diameter"
        | "largest lesion slice"
        | "lesion counting"
        | "lesion count by location"
        | "organ aggregation"
        | "tumor organ HU difference" => Kind::Numeric,
        "pancreatic lesion existence"
        | "liver lesion existence"
        | "kidney lesion existence"
        | "kidney tumor existence"
        | "kidney cyst existence"
        | "colon lesion existence"
        | "PDAC existence"
        | "PNET existence"
        | "lesion outlier"
        | "organ enlargement"
        | "pancreatic steatosis"
        | "pancreatic cyst resectability"
        | "pseudocyst determination"
        | "splenomegaly detection"
        | "portal hypertension assessment" => Kind::Binary,
        _ => Kind::Categorical,
    }
}

/// Without `<think>…</think>`, closed or not.
fn without_thoughts(text: &str) -> String {
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("<think>") {
        kept.push_str(before);
        match after.split_once("</think>") {
            Some((_, tail)) => rest = tail,
            None => rest = "",
        }
    }
    kept.push_str(rest);
    kept.trim().to_owned()
}

/// The first number: digits, a period and digits if there are any.
fn number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let start = bytes.iter().position(u8::is_ascii_digit)?;
    let mut end = start;
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    end = digits(end);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    let start = if start > 0 && bytes.get(start - 1) == Some(&b'-') { start - 1 } else { start };
    text.get(start..end)?.parse().ok()
}

fn yes_no(text: &str) -> Option<&'static str> {
    let text = text.trim().to_lowercase();
    let both = ["yes", "no"];
    let words = word_runs(&text);
    both.into_iter().find(|w| text.starts_with(w)).or_else(|| both.into_iter().find(|w| words.contains(w)))
}

fn normal_form(text: &str) -> String {
    let kept: String = text
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-') || c.is_whitespace())
        .collect();
    let mut out = String::new();
    for c in kept.chars() {
        match c.is_whitespace() {
            false => out.push(c),
            true if out.ends_with(' ') => {}
            true => out.push(' '),
        }
    }
    out
}

fn letter(reply: &str) -> Option<(char, &'static str)> {
    let upper: Vec<char> = without_thoughts(reply).to_uppercase().chars().collect();
    let known = |c: char| ('A'..='D').contains(&c);
    if let Some(first) = upper.first().copied().filter(|c| known(*c)) {
        return Some((first, "the first character"));
    }
    let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let alone = |i: usize| !word(i.checked_sub(1).and_then(|b| upper.get(b))) && !word(upper.get(i + 1));
    upper
        .iter()
        .enumerate()
        .find(|(i, c)| known(**c) && alone(*i))
        .map(|(_, c)| (*c, "the first letter alone"))
}

/// Free-form verdicts by kind of answer.
fn free_form(kind: Kind, gold: &str, reply: &str) -> HarnessVerdict {
    let said = without_thoughts(reply);
    match kind {
        Kind::Numeric => {
            let Some(wanted) = number(gold) else {
                return HarnessVerdict::not_applicable("the reference holds no number");
            };
            const WITHIN: [(&str, f64); 4] =
                [("tol_5%", 0.05), ("tol_10%", 0.10), ("tol_20%", 0.20), ("tol_50%", 0.50)];
            let Some(given) = number(&said) else {
                return WITHIN
                    .into_iter()
                    .fold(HarnessVerdict::unparsed("no number"), |j, (name, _)| j.with(name, 0.0));
            };
            let error = match wanted == 0.0 {
                true if given == 0.0 => 0.0,
                true => f64::INFINITY,
                false => (given - wanted).abs() / wanted.abs(),
            };
            let mut judged = HarnessVerdict::new(false, given.to_string(), "1 - relative error");
            judged.verdict = Score::Value((1.0 - error).max(0.0));
            WITHIN
                .into_iter()
                .fold(judged, |j, (name, most)| j.with(name, f64::from(u8::from(error <= most))))
        }
        Kind::Binary => {
            let (wanted, given) = (yes_no(gold), yes_no(&said));
            let judged = match given {
                Some(given) => HarnessVerdict::new(wanted == Some(given), given, "yes or no"),
                None => HarnessVerdict::unparsed("neither yes nor no"),
            };
            // An unread answer counts as no.
            match wanted {
                Some("yes") => judged.with("sensitivity", f64::from(u8::from(given == Some("yes")))),
                Some("no") => judged.with("specificity", f64::from(u8::from(given != Some("yes")))),
                _ => judged,
            }
        }
        Kind::Categorical => {
            let (wanted, given) = (normal_form(gold), normal_form(&said));
            let part = !wanted.is_empty()
                && !given.is_empty()
                && (given.contains(&wanted) || wanted.contains(&given));
            let right = wanted == given;
            HarnessVerdict::new(right, given, "equal without punctuation")
                .with("partial", f64::from(u8::from(right || part)))
        }
    }
}

impl HarnessProfile for DeepTumorVqa {
    fn name(&self) -> &'static str {
        self.name
    }

    fn harness(&self) -> &'static str {
        "Schuture/DeepTumorVQA"
    }

    fn commit(&self) -> &'static str {
        "1df7460db6b95a4fc550bf34d75571057e1d4c4b"
    }

    fn sets(&self) -> &'static [&'static str] {
        &["deeptumorvqa"]
    }

    fn quirks(&self) -> &'static [&'static str] {
        if self.free_form {
            &[
                "an answer without yes or no counts as no for the specificity, but not for the accuracy",
                "numbers: the first in the text, so \"T1 lesion of 12 mm\" is 1",
                "accuracies are rounded to four decimals by subtype and then averaged",
            ]
        } else {
            &[
                "only A to D are known",
                "a reply that begins with one of these letters is that letter: \"Based on\" is B, \"CT shows\" is C",
                "the reply is upper-cased first, so the article \"a\" is option A",
                "accuracies are rounded to four decimals by subtype and then averaged",
            ]
        }
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let subtype = sample.tag("question_subtype").unwrap_or("unknown");
        let judged = if self.free_form {
            let Some(gold) = gold_text(sample) else {
                return HarnessVerdict::not_applicable("no reference text");
            };
            free_form(kind(subtype), gold, reply)
        } else {
            let Some(gold) = super::harness::gold_letter(sample) else {
                return super::harness::no_choice(sample);
            };
            match letter(reply) {
                Some((letter, rule)) => HarnessVerdict::new(letter == gold, letter, rule),
                None => HarnessVerdict::unparsed("no letter"),
            }
        };
        let super_type = sample.tag("question_type").unwrap_or("unknown");
        if matches!(judged.verdict, Score::Unscored(_)) {
            return judged;
        }
        judged.also(format!("subtype {super_type}/{subtype}"))
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        let mut by_super: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        let (mut total, mut n, mut subtypes) = (0.0, 0, Vec::new());
        for path in sums.under("subtype ") {
            let name = format!("subtype {path}");
            let (accuracy, rows) = (round(sums.mean(&name), 4), sums.n(&name));
            let (super_type, subtype) = path.split_once('/').unwrap_or(("unknown", path));
            let entry = by_super.entry(super_type).or_default();
            *entry = (entry.0 + accuracy * rows as f64, entry.1 + rows);
            total += accuracy * rows as f64;
            n += rows;
            subtypes.push(HarnessFigure::new(subtype, accuracy, rows));
        }
        let mut out = vec![HarnessFigure::new("overall", round(total / n.max(1) as f64, 4), n)];
        out.extend(
            by_super
                .into_iter()
                .map(|(s, (sum, n))| HarnessFigure::new(s, round(sum / n.max(1) as f64, 4), n)),
        );
        out.extend(subtypes);
        for name in ["tol_5%", "tol_10%", "tol_20%", "tol_50%", "sensitivity", "specificity", "partial"] {
            if sums.n(name) > 0 {
                out.push(HarnessFigure::new(name, round(sums.mean(name), 4), sums.n(name)));
            }
        }
        out
    }
}
