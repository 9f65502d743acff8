//! What a batch leaves for people: records, texts, tables, DICOM, FHIR and the page, all made of the run folder.

use super::worklist::{Worklist, WorklistKind};
use crate::error::{AppError, InStep};
use crate::pages::PageOptions;
use loupe_core::files::write_whole;
use loupe_core::sample::Outcome;
use loupe_core::table::csv_cell;
use loupe_core::words::counted;
use loupe_core::{Dataset, MediaLoader, MediaSource, Retry, Table};
use loupe_eval::reports::LintKind;
use loupe_report::reports::dicom_report::{TextSr, dicom_report, image_header};
use loupe_report::reports::fhir::fhir_bundle;
use loupe_report::reports::page::ReportsPage;
use loupe_report::reports::{
    REPORT_TABLE, ReportTokens, StudyReport, StudyStatus, markdown, plain_text, report_row,
};
use loupe_run::report_prompt::StructuredReport;
use loupe_run::{Item, MadeBy, RunFolder, replace};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A format beside the records, which are always written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// `text/ID.txt`.
    Text,
    /// `markdown/ID.md`.
    Markdown,
    /// `dicom/ID.dcm`: Basic Text SR.
    DicomSr,
    /// `dicom/ID.dcm`: Enhanced SR.
    DicomEnhancedSr,
    /// `fhir/ID.json`: a bundle of FHIR R4.
    Fhir,
}

impl ReportFormat {
    /// Every format by its name on the command line.
    pub const ALL: [(&str, Self); 5] = [
        ("text", Self::Text),
        ("markdown", Self::Markdown),
        ("dicom-sr", Self::DicomSr),
        ("dicom-enhanced-sr", Self::DicomEnhancedSr),
        ("fhir", Self::Fhir),
    ];

    const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("text", "txt"),
            Self::Markdown => ("markdown", "md"),
            Self::DicomSr | Self::DicomEnhancedSr => ("dicom", "dcm"),
            Self::Fhir => ("fhir", "json"),
        }
    }
}

/// What a batch came to. Holds no times, so that a batch that was interrupted comes to the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportsSummary {
    /// Studies of the worklist.
    pub studies: usize,
    /// Reports.
    pub written: usize,
    /// Studies without a report, each with its reason in skipped.jsonl.
    pub failed: usize,
    /// Studies that were not asked yet.
    pub waiting: usize,
    /// Files that are no image to report on.
    pub left_out: usize,
    /// Tokens of everything that was asked for the reports that were written, candidates that were not kept included.
    #[serde(default)]
    pub tokens_of_reports: ReportTokens,
    /// Tokens of replies to studies that have no report in the end.
    #[serde(default)]
    pub tokens_of_failed: ReportTokens,
    /// Reports by prompts that did not show every image of their study (`not_shown` in reports.jsonl).
    pub with_images_not_shown: usize,
    /// Reports without an impression.
    pub without_impression: usize,
    /// Reports in which no heading was found, so that all of their words count as findings.
    pub without_headings: usize,
    /// By kind: reports that have it, and places.
    pub lints: BTreeMap<LintKind, [usize; 2]>,
    /// Reports in which nothing is to be looked at.
    pub without_lints: usize,
}

impl ReportsSummary {
    /// The lints as a table.
    pub fn table(&self) -> Table {
        let mut table = Table::new("To be looked at", &["what", "reports", "places"]);
        for kind in LintKind::ALL {
            let [reports, places] = self.lints.get(&kind).copied().unwrap_or_default();
            if places > 0 {
                table.rows.push(vec![kind.words().to_owned(), reports.to_string(), places.to_string()]);
            }
        }
        table
    }

    /// In one line.
    pub fn line(&self) -> String {
        let mut words = format!("{} of {}", counted(self.written, "report"), counted(self.studies, "study"));
        if self.failed > 0 {
            words += &format!(", {} without one (skipped.jsonl)", self.failed);
        }
        if self.waiting > 0 {
            words += &format!(", {} not asked yet", self.waiting);
        }
        if self.with_images_not_shown > 0 {
            words += &format!(", {} of which not every image was shown", self.with_images_not_shown);
        }
        let look = self.written - self.without_lints;
        words + &format!("; {} to be looked at", counted(look, "report"))
    }

    /// How many tokens that took, in words; nothing where the model does not count.
    pub fn tokens(&self) -> Option<String> {
        let (of_reports, of_failed) = (self.tokens_of_reports, self.tokens_of_failed);
        let mut all = of_reports;
        all += of_failed;
        let failed = match of_failed.prompt + of_failed.new {
            0 => String::new(),
            _ => {
                format!(" (of these {} and {} for studies without a report)", of_failed.prompt, of_failed.new)
            }
        };
        (all.prompt + all.new > 0)
            .then(|| format!("{} tokens of prompts and {} of replies{failed}", all.prompt, all.new))
    }

    fn add(&mut self, report: &StudyReport, headed: bool) {
        self.studies += 1;
        match report.status {
            StudyStatus::Ok => self.tokens_of_reports += report.tokens.unwrap_or_default(),
            _ => self.tokens_of_failed += report.tokens.unwrap_or_default(),
        }
        match report.status {
            StudyStatus::Ok => self.written += 1,
            StudyStatus::Failed => return self.failed += 1,
            StudyStatus::Waiting => return self.waiting += 1,
        }
        self.with_images_not_shown += usize::from(!report.not_shown.is_empty());
        self.without_impression += usize::from(report.impression.is_none());
        self.without_headings += usize::from(!headed);
        self.without_lints += usize::from(report.lints.is_empty());
        let mut counts: BTreeMap<LintKind, usize> = BTreeMap::new();
        report.lints.iter().for_each(|lint| *counts.entry(lint.kind).or_default() += 1);
        for (kind, places) in counts {
            let entry = self.lints.entry(kind).or_default();
            entry[0] += 1;
            entry[1] += places;
        }
    }
}

/// What is written, and from what.
pub(super) struct Written<'a> {
    pub(super) dir: &'a Path,
    pub(super) formats: &'a [ReportFormat],
    pub(super) identified: bool,
    pub(super) page: Option<PageOptions>,
    pub(super) worklist: Option<&'a Worklist>,
    pub(super) loader: &'a dyn MediaLoader,
}

/// Has the reply a heading?
fn headed(item: &Item) -> bool {
    let text = item.reply.as_ref().and_then(|line| line.prediction.text());
    let structured = item.reply.as_ref().and_then(|line| StructuredReport::of(&line.prediction.record));
    text.is_some_and(|text| loupe_eval::reports::WrittenReport::of(text, structured.as_ref()).headed)
}

/// Goes through the studies of a run in their order, one in memory at a time.
fn each(
    folder: &RunFolder,
    mut see: impl FnMut(&StudyReport, &Item) -> Result<(), AppError>,
) -> Result<(), AppError> {
    for item in folder.items()? {
        let item = item?;
        see(&StudyReport::of(&item, &folder.made_by), &item)?;
    }
    Ok(())
}

/// Writes everything. Files are made of the run folder, so that they are the same however often the run was interrupted.
pub(super) fn write_reports(written: &Written<'_>) -> Result<ReportsSummary, AppError> {
    let dir = written.dir;
    let folder = RunFolder::open(dir)?;
    let left_out = written.worklist.map(|worklist| worklist.left_out.as_slice()).unwrap_or_default();
    let mut summary = ReportsSummary { left_out: left_out.len(), ..ReportsSummary::default() };
    let mut failed: Option<AppError> = None;
    let mut to_file = |name: &'static str,
                       line: &mut dyn FnMut(&StudyReport, &Item, &mut dyn Write) -> std::io::Result<()>,
                       head: &str| {
        let made = replace(dir, name, |to| {
            to.write_all(head.as_bytes())?;
            each(&folder, |report, item| line(report, item, to).map_err(AppError::from)).map_err(|e| {
                let words = e.in_one_line();
                failed = Some(e);
                std::io::Error::other(words)
            })
        });
        match (made, failed.take()) {
            (Err(_), Some(error)) => Err(error),
            (made, _) => made.map_err(AppError::from),
        }
    };
    to_file(
        "reports.jsonl",
        &mut |report, item, to| {
            summary.add(report, headed(item));
            serde_json::to_writer(&mut *to, report)?;
            to.write_all(b"\n")
        },
        "",
    )?;
    let mut head = String::new();
    for out in left_out {
        head += &format!("{}\n", json!({"file": out.file, "reason": out.reason}));
    }
    to_file(
        "skipped.jsonl",
        &mut |report, item, to| {
            if report.status != StudyStatus::Failed {
                return Ok(());
            }
            let line = json!({"study_id": report.study_id, "reason": report.reason, "retry": retry(item)});
            writeln!(to, "{line}")
        },
        &head,
    )?;
    let csv = |cells: &[String]| cells.iter().map(|cell| csv_cell(cell)).collect::<Vec<_>>().join(",");
    let heading = REPORT_TABLE.map(str::to_owned);
    to_file(
        "reports.csv",
        &mut |report, _, to| writeln!(to, "{}", csv(&report_row(report))),
        &format!("{}\n", csv(&heading)),
    )?;
    to_file(
        "times.csv",
        &mut |report, item, to| {
            let Some(prediction) = item.prediction() else { return Ok(()) };
            // Where nothing was replied, nothing is known, which is not the same as none.
            let spent = prediction.spent().map(|(counts, timing)| {
                format!(
                    "{:.3},{:.3},{},{}",
                    timing.prefill_s, timing.decode_s, counts.prompt_tokens, counts.new_tokens
                )
            });
            let spent = spent.unwrap_or_else(|| ",,,".to_owned());
            writeln!(to, "{},{},{spent}", csv_cell(&report.study_id), report.status.name())
        },
        "study_id,status,prefill_s,decode_s,prompt_tokens,new_tokens\n",
    )?;
    if let Some(worklist) = written.worklist.filter(|worklist| worklist.kind == WorklistKind::Rexrank) {
        let mut texts: HashMap<String, String> = HashMap::new();
        each(&folder, |report, _| {
            if report.status == StudyStatus::Ok {
                texts.insert(report.study_id.clone(), rexrank_text(report));
            }
            Ok(())
        })?;
        let document = loupe_datasets::rexrank_with_predictions(&worklist.file, &texts)?;
        replace(dir, "rexrank.json", |to| to.write_all(document.as_bytes()))?;
    }
    write_files(written, &folder)?;
    replace(dir, "reports.json", |to| {
        serde_json::to_writer_pretty(&mut *to, &summary)?;
        to.write_all(b"\n")
    })?;
    if let Some(options) = &written.page {
        write_page(written, &folder, &summary, options)?;
    }
    Ok(summary)
}

fn retry(item: &Item) -> &'static str {
    match item.prediction().map(|prediction| prediction.outcome.clone()) {
        Some(Outcome::Failed(failure)) if failure.retry == Retry::Never => "never",
        _ => "may",
    }
}

/// `Findings: … Impression: …`, as ReXrank's truth is; a report without headings as it is.
fn rexrank_text(report: &StudyReport) -> String {
    match (&report.findings, &report.impression) {
        (Some(findings), Some(impression)) if findings != impression => {
            format!("Findings: {findings} Impression: {impression}")
        }
        (Some(text), _) | (None, Some(text)) => text.clone(),
        (None, None) => String::new(),
    }
}

/// The files of single studies.
fn write_files(written: &Written<'_>, folder: &RunFolder) -> Result<(), AppError> {
    let made_by = &folder.made_by;
    let when = made_by.sessions.first().map(|session| session.started.clone()).unwrap_or_default();
    let prompt = made_by.prompt.get("text").and_then(|text| text.as_str()).unwrap_or_default().to_owned();
    for format in written.formats {
        let (place, ending) = format.place();
        let dir = written.dir.join(place);
        std::fs::create_dir_all(&dir).step(|| format!("the folder {} could not be made", dir.display()))?;
        each(folder, |report, item| {
            if report.status != StudyStatus::Ok {
                return Ok(());
            }
            let bytes = match format {
                ReportFormat::Text => plain_text(report).into_bytes(),
                ReportFormat::Markdown => markdown(report).into_bytes(),
                ReportFormat::Fhir => {
                    let mut bytes = serde_json::to_vec_pretty(&fhir_bundle(report, &prompt, &when))?;
                    bytes.push(b'\n');
                    bytes
                }
                ReportFormat::DicomSr => sr(written, report, item, TextSr::Basic, made_by)?,
                ReportFormat::DicomEnhancedSr => sr(written, report, item, TextSr::Enhanced, made_by)?,
            };
            let file: PathBuf = dir.join(format!("{}.{ending}", file_name(&report.study_id, item.item)));
            write_whole(&file, |to| to.write_all(&bytes))?;
            Ok(())
        })
        .step(|| format!("the reports in {} could not be written", dir.display()))?;
    }
    Ok(())
}

fn sr(
    written: &Written<'_>,
    report: &StudyReport,
    item: &Item,
    class: TextSr,
    made_by: &MadeBy,
) -> Result<Vec<u8>, AppError> {
    let started = made_by.sessions.first().map(|session| session.started.clone()).unwrap_or_default();
    let digits: String = started.chars().filter(char::is_ascii_digit).collect();
    let (date, time) = digits.split_at_checked(8).unwrap_or(("", ""));
    let media = item.line.sample.iter().flat_map(|sample| &sample.media);
    let first = media.filter(|_| written.identified).find_map(|media| match &media.source {
        MediaSource::File(path) => Some(path.clone()),
        _ => None,
    });
    let header = match first {
        Some(path) => Some(image_header(&path)?),
        None if written.identified => {
            return Err(AppError::input(
                "--identified repeats the header of a study's first DICOM file, and a study has none on disk; leave it out",
            ));
        }
        None => None,
    };
    Ok(dicom_report(report, class, header.as_ref().map(|object| &object.data), [date, time])?)
}

/// A name for the files of a study: its id, with a number where not every character of it can stand in a name.
fn file_name(study_id: &str, item: usize) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain = !study_id.is_empty()
        && study_id.len() <= 100
        && study_id.chars().all(safe)
        && !study_id.starts_with('.');
    match plain {
        true => study_id.to_owned(),
        false => {
            let kept: String =
                study_id.chars().map(|c| if safe(c) && c != '.' { c } else { '_' }).take(60).collect();
            format!("{item:05}_{kept}")
        }
    }
}

fn write_page(
    written: &Written<'_>,
    folder: &RunFolder,
    summary: &ReportsSummary,
    options: &PageOptions,
) -> Result<(), AppError> {
    let made_by = &folder.made_by;
    let title = format!("Reports by {} on {}", made_by.model.name, made_by.dataset.name);
    let mut lead = summary.line();
    if let Some(tokens) = summary.tokens() {
        lead += &format!("; {tokens}");
    }
    for note in &made_by.notes {
        lead += &format!("; {note}");
    }
    if made_by.n > options.samples {
        lead += &format!("; the page shows the first {} of {} studies", options.samples, made_by.n);
    }
    let mut page = ReportsPage::new(title, lead, vec![summary.table()], options.bytes);
    let set: Option<&dyn Dataset> = written.worklist.map(|worklist| worklist.set.as_ref());
    let mut left = options.samples;
    each(folder, |report, item| {
        if left == 0 {
            return Ok(());
        }
        left -= 1;
        let sample = item.line.sample.as_ref();
        // Pictures inside of files are had from the set; the run folder does not hold them.
        let inside =
            sample.is_some_and(|s| s.media.iter().any(|m| matches!(m.source, MediaSource::Bytes(_))));
        let own = set.filter(|_| inside).and_then(|set| set.get(item.line.row).ok());
        let media = own.as_ref().or(sample).map(|sample| sample.media.as_slice()).unwrap_or_default();
        let pictures = media.iter().map(|media| {
            let read = loupe_core::guard::caught(|| written.loader.load(media));
            match read {
                Some(Ok(picture)) => Ok(picture),
                Some(Err(error)) => Err(error.to_string()),
                None => Err("the picture could not be decoded".to_owned()),
            }
        });
        page.add(report.clone(), pictures.collect());
        Ok(())
    })?;
    let mut failed = None;
    replace(written.dir, "report.html", |to| {
        page.write(to).map_err(|e| {
            let words = e.to_string();
            failed = Some(e);
            std::io::Error::other(words)
        })
    })
    .map_err(|e| failed.map_or_else(|| AppError::from(e), AppError::from))
    .step(|| "the page could not be written".to_owned())
}
