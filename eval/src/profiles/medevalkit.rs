//! MedEvalKit, the harness of the Lingshu line of papers (`utils/utils.py`, `utils/VQA_RAD`,
//! `utils/PATH_VQA`, `utils/SLAKE`, `utils/MMMU`).

use super::harness::{CRASH, HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict, VERDICT};
use super::parts::{self, after_last, between_tags, boxed, gold_text};
use super::{difflib, mmmu};
use crate::llm_judge::{Reading, Rubric};
use crate::metrics::{bleu, rouge, token_f1};
use loupe_core::{Sample, Score};

const HARNESS: &str = "alibaba-damo-academy/MedEvalKit";
const COMMIT: &str = "9b12e3b34232a8779cc1275417bf4f72f03d28e0";

/// What its judge is asked (`utils.get_compare_messages`), white space included.
const JUDGE: &str = "
Your task is to determine whether the user's answer is correct based on the provided questions and standard answers (for example, if the user expresses a similar meaning to the standard answer, or another interpretation of the standard answer, it is considered correct.)

The question is: {question}

The standard answer: {reference}

The user's answer: {reply}

Please strictly follow the following format for output(0 represents correct, 1 represents incorrect):
<think>{your concise think step}</think>
<judge>{0/1}</judge>

for example:
<think>The standard answer is right, and the user's answer is right frontal lobe, they express the same meaning, so it is correct.</think>
<judge>0</judge>
    ";

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[
    &MedEvalKit { name: "medevalkit-vqa-rad", class: Class::VqaRad, judge: false },
    &MedEvalKit { name: "medevalkit-vqa-rad+judge", class: Class::VqaRad, judge: true },
    &MedEvalKit { name: "medevalkit-path-vqa+judge", class: Class::PathVqa, judge: true },
    &MedEvalKit { name: "medevalkit-slake", class: Class::Slake, judge: false },
    &MedEvalKit { name: "medevalkit-slake+judge", class: Class::Slake, judge: true },
    &MedEvalKit { name: "medevalkit-mcq", class: Class::Choice, judge: false },
    &MedEvalKit { name: "medevalkit-mmmu", class: Class::Mmmu, judge: false },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    VqaRad,
    /// Without a judge this class is the same as [`Class::VqaRad`].
    PathVqa,
    Slake,
    Choice,
    Mmmu,
}

/// A data set class of MedEvalKit, with or without its language-model judge.
#[derive(Debug, Clone, Copy)]
struct MedEvalKit {
    name: &'static str,
    class: Class,
    judge: bool,
}

impl HarnessProfile for MedEvalKit {
    fn name(&self) -> &'static str {
        self.name
    }

    fn harness(&self) -> &'static str {
        HARNESS
    }

    fn commit(&self) -> &'static str {
        COMMIT
    }

    fn sets(&self) -> &'static [&'static str] {
        match self.class {
            Class::VqaRad => &["vqa-rad"],
            Class::PathVqa => &["pathvqa"],
            Class::Slake => &["slake"],
            Class::Choice => &[],
            Class::Mmmu => &["mmmu-medical"],
        }
    }

    fn quirks(&self) -> &'static [&'static str] {
        match self.class {
            Class::VqaRad | Class::PathVqa => &[
                "yes/no is a substring test: \"abnormal\" contains \"no\", and a reply with both words is wrong",
                "closed means that the reference is yes or no, whatever the set's answer_type",
                "open.acc is divided by the number of open questions twice",
                "the columns precision, recall and f1 hold F1, precision and recall, on sets of words",
                "a period at the end of an open answer makes it wrong",
                "an empty open reply raises ValueError and the whole set has no figures",
                "the judge counts everything but <judge>0</judge> as wrong; one that fails too, which is unscored here",
                "with a judge, PATH_VQA forgets the closed questions: their accuracy is 0 and the total lacks them",
            ],
            Class::Slake => &[
                "\"Yes\" and \"No\" of the English set are not taken for yes/no (case), so they need strict equality",
                "the judge counts everything but <judge>0</judge> as wrong; one that fails too, which is unscored here",
                "with a judge every row is judged and the closed ones are added to those already counted: accuracy above 1",
                "open.acc is divided by the number of open questions twice",
                "an empty open reply raises ValueError and the whole set has no figures",
            ],
            Class::Choice => &[
                "a reply without a letter is given the most similar option (difflib); ties and nothing in common give the first",
                "the option is taken from the text before the first period and after the last colon",
            ],
            Class::Mmmu => &[
                "a reply without an option is a random choice",
                "<answer> wins over \\boxed{}; letters count only between spaces or in brackets",
            ],
        }
    }

    fn asks_judge(&self, sample: &Sample) -> Option<&'static str> {
        match (self.judge, self.is_open(sample)) {
            (true, true) => Some("open.judged"),
            (true, false) if self.class == Class::Slake => Some("close.judged"),
            _ => None,
        }
    }

    fn rubric(&self) -> Option<Rubric> {
        self.judge.then(|| Rubric {
            name: "medevalkit".to_owned(),
            template: JUDGE.to_owned(),
            reading: Reading::JudgeTagZero,
        })
    }

    fn judge_parts(&self, sample: &Sample, reply: &str) -> Option<[String; 3]> {
        let (gold, reply) = (gold_text(sample)?, first_extract(reply));
        let [gold, reply] = match self.class {
            Class::Slake => [gold.to_owned(), reply],
            _ => [gold, &reply].map(|text| text.to_lowercase().trim().to_owned()),
        };
        Some([sample.question.clone(), gold, reply])
    }

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        match self.class {
            Class::Choice => return choice(sample, reply),
            Class::Mmmu => return mmmu_choice(sample, reply),
            _ => {}
        }
        let Some(gold) = gold_text(sample) else {
            return HarnessVerdict::not_applicable("no reference text");
        };
        match self.class {
            Class::Slake => {
                let reply = first_extract(reply);
                if parts::is_open(sample) {
                    open(gold, &reply)
                } else if matches!(gold, "yes" | "no") {
                    yes_no(gold, &reply)
                } else {
                    let said = parse_response(&reply).replace(['\n', '.'], "");
                    HarnessVerdict::new(
                        said == gold.to_lowercase(),
                        said,
                        "closed: equal after parse_response",
                    )
                    .also("close.right")
                }
            }
            _ => {
                let (gold, reply) = (gold.to_lowercase(), first_extract(reply).to_lowercase());
                let (gold, reply) = (gold.trim(), reply.trim());
                if is_yes_no(sample) { yes_no(gold, reply) } else { open(gold, reply) }
            }
        }
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        if matches!(self.class, Class::Choice | Class::Mmmu) {
            return vec![sums.figure(VERDICT, "accuracy")];
        }
        let (open, closed) = (sums.n("open.right"), sums.n("close.right"));
        let stopped = |why: &'static str| {
            vec![HarnessFigure { name: "total metrics.acc".into(), value: Score::Unscored(why.into()), n: 0 }]
        };
        if sums.n(CRASH) > 0 {
            return stopped("exception in the original: an open reply or reference is empty");
        }
        if open == 0 || closed == 0 {
            return stopped("exception in the original: ZeroDivisionError");
        }
        let mut open_right = sums.sum("open.right");
        let mut closed_right = sums.sum("close.right");
        let mut total_right = open_right + closed_right;
        if self.judge {
            open_right = sums.sum("open.judged");
            match self.class {
                Class::PathVqa => (total_right, closed_right) = (open_right, 0.0),
                _ => {
                    total_right = closed_right + open_right + sums.sum("close.judged");
                    closed_right += sums.sum("close.judged");
                }
            }
        }
        let mut out = vec![
            HarnessFigure::new("total metrics.acc", total_right / (open + closed) as f64, open + closed),
            HarnessFigure::new("close.acc", closed_right / closed as f64, closed),
            // Divided in its own line and again in the loop over all columns.
            HarnessFigure::new("open.acc", open_right / open as f64 / open as f64, open),
        ];
        out.extend(
            sums.under("open.")
                .filter(|c| !matches!(*c, "right" | "judged"))
                .map(|c| sums.figure(&format!("open.{c}"), format!("open.{c}"))),
        );
        out
    }
}

impl MedEvalKit {
    fn is_open(self, sample: &Sample) -> bool {
        if self.class == Class::Slake { parts::is_open(sample) } else { !is_yes_no(sample) }
    }
}

fn is_yes_no(sample: &Sample) -> bool {
    gold_text(sample).is_some_and(|g| matches!(g.trim().to_lowercase().as_str(), "yes" | "no"))
}

/// The cut before judging: the last box, else the `<answer>` spans, else everything.
fn first_extract(reply: &str) -> String {
    if let Some(inside) = boxed(reply).filter(|b| *b != "None") {
        return inside.to_owned();
    }
    between_tags(reply, "answer").unwrap_or_else(|| reply.to_owned())
}

/// `parse_response`: lower case, the box or the tags, then what follows each marker in turn.
fn parse_response(reply: &str) -> String {
    const MARKERS: [&str; 9] = [
        "**answer**:",
        "**answer**",
        "*answer*:",
        "**answer:**",
        "answer is",
        "answer:",
        "答案:",
        "final answer",
        "final answer is",
    ];
    let lower = reply.to_lowercase();
    let cut = if lower.contains("boxed") {
        boxed(&lower).unwrap_or("None").to_owned()
    } else {
        between_tags(&lower, "answer").unwrap_or(lower)
    };
    MARKERS.iter().fold(cut.as_str(), |text, marker| after_last(text, marker)).to_owned()
}

/// `judge_judgement`.
fn yes_no(gold: &str, reply: &str) -> HarnessVerdict {
    let said = parse_response(reply).replace(['\n', '.'], "");
    let one = said.contains("yes") != said.contains("no");
    let right = one && said.contains(&gold.to_lowercase());
    HarnessVerdict::new(right, said, if one { "yes/no: substring" } else { "yes/no: both or neither" })
        .also("close.right")
}

/// `judge_open_end_vqa`, whose columns are mixed up.
fn open(gold: &str, reply: &str) -> HarnessVerdict {
    let gold = gold.to_lowercase();
    let said = parse_response(reply);
    let [rouge1, rouge2, rougel] = match rouge::package_scores(&gold, &said) {
        Ok(scores) => scores,
        Err(exception) => return HarnessVerdict::crash(exception),
    };
    let Some(overlap) = token_f1::of_medevalkit(&gold, &said) else {
        return HarnessVerdict::crash("TypeError: cannot unpack non-iterable int object");
    };
    let right = said == gold;
    HarnessVerdict::new(right, said.as_str(), "open: equal after parse_response")
        .also("open.right")
        .also("open.em")
        .with("open.bleu1", bleu::nltk_sentence(&gold, &said, 1))
        .with("open.bleu2", bleu::nltk_sentence(&gold, &said, 2))
        .with("open.bleu3", bleu::nltk_sentence(&gold, &said, 3))
        .with("open.bleu4", bleu::nltk_sentence(&gold, &said, 4))
        .with("open.rouge1", rouge1)
        .with("open.rouge2", rouge2)
        .with("open.rougel", rougel)
        // The function returns (f1, precision, recall); its caller names them in another order.
        .with("open.precision", overlap.f1)
        .with("open.recall", overlap.precision)
        .with("open.f1", overlap.recall)
}

/// `judge_multi_choice`.
fn choice(sample: &Sample, reply: &str) -> HarnessVerdict {
    let Some(gold) = super::harness::gold_letter(sample) else {
        return super::harness::no_choice(sample);
    };
    let letters: Vec<String> =
        (0..sample.choices.len()).map(|i| char::from(b'a'.saturating_add(i as u8)).to_string()).collect();
    let choices: Vec<String> =
        sample.choices.iter().map(|c| format!("{}. {}", c.letter, c.text).to_lowercase()).collect();
    let answer = gold.to_lowercase().to_string();
    let lower = reply.to_lowercase();
    let is_letter = |s: &str| letters.iter().any(|l| l == s);
    let first = lower.split("\n\n").next().unwrap_or_default();
    let last = lower.rsplit("\n\n").next().unwrap_or_default().split('.').next().unwrap_or_default();
    let cut = if is_letter(first) {
        first
    } else if is_letter(last) {
        last
    } else {
        &lower
    };
    let said = parse_response(cut).trim().to_lowercase().replace('\n', "");
    let short = after_last(said.split('.').next().unwrap_or_default(), ":").to_owned();
    if short == answer {
        return HarnessVerdict::new(true, short, "the letter");
    }
    if let Some(at) = letters.iter().position(|l| *l == short) {
        return HarnessVerdict::new(choices.get(at) == Some(&answer), short, "another letter");
    }
    if choices.contains(&short) {
        let right = letters.iter().position(|l| *l == answer).and_then(|i| choices.get(i)) == Some(&short);
        return HarnessVerdict::new(right, short, "the words of an option");
    }
    let at = difflib::most_similar(choices.iter().map(String::as_str), &said);
    let right = letters.get(at) == Some(&answer) || choices.get(at) == Some(&answer);
    HarnessVerdict::new(right, letters.get(at).cloned().unwrap_or_default(), "the most similar option")
}

/// `parse_multi_choice_response` of its MMMU folder.
fn mmmu_choice(sample: &Sample, reply: &str) -> HarnessVerdict {
    let cut = if reply.contains("<answer>") {
        between_tags(reply, "answer").unwrap_or_else(|| reply.to_owned())
    } else if reply.contains("\\boxed") {
        boxed(reply).unwrap_or("None").to_owned()
    } else {
        reply.to_owned()
    };
    mmmu::judge_choice(sample, cut.trim(), mmmu::Letters::Spaced)
}
