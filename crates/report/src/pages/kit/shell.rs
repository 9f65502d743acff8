//! The frame of a page whose scripts and styles are named by their digests, so that nothing else runs on it.

use crate::pages::error::PageError;
use crate::pages::kit::html::{embeddable, escaped};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io::Write;

/// Style of the viewer; colours are the custom properties `--line`, `--card`, `--ink` and `--accent` of the page.
pub const VIEWER_CSS: &str = include_str!("viewer.css");
/// The viewer with what it stands on: `el`, `svg`, `read`, `decoded`, `inflated`, `unpacked`, `Viewer`.
pub const VIEWER_JS: &str = concat!(
    include_str!("dom.js"),
    include_str!("window.js"),
    include_str!("inflate.js"),
    include_str!("viewer.js")
);

/// A page before it is written. Its data follow in blocks that scripts read with `read(id)`.
#[derive(Debug, Clone, Copy)]
pub struct Shell<'a> {
    /// Title of the document.
    pub title: &'a str,
    /// Styles, one after another.
    pub css: &'a [&'a str],
    /// Scripts, which run in one function, one after another.
    pub scripts: &'a [&'a str],
    /// Markup of the body, by the page's author; nothing of a study, a run or a file.
    pub body: &'a str,
}

fn digest(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

impl Shell<'_> {
    /// Writes the page with a block of JSON for each id; `blocks` makes them one at a time, so that large ones need not be in memory
    /// together.
    ///
    /// # Errors
    /// When a block is no JSON or the page cannot be written.
    pub fn write<T: Serialize>(
        &self,
        out: &mut impl Write,
        blocks: impl IntoIterator<Item = (String, T)>,
    ) -> Result<(), PageError> {
        let css = format!("\n{}\n", self.css.join("\n"));
        let script = format!("\n\"use strict\";\n(() => {{\n{}\n}})();\n", self.scripts.join("\n"));
        let policy = format!(
            "default-src 'none'; img-src data: blob:; style-src {}; script-src {}; connect-src 'none'; base-uri 'none'; form-action 'none'",
            digest(&css),
            digest(&script)
        );
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"generator\" content=\"loupe\">\n\
             <title>{}</title>\n<style>{css}</style>\n</head>\n<body>\n{}\n",
            escaped(self.title),
            self.body
        )?;
        for (id, block) in blocks {
            let json = embeddable(&block)?;
            writeln!(out, "<script type=\"application/json\" id=\"{}\">{json}</script>", escaped(&id))?;
        }
        write!(out, "<script>{script}</script>\n</body>\n</html>\n")?;
        Ok(())
    }
}
