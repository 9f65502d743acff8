//! What other runs made of a sample of a page: replies, rounds and places, and the pictures of those that are probes.

use crate::pages::document::{BoxKind, OtherRun, PageItem};
use crate::pages::item::{ItemOutcome, add_masks, asked_pictures};
use crate::pages::pictures::PictureReader;
use crate::pages::rounds::rounds;
use loupe_core::Sample;
use loupe_eval::JudgedItem;
use loupe_run::RunError;
use loupe_run::probes::ProbeSetting;
use std::collections::HashMap;

/// The same sample in another run.
#[derive(Clone, Copy)]
pub(crate) struct Other<'a> {
    /// What the run is called.
    pub(crate) name: &'a str,
    pub(crate) judged: &'a JudgedItem,
    /// What the run did to its pictures.
    pub(crate) probe: Option<ProbeSetting>,
    /// Do the labels of its places say the run?
    pub(crate) labelled: bool,
}

/// The judged items of a run by id; of several replies to a sample the first.
pub(crate) fn by_id(
    items: impl Iterator<Item = Result<JudgedItem, RunError>>,
) -> Result<HashMap<String, JudgedItem>, RunError> {
    let mut all = HashMap::new();
    for judged in items {
        let judged = judged?;
        all.entry(judged.item.line.id()).or_insert(judged);
    }
    Ok(all)
}

/// Adds what another run made of the same sample to the item of `first`: its places on the same pictures, or its own pictures where
/// the two runs were not asked with the same.
pub(crate) fn add_other(
    item: &mut PageItem,
    first: &JudgedItem,
    other: Other<'_>,
    reader: &mut PictureReader<'_>,
) {
    let Other { name, judged, probe, labelled } = other;
    let outcome = ItemOutcome::of(judged);
    let line = &judged.item.line;
    let hidden = |sample: &Sample| sample.clone().without_file_names(line.row);
    let hidden = line.sample.as_ref().filter(|_| reader.hide_names).map(hidden);
    let sample = hidden.as_ref().or(line.sample.as_ref());
    let before = reader.look_through(probe);
    let probed = before != probe;
    let mut pictures = Vec::new();
    if probed {
        if probe.is_none() {
            // They come with their reply.
            item.unaltered.clear();
        }
        pictures.extend(sample.into_iter().flat_map(|s| asked_pictures(judged, s, BoxKind::Second, reader)));
    } else {
        let named = |label: String| if labelled { format!("{name}: {label}") } else { label };
        for picture in &mut item.pictures {
            let Some(number) = picture.number else { continue };
            let boxes = outcome.boxes(number, BoxKind::Second);
            picture.boxes.extend(boxes.map(|mut placed| {
                placed.label = named(placed.label);
                placed
            }));
        }
        add_masks(item, first, judged, named);
    }
    let trace = judged.item.reply.as_ref().and_then(|r| r.prediction.record.rounds());
    let rounds = sample.zip(trace).map(|(sample, trace)| rounds(trace, sample, reader));
    reader.look_through(before);
    item.others.push(OtherRun {
        name: name.to_owned(),
        reply: outcome.reply,
        failure: outcome.failure,
        verdict: outcome.verdict,
        verdicts: outcome.verdicts,
        rounds: rounds.unwrap_or_default(),
        pictures,
        altered: probe.map(|p| p.probe.about()),
        answer: if probed { answer(first, judged) } else { None },
    });
}

/// Whether the answer is another one in the other run, as the headline profile compares answers; nothing where the first has none.
fn answer(first: &JudgedItem, other: &JudgedItem) -> Option<&'static str> {
    let of = |judged: &JudgedItem| judged.verdicts.first().and_then(|(_, j)| j.answer.clone());
    let before = of(first)?;
    Some(match of(other) {
        Some(now) if now == before => "the same answer",
        Some(_) => "another answer",
        None => "no readable answer",
    })
}
