//! The evaluation of an InternVL2 study on VQA-RAD (`scripts/vqa_common.py`).

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict};
use super::parts::gold_text;
use crate::metrics::words::{f1, lcs_len, share};
use loupe_core::Sample;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&InternVl2];

#[derive(Debug, Clone, Copy)]
struct InternVl2;

/// Answers that count as the same in the relaxed match.
const SYNONYMS: [&[&str]; 18] = [
    &["axial", "axial plane"],
    &["brain", "the brain"],
    &["4th ventricle", "fourth ventricle", "4 ventricle"],
    &["csf", "cerebrospinal fluid"],
    &["x ray", "xray", "chest x ray", "cxr"],
    &["mri", "mri flair", "flair", "mri-flair"],
    &["left", "left side"],
    &["right", "right side"],
    &["posterior", "posteriorly"],
    &["anterior", "anteriorly"],
    &["non contrast", "noncontrast", "non contrast ct"],
    &["contrast", "with contrast", "contrast ct"],
    &["ct", "ct scan"],
    &["hypodense", "hypodense lesion"],
    &["hyperdense", "hyperdense lesion"],
    &["enlarged", "enlargement"],
    &["pleural effusion", "effusion"],
    &["cardiomegaly", "enlarged heart"],
];

/// Lower case; marks other than "?" become spaces.
fn normal_form(text: &str) -> String {
    let lower = text.to_lowercase();
    let open: String = lower
        .trim()
        .replace(" ?", "?")
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '_' || c == '?' { c } else { ' ' })
        .collect();
    open.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Is the question closed? By the shape of question and answer, not by the set's field.
fn is_closed(question: &str, gold: &str) -> bool {
    const STARTS: [&str; 12] =
        ["is ", "are ", "was ", "were ", "does ", "do ", "can ", "could ", "has ", "have ", "will ", "did "];
    let (question, words) = (normal_form(question), gold.split_whitespace().count());
    words <= 2 || (words <= 4 && STARTS.iter().any(|s| question.starts_with(s)))
}

fn exact(gold: &str, said: &str) -> bool {
    let yes_no = |text: &str| ["yes", "no"].into_iter().find(|w| text.starts_with(w));
    gold == said || (matches!(gold, "yes" | "no") && yes_no(said) == Some(gold))
}

fn relaxed(gold: &str, said: &str) -> bool {
    if exact(gold, said) {
        return true;
    }
    if matches!(gold, "yes" | "no") || gold.is_empty() || said.is_empty() {
        return false;
    }
    // Two answers of one group; an answer in two groups belongs to the later.
    let group = |text: &str| SYNONYMS.iter().rposition(|g| g.contains(&text));
    if group(gold).is_some() && group(gold) == group(said) {
        return true;
    }
    let (short, long) =
        if said.chars().count() <= gold.chars().count() { (said, gold) } else { (gold, said) };
    short.chars().count() >= 3 && format!(" {long} ").contains(&format!(" {short} "))
}

impl HarnessProfile for InternVl2 {
    fn name(&self) -> &'static str {
        "internvl2-vqarad"
    }

    fn harness(&self) -> &'static str {
        "sigeludan/Medical-VQA"
    }

    fn commit(&self) -> &'static str {
        "2cc26a93a9b5b6a6ccd061e8008388e4276154f2"
    }

    fn sets(&self) -> &'static [&'static str] {
        &["vqa-rad"]
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "closed is guessed from the length of the answer: 374 of 450 test rows instead of 251 or 272",
            "a reply that starts with \"no\" answers no, \"normal\" and \"not seen\" included",
            "BLEU-1 does not clip: a repeated word counts every time",
            "e is 2.718281828 in the brevity penalty",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = gold_text(sample) else {
            return HarnessVerdict::not_applicable("no reference text");
        };
        let (gold, said) = (normal_form(gold), normal_form(reply));
        let judged = HarnessVerdict::new(exact(&gold, &said), said.as_str(), "equal, or yes/no at the start");
        let closed = match sample.tag("qtype") {
            Some(kind) => kind == "closed",
            None => is_closed(&sample.question, &gold),
        };
        if closed {
            return judged.also("closed").with("relaxed", f64::from(u8::from(relaxed(&gold, &said))));
        }
        let (wanted, words): (Vec<&str>, Vec<&str>) =
            (gold.split_whitespace().collect(), said.split_whitespace().collect());
        if wanted.is_empty() || words.is_empty() {
            let same = f64::from(u8::from(wanted == words));
            return judged.with("bleu1", same).with("rougeL", same);
        }
        let found = words.iter().filter(|w| wanted.contains(w)).count();
        let brevity = if words.len() > wanted.len() {
            1.0
        } else {
            #[allow(clippy::approx_constant)] // the constant of the original
            2.718_281_828_f64.powf(1.0 - wanted.len() as f64 / words.len() as f64)
        };
        let lcs = lcs_len(&words, &wanted);
        judged
            .with("bleu1", brevity * share(found, words.len()))
            .with("rougeL", f1(share(lcs, words.len()), share(lcs, wanted.len())))
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        vec![
            sums.figure("closed", "closed_exact_match"),
            sums.figure("relaxed", "closed_relaxed_match"),
            sums.figure("bleu1", "open_bleu1"),
            sums.figure("rougeL", "open_rouge_l"),
        ]
    }
}
