//! One page of a batch: the worklist with status and lints, then every study with its pictures, priors, report and reference.
//!
//! The page needs no script. Its print style puts each study on a page of its own, so that a browser's "print to PDF" makes the document
//! that goes into a file.

use super::formats::NOTICE;
use super::record::{StudyReport, StudyStatus};
use crate::pages::error::PageError;
use crate::pages::kit::store::{ImageData, ImageStore};
use loupe_core::words::counted;
use loupe_core::{Picture, Table};
use loupe_eval::reports::LintKind;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

const STYLE: &str = include_str!("page.css");

/// A study on the page.
struct PageStudy {
    report: StudyReport,
    /// Number in the store of each image, or why it is not shown.
    images: Vec<Result<(usize, [f64; 2]), String>>,
}

/// The page of a batch, study by study.
pub struct ReportsPage {
    title: String,
    lead: String,
    tables: Vec<Table>,
    store: ImageStore,
    studies: Vec<PageStudy>,
}

impl ReportsPage {
    /// An empty page of at most so many bytes of pictures. `lead` says how many reports there are, `tables` what was counted.
    pub fn new(title: String, lead: String, tables: Vec<Table>, picture_bytes: usize) -> Self {
        Self { title, lead, tables, store: ImageStore::of_size(Some(picture_bytes)), studies: Vec::new() }
    }

    /// Adds a study with its pictures, each as the model was shown it, or why it cannot be had.
    pub fn add(&mut self, report: StudyReport, pictures: Vec<Result<Picture, String>>) {
        let place = |picture: Result<Picture, String>| {
            let picture = picture?;
            let number = self.store.add(&picture, None).map_err(|e| e.to_string())?;
            let [width, height] = picture.origin.source_size;
            Ok((number, [width as f64, height as f64]))
        };
        let images = pictures.into_iter().map(place).collect();
        self.studies.push(PageStudy { report, images });
    }

    /// Writes the document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, to: &mut impl Write) -> Result<(), PageError> {
        let title = escaped(&self.title);
        write!(
            to,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
             <title>{title}</title><style>{STYLE}</style></head><body><header><h1>{title}</h1><p class=\"notice\">{NOTICE}</p>\
             <p>{}</p>",
            escaped(&self.lead)
        )?;
        for table in self.tables.iter().filter(|table| !table.rows.is_empty()) {
            to.write_all(html_table(table).as_bytes())?;
        }
        to.write_all(self.worklist().as_bytes())?;
        to.write_all(b"</header>\n<main>")?;
        let pictures = self.store.pictures();
        for (at, study) in self.studies.iter().enumerate() {
            to.write_all(study_html(at, study, &pictures).as_bytes())?;
        }
        to.write_all(b"</main></body></html>\n")?;
        Ok(())
    }

    fn worklist(&self) -> String {
        let mut out = String::from(
            "<table class=\"worklist\"><thead><tr><th>Study</th><th>Status</th><th>Images</th><th>Priors</th><th>To be looked at</th></tr></thead><tbody>",
        );
        for (at, PageStudy { report, .. }) in self.studies.iter().enumerate() {
            let priors = report.study.images.iter().filter(|image| image.prior).count();
            let mut counts: BTreeMap<LintKind, usize> = BTreeMap::new();
            report.lints.iter().for_each(|lint| *counts.entry(lint.kind).or_default() += 1);
            let lints: Vec<String> =
                counts.iter().map(|(kind, n)| format!("{} × {n}", kind.words())).collect();
            let _ = write!(
                out,
                "<tr class=\"{status}\"><td><a href=\"#study{at}\">{}</a></td><td>{status}</td><td>{}</td><td>{priors}</td><td>{}</td></tr>",
                escaped(&report.study_id),
                report.study.images.len() - priors,
                escaped(&lints.join("; ")),
                status = status(report),
            );
        }
        out + "</tbody></table>"
    }
}

fn status(report: &StudyReport) -> &'static str {
    match report.status {
        StudyStatus::Ok if report.lints.is_empty() => "ok",
        StudyStatus::Ok => "look",
        StudyStatus::Failed => "failed",
        StudyStatus::Waiting => "waiting",
    }
}

fn study_html(at: usize, study: &PageStudy, pictures: &[ImageData<'_>]) -> String {
    let report = &study.report;
    let mut out = format!("<section class=\"study\" id=\"study{at}\"><h2>{}</h2>", escaped(&report.study_id));
    let about = &report.study;
    let known = [
        ("Sex", &about.sex),
        ("Age", &about.age_band),
        ("Indication", &about.indication),
        ("Technique", &about.technique),
        ("Comparison", &about.comparison),
        ("Prior report", &about.prior_report),
    ];
    out.push_str("<dl>");
    for (name, text) in known {
        if let Some(text) = text {
            let _ = write!(out, "<dt>{name}</dt><dd>{}</dd>", escaped(text));
        }
    }
    out.push_str("</dl><div class=\"images\">");
    for prior in [false, true] {
        let mut figures = String::new();
        for (n, image) in about.images.iter().enumerate().filter(|(_, image)| image.prior == prior) {
            figures.push_str(&figure(at, n, image.view.as_deref(), study, pictures));
        }
        if !figures.is_empty() {
            let (heading, class) = if prior { ("Prior", "prior") } else { ("Study", "current") };
            let _ = write!(out, "<div class=\"{class}\"><h3>{heading}</h3>{figures}</div>");
        }
    }
    out.push_str("</div>");
    if report.status != StudyStatus::Ok {
        let reason = report.reason.as_deref().unwrap_or("not asked yet");
        let _ = write!(out, "<p class=\"failed\">No report: {}</p>", escaped(reason));
    } else {
        out.push_str(&report_html(at, report));
    }
    if !report.reference.is_empty() {
        out.push_str(&reference_html(report));
    }
    if let Some(choice) = &report.choice {
        let _ = write!(
            out,
            "<p class=\"notes\">Candidate {} of {}, kept by {} out of {}; all stand in \u{201c}As the model wrote it\u{201d}.</p>",
            choice.chosen + 1,
            choice.figures.len(),
            escaped(&choice.rule),
            choice.of
        );
    }
    let provenance = serde_json::to_string_pretty(&report.provenance).unwrap_or_default();
    let raw = report.raw.join("\n\n— next pass —\n\n");
    let _ = writeln!(
        out,
        "<details><summary>What made it</summary><pre>{}</pre></details><details><summary>As the model wrote it</summary><pre>{}</pre></details></section>",
        escaped(&provenance),
        escaped(&raw)
    );
    out
}

/// An image with the boxes of the sentences over it.
fn figure(at: usize, n: usize, view: Option<&str>, study: &PageStudy, pictures: &[ImageData<'_>]) -> String {
    let unseen = if study.report.not_shown.contains(&n) { " (not shown to the model)" } else { "" };
    let caption = escaped(&format!("{}{unseen}", view.unwrap_or("view not known")));
    let placed = match study.images.get(n) {
        Some(Ok(placed)) => placed,
        Some(Err(why)) => {
            return format!(
                "<figure><p class=\"failed\">{}</p><figcaption>{caption}</figcaption></figure>",
                escaped(why)
            );
        }
        None => return String::new(),
    };
    let (number, [width, height]) = placed;
    let uri = match pictures.get(*number) {
        Some(ImageData::Whole(uri) | ImageData::Shrunk { uri, .. }) => uri,
        None => return String::new(),
    };
    let mut boxes = String::new();
    for (sentence, s) in study.report.sentences.iter().enumerate() {
        for place in s.boxes.iter().filter(|place| place.picture == n) {
            let [x0, y0, x1, y1] = place.box_px;
            let (wide, high, words) = (x1 - x0, y1 - y0, escaped(&s.text));
            let _ = write!(
                boxes,
                "<a href=\"#s{at}-{sentence}\" aria-label=\"{words}\"><rect id=\"b{at}-{sentence}\" x=\"{x0}\" y=\"{y0}\" width=\"{wide}\" height=\"{high}\"><title>{words}</title></rect></a>"
            );
        }
    }
    // Boxes are links to their sentences, which an image may not hold.
    let role = if boxes.is_empty() { "img" } else { "group" };
    format!(
        "<figure><svg viewBox=\"0 0 {width} {height}\" role=\"{role}\" aria-label=\"{caption}\"><image href=\"{uri}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\"/>{boxes}</svg><figcaption>{caption}</figcaption></figure>"
    )
}

fn report_html(at: usize, report: &StudyReport) -> String {
    let mut out = String::from("<div class=\"texts\"><div class=\"report\"><h3>Report</h3>");
    let mut open = None;
    for (n, sentence) in report.sentences.iter().enumerate() {
        if open != Some(sentence.section) {
            if open.is_some() {
                out.push_str("</p>");
            }
            let _ = write!(out, "<h4>{}</h4><p>", sentence.section.name());
            open = Some(sentence.section);
        }
        let lints: Vec<_> = report.lints.iter().filter(|lint| lint.sentence == Some(n)).collect();
        let class = if lints.is_empty() { "" } else { " class=\"lint\"" };
        let words: Vec<&str> = lints.iter().map(|lint| lint.kind.words()).collect();
        let title = if words.is_empty() {
            String::new()
        } else {
            format!(" title=\"{}\"", escaped(&words.join("; ")))
        };
        let text = escaped(&sentence.text);
        let text = match sentence.boxes.is_empty() {
            true => text,
            false => format!("<a href=\"#b{at}-{n}\">{text}</a>"),
        };
        let _ = write!(out, "<span id=\"s{at}-{n}\"{class}{title}>{text}</span> ");
    }
    if open.is_some() {
        out.push_str("</p>");
    }
    if !report.lints.is_empty() {
        let _ = write!(out, "<p class=\"notes\">{} to be looked at: ", counted(report.lints.len(), "place"));
        let said = report.lints.iter().map(|lint| match lint.words.is_empty() {
            true => escaped(lint.kind.words()),
            false => format!("{} (<q>{}</q>)", escaped(lint.kind.words()), escaped(&lint.words)),
        });
        out.push_str(&said.collect::<Vec<_>>().join("; "));
        out.push_str("</p>");
    }
    out + "</div></div>"
}

/// The reference with what differs from the report: words of the report alone struck through, words of the reference alone marked.
fn reference_html(report: &StudyReport) -> String {
    let mut out = String::from("<div class=\"reference\"><h3>Reference, with differences</h3>");
    for (name, text) in &report.reference {
        let own = match name.as_str() {
            "findings" => report.findings.clone(),
            "impression" => report.impression.clone(),
            _ => Some(report.text()),
        };
        let shown = match own {
            Some(own) => difference(&own, text),
            None => escaped(text),
        };
        let _ = write!(out, "<h4>{}</h4><p>{shown}</p>", escaped(name));
    }
    out + "</div>"
}

/// Most words of a text that are compared; longer ones are shown as they are.
const MOST_WORDS: usize = 1500;

/// `theirs` with the words that `own` has besides, by the longest common sequence of words.
fn difference(own: &str, theirs: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) =
        (own.split_whitespace().collect(), theirs.split_whitespace().collect());
    if a.len().max(b.len()) > MOST_WORDS {
        return escaped(theirs);
    }
    let key = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let (ka, kb): (Vec<String>, Vec<String>) =
        (a.iter().map(|w| key(w)).collect(), b.iter().map(|w| key(w)).collect());
    let width = b.len() + 1;
    let mut common = vec![0u16; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i * width + j] = if ka[i] == kb[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && ka[i] == kb[j] {
            out.push(escaped(b[j]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            out.push(format!("<del>{}</del>", escaped(a[i])));
            i += 1;
        } else {
            out.push(format!("<ins>{}</ins>", escaped(b[j])));
            j += 1;
        }
    }
    out.join(" ")
}

fn html_table(table: &Table) -> String {
    let mut out = format!("<table><caption>{}</caption><thead><tr>", escaped(&table.title));
    for heading in &table.columns {
        let _ = write!(out, "<th>{}</th>", escaped(heading));
    }
    out.push_str("</tr></thead><tbody>");
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|cell| format!("<td>{}</td>", escaped(cell))).collect();
        let _ = write!(out, "<tr>{}</tr>", cells.concat());
    }
    out.push_str("</tbody></table>");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn words_that_differ_are_marked() {
        assert_eq!(
            difference("A left effusion.", "A small left <effusion>"),
            "A <ins>small</ins> left &lt;effusion&gt;"
        );
        assert_eq!(difference("Clear.", "Nodule."), "<del>Clear.</del> <ins>Nodule.</ins>");
    }
}
