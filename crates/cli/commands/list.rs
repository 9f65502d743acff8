//! `loupe list models|datasets|profiles|prompts|report-templates|candidate-rules|report-judges|report-sections|metrics|protocols|dialects|recipes|exporters|windows|packs`

use crate::printer::{Ended, Printer};
use anyhow::Result;
use clap::ValueEnum;
use loupe_app::list::{ListKind, entries, entry};

/// List what loupe knows.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of which kind.
    #[arg(value_enum)]
    what: KindName,

    /// Only the one of this name, with all that is known of it: of a profile also its quirks.
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindName {
    Models,
    Datasets,
    Prompts,
    ReportTemplates,
    CandidateRules,
    ReportJudges,
    ReportSections,
    Profiles,
    Metrics,
    Protocols,
    Dialects,
    Recipes,
    Exporters,
    Windows,
    Packs,
}

impl From<KindName> for ListKind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Models => Self::Models,
            KindName::Datasets => Self::Datasets,
            KindName::Prompts => Self::Prompts,
            KindName::ReportTemplates => Self::ReportTemplates,
            KindName::CandidateRules => Self::CandidateRules,
            KindName::ReportJudges => Self::ReportJudges,
            KindName::ReportSections => Self::ReportSections,
            KindName::Profiles => Self::Profiles,
            KindName::Metrics => Self::Metrics,
            KindName::Protocols => Self::Protocols,
            KindName::Dialects => Self::Dialects,
            KindName::Recipes => Self::Recipes,
            KindName::Exporters => Self::Exporters,
            KindName::Windows => Self::Windows,
            KindName::Packs => Self::Packs,
        }
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let entries = match &args.name {
        Some(name) => vec![entry(args.what.into(), name)?],
        None => entries(args.what.into()),
    };
    if out.json {
        out.document(&entries)?;
        return Ok(Ended::Well);
    }
    let width = entries.iter().map(|e| e.name.chars().count()).max().unwrap_or(0);
    for entry in &entries {
        out.labelled(&format!("{:width$}  ", entry.name), &entry.about)?;
        for (name, value) in &entry.facts {
            out.labelled(&format!("{:width$}    ", ""), &format!("{name}: {value}"))?;
        }
    }
    Ok(Ended::Well)
}
