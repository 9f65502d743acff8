//! Phantoms on disk: DICOM series, NIfTI volumes, PNG pictures, and datasets in known layouts.

mod datasets;
mod dicom;
mod folder;
mod nifti;
mod patient;
mod picture;
mod reports;

pub use dicom::dicom_series;
pub use folder::PICTURE_SIZE;
pub use nifti::{nifti_labels, nifti_volume};
pub use picture::png;
pub use reports::write_reports;

use crate::error::PhantomError;
use crate::kind::Kind;
use crate::questions::{self, Qa};
use crate::rng::Rng;
use crate::study::{Plan, Study};
use folder::Folder;
use patient::plan;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Studies, as DICOM, NIfTI or PNG.
    pub studies: usize,
    /// Files of all kinds.
    pub files: usize,
    /// Questions in the VQA-RAD layout.
    pub vqa_rad: usize,
    /// Questions in the SLAKE layout, both languages.
    pub slake: usize,
    /// Regions to find in `grounding/grounding.jsonl`, and to outline in `segmentation/segmentation.jsonl`.
    pub regions: usize,
    /// Questions in `second-look/second-look.jsonl`.
    #[serde(rename = "second_look")]
    pub small_findings: usize,
}

/// Pixels along an edge of the slices of volumes.
pub const VOLUME_SIZE: usize = 256;
/// Slices of a volume and their distance in mm.
pub const VOLUME_SLICES: (usize, f32) = (24, 5.0);

/// What is in a folder of phantoms, for people.
const README: &str = "README.md";
const README_WORDS: &[u8] = include_bytes!("folder.md");

/// Writes `studies` studies of every modality in turn, and datasets of questions about them, into
/// `dir`. The same seed gives the same files. `README.md` in the folder says what is what; questions
/// over several pictures come from [`frame_questions`], which the caller writes as parquet.
///
/// # Errors
/// When a file cannot be written.
pub fn write_all(dir: &Path, seed: u64, studies: usize) -> Result<Summary, PhantomError> {
    if studies == 0 {
        return Err(PhantomError::NoStudies);
    }
    let mut folder = Folder::new(dir);
    let mut summary = Summary { studies, ..Summary::default() };
    let mut index = Vec::new();
    for i in 0..studies {
        index.push(write_study(&mut folder, i, seed)?);
    }
    let pictures: Vec<Study> = (0..studies).map(|i| plan(i, seed, 1).picture(PICTURE_SIZE)).collect();
    let asked: Vec<Vec<Qa>> = pictures
        .iter()
        .enumerate()
        .map(|(i, s)| questions::about(s, 0, &mut Rng::new(seed ^ i as u64, 41)))
        .collect();
    summary.vqa_rad = datasets::vqa_rad(&mut folder, &pictures, &asked)?;
    summary.slake = datasets::slake(&mut folder, &pictures, &asked)?;
    summary.regions = datasets::regions(&mut folder, &pictures)?;
    summary.small_findings = datasets::small_findings(&mut folder, seed, studies)?;
    folder.write_json("studies.json", &json!({ "seed": seed, "studies": index }))?;
    folder.write(README, README_WORDS)?;
    summary.files = folder.files();
    Ok(summary)
}

/// True when [`write_all`] made this folder: it holds its README, word for word.
pub fn is_phantom_folder(dir: &Path) -> bool {
    loupe_core::files::read_at_most(&dir.join(README), 1 << 20).is_ok_and(|words| words == README_WORDS)
}

fn write_study(folder: &mut Folder, i: usize, seed: u64) -> Result<Value, PhantomError> {
    let plan = plan(i, seed, 0);
    let kind = plan.kind;
    let (count, step) = VOLUME_SLICES;
    let size = if kind.is_volume() { VOLUME_SIZE } else { PICTURE_SIZE };
    let study = plan.volume(size, count, step);
    let name = format!("studies/{i:04}-{}", kind.name());
    for (k, bytes) in dicom_series(&study, crate::rng::mix(seed ^ i as u64))?.into_iter().enumerate() {
        folder.write(&format!("{name}/dicom/{k:03}.dcm"), &bytes)?;
    }
    if kind.is_volume() {
        folder.write(&format!("{name}/volume.nii"), &nifti_volume(&study))?;
        folder.write(&format!("{name}/labels.nii"), &nifti_labels(&study, false))?;
        folder.write(&format!("{name}/findings.nii"), &nifti_labels(&study, true))?;
    }
    let key = study.findings.first().map_or(study.slices.len() / 2, |f| f.slice);
    folder.write(&format!("{name}/slice.png"), &png(&study.picture(key)?)?)?;
    Ok(json!({ "folder": name, "kind": kind, "slice": key, "findings": study.findings }))
}

/// A question over two to five pictures, ready for MedFrameQA's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameQuestion {
    /// Unique within the set.
    pub id: String,
    /// Questions with the same video share their pictures.
    pub video: String,
    /// The question.
    pub question: String,
    /// Options without letters.
    pub options: Vec<String>,
    /// Letter of the right option.
    pub letter: char,
    /// Part of the body, modality, and what is asked for.
    pub organ: String,
    /// See `organ`.
    pub modality: String,
    /// See `organ`.
    pub keyword: String,
    /// PNG files, in order.
    pub pictures: Vec<Vec<u8>>,
}

/// The multiple-choice questions over several pictures that belong to a folder of `series` series.
///
/// # Errors
/// When a picture cannot be encoded.
pub fn frame_questions(seed: u64, series: usize) -> Result<Vec<FrameQuestion>, PhantomError> {
    let mut out = Vec::new();
    for i in 0..series {
        let of = crate::rng::mix(seed.wrapping_mul(0x1_0001).wrapping_add(3 << 32 | i as u64)) >> 8;
        let set = questions::series(of, Plan::held_out);
        let mut pictures = Vec::with_capacity(set.plans.len());
        for plan in &set.plans {
            pictures.push(png(&plan.picture(PICTURE_SIZE).picture(0)?)?);
        }
        let kind = set.plans.first().map_or(Kind::CtChest, |p| p.kind);
        for (k, qa) in set.questions.iter().enumerate() {
            let Some(letter) = qa.letter() else { continue };
            out.push(FrameQuestion {
                id: format!("series{i:04}-{k}"),
                video: format!("series{i:04}"),
                question: qa.question.clone(),
                options: qa.options.clone(),
                letter,
                organ: kind.region().to_owned(),
                modality: kind.modality().to_owned(),
                keyword: datasets::content_type(qa.topic).to_owned(),
                pictures: pictures.clone(),
            });
        }
    }
    Ok(out)
}
