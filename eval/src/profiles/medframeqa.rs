//! MedFrameQA's own evaluation (`src/eval_process.py`).

use super::harness::{HarnessProfile, HarnessVerdict};
use super::parts::{found_last, strip_each};
use loupe_core::{Sample, Score};
use regex::Regex;
use std::sync::LazyLock;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&MedFrameQa];

#[derive(Debug, Clone, Copy)]
struct MedFrameQa;

const EMPTY: &str = "left out of the denominator in the original";

impl HarnessProfile for MedFrameQa {
    fn name(&self) -> &'static str {
        "medframeqa"
    }

    fn harness(&self) -> &'static str {
        "haojinw0027/MedFrameQA"
    }

    fn commit(&self) -> &'static str {
        "e83fbe3b97a3297beebc997108469bd73b535d0d"
    }

    fn sets(&self) -> &'static [&'static str] {
        &["medframeqa"]
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "a lone letter is not understood; \"Answer:\", \\boxed{X}, (X) or X. is needed",
            "behind the marker the earliest character that is an option letter counts: \"Answer: The Cause is B\" is C",
            "the words of an option end at its first \". \"",
            "empty replies and items that raised are left out of the denominator",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        static BOXED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"boxed\{([A-Z])\}").ok());
        const MARKERS: [&str; 4] = ["Answer:", "Answer*", "Final Answer", "final answer"];
        let Some(gold) = super::harness::gold_letter(sample) else {
            return super::harness::no_choice(sample);
        };
        if reply.is_empty() {
            // No verdict: the row is not among the results that are counted.
            return HarnessVerdict {
                verdict: Score::Unscored(EMPTY.into()),
                ..HarnessVerdict::unparsed("empty reply")
            };
        }
        let is_choice = |c: &char| sample.choices.iter().any(|o| o.letter == *c);
        let verdict = |letter: char, rule| HarnessVerdict::new(letter == gold, letter, rule);
        let boxes = BOXED.as_ref().into_iter().flat_map(|r| r.captures_iter(reply));
        if let Some(letter) = boxes.filter_map(|c| c.get(1)?.as_str().chars().next()).find(is_choice) {
            return verdict(letter, "boxed{X}");
        }
        // The first marker of the list that occurs, at its last place.
        let tail = MARKERS.iter().find_map(|m| reply.rsplit_once(m).map(|(_, tail)| tail.trim()));
        if let Some(letter) = tail.and_then(|t| t.chars().find(is_choice)) {
            return verdict(letter, "the first option letter behind the marker");
        }
        let reply = format!(" {} ", strip_each(reply, &[',', '.', '!', '?', ';', ':', '\'']));
        let with = |form: &dyn Fn(char) -> String| -> Vec<(char, String)> {
            sample
                .choices
                .iter()
                .map(|c| (c.letter, form(c.letter)))
                .filter(|(_, s)| reply.contains(s))
                .collect()
        };
        if let Some(letter) = found_last(&reply, &with(&|c| format!("({c})"))) {
            return verdict(letter, "a letter in brackets");
        }
        if let Some(letter) = found_last(&reply, &with(&|c| format!("{c}."))) {
            return verdict(letter, "a letter and a period");
        }
        if reply.split_whitespace().count() > 5 {
            let lower = reply.to_lowercase();
            // The option is printed "A. words" and cut at ". " again.
            let words = |text: &str| text.split(". ").next().unwrap_or_default().to_lowercase();
            let said: Vec<(char, String)> = sample
                .choices
                .iter()
                .map(|c| (c.letter, words(&c.text)))
                .filter(|(_, t)| lower.contains(t))
                .collect();
            if let Some(letter) = found_last(&lower, &said) {
                return verdict(letter, "the words of an option");
            }
        }
        HarnessVerdict::unparsed("nothing found")
    }
}
