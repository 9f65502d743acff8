//! lmms-eval: the SLAKE task (`tasks/slake/utils.py`) and the MMMU parser
//! (`tasks/_task_utils/mmmu_mcq_utils.py`).

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict, VERDICT};
use super::mmmu::{Letters, judge_choice};
use super::parts::gold_text;
use loupe_core::Sample;
use regex::Regex;
use std::sync::LazyLock;

const HARNESS: &str = "EvolvingLMMs-Lab/lmms-eval";
const COMMIT: &str = "75571cfe0fa36ca5ec2e6aa2bb268f9d38295af3";

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&Slake, &Mmmu];

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
    let spaced: String = open
        .chars()
        .map(|c| if c.is_ascii_punctuation() || WIDE_MARKS.contains(c) { ' ' } else { c })
        .collect();
    let words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.as_str() {
        "x ray" | "xray" => "xray",
        "yes" | "yeah" | "yep" | "true" | "是" | "是的" | "有" | "包含" | "可以" | "能" | "会" | "正常" => {
            "yes"
        }
        "no" | "nope" | "false" | "否" | "不是" | "没有" | "无" | "不包含" | "不能" | "不会" | "不可以"
        | "不正常" | "异常" => "no",
        other => other,
    }
    .to_owned()
}

impl HarnessProfile for Slake {
    fn name(&self) -> &'static str {
        "lmms-eval-slake"
    }

    fn harness(&self) -> &'static str {
        HARNESS
    }

    fn commit(&self) -> &'static str {
        COMMIT
    }

    fn sets(&self) -> &'static [&'static str] {
        &["slake"]
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "the whole reply must equal the reference after normalising; \"The answer is X.\" is wrong",
            "words in round brackets are dropped",
            "Chinese yes and no words are folded together with the English ones, so \"no\" answers 不是",
            "正常 (normal) is a yes and 异常 (abnormal) a no",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        let Some(gold) = gold_text(sample) else {
            return HarnessVerdict::not_applicable("no reference text");
        };
        let said = normal_form(reply);
        let mut judged = HarnessVerdict::new(said == normal_form(gold), said, "equal after normalising");
        for (tag, values) in SUBGROUPS {
            let own = sample.tag(tag).unwrap_or_default().trim().to_lowercase();
            if let Some(value) = values.iter().find(|v| **v == own) {
                judged = judged.also(subgroup(value));
            }
        }
        judged
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        let mut out = vec![sums.figure(VERDICT, "slake_accuracy")];
        // An empty subgroup prints 0 there.
        out.extend(SUBGROUPS.iter().flat_map(|(_, values)| *values).map(|value| {
            let name = subgroup(value);
            HarnessFigure::new(name.as_str(), sums.mean(&name), sums.n(&name))
        }));
        out
    }
}

fn subgroup(value: &str) -> String {
    format!("slake_{}_accuracy", value.replace('-', ""))
}

/// Tags and values that have a figure of their own.
const SUBGROUPS: [(&str, &[&str]); 3] = [
    ("answer_type", &["open", "closed"]),
    ("modality", &["ct", "mri", "x-ray"]),
    (
        "content_type",
        &[
            "abnormality",
            "color",
            "kg",
            "modality",
            "organ",
            "plane",
            "position",
            "quantity",
            "shape",
            "size",
        ],
    ),
];

impl HarnessProfile for Mmmu {
    fn name(&self) -> &'static str {
        "lmms-eval-mmmu"
    }

    fn harness(&self) -> &'static str {
        HARNESS
    }

    fn commit(&self) -> &'static str {
        COMMIT
    }

    fn sets(&self) -> &'static [&'static str] {
        &["mmmu-medical"]
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "a reply without an option is an unseeded random choice",
            "any option letter before a space counts, also at the end of a word; then any before a period",
            "\\boxed{} and <answer> are not understood",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        judge_choice(sample, reply, Letters::Trailing)
    }
}
