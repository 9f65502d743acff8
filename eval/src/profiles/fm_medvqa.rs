//! The quantitative script of FM_MedVQA (`EVALUATION/quantitative_metrics/eval.py`), which is
//! LLaVA-Med's with another rule for closed questions.

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict};
use super::llava_med::{judge_open, open_figures};
use super::parts::{gold_text, is_closed, is_open};
use crate::metrics::vqa_normal::normalise;
use loupe_core::Sample;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&FmMedVqa];

#[derive(Debug, Clone, Copy)]
struct FmMedVqa;

impl HarnessProfile for FmMedVqa {
    fn name(&self) -> &'static str {
        "fm-medvqa"
    }

    fn harness(&self) -> &'static str {
        "momot12/FM_MedVQA"
    }

    fn commit(&self) -> &'static str {
        "5cc8f27b22827e00ea77fa1b793f600245a2f4cb"
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "closed: the reference as a substring of a reply with \"yes\" or \"no\" anywhere, so \"normal\" answers no",
            "a closed answer that is neither yes nor no is wrong unless the reply happens to contain yes or no as well",
            "open columns as in llava-med",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = gold_text(sample) else {
            return HarnessVerdict::not_applicable("no reference text");
        };
        let (gold, said) = (normalise(&gold.to_lowercase()), normalise(&reply.to_lowercase()));
        if is_closed(sample) {
            let right = (said.contains("yes") || said.contains("no")) && said.contains(&gold);
            return HarnessVerdict::new(right, said, "closed: substrings").also("closed");
        }
        if !is_open(sample) {
            return HarnessVerdict::not_applicable("neither OPEN nor CLOSED by answer_type");
        }
        judge_open(&gold, &said)
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        let mut out = open_figures(sums);
        out.push(HarnessFigure::new("yes/no accuracy", sums.mean("closed"), sums.n("closed")));
        out
    }
}
