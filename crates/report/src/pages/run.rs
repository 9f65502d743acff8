//! The page of a run, and one page over several runs.

use crate::pages::document::{Fact, Page, WindowPreset};
use crate::pages::error::PageError;
use crate::pages::item::item;
use crate::pages::kit::store::ImageStore;
use crate::pages::others::{Other, add_other, by_id};
use crate::pages::pictures::{PictureReader, PictureSource};
use crate::pages::plots::{self, Effort};
use crate::pages::prompt::Prompts;
use crate::pages::select::{Selection, Urgency};
use loupe_core::{Provenance, Table};
use loupe_eval::profiles::{AsProfile, PROFILES};
use loupe_eval::summary::{ProfileSummary, Summary};
use loupe_eval::{Profile, ScoredRun, tables};
use loupe_run::MadeBy;

/// What may be on a page.
#[derive(Debug, Clone, Copy)]
pub struct PageOptions<'a> {
    /// Windows that a reader can choose.
    pub windows: &'a [WindowPreset],
    /// Most samples; of each run, on a page of several.
    pub samples: usize,
    /// Most bytes of pictures.
    pub picture_bytes: usize,
    /// Call pictures by sample and number instead of their file.
    pub hide_names: bool,
}

impl PageOptions<'_> {
    /// An empty page.
    pub(crate) fn page(&self, title: String) -> Page {
        Page {
            title,
            windows: self.windows.to_vec(),
            images: ImageStore::of_size(Some(self.picture_bytes)),
            ..Page::default()
        }
    }
}

/// The page of a run that was just scored; it reads the verdicts from the folder.
///
/// # Errors
/// When the folder cannot be read. A picture that cannot is said to be missing.
pub fn page(
    run: &ScoredRun,
    pictures: PictureSource<'_>,
    options: &PageOptions<'_>,
) -> Result<Page, PageError> {
    let (made_by, summary) = (&run.folder.made_by, &run.summary);
    let (model, dataset) = (&made_by.model, &made_by.dataset);
    let mut page = options.page(format!("{} on {} ({})", model.name, dataset.name, dataset.split));
    page.facts = facts(made_by);
    page.tables = summary_tables(summary);
    let (mut urgencies, mut effort) = (Vec::new(), Effort::default());
    for judged in run.items()? {
        let judged = judged?;
        urgencies.push(Urgency::of(&judged));
        effort.add(&judged);
    }
    page.plots = plots::run(summary, &effort);
    let selection = Selection::of(urgencies, options.samples);
    let mut prompts = Prompts::of(made_by, 0);
    let mut reader = PictureReader::new(pictures, &mut page.images, options.hide_names);
    reader.look_through(made_by.probe());
    for (n, judged) in run.items()?.enumerate() {
        let judged = judged?;
        if selection.shows(n) {
            reader.show(selection.pictures(n), selection.place(n));
            page.items.push(item(&judged, &mut prompts, &mut reader));
        }
    }
    reader.finish(&mut page.items);
    page.prompt_heads = prompts.heads;
    page.lead = format!("{} replies, {} failed", summary.replies, summary.failed);
    for words in summary.run.incomplete().iter().chain(&summary.run.notes) {
        page.lead += &format!("; {words}");
    }
    if summary.missing > 0 {
        page.lead += &format!(", {} not asked yet", summary.missing);
    }
    page.lead += &selection.note();
    Ok(page)
}

/// A run on a page of several.
#[derive(Clone, Copy)]
pub struct PagePart<'a> {
    /// What its samples are filtered by.
    pub name: &'a str,
    /// The run, just scored.
    pub run: &'a ScoredRun,
    /// Where its pictures come from.
    pub pictures: PictureSource<'a>,
    /// Probes of it, each by its name; their pictures and replies stand beside those of the run.
    pub probes: &'a [(&'a str, &'a ScoredRun)],
}

/// Samples of several runs on one page; the filter `part` keeps them apart.
///
/// # Errors
/// As [`page`].
pub fn page_of_parts(
    title: &str,
    tables: Vec<Table>,
    parts: &[PagePart<'_>],
    options: &PageOptions<'_>,
) -> Result<Page, PageError> {
    let mut page = Page { tables, ..options.page(title.to_owned()) };
    for PagePart { name, run, pictures, probes } in parts {
        let made_by = &run.folder.made_by;
        let model = &made_by.model;
        let value = format!(
            "{} ({}, weights {:.12}) on {} samples of {}",
            model.name,
            model.described(),
            model.identity_sha256(),
            made_by.n,
            made_by.dataset.name
        );
        page.facts.push(Fact { name: (*name).to_owned(), value });
        // Spread over the set, whose neighbours share their pictures.
        let step = (made_by.n / options.samples.max(1)).max(1);
        let mut prompts = Prompts::of(made_by, page.prompt_heads.len());
        let mut reader = PictureReader::new(*pictures, &mut page.images, options.hide_names);
        reader.look_through(made_by.probe());
        let found = probes.iter().map(|(_, run)| by_id(run.items()?)).collect::<Result<Vec<_>, _>>()?;
        for judged in run.items()?.step_by(step).take(options.samples) {
            let judged = judged?;
            let mut item = item(&judged, &mut prompts, &mut reader);
            for ((name, probe), found) in probes.iter().zip(&found) {
                let Some(other) = found.get(&judged.item.line.id()) else { continue };
                let probe = probe.folder.made_by.probe();
                let other = Other { name, judged: other, probe, labelled: probes.len() > 1 };
                add_other(&mut item, &judged, other, &mut reader);
            }
            item.id = format!("{name}: {}", item.id);
            item.tags.insert("part".to_owned(), (*name).to_owned());
            page.items.push(item);
        }
        reader.finish(&mut page.items);
        page.prompt_heads.extend(prompts.heads);
    }
    page.lead = format!("{} samples of {} runs", page.items.len(), parts.len());
    Ok(page)
}

fn facts(made_by: &MadeBy) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: String| facts.push(Fact { name: name.to_owned(), value });
    let (dataset, model) = (&made_by.dataset, &made_by.model);
    fact("dataset", format!("{} {} · {}", dataset.name, dataset.split, dataset.citation));
    fact("dataset fingerprint", dataset.fingerprint.clone());
    fact("samples", made_by.n.to_string());
    fact("model", format!("{} ({})", model.name, model.described()));
    match &model.from {
        Provenance::Checkpoint(c) => {
            fact("weights SHA-256", c.weights_sha256.clone());
            let others = [
                ("adapter SHA-256", &c.adapter_sha256),
                ("tokenizer SHA-256", &c.tokenizer_sha256),
                ("chat template SHA-256", &c.template_sha256),
            ];
            for (name, sha256) in others {
                sha256.iter().for_each(|sha256| fact(name, sha256.clone()));
            }
            fact("computed as", format!("{} on {}", c.dtype, c.device));
            fact("resizing", c.resample.clone());
            if let Some(pictures) = c.settings.get("pictures") {
                fact("pictures", pictures.to_string());
            }
            if let Some(generation) = &c.generation {
                fact("checkpoint's generation", serde_json::to_string(generation).unwrap_or_default());
            }
        }
        Provenance::Served { model, server, .. } => {
            fact("served as", model.clone());
            server.iter().for_each(|server| fact("server", server.clone()));
        }
        Provenance::Imported { file_sha256 } => fact("replies SHA-256", file_sha256.clone()),
    }
    fact("prompt", made_by.prompt.get("name").and_then(|n| n.as_str()).unwrap_or("?").to_owned());
    fact("generation", limits(&serde_json::to_value(&made_by.limits).unwrap_or_default()));
    fact("loupe", made_by.loupe.clone());
    for session in &made_by.sessions {
        let by = [session.commit.as_str(), session.host.as_str()].join(" on ");
        let shard = session.shard.map_or_else(String::new, |shard| format!("shard {shard}, "));
        // When it was stands in run.json alone, so that the same results make the same page.
        fact("session", format!("{shard}commit {by}: {}", session.command.join(" ")));
    }
    if !made_by.strategy.is_null() {
        fact("strategy", made_by.strategy.to_string());
    }
    for (name, setting) in &made_by.settings {
        fact(name, format!("{}{}", setting.value, if setting.given { " (given)" } else { "" }));
    }
    facts
}

/// `max new tokens 32 · temperature 0`: what was asked for, without what was not.
fn limits(value: &serde_json::Value) -> String {
    let all = value.as_object().into_iter().flatten().filter(|(_, v)| {
        !v.is_null() && v.as_array().is_none_or(|a| !a.is_empty()) && v.as_bool() != Some(false)
    });
    let one = |(name, v): (&String, &serde_json::Value)| format!("{} {v}", name.replace('_', " "));
    all.map(one).collect::<Vec<_>>().join(" · ")
}

/// Tables of the summary: figures by profile, then the others as on the terminal, then the first figure by
/// subgroup.
fn summary_tables(summary: &Summary) -> Vec<Table> {
    let mut all = Vec::new();
    for profile in &summary.profiles {
        let mut table =
            tables::figures(format!("Figures by the profile “{}”", profile.name), &profile.figures);
        table.note = "Unparsed replies stay in the denominator; unscored items do not.".to_owned();
        all.push(table);
        all.extend(harness_figures(profile));
        all.extend(quirks(profile));
    }
    for profile in &summary.profiles {
        all.extend(tables::rollouts(profile));
        all.extend(tables::calibration(profile));
    }
    all.extend(tables::failures(summary));
    all.extend(tables::sensitivity(summary));
    all.extend(tables::metrics(summary));
    all.extend(tables::grounding(summary));
    all.extend(summary.profiles.first().and_then(subgroups));
    all
}

fn harness_figures(profile: &ProfileSummary) -> Option<Table> {
    let mut table = Table::new(format!("As “{}” prints them", profile.name), &["figure", "value"]);
    table.note = "The harness's own figures, quirks included.".to_owned();
    table.rows = profile.printed.iter().map(|(n, v)| vec![n.clone(), format!("{v:.4}")]).collect();
    (!table.rows.is_empty()).then_some(table)
}

/// What is odd in the rules of a harness and reproduced on purpose.
fn quirks(profile: &ProfileSummary) -> Option<Table> {
    let rules = PROFILES.iter().map(|rules| AsProfile::new(*rules));
    // A judge's model stands behind the name.
    let rules = rules.into_iter().find(|p| profile.name.split('/').next() == Some(p.name()))?;
    let mut table = Table::new(format!("Quirks of “{}”, reproduced on purpose", profile.name), &["quirk"]);
    table.note = rules.about().to_owned();
    table.rows = rules.rules().quirks().iter().map(|q| vec![(*q).to_owned()]).collect();
    (!table.rows.is_empty()).then_some(table)
}

/// The first figure of each subgroup.
fn subgroups(profile: &ProfileSummary) -> Option<Table> {
    let name = profile.figures.first().map_or("", |f| f.name.as_str());
    let title = format!("{name} by subgroup, profile “{}”", profile.name);
    let mut table = Table::new(title, &[&["subgroup"][..], &tables::FIGURE].concat());
    let row = |group: &loupe_eval::summary::Subgroup| {
        let name = format!("{}: {}", group.tag.replace('_', " "), group.value);
        Some([&[name][..], &tables::figure_cells(group.figures.first()?)].concat())
    };
    table.rows = profile.subgroups.iter().filter_map(row).collect();
    (!table.rows.is_empty()).then_some(table)
}
