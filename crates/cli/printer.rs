//! The one place that writes to the terminal.

use crate::signals::Signals;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use loupe_app::Listener;
use loupe_core::words::{is_active, visible};
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

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
    underway: Mutex<Option<Underway>>,
    /// Who asks it to end, where a command can end early.
    signals: Option<Signals>,
}

/// Work that is under way, drawn on a terminal or told in lines.
#[derive(Debug)]
struct Underway {
    bar: ProgressBar,
    /// Where there is no terminal to draw on.
    lines: Option<Minutes>,
}

impl Printer {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, underway: Mutex::new(None), signals: None }
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

    /// Words beside a label; on a terminal they are wrapped under themselves, elsewhere they stay one line, for programs.
    pub(crate) fn labelled(&mut self, label: &str, words: &str) -> Result<()> {
        /// Columns that words keep beside a long label.
        const LEAST: usize = 24;
        let indent = label.chars().count();
        let room = columns().map_or(usize::MAX, |all| all.saturating_sub(indent).max(LEAST));
        let (mut text, mut used) = (label.to_owned(), 0);
        for word in words.split(' ') {
            let long = word.chars().count();
            if used > 0 && used + 1 + long > room {
                text.push_str(&format!("\n{:indent$}", ""));
                used = 0;
            } else if used > 0 {
                text.push(' ');
                used += 1;
            }
            text.push_str(word);
            used += long;
        }
        self.line(&text)
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
        match &*self.underway() {
            Some(underway) => underway.bar.suspend(write),
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
        let _ = writeln!(std::io::stderr(), "{}", visible(&without_numbers(&text)));
    }

    /// True when stdout is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    fn underway(&self) -> MutexGuard<'_, Option<Underway>> {
        self.underway.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without the numbers of the system's errors, whose words stand before them: ` (os error 2)`.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.chars().all(|c| c.is_ascii_digit()) => out.push_str(rest),
            _ => out.extend([" (os error ", part]),
        }
    }
    out
}

/// A line a minute about work that is under way, for logs.
#[derive(Debug)]
struct Minutes {
    over: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Minutes {
    /// Between two lines.
    const PAUSE: Duration = Duration::from_secs(60);

    /// Begins to tell about what `bar` counts.
    fn of(bar: &ProgressBar) -> Self {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let (bar, ends) = (bar.clone(), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let (is_over, bell) = &*ends;
            let mut guard = is_over.lock().unwrap_or_else(PoisonError::into_inner);
            while !*guard {
                let (waited, timeout) =
                    bell.wait_timeout(guard, Self::PAUSE).unwrap_or_else(PoisonError::into_inner);
                guard = waited;
                if timeout.timed_out() && !*guard {
                    let _ = writeln!(std::io::stderr(), "{}", progress_line(&bar));
                }
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Minutes {
    fn drop(&mut self) {
        let (is_over, bell) = &*self.over;
        *is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        bell.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `120 of 321 after 3 min, about 5 min left, 41.2 tokens/s`.
fn progress_line(bar: &ProgressBar) -> String {
    let minutes = |time: Duration| format!("{} min", time.as_secs().div_ceil(60));
    let mut words = match bar.length().filter(|n| *n > 0) {
        Some(all) => format!("{} of {all} after {}", bar.position(), minutes(bar.elapsed())),
        None => format!("after {}", minutes(bar.elapsed())),
    };
    if bar.length().is_some_and(|n| n > 0) && bar.position() > 0 {
        words += &format!(", about {} left", minutes(bar.eta()));
    }
    let note = bar.message();
    if note.is_empty() { words } else { format!("{words}, {note}") }
}

/// Columns of the terminal that stdout is; nothing where it is none. `COLUMNS` says otherwise.
pub(crate) fn columns() -> Option<usize> {
    let given = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse::<usize>().ok());
    let of_stdout =
        || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    given.filter(|n| *n > 0).or_else(of_stdout)
}

/// Work of so many parts.
const COUNTED: &str = "{spinner} {bar:30} {pos}/{len}  {elapsed} gone, {eta} left  {msg}";
/// Work of nobody knows how many.
const UNCOUNTED: &str = "{spinner} {msg} {elapsed}";

fn styled(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// Progress as a bar on stderr; as a line a minute where stderr is no terminal.
impl Listener for Printer {
    fn say(&self, words: &str) {
        Self::say(self, words);
    }

    fn is_watched(&self) -> bool {
        self.quiet || std::io::stderr().is_terminal()
    }

    fn begin(&self, parts: u64) {
        let on_terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::new(parts);
        if self.quiet || !on_terminal {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        styled(&bar, if parts == 0 { UNCOUNTED } else { COUNTED });
        // The first replies of a large model take minutes; that it moves says that it works.
        bar.enable_steady_tick(Duration::from_millis(200));
        let lines = (!self.quiet && !on_terminal).then(|| Minutes::of(&bar));
        *self.underway() = Some(Underway { bar, lines });
    }

    fn reach(&self, done: u64) {
        if let Some(Underway { bar, .. }) = &*self.underway() {
            bar.set_position(done);
            bar.reset_eta();
        }
    }

    fn advance(&self, of: u64) {
        if let Some(Underway { bar, .. }) = &*self.underway() {
            // Nobody knew how many when it began.
            if bar.length() == Some(0) {
                styled(bar, COUNTED);
            }
            bar.set_length(of);
            bar.inc(1);
        }
    }

    fn note(&self, words: &str) {
        if let Some(Underway { bar, .. }) = &*self.underway() {
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
        // Not while the lock is held: the thread of the lines is waited for.
        let underway = self.underway().take();
        if let Some(Underway { bar, lines }) = underway {
            drop(lines);
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

#[cfg(test)]
mod tests {
    use super::without_numbers;

    #[test]
    fn numbers_of_the_system_s_errors_are_left_out() {
        assert_eq!(
            without_numbers("a: No such file (os error 2)\n  because: b"),
            "a: No such file\n  because: b"
        );
        assert_eq!(without_numbers("plain (os error x) (os error"), "plain (os error x) (os error");
    }
}
