//! Signals that ask a run to end: what is in flight is finished and synced, then the program exits with 128 and the signal's number.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Asked from a terminal, by whoever runs jobs, and by schedulers that warn before they take a machine away.
#[cfg(unix)]
const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, signal_hook::consts::SIGUSR2];
#[cfg(not(unix))]
const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// What signals have asked for.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    /// Does a signal end the program on the spot? So it is while nothing is in flight, and for a second signal.
    at_once: Arc<AtomicBool>,
    /// Number of the signal that came while something was in flight; 0 for none.
    came: Arc<AtomicUsize>,
}

impl Signals {
    /// From now on.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let signals = Self { at_once: Arc::new(AtomicBool::new(true)), came: Arc::default() };
        for signal in SIGNALS {
            let number = usize::try_from(signal).unwrap_or_default();
            // In this order: whether it ends the program is asked before it is noted.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&signals.at_once))?;
            flag::register(signal, Arc::clone(&signals.at_once))?;
            flag::register_usize(signal, Arc::clone(&signals.came), number)?;
        }
        Ok(signals)
    }

    /// Is something in flight that a signal must wait for?
    pub(crate) fn wait(&self, wait: bool) {
        self.at_once.store(!wait, Ordering::SeqCst);
    }

    /// The signal that came.
    pub(crate) fn came(&self) -> Option<u8> {
        u8::try_from(self.came.load(Ordering::SeqCst)).ok().filter(|n| *n > 0)
    }
}
