//! MedXpertQA's official evaluation (`eval/utils.py`, zero-shot).

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict, VERDICT};
use loupe_core::Sample;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&MedXpertQa];

#[derive(Debug, Clone, Copy)]
struct MedXpertQa;

/// Is there no word character on either side?
fn stands_alone(text: &str, at: usize, letter: char) -> bool {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let before = text.get(..at).and_then(|t| t.chars().next_back());
    let after = text.get(at + letter.len_utf8()..).and_then(|t| t.chars().next());
    !word(before) && !word(after)
}

impl HarnessProfile for MedXpertQa {
    fn name(&self) -> &'static str {
        "medxpertqa"
    }

    fn harness(&self) -> &'static str {
        "TsinghuaC3I/MedXpertQA"
    }

    fn commit(&self) -> &'static str {
        "f21247d3ccf3b14826ff2aa7fa06e1a46d64058c"
    }

    fn sets(&self) -> &'static [&'static str] {
        &["medxpertqa-mm"]
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "the first option letter that stands alone counts, so the \"A\" of a sentence or of \"option A is unlikely\" is the answer",
            "a lower-case letter is no answer",
            "behind the trigger sentence, else behind the first \" answer is \", up to the next one",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = super::harness::gold_letter(sample) else {
            return super::harness::no_choice(sample);
        };
        let last = sample.choices.len().saturating_sub(1).min(25) as u8;
        let letters: Vec<char> = (b'A'..=b'A' + last).map(char::from).collect();
        let trigger = format!("Therefore, among A through {}, the answer is", char::from(b'A' + last));
        let (cut, rule) = if let Some(tail) = reply.split(&trigger).nth(1) {
            (tail.trim(), "first letter behind the trigger")
        } else if let Some(tail) = reply.split(" answer is ").nth(1) {
            (tail.trim(), "first letter behind \"answer is\"")
        } else {
            (reply, "first letter")
        };
        let bare = ["I understand", "A through J", "A through E", "A through D"]
            .iter()
            .fold(cut.to_owned(), |t, p| t.replace(p, ""));
        let found = bare.char_indices().find(|(at, c)| letters.contains(c) && stands_alone(&bare, *at, *c));
        let judged = match found {
            Some((_, letter)) => HarnessVerdict::new(letter == gold, letter, rule),
            None => HarnessVerdict::unparsed("no letter"),
        };
        match sample.tag("question_type") {
            Some(kind) => judged.also(format!("question_type {kind}")),
            None => judged,
        }
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        let mut out = vec![sums.figure(VERDICT, "accuracy")];
        out.extend(
            sums.under("question_type ").map(|kind| sums.figure(&format!("question_type {kind}"), kind)),
        );
        out
    }
}
