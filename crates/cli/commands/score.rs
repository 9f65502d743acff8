//! `loupe score RUN` and `loupe score --replies FILE`

use super::eval::open_data;
use crate::Ended;
use crate::bertscore::BertScoreArgs;
use crate::import::{self, ReplyArgs};
use crate::page::{self, Source};
use crate::pick::ImageArgs;
use crate::printer::Printer;
use crate::profile::JudgeArgs;
use anyhow::{Context, Result, bail};
use loupe_core::{Dataset, MediaLoader, Metric};
use loupe_eval::metrics::annotations::Annotations;
use loupe_eval::metrics::bertscore::BertMetric;
use loupe_eval::metrics::meteor::MeteorMetric;
use loupe_eval::metrics::punkt::Punkt;
use loupe_eval::metrics::report_sections::{Part, Preprocess};
use loupe_eval::metrics::wordnet::WordNet;
use loupe_eval::metrics::{self, Compute, Resource, TextCorpusMetric, TextMetric, Texts};
use loupe_eval::profiles::{AsProfile, HarnessProfile};
use loupe_eval::run::RunFolder;
use loupe_eval::strict::Strict;
use loupe_eval::tables;
use loupe_eval::{Profile, Scoring, Summary};
use std::path::{Path, PathBuf};

/// Score the replies of a run again, or those of another tool, without a model.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run folder.
    #[arg(required_unless_present = "replies", conflicts_with = "replies")]
    run: Option<PathBuf>,

    /// The dataset: for the pictures of the page where they lie inside its files, and for the
    /// questions and references of --replies.
    #[arg(long, value_name = "SET=DIR")]
    data: Option<String>,

    /// Its split, such as `test` or `test:en`.
    #[arg(long, requires = "data")]
    split: Option<String>,

    #[command(flatten)]
    replies: ReplyArgs,

    #[command(flatten)]
    score: ScoreArgs,

    #[command(flatten)]
    images: ImageArgs,
}

/// Megabytes of pictures on a page that still goes through a mail server.
pub(crate) const PAGE_MB: usize = 28;

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

    /// What networks said about the reports (RadGraph, CheXbert, GREEN, BERTScore), a JSON line each;
    /// their metrics are computed from it (docs/reference/scoring.md).
    #[arg(long, value_name = "FILE")]
    annotations: Option<PathBuf>,

    /// What of a report the text metrics are given.
    #[arg(long, value_name = "PART", default_value = "whole", value_parser = part)]
    report_part: Part,

    /// Give reports to the metrics in lower case, without list numbers and placeholders.
    #[arg(long)]
    report_clean: bool,

    /// Leave out the range of accuracies over every profile, which asks all of them about each reply.
    #[arg(long)]
    no_sensitivity: bool,

    /// Most samples on the report page.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    page_samples: usize,

    /// Most megabytes of pictures on the page; when they do not fit, the largest are re-compressed and
    /// made smaller step by step, and the page says how many.
    #[arg(long, value_name = "MB", default_value_t = PAGE_MB)]
    page_mb: usize,

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

/// The metrics asked for.
#[derive(Default)]
struct Wanted {
    /// Of single replies.
    single: Vec<TextMetric>,
    /// Of the whole set.
    whole: Vec<TextCorpusMetric>,
    /// Through a text encoder.
    bertscore: Vec<&'static str>,
    /// METEOR by white space, and by `word_tokenize`.
    meteor: [bool; 2],
}

fn part(name: &str) -> Result<Part, String> {
    let found = Part::ALL.iter().find(|(n, _)| *n == name).map(|(_, part)| *part);
    found.ok_or_else(|| format!("expected {}", Part::ALL.map(|(n, _)| n).join(", ")))
}

impl Default for ScoreArgs {
    fn default() -> Self {
        Self {
            profiles: Vec::new(),
            metrics: Vec::new(),
            annotations: None,
            report_part: Part::Whole,
            report_clean: false,
            no_sensitivity: false,
            page_samples: 1000,
            page_mb: PAGE_MB,
            no_page: false,
            wordnet: None,
            punkt: None,
            bertscore: BertScoreArgs::default(),
            judge: JudgeArgs::default(),
        }
    }
}

/// Rules by their short name or the full one of the list (`compat:NAME@COMMIT`).
fn rules(name: &str) -> Option<&'static dyn HarnessProfile> {
    let short = name.strip_prefix("compat:").unwrap_or(name).split('@').next().unwrap_or(name);
    loupe_eval::profiles::PROFILES.get(short).copied()
}

/// The profile of that name, where it asks no language model.
pub(crate) fn profile(name: &str) -> Result<Box<dyn Profile>> {
    if name == Strict.name() {
        return Ok(Box::new(Strict));
    }
    match rules(name) {
        Some(rules) if rules.rubric().is_some() => {
            bail!("the profile {name} asks a language model; `loupe score` does with --judge")
        }
        Some(rules) => Ok(Box::new(AsProfile::new(rules))),
        None => bail!("no profile is called {name:?}; `loupe list profiles` names them"),
    }
}

impl ScoreArgs {
    /// `strict` and the profiles asked for, in order.
    pub(crate) fn profiles(&self) -> Result<Vec<Box<dyn Profile>>> {
        let mut chosen: Vec<Box<dyn Profile>> = vec![Box::new(Strict)];
        for name in &self.profiles {
            // Comes with what the judge says.
            if self.judge.is_some() && rules(name).is_some_and(|rules| rules.rubric().is_some()) {
                continue;
            }
            let profile = profile(name)?;
            if chosen.iter().all(|p| p.name() != profile.name()) {
                chosen.push(profile);
            }
        }
        Ok(chosen)
    }

    /// The rules asked for whose harness asks a language model.
    fn judged(&self) -> Vec<&'static dyn HarnessProfile> {
        let mut found: Vec<&'static dyn HarnessProfile> = Vec::new();
        for rules in self.profiles.iter().filter_map(|name| rules(name)) {
            if rules.rubric().is_some() && found.iter().all(|f| f.name() != rules.name()) {
                found.push(rules);
            }
        }
        found
    }

    fn texts(&self) -> Texts {
        Texts {
            part: self.report_part,
            clean: if self.report_clean { Preprocess::CLEAN } else { Preprocess::RAW },
        }
    }

    /// Refuses metrics that nobody knows or whose files are not named, before anything is computed.
    pub(crate) fn check(&self) -> Result<()> {
        self.wanted().map(drop)
    }

    fn wanted(&self) -> Result<Wanted> {
        let mut wanted = Wanted::default();
        for name in &self.metrics {
            let Some(entry) = metrics::METRICS.get(name) else {
                bail!("no metric is called {name:?}; `loupe list metrics` names them");
            };
            match entry.compute {
                Compute::Typed => bail!(
                    "{name} is no metric of words; those of reports come with --annotations, others where the references are of their kind"
                ),
                Compute::Needs(Resource::TextEncoder) => {
                    self.bertscore.need()?;
                    wanted.bertscore.push(entry.name);
                }
                Compute::Needs(resource @ (Resource::WordNet | Resource::WordNetAndPunkt)) => {
                    if self.wordnet.is_none() {
                        bail!(
                            "{name} needs WordNet: name the folder of its database files (data, index and exception files of noun, verb, adj and adv) with --wordnet; Princeton University publishes them, and nltk's data package `wordnet` unpacks to the same files (3.0)"
                        );
                    }
                    let cut = resource == Resource::WordNetAndPunkt;
                    if cut && self.punkt.is_none() {
                        bail!(
                            "{name} needs a Punkt model of sentence ends: name the folder of a language (`english`) of nltk's data package `punkt_tab` with --punkt"
                        );
                    }
                    wanted.meteor[usize::from(cut)] = true;
                }
                Compute::Text(_) | Compute::Corpus(_) => {}
            }
            wanted.single.extend(entry.as_metric(self.texts()));
            wanted.whole.extend(entry.as_corpus_metric(self.texts()));
        }
        if wanted.bertscore.is_empty() && self.bertscore.need().is_ok() {
            bail!("a text encoder is given, but no metric asks for it; add --metric bertscore_f1");
        }
        Ok(wanted)
    }
}

/// Scores the folder and writes its files and page.
pub(crate) fn score_and_write(
    dir: &Path,
    profiles: &[Box<dyn Profile>],
    dataset: Option<&dyn Dataset>,
    loader: &dyn MediaLoader,
    args: &ScoreArgs,
    out: &Printer,
) -> Result<Summary> {
    let wanted = args.wanted()?;
    let judged = args.judge.ask(dir, &args.judged(), out)?;
    let mut profiles: Vec<&dyn Profile> = profiles.iter().map(AsRef::as_ref).collect();
    profiles.extend(judged.iter().map(AsRef::as_ref));
    let annotations = args.annotations.as_deref().map(Annotations::read).transpose()?;
    let imported = annotations.as_ref().map(Annotations::metrics).unwrap_or_default();
    let encoded = match wanted.bertscore.is_empty() {
        true => None,
        false => Some(args.bertscore.of_run(dir, args.texts(), out)?),
    };
    let similar = encoded.iter().flat_map(|e| wanted.bertscore.iter().filter_map(|name| e.metric(name)));
    let similar: Vec<BertMetric<'_>> = similar.collect();
    let load = wanted.meteor != [false; 2];
    let wordnet = args.wordnet.as_deref().filter(|_| load).map(WordNet::read).transpose()?;
    let punkt = args.punkt.as_deref().filter(|_| wanted.meteor[1]).map(Punkt::read).transpose()?;
    let meteor = wordnet.iter().flat_map(|wordnet| {
        let cuts = [wanted.meteor[0].then_some(None), wanted.meteor[1].then_some(punkt.as_ref())];
        cuts.into_iter().flatten().map(move |punkt| MeteorMetric { wordnet, punkt, texts: args.texts() })
    });
    let meteor: Vec<MeteorMetric<'_>> = meteor.collect();
    let words = wanted.single.iter().map(|m| m as &dyn Metric);
    let words = words.chain(similar.iter().map(|m| m as &dyn Metric));
    let words = words.chain(meteor.iter().map(|m| m as &dyn Metric));
    let metrics: Vec<&dyn Metric> = words.chain(imported.iter().map(|m| m as &dyn Metric)).collect();
    let texts = args.texts().name();
    let scoring = Scoring {
        profiles: &profiles,
        metrics: &metrics,
        corpus: &wanted.whole,
        annotations: annotations.as_ref(),
        texts: Some(&texts),
        bertscore: encoded.as_ref().map(|e| &e.facts),
        wordnet: wordnet.as_ref().map(|w| &w.facts),
        sensitivity: !args.no_sensitivity,
    };
    let summary = loupe_eval::score(dir, &scoring).context("the replies could not be scored")?;
    if !args.no_page {
        let folder = RunFolder::open(dir)?;
        let source = Source {
            folder: &folder,
            summary: &summary,
            profiles: &profiles,
            dataset,
            loader,
            most: args.page_samples,
            most_bytes: args.page_mb.saturating_mul(1 << 20),
        };
        page::write(&source).context("the report page could not be written")?;
    }
    Ok(summary)
}

/// The tables on the terminal, or the summary as JSON.
pub(crate) fn print(out: &mut Printer, summary: &Summary, dir: &Path) -> Result<()> {
    if out.json {
        return out.document(summary);
    }
    // Subgroups of the first profile only, by its first figure; the report and --json have all of them.
    let mut short = summary.clone();
    short.profiles.iter_mut().skip(1).for_each(|p| p.subgroups.clear());
    out.text(&tables::terminal(&short))?;
    let page = dir.join("report.html");
    let last = if page.is_file() {
        format!("report: {}", page.display())
    } else {
        format!("run: {}", dir.display())
    };
    out.say(&last);
    Ok(())
}

/// Did everything get a reply and every question to the judge a verdict?
pub(crate) fn ended(summary: &Summary) -> Ended {
    let unjudged = summary.profiles.iter().any(|p| p.rules.keys().any(|rule| rule.starts_with("judge: ")));
    if summary.failed + summary.unreadable + summary.missing > 0 || unjudged {
        Ended::WithFailures
    } else {
        Ended::Well
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let profiles = args.score.profiles()?;
    args.score.check()?;
    let data = args.data.as_deref().map(|set| (set, args.split.as_deref()));
    let loader = args.images.loader();
    let (dir, unusable) = match &args.run {
        Some(dir) => (dir.clone(), 0),
        None => import::run(&args.replies, data, &loader, out)?,
    };
    let dataset = data.map(|(set, split)| open_data(set, split)).transpose()?;
    let summary = score_and_write(&dir, &profiles, dataset.as_deref(), &loader, &args.score, out)?;
    print(out, &summary, &dir)?;
    Ok(if unusable > 0 { Ended::WithFailures } else { ended(&summary) })
}
