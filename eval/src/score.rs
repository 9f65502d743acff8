//! Scoring: verdicts per item and profile from the folder alone, without a model.

use crate::profile::{Case, Judgement, Profile};
use crate::summary::{Scoring, Summariser, Summary};
use loupe_core::sample::Outcome;
use loupe_core::{Prediction, Sample, Score};
use loupe_run::{Item, ReplyLine, RunError, RunFolder, replace};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// An item of a run with what every profile decided about it.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedItem {
    /// Sample, reply, pictures and trace.
    pub item: Item,
    /// Decisions in the order of the profiles; empty when the dataset could not give the row.
    pub verdicts: Vec<(String, Judgement)>,
}

/// A line of scores.json: nothing in it depends on time, batch or interruption.
#[derive(Serialize)]
struct ScoreLine<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    rollout: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
    #[serde(serialize_with = "as_map", skip_serializing_if = "<[_]>::is_empty")]
    profiles: &'a [(String, Judgement)],
    #[serde(serialize_with = "as_map", skip_serializing_if = "<[_]>::is_empty")]
    metrics: &'a [(&'static str, Score)],
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

fn as_map<K: Serialize, V: Serialize, S: serde::Serializer>(
    pairs: &[(K, V)],
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(pairs.iter().map(|(k, v)| (k, v)))
}

/// Scores a run, finished or not, from its folder: writes scores.json and summary.json and returns
/// the summary. One item is in memory at a time.
///
/// # Errors
/// When the folder cannot be read or written.
pub fn score(dir: &Path, scoring: &Scoring<'_>) -> Result<Summary, RunError> {
    let folder = RunFolder::open(dir)?;
    let (profiles, metrics) = (scoring.profiles, scoring.metrics);
    let mut summariser = Summariser::new(scoring);
    let mut failed = None;
    replace(dir, "scores.json", |to| {
        write!(to, "{{\"format\": 1, \"items\": [")?;
        let mut between = "\n";
        for item in folder.items().map_err(|e| remember(&mut failed, e))? {
            let item = item.map_err(|e| remember(&mut failed, e))?;
            let Some(prediction) = item.prediction() else {
                summariser.missing();
                continue;
            };
            let Some(sample) = &item.line.sample else {
                summariser.unreadable();
                let id = item.line.id();
                let failure = item.line.error.as_deref();
                let line = ScoreLine {
                    id: &id,
                    rollout: item.rollout,
                    group: None,
                    reply: None,
                    failure,
                    profiles: &[],
                    metrics: &[],
                };
                write_line(to, &mut between, &line)?;
                continue;
            };
            let verdicts = judge(profiles, sample, &prediction, &item);
            let measured: Vec<(&'static str, Score)> =
                metrics.iter().map(|m| (m.name(), m.score(sample, &prediction))).collect();
            summariser.add(sample, &prediction, &verdicts, &measured);
            let (reply, failure) = match &prediction.outcome {
                Outcome::Reply(reply) => (Some(reply.text.as_str()), None),
                Outcome::Failed(failure) => (None, Some(failure.reason.as_str())),
            };
            let line = ScoreLine {
                id: &sample.id,
                rollout: item.rollout,
                group: Some(&sample.group),
                reply,
                failure,
                profiles: &verdicts,
                metrics: &measured,
            };
            write_line(to, &mut between, &line)?;
        }
        to.write_all(b"\n]}\n")
    })
    .map_err(|e| failed.take().unwrap_or(e))?;
    let summary = summariser.finish(&folder.made_by);
    replace(dir, "summary.json", |to| {
        serde_json::to_writer_pretty(&mut *to, &summary)?;
        to.write_all(b"\n")
    })?;
    Ok(summary)
}

/// Keeps the reading error while the writer is told to give up.
fn remember(kept: &mut Option<RunError>, error: RunError) -> std::io::Error {
    *kept = Some(error);
    std::io::Error::other("reading the run failed")
}

fn write_line(to: &mut impl Write, between: &mut &str, line: &ScoreLine<'_>) -> std::io::Result<()> {
    to.write_all(between.as_bytes())?;
    *between = ",\n";
    serde_json::to_writer(to, line).map_err(Into::into)
}

fn judge(
    profiles: &[&dyn Profile],
    sample: &Sample,
    prediction: &Prediction,
    item: &Item,
) -> Vec<(String, Judgement)> {
    let pictures = item.reply.as_ref().map_or(&[][..], |r| &r.pictures);
    let case = Case { sample, prediction, pictures };
    profiles.iter().map(|p| (p.name().to_owned(), p.judge(&case))).collect()
}

/// Every item in dataset order with its verdicts, for pages and exports; items that the run has not
/// come to have no reply and no verdicts. Read one at a time.
///
/// # Errors
/// When the folder cannot be read; each item may fail on its own.
pub fn view<'a>(
    folder: &'a RunFolder,
    profiles: &'a [&'a dyn Profile],
) -> Result<impl Iterator<Item = Result<JudgedItem, RunError>> + 'a, RunError> {
    Ok(folder.items()?.map(move |item| {
        let item = item?;
        let verdicts = match (&item.line.sample, item.prediction()) {
            (Some(sample), Some(prediction)) => judge(profiles, sample, &prediction, &item),
            _ => Vec::new(),
        };
        Ok(JudgedItem { item, verdicts })
    }))
}

impl JudgedItem {
    /// The words of the reply.
    pub fn reply(&self) -> Option<&str> {
        self.item.reply.as_ref().and_then(|r: &ReplyLine| r.prediction.text())
    }

    /// The decision of the profile of that name.
    pub fn verdict(&self, profile: &str) -> Option<&Judgement> {
        self.verdicts.iter().find(|(name, _)| name == profile).map(|(_, j)| j)
    }
}
