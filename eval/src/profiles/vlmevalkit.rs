//! VLMEvalKit's multiple-choice matching without a judge (`vlmeval/utils/matching_util.py`,
//! "exact_matching").

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict, VERDICT};
use loupe_core::Sample;
use regex::Regex;
use std::sync::LazyLock;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[
    &Exact { name: "vlmevalkit-exact", verbose: false },
    &Exact { name: "vlmevalkit-exact-verbose", verbose: true },
];

/// With `verbose`, as if the environment variable VERBOSE were set.
#[derive(Debug, Clone, Copy)]
struct Exact {
    name: &'static str,
    verbose: bool,
}

/// Replies taken for a refusal.
const REFUSALS: [&str; 4] = [
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
];

impl Exact {
    /// `can_infer_option`: a letter, `Z` for a refusal, or nothing.
    fn option(self, sample: &Sample, reply: &str) -> Option<(char, &'static str)> {
        static SAYS: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"(?i)(?:correct\s+)?answer\s+is\s+\**([ABCD])\**").ok());
        if reply.contains("Failed to obtain answer via API") {
            return None;
        }
        if REFUSALS.iter().any(|r| reply.contains(r)) {
            return Some(('Z', "a refusal"));
        }
        let open: String = reply.chars().map(|c| if ".()[],:;!*#{}".contains(c) { ' ' } else { c }).collect();
        let words: Vec<&str> = open.split_whitespace().collect();
        let place = |letter: char| words.iter().position(|w| w.chars().eq([letter]));
        let found: Vec<(char, usize)> =
            sample.choices.iter().filter_map(|c| place(c.letter).map(|at| (c.letter, at))).collect();
        if let [(letter, at)] = found[..] {
            if self.verbose && words.len() > 3 && place('A').is_some() {
                return None;
            }
            // Only among the last five words.
            if at as i64 > words.len() as i64 - 5 {
                return Some((letter, "the only letter, near the end"));
            }
        } else if found.is_empty() && place('Z').is_some() {
            return Some(('Z', "a refusal"));
        }
        let said = SAYS.as_ref()?.captures(reply)?.get(1)?.as_str().to_uppercase().chars().next()?;
        sample.choices.iter().any(|c| c.letter == said).then_some((said, "\"answer is\" and a letter"))
    }
}

impl Exact {
    /// `can_infer`: a letter by itself, else the words of exactly one option.
    fn read(self, sample: &Sample, reply: &str) -> Option<(char, &'static str)> {
        if let Some(found) = self.option(sample, reply) {
            return Some(found);
        }
        let lower = reply.to_lowercase();
        let all: usize = sample.choices.iter().map(|c| c.text.chars().count()).sum();
        if lower.chars().count() > 2 * all {
            return None;
        }
        let said: Vec<char> = sample
            .choices
            .iter()
            .filter(|c| lower.contains(&c.text.to_lowercase()))
            .map(|c| c.letter)
            .collect();
        if let [letter] = said[..] { Some((letter, "the words of one option")) } else { None }
    }
}

impl HarnessProfile for Exact {
    fn name(&self) -> &'static str {
        self.name
    }

    fn harness(&self) -> &'static str {
        "open-compass/VLMEvalKit"
    }

    fn commit(&self) -> &'static str {
        "e8e78f05f3080fe28154f2130321f17951c3be94"
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "exactly one option letter may occur as a word, within the last five words",
            "\"answer is X\" is only understood for A to D",
            "option words are looked for anywhere, in replies up to twice the length of all options",
            "the environment variable VERBOSE changes the result: an article \"A\" then spoils the letter (own profile)",
            "with a judge model an unread reply ends as an unseeded random choice; here it is Z, wrong",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = super::harness::gold_letter(sample) else {
            return super::harness::no_choice(sample);
        };
        let mut judged = match self.read(sample, reply) {
            Some((letter, rule)) => HarnessVerdict::new(letter == gold, letter, rule),
            None => HarnessVerdict::unparsed("Z: nothing matched"),
        };
        for tag in ["l2-category", "category"] {
            if let Some(value) = sample.tag(tag) {
                judged = judged.also(format!("{tag} {value}"));
            }
        }
        judged
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        let mut out = vec![sums.figure(VERDICT, "Overall")];
        for tag in ["l2-category ", "category "] {
            out.extend(sums.under(tag).map(|value| sums.figure(&format!("{tag}{value}"), value)));
        }
        out
    }
}
