//! Yes-or-no questions by what is right and what was answered: a model that leans to one side shows here alone.

use crate::profile::{Judgement, Verdict};
use loupe_core::{Sample, Target};
use serde::{Deserialize, Serialize};

/// What became of the questions that have one reference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Answered yes.
    pub yes: u64,
    /// Answered no.
    pub no: u64,
    /// An answer was read that is neither.
    pub other: u64,
    /// No answer could be read.
    pub unparsed: u64,
    /// There is no reply.
    pub failed: u64,
}

impl Answered {
    /// The questions of this reference.
    pub fn n(&self) -> u64 {
        self.yes + self.no + self.other + self.unparsed + self.failed
    }
}

/// Questions whose reference is yes or no and that have no options, one count a reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The reference is yes.
    pub yes: Answered,
    /// The reference is no.
    pub no: Answered,
}

/// `yes` or `no` in words as references and harnesses write them.
fn polarity(words: &str) -> Option<bool> {
    let words = words.trim().trim_end_matches(['.', '。', '!']).to_lowercase();
    match words.as_str() {
        "yes" | "true" | "是" => Some(true),
        "no" | "false" | "否" => Some(false),
        _ => None,
    }
}

/// What is right, where the question is one of yes or no.
fn reference(sample: &Sample) -> Option<bool> {
    let text = matches!(sample.target, Target::Text(_)) && sample.choices.is_empty();
    polarity(sample.target.text().filter(|_| text)?)
}

impl Confusion {
    /// Counts what was decided about a reply; other questions and what is unscored change nothing.
    pub(crate) fn add(&mut self, sample: &Sample, judgement: &Judgement) {
        let Some(gold) = reference(sample) else { return };
        let row = if gold { &mut self.yes } else { &mut self.no };
        let answered = match judgement.verdict {
            Verdict::Correct => Some(gold),
            _ => judgement.answer.as_deref().and_then(polarity),
        };
        match (judgement.verdict, answered) {
            (Verdict::Unscored, _) => {}
            (Verdict::Failed, _) => row.failed += 1,
            (Verdict::Unparsed, _) => row.unparsed += 1,
            (_, Some(true)) => row.yes += 1,
            (_, Some(false)) => row.no += 1,
            (_, None) => row.other += 1,
        }
    }

    /// The counts, when there are any.
    pub(crate) fn finish(self) -> Option<Self> {
        (self.yes.n() + self.no.n() > 0).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(verdict: Verdict, answer: Option<&str>) -> Judgement {
        Judgement { answer: answer.map(str::to_owned), ..Judgement::bare(verdict, "rule", "") }
    }

    fn sample(gold: &str) -> Sample {
        Sample {
            id: String::new(),
            media: Vec::new(),
            question: String::new(),
            choices: Vec::new(),
            target: Target::Text(vec![gold.to_owned()]),
            group: String::new(),
            tags: std::collections::BTreeMap::new(),
            language: "en".to_owned(),
        }
    }

    #[test]
    fn each_reply_is_counted_once_where_it_belongs() {
        let mut counts = Confusion::default();
        for (gold, verdict, answer) in [
            ("Yes", Verdict::Correct, Some("yes")),
            ("yes", Verdict::Wrong, Some("No.")),
            ("yes", Verdict::Wrong, Some("maybe")),
            ("no", Verdict::Unparsed, None),
            ("no", Verdict::Failed, None),
            ("no", Verdict::Correct, None),
            ("no", Verdict::Unscored, None),
            ("left lung", Verdict::Correct, Some("left lung")),
        ] {
            counts.add(&sample(gold), &judged(verdict, answer));
        }
        assert_eq!(counts.yes, Answered { yes: 1, no: 1, other: 1, ..Answered::default() });
        assert_eq!(counts.no, Answered { no: 1, unparsed: 1, failed: 1, ..Answered::default() });
        assert_eq!(counts.finish(), Some(counts));
        assert_eq!(Confusion::default().finish(), None);
    }
}
