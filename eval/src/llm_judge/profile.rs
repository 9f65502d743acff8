//! A judge over a whole run: everything is asked first, several at a time, and the opinions then
//! score like any other profile.

use super::{Cache, CacheError, Judge, Opinion, Rubric, key, opinion};
use crate::metrics::report_sections::{Part, joined};
use crate::profile::{Case, Judgement, Profile, Verdict};
use crate::strict::ACCURACY;
use loupe_core::reasoning::without_reasoning;
use loupe_core::{Prediction, Sample, Target};
use loupe_run::{RunError, RunFolder};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// What a row puts to the judge.
enum Asked {
    Prompt(String),
    /// The reply holds nothing to judge; why.
    Nothing(&'static str),
    /// The row has no reference in words.
    NoReference,
    Failed,
}

/// The question with its options, the reference in words, and the reply without its reasoning.
fn asked(rubric: &Rubric, sample: &Sample, prediction: &Prediction) -> Asked {
    let option = |letter: char| {
        let choice = sample.choices.iter().find(|c| c.letter == letter)?;
        Some(format!("{letter}. {}", choice.text))
    };
    let reference = match &sample.target {
        Target::Text(wordings) if !wordings.is_empty() => wordings.join(" / "),
        Target::Choice(letter) => option(*letter).unwrap_or_else(|| letter.to_string()),
        Target::Choices(letters) => letters
            .iter()
            .map(|l| option(*l).unwrap_or_else(|| l.to_string()))
            .collect::<Vec<_>>()
            .join(" / "),
        Target::Count(n) => n.to_string(),
        Target::Measurements(all) => {
            all.iter().map(|m| format!("{} {}", m.value, m.unit.word())).collect::<Vec<_>>().join(", ")
        }
        Target::Report(sections) => joined(sections, Part::Whole),
        _ => return Asked::NoReference,
    };
    let Some(reply) = prediction.text() else { return Asked::Failed };
    let reply = match without_reasoning(reply) {
        Ok(reply) => reply,
        Err(why) => return Asked::Nothing(why.rule()),
    };
    let mut question = sample.question.clone();
    for choice in &sample.choices {
        question.push_str(&format!("\n{}. {}", choice.letter, choice.text));
    }
    Asked::Prompt(rubric.prompt(&question, &reference, reply))
}

/// What a language model said about the replies of a run, by the content of the question put to it.
pub struct Opinions {
    model: String,
    by_key: HashMap<String, Opinion>,
}

impl Opinions {
    /// Prompts without a verdict, and the first reason.
    pub fn without_verdict(&self) -> (usize, Option<&str>) {
        let mut without = self.by_key.values().filter(|o| o.verdict.is_none());
        let first = without.next();
        (usize::from(first.is_some()) + without.count(), first.and_then(|o| o.problem.as_deref()))
    }

    /// The verdict on a prompt with the judge's own words, or why there is none.
    pub(super) fn on(&self, prompt: &str) -> Result<(bool, Option<&str>), String> {
        let opinion = self.by_key.get(&key(&self.model, prompt));
        let opinion = opinion.ok_or_else(|| "the judge was not asked".to_owned())?;
        match opinion.verdict {
            Some(right) => Ok((right, opinion.reply.as_deref())),
            None => Err(format!("judge: {}", opinion.problem.as_deref().unwrap_or("no verdict"))),
        }
    }

    /// The judge's model.
    pub(super) fn model(&self) -> &str {
        &self.model
    }
}

/// The opinions of a language model as a profile. A row on which it failed, or whose reply holds no
/// verdict, is unscored and says why: nothing else is put in its place.
pub struct JudgedBy {
    name: String,
    about: String,
    rubric: Rubric,
    opinions: Opinions,
}

/// Puts prompts about the replies of a run to the judges, each prompt once, as many at a time as there
/// are judges.
pub(super) fn ask_prompts(
    folder: &RunFolder,
    judges: &mut [Box<dyn Judge>],
    cache: Cache,
    rubric: &Rubric,
    prompt: &dyn Fn(&Sample, &Prediction) -> Option<String>,
    heard: &(dyn Fn(usize, &Opinion) + Sync),
) -> Result<Opinions, AskError> {
    let model = judges.first().map(|j| j.model().to_owned()).unwrap_or_default();
    let (mut prompts, mut seen) = (Vec::new(), HashSet::new());
    for item in folder.items()? {
        let item = item?;
        let (Some(sample), Some(prediction)) = (&item.line.sample, item.prediction()) else { continue };
        if let Some(prompt) = prompt(sample, &prediction) {
            let key = key(&model, &prompt);
            if seen.insert(key.clone()) {
                prompts.push((key, prompt));
            }
        }
    }
    let total = prompts.len();
    let (cache, opinions) = (Mutex::new(cache), Mutex::new(HashMap::new()));
    side_by_side(judges, prompts, &|judge, (key, prompt)| {
        let opinion = opinion(judge, &cache, rubric, prompt)?;
        heard(total, &opinion);
        opinions.lock().unwrap_or_else(PoisonError::into_inner).insert(key, opinion);
        Ok(())
    })?;
    Ok(Opinions { model, by_key: opinions.into_inner().unwrap_or_else(PoisonError::into_inner) })
}

/// Puts each of `all` to one of the judges, as many at a time as there are judges.
///
/// # Errors
/// What `ask` fails with first; the others are not asked then.
pub(super) fn side_by_side<T: Send>(
    judges: &mut [Box<dyn Judge>],
    all: Vec<T>,
    ask: &(dyn Fn(&mut dyn Judge, T) -> Result<(), CacheError> + Sync),
) -> Result<(), CacheError> {
    let (next, broken) = (Mutex::new(all.into_iter()), Mutex::new(None));
    let work = |judge: &mut Box<dyn Judge>| {
        loop {
            let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(one) = taken else { return };
            if let Err(error) = ask(judge.as_mut(), one) {
                *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for judge in judges {
            scope.spawn(|| work(judge));
        }
    });
    broken.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Puts every reply of a run to the judges.
///
/// # Errors
/// When the run cannot be read or the cache cannot be written.
pub fn ask_all(
    folder: &RunFolder,
    judges: &mut [Box<dyn Judge>],
    cache: Cache,
    rubric: &Rubric,
    heard: &(dyn Fn(usize, &Opinion) + Sync),
) -> Result<JudgedBy, AskError> {
    let prompt = |sample: &Sample, prediction: &Prediction| match asked(rubric, sample, prediction) {
        Asked::Prompt(prompt) => Some(prompt),
        _ => None,
    };
    let opinions = ask_prompts(folder, judges, cache, rubric, &prompt, heard)?;
    Ok(JudgedBy {
        name: format!("judge:{}@{}", rubric.name, opinions.model),
        about: format!("the language model {} with the prompt {}", opinions.model, rubric.name),
        rubric: rubric.clone(),
        opinions,
    })
}

/// Why the judge could not be put to work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The cache cannot be written.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl JudgedBy {
    /// What the judge said.
    pub fn opinions(&self) -> &Opinions {
        &self.opinions
    }
}

impl Profile for JudgedBy {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> &str {
        &self.about
    }

    fn judge(&self, case: &Case<'_>) -> Judgement {
        let gold = case.sample.target.text().unwrap_or_default();
        let unscored = |rule: String| Judgement::bare(Verdict::Unscored, rule, gold).with(ACCURACY, f64::NAN);
        let prompt = match asked(&self.rubric, case.sample, case.prediction) {
            Asked::Prompt(prompt) => prompt,
            Asked::Nothing(why) => {
                return Judgement::bare(Verdict::Unparsed, why, gold).with(ACCURACY, 0.0);
            }
            Asked::NoReference => return Judgement::bare(Verdict::Unscored, "no reference in words", gold),
            Asked::Failed => {
                return Judgement::bare(Verdict::Failed, "the item failed", gold).with(ACCURACY, f64::NAN);
            }
        };
        let (right, said) = match self.opinions.on(&prompt) {
            Ok(opinion) => opinion,
            Err(why) => return unscored(why),
        };
        let verdict = if right { Verdict::Correct } else { Verdict::Wrong };
        let mut judgement =
            Judgement::bare(verdict, "judge", gold).with(ACCURACY, f64::from(u8::from(right)));
        // The judge's own words say why.
        judgement.span = said.map(str::to_owned);
        judgement.answer = case.prediction.text().map(|t| t.chars().take(400).collect());
        judgement
    }
}
