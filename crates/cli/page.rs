//! From a run folder to the report page.

use crate::second_look::view_again;
use anyhow::Result;
use loupe_core::MaskTrace;
use loupe_core::ask::{FoundBox, FoundMask, Part};
use loupe_core::sample::Outcome;
use loupe_core::{
    Box2, Dataset, Mask, MediaLoader, MediaRef, MediaSource, Origin, Picture, Plane, Prediction, Sample,
    SliceAt, Target, Trace,
};
use loupe_eval::Profile;
use loupe_eval::profile::Judgement;
use loupe_eval::run::{JudgedItem, MadeBy, RunFolder, view};
use loupe_eval::summary::{Figure, Summary};
use loupe_eval::tables::{self, Table};
use loupe_report::page::{BoxKind, Fact, Item, ItemPicture, ItemRound, ItemVerdict, PageBox, PageTable};
use loupe_report::{Drawing, ImageStore, Page, draw};
use std::path::Path;

/// What a page is made from.
pub(crate) struct Source<'a> {
    pub(crate) folder: &'a RunFolder,
    pub(crate) summary: &'a Summary,
    pub(crate) profiles: &'a [&'a dyn Profile],
    /// Where pictures come from when they are bytes inside the dataset's files.
    pub(crate) dataset: Option<&'a dyn Dataset>,
    pub(crate) loader: &'a dyn MediaLoader,
    /// Most samples on the page.
    pub(crate) most: usize,
    /// Most bytes of pictures.
    pub(crate) most_bytes: usize,
}

/// Writes `report.html` into the run's folder and returns its size in bytes.
pub(crate) fn write(source: &Source<'_>) -> Result<u64> {
    put(&build(source)?, &source.folder.dir().join("report.html"))
}

/// Written beside and moved, so that a page is whole or absent.
pub(crate) fn put(page: &Page, path: &Path) -> Result<u64> {
    let mut out = Vec::new();
    page.write(&mut out)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let draft = path.with_file_name(name);
    std::fs::write(&draft, &out)?;
    std::fs::rename(&draft, path)?;
    Ok(out.len() as u64)
}

pub(crate) fn page_table(table: &Table) -> PageTable {
    PageTable {
        title: table.title.clone(),
        note: table.note.clone(),
        columns: table.columns.clone(),
        rows: table.rows.clone(),
    }
}

fn build(source: &Source<'_>) -> Result<Page> {
    let made_by = &source.folder.made_by;
    let mut page = Page {
        title: format!("{} on {} ({})", made_by.model.name, made_by.dataset.name, made_by.dataset.split),
        facts: facts(made_by),
        tables: tables(source.summary),
        images: ImageStore::of_size(Some(source.most_bytes)),
        ..Page::default()
    };
    let shown = Pictures { dataset: source.dataset, loader: source.loader };
    let mut total = 0;
    for judged in view(source.folder, source.profiles)? {
        total += 1;
        if page.items.len() < source.most {
            let item = item(&judged?, &shown, &mut page.images);
            page.items.push(item);
        }
    }
    let s = source.summary;
    let mut lead = format!("{} replies, {} failed", s.replies, s.failed);
    if s.missing > 0 {
        lead += &format!(", {} not asked yet", s.missing);
    }
    if total > page.items.len() {
        lead += &format!("; the page shows the first {} of {total} samples", page.items.len());
    }
    page.lead = lead;
    Ok(page)
}

/// Samples of several runs on one page; the filter `part` keeps them apart.
pub(crate) fn write_parts(
    title: &str,
    tables: Vec<PageTable>,
    parts: &[(&str, Source<'_>)],
    path: &Path,
) -> Result<u64> {
    let budget = parts.first().map(|(_, source)| source.most_bytes);
    let mut page =
        Page { title: title.to_owned(), tables, images: ImageStore::of_size(budget), ..Page::default() };
    for (name, source) in parts {
        let shown = Pictures { dataset: source.dataset, loader: source.loader };
        let made_by = &source.folder.made_by;
        let model = &made_by.model;
        page.facts.push(Fact {
            name: (*name).to_owned(),
            value: format!(
                "{} ({}, {} parameters, weights {:.12}) on {} samples of {}",
                model.name,
                model.family,
                model.parameters,
                model.weights_sha256,
                made_by.n,
                made_by.dataset.name
            ),
        });
        // Spread over the set, whose neighbours share their pictures.
        let step = (made_by.n / source.most.max(1)).max(1);
        for judged in view(source.folder, source.profiles)?.step_by(step).take(source.most) {
            let mut item = item(&judged?, &shown, &mut page.images);
            item.id = format!("{name}: {}", item.id);
            item.tags.insert("part".to_owned(), (*name).to_owned());
            page.items.push(item);
        }
    }
    page.lead = format!("{} samples of {} runs", page.items.len(), parts.len());
    put(&page, path)
}

fn facts(made_by: &MadeBy) -> Vec<Fact> {
    let fact = |name: &str, value: String| Fact { name: name.to_owned(), value };
    let model = &made_by.model;
    let mut facts = vec![
        fact(
            "dataset",
            format!("{} {} · {}", made_by.dataset.name, made_by.dataset.split, made_by.dataset.citation),
        ),
        fact("dataset fingerprint", made_by.dataset.fingerprint.clone()),
        fact("samples", made_by.n.to_string()),
        fact("model", format!("{} ({}, {} parameters)", model.name, model.family, model.parameters)),
        fact("weights SHA-256", model.weights_sha256.clone()),
        fact("computed as", format!("{} on {}", model.dtype, model.device)),
        fact("resizing", model.resample.clone()),
        fact("prompt", made_by.prompt.get("name").and_then(|n| n.as_str()).unwrap_or("?").to_owned()),
        fact("generation", serde_json::to_string(&made_by.limits).unwrap_or_default()),
        fact("loupe", made_by.loupe.clone()),
    ];
    if !made_by.strategy.is_null() {
        facts.push(fact("strategy", made_by.strategy.to_string()));
    }
    for (name, setting) in &made_by.settings {
        facts.push(fact(name, format!("{}{}", setting.value, if setting.given { " (given)" } else { "" })));
    }
    facts
}

/// `61.4 (57.0–65.7)`, in per cent for shares.
pub(crate) fn shown(figure: &Figure) -> (String, String) {
    let share = figure.value.is_some_and(|v| (0.0..=1.0).contains(&v));
    let number = |v: f64| if share { format!("{:.1}", v * 100.0) } else { format!("{v:.3}") };
    let value = figure.value.map_or_else(|| "—".to_owned(), number);
    let interval = figure
        .interval
        .as_ref()
        .map_or_else(|| "—".to_owned(), |i| format!("{} – {}", number(i.lo), number(i.hi)));
    (value, interval)
}

const COLUMNS: [&str; 7] = ["figure", "%", "95 % interval", "n", "groups", "unparsed", "unscored"];

fn figure_row(name: String, figure: &Figure) -> Vec<String> {
    let (value, interval) = shown(figure);
    vec![
        name,
        value,
        interval,
        figure.n.to_string(),
        figure.groups.to_string(),
        figure.unparsed.to_string(),
        figure.unscored.to_string(),
    ]
}

/// Tables of the summary: figures by profile, then by subgroup.
pub(crate) fn tables(summary: &Summary) -> Vec<PageTable> {
    let columns = || COLUMNS.map(str::to_owned).to_vec();
    let mut tables = Vec::new();
    for profile in &summary.profiles {
        let method = profile.figures.iter().find_map(|f| f.interval.as_ref()).map(|i| i.method.to_string());
        tables.push(PageTable {
            title: format!("Figures by the profile “{}”", profile.name),
            note: format!(
                "Unparsed replies stay in the denominator; unscored items do not. Interval: {}.",
                method.unwrap_or_else(|| "none".to_owned())
            ),
            columns: columns(),
            rows: profile.figures.iter().map(|f| figure_row(f.name.clone(), f)).collect(),
        });
        if !profile.printed.is_empty() {
            tables.push(PageTable {
                title: format!("As “{}” prints them", profile.name),
                note: "The harness's own figures, quirks included.".to_owned(),
                columns: vec!["figure".to_owned(), "value".to_owned()],
                rows: profile.printed.iter().map(|(n, v)| vec![n.clone(), format!("{v:.4}")]).collect(),
            });
        }
    }
    let more = tables::summary(summary);
    // Replies per sample, calibration and the range over the profiles are as on the terminal.
    let others = more.iter().filter(|t| {
        ["calibration", "the same replies"].iter().any(|head| t.title.starts_with(head))
            || t.title.contains("replies per sample")
    });
    tables.extend(others.map(page_table));
    if !summary.metrics.is_empty() {
        tables.push(PageTable {
            title: "Metrics".to_owned(),
            note: String::new(),
            columns: columns(),
            rows: summary.metrics.iter().map(|f| figure_row(f.name.clone(), f)).collect(),
        });
    }
    tables.extend(tables::grounding(summary).iter().map(page_table));
    if let Some(profile) = summary.profiles.first() {
        let rows: Vec<Vec<String>> = profile
            .subgroups
            .iter()
            .filter_map(|g| {
                g.figures.first().map(|f| figure_row(format!("{}: {}", g.tag.replace('_', " "), g.value), f))
            })
            .collect();
        if !rows.is_empty() {
            let name = profile.figures.first().map_or("", |f| f.name.as_str());
            tables.push(PageTable {
                title: format!("{name} by subgroup, profile “{}”", profile.name),
                note: String::new(),
                columns: columns(),
                rows,
            });
        }
    }
    tables
}

pub(crate) fn item(judged: &JudgedItem, shown: &Pictures<'_>, images: &mut ImageStore) -> Item {
    let line = &judged.item.line;
    let Some(sample) = &line.sample else {
        return Item {
            id: line.id(),
            question: "(this row could not be read)".to_owned(),
            failure: line.error.clone(),
            verdict: "failed".to_owned(),
            ..Item::default()
        };
    };
    let reply = judged.item.reply.as_ref();
    let said = said(judged);
    let mut pictures: Vec<ItemPicture> = sample
        .media
        .iter()
        .enumerate()
        .map(|(n, media)| shown.picture(line.row, n, media, sample, said.boxes, images))
        .collect();
    pictures.extend(reply.and_then(|r| shown.outlined(line.row, sample, &r.prediction, images)));
    Item {
        id: sample.id.clone(),
        question: sample.question.clone(),
        choices: sample.choices.iter().map(|c| format!("{}. {}", c.letter, c.text)).collect(),
        gold: gold(sample),
        reply: said.words,
        failure: said.failure,
        verdict: said.verdict,
        verdicts: judged.verdicts.iter().map(|(name, j)| verdict(name, j)).collect(),
        tags: sample.tags.clone(),
        rounds: reply
            .map(|r| shown.rounds(line.row, sample, &r.prediction.trace, images))
            .unwrap_or_default(),
        pictures,
        second: None,
    }
}

/// The outcome of an item in words.
pub(crate) struct Said<'a> {
    pub(crate) words: Option<String>,
    pub(crate) failure: Option<String>,
    pub(crate) boxes: &'a [FoundBox],
    pub(crate) verdict: String,
}

pub(crate) fn said(judged: &JudgedItem) -> Said<'_> {
    let (words, failure, boxes) = match judged.item.reply.as_ref().map(|r| &r.prediction.outcome) {
        Some(Outcome::Reply(reply)) => (Some(reply.text.clone()), None, reply.boxes.as_slice()),
        Some(Outcome::Failed { reason }) => (None, Some(reason.clone()), [].as_slice()),
        None => (None, Some("not asked yet".to_owned()), [].as_slice()),
    };
    let verdict = judged.verdicts.first().map_or("unscored", |(_, j)| j.verdict.word()).to_owned();
    Said { words, failure, boxes, verdict }
}

pub(crate) fn found(found: &FoundBox, kind: BoxKind) -> PageBox {
    PageBox { xyxy: found.region.xyxy(), label: found.label.clone().unwrap_or_default(), kind }
}

pub(crate) fn verdict(profile: &str, judgement: &Judgement) -> ItemVerdict {
    ItemVerdict {
        profile: profile.to_owned(),
        verdict: judgement.verdict.word().to_owned(),
        value: judgement.values.first().map(|v| v.value),
        rule: judgement.rule.to_string(),
        span: judgement.span.clone().or_else(|| judgement.answer.clone()),
    }
}

/// The reference in words.
fn gold(sample: &Sample) -> String {
    match &sample.target {
        Target::Text(all) => all.join(" / "),
        Target::Choice(letter) => match sample.choices.iter().find(|c| c.letter == *letter) {
            Some(choice) => format!("{letter}. {}", choice.text),
            None => letter.to_string(),
        },
        Target::Count(n) => n.to_string(),
        Target::Measurements(all) => {
            let one = |m: &loupe_core::Measurement| format!("{} {} {}", m.name, m.value, m.unit.word());
            all.iter().map(|m| one(m).trim().to_owned()).collect::<Vec<_>>().join(", ")
        }
        Target::Boxes(boxes) => boxes.iter().map(|b| b.label.as_str()).collect::<Vec<_>>().join(", "),
        Target::Points(points) => points.iter().map(|p| p.label.as_str()).collect::<Vec<_>>().join(", "),
        Target::Report(sections) => {
            sections.iter().map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join("\n\n")
        }
        Target::Masks(masks) => masks.iter().map(|m| m.label.as_str()).collect::<Vec<_>>().join(", "),
        _ => "(none)".to_owned(),
    }
}

/// Pictures of the page, decoded when their turn comes.
pub(crate) struct Pictures<'a> {
    pub(crate) dataset: Option<&'a dyn Dataset>,
    pub(crate) loader: &'a dyn MediaLoader,
}

impl Pictures<'_> {
    fn picture(
        &self,
        row: usize,
        number: usize,
        media: &MediaRef,
        sample: &Sample,
        boxes_found: &[FoundBox],
        images: &mut ImageStore,
    ) -> ItemPicture {
        let missing = |caption: String| ItemPicture { image: None, values: None, caption, boxes: Vec::new() };
        let (picture, original) = match self.load(row, number, media) {
            Ok(loaded) => loaded,
            Err(problem) => return missing(format!("{}: {problem}", media.name)),
        };
        let image = match images.add(&picture, original.as_deref()) {
            Ok(image) => image,
            Err(problem) => return missing(format!("{}: {problem}", media.name)),
        };
        // Only pictures that were made with a window can be windowed again.
        let values = picture.origin.window.and_then(|_| {
            let values = self.again(row, number, media).ok()?;
            images.add_values(&picture, &self.loader.intensities(&values).ok()??)
        });
        let of = boxes_found.iter().filter(|b| b.picture == number);
        let mut boxes: Vec<PageBox> = of.map(|b| found(b, BoxKind::Model)).collect();
        if let (Target::Boxes(all), Some(given_from_source)) =
            (&sample.target, picture.origin.source_from_self.inverse())
        {
            boxes.extend(all.iter().filter(|b| b.picture == number).map(|b| PageBox {
                xyxy: given_from_source.boxed(b.at).xyxy(),
                label: b.label.clone(),
                kind: BoxKind::Reference,
            }));
        }
        ItemPicture { image: Some(image), values, caption: caption(media, &picture), boxes }
    }

    /// The masks of the reply over those of the reference, on the slice that holds most of the latter.
    fn outlined(
        &self,
        row: usize,
        sample: &Sample,
        prediction: &Prediction,
        images: &mut ImageStore,
    ) -> Option<ItemPicture> {
        let Outcome::Reply(reply) = &prediction.outcome else { return None };
        let trace: MaskTrace = serde_json::from_value(prediction.trace.clone()).ok()?;
        let covered = |m: &&FoundMask| m.mask.counts.iter().skip(1).step_by(2).sum::<u32>();
        let slice = trace.reference.iter().max_by_key(covered)?.slice;
        let mut media = sample.media.first()?.clone();
        if let Some(n) = slice {
            (media.view.plane, media.view.slice) = (Plane::Stored, Some(SliceAt::Index(n)));
        }
        let (picture, _) = self.load(row, 0, &media).ok()?;
        // Under a probe the picture may be a stranger's.
        let grid = trace.reference.iter().find(|m| m.slice == slice).and_then(|m| m.mask.to_mask())?;
        let picture = crate::outliner::on_grid_of(&picture, &grid).ok()?;
        let united = |all: &[FoundMask]| {
            let here = all.iter().filter(|m| m.slice == slice).filter_map(|m| m.mask.to_mask());
            let mut bits = vec![false; picture.width() * picture.height()];
            for mask in here {
                bits.iter_mut().zip(mask.bits()).for_each(|(to, from)| *to |= from);
            }
            Mask::new(picture.width(), picture.height(), bits).map(Drawing::Mask)
        };
        let drawings = [united(&trace.reference)?, united(&reply.masks)?];
        let image = images.add(&draw(&picture, &drawings).ok()?, None).ok()?;
        let at = slice.map(|n| format!("slice {n} · ")).unwrap_or_default();
        let caption = format!("{at}reference orange, model blue over it · {}", trace.hints.join("; "));
        Some(ItemPicture { image: Some(image), values: None, caption, boxes: Vec::new() })
    }

    /// The rounds of a second look: what was asked and said, the regions looked at drawn on the
    /// original, and the cut-outs that the model was shown, taken from the original again.
    pub(crate) fn rounds(
        &self,
        row: usize,
        sample: &Sample,
        trace: &serde_json::Value,
        images: &mut ImageStore,
    ) -> Vec<ItemRound> {
        let Ok(trace) = serde_json::from_value::<Trace>(trace.clone()) else { return Vec::new() };
        let originals: Vec<Option<Picture>> = sample
            .media
            .iter()
            .enumerate()
            .map(|(n, media)| self.load(row, n, media).ok().map(|(p, _)| p))
            .collect();
        // Another slice that the model went to is read again with the window it was shown in.
        let other = |origin: &Origin| {
            let (n, media) = view_again(origin, &sample.media)?;
            self.load(row, n, &media).ok().map(|(p, _)| p)
        };
        let views: Vec<Option<Picture>> = trace
            .pictures
            .iter()
            .map(|shown| {
                let given = originals.iter().flatten().find(|p| p.origin.same_view(&shown.origin));
                given.cloned().or_else(|| other(&shown.origin))
            })
            .collect();
        let original = |number: usize| views.get(number)?.as_ref();
        let mut before: Vec<usize> = Vec::new();
        let mut rounds = Vec::new();
        for round in &trace.rounds {
            let mut pictures = Vec::new();
            for &number in round.pictures.iter().filter(|n| !before.contains(n)) {
                let (Some(shown), Some(original)) = (trace.pictures.get(number), original(number)) else {
                    continue;
                };
                let whole = Box2::new(0.0, 0.0, shown.size[0] as f64, shown.size[1] as f64);
                let in_original = original
                    .origin
                    .source_from_self
                    .inverse()
                    .map(|back| back.boxed(shown.origin.source_from_self.boxed(whole)));
                let part = in_original.and_then(|region| original.crop(region).ok());
                let Some(image) = part.and_then(|part| images.add(&part, None).ok()) else { continue };
                let steps = shown.origin.steps.join(", ");
                let caption = format!("shown at {} × {} {steps}", shown.size[0], shown.size[1]);
                pictures.push(ItemPicture { image: Some(image), values: None, caption, boxes: Vec::new() });
            }
            if let Some(action) = round.action.as_ref().filter(|a| !a.regions.is_empty()) {
                let at = action.regions[0].picture;
                if let Some((original, image)) =
                    original(at).and_then(|o| Some((o, images.add(o, None).ok()?)))
                    && let Some(back) = original.origin.source_from_self.inverse()
                {
                    let boxes = action
                        .regions
                        .iter()
                        .map(|r| PageBox {
                            xyxy: back.boxed(r.region).xyxy(),
                            label: action.name.clone(),
                            kind: BoxKind::Looked,
                        })
                        .collect();
                    let caption = "looked at".to_owned();
                    pictures.push(ItemPicture { image: Some(image), values: None, caption, boxes });
                }
            }
            before.extend(&round.pictures);
            rounds.push(ItemRound {
                prompt: round.turns.iter().map(|t| words(&t.parts)).collect::<Vec<_>>().join("\n"),
                reply: round.words().to_owned(),
                action: round
                    .action
                    .as_ref()
                    .map(|a| format!("{} {}", a.name, a.arguments))
                    .unwrap_or_default(),
                error: round.error.clone(),
                pictures,
            });
        }
        rounds
    }

    /// The reference with its bytes: those inside a dataset's file are not in the run folder, but the
    /// dataset has them.
    fn again(&self, row: usize, number: usize, media: &MediaRef) -> Result<MediaRef, String> {
        match (&media.source, self.dataset) {
            (MediaSource::Bytes(bytes), Some(dataset)) if bytes.is_empty() => {
                let sample = dataset.get(row).map_err(|e| e.to_string())?;
                sample.media.into_iter().nth(number).ok_or_else(|| "the dataset has changed".to_owned())
            }
            (MediaSource::Bytes(bytes), None) if bytes.is_empty() => {
                Err("the picture lies in the dataset's file; name the set with --data to see it".to_owned())
            }
            _ => Ok(media.clone()),
        }
    }

    fn load(
        &self,
        row: usize,
        number: usize,
        media: &MediaRef,
    ) -> Result<(Picture, Option<Vec<u8>>), String> {
        let media = self.again(row, number, media)?;
        let original = match &media.source {
            MediaSource::File(path) => std::fs::read(path).ok(),
            MediaSource::Bytes(bytes) => Some(bytes.to_vec()),
            MediaSource::Folder(_) => None,
        };
        let picture = self.loader.load(&media).map_err(|e| e.to_string())?;
        Ok((picture, original))
    }
}

fn caption(media: &MediaRef, picture: &Picture) -> String {
    let origin = &picture.origin;
    let mut words = vec![media.name.clone(), format!("{} × {}", picture.width(), picture.height())];
    if let Some(slice) = origin.slice {
        words.push(format!("slice {slice}"));
    }
    if let Some(frame) = origin.frame {
        words.push(format!("frame {frame}"));
    }
    if let Some(window) = &origin.window {
        words.push(format!("window {:.0}/{:.0}", window.centre, window.width));
    }
    if let Some([x, y]) = origin.spacing_mm {
        words.push(format!("{x:.2} × {y:.2} mm"));
    }
    words.join(" · ")
}

/// The words of a turn.
fn words(parts: &[Part]) -> String {
    parts
        .iter()
        .map(|p| match p {
            Part::Text(text) => text.clone(),
            Part::Picture(n) => format!("[picture {}]", n + 1),
        })
        .collect()
}

/// What the model did not have to compute again in second and later rounds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct Reused {
    /// Share of the prompt tokens, new pictures and words included.
    pub(crate) of_prompt: f64,
    /// Share of the tokens that were there before: the earlier rounds' prompts and replies.
    pub(crate) of_earlier_turns: f64,
}

/// What was reused in the rounds of a run that continue others; `None` when no sample came to a second
/// round.
pub(crate) fn reused_in_later_rounds(dir: &Path) -> Result<Option<Reused>> {
    let (mut reused, mut kept, mut prompt, mut earlier) = (0usize, 0usize, 0usize, 0usize);
    for item in RunFolder::open(dir)?.items()? {
        let Some(reply) = item?.reply else { continue };
        let Ok(trace) = serde_json::from_value::<Trace>(reply.prediction.trace) else { continue };
        for round in &trace.rounds {
            let before = round.follows.and_then(|n| trace.rounds.get(n)?.reply.as_ref());
            let (Some(before), Some(reply)) = (before, &round.reply) else { continue };
            let old = before.counts.prompt_tokens + before.counts.new_tokens;
            reused += reply.counts.reused_tokens;
            kept += reply.counts.reused_tokens.min(old);
            prompt += reply.counts.prompt_tokens;
            earlier += old;
        }
    }
    let share = |part: usize, of: usize| part as f64 / of as f64;
    Ok((earlier > 0)
        .then(|| Reused { of_prompt: share(reused, prompt), of_earlier_turns: share(kept, earlier) }))
}
