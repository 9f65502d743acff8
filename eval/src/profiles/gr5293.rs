//! The evaluation of the GR5293 study of parameter-efficient tuning on VQA-RAD
//! (`src/evaluation/metrics.py`, `statistical_tests.py`).

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict, VERDICT};
use super::parts::gold_text;
use crate::metrics::rouge;
use crate::metrics::words::{counts, f1, overlap, share};
use crate::profile::{Gather, Judgement};
use crate::stats::bootstrap;
use loupe_core::Sample;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&Gr5293];

#[derive(Debug, Clone, Copy)]
struct Gr5293;

/// Lower case without ASCII punctuation; a space left at the end by a mark stays.
fn normal_form(text: &str) -> String {
    let kept: String = text.to_lowercase().trim().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let mut out = String::with_capacity(kept.len());
    for c in kept.chars() {
        if !c.is_whitespace() {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

impl HarnessProfile for Gr5293 {
    fn name(&self) -> &'static str {
        "gr5293"
    }

    fn harness(&self) -> &'static str {
        "qiujunzhang03-7/GR5293-peft-medical-vqa"
    }

    fn commit(&self) -> &'static str {
        "b924dacb3c864b4bf5a92a4e11c93b971cbeb7cf"
    }

    fn sets(&self) -> &'static [&'static str] {
        &["vqa-rad"]
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "closed is the set's own field, there: reference yes or no",
            "overall exact match counts open answers by equality too",
            "BLEU-1 by pair with a brevity penalty also for equal lengths (which is 1)",
            "a space before a final mark stays, so \"yes .\" differs from \"yes\"",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = gold_text(sample) else {
            return HarnessVerdict::not_applicable("no reference text");
        };
        let (gold, said) = (normal_form(gold), normal_form(reply));
        let judged = HarnessVerdict::new(gold == said, said.as_str(), "equal without punctuation");
        let closed = match sample.tag("qtype") {
            Some(kind) => kind == "closed",
            None => matches!(gold.trim(), "yes" | "no"),
        };
        if closed {
            return judged.also("closed");
        }
        let (wanted, words): (Vec<&str>, Vec<&str>) =
            (gold.split_whitespace().collect(), said.split_whitespace().collect());
        let same = overlap(&counts(wanted.iter()), &counts(words.iter()));
        let (precision, recall) = (share(same, words.len()), share(same, wanted.len()));
        let brevity = if words.len() > wanted.len() {
            1.0
        } else {
            (1.0 - wanted.len() as f64 / words.len().max(1) as f64).exp()
        };
        let both_empty = wanted.is_empty() && words.is_empty();
        let rouge_l = rouge::rouge_l(&rouge::tokens(&gold, false), &rouge::tokens(&said, false));
        judged
            .with("bleu1", if wanted.is_empty() || words.is_empty() { 0.0 } else { brevity * precision })
            .with("rougeL", rouge_l)
            .with("f1", if both_empty { 1.0 } else { f1(precision, recall) })
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        vec![
            sums.figure(VERDICT, "overall.exact_match"),
            sums.figure("closed", "closed.exact_match"),
            sums.figure("bleu1", "open.bleu1"),
            sums.figure("rougeL", "open.rougeL"),
            sums.figure("f1", "open.f1"),
        ]
    }
    fn gather(&self) -> Option<Box<dyn Gather>> {
        Some(Box::new(Closed::default()))
    }
}

/// The closed verdicts in order, for the study's bootstrap (`default_rng(42)`, 10 000 resamples).
#[derive(Default)]
struct Closed(Vec<f64>);

impl Gather for Closed {
    fn add(&mut self, _: &Sample, _: &str, judgement: &Judgement) {
        self.0.extend(judgement.value("closed"));
    }

    fn figures(self: Box<Self>) -> Vec<(String, f64)> {
        let interval = bootstrap::rows(&self.0, 10_000, 42, 0.95).map(|b| b.interval);
        interval.map_or_else(Vec::new, |i| {
            vec![("closed.ci95.lower".to_owned(), i.lo), ("closed.ci95.upper".to_owned(), i.hi)]
        })
    }
}
