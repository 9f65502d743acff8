//! MedQ-Bench's multiple-choice part, in VLMEvalKit (`vlmeval/dataset/medqbench_mcq.py`).

use super::parts::{self, mean};
use super::{Figure, Judged, Profile, Row};
use loupe_core::Sample;
use std::iter::once;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn Profile] = &[&MedQBench];

#[derive(Debug, Clone, Copy)]
struct MedQBench;

impl Profile for MedQBench {
    fn name(&self) -> &'static str {
        "medq-bench"
    }

    fn harness(&self) -> &'static str {
        "open-compass/VLMEvalKit, MedqbenchMCQ"
    }

    fn commit(&self) -> &'static str {
        "e8e78f05f3080fe28154f2130321f17951c3be94"
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "the reply is upper-cased first, so the article \"a\" is option A",
            "the pattern for \"answer is X\" is in lower case and never matches the upper-cased reply",
            "only A to D are known",
            "a reply without a letter is compared as a whole",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> Judged {
        let Some(gold) = super::gold_letter(sample) else { return Judged::not_applicable("not a multiple-choice question") };
        let upper: Vec<char> = reply.trim().to_uppercase().chars().collect();
        let known = |c: char| ('A'..='D').contains(&c);
        let other = |c: Option<&char>| c.is_none_or(|c| !c.is_ascii_uppercase());
        let verdict = |letter: char, rule| Judged::new(letter == gold.to_ascii_uppercase(), letter, rule);
        match upper[..] {
            [c] if known(c) => return verdict(c, "the letter"),
            [c, next, ..] if known(c) && (matches!(next, '.' | ')') || next.is_whitespace()) => {
                return verdict(c, "the letter first");
            }
            [c, ref rest @ ..] if known(c) && matches!(rest.iter().find(|n| !n.is_whitespace()), Some('-' | ':')) => {
                return verdict(c, "the letter before a dash or colon");
            }
            _ => {}
        }
        let alone = upper.iter().enumerate().find(|(i, c)| {
            known(**c) && other(i.checked_sub(1).and_then(|b| upper.get(b))) && other(upper.get(i + 1))
        });
        match alone {
            Some((_, letter)) => verdict(*letter, "the first letter alone"),
            None => Judged { extracted: None, ..Judged::new(upper == [gold.to_ascii_uppercase()], "", "no letter") },
        }
    }

    fn aggregate(&self, rows: &[Row]) -> Vec<Figure> {
        once(mean("overall_accuracy", rows.iter())).chain(parts::by_tag(rows, "modality", |m| format!("{m}_accuracy"))).collect()
    }
}
