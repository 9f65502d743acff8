//! The one place that writes to the terminal.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write};

/// Data to stdout, words for people to stderr.
#[derive(Debug)]
pub(crate) struct Printer {
    /// One JSON document on stdout instead of text.
    pub(crate) json: bool,
    quiet: bool,
}

impl Printer {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Text on stdout, as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// A line on stdout.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        self.text(&format!("{text}\n"))
    }

    /// A JSON document on stdout.
    pub(crate) fn document(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.line(&text)
    }

    /// Words for people, on stderr.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// An error with its causes, on stderr.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let mut text = format!("error: {error}");
        let mut last = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            // Wrapped errors often repeat their source's words.
            if !last.contains(&cause) {
                text.push_str(&format!("\n  because: {cause}"));
            }
            last = cause;
        }
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// True when stdout is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// A progress bar on stderr, hidden when stderr is no terminal.
    pub(crate) fn bar(&self, length: u64) -> ProgressBar {
        let bar = ProgressBar::new(length);
        if self.quiet || !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed} gone, {eta} left  {msg}")
        {
            bar.set_style(style);
        }
        bar
    }
}

/// True when the error is a closed pipe.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|io| io.kind() == ErrorKind::BrokenPipe)
}
