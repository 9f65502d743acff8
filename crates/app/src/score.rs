//! Replies judged: by rules, by metrics, by a language model; with the page that shows them.

use crate::earlier::Earlier;
use crate::error::{AppError, InStep};
use crate::judge::JudgeOptions;
use crate::listener::Listener;
use crate::pages::{self, PageOptions};
use crate::profiles::rules;
use crate::similarity::BertScoreOptions;
use loupe_core::words::counted;
use loupe_core::{Dataset, MediaLoader, MediaSource, Metric};
use loupe_eval::metrics::annotation_facts::first_named;
use loupe_eval::metrics::annotations::Annotations;
use loupe_eval::metrics::bertscore::BertMetric;
use loupe_eval::metrics::meteor::MeteorMetric;
use loupe_eval::metrics::punkt::Punkt;
use loupe_eval::metrics::wordnet::WordNet;
use loupe_eval::metrics::{Compute, METRICS, Resource, TextCorpusMetric, TextMetric};
use loupe_eval::profiles::HarnessProfile;
use loupe_eval::strict::Strict;
use loupe_eval::summary::ProfileSummary;
use loupe_eval::{Profile, ScoredRun, Scoring};
use loupe_report::pages::run::page as run_page;
use loupe_run::RunFolder;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use crate::earlier::read_summary;
pub use crate::profiles::profile;
pub use loupe_eval::Summary;
pub use loupe_eval::metrics::Texts;
pub use loupe_eval::metrics::report_sections::{Part, Preprocess};
pub use loupe_eval::tables::Shown;

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
    annotations: Option<Annotations>,
}

/// The annotations in a file, of which a line at least can be used.
///
/// # Errors
/// When the file cannot be read, or no line of it can.
pub(crate) fn annotations(path: &Path) -> Result<Annotations, AppError> {
    let named = || format!("the annotations {} could not be read", path.display());
    let read = Annotations::read(path).step(named)?;
    if !read.is_empty() {
        return Ok(read);
    }
    let problem = match read.refused() {
        [] => "no line stands there; a JSON object with \"id\" for each report is expected".to_owned(),
        [only] => format!("its only line cannot be used; {only}"),
        [first, ..] => format!("none of its {} lines can be used; {first}", read.refused().len()),
    };
    Err(AppError::input(problem)).step(named)
}

impl ScoreOptions {
    /// Finds everything by its name, before anything is computed.
    ///
    /// # Errors
    /// When a profile or metric is unknown, a file that it needs is not named, or the annotations cannot be read.
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
        let metrics = self.metric_plan()?;
        let annotations = self.annotations.as_deref().map(annotations).transpose()?;
        Ok(Scorer { options: self, profiles, judged, metrics, annotations })
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
    /// With annotations that are at hand.
    #[must_use]
    pub(crate) fn annotated(self, annotations: Option<Annotations>) -> Self {
        Self { annotations, ..self }
    }

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
        let asked = self.profiles.iter().chain(&judged).map(|p| p.name());
        let asked: Vec<&str> = asked.chain(options.metrics.iter().map(String::as_str)).collect();
        let earlier = Earlier::read(dir, &asked, options.texts, listener)?;
        let profiles = self.profiles.iter().chain(&judged).chain(&earlier.profiles);
        let mut profiles: Vec<&dyn Profile> = profiles.map(AsRef::as_ref).collect();
        // As they stood before, new ones behind them; `strict` is always the first.
        let place = |p: &&dyn Profile| earlier.order.iter().position(|name| name == p.name());
        profiles.sort_by_key(|p| (p.name() != Strict.name(), place(p).unwrap_or(usize::MAX)));
        let annotations = self.annotations.as_ref();
        let imported = annotations.map(Annotations::metrics).unwrap_or_default();
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
        let words = earlier.single.iter().chain(&wanted.single).map(|m| m as &dyn Metric);
        let words = words.chain(similar.iter().map(|m| m as &dyn Metric));
        let words = words.chain(meteor.iter().map(|m| m as &dyn Metric));
        let metrics: Vec<&dyn Metric> = words.chain(imported.iter().map(|m| m as &dyn Metric)).collect();
        let whole: Vec<TextCorpusMetric> = earlier.whole.iter().chain(&wanted.whole).copied().collect();
        let scoring = Scoring {
            profiles: &profiles,
            metrics: &metrics,
            corpus: &whole,
            annotations,
            texts: options.texts,
            bertscore: encoded.as_ref().map(|e| &e.facts),
            wordnet: wordnet.as_ref().map(|w| &w.facts),
            sensitivity: options.sensitivity,
            data_root: dataset.and_then(Dataset::root),
            set: dataset.map(Dataset::info),
        };
        let run = ScoredRun::of(dir, &scoring).step(|| "the replies could not be scored".to_owned())?;
        let refused = annotations.map(Annotations::refused).unwrap_or_default();
        if !refused.is_empty() {
            let named = first_named(refused.iter().map(ToString::to_string));
            listener
                .say(&format!("{} of annotations cannot be used: {named}", counted(refused.len(), "line")));
        }
        idle_profiles(&run.summary).iter().for_each(|line| listener.say(line));
        if let Some(page) = &options.page {
            say_missing_pictures(&run, listener)?;
            let windows = pages::windows();
            let bounds = pages::bounds(page, &windows);
            run_page(&run, pages::pictures(dataset, loader), &bounds)
                .and_then(|page| page.save(&dir.join("report.html")))
                .step(|| "the report page could not be written".to_owned())?;
        }
        Ok(run)
    }
}

/// Says how many pictures of the run are not where they were, and how they can be shown again.
fn say_missing_pictures(run: &ScoredRun, listener: &dyn Listener) -> Result<(), AppError> {
    let mut seen: BTreeMap<PathBuf, bool> = BTreeMap::new();
    for item in run.folder.items()? {
        for media in item?.line.sample.iter().flat_map(|s| &s.media) {
            if let MediaSource::File(path) | MediaSource::Folder(path) = &media.source {
                seen.entry(path.clone()).or_insert_with(|| path.exists());
            }
        }
    }
    let missing = seen.values().filter(|there| !**there).count();
    if missing > 0 {
        listener.say(&format!(
            "{missing} of {} pictures are missing on the page; where the set has moved, `loupe score RUN --data {}=DIR` names its folder",
            seen.len(),
            run.folder.made_by.dataset.name
        ));
    }
    Ok(())
}

/// Profiles that judged none of the replies, with the commonest reason.
fn idle_profiles(summary: &Summary) -> Vec<String> {
    // `strict` has figures where it judges nothing (masks, reports).
    let idle = summary
        .profiles
        .iter()
        .filter(|p| p.name != Strict.name() && summary.replies > 0 && p.verdicts.keys().all(|v| !v.counts()));
    let line = |p: &ProfileSummary| {
        let (why, _) = p.rules.iter().max_by_key(|(_, n)| **n)?;
        Some(format!(
            "{} judged none of the {}: {why}",
            p.name,
            counted(usize::try_from(summary.replies).unwrap_or(usize::MAX), "reply")
        ))
    };
    idle.filter_map(line).collect()
}

/// Refuses a set that is not the one the run in `dir` was made of.
///
/// # Errors
/// When it is another one, or the run cannot be read.
pub fn same_set(dir: &Path, set: &dyn Dataset) -> Result<(), AppError> {
    let (run, info) = (RunFolder::open(dir)?.made_by.dataset, set.info());
    match run.name == info.name {
        true => Ok(()),
        false => Err(AppError::input(format!("the run is of {}, --data names {}", run.name, info.name))),
    }
}

/// Did everything get a reply and every question to the judge a verdict, and could every line of the annotations be used?
pub fn is_complete(summary: &Summary) -> bool {
    let unjudged = summary.profiles.iter().any(|p| p.rules.keys().any(|rule| rule.starts_with("judge: ")));
    summary.failed + summary.unreadable + summary.missing == 0 && !unjudged && summary.uses_all_annotations()
}

/// The tables of a summary for the terminal: subgroups of the first profile only; the report and the JSON document
/// have all of them.
pub fn terminal(summary: &Summary, shown: Shown) -> String {
    let mut short = summary.clone();
    short.profiles.iter_mut().skip(1).for_each(|p| p.subgroups.clear());
    loupe_eval::tables::terminal(&short, shown)
}
