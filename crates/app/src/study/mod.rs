//! Cases of a reader study from runs and images, and its pages.

mod images;
mod outputs;

use crate::error::{AppError, InStep};
use crate::listener::Listener;
use crate::open::{ImageOptions, reference};
use crate::pages::windows;
use images::{CaseImages, load};
use loupe_core::media::WindowChoice;
use loupe_core::{Box2, DatasetInfo, Labelled, MediaRef, Sample, SliceAt, Source, Target, View};
use loupe_preprocess::Loader;
use loupe_run::{RunFolder, run_name};
use loupe_study::design::list::{CaseRow, read_list};
use loupe_study::design::{Design, Shown};
use loupe_study::reading::{ArmOutput, BuiltStudy, CaseMaterial, HiddenText, LesionPlace, build};
use outputs::{ArmReplies, output};
use std::path::Path;

/// What was built, and what was left out.
#[derive(Debug)]
pub struct BuildOutcome {
    /// Pages and key.
    pub built: BuiltStudy,
    /// Cases that are in no arm, each with the reason; by number, from 1, as the run or list has them.
    pub left_out: Vec<String>,
}

/// Builds the study of a `study.toml` into a folder.
///
/// # Errors
/// When the design does not allow it, a run or list cannot be read, no case is left, or a page would break the blinding.
pub fn build_study(
    file: &Path,
    output: &Path,
    images: &ImageOptions,
    listener: &dyn Listener,
) -> Result<BuildOutcome, AppError> {
    let design = Design::read(file).step(|| format!("{} could not be used", file.display()))?;
    let loader = images.loader();
    let arms: Vec<Option<ArmReplies>> = design
        .arms
        .iter()
        .map(|arm| arm.run.as_deref().map(ArmReplies::read).transpose())
        .collect::<Result<_, AppError>>()?;
    let source = CaseSource::read(&design)?;
    let (mut cases, mut left_out) = (Vec::new(), Vec::new());
    listener.begin(source.rows.len() as u64);
    for (number, row) in (1..).zip(&source.rows) {
        match case(&design, row, &source, &arms, &loader) {
            Ok(case) => cases.push(case),
            Err(e) => left_out.push(format!("case {number} is left out: {}", e.in_one_line())),
        }
        listener.advance(source.rows.len() as u64);
    }
    listener.end();
    if cases.is_empty() {
        return Err(AppError::input(format!("no case could be used. {}", left_out.join("; "))));
    }
    let built = build(&design, &cases, &windows(), output)
        .step(|| format!("the study could not be built into {}", output.display()))?;
    Ok(BuildOutcome { built, left_out })
}

/// A case before its images are read.
struct CaseEntry {
    name: String,
    training: bool,
    question: Option<String>,
    feedback: Option<String>,
    group: Option<String>,
    truth: Option<bool>,
    /// Lesions in slices and pixels of the source.
    lesions: Vec<LesionPlace>,
    /// Lesions of a sample, which lie on its own slice.
    on_own_slice: bool,
    media: Vec<(String, MediaRef)>,
    /// Which of them is an earlier study.
    prior: Option<usize>,
    /// All slices of the volume?
    whole: bool,
    hidden: Vec<HiddenText>,
}

struct CaseSource {
    rows: Vec<Result<CaseEntry, String>>,
    hidden: Vec<HiddenText>,
}

fn hidden(what: &'static str, text: impl Into<String>) -> HiddenText {
    HiddenText { what, text: text.into() }
}

/// A name of a folder, file, set or case; nothing for a plain word, which may well stand in a text about something else.
fn name(what: &'static str, text: impl Into<String>) -> Option<HiddenText> {
    let text: String = text.into();
    text.chars().any(|c| !c.is_alphabetic()).then(|| hidden(what, text))
}

/// Names that tell which run it is.
fn names_of_run(dir: &Path, model: &str, dataset: &DatasetInfo) -> Vec<HiddenText> {
    let folder = name("the name of a run", run_name(dir));
    let all =
        [Some(hidden("the name of a model", model)), name("the name of a data set", &dataset.name), folder];
    all.into_iter().flatten().collect()
}

impl CaseSource {
    fn read(design: &Design) -> Result<Self, AppError> {
        if let Some(list) = &design.cases.list {
            let rows = read_list(list).step(|| format!("{} could not be read", list.display()))?;
            return Ok(Self { rows: rows.iter().map(of_row).collect(), hidden: Vec::new() });
        }
        let Some(dir) = &design.cases.run else {
            return Err(AppError::input("[cases] of study.toml needs `run` or `list`"));
        };
        let run = RunFolder::open(dir)?;
        let made_by = &run.made_by;
        let mut rows = Vec::new();
        let most = design.cases.limit.unwrap_or(usize::MAX);
        for item in run.items()?.filter(|item| item.as_ref().map_or(true, |i| i.rollout == 0)).take(most) {
            let line = item?.line;
            let training = rows.len() < design.cases.training;
            rows.push(match line.sample {
                Some(sample) => Ok(of_sample(&sample, training, design.cases.show_question)),
                None => Err(line.error.unwrap_or_else(|| "the run has no sample there".to_owned())),
            });
        }
        Ok(Self { rows, hidden: names_of_run(dir, &made_by.model.name, &made_by.dataset) })
    }
}

fn of_row(row: &CaseRow) -> Result<CaseEntry, String> {
    let view = View {
        slice: row.slice.map(SliceAt::Index),
        window: row.window.clone().filter(|w| !w.is_empty()).map(WindowChoice::Preset),
        ..View::default()
    };
    let open =
        |path: &Path, view: View| reference(path, view).map_err(|_| "an image of it is not there".to_owned());
    let whole = View { slice: None, ..view.clone() };
    let mut media = Vec::new();
    for (n, image) in row.images.iter().enumerate() {
        let title =
            if row.images.len() > 1 { format!("Image {}", n + 1) } else { "Current study".to_owned() };
        media.push((title, open(image, if n == 0 { view.clone() } else { whole.clone() })?));
    }
    let prior = row.prior.as_ref().map(|_| media.len());
    if let Some(prior) = &row.prior {
        media.push(("Earlier study".to_owned(), open(prior, whole)?));
    }
    let filled = |cell: &Option<String>| cell.clone().filter(|text| !text.trim().is_empty());
    let lesions = row.places().unwrap_or_default();
    let file = |path: &Path| name("the name of a file", path.file_stem()?.to_string_lossy());
    let mut names: Vec<HiddenText> = name("the name of a case", &row.case).into_iter().collect();
    names.extend(row.images.iter().chain(&row.prior).filter_map(|p| file(p)));
    Ok(CaseEntry {
        name: row.case.clone(),
        training: row.is_training(),
        question: filled(&row.question),
        feedback: filled(&row.feedback),
        group: filled(&row.group),
        truth: row.truth().or((!lesions.is_empty()).then_some(true)),
        lesions,
        on_own_slice: false,
        media,
        prior,
        whole: row.slice.is_none(),
        hidden: names,
    })
}

fn of_sample(sample: &Sample, training: bool, question: bool) -> CaseEntry {
    let place = |(n, b): (usize, &Labelled<Box2<Source>>)| LesionPlace {
        name: (n + 1).to_string(),
        weight: None,
        series: b.picture,
        slices: [0, 0],
        xyxy: b.at.xyxy(),
    };
    let (truth, lesions) = match &sample.target {
        Target::Boxes(all) => (Some(!all.is_empty()), all.iter().enumerate().map(place).collect::<Vec<_>>()),
        Target::Text(all) => match all.first().map(|t| t.trim().to_lowercase()).as_deref() {
            Some("yes") => (Some(true), Vec::new()),
            Some("no") => (Some(false), Vec::new()),
            _ => (None, Vec::new()),
        },
        _ => (None, Vec::new()),
    };
    let mut names: Vec<HiddenText> = name("the name of a case", &sample.id).into_iter().collect();
    names.extend(sample.media.iter().filter_map(|m| name("the name of a file", &m.name)));
    names.extend(
        sample
            .media
            .iter()
            .filter_map(|m| name("the name of a file", Path::new(&m.name).file_stem()?.to_string_lossy())),
    );
    let several = sample.media.len() > 1;
    let title = |n: usize| if several { format!("Picture {}", n + 1) } else { String::new() };
    let options = sample.choices.iter().map(|c| format!("\n{}. {}", c.letter, c.text)).collect::<String>();
    CaseEntry {
        name: sample.id.clone(),
        training,
        question: question.then(|| format!("{}{options}", sample.question)),
        feedback: None,
        group: Some(sample.group.clone()).filter(|g| !g.is_empty()),
        truth,
        lesions,
        on_own_slice: true,
        media: sample.media.iter().cloned().enumerate().map(|(n, m)| (title(n), m)).collect(),
        prior: None,
        whole: false,
        hidden: names.into_iter().chain(reference_text(&sample.target)).collect(),
    }
}

/// A reference of many words, which no reply has by chance.
fn reference_text(target: &Target) -> Vec<HiddenText> {
    let texts: Vec<&String> = match target {
        Target::Text(all) => all.iter().collect(),
        Target::Report(sections) => sections.values().collect(),
        _ => Vec::new(),
    };
    let long = texts.into_iter().filter(|t| t.split_whitespace().count() >= 6);
    long.map(|t| hidden("the reference", t.as_str())).collect()
}

fn case(
    design: &Design,
    entry: &Result<CaseEntry, String>,
    source: &CaseSource,
    arms: &[Option<ArmReplies>],
    loader: &Loader,
) -> Result<CaseMaterial, AppError> {
    let entry = entry.as_ref().map_err(AppError::input)?;
    let mut images = Vec::new();
    for (number, (title, media)) in entry.media.iter().enumerate() {
        let around = if entry.whole { None } else { Some(design.cases.around) };
        // Further images are shown in full; nothing says which of their slices belongs to that of the first.
        let around = if number > 0 && !entry.on_own_slice { None } else { around };
        images.push((title.clone(), load(media, around, loader)?));
    }
    let lesions = lesions(entry, &images)?;
    let mut hidden = entry.hidden.clone();
    hidden.extend(source.hidden.iter().cloned());
    let mut outputs = Vec::new();
    for (arm, replies) in design.arms.iter().zip(arms) {
        let Some(replies) = replies else {
            outputs.push(ArmOutput::default());
            continue;
        };
        hidden.extend(names_of_run(&replies.dir, &replies.model, &replies.dataset));
        let shown = |what: Shown| arm.show.contains(&what);
        let seen: Vec<&CaseImages> = images.iter().map(|(_, images)| images).collect();
        let mut made = output(replies, &entry.name, &seen)?;
        if !shown(Shown::Marks) {
            made.marks = Vec::new();
        }
        if !shown(Shown::Text) {
            made.text = None;
        }
        if !shown(Shown::Trace) {
            made.trace = Vec::new();
        }
        outputs.push(made);
    }
    Ok(CaseMaterial {
        name: entry.name.clone(),
        training: entry.training,
        question: entry.question.clone(),
        truth: entry.truth,
        group: entry.group.clone(),
        lesions,
        prior: entry.prior,
        feedback: entry.feedback.clone(),
        outputs,
        hidden,
        series: images.into_iter().map(|(title, images)| (title, images.series)).collect(),
    })
}

/// Lesions of the source in pixels and slices of their series.
fn lesions(entry: &CaseEntry, images: &[(String, CaseImages)]) -> Result<Vec<LesionPlace>, AppError> {
    let place = |lesion: &LesionPlace| {
        let (_, images) = images.get(lesion.series)?;
        let first = images.series.first;
        let slices = if entry.on_own_slice {
            // A reader may mark a neighbour of the slice that the reference names.
            Some([first.saturating_sub(1), (first + 1).min(images.origins.len() - 1)])
        } else {
            images.slices_of(lesion.slices)
        };
        let origin = images.origins.get(first)?;
        let xyxy = origin.source_from_self.inverse()?.boxed(Box2::new(
            lesion.xyxy[0],
            lesion.xyxy[1],
            lesion.xyxy[2],
            lesion.xyxy[3],
        ));
        Some(LesionPlace { slices: slices?, xyxy: xyxy.xyxy(), ..lesion.clone() })
    };
    let placed: Option<Vec<LesionPlace>> = entry.lesions.iter().map(place).collect();
    placed.ok_or_else(|| AppError::input("a lesion lies on a slice that is not shown; raise `around`"))
}
