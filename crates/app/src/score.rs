//! Replies judged: by rules, by metrics, by a language model; with the page that shows them.

use crate::error::{AppError, InStep};
use crate::judge::JudgeOptions;
use crate::listener::Listener;
use crate::pages::{self, PageOptions};
use crate::similarity::BertScoreOptions;
use loupe_core::files::{SETTINGS_BYTES, read_at_most};
use loupe_core::{Dataset, MediaLoader, Metric};
use loupe_eval::metrics::annotations::Annotations;
use loupe_eval::metrics::bertscore::BertMetric;
use loupe_eval::metrics::meteor::MeteorMetric;
use loupe_eval::metrics::punkt::Punkt;
use loupe_eval::metrics::wordnet::WordNet;
use loupe_eval::metrics::{Compute, METRICS, Resource, TextCorpusMetric, TextMetric};
use loupe_eval::profiles::{AsProfile, HarnessProfile, PROFILES};
use loupe_eval::strict::Strict;
use loupe_eval::{Profile, ScoredRun, Scoring};
use loupe_report::pages::run::page as run_page;
use std::path::{Path, PathBuf};

pub use loupe_eval::Summary;
pub use loupe_eval::metrics::Texts;
pub use loupe_eval::metrics::report_sections::{Part, Preprocess};

/// How replies are scored.
#[derive(Debug, Clone)]
pub struct ScoreOptions {
    /// Rules to score by beside `strict`, by name.
    pub profiles: Vec<String>,
    /// Text metrics, by name.
    pub metrics: Vec<String>,
    /// What networks said about the reports, a JSON line each.
    pub annotations: Option<PathBuf>,
    /// What of a report the text metrics are given.
    pub texts: Texts,
    /// Ask every profile there is, for the range from the lowest to the highest.
    pub sensitivity: bool,
    /// The report page; none is written without.
    pub page: Option<PageOptions>,
    /// Folder with the database files of WordNet, for METEOR.
    pub wordnet: Option<PathBuf>,
    /// Folder with a Punkt model of sentence ends, for METEOR by `word_tokenize`.
    pub punkt: Option<PathBuf>,
    /// The text encoder of BERTScore.
    pub bertscore: Option<BertScoreOptions>,
    /// A language model that judges too.
    pub judge: Option<JudgeOptions>,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        Self {
            profiles: Vec::new(),
            metrics: Vec::new(),
            annotations: None,
            texts: Texts { part: Part::Whole, clean: Preprocess::RAW },
            sensitivity: true,
            page: Some(PageOptions::default()),
            wordnet: None,
            punkt: None,
            bertscore: None,
            judge: None,
        }
    }
}

/// Rules by their short name or the full one of the list (`compat:NAME@COMMIT`).
fn rules(name: &str) -> Option<&'static dyn HarnessProfile> {
    let short = name.strip_prefix("compat:").unwrap_or(name).split('@').next().unwrap_or(name);
    PROFILES.get(short).copied()
}

/// The profile of that name, where it asks no language model.
///
/// # Errors
/// When nothing has that name, or its harness asks a language model.
pub fn profile(name: &str) -> Result<Box<dyn Profile>, AppError> {
    if name == Strict.name() {
        return Ok(Box::new(Strict));
    }
    match rules(name) {
        Some(rules) if rules.rubric().is_some() => Err(AppError::input(format!(
            "the profile {name} asks a language model; `loupe score` does with --judge"
        ))),
        Some(rules) => Ok(Box::new(AsProfile::new(rules))),
        None => Err(PROFILES.unknown(name).into()),
    }
}

/// The metrics asked for, by how they are computed.
#[derive(Default)]
struct MetricPlan {
    /// Of single replies.
    single: Vec<TextMetric>,
    /// Of the whole set.
    whole: Vec<TextCorpusMetric>,
    /// Through a text encoder.
    bertscore: Vec<&'static str>,
    /// METEOR by white space, and by `word_tokenize`.
    meteor: [bool; 2],
}

/// [`ScoreOptions`] whose names are known and whose files are named.
pub struct Scorer<'a> {
    options: &'a ScoreOptions,
    /// Those that ask no language model, `strict` first.
    profiles: Vec<Box<dyn Profile>>,
    /// Those whose harness asks one.
    judged: Vec<&'static dyn HarnessProfile>,
    metrics: MetricPlan,
}

impl ScoreOptions {
    /// Finds everything by its name, before anything is computed.
    ///
    /// # Errors
    /// When a profile or metric is unknown, or a file that it needs is not named.
    pub fn scorer(&self) -> Result<Scorer<'_>, AppError> {
        let mut profiles: Vec<Box<dyn Profile>> = vec![Box::new(Strict)];
        let mut judged: Vec<&'static dyn HarnessProfile> = Vec::new();
        for name in &self.profiles {
            // Comes with what the judge says.
            let asking = rules(name).filter(|rules| rules.rubric().is_some());
            match asking.filter(|_| self.judge.is_some()) {
                Some(rules) if judged.iter().all(|j| j.name() != rules.name()) => judged.push(rules),
                Some(_) => {}
                None => {
                    let profile = profile(name)?;
                    if profiles.iter().all(|p| p.name() != profile.name()) {
                        profiles.push(profile);
                    }
                }
            }
        }
        Ok(Scorer { options: self, profiles, judged, metrics: self.metric_plan()? })
    }

    fn metric_plan(&self) -> Result<MetricPlan, AppError> {
        let mut plan = MetricPlan::default();
        for name in &self.metrics {
            let entry = METRICS.by_name(name)?;
            match entry.compute {
                Compute::Typed => {
                    return Err(AppError::input(format!(
                        "{name} is no metric of words; those of reports come with --annotations, others where the references are of their kind"
                    )));
                }
                Compute::Needs(Resource::TextEncoder) => {
                    if self.bertscore.is_none() {
                        return Err(AppError::input(
                            "BERTScore needs a text encoder: name the folder of its checkpoint (config.json, model.safetensors, tokenizer.json) with --text-encoder",
                        ));
                    }
                    plan.bertscore.push(entry.name);
                }
                Compute::Needs(resource @ (Resource::WordNet | Resource::WordNetAndPunkt)) => {
                    if self.wordnet.is_none() {
                        return Err(AppError::input(format!(
                            "{name} needs WordNet: name the folder of its database files (data, index and exception files of noun, verb, adj and adv) with --wordnet; Princeton University publishes them, and nltk's data package `wordnet` unpacks to the same files (3.0)"
                        )));
                    }
                    let cut = resource == Resource::WordNetAndPunkt;
                    if cut && self.punkt.is_none() {
                        return Err(AppError::input(format!(
                            "{name} needs a Punkt model of sentence ends: name the folder of a language (`english`) of nltk's data package `punkt_tab` with --punkt"
                        )));
                    }
                    plan.meteor[usize::from(cut)] = true;
                }
                Compute::Text(_) | Compute::Corpus(_) => {}
            }
            plan.single.extend(entry.as_metric(self.texts));
            plan.whole.extend(entry.as_corpus_metric(self.texts));
        }
        if plan.bertscore.is_empty() && self.bertscore.is_some() {
            return Err(AppError::input(
                "a text encoder is given, but no metric asks for it; add --metric bertscore_f1",
            ));
        }
        Ok(plan)
    }
}

impl Scorer<'_> {
    /// Scores the run in `dir` and writes its files and page. `dataset` gives the pictures of the page where they
    /// lie inside its files.
    ///
    /// # Errors
    /// When a file cannot be read or written, or a network cannot be loaded.
    pub fn score(
        &self,
        dir: &Path,
        dataset: Option<&dyn Dataset>,
        loader: &dyn MediaLoader,
        listener: &dyn Listener,
    ) -> Result<ScoredRun, AppError> {
        let (options, wanted) = (self.options, &self.metrics);
        let judge = options.judge.as_ref();
        let judged = judge.map(|j| j.ask(dir, &self.judged, listener)).transpose()?.unwrap_or_default();
        let profiles = self.profiles.iter().chain(&judged);
        let profiles: Vec<&dyn Profile> = profiles.map(AsRef::as_ref).collect();
        let annotations = options.annotations.as_deref().map(Annotations::read).transpose()?;
        let imported = annotations.as_ref().map(Annotations::metrics).unwrap_or_default();
        let encoder = options.bertscore.as_ref().filter(|_| !wanted.bertscore.is_empty());
        let encoded = encoder.map(|b| b.of_run(dir, options.texts, listener)).transpose()?;
        let similar = encoded.iter().flat_map(|e| wanted.bertscore.iter().filter_map(|name| e.metric(name)));
        let similar: Vec<BertMetric<'_>> = similar.collect();
        let load = wanted.meteor != [false; 2];
        let wordnet = options.wordnet.as_deref().filter(|_| load).map(WordNet::read).transpose()?;
        let punkt = options.punkt.as_deref().filter(|_| wanted.meteor[1]).map(Punkt::read).transpose()?;
        let meteor = wordnet.iter().flat_map(|wordnet| {
            let cuts = [wanted.meteor[0].then_some(None), wanted.meteor[1].then_some(punkt.as_ref())];
            let metric = move |punkt| MeteorMetric { wordnet, punkt, texts: options.texts };
            cuts.into_iter().flatten().map(metric)
        });
        let meteor: Vec<MeteorMetric<'_>> = meteor.collect();
        let words = wanted.single.iter().map(|m| m as &dyn Metric);
        let words = words.chain(similar.iter().map(|m| m as &dyn Metric));
        let words = words.chain(meteor.iter().map(|m| m as &dyn Metric));
        let metrics: Vec<&dyn Metric> = words.chain(imported.iter().map(|m| m as &dyn Metric)).collect();
        let texts = options.texts.name();
        let scoring = Scoring {
            profiles: &profiles,
            metrics: &metrics,
            corpus: &wanted.whole,
            annotations: annotations.as_ref(),
            texts: Some(&texts),
            bertscore: encoded.as_ref().map(|e| &e.facts),
            wordnet: wordnet.as_ref().map(|w| &w.facts),
            sensitivity: options.sensitivity,
        };
        let run = ScoredRun::of(dir, &scoring).step(|| "the replies could not be scored".to_owned())?;
        if let Some(page) = &options.page {
            let windows = pages::windows();
            let bounds = pages::bounds(page, &windows);
            run_page(&run, pages::pictures(dataset, loader), &bounds)
                .and_then(|page| page.save(&dir.join("report.html")))
                .step(|| "the report page could not be written".to_owned())?;
        }
        Ok(run)
    }
}

/// The summary of the run in `dir` that was scored before.
///
/// # Errors
/// When it was not, or its file is damaged.
pub fn read_summary(dir: &Path) -> Result<Summary, AppError> {
    let path = dir.join("summary.json");
    let text = read_at_most(&path, SETTINGS_BYTES)
        .step(|| format!("{} has no summary; score it with `loupe score`", dir.display()))?;
    serde_json::from_slice(&text).step(|| format!("{}", path.display()))
}

/// Did everything get a reply and every question to the judge a verdict?
pub fn is_complete(summary: &Summary) -> bool {
    let unjudged = summary.profiles.iter().any(|p| p.rules.keys().any(|rule| rule.starts_with("judge: ")));
    summary.failed + summary.unreadable + summary.missing == 0 && !unjudged
}

/// The tables of a summary for the terminal: subgroups of the first profile only; the report and the JSON document
/// have all of them.
pub fn terminal(summary: &Summary) -> String {
    let mut short = summary.clone();
    short.profiles.iter_mut().skip(1).for_each(|p| p.subgroups.clear());
    loupe_eval::tables::terminal(&short)
}
