//! The rules of another harness: what they decide about a reply, and how they add a set up.

use crate::llm_judge::Rubric;
use crate::profile::{self, Gather, Judgement};
use loupe_core::{Named, PictureRecord, Sample, Score, Target};
use std::borrow::Cow;
use std::collections::BTreeMap;

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

    /// The sets (`loupe list datasets`) that the rules were written for; none where they are meant for any set with
    /// such questions. Others may still be asked for by name.
    fn sets(&self) -> &'static [&'static str] {
        &[]
    }

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
    pub(crate) fn verdict_in(judgement: &Judgement) -> Score {
        match (judgement.verdict, judgement.value(VERDICT)) {
            (profile::Verdict::Unscored, _) | (_, None) => {
                // The rule stands in front of the reason.
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
            _ => super::parts::gold_text(sample).unwrap_or_default().to_owned(),
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

/// The letter that a multiple-choice sample holds for right.
pub(super) fn gold_letter(sample: &Sample) -> Option<char> {
    if let Target::Choice(letter) = sample.target { Some(letter) } else { None }
}

/// The verdict on what is no multiple-choice question, or one without its options.
pub(super) fn no_choice(sample: &Sample) -> HarnessVerdict {
    HarnessVerdict::not_applicable(match super::parts::lacks_options(sample) {
        true => "no options were found; name their column with --choices-column, or give --letters or --data",
        false => "not a multiple-choice question",
    })
}

impl Named for dyn HarnessProfile {
    fn name(&self) -> &str {
        HarnessProfile::name(self)
    }
}
