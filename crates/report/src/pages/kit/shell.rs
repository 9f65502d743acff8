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

/// JSON as it stands in a page's block, so that its digest can be taken before the page is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block(String);

impl Block {
    /// The block of a value.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn of(value: &impl Serialize) -> Result<Self, PageError> {
        Ok(Self(embeddable(value)?))
    }

    /// What a script reads as the text of the block.
    pub fn text(&self) -> &str {
        &self.0
    }
}

fn digest(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

impl Shell<'_> {
    /// Writes the page with the blocks by their ids.
    ///
    /// # Errors
    /// When the page cannot be written.
    pub fn write<'b>(
        &self,
        out: &mut impl Write,
        blocks: impl IntoIterator<Item = (&'b str, &'b Block)>,
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
            writeln!(
                out,
                "<script type=\"application/json\" id=\"{}\">{}</script>",
                escaped(id),
                block.text()
            )?;
        }
        write!(out, "<script>{script}</script>\n</body>\n</html>\n")?;
        Ok(())
    }
}
