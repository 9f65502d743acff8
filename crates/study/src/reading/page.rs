//! What is inside the page of a reader: the plan, which script `reading.js` reads.

use super::material::{ArmOutput, CaseMaterial, TraceStep};
use crate::allocation::{Step, Task};
use crate::design::Design;
use crate::design::question::Question;
use crate::error::StudyError;
use loupe_report::WindowPreset;
use loupe_report::pages::kit::place::Mark;
use loupe_report::pages::kit::series::Series;
use loupe_report::pages::kit::shell::{Block, Shell, VIEWER_CSS, VIEWER_JS};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;

const BODY: &str = "<noscript>This page is a script inside the file; allow scripts for it.</noscript>\n\
                    <header id=\"head\"></header>\n<main id=\"page\"></main>";

/// One of two outputs, or the only one.
#[derive(Debug, Serialize)]
struct View<'a> {
    series: Vec<String>,
    /// On each series.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    marks: Vec<Vec<Mark>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "<[TraceStep]>::is_empty")]
    trace: &'a [TraceStep],
}

#[derive(Debug, Serialize)]
struct PlanStep<'a> {
    session: usize,
    #[serde(skip_serializing_if = "is_false")]
    training: bool,
    #[serde(skip_serializing_if = "is_false")]
    compare: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<&'a str>,
    /// What each series is called.
    titles: Vec<&'a str>,
    views: Vec<View<'a>>,
}

fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Debug, Serialize)]
struct Part {
    n: usize,
    of: usize,
}

#[derive(Debug, Serialize)]
struct Plan<'a> {
    study: &'a str,
    title: &'a str,
    instructions: &'a str,
    reader: &'a str,
    part: Part,
    washout_days: u32,
    idle_seconds: u32,
    windows: &'a [WindowPreset],
    questions: &'a [Question],
    steps: Vec<PlanStep<'a>>,
    /// SHA-256 of each series' block.
    series: BTreeMap<String, String>,
}

/// What pages of a study share.
pub(super) struct PageMaker<'a> {
    pub(super) design: &'a Design,
    pub(super) study: &'a str,
    pub(super) cases: &'a [CaseMaterial],
    pub(super) windows: &'a [WindowPreset],
    /// The blocks of each case's series with their digests.
    pub(super) series: Vec<Vec<(Block, String)>>,
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

impl<'a> PageMaker<'a> {
    pub(super) fn new(
        design: &'a Design,
        study: &'a str,
        cases: &'a [CaseMaterial],
        windows: &'a [WindowPreset],
    ) -> Result<Self, StudyError> {
        let block = |(_, series): &(String, Series)| {
            let block = Block::of(series)?;
            let sum = digest(block.text());
            Ok((block, sum))
        };
        let series: Result<Vec<Vec<_>>, StudyError> =
            cases.iter().map(|case| case.series.iter().map(block).collect()).collect();
        Ok(Self { design, study, cases, windows, series: series? })
    }

    /// Bytes of the images of a case.
    pub(super) fn size(&self, case: usize) -> usize {
        self.series.get(case).into_iter().flatten().map(|(block, _)| block.text().len() + 80).sum()
    }

    /// Writes the page of these steps and returns the digest of its plan.
    pub(super) fn write(
        &self,
        out: &mut impl Write,
        reader: &str,
        (n, of): (usize, usize),
        steps: &[Step],
    ) -> Result<String, StudyError> {
        // Series are called in the order in which they are first seen, which tells nothing of the cases.
        let mut ids: BTreeMap<(usize, usize), String> = BTreeMap::new();
        let mut order = Vec::new();
        for step in steps {
            for number in 0..self.cases[step.case].series.len() {
                ids.entry((step.case, number)).or_insert_with(|| {
                    order.push((step.case, number));
                    format!("i{}", order.len())
                });
            }
        }
        let plan = Plan {
            study: self.study,
            title: &self.design.study.title,
            instructions: &self.design.study.instructions,
            reader,
            part: Part { n, of },
            washout_days: self.design.study.washout_days,
            idle_seconds: self.design.study.idle_seconds,
            windows: self.windows,
            questions: &self.design.questions,
            steps: steps.iter().map(|step| self.step(step, &ids)).collect(),
            series: ids.iter().map(|(at, id)| (id.clone(), self.series[at.0][at.1].1.clone())).collect(),
        };
        let plan = Block::of(&plan)?;
        let shell = Shell {
            title: &self.design.study.title,
            css: &[VIEWER_CSS, include_str!("reading.css")],
            scripts: &[
                VIEWER_JS,
                include_str!("sha256.js"),
                include_str!("answers.js"),
                include_str!("questions.js"),
                include_str!("reading.js"),
            ],
            body: BODY,
        };
        let images = order.iter().map(|at| (ids[at].as_str(), &self.series[at.0][at.1].0));
        shell.write(out, [("plan", &plan)].into_iter().chain(images))?;
        Ok(digest(plan.text()))
    }

    fn step(&self, step: &Step, ids: &BTreeMap<(usize, usize), String>) -> PlanStep<'a> {
        let case = &self.cases[step.case];
        let shown: Vec<usize> = match step.task {
            Task::Arm(arm) => vec![arm],
            Task::Pair { pair, flipped } => {
                let [first, second] = self.design.pairs[pair];
                if flipped { vec![second, first] } else { vec![first, second] }
            }
        };
        let series: Vec<String> = (0..case.series.len()).map(|n| ids[&(step.case, n)].clone()).collect();
        let views = shown.into_iter().map(|arm| view(&case.outputs[arm], series.clone()));
        PlanStep {
            session: step.session,
            training: step.training,
            compare: matches!(step.task, Task::Pair { .. }),
            question: case.question.as_deref(),
            feedback: case.feedback.as_deref().filter(|_| step.training),
            titles: case.series.iter().map(|(title, _)| title.as_str()).collect(),
            views: views.collect(),
        }
    }
}

/// Marks are called by their number, whatever the run called them.
fn view(output: &ArmOutput, series: Vec<String>) -> View<'_> {
    let mut number = 0;
    let mut called = |mark: &Mark| {
        number += 1;
        Mark { id: Some(format!("f{number}")), ..mark.clone() }
    };
    let marks: Vec<Vec<Mark>> =
        output.marks.iter().map(|marks| marks.iter().map(&mut called).collect()).collect();
    View {
        series,
        marks: if marks.iter().all(Vec::is_empty) { Vec::new() } else { marks },
        text: output.text.as_deref(),
        trace: &output.trace,
    }
}
