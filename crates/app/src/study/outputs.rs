//! What a run gives readers to see.

use super::images::CaseImages;
use crate::error::{AppError, InStep};
use loupe_core::sample::Outcome;
use loupe_core::{DatasetInfo, Finding, Trace};
use loupe_report::pages::document::BoxKind;
use loupe_report::pages::kit::place::Mark;
use loupe_run::{ReplyLine, RunFolder};
use loupe_study::reading::{ArmOutput, TraceStep};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The replies of an arm's run by the ids of their samples.
pub(super) struct ArmReplies {
    pub(super) dir: PathBuf,
    pub(super) model: String,
    pub(super) dataset: DatasetInfo,
    replies: HashMap<String, ReplyLine>,
}

impl ArmReplies {
    pub(super) fn read(dir: &Path) -> Result<Self, AppError> {
        let run = RunFolder::open(dir).step(|| format!("the run in {} could not be read", dir.display()))?;
        let mut replies = HashMap::new();
        for item in run.items()? {
            let item = item?;
            if let (0, Some(reply)) = (item.rollout, item.reply) {
                replies.insert(item.line.id(), reply);
            }
        }
        Ok(Self {
            dir: dir.to_path_buf(),
            model: run.made_by.model.name.clone(),
            dataset: run.made_by.dataset,
            replies,
        })
    }
}

/// What the run says of a case, on its images.
pub(super) fn output(
    replies: &ArmReplies,
    case: &str,
    images: &[&CaseImages],
) -> Result<ArmOutput, AppError> {
    let line = replies.replies.get(case);
    let line = line.ok_or_else(|| AppError::input("the run of an arm has no reply to it"))?;
    let reply = match &line.prediction.outcome {
        Outcome::Reply(reply) => reply,
        Outcome::Failed(_) => return Err(AppError::input("the run of an arm failed on it")),
    };
    let mut marks: Vec<Vec<Mark>> = vec![Vec::new(); images.len()];
    for (number, finding) in (1..).zip(&reply.findings) {
        let placed = place(finding, number, images).ok_or_else(|| {
            AppError::input("a finding of an arm lies on a slice that is not shown; raise `around`")
        })?;
        marks[placed.0].push(placed.1);
    }
    let trace = line.prediction.record.rounds();
    Ok(ArmOutput {
        marks,
        text: Some(reply.text.trim().to_owned()).filter(|t| !t.is_empty()),
        trace: trace.map(|t| steps(t, images)).unwrap_or_default(),
    })
}

/// The series with the slice of a finding, and its mark there.
fn place(finding: &Finding, number: usize, images: &[&CaseImages]) -> Option<(usize, Mark)> {
    let found = images.iter().enumerate().find_map(|(n, i)| Some((n, *i, i.slice_of(&finding.origin)?)));
    let (series, shown, slice) = found?;
    let moved = match finding.as_mask() {
        Some(_) => finding.clone(),
        None => finding.moved_to(0, shown.origins.get(slice)?)?,
    };
    let label = finding.label.as_deref().unwrap_or_default();
    let score = finding.score.map(|s| format!(" {:.0} %", 100.0 * s)).unwrap_or_default();
    let label = format!("{number} {label}{score}").trim().to_owned();
    let mark = Mark::of(&moved, slice, label, BoxKind::Model)?;
    Some((series, mark))
}

/// The rounds in words, with the places that were looked at.
fn steps(trace: &Trace, images: &[&CaseImages]) -> Vec<TraceStep> {
    let looked = |round: &loupe_core::trace::Round| {
        let region = round.action.as_ref()?.regions.first()?;
        let origin = &trace.pictures.get(region.picture)?.origin;
        let found = images.iter().enumerate().find_map(|(n, i)| Some((n, *i, i.slice_of(origin)?)));
        let (series, shown, slice) = found?;
        let own = shown.origins.get(slice)?;
        Some((series, slice, own.source_from_self.inverse()?.boxed(region.region).xyxy()))
    };
    let step = |round: &loupe_core::trace::Round| {
        let place = looked(round);
        TraceStep {
            said: round.words().trim().to_owned(),
            did: round.action.as_ref().map(|a| a.name.clone()).unwrap_or_default(),
            series: place.map_or(0, |(series, ..)| series),
            slice: place.map(|(_, slice, _)| slice),
            region: place.map(|(.., region)| region),
        }
    };
    trace.rounds.iter().map(step).collect()
}
