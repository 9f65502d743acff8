//! The frame of a page: one HTML document with style, data, pictures and script inside.

use crate::pages::error::PageError;
use crate::pages::kit::store::ImageStore;
use loupe_core::Table;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write;

const HTML: &str = include_str!("page.html");
const CSS: &str = concat!(
    include_str!("page.css"),
    include_str!("plot/plot.css"),
    include_str!("viewer.css"),
    include_str!("enlarge.css")
);
/// What the scripts of all pages stand on.
const SCRIPT: &str = concat!(
    include_str!("dom.js"),
    include_str!("window.js"),
    include_str!("inflate.js"),
    include_str!("viewer.js"),
    include_str!("enlarge.js"),
    include_str!("picture.js")
);

/// JSON that may stand inside a `<script>` element.
pub(super) fn embeddable(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(value)?
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029"))
}

/// Text that may stand in HTML, in an attribute too.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The rows of a table without its title. Each cell says its column, for windows too narrow for columns.
pub fn table(of: &Table) -> String {
    let right: Vec<bool> = (0..of.columns.len()).map(|c| of.is_right(c)).collect();
    let class = |c: usize| if right.get(c) == Some(&true) { " class=\"num\"" } else { "" };
    let name = escaped(&of.title);
    let mut out = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{name}\"><table{}><thead><tr>",
        if of.columns.len() > 3 { " class=\"wide\"" } else { "" }
    );
    for (c, column) in of.columns.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(c), escaped(column));
    }
    out.push_str("</tr></thead><tbody>");
    for row in &of.rows {
        out.push_str("<tr>");
        for (c, cell) in row.iter().enumerate() {
            let column = escaped(of.columns.get(c).map_or("", String::as_str));
            let _ = write!(out, "<td{} data-label=\"{column}\">{}</td>", class(c), escaped(cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}

/// Writes a document that begins with the HTML `before` and shows `data` and `images` with `script`, which runs in
/// one function with the scripts of the kit.
pub(crate) fn write(
    out: &mut impl Write,
    title: &str,
    before: &str,
    data: &impl Serialize,
    images: &ImageStore,
    script: &str,
) -> Result<(), PageError> {
    let title = escaped(title);
    let data = embeddable(data)?;
    let pictures = embeddable(&images.pictures())?;
    let values = embeddable(&images.values())?;
    // A block each, which the script reads when it is looked at.
    let mut volumes = String::new();
    for (number, slices) in images.volumes() {
        let _ = write!(
            volumes,
            "<script type=\"application/json\" id=\"volume-{number}\">{}</script>",
            embeddable(slices)?
        );
    }
    let mut rest = HTML;
    for (mark, text) in [
        ("{{title}}", title.as_str()),
        ("{{css}}", CSS),
        ("{{before}}", before),
        ("{{data}}", &data),
        ("{{images}}", &pictures),
        ("{{values}}", &values),
        ("{{volumes}}", &volumes),
        ("{{kit}}", SCRIPT),
        ("{{script}}", script),
    ] {
        if let Some((until, behind)) = rest.split_once(mark) {
            out.write_all(until.as_bytes())?;
            out.write_all(text.as_bytes())?;
            rest = behind;
        }
    }
    out.write_all(rest.as_bytes())?;
    Ok(())
}
