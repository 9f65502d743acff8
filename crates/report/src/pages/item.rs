//! A sample of a page from a judged item of a run.

use crate::marks::pixel_mm;
use crate::pages::document::{BoxKind, ItemCertainty, ItemPicture, ItemVerdict, PageBox, PageItem};
use crate::pages::kit::place::Mark;
use crate::pages::kit::series::SideLetters;
use crate::pages::pictures::PictureReader;
use crate::pages::prompt::Prompts;
use crate::pages::references::reference_boxes;
use crate::pages::rounds::rounds;
use crate::pages::volumes::RADIUS;
use loupe_core::sample::Outcome;
use loupe_core::{
    Finding, MaskTrace, MediaRef, Picture, PictureRecord, Plane, Prediction, Reply, Sample, SliceAt, Target,
};
use loupe_eval::{JudgedItem, Judgement, Verdict};
use loupe_run::probes::Probe;
use std::collections::BTreeMap;

/// What became of an item, in words and places.
pub(crate) struct ItemOutcome<'a> {
    pub(crate) reply: Option<String>,
    pub(crate) failure: Option<String>,
    pub(crate) findings: &'a [Finding],
    /// The headline verdict.
    pub(crate) verdict: String,
    pub(crate) verdicts: Vec<ItemVerdict>,
}

impl<'a> ItemOutcome<'a> {
    pub(crate) fn of(judged: &'a JudgedItem) -> Self {
        let (reply, failure, findings) = match judged.item.reply.as_ref().map(|r| &r.prediction.outcome) {
            Some(Outcome::Reply(reply)) => (Some(reply.text.clone()), None, reply.findings.as_slice()),
            Some(Outcome::Failed(failure)) => (None, Some(failure.reason.clone()), [].as_slice()),
            None => (None, Some("not asked yet".to_owned()), [].as_slice()),
        };
        let verdict = judged.verdicts.first().map_or("unscored", |(_, j)| j.verdict.word()).to_owned();
        let verdicts = judged.verdicts.iter().map(|(name, j)| verdict_of(name, j)).collect();
        Self { reply, failure, findings, verdict, verdicts }
    }

    /// Its boxes on picture `number`.
    pub(crate) fn boxes(&self, number: usize, kind: BoxKind) -> impl Iterator<Item = PageBox> {
        let here = self.findings.iter().filter(move |f| f.picture == number);
        here.filter_map(move |f| {
            Some(PageBox { xyxy: f.as_box()?.xyxy(), label: f.label.clone().unwrap_or_default(), kind })
        })
    }
}

fn verdict_of(profile: &str, judgement: &Judgement) -> ItemVerdict {
    ItemVerdict {
        profile: profile.to_owned(),
        verdict: judgement.verdict.word().to_owned(),
        value: judgement.values.first().map(|v| v.value),
        rule: judgement.rule.to_string(),
        span: judgement.span.clone().or_else(|| judgement.answer.clone()),
    }
}

/// Tokens of a reply whose probabilities are on a page.
const TOKENS: usize = 200;

/// How sure the model was, where the run asked for that.
fn certainty(reply: &Reply) -> Option<ItemCertainty> {
    let logprobs = reply.logprobs.as_deref().unwrap_or_default();
    let options = reply.options.as_ref();
    (options.is_some() || !logprobs.is_empty()).then(|| ItemCertainty {
        options: options
            .map(|o| o.each.iter().map(|e| (e.text.clone(), e.probability)).collect())
            .unwrap_or_default(),
        mass: options.map(|o| o.mass),
        tokens: logprobs.iter().take(TOKENS).map(|t| (t.id, t.logprob)).collect(),
        of: logprobs.len(),
    })
}

/// What items are sorted by: figures of the headline profile, confidence, tokens and seconds.
fn numbers(judged: &JudgedItem) -> BTreeMap<String, f64> {
    let values = judged.verdicts.first().into_iter().flat_map(|(_, j)| &j.values);
    let mut all: BTreeMap<String, f64> = values.map(|v| (v.name.to_string(), v.value)).collect();
    if let Some(Outcome::Reply(reply)) = judged.item.reply.as_ref().map(|r| &r.prediction.outcome) {
        let seconds = reply.timing.prefill_s + reply.timing.decode_s;
        let counts =
            [("prompt tokens", reply.counts.prompt_tokens), ("reply tokens", reply.counts.new_tokens)];
        all.extend(counts.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_owned(), n as f64)));
        all.extend((seconds > 0.0).then(|| ("seconds".to_owned(), seconds)));
        all.extend(reply.confidence().map(|c| ("confidence".to_owned(), c)));
    }
    all.retain(|_, value| value.is_finite());
    all
}

/// What stands in place of the verdict of an item that has figures alone: `Dice 0.74`.
fn figure(judged: &JudgedItem) -> Option<String> {
    let (_, judgement) = judged.verdicts.first()?;
    let value = judgement.values.first().filter(|v| v.value.is_finite())?;
    (judgement.verdict == Verdict::Unscored).then(|| format!("{} {:.2}", value.name, value.value))
}

/// The item with its pictures, boxes, masks and rounds.
pub(crate) fn item(judged: &JudgedItem, prompts: &mut Prompts, reader: &mut PictureReader<'_>) -> PageItem {
    let line = &judged.item.line;
    let Some(sample) = &line.sample else {
        return PageItem {
            id: line.id(),
            question: "(this row could not be read)".to_owned(),
            failure: line.error.clone(),
            verdict: "failed".to_owned(),
            ..PageItem::default()
        };
    };
    let hidden = reader.hide_names.then(|| sample.clone().without_file_names(line.row));
    let sample = hidden.as_ref().unwrap_or(sample);
    reader.turn_to(line.row);
    let prediction = judged.item.reply.as_ref().map(|r| &r.prediction);
    let outcome = ItemOutcome::of(judged);
    let trace = prediction.and_then(|p| p.record.rounds());
    let prompt = prompts.said(judged, sample, reader.hide_names);
    PageItem {
        id: sample.id.clone(),
        question: sample.question.clone(),
        choices: sample.choices.iter().map(|c| format!("{}. {}", c.letter, c.text)).collect(),
        gold: gold(sample),
        rounds: trace.map(|trace| rounds(trace, sample, reader)).unwrap_or_default(),
        reply: outcome.reply,
        failure: outcome.failure,
        verdict: outcome.verdict,
        verdicts: outcome.verdicts,
        tags: sample.tags.clone(),
        pictures: asked_pictures(judged, sample, BoxKind::Model, reader),
        unaltered: unaltered(judged, sample, reader),
        altered: reader.probe().map(|p| p.probe.about()),
        figure: figure(judged),
        numbers: numbers(judged),
        prompt_head: prompt.as_ref().and_then(|p| p.head),
        prompt: prompt.map(|p| p.words),
        certainty: prediction
            .and_then(|p| if let Outcome::Reply(r) = &p.outcome { certainty(r) } else { None }),
        others: Vec::new(),
        right: None,
    }
}

/// The pictures that the item was asked with: places of the reply, drawn as `kind`, and of the reference.
pub(crate) fn asked_pictures(
    judged: &JudgedItem,
    sample: &Sample,
    kind: BoxKind,
    reader: &mut PictureReader<'_>,
) -> Vec<ItemPicture> {
    let outcome = ItemOutcome::of(judged);
    let reply = judged.item.reply.as_ref();
    let masks = reply.and_then(|r| mask_picture(sample, &r.prediction, Some(kind), reader));
    // What was asked about, where each picture of the sample is one that was given.
    let asked = reply.map_or(&[][..], |reply| &reply.pictures);
    let asked = if asked.len() == sample.media.len() { asked } else { &[] };
    // One way through a volume is enough: the one with the masks.
    let scrolled = masks.is_none();
    let mut pictures = Vec::new();
    for (n, media) in sample.media.iter().enumerate() {
        let boxes = outcome.boxes(n, kind).collect();
        pictures.push(item_picture((n, asked.get(n)), media, sample, boxes, scrolled, reader));
    }
    with_masks(pictures, masks)
}

/// The masks first, and without them only what they do not lie on.
fn with_masks(mut pictures: Vec<ItemPicture>, masks: Option<ItemPicture>) -> Vec<ItemPicture> {
    if let Some(masks) = masks {
        pictures.retain(|plain| plain.image != masks.image || !plain.boxes.is_empty());
        pictures.insert(0, masks);
    }
    pictures
}

/// The pictures of the set with the places of the reference, where the run asked with others; nothing where it did not, or where
/// they were swapped and the set is not at hand.
fn unaltered(judged: &JudgedItem, sample: &Sample, reader: &mut PictureReader<'_>) -> Vec<ItemPicture> {
    let Some(setting) = reader.look_through(None) else { return Vec::new() };
    let own = match setting.probe {
        Probe::Swapped => {
            let own = reader.of_row().ok().flatten().filter(|own| own.id == sample.id).cloned();
            own.map(|own| if reader.hide_names { own.without_file_names(judged.item.line.row) } else { own })
        }
        _ => Some(sample.clone()),
    };
    let mut pictures = Vec::new();
    if let Some(own) = own {
        let reply = judged.item.reply.as_ref();
        let masks = reply.and_then(|r| mask_picture(&own, &r.prediction, None, reader));
        for (n, media) in own.media.iter().enumerate() {
            pictures.push(item_picture((n, None), media, &own, Vec::new(), masks.is_none(), reader));
        }
        pictures = with_masks(pictures, masks);
    }
    reader.look_through(Some(setting));
    pictures
}

/// An option with its words.
fn option(sample: &Sample, letter: char) -> String {
    match sample.choices.iter().find(|c| c.letter == letter) {
        Some(choice) => format!("{letter}. {}", choice.text),
        None => letter.to_string(),
    }
}

/// Labels with their places in pixels of the source, a line each.
fn placed<'a>(all: impl Iterator<Item = (&'a String, Vec<f64>)>) -> String {
    let numbers = |at: Vec<f64>| at.iter().map(|v| format!("{v:.0}")).collect::<Vec<_>>().join(", ");
    all.map(|(label, at)| format!("{label} [{}]", numbers(at))).collect::<Vec<_>>().join("\n")
}

/// The reference in words.
pub(crate) fn gold(sample: &Sample) -> String {
    match &sample.target {
        Target::Text(all) => all.join(" / "),
        Target::Choice(letter) => option(sample, *letter),
        Target::Choices(letters) => {
            letters.iter().map(|letter| option(sample, *letter)).collect::<Vec<_>>().join(" / ")
        }
        Target::Count(n) => n.to_string(),
        Target::Measurements(all) => {
            let one = |m: &loupe_core::Measurement| format!("{} {} {}", m.name, m.value, m.unit.word());
            all.iter().map(|m| one(m).trim().to_owned()).collect::<Vec<_>>().join(", ")
        }
        Target::Boxes(boxes) => placed(boxes.iter().map(|b| (&b.label, b.at.xyxy().to_vec()))),
        Target::Points(points) => placed(points.iter().map(|p| (&p.label, vec![p.at.x, p.at.y]))),
        Target::Report(sections) => {
            sections.iter().map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join("\n\n")
        }
        Target::Masks(masks) => masks.iter().map(|m| m.label.as_str()).collect::<Vec<_>>().join(", "),
        _ => "(none)".to_owned(),
    }
}

/// What is said of a picture that is not the one that was asked about.
const CHANGED: &str = "not the pixels that were asked about: the file has changed since";

/// Picture `number` of the sample, which was asked about as `asked`, with the boxes of the reply and those of the reference, and its
/// volume where that is to be scrolled.
fn item_picture(
    (number, asked): (usize, Option<&PictureRecord>),
    media: &MediaRef,
    sample: &Sample,
    mut boxes: Vec<PageBox>,
    scrolled: bool,
    reader: &mut PictureReader<'_>,
) -> ItemPicture {
    let placed = match reader.place(number, media) {
        Ok(placed) => placed,
        Err(problem) => {
            let caption = format!("{}: {problem}", media.name);
            return ItemPicture { number: Some(number), caption, ..ItemPicture::default() };
        }
    };
    boxes.extend(reference_boxes(sample, number, &placed.picture.origin));
    let mut caption = caption(media, &placed.picture);
    if asked.is_some_and(|asked| !asked.is_of(&placed.picture)) {
        caption = format!("{caption} · {CHANGED}");
    }
    ItemPicture {
        number: Some(number),
        image: Some(placed.image),
        values: placed.values,
        spacing: pixel_mm(&placed.picture),
        letters: SideLetters::of(&placed.picture),
        caption,
        boxes,
        masks: Vec::new(),
        volume: if scrolled { reader.volume(media, &placed.picture) } else { None },
    }
}

fn caption(media: &MediaRef, picture: &Picture) -> String {
    let origin = &picture.origin;
    let mut words = vec![media.name.clone(), format!("{} × {}", picture.width(), picture.height())];
    if let Some(plane) = origin.plane.filter(|p| !matches!(p, Plane::Upright | Plane::Stored)) {
        words.push(plane.name().to_owned());
    }
    if let Some(slice) = origin.slice {
        words.push(format!("slice {slice}"));
    }
    if let Some(frame) = origin.frame {
        words.push(format!("frame {frame}"));
    }
    if let Some(window) = &origin.window {
        words.push(format!("window {}/{}", short(window.centre), short(window.width)));
    }
    if let Some([x, y]) = origin.spacing_mm {
        let note = origin.spacing_note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        words.push(format!("{x:.2} × {y:.2} mm{note}"));
    }
    words.extend(origin.warnings().map(str::to_owned));
    words.join(" · ")
}

/// A number with as many decimals as small ones need: windows of doses and maps are narrower than 1.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 10.0 || v == 0.0 => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// The slice that holds most of the reference, where there are several, and the size of its masks.
fn largest(trace: &MaskTrace) -> Option<(Option<usize>, [usize; 2])> {
    let covered = |f: &&Finding| f.as_mask().map_or(0, |m| m.counts.iter().skip(1).step_by(2).sum::<u32>());
    let most = trace.reference.iter().max_by_key(covered)?;
    Some((most.origin.slice, most.as_mask()?.size))
}

/// The masks of the reply, drawn as `kind` or left out, and of the reference on the slice that holds most of the latter, and on its
/// neighbours.
fn mask_picture(
    sample: &Sample,
    prediction: &Prediction,
    kind: Option<BoxKind>,
    reader: &mut PictureReader<'_>,
) -> Option<ItemPicture> {
    let Outcome::Reply(reply) = &prediction.outcome else { return None };
    let trace = prediction.record.masks()?;
    let (slice, grid) = largest(trace)?;
    let mut media = sample.media.first()?.clone();
    if let Some(n) = slice {
        (media.view.plane, media.view.slice) = (Plane::Stored, Some(SliceAt::Index(n)));
    }
    let read = reader.picture(0, &media).ok()?;
    let (shown, image, values, volume) = match [read.height(), read.width()] == grid {
        true => {
            let placed = reader.place(0, &media).ok()?;
            let volume = reader.volume(&media, &placed.picture);
            (placed.picture, placed.image, placed.values, volume)
        }
        // Under a probe the picture may belong to another sample, and be of another size.
        false => {
            let fitted = reader.resampler().fitted(&read, grid[1], grid[0]).ok()?;
            let image = reader.images.add(&fitted, None).ok()?;
            (fitted, image, None, None)
        }
    };
    let at = slice.map(|n| format!("slice {n} · ")).unwrap_or_default();
    let place = MaskPlace { slice, grid, scrolled: volume.is_some() };
    let mut masks: Vec<Mark> = place.marks(&trace.reference, BoxKind::Reference).collect();
    masks.extend(kind.into_iter().flat_map(|kind| place.marks(&reply.findings, kind)));
    Some(ItemPicture {
        number: None,
        image: Some(image),
        values,
        spacing: pixel_mm(&shown),
        letters: SideLetters::of(&shown),
        caption: format!("{} · {at}masks · {}", media.name, trace.prompts.join("; ")),
        boxes: Vec::new(),
        masks,
        volume,
    })
}

/// Where masks are shown: on a slice, and on those around it where they can be seen.
#[derive(Debug, Clone, Copy)]
struct MaskPlace {
    slice: Option<usize>,
    /// Rows and columns.
    grid: [usize; 2],
    scrolled: bool,
}

impl MaskPlace {
    /// The masks of this grid among the findings.
    fn marks(self, found: &[Finding], kind: BoxKind) -> impl Iterator<Item = Mark> {
        let own = self.slice.unwrap_or(0);
        let radius = if self.scrolled { RADIUS } else { 0 };
        found.iter().filter_map(move |finding| {
            let at = finding.origin.slice.unwrap_or(0);
            let here = finding.as_mask().is_some_and(|m| m.size == self.grid) && at.abs_diff(own) <= radius;
            let label = finding.label.clone().unwrap_or_default();
            if here { Mark::of(finding, at, label, kind) } else { None }
        })
    }
}

/// Adds the masks of another run to the picture with those of the first, where there is one.
pub(crate) fn add_masks(
    item: &mut PageItem,
    first: &JudgedItem,
    other: &JudgedItem,
    named: impl Fn(String) -> String,
) {
    let trace = first.item.reply.as_ref().and_then(|r| r.prediction.record.masks());
    let Some((slice, grid)) = trace.and_then(largest) else { return };
    let Some(Outcome::Reply(reply)) = other.item.reply.as_ref().map(|r| &r.prediction.outcome) else {
        return;
    };
    let Some(picture) = item.pictures.iter_mut().find(|p| !p.masks.is_empty()) else { return };
    let place = MaskPlace { slice, grid, scrolled: picture.volume.is_some() };
    picture.masks.extend(place.marks(&reply.findings, BoxKind::Second).map(|mut mark| {
        mark.label = named(mark.label);
        mark
    }));
}
