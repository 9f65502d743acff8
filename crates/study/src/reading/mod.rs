//! Blinded reading: pages for readers, made from a design and its cases, and the key that stays behind.

mod blinding;
mod key;
mod material;
mod page;

pub use key::{KEY_FORMAT, Key, KeyCase, KeyPage, KeyQuestion};
pub use material::{ArmOutput, CaseMaterial, HiddenText, LesionPlace, TraceStep};

use crate::allocation::{CaseEntry, Step, allocate};
use crate::design::Design;
use crate::error::StudyError;
use loupe_core::files::write_whole;
use loupe_report::WindowPreset;
use page::PageMaker;
pub(crate) use page::digest;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Room for the plan and the scripts beside the images.
const OTHER_BYTES: usize = 1_000_000;

/// What was built.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltStudy {
    /// The key, as `key.json` in the folder has it.
    pub key: Key,
    /// Pages with their sizes in bytes.
    pub pages: Vec<(PathBuf, u64)>,
}

/// Writes a folder for each reader with one page, or one a session, or several, none larger than the design allows; and `key.json`
/// for the coordinator, which must not be given to readers. The same design and cases give the same bytes.
///
/// # Errors
/// When the allocation is not possible, a text would break the blinding, one case is larger than a page may be, or a file cannot
/// be written.
pub fn build(
    design: &Design,
    cases: &[CaseMaterial],
    windows: &[WindowPreset],
    dir: &Path,
) -> Result<BuiltStudy, StudyError> {
    check(design, cases)?;
    let entries: Vec<CaseEntry<'_>> =
        cases.iter().map(|c| CaseEntry { name: &c.name, training: c.training }).collect();
    let allocated = allocate(design, &entries)?;
    let study = &identity(design, cases)?[..16];
    let maker = PageMaker::new(design, study, cases, windows)?;
    let mut key = key_of(design, cases, study);
    let mut pages = Vec::new();
    for (reader, steps) in design.readers.iter().zip(&allocated) {
        let parts = parts(steps, &maker, design.study.max_mb as usize * 1_000_000)?;
        std::fs::create_dir_all(dir.join(reader))?;
        for (n, steps) in (1..).zip(&parts) {
            let file = match parts.len() {
                1 => format!("{reader}/study.html"),
                _ => format!("{reader}/study-{n}.html"),
            };
            let mut bytes = Vec::new();
            let plan = maker.write(&mut bytes, reader, (n, parts.len()), steps)?;
            let path = dir.join(&file);
            write_whole(&path, |out| out.write_all(&bytes))?;
            pages.push((path, bytes.len() as u64));
            key.pages.push(KeyPage { reader: reader.clone(), file, plan, steps: steps.to_vec() });
        }
    }
    key.write(&dir.join("key.json"))?;
    Ok(BuiltStudy { key, pages })
}

fn check(design: &Design, cases: &[CaseMaterial]) -> Result<(), StudyError> {
    let mut names = BTreeSet::new();
    for (number, case) in (1..).zip(cases) {
        if !names.insert(&case.name) {
            return Err(StudyError::design(format!("case {number} has the name of an earlier case")));
        }
        if case.outputs.len() != design.arms.len() || case.series.is_empty() {
            return Err(StudyError::design(format!("case {number} has no images, or lacks an arm")));
        }
    }
    blinding::check(cases)
}

/// What makes this study another than all others.
fn identity(design: &Design, cases: &[CaseMaterial]) -> Result<String, StudyError> {
    // Where the files lie does not change the study.
    let mut design = design.clone();
    (design.cases.run, design.cases.list) = (None, None);
    design.arms.iter_mut().for_each(|arm| arm.run = None);
    let names: Vec<&str> = cases.iter().map(|c| c.name.as_str()).collect();
    Ok(digest(&serde_json::to_string(&(design, names))?))
}

fn key_of(design: &Design, cases: &[CaseMaterial], study: &str) -> Key {
    let case = |case: &CaseMaterial| KeyCase {
        name: case.name.clone(),
        training: case.training,
        truth: case.truth,
        group: case.group.clone(),
        lesions: case.lesions.clone(),
        prior: case.prior,
        lengths: case.outputs.iter().map(|o| o.text.as_ref().map(|t| t.chars().count())).collect(),
        findings: case
            .outputs
            .iter()
            .map(|o| o.marks.iter().flatten().map(|m| m.label.clone()).collect())
            .collect(),
    };
    let question = |q: &crate::design::question::Question| KeyQuestion {
        id: q.id.clone(),
        kind: q.kind,
        required: q.required,
        column: q.column,
        positive: q.positive.clone(),
    };
    Key {
        format: KEY_FORMAT.to_owned(),
        study: study.to_owned(),
        title: design.study.title.clone(),
        washout_days: design.study.washout_days,
        arms: design.arms.iter().map(|a| a.name.clone()).collect(),
        pairs: design.pairs.clone(),
        questions: design.questions.iter().map(question).collect(),
        cases: cases.iter().map(case).collect(),
        pages: Vec::new(),
    }
}

/// All steps in one page; where that is too large, each session's; where that is, as many as have room.
fn parts(steps: &[Step], maker: &PageMaker<'_>, most: usize) -> Result<Vec<Vec<Step>>, StudyError> {
    let size = |steps: &[Step]| {
        let cases: BTreeSet<usize> = steps.iter().map(|s| s.case).collect();
        cases.into_iter().map(|case| maker.size(case)).sum::<usize>() + OTHER_BYTES
    };
    if size(steps) <= most {
        return Ok(vec![steps.to_vec()]);
    }
    let mut parts: Vec<Vec<Step>> = Vec::new();
    for session in steps.chunk_by(|a, b| a.session == b.session) {
        let mut part: Vec<Step> = Vec::new();
        for step in session {
            part.push(*step);
            if size(&part) > most {
                part.pop();
                if part.is_empty() {
                    return Err(StudyError::design(format!(
                        "one case takes {} MB, and `max_mb` is {}; show fewer slices (`around`), or allow larger files",
                        size(&[*step]) / 1_000_000,
                        most / 1_000_000
                    )));
                }
                parts.push(std::mem::replace(&mut part, vec![*step]));
            }
        }
        parts.push(part);
    }
    Ok(parts)
}
