//! A page with two runs side by side.

use crate::page::{Pictures, found, item, page_table, put, said, verdict};
use anyhow::Result;
use loupe_core::Table;
use loupe_core::{Dataset, MediaLoader};
use loupe_eval::compare::Comparison;
use loupe_eval::run::{JudgedItem, RunFolder, view};
use loupe_eval::{Profile, Verdict};
use loupe_report::page::{BoxKind, Fact, Item, Second};
use loupe_report::{ImageStore, Page};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Two runs on the same samples.
pub(crate) struct SideBySide<'a> {
    pub(crate) a: &'a Path,
    pub(crate) b: &'a Path,
    pub(crate) profile: &'a dyn Profile,
    pub(crate) comparison: &'a Comparison,
    pub(crate) tables: &'a [Table],
    pub(crate) dataset: Option<&'a dyn Dataset>,
    pub(crate) loader: &'a dyn MediaLoader,
    pub(crate) most: usize,
    pub(crate) most_bytes: usize,
}

/// Writes a page with both runs, sample by sample.
pub(crate) fn write(sides: &SideBySide<'_>, path: &Path) -> Result<u64> {
    let (a, b) = (RunFolder::open(sides.a)?, RunFolder::open(sides.b)?);
    let name = |dir: &Path, folder: &RunFolder| {
        let own = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
        if own.is_empty() { folder.made_by.model.name.clone() } else { own }
    };
    let names = [name(sides.a, &a), name(sides.b, &b)];
    let profiles = [sides.profile];
    let mut second: HashMap<String, JudgedItem> = HashMap::new();
    for judged in view(&b, &profiles)? {
        let judged = judged?;
        second.entry(judged.item.line.id()).or_insert(judged);
    }
    let shared = sides.comparison.shared;
    let mut page = Page {
        title: format!("{} and {} on {}", names[0], names[1], a.made_by.dataset.name),
        lead: format!("{shared} samples in both runs; verdicts by the profile “{}”", sides.profile.name()),
        facts: sides
            .comparison
            .settings
            .iter()
            .map(|(field, a, b)| Fact { name: field.clone(), value: format!("{a} → {b}") })
            .collect(),
        tables: sides.tables.iter().map(page_table).collect(),
        runs: Some(names),
        images: ImageStore::of_size(Some(sides.most_bytes)),
        ..Page::default()
    };
    let shown = Pictures { dataset: sides.dataset, loader: sides.loader };
    let mut seen = HashSet::new();
    for judged in view(&a, &profiles)? {
        let judged = judged?;
        let id = judged.item.line.id();
        let Some(other) = second.get(&id).filter(|_| seen.insert(id)) else { continue };
        if page.items.len() == sides.most {
            page.lead += &format!("; the page shows the first {}", sides.most);
            break;
        }
        let mut item = item(&judged, &shown, &mut page.images);
        add_second(&mut item, other, &shown, &mut page.images);
        page.items.push(item);
    }
    put(&page, path)
}

/// What the second run made of the same sample, its boxes on the same pictures.
fn add_second(item: &mut Item, judged: &JudgedItem, shown: &Pictures<'_>, images: &mut ImageStore) {
    let said = said(judged);
    let right = |verdict: &str| verdict == Verdict::Correct.word();
    let who = match (right(&item.verdict), right(&said.verdict)) {
        (true, true) => "both",
        (true, false) => "first only",
        (false, true) => "second only",
        (false, false) => "neither",
    };
    for (number, picture) in item.pictures.iter_mut().enumerate() {
        let of = said.boxes.iter().filter(|b| b.picture == number);
        picture.boxes.extend(of.map(|b| found(b, BoxKind::Second)));
    }
    let sample = judged.item.line.sample.as_ref();
    let reply = judged.item.reply.as_ref();
    let rounds = sample
        .zip(reply)
        .map(|(sample, reply)| shown.rounds(judged.item.line.row, sample, &reply.prediction.trace, images));
    item.second = Some(Second {
        reply: said.words,
        failure: said.failure,
        verdict: said.verdict,
        verdicts: judged.verdicts.iter().map(|(name, j)| verdict(name, j)).collect(),
        rounds: rounds.unwrap_or_default(),
        right: who.to_owned(),
    });
}
