//! MedQ-Bench's multiple-choice part, in VLMEvalKit (`vlmeval/dataset/medqbench_mcq.py`).

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict, VERDICT};
use loupe_core::Sample;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&MedQBench];

#[derive(Debug, Clone, Copy)]
struct MedQBench;

impl HarnessProfile for MedQBench {
    fn name(&self) -> &'static str {
        "medq-bench"
    }

    fn harness(&self) -> &'static str {
        "open-compass/VLMEvalKit, MedqbenchMCQ"
    }

    fn commit(&self) -> &'static str {
        "e8e78f05f3080fe28154f2130321f17951c3be94"
    }

    fn sets(&self) -> &'static [&'static str] {
        &["medq-bench"]
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "the reply is upper-cased first, so the article \"a\" is option A",
            "the pattern for \"answer is X\" is in lower case and never matches the upper-cased reply",
            "only A to D are known",
            "a reply without a letter is compared as a whole",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = super::harness::gold_letter(sample) else {
            return super::harness::no_choice(sample);
        };
        let upper: Vec<char> = reply.trim().to_uppercase().chars().collect();
        let gold = gold.to_ascii_uppercase();
        let judged = match letter(&upper) {
            Some((letter, rule)) => HarnessVerdict::new(letter == gold, letter, rule),
            None => HarnessVerdict {
                extracted: None,
                ..HarnessVerdict::new(upper == [gold], "", "no letter: the whole reply")
            },
        };
        match sample.tag("modality") {
            Some(modality) => judged.also(format!("{modality}_accuracy")),
            None => judged,
        }
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        let mut out = vec![sums.figure(VERDICT, "overall_accuracy")];
        out.extend(sums.under("").filter(|n| n.ends_with("_accuracy")).map(|n| sums.figure(n, n)));
        out
    }
}

/// `_extract_option_letter` of an upper-cased reply.
fn letter(upper: &[char]) -> Option<(char, &'static str)> {
    let known = |c: char| ('A'..='D').contains(&c);
    let other = |c: Option<&char>| c.is_none_or(|c| !c.is_ascii_uppercase());
    match upper {
        [c] if known(*c) => return Some((*c, "the letter")),
        [c, next, ..] if known(*c) && (matches!(next, '.' | ')') || next.is_whitespace()) => {
            return Some((*c, "the letter first"));
        }
        [c, rest @ ..]
            if known(*c) && matches!(rest.iter().find(|n| !n.is_whitespace()), Some('-' | ':')) =>
        {
            return Some((*c, "the letter before a dash or colon"));
        }
        _ => {}
    }
    let alone = |i: usize| other(i.checked_sub(1).and_then(|b| upper.get(b))) && other(upper.get(i + 1));
    upper
        .iter()
        .enumerate()
        .find(|(i, c)| known(**c) && alone(*i))
        .map(|(_, c)| (*c, "the first letter alone"))
}
