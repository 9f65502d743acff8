//! `loupe list models|datasets|profiles|prompts|metrics|protocols|dialects|recipes|windows`

use crate::Ended;
use crate::printer::Printer;
use anyhow::Result;
use clap::ValueEnum;
use loupe_eval::Profile;
use loupe_eval::profiles::AsProfile;
use loupe_eval::strict::Strict;
use loupe_models::segmenters::SegmenterLoader;
use serde::Serialize;

/// List what loupe knows.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of which kind.
    #[arg(value_enum)]
    what: What,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Models,
    Datasets,
    Prompts,
    Profiles,
    Metrics,
    Protocols,
    Dialects,
    Recipes,
    Windows,
}

/// A line of the list.
#[derive(Serialize)]
struct Entry {
    name: String,
    about: String,
    /// Further facts, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    facts: Vec<(&'static str, String)>,
}

impl Entry {
    fn new(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self { name: name.into(), about: about.into(), facts: Vec::new() }
    }

    fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.facts.push((name, value));
        }
        self
    }
}

fn entries(what: What) -> Vec<Entry> {
    match what {
        What::Models => loupe_models::FAMILIES
            .iter()
            .map(|f| {
                Entry::new(f.name, f.architectures.join(", "))
                    .fact("checkpoints", f.examples.join(", "))
                    .fact("boxes", f.box_dialect)
                    .fact("paper", f.paper)
            })
            .chain(loupe_models::SEGMENTERS.iter().map(|f| {
                let about = match f.load {
                    SegmenterLoader::Picture(_) => "outlines what points, boxes and masks describe",
                    SegmenterLoader::Volume(_) => "labels whole volumes",
                };
                Entry::new(f.name, about)
                    .fact("checkpoints", f.examples.join(", "))
                    .fact("input", f.recipe)
                    .fact("paper", f.paper)
            }))
            .chain(loupe_models::ENCODERS.iter().map(|f| {
                let examples: Vec<&str> = f.examples.iter().map(|(name, _)| *name).collect();
                Entry::new(f.name, "encodes texts, for BERTScore")
                    .fact("checkpoints", examples.join(", "))
                    .fact("paper", f.paper)
            }))
            .collect(),
        What::Datasets => loupe_datasets::SETS
            .iter()
            .map(|s| {
                Entry::new(s.name, s.title)
                    .fact("splits", s.splits.join(", "))
                    .fact("layout", s.layout)
                    .fact("licence", s.licence)
                    .fact("source", s.citation)
            })
            .collect(),
        What::Prompts => {
            loupe_run::templates::PROMPT_TEMPLATES.iter().map(|r| Entry::new(r.name, r.source)).collect()
        }
        What::Profiles => std::iter::once(Entry::new(Strict.name(), Strict.about()))
            .chain(loupe_eval::profiles::PROFILES.iter().copied().map(|p| {
                let p = AsProfile::new(p);
                Entry::new(p.name(), p.about())
            }))
            .collect(),
        What::Metrics => loupe_eval::metrics::METRICS.iter().map(|m| Entry::new(m.name, m.convention)).collect(),
        What::Protocols => loupe_rethink::PROTOCOLS
            .iter()
            .map(|p| Entry::new(p.name, p.about))
            .chain(loupe_rethink::STRATEGIES.iter().map(|s| Entry::new(s.name, s.about)))
            .collect(),
        What::Dialects => loupe_core::dialect::DIALECTS.iter().map(|d| Entry::new(d.name, d.about)).collect(),
        What::Recipes => loupe_preprocess::recipes::RECIPES
            .iter()
            .map(|r| Entry::new(r.name, r.summary).fact("source", r.source))
            .collect(),
        What::Windows => loupe_preprocess::windows::PRESETS
            .iter()
            .map(|w| {
                Entry::new(
                    w.name,
                    format!("centre {} HU, width {} HU", w.window_hu.centre, w.window_hu.width),
                )
            })
            .collect(),
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let entries = entries(args.what);
    if out.json {
        out.document(&entries)?;
        return Ok(Ended::Well);
    }
    let width = entries.iter().map(|e| e.name.chars().count()).max().unwrap_or(0);
    for entry in &entries {
        out.line(&format!("{:width$}  {}", entry.name, entry.about))?;
        for (name, value) in &entry.facts {
            out.line(&format!("{:width$}    {name}: {value}", ""))?;
        }
    }
    Ok(Ended::Well)
}
