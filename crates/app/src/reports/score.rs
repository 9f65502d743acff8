//! Scores of a batch whose studies have references: metrics of words and of imported annotations under a named section profile, findings
//! against a structured truth, and two systems compared study by study.

use super::imported::Imported;
use crate::error::{AppError, InStep};
use crate::judge::{JudgeOptions, JudgedMetric};
use crate::listener::Listener;
use crate::open::ImageOptions;
use crate::score::ScoreOptions;
use crate::similarity::BertScoreOptions;
use loupe_core::files::read_text_at_most;
use loupe_core::table::Format;
use loupe_core::words::counted;
use loupe_core::{Table, Target};
use loupe_eval::metrics::annotations::{self, Annotations};
use loupe_eval::metrics::radeval::{RadEvalName, radeval_name};
use loupe_eval::metrics::{Compute, METRICS};
use loupe_eval::reports::truth::{Fact, FactCounts, TRUTH_TAG, TrueFinding, compare};
use loupe_eval::reports::{ReportProfile, WrittenReport, report_profile};
use loupe_eval::stats::paired::approximate_randomisation;
use loupe_eval::{Summary, tables};
use loupe_run::report_prompt::StructuredReport;
use loupe_run::{RunFolder, replace, run_name};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a batch is scored by.
#[derive(Debug, Clone)]
pub struct ReportScoreOptions {
    /// The batch; with a second one, the two are compared.
    pub runs: Vec<PathBuf>,
    /// Name of a section profile.
    pub profile: String,
    /// Metrics by their names here or in RadEval; [`DEFAULT_METRICS`] when empty.
    pub metrics: Vec<String>,
    /// A language model that judges the reports.
    pub judge: Option<JudgeOptions>,
    /// What it is asked for; [`DEFAULT_JUDGED`] when empty.
    pub judged: Vec<String>,
    /// What networks or judges said about the reports, a JSON line each; one file a run, in their order.
    pub annotations: Vec<PathBuf>,
    /// Folder of WordNet's files, for METEOR.
    pub wordnet: Option<PathBuf>,
    /// Folder of a Punkt model.
    pub punkt: Option<PathBuf>,
    /// The text encoder of BERTScore.
    pub bertscore: Option<BertScoreOptions>,
    /// Random exchanges of the two systems' reports, for p.
    pub exchanges: usize,
    /// Their seed.
    pub seed: u64,
}

/// Metrics of words that need nothing beside the texts.
pub const DEFAULT_METRICS: [&str; 7] =
    ["bleu1_coco", "bleu2_coco", "bleu3_coco", "bleu4_coco", "rouge_l", "rouge_l_coco", "cider_d"];

/// What a judge is asked for when nothing is named.
pub const DEFAULT_JUDGED: &str = "green";

/// Does a metric ask what a report says rather than in which words?
fn is_clinical(name: &str) -> bool {
    name != "radeval_bertscore" && annotations::names().any(|known| known == name)
}

/// Scores of one batch or two.
#[derive(Debug, Clone, Serialize)]
pub struct ReportScores {
    /// The section profile.
    pub profile: &'static str,
    /// What it is.
    pub profile_source: &'static str,
    /// The figures of each run, by its folder's name.
    pub runs: Vec<RunScores>,
    /// The second run against the first, by metric.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<MetricDifference>,
    /// What a reader of the tables has to know.
    pub notes: Vec<String>,
}

/// The figures of a run.
#[derive(Debug, Clone, Serialize)]
pub struct RunScores {
    /// Name of its folder.
    pub name: String,
    /// Everything that was computed.
    pub summary: Summary,
    /// Findings against the structured truth, where the studies have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub truth: Vec<TruthFigure>,
    /// What a language model was asked about the reports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<JudgedMetric>,
}

/// How much of what is there a batch found.
#[derive(Debug, Clone, Serialize)]
pub struct TruthFigure {
    /// What of the findings.
    pub fact: Fact,
    /// Share of statements that are true.
    pub precision: Option<f64>,
    /// Share of facts that were stated.
    pub recall: Option<f64>,
    /// The counts behind.
    pub counts: FactCounts,
    /// Studies with a truth.
    pub studies: usize,
}

/// Two systems by one metric.
#[derive(Debug, Clone, Serialize)]
pub struct MetricDifference {
    /// Its name.
    pub metric: String,
    /// Studies that both have a value for.
    pub n: usize,
    /// Means of the first and the second over these.
    pub means: [f64; 2],
    /// Second minus first.
    pub difference: f64,
    /// Two-sided p by approximate randomisation.
    pub p: f64,
}

/// Scores the runs; writes `scores.csv` with a row a study into each.
///
/// # Errors
/// When a name is unknown, a run has no references, or a file cannot be read.
pub fn score(options: &ReportScoreOptions, listener: &dyn Listener) -> Result<ReportScores, AppError> {
    let profile = report_profile(&options.profile).map_err(AppError::input)?;
    if options.runs.is_empty() || options.runs.len() > 2 {
        return Err(AppError::input("one run is scored, or two are compared"));
    }
    if options.annotations.len() > options.runs.len() {
        return Err(AppError::input(
            "there are more files of annotations than runs; one for each, in their order",
        ));
    }
    let words = words(options)?;
    if let Some(twice) = options
        .judged()
        .enumerate()
        .find_map(|(at, name)| options.judged().take(at).any(|other| other == name).then_some(name))
    {
        return Err(AppError::input(format!("--judge-metric {twice} is named twice; once is enough")));
    }
    // Everything is read before anybody is asked.
    let mut read = Vec::new();
    for (at, dir) in options.runs.iter().enumerate() {
        need_references(dir)?;
        read.push(Imported::read(options.annotations.get(at), dir, &options.metrics, &options.asked())?);
    }
    if let [first, second] = options.runs.as_slice() {
        need_the_same_studies(first, second)?;
    }
    let mut judge = options.judge.as_ref().map(|judge| judge.about_reports(&options.asked())).transpose()?;
    let mut scored = Vec::new();
    for (dir, imported) in options.runs.iter().zip(read) {
        imported.unmatched.iter().for_each(|line| listener.say(line));
        let (annotations, judged) = imported.judged(judge.as_mut(), dir, profile, listener)?;
        let (run, values) = score_run(options, &words, profile, dir, annotations, listener)?;
        scored.push((RunScores { judged, ..run }, values));
    }
    let differences = match scored.as_slice() {
        [(_, a), (_, b)] => differences(a, b, options),
        _ => Vec::new(),
    };
    let runs: Vec<RunScores> = scored.into_iter().map(|(run, _)| run).collect();
    let mut notes = Vec::new();
    let clinical = |run: &RunScores| {
        run.summary.metrics.iter().any(|figure| is_clinical(&figure.name)) || !run.truth.is_empty()
    };
    if !runs.iter().all(clinical) {
        notes.push(
            "no clinical metric was given: figures of words do not tell whether a report is right (a \"no\" that is lost hardly changes \
             them); --annotations adds RadGraph, CheXbert, RadCliQ, GREEN, RadFact, RaTEScore, CRIMSON and MedVAL, --judge asks a language model"
                .to_owned(),
        );
    }
    for run in &runs {
        for judged in &run.judged {
            if judged.without == judged.asked {
                notes.push(format!(
                    "{}: {} gave no verdict for {} on any of {}",
                    run.name,
                    judged.judge,
                    judged.metric,
                    counted(judged.asked, "report")
                ));
                continue;
            }
            notes.push(format!(
                "{}: {} is what {} said to the prompt {:?} (the judge's cache has its words), not the published judge",
                run.name, judged.metric, judged.judge, judged.prompt
            ));
        }
        let (scored, of) =
            (run.summary.metrics.iter().map(|f| f.n).max().unwrap_or(0), run.summary.run.n as u64);
        if scored < of {
            notes.push(format!(
                "{}: {scored} of {} have a report and a reference",
                run.name,
                counted(of as usize, "study")
            ));
        }
    }
    notes.push("CIDEr takes its weights from the references of this set: figures of other sets or parts do not compare".to_owned());
    Ok(ReportScores { profile: profile.name, profile_source: profile.source, runs, differences, notes })
}

/// The metrics of words that are wanted.
///
/// # Errors
/// When a name is unknown, or stands for what a network says about reports and nothing like it is given.
fn words(options: &ReportScoreOptions) -> Result<Vec<String>, AppError> {
    if options.metrics.is_empty() {
        return Ok(DEFAULT_METRICS.map(str::to_owned).to_vec());
    }
    let mut words = Vec::new();
    for name in &options.metrics {
        let own = METRICS.get(name);
        if own.is_some_and(|entry| !matches!(entry.compute, Compute::Typed)) {
            words.push(name.clone());
            continue;
        }
        let fields = match radeval_name(name) {
            Some(RadEvalName::Words(own)) => {
                words.extend(own.iter().map(|own| (*own).to_owned()));
                continue;
            }
            Some(RadEvalName::Annotated(fields)) => fields,
            None if annotations::names().any(|known| known == name) => annotations::fields_of(name),
            None => {
                METRICS.by_name(name)?;
                return Err(AppError::input(format!("{name} is no metric of reports")));
            }
        };
        let judged = options.judge.is_some() && options.judged().any(|judged| fields == [judged]);
        if options.annotations.len() < options.runs.len() && !judged {
            return Err(AppError::input(format!(
                "{name} comes from what a network or a judge said about the reports: give --annotations with {} for each batch \
                 (docs/reference/scoring.md), or, for green, crimson, radfact and medval, --judge with --judge-metric",
                fields.join(", ")
            )));
        }
    }
    let mut seen = BTreeSet::new();
    words.retain(|word| seen.insert(word.clone()));
    Ok(words)
}

impl ReportScoreOptions {
    /// One batch by the metrics that need nothing beside its texts.
    pub fn of(run: PathBuf) -> Self {
        Self {
            runs: vec![run],
            profile: "raw".to_owned(),
            metrics: Vec::new(),
            judge: None,
            judged: Vec::new(),
            annotations: Vec::new(),
            wordnet: None,
            punkt: None,
            bertscore: None,
            exchanges: 0,
            seed: 0,
        }
    }

    /// What a judge is asked for; nothing without one.
    fn asked(&self) -> Vec<String> {
        self.judge.iter().flat_map(|_| self.judged()).map(str::to_owned).collect()
    }

    /// What the judge is asked for.
    fn judged(&self) -> impl Iterator<Item = &str> {
        let none = self.judged.is_empty().then_some(DEFAULT_JUDGED);
        self.judged.iter().map(String::as_str).chain(none)
    }
}

/// Values by study and metric.
type Values = BTreeMap<String, BTreeMap<String, f64>>;

fn score_run(
    options: &ReportScoreOptions,
    words: &[String],
    profile: &ReportProfile,
    dir: &Path,
    annotations: Option<Annotations>,
    listener: &dyn Listener,
) -> Result<(RunScores, Values), AppError> {
    let scoring = ScoreOptions {
        metrics: words.to_vec(),
        texts: profile.texts,
        sensitivity: false,
        page: None,
        wordnet: options.wordnet.clone(),
        punkt: options.punkt.clone(),
        bertscore: options.bertscore.clone(),
        ..ScoreOptions::default()
    };
    let images = ImageOptions::default();
    let run = scoring.scorer()?.annotated(annotations).score(dir, None, &images.loader(), listener)?;

    let values = values(dir)?;
    write_values(dir, &values)?;
    Ok((
        RunScores { name: run_name(dir), summary: run.summary, truth: truth(dir)?, judged: Vec::new() },
        values,
    ))
}

/// Refuses a batch without anything to compare with.
fn need_references(dir: &Path) -> Result<(), AppError> {
    for item in RunFolder::open(dir)?.items()? {
        let has = |sample: &loupe_core::Sample| {
            matches!(sample.target, Target::Report(_) | Target::Text(_)) || sample.tag(TRUTH_TAG).is_some()
        };
        if item?.line.sample.as_ref().is_some_and(has) {
            return Ok(());
        }
    }
    Err(AppError::input(format!(
        "no study of {} has a reference; give the worklist a field \"reference\" with findings and impression",
        dir.display()
    )))
}

/// Refuses to compare batches whose studies share ids and are others.
fn need_the_same_studies(first: &Path, second: &Path) -> Result<(), AppError> {
    let known = |dir: &Path| -> Result<BTreeMap<String, Value>, AppError> {
        let mut all = BTreeMap::new();
        for item in RunFolder::open(dir)?.items()? {
            let item = item?;
            if let Some(sample) = &item.line.sample {
                all.insert(
                    sample.id.clone(),
                    json!([sample.target, sample.tag(TRUTH_TAG), sample.media.len()]),
                );
            }
        }
        Ok(all)
    };
    let (first, second) = (known(first)?, known(second)?);
    let other =
        first.iter().filter(|(id, study)| second.get(*id).is_some_and(|other| other != *study)).count();
    match other {
        0 => Ok(()),
        n => Err(AppError::input(format!(
            "the batches are not of the same studies: {n} of the ids that both have stand for studies with another reference, truth or number of \
             images; compare batches of one worklist"
        ))),
    }
}

/// The values of single studies, as scores.json has them.
fn values(dir: &Path) -> Result<Values, AppError> {
    let text = read_text_at_most(&dir.join("scores.json"), u64::MAX)?;
    let document: Value = serde_json::from_str(&text)?;
    let mut all = Values::new();
    for item in document.get("items").and_then(Value::as_array).into_iter().flatten() {
        let Some(id) = item.get("id").and_then(Value::as_str) else { continue };
        let metrics = item.get("metrics").and_then(Value::as_object).into_iter().flatten();
        let numbers = metrics.filter_map(|(name, score)| Some((name.clone(), score.get("value")?.as_f64()?)));
        all.entry(id.to_owned()).or_default().extend(numbers);
    }
    Ok(all)
}

fn write_values(dir: &Path, values: &Values) -> Result<(), AppError> {
    let mut names: Vec<&str> = values.values().flat_map(|of| of.keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let columns: Vec<&str> = std::iter::once("study_id").chain(names.iter().copied()).collect();
    let mut table = Table::new("", &columns);
    for (id, of) in values {
        let cells = names.iter().map(|name| of.get(*name).map(f64::to_string).unwrap_or_default());
        table.rows.push(std::iter::once(id.clone()).chain(cells).collect());
    }
    replace(dir, "scores.csv", |to| to.write_all(table.write(Format::Csv).as_bytes()))?;
    Ok(())
}

/// Findings against the structured truth of the studies that have one.
fn truth(dir: &Path) -> Result<Vec<TruthFigure>, AppError> {
    let mut sums: BTreeMap<Fact, FactCounts> = BTreeMap::new();
    let mut studies = 0;
    for item in RunFolder::open(dir)?.items()? {
        let item = item?;
        let Some(text) = item.line.sample.as_ref().and_then(|sample| sample.tag(TRUTH_TAG)) else { continue };
        let known: Vec<TrueFinding> = serde_json::from_str(text)
            .step(|| format!("the tag {TRUTH_TAG:?} of study {} is no list of findings", item.line.id()))?;
        studies += 1;
        // A study without a report states nothing.
        let said = item.reply.as_ref().and_then(|line| line.prediction.text()).unwrap_or_default();
        let structured = item.reply.as_ref().and_then(|line| StructuredReport::of(&line.prediction.record));
        let report = WrittenReport::of(said, structured.as_ref());
        for (fact, counts) in compare(&report, structured.as_ref(), &known) {
            sums.entry(fact).or_default().add(counts);
        }
    }
    let figure = |(fact, counts): (Fact, FactCounts)| TruthFigure {
        fact,
        precision: counts.precision(),
        recall: counts.recall(),
        counts,
        studies,
    };
    Ok(sums.into_iter().map(figure).collect())
}

fn differences(a: &Values, b: &Values, options: &ReportScoreOptions) -> Vec<MetricDifference> {
    let mut by: BTreeMap<&str, Vec<[f64; 2]>> = BTreeMap::new();
    for (id, of) in a {
        let Some(other) = b.get(id) else { continue };
        for (metric, value) in of {
            if let Some(second) = other.get(metric) {
                by.entry(metric).or_default().push([*value, *second]);
            }
        }
    }
    by.into_iter()
        .filter_map(|(metric, pairs)| {
            let n = pairs.len();
            let mean = |at: usize| pairs.iter().map(|pair| pair[at]).sum::<f64>() / n as f64;
            let difference: Vec<f64> = pairs.iter().map(|[first, second]| second - first).collect();
            let p = approximate_randomisation(&difference, options.exchanges, options.seed)?;
            let means = [mean(0), mean(1)];
            Some(MetricDifference { metric: metric.to_owned(), n, means, difference: means[1] - means[0], p })
        })
        .collect()
}

impl ReportScores {
    /// Has every report the judge's verdict, and could every line of the annotations be used?
    pub fn is_complete(&self) -> bool {
        let judged = |run: &RunScores| run.judged.iter().all(|judged| judged.without == 0);
        self.runs.iter().all(|run| run.summary.uses_all_annotations() && judged(run))
    }

    /// As tables.
    pub fn tables(&self) -> Vec<Table> {
        let mut out = Vec::new();
        for run in &self.runs {
            if let Some(mut table) = tables::metrics(&run.summary) {
                table.title =
                    format!("{}: sections and clean-up {} ({})", run.name, self.profile, self.profile_source);
                out.push(table);
            }
            if !run.truth.is_empty() {
                let studies = run.truth.first().map_or(0, |figure| figure.studies);
                let title =
                    format!("{}: findings against the truth of {}", run.name, counted(studies, "study"));
                let mut table =
                    Table::new(title, &["what", "precision", "recall", "right", "stated", "true"]);
                let share = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
                for figure in &run.truth {
                    let FactCounts { right, stated, truth } = figure.counts;
                    let counts = [right, stated, truth].map(|n| n.to_string());
                    let [right, stated, truth] = counts;
                    table.rows.push(vec![
                        figure.fact.name().to_owned(),
                        share(figure.precision),
                        share(figure.recall),
                        right,
                        stated,
                        truth,
                    ]);
                }
                out.push(table);
            }
        }
        if let ([first, second], false) = (self.runs.as_slice(), self.differences.is_empty()) {
            let title = format!("{} against {}, study by study", second.name, first.name);
            let mut table = Table::new(
                title,
                &["metric", "n", first.name.as_str(), second.name.as_str(), "difference", "p"],
            );
            for d in &self.differences {
                table.rows.push(vec![
                    d.metric.clone(),
                    d.n.to_string(),
                    format!("{:.4}", d.means[0]),
                    format!("{:.4}", d.means[1]),
                    format!("{:+.4}", d.difference),
                    format!("{:.4}", d.p),
                ]);
            }
            table.note = "p by approximate randomisation, two-sided, not corrected for the number of metrics"
                .to_owned();
            out.push(table);
        }
        if let Some(last) = out.last_mut() {
            let notes = self.notes.join("; ");
            last.note = if last.note.is_empty() { notes } else { format!("{}; {notes}", last.note) };
        }
        out
    }
}
