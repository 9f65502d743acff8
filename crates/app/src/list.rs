//! What loupe knows, by kind.

use crate::error::AppError;
use crate::profiles::{rules, unknown};
use loupe_core::registry::Named;
use loupe_core::words::did_you_mean;
use loupe_eval::Profile;
use loupe_eval::profiles::AsProfile;
use loupe_eval::strict::Strict;
use serde::Serialize;

/// Things that loupe has several of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// Families of models, segmenters and text encoders.
    Models,
    /// Sets that `loupe eval` reads.
    Datasets,
    /// Prompt templates.
    Prompts,
    /// Templates of reports.
    ReportTemplates,
    /// Rules by which one of several reports is kept.
    CandidateRules,
    /// What a judge is asked about reports.
    ReportJudges,
    /// Which sections of reports are compared, and how they are cleaned.
    ReportSections,
    /// Rules of other harnesses.
    Profiles,
    /// Metrics of texts, places and masks.
    Metrics,
    /// Protocols and strategies of a second look.
    Protocols,
    /// Ways of writing boxes and points.
    Dialects,
    /// Preparations of volumes.
    Recipes,
    /// Formats that findings are written in.
    Exporters,
    /// Windows by name.
    Windows,
    /// Packs of questions for reader studies.
    Packs,
}

/// A line of the list.
#[derive(Debug, Clone, Serialize)]
pub struct ListEntry {
    /// Name as options take it.
    pub name: String,
    /// In one line.
    pub about: String,
    /// Further facts, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<(&'static str, String)>,
}

impl ListEntry {
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

/// Everything of that kind, in the order of its table.
pub fn entries(kind: ListKind) -> Vec<ListEntry> {
    match kind {
        ListKind::Models => models(),
        ListKind::Datasets => loupe_datasets::SETS
            .iter()
            .map(|s| {
                ListEntry::new(s.name, s.title)
                    .fact("splits", s.splits.join(", "))
                    .fact("layout", s.layout)
                    .fact("licence", s.licence)
                    .fact("source", s.citation)
            })
            .collect(),
        ListKind::Prompts => loupe_run::templates::PROMPT_TEMPLATES
            .iter()
            .map(|t| ListEntry::new(t.name.clone(), t.source.clone()))
            .collect(),
        ListKind::ReportTemplates => loupe_run::report_prompt::REPORT_TEMPLATES
            .iter()
            .map(|t| ListEntry::new(t.name, t.source))
            .collect(),
        ListKind::CandidateRules => loupe_eval::reports::CANDIDATE_RULES
            .iter()
            .map(|rule| ListEntry::new(rule.name, rule.about))
            .collect(),
        ListKind::ReportJudges => loupe_eval::llm_judge::REPORT_QUESTIONS
            .iter()
            .map(|question| ListEntry::new(question.name, question.about))
            .collect(),
        ListKind::ReportSections => loupe_eval::reports::REPORT_PROFILES
            .iter()
            .map(|profile| ListEntry::new(profile.name, profile.source))
            .collect(),
        ListKind::Profiles => std::iter::once(ListEntry::new(Strict.name(), Strict.about()))
            .chain(loupe_eval::profiles::PROFILES.iter().map(|p| {
                let named = AsProfile::new(*p);
                ListEntry::new(named.name(), named.about())
            }))
            .collect(),
        ListKind::Metrics => {
            loupe_eval::metrics::METRICS.iter().map(|m| ListEntry::new(m.name, m.convention)).collect()
        }
        ListKind::Protocols => loupe_rethink::PROTOCOLS
            .iter()
            .map(|p| ListEntry::new(p.name, p.about))
            .chain(loupe_rethink::STRATEGIES.iter().map(|s| ListEntry::new(s.name, s.about)))
            .collect(),
        ListKind::Dialects => loupe_core::dialect::DIALECTS
            .iter()
            .map(|d| ListEntry::new(d.name, d.about).fact("asked by", d.ask.unwrap_or_default()))
            .collect(),
        ListKind::Recipes => loupe_preprocess::recipes::RECIPES
            .iter()
            .map(|r| ListEntry::new(r.name, r.summary).fact("source", r.source))
            .collect(),
        ListKind::Exporters => {
            crate::export::formats().map(|(name, about)| ListEntry::new(name, about)).collect()
        }
        ListKind::Windows => loupe_preprocess::windows::PRESETS
            .iter()
            .map(|w| {
                let window = w.window_hu;
                let about = format!("centre {} HU, width {} HU", window.centre, window.width);
                ListEntry::new(w.name, about)
            })
            .collect(),
        ListKind::Packs => loupe_study::design::packs::PACKS
            .iter()
            .map(|pack| ListEntry::new(pack.name(), pack.about()))
            .collect(),
    }
}

/// The one called `name`, with everything there is to say of it; profiles with their quirks.
///
/// # Errors
/// When nothing of that kind has that name; the message has the nearest.
pub fn entry(kind: ListKind, name: &str) -> Result<ListEntry, AppError> {
    if kind == ListKind::Profiles && name != Strict.name() {
        let rules = rules(name).ok_or_else(|| unknown(name))?;
        let named = AsProfile::new(rules);
        let mut entry = ListEntry::new(named.name(), named.about())
            .fact("commit", rules.commit())
            .fact("made for", rules.sets().join(", "));
        for quirk in rules.quirks() {
            entry = entry.fact("quirk", *quirk);
        }
        return Ok(entry);
    }
    let mut all = entries(kind);
    match all.iter().position(|entry| entry.name == name) {
        Some(at) => Ok(all.swap_remove(at)),
        None => {
            let meant = did_you_mean(name, all.iter().map(|entry| entry.name.as_str()));
            Err(AppError::input(format!("nothing is called {name:?} there{meant}")))
        }
    }
}

fn models() -> Vec<ListEntry> {
    let entry = |f: &loupe_models::Family| {
        let about = match f.architectures {
            [] => f.load.task().to_owned(),
            known => format!("{} ({})", f.load.task(), known.join(", ")),
        };
        let entry =
            ListEntry::new(f.name, about).fact("checkpoints", f.examples.join(", ")).fact("input", f.input);
        let entry = match f.box_dialect {
            Some(dialect) => entry.fact("boxes", dialect),
            None => entry,
        };
        entry
            .fact("layouts", f.layouts)
            .fact("licence", f.licence)
            .fact("parity", f.parity)
            .fact("paper", f.paper)
    };
    loupe_models::FAMILIES.iter().map(entry).collect()
}
