//! The frame of a page: one HTML document with style, data, pictures and script inside.

use crate::pages::error::PageError;
use crate::pages::kit::store::ImageStore;
use serde::Serialize;
use std::io::Write;

const HTML: &str = include_str!("page.html");
const CSS: &str = include_str!("page.css");
/// What the scripts of all pages stand on.
const SCRIPT: &str = concat!(include_str!("dom.js"), include_str!("window.js"), include_str!("picture.js"));

/// JSON that may stand inside a `<script>` element.
pub(super) fn embeddable(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(value)?
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029"))
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Writes a document that shows `data` and `images` with `script`, which runs in one function with the
/// scripts of the kit.
pub(crate) fn write(
    out: &mut impl Write,
    title: &str,
    data: &impl Serialize,
    images: &ImageStore,
    script: &str,
) -> Result<(), PageError> {
    let title = escaped(title);
    let data = embeddable(data)?;
    let pictures = embeddable(&images.pictures())?;
    let values = embeddable(&images.values())?;
    let mut rest = HTML;
    for (mark, text) in [
        ("{{title}}", title.as_str()),
        ("{{css}}", CSS),
        ("{{data}}", &data),
        ("{{images}}", &pictures),
        ("{{values}}", &values),
        ("{{kit}}", SCRIPT),
        ("{{script}}", script),
    ] {
        if let Some((before, after)) = rest.split_once(mark) {
            out.write_all(before.as_bytes())?;
            out.write_all(text.as_bytes())?;
            rest = after;
        }
    }
    out.write_all(rest.as_bytes())?;
    Ok(())
}
