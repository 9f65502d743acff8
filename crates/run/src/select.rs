//! Which samples of a dataset take part.

use crate::error::RunError;
use crate::plan::Selection;
use crate::rows::{rank, sample};
use crate::sample_line::SampleLine;
use loupe_core::Dataset;
use loupe_core::words::did_you_mean;
use std::collections::{BTreeMap, BTreeSet};

/// The samples that take part, in dataset order; one at a time, as images may be in memory. A row that cannot be read takes part,
/// unless ids say otherwise: what it would have been is not known.
pub(crate) fn select<'a>(
    dataset: &'a dyn Dataset,
    selection: &'a Selection,
) -> Result<impl Iterator<Item = SampleLine> + 'a, RunError> {
    let ids: BTreeSet<&str> = selection.ids.iter().map(String::as_str).collect();
    let tags = by_tag(selection);
    known(dataset, &ids, &tags)?;
    let fits = move |line: &SampleLine| match &line.sample {
        None => ids.is_empty(),
        Some(sample) => {
            let holds =
                |(tag, values): (&&str, &BTreeSet<&str>)| sample.tag(tag).is_some_and(|v| values.contains(v));
            (ids.is_empty() || ids.contains(sample.id.as_str())) && tags.iter().all(holds)
        }
    };
    let drawn = selection.sample.map(|draw| {
        let mut ranked: Vec<([u8; 32], usize)> = lines(dataset)
            .filter(|line| fits(line))
            .map(|line| (rank(draw.seed, &line.id()), line.row))
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().take(draw.n).map(|(_, row)| row).collect::<BTreeSet<usize>>()
    });
    let chosen = lines(dataset)
        .filter(move |line| drawn.as_ref().is_none_or(|rows| rows.contains(&line.row)))
        .filter(move |line| fits(line));
    Ok(chosen.take(selection.limit.unwrap_or(usize::MAX)))
}

/// How many samples take part.
///
/// # Errors
/// When an id, a tag or a value is unknown, or there is none.
pub fn selected(dataset: &dyn Dataset, selection: &Selection) -> Result<usize, RunError> {
    match select(dataset, selection)?.count() {
        0 => Err(RunError::Empty(format!("{} has none that was asked for", dataset.info().name))),
        n => Ok(n),
    }
}

/// The wanted values by tag: one of them must be there, of each tag.
fn by_tag(selection: &Selection) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut tags: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in &selection.tags {
        tags.entry(&one.tag).or_default().insert(&one.value);
    }
    tags
}

/// Refuses ids, tags and values that no sample has.
fn known(
    dataset: &dyn Dataset,
    ids: &BTreeSet<&str>,
    tags: &BTreeMap<&str, BTreeSet<&str>>,
) -> Result<(), RunError> {
    if ids.is_empty() && tags.is_empty() {
        return Ok(());
    }
    let mut unknown = ids.clone();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for sample in lines(dataset).filter_map(|line| line.sample) {
        unknown.remove(sample.id.as_str());
        for (tag, value) in sample.tags {
            let values = seen.entry(tag).or_default();
            // Enough to name the nearest; some tags are a text of their own in every row.
            if values.len() < 10_000 {
                values.insert(value);
            }
        }
    }
    if let Some(first) = unknown.first() {
        return Err(RunError::Empty(format!(
            "no sample has the id {first:?} ({} of the ids are unknown)",
            unknown.len()
        )));
    }
    for (tag, values) in tags {
        let Some(there) = seen.get(*tag) else {
            let all: Vec<&str> = seen.keys().map(String::as_str).collect();
            let near = did_you_mean(tag, all.iter().copied());
            return Err(RunError::Empty(format!(
                "no sample has a tag {tag:?}{near}; there are {}",
                all.join(", ")
            )));
        };
        if let Some(value) = values.iter().find(|value| !there.contains(**value) && there.len() < 10_000) {
            let near = did_you_mean(value, there.iter().map(String::as_str));
            let some: Vec<&str> = there.iter().take(20).map(String::as_str).collect();
            let more = if there.len() > some.len() { " …" } else { "" };
            return Err(RunError::Empty(format!(
                "no sample has the value {value:?} of {tag}{near}; there are {}{more}",
                some.join(", ")
            )));
        }
    }
    Ok(())
}

fn lines(dataset: &dyn Dataset) -> impl Iterator<Item = SampleLine> + '_ {
    (0..dataset.len()).map(|row| match sample(dataset, row) {
        Ok(sample) => SampleLine { row, sample: Some(sample), error: None },
        Err(error) => SampleLine { row, sample: None, error: Some(error.to_string()) },
    })
}
