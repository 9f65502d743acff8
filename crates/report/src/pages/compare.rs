//! A page with two runs side by side.

use crate::pages::document::{BoxKind, Fact, Page, PageItem, SecondRun};
use crate::pages::error::PageError;
use crate::pages::item::{ItemOutcome, item};
use crate::pages::pictures::{PictureReader, PictureSource};
use crate::pages::rounds::rounds;
use crate::pages::run::PageOptions;
use loupe_core::Table;
use loupe_eval::compare::Comparison;
use loupe_eval::{JudgedItem, JudgedRun, Verdict};
use loupe_run::RunFolder;
use std::collections::{HashMap, HashSet};

/// Two runs on the same samples, judged by one profile, and what their comparison found.
#[derive(Clone, Copy)]
pub struct RunPair<'a> {
    /// The run to compare against.
    pub first: &'a JudgedRun,
    /// The other run.
    pub second: &'a JudgedRun,
    /// The comparison of the two.
    pub comparison: &'a Comparison,
    /// Its tables.
    pub tables: &'a [Table],
}

/// The name of a run on the page: its folder's.
fn name(folder: &RunFolder) -> String {
    let dir = folder.dir();
    let own = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy();
    if own.is_empty() { folder.made_by.model.name.clone() } else { own.into_owned() }
}

/// A page with both runs, sample by sample.
///
/// # Errors
/// When a folder cannot be read. A picture that cannot is said to be missing.
pub fn page(
    pair: RunPair<'_>,
    pictures: PictureSource<'_>,
    options: &PageOptions<'_>,
) -> Result<Page, PageError> {
    let RunPair { first, second, comparison, tables } = pair;
    let names = [name(&first.folder), name(&second.folder)];
    let mut by_id: HashMap<String, JudgedItem> = HashMap::new();
    for judged in second.items()? {
        let judged = judged?;
        by_id.entry(judged.item.line.id()).or_insert(judged);
    }
    let dataset = &first.folder.made_by.dataset.name;
    let mut page = options.page(format!("{} and {} on {dataset}", names[0], names[1]));
    page.lead = format!(
        "{} samples in both runs; verdicts by the profile “{}”",
        comparison.shared, comparison.profile
    );
    let fact = |(field, a, b): &(String, String, String)| Fact {
        name: field.clone(),
        value: format!("{a} → {b}"),
    };
    page.facts = comparison.settings.iter().map(fact).collect();
    page.tables = tables.to_vec();
    page.runs = Some(names);
    let mut reader = PictureReader::new(pictures, &mut page.images, options.hide_names);
    let mut met = HashSet::new();
    for judged in first.items()? {
        let judged = judged?;
        let id = judged.item.line.id();
        let Some(other) = by_id.get(&id).filter(|_| met.insert(id)) else { continue };
        if page.items.len() == options.samples {
            page.lead += &format!("; the page shows the first {}", options.samples);
            break;
        }
        let mut item = item(&judged, &mut reader);
        add_second(&mut item, other, &mut reader);
        page.items.push(item);
    }
    Ok(page)
}

/// What the second run made of the same sample, its boxes on the same pictures.
fn add_second(item: &mut PageItem, judged: &JudgedItem, reader: &mut PictureReader<'_>) {
    let outcome = ItemOutcome::of(judged);
    let right = |verdict: &str| verdict == Verdict::Correct.word();
    let who = match (right(&item.verdict), right(&outcome.verdict)) {
        (true, true) => "both",
        (true, false) => "first only",
        (false, true) => "second only",
        (false, false) => "neither",
    };
    for (number, picture) in item.pictures.iter_mut().enumerate() {
        picture.boxes.extend(outcome.boxes(number, BoxKind::Second));
    }
    let trace = judged.item.reply.as_ref().and_then(|r| r.prediction.record.rounds());
    let line = &judged.item.line;
    let hidden = |sample: &loupe_core::Sample| sample.clone().without_file_names(line.row);
    let hidden = line.sample.as_ref().filter(|_| reader.hide_names).map(hidden);
    let sample = hidden.as_ref().or(line.sample.as_ref());
    let rounds = sample.zip(trace).map(|(sample, trace)| rounds(trace, sample, reader));
    item.second = Some(SecondRun {
        reply: outcome.reply,
        failure: outcome.failure,
        verdict: outcome.verdict,
        verdicts: outcome.verdicts,
        rounds: rounds.unwrap_or_default(),
        right: who.to_owned(),
    });
}
