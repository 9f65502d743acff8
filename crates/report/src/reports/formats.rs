//! A report as plain text, as Markdown and as a row of a table.

use super::record::{StudyReport, StudyStatus};
use std::fmt::Write;

/// What stands over every report that people read.
pub(super) const NOTICE: &str = "Written by a model and checked by nobody.";

/// The report as text.
pub fn plain_text(report: &StudyReport) -> String {
    let mut out = format!("STUDY {}\n{NOTICE}\n\n", report.study_id);
    context(report, |name, text| {
        let _ = write!(out, "{}:\n{text}\n\n", name.to_uppercase());
    });
    out.push_str(&match report.status {
        StudyStatus::Ok => report.text(),
        _ => format!("NO REPORT: {}", report.reason.as_deref().unwrap_or("not asked yet")),
    });
    out.push('\n');
    out
}

/// The report as Markdown, with what is suspicious and what made it.
pub fn markdown(report: &StudyReport) -> String {
    let mut out = format!("# Study {}\n\n*{NOTICE}*\n\n", escaped(&report.study_id));
    context(report, |name, text| {
        let _ = write!(out, "**{name}:** {}\n\n", escaped(text));
    });
    if report.status != StudyStatus::Ok {
        let _ =
            writeln!(out, "No report: {}\n", escaped(report.reason.as_deref().unwrap_or("not asked yet")));
    }
    for (name, text) in [("Findings", &report.findings), ("Impression", &report.impression)] {
        if let Some(text) = text {
            let _ = writeln!(out, "## {name}\n\n{}\n", escaped(text));
        }
    }
    if !report.lints.is_empty() {
        out.push_str("## To be looked at\n\n");
        for lint in &report.lints {
            let words =
                if lint.words.is_empty() { String::new() } else { format!(": {}", escaped(&lint.words)) };
            let _ = writeln!(out, "- {}{words}", lint.kind.words());
        }
        out.push('\n');
    }
    let made = &report.provenance;
    let _ = writeln!(
        out,
        "---\n{}, template {} ({:.12}), loupe {}",
        escaped(&made.model),
        escaped(&made.template),
        made.template_sha256,
        made.loupe
    );
    out
}

fn context(report: &StudyReport, mut say: impl FnMut(&str, &str)) {
    let study = &report.study;
    for (name, text) in [
        ("Indication", &study.indication),
        ("Technique", &study.technique),
        ("Comparison", &study.comparison),
    ] {
        if let Some(text) = text {
            say(name, text);
        }
    }
}

/// Text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The columns of `reports.csv`.
pub const REPORT_TABLE: [&str; 7] =
    ["study_id", "status", "findings", "impression", "report", "lints", "reason"];

/// A row of `reports.csv`.
pub fn report_row(report: &StudyReport) -> [String; 7] {
    let kinds = report.lints.iter().filter_map(|lint| serde_json::to_value(lint.kind).ok());
    let kinds: Vec<String> = kinds.filter_map(|kind| kind.as_str().map(str::to_owned)).collect();
    [
        report.study_id.clone(),
        report.status.name().to_owned(),
        report.findings.clone().unwrap_or_default(),
        report.impression.clone().unwrap_or_default(),
        if report.status == StudyStatus::Ok { report.text() } else { String::new() },
        kinds.join(" "),
        report.reason.clone().unwrap_or_default(),
    ]
}
