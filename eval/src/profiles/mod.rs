//! Compatibility profiles: what other harnesses would print for the same replies, faults included.
//!
//! A profile is one harness at one commit with one of its rule sets. It judges a reply
//! ([`HarnessProfile::score`]) and adds a set up the way the harness does ([`HarnessProfile::figures`]): some
//! divide twice or drop rows, and that is part of their figures. What is odd on purpose stands in
//! [`HarnessProfile::quirks`]. Where an original draws a random answer, the verdict here is the expected
//! value and the rule is [`RANDOM`]; where it would crash, the verdict is unscored and says so.

use crate::llm_judge::Rubric;
use crate::profile::{self, Gather, Judgement};
use loupe_core::PictureRecord;
use loupe_core::{Sample, Score, Target};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

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
pub mod medvision;
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

/// The value that every row with a verdict contributes.
pub const VERDICT: &str = "verdict";

/// What a profile makes of one reply.
#[derive(Debug, Clone, PartialEq)]
pub struct HarnessVerdict {
    /// 1 for right, 0 for wrong, a share for partial credit, or why there is no verdict.
    pub verdict: Score,
    /// The part of the reply that was compared, when a rule found one.
    pub extracted: Option<String>,
    /// The rule that fired.
    pub rule: &'static str,
    /// Further values of this row, by names that [`HarnessProfile::figures`] knows.
    pub parts: Vec<(Cow<'static, str>, f64)>,
}

impl HarnessVerdict {
    /// A verdict of right or wrong.
    pub fn new(right: bool, extracted: impl Into<String>, rule: &'static str) -> Self {
        Self {
            verdict: Score::Value(f64::from(u8::from(right))),
            extracted: Some(extracted.into()),
            rule,
            parts: Vec::new(),
        }
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
        Self {
            verdict: Score::Unscored(why.into()),
            extracted: None,
            rule: "not applicable",
            parts: Vec::new(),
        }
    }

    /// Adds a value.
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: f64) -> Self {
        self.parts.push((name.into(), value));
        self
    }

    /// Adds the verdict under a second name, for the rows of a subgroup.
    pub fn also(self, name: impl Into<Cow<'static, str>>) -> Self {
        let value = self.value();
        self.with(name, value)
    }

    /// What the row contributes: its verdict, its exception, its further values.
    pub fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        let verdict = if let Score::Value(v) = self.verdict { Some((VERDICT, v)) } else { None };
        let crash = (self.rule == CRASH).then_some((CRASH, 1.0));
        verdict.into_iter().chain(crash).chain(self.parts.iter().map(|(n, v)| (n.as_ref(), *v)))
    }

    /// The verdict as a number, 0 when there is none.
    pub fn value(&self) -> f64 {
        if let Score::Value(v) = self.verdict { v } else { 0.0 }
    }
}

/// HarnessSums of the named values over a set; all that a harness's figures are made from, so that a set of
/// any size needs no memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HarnessSums(BTreeMap<String, (u64, f64)>);

impl HarnessSums {
    /// Counts a value in.
    pub fn add(&mut self, name: &str, value: f64) {
        self.put(name, 1, value);
    }

    /// Counts in `n` values that add up to `sum`.
    pub fn put(&mut self, name: &str, n: u64, sum: f64) {
        match self.0.get_mut(name) {
            Some(entry) => *entry = (entry.0 + n, entry.1 + sum),
            None => drop(self.0.insert(name.to_owned(), (n, sum))),
        }
    }

    /// Counts in what a row contributes.
    pub fn add_row(&mut self, judged: &HarnessVerdict) {
        judged.values().for_each(|(name, value)| self.add(name, value));
    }

    /// How many values of that name.
    pub fn n(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, |(n, _)| usize::try_from(*n).unwrap_or(usize::MAX))
    }

    /// Their sum.
    pub fn sum(&self, name: &str) -> f64 {
        self.0.get(name).map_or(0.0, |(_, s)| *s)
    }

    /// Their mean, 0 of nothing.
    pub fn mean(&self, name: &str) -> f64 {
        if self.n(name) == 0 { 0.0 } else { self.sum(name) / self.n(name) as f64 }
    }

    /// Their mean as a figure, unscored of nothing.
    pub fn figure(&self, name: &str, printed_as: impl Into<String>) -> HarnessFigure {
        if self.n(name) == 0 {
            return HarnessFigure { name: printed_as.into(), value: Score::Unscored("no rows".into()), n: 0 };
        }
        HarnessFigure::new(printed_as, self.mean(name), self.n(name))
    }

    /// Names that begin with `prefix`, in alphabetical order, without it.
    pub fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.keys().filter_map(move |k| k.strip_prefix(prefix))
    }
}

/// A figure of a whole set under the harness's own name.
#[derive(Debug, Clone, PartialEq)]
pub struct HarnessFigure {
    /// As the harness prints it.
    pub name: String,
    /// The number, or why the harness would not have printed one.
    pub value: Score,
    /// Rows that went in.
    pub n: usize,
}

impl HarnessFigure {
    /// A figure from its parts.
    pub fn new(name: impl Into<String>, value: f64, n: usize) -> Self {
        let value = if value.is_finite() {
            Score::Value(value)
        } else {
            Score::Unscored("not a finite number".into())
        };
        Self { name: name.into(), value, n }
    }
}

/// The rules of a harness.
pub trait HarnessProfile: Send + Sync {
    /// Name on the command line and in tables.
    fn name(&self) -> &'static str;

    /// The harness and where its source is.
    fn harness(&self) -> &'static str;

    /// The commit whose behaviour is reproduced.
    fn commit(&self) -> &'static str;

    /// What is odd and reproduced on purpose, a sentence each.
    fn quirks(&self) -> &'static [&'static str];

    /// The value that the verdict of a language model adds, where the harness asks one about rows of
    /// this kind.
    fn asks_judge(&self, _sample: &Sample) -> Option<&'static str> {
        None
    }

    /// The prompt of that language model and where its verdict stands; nothing where the harness asks
    /// nobody.
    fn rubric(&self) -> Option<Rubric> {
        None
    }

    /// What the prompt is filled with: question, reference and reply, as the harness cuts them.
    fn judge_parts(&self, _sample: &Sample, _reply: &str) -> Option<[String; 3]> {
        None
    }

    /// The verdict on one reply.
    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict;

    /// The verdict where it depends on the size of the pictures.
    fn score_seen(&self, sample: &Sample, reply: &str, _pictures: &[PictureRecord]) -> HarnessVerdict {
        self.score(sample, reply)
    }

    /// The figures of a set; the first is the headline.
    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        vec![sums.figure(VERDICT, "accuracy")]
    }

    /// What gathers figures that no sums can give, such as mAP.
    fn gather(&self) -> Option<Box<dyn Gather>> {
        None
    }
}

/// Every file of this folder with its profiles; files without any are shared parts.
pub static PROFILES: &[(&str, &[&dyn HarnessProfile])] = &[
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
    ("medvision", medvision::PROFILES),
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
pub fn all() -> impl Iterator<Item = &'static dyn HarnessProfile> {
    PROFILES.iter().flat_map(|(_, profiles)| profiles.iter().copied())
}

/// The profile of that name.
pub fn by_name(name: &str) -> Option<&'static dyn HarnessProfile> {
    all().find(|p| p.name() == name)
}

/// A compatibility profile in a run: its name carries the commit.
#[derive(Clone)]
pub struct AsProfile {
    rules: &'static dyn HarnessProfile,
    name: String,
    about: String,
}

impl AsProfile {
    /// The profile for use in a run.
    pub fn new(rules: &'static dyn HarnessProfile) -> Self {
        let commit = rules.commit().get(..7).unwrap_or(rules.commit());
        Self {
            rules,
            name: format!("compat:{}@{commit}", rules.name()),
            about: format!("{} at {commit}", rules.harness()),
        }
    }

    /// The harness's own verdict in a judgement that was made here.
    fn verdict_in(judgement: &Judgement) -> Score {
        match (judgement.verdict, judgement.value(VERDICT)) {
            (profile::Verdict::Unscored, _) | (_, None) => {
                // The rule is in front of the reason.
                let why = judgement.rule.split_once(": ").map_or(&*judgement.rule, |(_, why)| why);
                Score::Unscored(why.to_owned().into())
            }
            (_, Some(value)) => Score::Value(value),
        }
    }

    /// The rules behind it.
    pub fn rules(&self) -> &'static dyn HarnessProfile {
        self.rules
    }
}

impl profile::Profile for AsProfile {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> &str {
        &self.about
    }

    fn judge(&self, case: &profile::Case<'_>) -> profile::Judgement {
        let (sample, prediction) = (case.sample, case.prediction);
        let gold = match sample.target {
            Target::Choice(letter) => letter.to_string(),
            _ => parts::gold_text(sample).unwrap_or_default().to_owned(),
        };
        let Some(reply) = prediction.text() else {
            return profile::Judgement::bare(profile::Verdict::Failed, "the item failed", gold);
        };
        let judged = self.rules.score_seen(sample, reply, case.pictures);
        let verdict = match &judged.verdict {
            Score::Unscored(_) => profile::Verdict::Unscored,
            Score::Value(_) if judged.extracted.is_none() => profile::Verdict::Unparsed,
            Score::Value(v) if *v >= 1.0 => profile::Verdict::Correct,
            Score::Value(_) => profile::Verdict::Wrong,
        };
        let rule: Cow<'static, str> = match &judged.verdict {
            Score::Unscored(why) => format!("{}: {why}", judged.rule).into(),
            Score::Value(_) => judged.rule.into(),
        };
        let crash = (judged.rule == CRASH).then_some((Cow::Borrowed(CRASH), 1.0));
        let verdict_value =
            if let Score::Value(v) = judged.verdict { Some((Cow::Borrowed(VERDICT), v)) } else { None };
        let values = verdict_value.into_iter().chain(crash).chain(judged.parts);
        let mut out = Judgement::bare(verdict, rule, gold);
        out.values = values.map(|(name, value)| profile::Value { name, value }).collect();
        out.answer = judged.extracted.clone();
        out.span = judged.extracted;
        out
    }

    fn gather(&self) -> Option<Box<dyn Gather>> {
        Some(Box::new(AsPrinted {
            rules: self.rules,
            sums: HarnessSums::default(),
            more: self.rules.gather(),
        }))
    }
}

/// The figures of a harness, from the values of rows that were already judged.
struct AsPrinted {
    rules: &'static dyn HarnessProfile,
    sums: HarnessSums,
    more: Option<Box<dyn Gather>>,
}

impl Gather for AsPrinted {
    fn add(&mut self, sample: &Sample, reply: &str, judgement: &Judgement) {
        // What has no value is no part of a sum.
        let known = judgement.values.iter().filter(|v| v.value.is_finite());
        known.for_each(|v| self.sums.add(&v.name, v.value));
        if let Some(more) = &mut self.more {
            more.add(sample, reply, judgement);
        }
    }

    fn figures(self: Box<Self>) -> Vec<(String, f64)> {
        let number = |f: HarnessFigure| if let Score::Value(v) = f.value { Some((f.name, v)) } else { None };
        let mut all: Vec<(String, f64)> =
            self.rules.figures(&self.sums).into_iter().filter_map(number).collect();
        all.extend(self.more.map(Gather::figures).unwrap_or_default());
        all
    }
}

/// How much the score of the same replies depends on who reads them: the mean verdict by every profile
/// that applies to all of the samples and asks no judge. Gathered one reply at a time.
#[derive(Debug, Clone)]
pub struct Sensitivity {
    n: u64,
    sums: Vec<f64>,
    without: BTreeMap<usize, String>,
    /// Where among the profiles that judge every reply each one stands.
    known: Vec<Option<usize>>,
}

/// The ends of the range and what lies between.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Profile and mean verdict, lowest first.
    pub by_profile: Vec<(String, f64)>,
    /// Profiles that do not apply, would have crashed or ask a judge, with the reason.
    pub without: Vec<(String, String)>,
}

impl Sensitivity {
    /// Nothing gathered yet, beside profiles of these names that judge every reply anyway: what they
    /// decide is read, and they are not asked twice.
    pub fn beside<'p>(asked: impl IntoIterator<Item = &'p str>) -> Self {
        let asked: Vec<&str> = asked.into_iter().collect();
        let known = all().map(|rules| {
            let name = AsProfile::new(rules).name;
            asked.iter().position(|have| *have == name)
        });
        let known: Vec<Option<usize>> = known.collect();
        Self { n: 0, sums: vec![0.0; known.len()], without: BTreeMap::new(), known }
    }

    /// Counts a reply in with the verdicts of the profiles that were asked, in their order; a profile that
    /// does not apply to it is asked no more.
    pub fn add(&mut self, case: &profile::Case<'_>, reply: &str, verdicts: &[(String, Judgement)]) {
        let sample = case.sample;
        self.n += 1;
        for (at, ((profile, sum), known)) in all().zip(&mut self.sums).zip(&self.known).enumerate() {
            if self.without.contains_key(&at) {
                continue;
            }
            if profile.asks_judge(sample).is_some() {
                self.without.insert(at, "asks a judge".to_owned());
                continue;
            }
            let judgement = known.and_then(|n| verdicts.get(n)).map(|(_, judgement)| judgement);
            let verdict = judgement.map(AsProfile::verdict_in);
            match verdict.unwrap_or_else(|| profile.score_seen(sample, reply, case.pictures).verdict) {
                Score::Value(v) => *sum += v,
                Score::Unscored(why) => drop(self.without.insert(at, why.into_owned())),
            }
        }
    }

    /// The means, lowest first.
    pub fn finish(self) -> Spread {
        let mut out = Spread::default();
        for (at, (profile, sum)) in all().zip(&self.sums).enumerate() {
            let name = profile.name().to_owned();
            match self.without.get(&at) {
                Some(why) => out.without.push((name, why.clone())),
                None if self.n == 0 => {}
                None => out.by_profile.push((name, sum / self.n as f64)),
            }
        }
        out.by_profile.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        out
    }
}

/// The letter that a multiple-choice sample holds for right.
fn gold_letter(sample: &Sample) -> Option<char> {
    if let Target::Choice(letter) = sample.target { Some(letter) } else { None }
}

#[cfg(test)]
mod tests;
