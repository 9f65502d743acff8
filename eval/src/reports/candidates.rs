//! Rules by which one of several reports on a study is kept. None of them sees a reference.

use super::lints::lints;
use super::sentences::WrittenReport;
use crate::metrics::rouge::rouge_l;
use loupe_core::words::did_you_mean;
use loupe_core::{Sample, Study};
use loupe_run::report_prompt::{CandidateRule, Draft};

/// Every rule, the default first.
pub static CANDIDATE_RULES: [CandidateRule; 2] = [
    CandidateRule {
        name: "consensus",
        about: "the report that is most like the others: highest mean ROUGE-L against them (minimum Bayes risk, Eikema and Aziz 2022)",
        rank: consensus,
    },
    CandidateRule {
        name: "fewest-lints",
        about: "the report in which least is to be looked at",
        rank: fewest_lints,
    },
];

/// The rule of that name.
///
/// # Errors
/// When there is none; the message names all.
pub fn candidate_rule(name: &str) -> Result<&'static CandidateRule, String> {
    let known = || CANDIDATE_RULES.iter().map(|rule| rule.name);
    CANDIDATE_RULES.iter().find(|rule| rule.name == name).ok_or_else(|| {
        let near = did_you_mean(name, known());
        let all = known().collect::<Vec<_>>().join(", ");
        format!("no rule for candidates is called {name:?}{near}; there are {all}")
    })
}

/// Words in lower case; of scripts without spaces every character.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut open = false;
    for c in text.chars().flat_map(char::to_lowercase) {
        let alone = matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}');
        match out.last_mut() {
            _ if !c.is_alphanumeric() => open = false,
            Some(word) if open && !alone => word.push(c),
            _ => {
                out.push(c.to_string());
                open = !alone;
            }
        }
    }
    out
}

fn consensus(_: &Sample, reports: &[Draft<'_>]) -> Vec<f64> {
    let words: Vec<Vec<String>> = reports.iter().map(|draft| words(&draft.reply.text)).collect();
    let of = |at: usize| {
        let others = words.iter().enumerate().filter(|(other, _)| *other != at);
        let likeness: Vec<f64> = others.map(|(_, other)| rouge_l(other, &words[at])).collect();
        likeness.iter().sum::<f64>() / likeness.len().max(1) as f64
    };
    (0..words.len()).map(of).collect()
}

fn fewest_lints(sample: &Sample, reports: &[Draft<'_>]) -> Vec<f64> {
    let study = Study::of(sample);
    let of = |Draft { reply, structured }: &Draft<'_>| {
        let departures = structured.map_or(0, |structured| structured.problems.len());
        let report = WrittenReport::of(&reply.text, *structured);
        -((lints(&report, &study, reply.stop).len() + departures) as f64)
    };
    reports.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use loupe_core::Reply;
    use loupe_testing::dataset::worded;

    #[test]
    fn each_rule_takes_what_it_prefers() {
        let said = [
            "Left nodule. Heart normal.",
            "Left nodule. Normal heart.",
            "Unchanged effusion of 12 on the right.",
        ];
        let replies = said.map(Reply::from_text);
        let all: Vec<Draft<'_>> = replies.iter().map(|reply| Draft { reply, structured: None }).collect();
        let sample = worded("", &[]);
        let figures = |name: &str| (candidate_rule(name).unwrap().rank)(&sample, &all);
        let alike = figures("consensus");
        assert!(alike[0] > alike[2] && alike[1] > alike[2], "{alike:?}");
        assert_eq!(figures("fewest-lints"), [0.0, 0.0, -1.0]);
        assert_eq!((candidate_rule("consensus").unwrap().rank)(&sample, &all[..1]), [0.0]);
        assert!(candidate_rule("concensus").unwrap_err().contains("did you mean \"consensus\""));
        assert_eq!(words("Left 12 mm. 两肺"), ["left", "12", "mm", "两", "肺"]);
    }
}
