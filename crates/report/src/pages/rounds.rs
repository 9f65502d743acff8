//! The rounds of a second look on a page.

use crate::pages::document::{BoxKind, ItemPicture, ItemRound, PageBox};
use crate::pages::pictures::PictureReader;
use loupe_core::trace::{Action, Trace};
use loupe_core::{Origin, Part, Picture, PictureRecord, Sample};

/// What was asked and said, the regions that the model went to drawn on the original, and the cut-outs that
/// it was shown, taken from the original again.
pub(crate) fn rounds(trace: &Trace, sample: &Sample, reader: &mut PictureReader<'_>) -> Vec<ItemRound> {
    let views = originals(trace, sample, reader);
    let original = |number: usize| views.get(number)?.as_ref();
    let mut before: Vec<usize> = Vec::new();
    let mut rounds = Vec::new();
    for round in &trace.rounds {
        let mut pictures = Vec::new();
        for &number in round.pictures.iter().filter(|n| !before.contains(n)) {
            let record = trace.pictures.get(number);
            pictures.extend(record.zip(original(number)).and_then(|(r, o)| cut_out(r, o, reader)));
        }
        if let Some(action) = &round.action
            && let Some(original) = action.regions.first().and_then(|r| original(r.picture))
        {
            pictures.extend(regions(action, original, reader));
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

/// The view that each picture of the trace is a part of: one of the sample's own, or another slice that the
/// model went to, read with the window it was shown in.
fn originals(trace: &Trace, sample: &Sample, reader: &mut PictureReader<'_>) -> Vec<Option<Picture>> {
    let given = sample.media.iter().enumerate().filter_map(|(n, media)| reader.picture(n, media).ok());
    let given: Vec<Picture> = given.collect();
    let mut other = |origin: &Origin| {
        let (n, media) = origin.view_again(&sample.media)?;
        reader.picture(n, &media).ok()
    };
    let view = |record: &PictureRecord| {
        let own = given.iter().find(|p| p.origin.same_view(&record.origin));
        own.cloned().or_else(|| other(&record.origin))
    };
    trace.pictures.iter().map(view).collect()
}

fn cut_out(
    record: &PictureRecord,
    original: &Picture,
    reader: &mut PictureReader<'_>,
) -> Option<ItemPicture> {
    let [width, height] = record.size;
    let whole = loupe_core::Box2::new(0.0, 0.0, width as f64, height as f64);
    let original_from_source = original.origin.source_from_self.inverse()?;
    let region = original_from_source.boxed(record.origin.source_from_self.boxed(whole));
    let image = reader.images.add(&original.crop(region).ok()?, None).ok()?;
    let caption = format!("shown at {width} × {height} {}", record.origin.steps.join(", "));
    Some(ItemPicture { image: Some(image), caption, ..ItemPicture::default() })
}

fn regions(action: &Action, original: &Picture, reader: &mut PictureReader<'_>) -> Option<ItemPicture> {
    let image = reader.images.add(original, None).ok()?;
    let original_from_source = original.origin.source_from_self.inverse()?;
    let boxes = action.regions.iter().map(|r| PageBox {
        xyxy: original_from_source.boxed(r.region).xyxy(),
        label: action.name.clone(),
        kind: BoxKind::Region,
    });
    let (caption, boxes) = ("looked at".to_owned(), boxes.collect());
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
