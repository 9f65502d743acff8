//! The rounds of a second look on a page.

use crate::pages::document::{BoxKind, ItemPicture, ItemRound, PageBox};
use crate::pages::pictures::PictureReader;
use crate::pages::references::reference_boxes;
use loupe_core::trace::{Action, Trace};
use loupe_core::{Origin, Part, Picture, PictureRecord, Sample};

/// What was asked and said, the regions that the model went to drawn on the original, and the cut-outs that
/// it was shown, taken from the original again; each with the places of the reference.
pub(crate) fn rounds(trace: &Trace, sample: &Sample, reader: &mut PictureReader<'_>) -> Vec<ItemRound> {
    let views = originals(trace, sample, reader);
    let original = |number: usize| views.get(number)?.as_ref();
    let mut before: Vec<usize> = Vec::new();
    let mut rounds = Vec::new();
    for round in &trace.rounds {
        let mut pictures = Vec::new();
        for &number in round.pictures.iter().filter(|n| !before.contains(n)) {
            let record = trace.pictures.get(number);
            pictures.extend(record.zip(original(number)).and_then(|(r, o)| cut_out(r, o, sample, reader)));
        }
        if let Some(action) = &round.action
            && let Some(original) = action.regions.first().and_then(|r| original(r.picture))
        {
            pictures.extend(regions(action, original, sample, reader));
        }
        before.extend(&round.pictures);
        rounds.push(ItemRound {
            prompt: round.turns.iter().map(|t| words(&t.parts)).collect::<Vec<_>>().join("\n"),
            reply: round.words().to_owned(),
            action: round.action.as_ref().map(|a| format!("{} {}", a.name, a.arguments)).unwrap_or_default(),
            error: round.error.clone(),
            pictures,
        });
    }
    rounds
}

/// A view that the model was shown all or a part of.
#[derive(Clone)]
struct Original {
    picture: Picture,
    /// Its number, where it is a picture of the sample itself.
    number: Option<usize>,
}

impl Original {
    /// Boxes of the reference on `part` of it, without what lies outside.
    fn references(&self, sample: &Sample, part: &Picture) -> Vec<PageBox> {
        let Some(number) = self.number else { return Vec::new() };
        let edges = [part.width() as f64, part.height() as f64];
        let inside = |mut placed: PageBox| {
            let [x0, y0, x1, y1] = placed.xyxy;
            placed.xyxy = [x0.max(0.0), y0.max(0.0), x1.min(edges[0]), y1.min(edges[1])];
            (placed.xyxy[0] < placed.xyxy[2] && placed.xyxy[1] < placed.xyxy[3]).then_some(placed)
        };
        reference_boxes(sample, number, &part.origin).into_iter().filter_map(inside).collect()
    }
}

/// The view that each picture of the trace is a part of: one of the sample's own, or another slice that the
/// model went to, read with the window it was shown in.
fn originals(trace: &Trace, sample: &Sample, reader: &mut PictureReader<'_>) -> Vec<Option<Original>> {
    let mut given = Vec::new();
    for (n, media) in sample.media.iter().enumerate() {
        given.extend(reader.picture(n, media).map(|picture| Original { picture, number: Some(n) }));
    }
    let mut other = |origin: &Origin| {
        let (n, media) = origin.view_again(&sample.media)?;
        reader.picture(n, &media).ok().map(|picture| Original { picture, number: None })
    };
    let view = |record: &PictureRecord| {
        let own = given.iter().find(|o| o.picture.origin.same_view(&record.origin));
        own.cloned().or_else(|| other(&record.origin))
    };
    trace.pictures.iter().map(view).collect()
}

fn cut_out(
    record: &PictureRecord,
    original: &Original,
    sample: &Sample,
    reader: &mut PictureReader<'_>,
) -> Option<ItemPicture> {
    let [width, height] = record.size;
    let whole = loupe_core::Box2::new(0.0, 0.0, width as f64, height as f64);
    let original_from_source = original.picture.origin.source_from_self.inverse()?;
    let region = original_from_source.boxed(record.origin.source_from_self.boxed(whole));
    let part = original.picture.crop(region).ok()?;
    let image = reader.images.add(&part, None).ok()?;
    let caption = format!("shown at {width} × {height} {}", record.origin.steps.join(", "));
    let boxes = original.references(sample, &part);
    Some(ItemPicture { image: Some(image), caption, boxes, ..ItemPicture::default() })
}

fn regions(
    action: &Action,
    original: &Original,
    sample: &Sample,
    reader: &mut PictureReader<'_>,
) -> Option<ItemPicture> {
    let image = reader.images.add(&original.picture, None).ok()?;
    let original_from_source = original.picture.origin.source_from_self.inverse()?;
    let boxes = action.regions.iter().map(|r| PageBox {
        xyxy: original_from_source.boxed(r.region).xyxy(),
        label: action.name.clone(),
        kind: BoxKind::Region,
    });
    let boxes = boxes.chain(original.references(sample, &original.picture)).collect();
    let caption = "looked at".to_owned();
    Some(ItemPicture { image: Some(image), caption, boxes, ..ItemPicture::default() })
}

/// The words of a turn.
fn words(parts: &[Part]) -> String {
    let word = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Picture(n) => format!("[picture {}]", n + 1),
    };
    parts.iter().map(word).collect()
}
