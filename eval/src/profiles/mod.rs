//! Compatibility profiles: what other harnesses would print for the same replies, faults included.
//!
//! A profile is one harness at one commit with one of its rule sets. It judges a reply
//! ([`Profile::score`]) and adds a set up the way the harness does ([`Profile::aggregate`]): some
//! divide twice or drop rows, and that is part of their figures. What is odd on purpose stands in
//! [`Profile::quirks`]. Where an original draws a random answer, the verdict here is the expected
//! value and the rule is [`RANDOM`]; where it would crash, the verdict is unscored and says so.

use loupe_core::{Sample, Score, Target};

pub mod deeptumorvqa;
pub mod difflib;
pub mod fm_medvqa;
pub mod gr5293;
pub mod huatuo_slake;
pub mod internvl2_vqarad;
pub mod karma;
pub mod llava_med;
pub mod lmms_eval;
pub mod medevalkit;
pub mod medframeqa;
pub mod medq_bench;
pub mod medvlthinker;
pub mod medxpertqa;
pub mod mmmu;
pub mod multimedeval;
pub mod parts;
pub mod pointdetectcount;
pub mod vitar;
pub mod vlmevalkit;

/// The rule of a verdict that is random in the original; the verdict is its expected value.
pub const RANDOM: &str = "random in the original";
/// The rule of a reply on which the original stops with an exception.
pub const CRASH: &str = "exception in the original";

/// What a profile makes of one reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// 1 for right, 0 for wrong, a share for partial credit, or why there is no verdict.
    pub verdict: Score,
    /// The part of the reply that was compared, when a rule found one.
    pub extracted: Option<String>,
    /// The rule that fired.
    pub rule: &'static str,
    /// Further figures of this row by the harness's own names.
    pub parts: Vec<(&'static str, f64)>,
}

impl Judged {
    /// A verdict of right or wrong.
    pub fn new(right: bool, extracted: impl Into<String>, rule: &'static str) -> Self {
        Self { verdict: Score::Value(f64::from(u8::from(right))), extracted: Some(extracted.into()), rule, parts: Vec::new() }
    }

    /// A wrong verdict for a reply in which nothing was found.
    pub fn unparsed(rule: &'static str) -> Self {
        Self { verdict: Score::Value(0.0), extracted: None, rule, parts: Vec::new() }
    }

    /// The expected value of a random choice.
    pub fn random(chance: f64) -> Self {
        Self { verdict: Score::Value(chance), extracted: None, rule: RANDOM, parts: Vec::new() }
    }

    /// The original would stop here with this exception.
    pub fn crash(exception: &'static str) -> Self {
        Self { verdict: Score::Unscored(exception.into()), extracted: None, rule: CRASH, parts: Vec::new() }
    }

    /// The profile does not apply to this sample.
    pub fn not_applicable(why: &'static str) -> Self {
        Self { verdict: Score::Unscored(why.into()), extracted: None, rule: "not applicable", parts: Vec::new() }
    }

    /// The further figure of that name.
    pub fn part(&self, name: &str) -> Option<f64> {
        self.parts.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }

    /// The verdict as a number, 0 when there is none.
    pub fn value(&self) -> f64 {
        if let Score::Value(v) = self.verdict { v } else { 0.0 }
    }
}

/// A judged sample of a set.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The question.
    pub sample: &'a Sample,
    /// What [`Profile::score`] said.
    pub judged: &'a Judged,
    /// What a language model as judge said, where one was asked.
    pub judge: Option<bool>,
}

/// A figure of a whole set under the harness's own name.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// As the harness prints it.
    pub name: String,
    /// The number, or why the harness would not have printed one.
    pub value: Score,
    /// Rows that went in.
    pub n: usize,
}

impl Figure {
    /// A figure from its parts.
    pub fn new(name: impl Into<String>, value: f64, n: usize) -> Self {
        let value = if value.is_finite() { Score::Value(value) } else { Score::Unscored("not a finite number".into()) };
        Self { name: name.into(), value, n }
    }
}

/// The rules of a harness.
pub trait Profile: Send + Sync {
    /// Name on the command line and in tables.
    fn name(&self) -> &'static str;

    /// The harness and where its source is.
    fn harness(&self) -> &'static str;

    /// The commit whose behaviour is reproduced.
    fn commit(&self) -> &'static str;

    /// What is odd and reproduced on purpose, a sentence each.
    fn quirks(&self) -> &'static [&'static str];

    /// Does the harness ask a language model about rows of this kind? Then [`Row::judge`] is used.
    fn asks_judge(&self, _sample: &Sample) -> bool {
        false
    }

    /// The verdict on one reply.
    fn score(&self, sample: &Sample, reply: &str) -> Judged;

    /// The figures of a set; the first is the headline.
    fn aggregate(&self, rows: &[Row]) -> Vec<Figure> {
        parts::accuracy(rows)
    }
}

/// Every file of this folder with its profiles; files without any are shared parts.
pub static PROFILES: &[(&str, &[&dyn Profile])] = &[
    ("deeptumorvqa", deeptumorvqa::PROFILES),
    ("difflib", &[]),
    ("fm_medvqa", fm_medvqa::PROFILES),
    ("gr5293", gr5293::PROFILES),
    ("huatuo_slake", huatuo_slake::PROFILES),
    ("internvl2_vqarad", internvl2_vqarad::PROFILES),
    ("karma", karma::PROFILES),
    ("llava_med", llava_med::PROFILES),
    ("lmms_eval", lmms_eval::PROFILES),
    ("medevalkit", medevalkit::PROFILES),
    ("medframeqa", medframeqa::PROFILES),
    ("medq_bench", medq_bench::PROFILES),
    ("medvlthinker", medvlthinker::PROFILES),
    ("medxpertqa", medxpertqa::PROFILES),
    ("mmmu", mmmu::PROFILES),
    ("multimedeval", multimedeval::PROFILES),
    ("parts", &[]),
    ("pointdetectcount", pointdetectcount::PROFILES),
    ("vitar", vitar::PROFILES),
    ("vlmevalkit", vlmevalkit::PROFILES),
];

/// All profiles.
pub fn all() -> impl Iterator<Item = &'static dyn Profile> {
    PROFILES.iter().flat_map(|(_, profiles)| profiles.iter().copied())
}

/// The profile of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Profile> {
    all().find(|p| p.name() == name)
}

/// The lowest and the highest accuracy that the profiles give the same replies.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivity {
    /// Profile and mean verdict, lowest first.
    pub by_profile: Vec<(&'static str, f64)>,
    /// Profiles that did not apply, or would have crashed, with the reason.
    pub without: Vec<(&'static str, String)>,
}

impl Sensitivity {
    /// Lowest and highest profile.
    pub fn range(&self) -> Option<((&'static str, f64), (&'static str, f64))> {
        Some((*self.by_profile.first()?, *self.by_profile.last()?))
    }
}

/// How much the score of the same replies depends on who reads them: the mean verdict by every
/// profile that applies to all of the samples and asks no judge.
pub fn sensitivity(replies: &[(&Sample, &str)]) -> Sensitivity {
    let mut out = Sensitivity { by_profile: Vec::new(), without: Vec::new() };
    for profile in all() {
        if replies.iter().any(|(s, _)| profile.asks_judge(s)) {
            continue;
        }
        let mut sum = 0.0;
        let mut reason = None;
        for (sample, reply) in replies {
            match profile.score(sample, reply).verdict {
                Score::Value(v) => sum += v,
                Score::Unscored(why) => {
                    reason = Some(why.into_owned());
                    break;
                }
            }
        }
        match reason {
            Some(why) => out.without.push((profile.name(), why)),
            None if replies.is_empty() => {}
            None => out.by_profile.push((profile.name(), sum / replies.len() as f64)),
        }
    }
    out.by_profile.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(b.0)));
    out
}

/// The letter that a multiple-choice sample holds for right.
fn gold_letter(sample: &Sample) -> Option<char> {
    if let Target::Choice(letter) = sample.target { Some(letter) } else { None }
}

#[cfg(test)]
mod tests;
