//! A page with two or more runs side by side.

use crate::pages::document::{BoxKind, Fact, OtherRun, Page, PageItem};
use crate::pages::error::PageError;
use crate::pages::item::{ItemOutcome, item};
use crate::pages::pictures::{PictureReader, PictureSource};
use crate::pages::plots::{self, Flips};
use crate::pages::prompt::template;
use crate::pages::rounds::rounds;
use crate::pages::run::PageOptions;
use crate::pages::select::{Selection, Urgency};
use loupe_core::Table;
use loupe_eval::compare::Comparison;
use loupe_eval::{JudgedItem, JudgedRun, Verdict};
use loupe_run::RunFolder;
use std::collections::{HashMap, HashSet};

/// Runs on the same samples, judged by one profile, and what comparing each of the others with the first found.
#[derive(Clone, Copy)]
pub struct RunSet<'a> {
    /// The run to compare against.
    pub first: &'a JudgedRun,
    /// The other runs, each with its comparison.
    pub others: &'a [(&'a JudgedRun, &'a Comparison)],
    /// Tables of the comparisons.
    pub tables: &'a [Table],
}

/// The name of a run on the page: its folder's.
fn name(folder: &RunFolder) -> String {
    let dir = folder.dir();
    let own = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy();
    if own.is_empty() { folder.made_by.model.name.clone() } else { own.into_owned() }
}

/// Is the reply right?
fn is_right(judged: &JudgedItem) -> bool {
    judged.verdicts.first().is_some_and(|(_, j)| j.verdict == Verdict::Correct)
}

/// The judged items of a run by id; of several replies to a sample the first.
fn by_id(run: &JudgedRun) -> Result<HashMap<String, JudgedItem>, PageError> {
    let mut all = HashMap::new();
    for judged in run.items()? {
        let judged = judged?;
        all.entry(judged.item.line.id()).or_insert(judged);
    }
    Ok(all)
}

/// What every other run has of the sample, the first time that it is met.
fn shared<'a>(
    judged: &JudgedItem,
    found: &'a [HashMap<String, JudgedItem>],
    met: &mut HashSet<String>,
) -> Option<Vec<&'a JudgedItem>> {
    let id = judged.item.line.id();
    let here: Option<Vec<&JudgedItem>> = found.iter().map(|run| run.get(&id)).collect();
    here.filter(|_| met.insert(id))
}

/// A page with all runs, sample by sample.
///
/// # Errors
/// When a folder cannot be read. A picture that cannot is said to be missing.
pub fn page(
    runs: RunSet<'_>,
    pictures: PictureSource<'_>,
    options: &PageOptions<'_>,
) -> Result<Page, PageError> {
    let RunSet { first, others, tables } = runs;
    let mut names = vec![name(&first.folder)];
    names.extend(others.iter().map(|(run, _)| name(&run.folder)));
    let found: Vec<HashMap<String, JudgedItem>> =
        others.iter().map(|(run, _)| by_id(run)).collect::<Result<_, _>>()?;
    let dataset = &first.folder.made_by.dataset.name;
    let mut page = options.page(format!("{} on {dataset}", names.join(" and ")));
    let mut met = HashSet::new();
    let mut flips: Vec<Flips> = vec![Flips::default(); others.len()];
    let mut urgencies = Vec::new();
    for judged in first.items()? {
        let judged = judged?;
        let Some(others) = shared(&judged, &found, &mut met) else { continue };
        flips.iter_mut().zip(&others).for_each(|(flips, other)| flips.add(&judged, other));
        let right = std::iter::once(&judged).chain(others).map(is_right).collect::<Vec<_>>();
        urgencies.push(Urgency::of_several(&right));
    }
    let selection = Selection::of(urgencies, options.samples);
    let in_all = if others.len() == 1 { "both" } else { "all" };
    page.lead = format!(
        "{} samples in {in_all} runs; verdicts by the profile “{}”{}",
        flips.first().map_or(0, |f| f.n()),
        first.profile(),
        selection.note()
    );
    for (number, (_, comparison)) in others.iter().enumerate() {
        let of = if others.len() == 1 { String::new() } else { format!("{}: ", names[number + 1]) };
        page.facts.extend(
            comparison
                .settings
                .iter()
                .map(|(field, a, b)| Fact { name: format!("{of}{field}"), value: format!("{a} → {b}") }),
        );
    }
    page.tables = tables.to_vec();
    page.plots = others
        .iter()
        .zip(&flips)
        .zip(&names[1..])
        .flat_map(|(((_, comparison), flips), name)| plots::comparison(comparison, flips, &names[0], name))
        .collect();
    let template = template(&first.folder.made_by);
    let mut reader = PictureReader::new(pictures, &mut page.images, options.hide_names);
    let (mut met, mut number) = (HashSet::new(), 0);
    for judged in first.items()? {
        let judged = judged?;
        let Some(others) = shared(&judged, &found, &mut met) else { continue };
        if selection.shows(number) {
            reader.show(selection.pictures(number), selection.place(number));
            let mut item = item(&judged, template.as_ref(), &mut reader);
            let right = std::iter::once(&judged).chain(others.iter().copied()).map(is_right);
            item.right = Some(who(&names, &right.collect::<Vec<_>>()));
            for (other, name) in others.iter().zip(&names[1..]) {
                let label = if others.len() == 1 { None } else { Some(name.as_str()) };
                add_other(&mut item, other, label, &mut reader);
            }
            page.items.push(item);
        }
        number += 1;
    }
    reader.finish(&mut page.items);
    page.runs = names;
    Ok(page)
}

/// `all right`, `none right`, or the names of the runs that are.
fn who(names: &[String], right: &[bool]) -> String {
    let named: Vec<&str> = names.iter().zip(right).filter(|(_, r)| **r).map(|(n, _)| n.as_str()).collect();
    match named.len() {
        0 => "none right".to_owned(),
        n if n == names.len() => "all right".to_owned(),
        _ => format!("only {}", named.join(", ")),
    }
}

/// What another run made of the same sample, its boxes on the same pictures.
fn add_other(item: &mut PageItem, judged: &JudgedItem, run: Option<&str>, reader: &mut PictureReader<'_>) {
    let outcome = ItemOutcome::of(judged);
    for (number, picture) in item.pictures.iter_mut().enumerate() {
        picture.boxes.extend(outcome.boxes(number, BoxKind::Second).map(|mut placed| {
            if let Some(run) = run {
                placed.label = format!("{run}: {}", placed.label);
            }
            placed
        }));
    }
    let trace = judged.item.reply.as_ref().and_then(|r| r.prediction.record.rounds());
    let line = &judged.item.line;
    let hidden = |sample: &loupe_core::Sample| sample.clone().without_file_names(line.row);
    let hidden = line.sample.as_ref().filter(|_| reader.hide_names).map(hidden);
    let sample = hidden.as_ref().or(line.sample.as_ref());
    let rounds = sample.zip(trace).map(|(sample, trace)| rounds(trace, sample, reader));
    item.others.push(OtherRun {
        reply: outcome.reply,
        failure: outcome.failure,
        verdict: outcome.verdict,
        verdicts: outcome.verdicts,
        rounds: rounds.unwrap_or_default(),
    });
}
