//! `loupe reports WORKLIST|FOLDER --model DIR`

use crate::args::bertscore::BertScoreArgs;
use crate::args::image::ImageArgs;
use crate::args::judge::JudgeArgs;
use crate::args::limits::LimitArgs;
use crate::args::model::ModelArgs;
use crate::args::score::PageArgs;
use crate::args::shard::ShardArgs;
use crate::args::table::FormatName;
use crate::invocation::invocation;
use crate::printer::{Ended, Printer};
use anyhow::{Result, bail};
use clap::Subcommand;
use loupe_app::evaluate::{Selection, Shard, damaged_lines};
use loupe_app::reports::score::{ReportScoreOptions, score};
use loupe_app::reports::{
    ListedStudy, Listing, ReportFormat, ReportOptions, WorklistOptions, list, run as run_batch,
};
use loupe_core::words::counted;
use std::path::PathBuf;

/// Write radiology reports in batches: findings and impression of every study of a worklist or a DICOM folder.
///
/// Each report is on the disk when it is done; the same command resumes a batch that was stopped. `reports.jsonl` in the output folder has
/// a line a study, `skipped.jsonl` the studies and files without a report and why, `report.html` everything with its pictures (print it
/// to get a PDF). docs/guides/report-batches.md has the fields of worklists and templates.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<ReportsCommand>,

    #[command(flatten)]
    batch: BatchArgs,
}

#[derive(Debug, Subcommand)]
enum ReportsCommand {
    Score(ScoreArgs),
}

#[derive(Debug, clap::Args)]
struct BatchArgs {
    /// A worklist (.jsonl, .json, .csv, .tsv), a ReXrank file (.json), a DICOM folder or archive whose files are grouped by study, or a
    /// dataset as SET=DIR.
    #[arg(required = true)]
    input: Option<String>,

    /// Folder that image paths of a worklist start from; the worklist's own when not given.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,

    /// Show volumes (folders of slices, NIfTI, NRRD, MetaImage) as this published recipe prepares them (see `loupe list recipes`).
    #[arg(long, value_name = "NAME")]
    recipe: Option<String>,

    /// Folder of the batch; `runs/reports-WORKLIST-MODEL` when not given.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Report template: a name (see `loupe list report-templates`) or a minijinja file of your own; `loupe` when not given, or `phantom`
    /// for the built-in model.
    #[arg(long, value_name = "NAME|FILE")]
    template: Option<String>,

    /// Write N reports on each study (at most 64), each drawn with a seed of its own (needs --temperature), and keep one; all are on record.
    #[arg(long, value_name = "N", default_value_t = 1)]
    candidates: usize,

    /// Rule by which one of several candidates is kept (see `loupe list candidate-rules`). One that follows the template's schema goes before
    /// one that does not.
    #[arg(long, value_name = "RULE", default_value = "consensus")]
    choose: String,

    /// Show which studies would be asked, with which images and words, and what would be skipped; run nothing.
    #[arg(long)]
    list: bool,

    /// Write this beside the records; may be given several times: text, markdown, dicom-sr, dicom-enhanced-sr, fhir.
    #[arg(long = "format", value_name = "FORMAT", value_parser = format)]
    formats: Vec<ReportFormat>,

    /// Let DICOM reports carry patient and study of the images, so that they are filed with them. Without it they name nobody.
    #[arg(long)]
    identified: bool,

    /// Only the first N studies.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Only the study with this id; may be given several times.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,

    /// Most reports written at a time; as many as the memory holds when not given. Changes speed and memory, not results.
    #[arg(long, value_name = "N")]
    batch: Option<usize>,

    /// On resume, ask the studies once more that failed for a reason that may have passed, such as a missing file.
    #[arg(long)]
    retry_failed: bool,

    /// On resume, also ask studies that were added behind those that were there.
    #[arg(long)]
    extend: bool,

    #[command(flatten)]
    part: ShardArgs,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    page: PageArgs,

    /// Write no page.
    #[arg(long)]
    no_page: bool,

    #[command(flatten)]
    reading: ImageArgs,
}

/// Score a batch against the reports of radiologists, or compare two.
///
/// Figures depend on which section is compared and how it is cleaned as much as on the model, so that every table names its profile.
/// `scores.csv` in the batch's folder has the values of each study.
#[derive(Debug, clap::Args)]
struct ScoreArgs {
    /// The batch; a second one is compared with it study by study.
    #[arg(required = true, num_args = 1..=2)]
    runs: Vec<PathBuf>,

    /// Which section, cleaned as whom: raw, r2gen-mimic, r2gen-iu, rexrank, chexagent (see `loupe list report-sections`).
    #[arg(long, value_name = "NAME", default_value = "raw")]
    sections: String,

    /// Metrics to compute, by their names here (see `loupe list metrics`) or in RadEval; may be given several times. BLEU-1 to 4, ROUGE-L and
    /// CIDEr-D when not given.
    #[arg(long = "metric", value_name = "NAME")]
    metrics: Vec<String>,

    /// Annotations of the reports by other networks or judges (RadGraph, CheXbert, GREEN, RadFact …), a JSON line for each study
    /// (docs/reference/scoring.md); once for each batch, in their order.
    #[arg(long, value_name = "FILE")]
    annotations: Vec<PathBuf>,

    /// Folder with the database files of WordNet, for METEOR.
    #[arg(long, value_name = "DIR")]
    wordnet: Option<PathBuf>,

    /// Folder with a Punkt model of sentence ends, for meteor_word_tokenize.
    #[arg(long, value_name = "DIR")]
    punkt: Option<PathBuf>,

    #[command(flatten)]
    bertscore: BertScoreArgs,

    #[command(flatten)]
    judge: JudgeArgs,

    /// What the judge is asked for about each report: green, crimson, radfact, medval (see `loupe list report-judges`); may be given several
    /// times. GREEN's counts when not given. With --judge-prompt exactly one.
    #[arg(long = "judge-metric", value_name = "NAME", requires = "judge")]
    judged: Vec<String>,

    /// Random exchanges of two batches' reports, from which p is found.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    exchanges: usize,

    /// Seed of the exchanges.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// How tables are written.
    #[arg(long, value_enum, default_value_t)]
    format: FormatName,
}

fn format(name: &str) -> Result<ReportFormat, String> {
    let known = || ReportFormat::ALL.map(|(name, _)| name).join(", ");
    let found = ReportFormat::ALL.iter().find(|(known, _)| *known == name);
    found.map(|(_, format)| *format).ok_or_else(|| format!("expected one of {}", known()))
}

impl BatchArgs {
    fn options(&self, shard: Option<Shard>) -> Result<ReportOptions> {
        let Some(input) = self.input.clone() else { bail!("name a worklist or a DICOM folder") };
        Ok(ReportOptions {
            worklist: WorklistOptions { input, images: self.images.clone(), recipe: self.recipe.clone() },
            output: self.output.clone(),
            template: self.template.clone(),
            candidates: self.candidates,
            choose: self.choose.clone(),
            selection: Selection { limit: self.limit, ids: self.ids.clone(), ..Selection::default() },
            retry_failed: self.retry_failed,
            extend: self.extend,
            shard,
            limits: self.limits.limits()?,
            model: self.model.options(self.batch)?,
            images: self.reading.options(),
            formats: self.formats.clone(),
            identified: self.identified,
            page: (!self.no_page).then(|| self.page.options()),
            invocation: invocation(),
        })
    }
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    if let Some(ReportsCommand::Score(args)) = &args.command {
        return scored(args, out);
    }
    let (shard, from) = args.batch.part.shard()?;
    if let (Some(shard), Some(from)) = (shard, from) {
        out.say(&format!("shard {shard}, taken from {from}"));
    }
    let options = args.batch.options(shard)?;
    if args.batch.list {
        return listed(&list(&options)?, out);
    }
    out.heed_signals()?;
    let done = run_batch(&options, out)?;
    let (finished, dir) = (&done.finished, done.dir.display());
    if finished.already > 0 {
        out.say(&format!("resumed: {} of {} studies were there already", finished.already, finished.total));
    }
    if let Some(words) = damaged_lines(&finished.damaged) {
        out.say(&format!("{words}; their studies were asked again"));
    }
    if finished.effort.replies > 0 {
        let per_hour = 60.0 * finished.effort.samples_per_minute();
        out.say(&format!("{}; {per_hour:.0} studies/h", finished.effort));
    }
    let Some(summary) = &done.summary else {
        let here = finished.already + finished.answered + finished.failed;
        if out.json {
            out.document(&serde_json::json!({
                "run": done.dir, "shard": shard.map(|s| s.to_string()), "studies": finished.total, "here": here,
                "stopped": finished.stopped,
            }))?;
        }
        if finished.stopped {
            out.say(&format!(
                "stopped: {here} of {} studies are in {dir}; the same command goes on",
                finished.total
            ));
            return Ok(out.signal().map_or(Ended::WithFailures, Ended::Stopped));
        }
        out.say(&format!(
            "this shard is done: {} in {dir}; `loupe merge` joins all shards, and the same command without --shard on the merged folder \
             writes the reports",
            counted(finished.total, "study")
        ));
        return Ok(Ended::well_if(finished.failed == 0));
    };
    if out.json {
        out.document(summary)?;
    } else {
        out.line(&summary.line())?;
        if let Some(tokens) = summary.tokens() {
            out.say(&tokens);
        }
        let table = summary.table();
        if !table.rows.is_empty() {
            out.text(&table.write(FormatName::Terminal.into()))?;
        }
        out.line(&dir.to_string())?;
    }
    Ok(Ended::well_if(summary.failed + summary.waiting == 0))
}

fn listed(listing: &Listing, out: &mut Printer) -> Result<Ended> {
    let skipped = listing.studies.iter().filter(|study| study.skipped.is_some()).count();
    if out.json {
        out.document(listing)?;
    } else {
        for study in &listing.studies {
            out.text(&study_words(study))?;
        }
        for file in &listing.left_out {
            out.line(&format!("left out: {}: {}", file.file, file.reason))?;
        }
        let studies = counted(listing.studies.len(), "study");
        out.line(&format!(
            "{studies}, {skipped} to be skipped; {} left out",
            counted(listing.left_out.len(), "file")
        ))?;
    }
    Ok(Ended::well_if(skipped == 0))
}

fn study_words(study: &ListedStudy) -> String {
    let mut text = format!("{}\n", study.study_id);
    for (at, image) in study.images.iter().enumerate() {
        let view = image.view.as_deref().unwrap_or("view not known");
        let prior = if image.prior { "prior, " } else { "" };
        let shown = if image.shown { "" } else { ", not shown by the template" };
        let problem = image.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
        text += &format!("  [{}] {prior}{view}, {}{shown}{problem}\n", at + 1, image.name);
    }
    if let Some(reason) = &study.skipped {
        text += &format!("  skipped: {reason}\n");
    }
    if let Some(prompt) = &study.prompt {
        prompt.lines().for_each(|line| text += &format!("  | {line}\n"));
    }
    text
}

fn scored(args: &ScoreArgs, out: &mut Printer) -> Result<Ended> {
    let options = ReportScoreOptions {
        runs: args.runs.clone(),
        profile: args.sections.clone(),
        metrics: args.metrics.clone(),
        judge: args.judge.options()?,
        judged: args.judged.clone(),
        annotations: args.annotations.clone(),
        wordnet: args.wordnet.clone(),
        punkt: args.punkt.clone(),
        bertscore: args.bertscore.options(),
        exchanges: args.exchanges,
        seed: args.seed,
    };
    let scores = score(&options, out)?;
    if out.json {
        out.document(&scores)?;
    } else {
        for table in scores.tables() {
            out.text(&format!("{}\n", table.write(args.format.into())))?;
        }
    }
    Ok(Ended::well_if(scores.is_complete()))
}
