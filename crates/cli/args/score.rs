//! How replies are scored.

use crate::args::bertscore::BertScoreArgs;
use crate::args::judge::JudgeArgs;
use anyhow::Result;
use loupe_app::pages::{PAGE_MB, PAGE_SAMPLES, PageOptions};
use loupe_app::score::{Part, Preprocess, ScoreOptions, Texts};
use std::path::PathBuf;

/// How much a page shows.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PageArgs {
    /// Most samples on the report page, those that are not right first; the first 1000 come with their pictures.
    #[arg(long, value_name = "N", default_value_t = PAGE_SAMPLES)]
    page_samples: usize,

    /// Most megabytes of pictures on the page; when they do not fit, the largest are re-compressed and
    /// made smaller step by step, and the page says how many.
    #[arg(long, value_name = "MB", default_value_t = PAGE_MB)]
    page_mb: usize,

    /// Call pictures and samples by number on the page, where their files' names may say who the patient is; with `loupe eval` in
    /// the whole run folder. Pictures of such a folder are seen again with --data.
    #[arg(long)]
    hide_names: bool,
}

impl PageArgs {
    /// As a plain option.
    pub(crate) fn options(&self) -> PageOptions {
        PageOptions {
            samples: self.page_samples,
            bytes: self.page_mb.saturating_mul(1 << 20),
            hide_names: self.hide_names,
        }
    }
}

/// How replies are scored.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Scoring")]
pub(crate) struct ScoreArgs {
    /// Rules to score by beside `strict`; may be given several times (see `loupe list profiles`).
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,

    /// Text metrics to compute; may be given several times (see `loupe list metrics`).
    #[arg(long = "metric", value_name = "NAME")]
    metrics: Vec<String>,

    /// Annotations of the reports by other networks (RadGraph, CheXbert, GREEN, BERTScore), a JSON line
    /// for each sample, from which metrics are computed (docs/reference/scoring.md).
    #[arg(long, value_name = "FILE")]
    annotations: Option<PathBuf>,

    /// Which part of each report the text metrics compare.
    #[arg(long, value_name = "PART", default_value = "whole", value_parser = part)]
    report_part: Part,

    /// Compare reports in lower case, without list numbers and placeholders.
    #[arg(long)]
    report_clean: bool,

    /// Do not score the replies by every other profile as well (the row "parser sensitivity").
    #[arg(long)]
    no_sensitivity: bool,

    /// Show subgroups of any size on the terminal, not only those of at least 10 samples.
    #[arg(long)]
    pub(crate) subgroups: bool,

    #[command(flatten)]
    page: PageArgs,

    /// Write no report page.
    #[arg(long)]
    no_page: bool,

    /// Folder with the database files of WordNet (data.noun, index.noun, noun.exc …), for METEOR.
    #[arg(long, value_name = "DIR")]
    wordnet: Option<PathBuf>,

    /// Folder with a Punkt model of sentence ends (abbrev_types.txt …), for meteor_word_tokenize.
    #[arg(long, value_name = "DIR")]
    punkt: Option<PathBuf>,

    #[command(flatten)]
    bertscore: BertScoreArgs,

    #[command(flatten)]
    judge: JudgeArgs,
}

fn part(name: &str) -> Result<Part, String> {
    let found = Part::ALL.iter().find(|(n, _)| *n == name).map(|(_, part)| *part);
    found.ok_or_else(|| format!("expected {}", Part::ALL.map(|(n, _)| n).join(", ")))
}

impl ScoreArgs {
    /// As a plain option.
    pub(crate) fn options(&self) -> Result<ScoreOptions> {
        Ok(ScoreOptions {
            profiles: self.profiles.clone(),
            metrics: self.metrics.clone(),
            annotations: self.annotations.clone(),
            texts: Texts {
                part: self.report_part,
                clean: if self.report_clean { Preprocess::CLEAN } else { Preprocess::RAW },
            },
            sensitivity: !self.no_sensitivity,
            page: (!self.no_page).then(|| self.page.options()),
            wordnet: self.wordnet.clone(),
            punkt: self.punkt.clone(),
            bertscore: self.bertscore.options(),
            judge: self.judge.options()?,
        })
    }
}
