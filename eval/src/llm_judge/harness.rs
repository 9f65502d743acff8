//! A compatibility profile whose harness asks a language model: its own prompt, its own reading of the
//! verdict, and the verdict where the harness puts it.
//!
//! Where a harness counts a judge that failed as a wrong answer, the item is unscored here and no part
//! of any figure.

use super::profile::{AskError, Opinions, ask_prompts};
use super::{Cache, Judge, Opinion, Rubric};
use crate::profile::{Case, Gather, Judgement, Profile, Value, Verdict};
use crate::profiles::{AsProfile, CRASH, HarnessProfile, VERDICT};
use loupe_core::{Prediction, Sample};
use loupe_run::RunFolder;
use std::borrow::Cow;

/// The rules of a harness with what its judge said.
pub struct HarnessWithJudge {
    name: String,
    inner: AsProfile,
    rubric: Rubric,
    opinions: Opinions,
}

/// What the harness would send about a reply; nothing where it asks nobody or has stopped before.
fn prompt(
    rules: &dyn HarnessProfile,
    rubric: &Rubric,
    sample: &Sample,
    prediction: &Prediction,
) -> Option<String> {
    rules.asks_judge(sample)?;
    let reply = prediction.text()?;
    let [question, reference, said] = rules.judge_parts(sample, reply)?;
    (rules.score(sample, reply).rule != CRASH).then(|| rubric.prompt(&question, &reference, &said))
}

/// Asks what the harness of `rules` asks about the replies of a run; nothing for a harness that asks
/// nobody.
///
/// # Errors
/// When the run cannot be read or the cache cannot be written.
pub fn ask_for(
    rules: &'static dyn HarnessProfile,
    folder: &RunFolder,
    judges: &mut [Box<dyn Judge>],
    cache: Cache,
    heard: &(dyn Fn(usize, &Opinion) + Sync),
) -> Result<Option<HarnessWithJudge>, AskError> {
    let Some(rubric) = rules.rubric() else { return Ok(None) };
    let prompt = |sample: &Sample, prediction: &Prediction| prompt(rules, &rubric, sample, prediction);
    let opinions = ask_prompts(folder, judges, cache, &rubric, &prompt, heard)?;
    let inner = AsProfile::new(rules);
    let name = format!("{}/{}", inner.name(), opinions.model());
    Ok(Some(HarnessWithJudge { name, inner, rubric, opinions }))
}

impl HarnessWithJudge {
    /// What the judge said.
    pub fn opinions(&self) -> &Opinions {
        &self.opinions
    }
}

impl Profile for HarnessWithJudge {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> &str {
        self.inner.about()
    }

    fn judge(&self, case: &Case<'_>) -> Judgement {
        let rules = self.inner.rules();
        let mut judgement = self.inner.judge(case);
        let prompt = prompt(rules, &self.rubric, case.sample, case.prediction);
        let (Some(part), Some(prompt)) = (rules.asks_judge(case.sample), prompt) else { return judgement };
        match self.opinions.on(&prompt) {
            Ok((right, said)) => {
                let value = f64::from(u8::from(right));
                judgement.verdict = if right { Verdict::Correct } else { Verdict::Wrong };
                judgement.rule = "judge".into();
                judgement.span = said.map(str::to_owned);
                judgement.values.retain(|v| v.name != VERDICT);
                let named = |name| Value { name: Cow::Borrowed(name), value };
                judgement.values.splice(0..0, [named(VERDICT), named(part)]);
                judgement
            }
            Err(why) => Judgement::bare(Verdict::Unscored, why, judgement.gold).with(VERDICT, f64::NAN),
        }
    }

    fn gather(&self) -> Option<Box<dyn Gather>> {
        self.inner.gather()
    }
}
