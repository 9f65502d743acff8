//! lmms-eval: the SLAKE task (`tasks/slake/utils.py`) and the MMMU parser
//! (`tasks/_task_utils/mmmu_mcq_utils.py`).

use super::mmmu::{Letters, judge_choice};
use super::parts::{self, gold_text};
use super::{Figure, Judged, Profile, Row};
use loupe_core::Sample;
use regex::Regex;
use std::sync::LazyLock;

const HARNESS: &str = "EvolvingLMMs-Lab/lmms-eval";
const COMMIT: &str = "75571cfe0fa36ca5ec2e6aa2bb268f9d38295af3";

/// The rule sets of this harness.
pub static PROFILES: &[&dyn Profile] = &[&Slake, &Mmmu];

#[derive(Debug, Clone, Copy)]
struct Slake;

#[derive(Debug, Clone, Copy)]
struct Mmmu;

/// Full-width marks that count as punctuation beside the ASCII ones.
const WIDE_MARKS: &str = "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～、《》？【】";

/// The normal form of an answer in either language.
pub fn normal_form(answer: &str) -> String {
    static BRACKETS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\([^)]*\)|（[^）]*）").ok());
    let lower = answer.trim().to_lowercase();
    let open = match BRACKETS.as_ref() {
        Some(rule) => rule.replace_all(&lower, " "),
        None => lower.as_str().into(),
    };
    let spaced: String = open.chars().map(|c| if c.is_ascii_punctuation() || WIDE_MARKS.contains(c) { ' ' } else { c }).collect();
    let words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.as_str() {
        "x ray" | "xray" => "xray",
        "yes" | "yeah" | "yep" | "true" | "是" | "是的" | "有" | "包含" | "可以" | "能" | "会" | "正常" => "yes",
        "no" | "nope" | "false" | "否" | "不是" | "没有" | "无" | "不包含" | "不能" | "不会" | "不可以" | "不正常" | "异常" => "no",
        other => other,
    }
    .to_owned()
}

impl Profile for Slake {
    fn name(&self) -> &'static str {
        "lmms-eval-slake"
    }

    fn harness(&self) -> &'static str {
        HARNESS
    }

    fn commit(&self) -> &'static str {
        COMMIT
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "the whole reply must equal the reference after normalising; \"The answer is X.\" is wrong",
            "words in round brackets are dropped",
            "Chinese yes and no words are folded together with the English ones, so \"no\" answers 不是",
            "正常 (normal) is a yes and 异常 (abnormal) a no",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> Judged {
        let Some(gold) = gold_text(sample) else { return Judged::not_applicable("no reference text") };
        let said = normal_form(reply);
        Judged::new(said == normal_form(gold), said, "equal after normalising")
    }

    fn aggregate(&self, rows: &[Row]) -> Vec<Figure> {
        let mut out = vec![parts::mean("slake_accuracy", rows.iter())];
        for (tag, values) in [
            ("answer_type", &["open", "closed"][..]),
            ("modality", &["ct", "mri", "x-ray"]),
            ("content_type", &["abnormality", "color", "kg", "modality", "organ", "plane", "position", "quantity", "shape", "size"]),
        ] {
            for value in values {
                let of = rows.iter().filter(|r| r.sample.tag(tag).is_some_and(|t| t.trim().to_lowercase() == *value));
                let figure = parts::mean(format!("slake_{}_accuracy", value.replace('-', "")), of);
                // An empty subgroup prints 0 there.
                out.push(if figure.n == 0 { Figure::new(figure.name, 0.0, 0) } else { figure });
            }
        }
        out
    }
}

impl Profile for Mmmu {
    fn name(&self) -> &'static str {
        "lmms-eval-mmmu"
    }

    fn harness(&self) -> &'static str {
        HARNESS
    }

    fn commit(&self) -> &'static str {
        COMMIT
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "a reply without an option is an unseeded random choice",
            "any option letter before a space counts, also at the end of a word; then any before a period",
            "\\boxed{} and <answer> are not understood",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> Judged {
        judge_choice(sample, reply, Letters::Trailing)
    }
}
