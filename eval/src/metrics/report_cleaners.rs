//! The clean-up functions that published report scores went through, step by step as they are published.

use regex::Regex;
use std::sync::LazyLock;

/// `clean_report_iu_xray` of R2Gen (cuhksz-nlp/R2Gen, modules/tokenizers.py), and the first 59 words, as its data loader cuts.
pub(super) fn r2gen_iu(report: &str) -> String {
    // The dash between `:` and `[` is a range there: it takes the capitals, which are gone by then, and `;<=>?@`.
    static MARKS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[.,?;*!%^&_+():-\[\]{}]").ok());
    let mut text = report.to_owned();
    for _ in 0..3 {
        text = text.replace("..", ".");
    }
    cut(&sentences(&numbers(&text), &MARKS), 59)
}

/// `clean_report_mimic_cxr` of R2Gen, and the first 99 words.
pub(super) fn r2gen_mimic(report: &str) -> String {
    static MARKS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[.,?;*!%^&_+()\[\]{}]").ok());
    let mut text = report.replace('\n', " ");
    for _ in 0..7 {
        text = text.replace("__", "_");
    }
    for _ in 0..6 {
        text = text.replace("  ", " ");
    }
    for _ in 0..8 {
        text = text.replace("..", ".");
    }
    cut(&sentences(&numbers(&text), &MARKS), 99)
}

/// `prep_reports` of CXR-Report-Metric (rajpurkarlab/CXR-Report-Metric 9c9ecad): lower case, full stops apart, split at spaces.
pub(super) fn cxr_report_metric(report: &str) -> String {
    let spaced = report.to_lowercase().replace('.', " .");
    spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The numbers of a list, as both functions take them away.
fn numbers(text: &str) -> String {
    let mut text = text.replace("1. ", "");
    for from in [". 2. ", ". 3. ", ". 4. ", ". 5. ", " 2. ", " 3. ", " 4. ", " 5. "] {
        text = text.replace(from, ". ");
    }
    text
}

fn sentences(text: &str, marks: &LazyLock<Option<Regex>>) -> String {
    let clean = |sentence: &str| {
        let bare = sentence.replace(['"', '/', '\\', '\''], "").trim().to_lowercase();
        marks.as_ref().map_or(bare.clone(), |marks| marks.replace_all(&bare, "").into_owned())
    };
    let lower = text.trim().to_lowercase();
    // The published filter compares a string with an empty list and so keeps every sentence.
    let all: Vec<String> = lower.split(". ").map(clean).collect();
    format!("{} .", all.join(" . "))
}

fn cut(text: &str, words: usize) -> String {
    text.split_whitespace().take(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected texts were computed with the published Python functions.
    #[test]
    fn texts_come_out_as_published() {
        let report = "1. The heart is NORMAL in size. 2. No  effusion/pneumothorax.. Lungs: clear (well-expanded).\nXXXX 3.5 cm.";
        assert_eq!(
            r2gen_iu(report),
            "the heart is normal in size . no effusionpneumothorax . lungs clear well-expanded xxxx 35 cm ."
        );
        assert_eq!(
            r2gen_mimic("1. The heart is NORMAL.\n2. No effusion ___ seen... Lungs: clear."),
            "the heart is normal . no effusion seen . lungs: clear ."
        );
        assert_eq!(cxr_report_metric("Clear. No  effusion."), "clear . no effusion .");
        assert_eq!(r2gen_iu(&"word ".repeat(100)).split(' ').count(), 59);
    }
}
