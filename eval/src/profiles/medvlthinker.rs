//! MedVLThinker: the inference script's own grading (`eval/run_offline_inference_v2.py`) and the
//! regrading (`analysis/regrade_eval_results.py`) behind the paper's tables.

use super::harness::{HarnessProfile, HarnessVerdict};
use super::parts::{gold_choice, gold_text};
use loupe_core::Sample;
use regex::Regex;
use std::sync::LazyLock;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[
    &MedVlThinker { name: "medvlthinker", rules: Rules::Inference },
    &MedVlThinker { name: "medvlthinker-regrade", rules: Rules::Regrade },
    &MedVlThinker { name: "medvlthinker-regrade-llava-med", rules: Rules::RegradeLoose },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    Inference,
    Regrade,
    /// With the flag for models that do not follow the format.
    RegradeLoose,
}

#[derive(Debug, Clone, Copy)]
struct MedVlThinker {
    name: &'static str,
    rules: Rules,
}

static TAGS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?s)<answer>(.*?)</answer>").ok());

/// The inside of the first pair of tags, or everything.
fn extract(reply: &str) -> (String, &'static str) {
    match TAGS.as_ref().and_then(|r| r.captures(reply)).and_then(|c| c.get(1)) {
        Some(inside) => (inside.as_str().trim().to_owned(), "<answer>"),
        None => (reply.trim().to_owned(), "the whole reply"),
    }
}

/// The first line in the last pair of tags, else what follows the last of some announcements.
fn extract_again(reply: &str) -> (String, &'static str) {
    static SAYS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"(?i)answer:\s*(.*)\s*", "answer:"),
            (r"(?i)answer is:\s*(.*)\s*", "answer is:"),
            (r"(?i)answer is\s*(.*)\s*", "answer is"),
            (r"(?i)is:\s*(.*)\s*", "is:"),
        ]
        .into_iter()
        .filter_map(|(pattern, rule)| Some((Regex::new(pattern).ok()?, rule)))
        .collect()
    });
    let last = |rule: &Regex| {
        rule.captures_iter(reply).last().and_then(|c| c.get(1)).map(|m| m.as_str().trim().to_owned())
    };
    let (text, rule) = if let Some(inside) = TAGS.as_ref().and_then(last) {
        let line = inside.split(['\n', '\r']).find(|l| !l.is_empty()).unwrap_or(&inside).trim().to_owned();
        (line, "<answer>, first line")
    } else {
        SAYS.iter()
            .find_map(|(rule, name)| last(rule).map(|t| (t, *name)))
            .unwrap_or_else(|| (reply.trim().to_owned(), "the whole reply"))
    };
    let bare =
        ["<think>", "</think>", "<answer>", "</answer>"].iter().fold(text, |t, tag| t.replace(tag, ""));
    (bare.trim().to_owned(), rule)
}

impl HarnessProfile for MedVlThinker {
    fn name(&self) -> &'static str {
        self.name
    }

    fn harness(&self) -> &'static str {
        "UCSC-VLAA/MedVLThinker"
    }

    fn commit(&self) -> &'static str {
        "a3163b1663b21cb300e93850c397917c3a4be612"
    }

    fn quirks(&self) -> &'static [&'static str] {
        match self.rules {
            Rules::Inference => &[
                "the answer must be the letter, \"X. words\" or the words alone; \"B.\" and \"(B)\" are wrong",
                "\"A\" is right for an option whose words are \"A\", whatever its letter",
                "the first <answer> counts",
            ],
            Rules::Regrade => &[
                "as medvlthinker, but the last <answer> and its first line, or what follows \"answer:\"",
                "\"The correct answer is B.\" keeps its period and is wrong",
            ],
            Rules::RegradeLoose => &["a reply that contains the words of the right option anywhere is right"],
        }
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = gold_choice(sample).or_else(|| gold_text(sample)).map(|g| g.trim().to_lowercase())
        else {
            return HarnessVerdict::not_applicable("no reference text");
        };
        let (said, rule) = if self.rules == Rules::Inference { extract(reply) } else { extract_again(reply) };
        let lower = said.trim().to_lowercase();
        if self.rules == Rules::RegradeLoose && lower.contains(&gold) {
            return HarnessVerdict::new(true, said, "the words occur");
        }
        let labelled = super::harness::gold_letter(sample).is_some_and(|letter| {
            let letter = letter.to_lowercase().to_string();
            lower == letter || lower == format!("{letter}. {gold}")
        });
        HarnessVerdict::new(labelled || lower == gold, said, rule)
    }
}
