//! One page with everything: plots as SVG, tables, methods, checklist. No script, and nothing is fetched.

mod plot;

use crate::analysis::StudyAnalysis;
use crate::checklist::State;
use crate::document::Document;
use loupe_core::Table;
use loupe_report::pages::{html::escaped, plot::STYLE as PLOT_STYLE};
use std::fmt::Write;

const STYLE: &str = ":root{color-scheme:light dark;--back:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d5dae0;--absent:#9a3412;--present:#166534}\
@media(prefers-color-scheme:dark){:root{--back:#12161c;--ink:#e6ebf2;--soft:#9aa7b7;--line:#303a46;--absent:#ff9a62;--present:#39c7a3}}\
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:var(--ink);background:var(--back)}\
h1{font-size:1.6rem}h2{margin-top:2.2rem;font-size:1.2rem;border-bottom:1px solid var(--line)}\
table{border-collapse:collapse;margin:.6rem 0 .2rem;font-size:.87rem}th,td{padding:.2rem .7rem;text-align:left;border-bottom:1px solid var(--line)}\
td:not(:first-child){font-variant-numeric:tabular-nums}caption{text-align:left;font-weight:600;padding:.3rem 0}\
.note,figcaption{color:var(--soft);font-size:.85rem}.scroll{overflow-x:auto}main>figure.plot{margin:0 1rem 1rem 0}\
.absent{color:var(--absent)}.present{color:var(--present)}\
@media print{body{max-width:none;margin:0}h2{break-after:avoid}table,figure{break-inside:avoid}}";

fn table(out: &mut String, table: &Table) {
    let title = escaped(&table.title);
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{title}\"><table><caption>{title}</caption><thead><tr>"
    );
    for column in &table.columns {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(column));
    }
    out.push_str("</tr></thead><tbody>");
    for row in &table.rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escaped(cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    if !table.note.is_empty() {
        let _ = write!(out, "<p class=\"note\">{}</p>", escaped(&table.note));
    }
}

/// The page of an analysis.
pub fn page(document: &Document<'_>) -> String {
    let analysis: &StudyAnalysis = document.analysis;
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"generator\" content=\"loupe\">\
         <title>Reader study</title><style>{STYLE}{PLOT_STYLE}</style></head><body class=\"themed\"><main>\n<h1>Reader study</h1>\n"
    );
    if !analysis.notes.is_empty() {
        out.push_str("<ul>");
        for note in &analysis.notes {
            let _ = write!(out, "<li>{}</li>", escaped(note));
        }
        out.push_str("</ul>\n");
    }
    let plots = plot::plots(analysis);
    if !plots.is_empty() {
        out.push_str("<h2>Plots</h2>\n");
        plots.iter().enumerate().for_each(|(number, plot)| out.push_str(&plot.html(number)));
    }
    out.push_str("<h2>Tables</h2>\n");
    for made in analysis.tables() {
        table(&mut out, &made);
        out.push('\n');
    }
    out.push_str("<h2>Methods</h2>\n");
    for paragraph in &document.methods.paragraphs {
        let _ = writeln!(out, "<p>{}</p>", escaped(paragraph));
    }
    out.push_str("<ol>");
    for reference in &document.methods.references {
        let _ = write!(out, "<li>{}</li>", escaped(reference));
    }
    out.push_str("</ol>\n<h2>Checklist</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Checklist\"><table><thead><tr><th>asked by</th><th>item</th><th>state</th><th>answer</th></tr></thead><tbody>");
    for item in &document.checklist {
        let (class, word) = match item.state {
            State::Present => ("present", "present"),
            State::Absent => ("absent", "absent"),
            State::ToBeWritten => ("", "to be written by you"),
        };
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"{class}\">{word}</td><td>{}</td></tr>",
            escaped(item.asked_by),
            escaped(item.item),
            escaped(&item.answer)
        );
    }
    out.push_str("</tbody></table></div>\n</main></body></html>\n");
    out
}
