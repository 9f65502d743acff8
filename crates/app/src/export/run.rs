//! The images and findings of a run.

use super::looked_at::LookedAt;
use super::request::ExportRequest;
use crate::error::{AppError, InStep};
use crate::findings::view_name;
use loupe_core::sample::Outcome;
use loupe_core::words::counted;
use loupe_core::{
    Box2, Dataset, Finding, MediaRef, MediaSource, Origin, Place, Point2, Provenance, Sample, Target,
};
use loupe_preprocess::Loader;
use loupe_report::dicom::Author;
use loupe_run::{Item, MadeBy, RunFolder, utc};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// What the run in the request's folder looked at and found.
///
/// # Errors
/// When the folder or the set cannot be read.
pub(super) fn read(request: &ExportRequest) -> Result<LookedAt, AppError> {
    let dir = &request.input;
    let words = || format!("{} could not be read", dir.display());
    let dataset = request.data.as_ref().map(|data| data.open()).transpose()?;
    let folder = RunFolder::open(dir).step(words)?;
    let folder = folder.with_data_root(dataset.as_deref().and_then(|set| set.root()));
    let loader = request.images.loader();
    let mut out = LookedAt::by(author(&folder.made_by, dir));
    let (mut failed, mut nowhere) = (0, 0);
    for item in folder.items().step(words)? {
        let item = item.step(words)?;
        let Some(sample) = &item.line.sample else {
            failed += 1;
            continue;
        };
        match item.reply.as_ref().map(|r| &r.prediction.outcome) {
            Some(Outcome::Reply(_)) => {}
            _ => failed += 1,
        }
        nowhere += add(&mut out, &item, sample, dataset.as_deref(), &loader);
    }
    if failed > 0 {
        out.notes.push(format!("{} of the run without a reply", counted(failed, "item")));
    }
    if nowhere > 0 {
        out.notes.push(format!(
            "{} left out: nothing says which image of the sample they are on",
            counted(nowhere, "finding")
        ));
    }
    Ok(out)
}

/// Who made the findings of a run: the last of its commands says when.
fn author(made_by: &MadeBy, dir: &Path) -> Author {
    let identity = match &made_by.model.from {
        Provenance::Checkpoint(checkpoint) => checkpoint.weights_sha256.clone(),
        Provenance::Served { url, .. } => url.clone(),
        Provenance::Imported { file_sha256 } => file_sha256.clone(),
    };
    let session = made_by.sessions.last().map(|s| s.ended.clone().unwrap_or_else(|| s.started.clone()));
    let made = session.unwrap_or_else(|| modified(&dir.join("replies.jsonl")));
    Author {
        model: made_by.model.name.clone(),
        identity,
        version: made_by.loupe.clone(),
        made: date_and_time(&made),
    }
}

/// When a file was last written, as records have it.
pub(super) fn modified(file: &Path) -> String {
    utc(std::fs::metadata(file).and_then(|facts| facts.modified()).unwrap_or(UNIX_EPOCH))
}

/// `2026-01-31T09:05:00Z` as DICOM has date and time.
pub(super) fn date_and_time(rfc3339: &str) -> [String; 2] {
    let digits = |part: &str| part.chars().filter(char::is_ascii_digit).collect::<String>();
    let (date, time) = rfc3339.split_once('T').unwrap_or((rfc3339, ""));
    [digits(date).chars().take(8).collect(), digits(time).chars().take(6).collect()]
}

/// Enters an item's images, findings and references; returns how many findings lie on none of its images.
fn add(
    out: &mut LookedAt,
    item: &Item,
    sample: &Sample,
    dataset: Option<&dyn Dataset>,
    loader: &Loader,
) -> usize {
    let Some(line) = &item.reply else { return 0 };
    // Pictures inside the set's own files are read from there.
    let inside = sample.media.iter().any(|m| matches!(m.source, MediaSource::Bytes(_)));
    let again = dataset.filter(|_| inside).and_then(|set| set.get(item.line.row).ok());
    let media: &[MediaRef] = again.as_ref().map_or(&sample.media, |s| &s.media);
    let enter = |out: &mut LookedAt, origin: &Origin| {
        let (n, view) = origin.view_again(media)?;
        let name = view_name(origin, &view.name);
        Some((n, out.image(origin, &name, view, loader)))
    };
    let mut seen: Vec<(usize, usize)> = Vec::new();
    for picture in &line.pictures {
        seen.extend(enter(out, &picture.origin));
    }
    let mut nowhere = 0;
    if let Outcome::Reply(reply) = &line.prediction.outcome {
        for finding in &reply.findings {
            match enter(out, &finding.origin) {
                Some((_, image)) => out.find(image, finding.clone()),
                None => nowhere += 1,
            }
        }
    }
    for (n, reference) in references(sample) {
        if let Some((_, image)) = seen.iter().find(|(of, _)| *of == n) {
            let origin = out.whole(*image);
            out.refer(*image, Finding { origin, ..reference });
        }
    }
    nowhere
}

/// Boxes and points of the reference, with the number of their image; in pixels of the source.
fn references(sample: &Sample) -> Vec<(usize, Finding)> {
    let finding = |picture, at, label: &str| {
        let origin = Origin::unknown();
        (picture, Finding { picture: 0, at, label: Some(label.to_owned()), score: None, origin })
    };
    match &sample.target {
        Target::Boxes(all) => {
            let one = |b: &loupe_core::Labelled<Box2<loupe_core::Source>>| {
                let [x0, y0, x1, y1] = b.at.xyxy();
                finding(b.picture, Place::Box(Box2::new(x0, y0, x1, y1)), &b.label)
            };
            all.iter().map(one).collect()
        }
        Target::Points(all) => all
            .iter()
            .map(|p| finding(p.picture, Place::Point(Point2::new(p.at.x, p.at.y)), &p.label))
            .collect(),
        _ => Vec::new(),
    }
}
