//! The studies to report on: a worklist, ReXrank's file, a DICOM folder or archive, or a dataset by its name.

use super::recipe::RecipeSet;
use crate::error::{AppError, InStep};
use crate::open::{DataOptions, ImageOptions};
use loupe_core::files::open_regular;
use loupe_core::{Dataset, MediaSource, Sample, Study};
use loupe_datasets::open_with_images;
use loupe_preprocess::dicom::studies::StudyFolder;
use loupe_run::report_prompt::ReportTemplate;
use loupe_run::{SampleLine, Selection};
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where the studies are named.
#[derive(Debug, Clone)]
pub struct WorklistOptions {
    /// A file, a folder, or `SET=DIR`.
    pub input: String,
    /// Folder that image paths of a worklist start from, where that is not the worklist's own.
    pub images: Option<PathBuf>,
    /// Show volumes as this published recipe prepares them.
    pub recipe: Option<String>,
}

/// What names the studies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WorklistKind {
    /// JSON lines, JSON or a table, one study a row.
    Worklist,
    /// ReXrank's file.
    Rexrank,
    /// DICOM files by Study Instance UID.
    Dicom,
    /// A dataset by its name.
    Dataset,
}

/// A file that is not shown, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOutFile {
    /// Its path below the folder that was named.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// An image of a listed study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedImage {
    /// The worklist's or folder's name for it.
    pub name: String,
    /// Its view, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// Is it of an earlier study?
    pub prior: bool,
    /// Does the template show it?
    pub shown: bool,
    /// Why it will fail, as far as that can be told without decoding it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A study as it would be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedStudy {
    /// Its id.
    pub study_id: String,
    /// Its images, priors last.
    pub images: Vec<ListedImage>,
    /// The words of the first prompt; `[n]` stands where image n is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Why it will be skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

/// What would be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// What names the studies.
    pub kind: WorklistKind,
    /// The studies.
    pub studies: Vec<ListedStudy>,
    /// Files that are no image to report on.
    pub left_out: Vec<LeftOutFile>,
}

/// An open worklist.
pub(super) struct Worklist {
    pub(super) set: Box<dyn Dataset>,
    pub(super) kind: WorklistKind,
    /// The file, where there is one.
    pub(super) file: PathBuf,
    pub(super) left_out: Vec<LeftOutFile>,
}

impl WorklistOptions {
    /// Opens it; where a recipe is named, its volumes are prepared once to see how many pictures each becomes.
    pub(super) fn open(&self, images: &ImageOptions) -> Result<Worklist, AppError> {
        let mut worklist = self.open_plain(images)?;
        if let Some(recipe) = &self.recipe {
            worklist.set = Box::new(RecipeSet::open(worklist.set, recipe, images)?);
        }
        Ok(worklist)
    }

    fn open_plain(&self, images: &ImageOptions) -> Result<Worklist, AppError> {
        let path = PathBuf::from(&self.input);
        if !path.exists() && self.input.contains('=') {
            let set = DataOptions::parse(&self.input, None)?.open()?;
            return Ok(Worklist { set, kind: WorklistKind::Dataset, file: path, left_out: Vec::new() });
        }
        let path = own_worklist(&path).unwrap_or(path);
        let named = || format!("the worklist {} could not be opened", path.display());
        let kind = kind_of(&path).step(named)?;
        if self.images.is_some() && kind == WorklistKind::Dicom {
            return Err(AppError::input(
                "--images belongs to a worklist; a DICOM folder names its own images",
            ));
        }
        let (set, left_out): (Box<dyn Dataset>, _) = match kind {
            WorklistKind::Dicom => {
                let folder = StudyFolder::open(&path, self.recipe.is_some(), &images.limits).step(named)?;
                let left_out = folder.left_out.iter();
                let left_out = left_out
                    .map(|out| LeftOutFile { file: out.file.clone(), reason: out.reason.clone() })
                    .collect();
                (Box::new(folder), left_out)
            }
            WorklistKind::Rexrank => {
                (open_with_images("rexrank", &path, None, self.images.as_deref()).step(named)?, Vec::new())
            }
            _ => (open_with_images("worklist", &path, None, self.images.as_deref()).step(named)?, Vec::new()),
        };
        Ok(Worklist { set, kind, file: path, left_out })
    }
}

/// The file `worklist.*` of a folder that has one.
fn own_worklist(folder: &Path) -> Option<PathBuf> {
    let named = ["jsonl", "json", "csv", "tsv"].map(|ending| folder.join(format!("worklist.{ending}")));
    named.into_iter().find(|file| file.is_file())
}

/// What the path holds, by its ending, and for JSON by how it begins.
fn kind_of(path: &Path) -> Result<WorklistKind, AppError> {
    if path.is_dir() {
        return Ok(WorklistKind::Dicom);
    }
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "jsonl" | "ndjson" | "csv" | "tsv" => Ok(WorklistKind::Worklist),
        "json" => {
            let mut head = Vec::new();
            open_regular(path)?.take(4096).read_to_end(&mut head)?;
            let head = String::from_utf8_lossy(&head);
            let object = head.trim_start_matches('\u{feff}').trim_start().starts_with('{');
            Ok(if object { WorklistKind::Rexrank } else { WorklistKind::Worklist })
        }
        _ if path.is_file() => Ok(WorklistKind::Dicom),
        _ => Err(AppError::input(
            "there is no such file or folder; name a worklist (.jsonl, .json, .csv, .tsv), a ReXrank file (.json), a DICOM folder or \
             archive, or a dataset as SET=DIR",
        )),
    }
}

impl Worklist {
    /// What would be asked with this template.
    pub(super) fn listing(&self, template: &ReportTemplate, selection: &Selection) -> Listing {
        let rows = (0..self.set.len()).map(|row| (row, self.set.get(row)));
        let chosen = rows.filter(|(_, sample)| {
            selection.ids.is_empty() || sample.as_ref().is_ok_and(|sample| selection.ids.contains(&sample.id))
        });
        let studies = chosen.take(selection.limit.unwrap_or(usize::MAX)).map(|(row, sample)| match sample {
            Ok(sample) => listed(&sample, template),
            Err(error) => ListedStudy {
                study_id: SampleLine { row, sample: None, error: None }.id(),
                images: Vec::new(),
                prompt: None,
                skipped: Some(error.to_string()),
            },
        });
        Listing { kind: self.kind, studies: studies.collect(), left_out: self.left_out.clone() }
    }
}

fn listed(sample: &Sample, template: &ReportTemplate) -> ListedStudy {
    let study = Study::of(sample);
    let turns = template.turns(sample);
    let shown = template.shown(sample).unwrap_or_default();
    let images: Vec<ListedImage> = sample
        .media
        .iter()
        .zip(&study.images)
        .enumerate()
        .map(|(at, (media, image))| ListedImage {
            name: media.name.clone(),
            view: image.view.clone(),
            prior: image.prior,
            shown: shown.contains(&at),
            problem: match &media.source {
                MediaSource::File(path) | MediaSource::Folder(path) if !path.exists() => {
                    Some("image file not found".to_owned())
                }
                _ => None,
            },
        })
        .collect();
    let missing = images
        .iter()
        .enumerate()
        .find_map(|(at, image)| image.problem.as_ref().map(|problem| format!("image {}: {problem}", at + 1)));
    let prompt = turns.as_ref().ok().map(|turns| {
        let words = turns.iter().map(|turn| {
            let parts = turn.parts.iter().map(|part| match part {
                loupe_core::Part::Text(text) => text.clone(),
                loupe_core::Part::Picture(at) => format!("[{}]", at + 1),
            });
            parts.collect::<String>()
        });
        words.collect::<Vec<_>>().join("\n---\n")
    });
    let skipped = turns.err().map(|failure| failure.reason).or(missing);
    ListedStudy { study_id: sample.id.clone(), images, prompt, skipped }
}
