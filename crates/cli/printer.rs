//! The one place that writes to the terminal.

use crate::signals::Signals;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use loupe_app::Listener;
use loupe_core::words::{is_active, visible};
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How a command that ran ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything was done.
    Well,
    /// It ran, but some items failed or a gate was not met.
    WithFailures,
    /// A signal of this number ended it before everything was done; the same command goes on.
    Stopped(u8),
}

impl Ended {
    /// Well when it is true, else with failures.
    pub(crate) fn well_if(well: bool) -> Self {
        if well { Self::Well } else { Self::WithFailures }
    }
}

/// Data to stdout, words for people to stderr.
#[derive(Debug)]
pub(crate) struct Printer {
    /// One JSON document on stdout instead of text.
    pub(crate) json: bool,
    quiet: bool,
    /// What is under way.
    bar: Mutex<Option<ProgressBar>>,
    /// Who asks it to end, where a command can end early.
    signals: Option<Signals>,
}

impl Printer {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, bar: Mutex::new(None), signals: None }
    }

    /// From now on signals end a run cleanly.
    pub(crate) fn heed_signals(&mut self) -> Result<()> {
        self.signals = Some(Signals::listen()?);
        Ok(())
    }

    /// The signal that asked for an early end.
    pub(crate) fn signal(&self) -> Option<u8> {
        self.signals.as_ref().and_then(Signals::came)
    }

    /// Text on stdout. Names, replies and contents of files come from others, so what would steer a terminal is
    /// written out; a JSON document holds everything as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(visible(text).as_bytes())?;
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
        // Outside of strings there are none of these, and within them they may be written so.
        let mut safe = String::with_capacity(text.len() + 1);
        for c in text.chars() {
            if c != '\n' && is_active(c) {
                safe.push_str(&format!("\\u{:04x}", u32::from(c)));
            } else {
                safe.push(c);
            }
        }
        self.line(&safe)
    }

    /// Words for people, on stderr.
    pub(crate) fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        let write = || {
            let _ = writeln!(std::io::stderr(), "{}", visible(text));
        };
        match &*self.bar() {
            Some(bar) => bar.suspend(write),
            None => write(),
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
        let _ = writeln!(std::io::stderr(), "{}", visible(&text));
    }

    /// True when stdout is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    fn bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Progress as a bar on stderr, hidden when stderr is no terminal.
impl Listener for Printer {
    fn say(&self, words: &str) {
        Self::say(self, words);
    }

    fn is_watched(&self) -> bool {
        self.quiet || std::io::stderr().is_terminal()
    }

    fn begin(&self, parts: u64) {
        let bar = ProgressBar::new(parts);
        if self.quiet || !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {pos}/{len}  {elapsed} gone, {eta} left  {msg}")
        {
            bar.set_style(style);
        }
        *self.bar() = Some(bar);
    }

    fn reach(&self, done: u64) {
        if let Some(bar) = &*self.bar() {
            bar.set_position(done);
            bar.reset_eta();
        }
    }

    fn advance(&self, of: u64) {
        if let Some(bar) = &*self.bar() {
            bar.set_length(of);
            bar.inc(1);
        }
    }

    fn note(&self, words: &str) {
        if let Some(bar) = &*self.bar() {
            bar.set_message(visible(words).into_owned());
        }
    }

    fn may_be_stopped(&self, now: bool) {
        if let Some(signals) = &self.signals {
            signals.wait(now);
        }
    }

    fn go_on(&self) -> bool {
        self.signal().is_none()
    }

    fn end(&self) {
        if let Some(bar) = self.bar().take() {
            bar.finish_and_clear();
        }
    }
}

/// True when the error is a closed pipe.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|io| io.kind() == ErrorKind::BrokenPipe)
}
