//! A page with two or more runs side by side.

use crate::pages::document::{Fact, Page};
use crate::pages::error::PageError;
use crate::pages::item::item;
use crate::pages::others::{Other, add_other, by_id};
use crate::pages::pictures::{PictureReader, PictureSource};
use crate::pages::plots::{self, Flips};
use crate::pages::prompt::Prompts;
use crate::pages::run::PageOptions;
use crate::pages::select::{Selection, Urgency};
use loupe_core::Table;
use loupe_eval::compare::Comparison;
use loupe_eval::{JudgedItem, JudgedRun, Verdict};
use loupe_run::probes::ProbeSetting;
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

/// Is the reply right?
fn is_right(judged: &JudgedItem) -> bool {
    judged.verdicts.first().is_some_and(|(_, j)| j.verdict == Verdict::Correct)
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
    let mut names = vec![first.folder.name()];
    names.extend(others.iter().map(|(run, _)| run.folder.name()));
    let found: Vec<HashMap<String, JudgedItem>> =
        others.iter().map(|(run, _)| by_id(run.items()?)).collect::<Result<_, _>>()?;
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
    let mut prompts = Prompts::of(&first.folder.made_by, 0);
    let mut reader = PictureReader::new(pictures, &mut page.images, options.hide_names);
    reader.look_through(first.folder.made_by.probe());
    let probes: Vec<Option<ProbeSetting>> =
        others.iter().map(|(run, _)| run.folder.made_by.probe()).collect();
    let (mut met, mut number) = (HashSet::new(), 0);
    for judged in first.items()? {
        let judged = judged?;
        let Some(others) = shared(&judged, &found, &mut met) else { continue };
        if selection.shows(number) {
            reader.show(selection.pictures(number), selection.place(number));
            let mut item = item(&judged, &mut prompts, &mut reader);
            let right = std::iter::once(&judged).chain(others.iter().copied()).map(is_right);
            item.right = Some(who(&names, &right.collect::<Vec<_>>()));
            for ((other, name), probe) in others.iter().copied().zip(&names[1..]).zip(&probes) {
                let other = Other { name, judged: other, probe: *probe, labelled: probes.len() > 1 };
                add_other(&mut item, &judged, other, &mut reader);
            }
            page.items.push(item);
        }
        number += 1;
    }
    reader.finish(&mut page.items);
    page.prompt_heads = prompts.heads;
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
