//! One bound for everything that a loader reads at the same time.
//!
//! What a file takes is known when its header was read. So each is tried with a small part of the memory; a
//! larger one is refused early, says what it needs, and is read again when so much is free.

use loupe_core::limits::DecodeLimits;
use loupe_core::media::MediaError;
use std::sync::{Condvar, Mutex, PoisonError};

/// Every file is tried with this part of the memory first.
const FIRST_TRY: u64 = 16;

/// Memory that files are read in, side by side.
pub(super) struct SharedMemory {
    limits: DecodeLimits,
    /// Bytes set aside by files that are being read.
    taken: Mutex<u64>,
    freed: Condvar,
}

/// Bytes set aside until this is dropped.
struct SetAside<'a> {
    memory: &'a SharedMemory,
    bytes: u64,
}

impl Drop for SetAside<'_> {
    fn drop(&mut self) {
        *self.memory.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.memory.freed.notify_all();
    }
}

impl SharedMemory {
    pub(super) fn new(limits: DecodeLimits) -> Self {
        Self { limits, taken: Mutex::new(0), freed: Condvar::new() }
    }

    /// Runs `work` within as much of the memory as it turns out to need. `kept` says how much is in use by what
    /// was read before; `forget` gives that up.
    ///
    /// # Errors
    /// What `work` says when it had all it asked for, or all there is.
    pub(super) fn within<T>(
        &self,
        kept: impl Fn() -> u64,
        forget: impl Fn(),
        mut work: impl FnMut(DecodeLimits) -> Result<T, MediaError>,
    ) -> Result<T, MediaError> {
        let most = self.limits.max_memory_bytes;
        let mut bytes = (most / FIRST_TRY).max(1);
        loop {
            let _set_aside = self.take(bytes, &kept, &forget);
            match work(self.limits.with_memory(bytes)) {
                Err(MediaError::Limit { option: "--max-memory", got, .. }) if bytes < most => {
                    // Where a stream is longer than allowed, how long is not known.
                    bytes = got.max(bytes.saturating_mul(2)).min(most);
                }
                done => return done,
            }
        }
    }

    /// Waits until so much is free; alone, a file may have everything. A thread of the pool never waits: while it
    /// reads one file it may be given another, and what it would wait for is then its own.
    fn take(&self, bytes: u64, kept: &impl Fn() -> u64, forget: &impl Fn()) -> SetAside<'_> {
        let most = self.limits.max_memory_bytes;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let may_wait = rayon::current_thread_index().is_none();
        while may_wait && *taken > 0 && taken.saturating_add(bytes) > most {
            taken = self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        if taken.saturating_add(bytes).saturating_add(kept()) > most {
            forget();
        }
        *taken += bytes;
        SetAside { memory: self, bytes }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn files_together_stay_within_the_bound() {
        let limits = DecodeLimits { max_memory_bytes: 1600, ..DecodeLimits::default() };
        let memory = SharedMemory::new(limits);
        let (now, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        let read = |need: usize| {
            memory.within(
                || 0,
                || {},
                |limits| {
                    limits.memory(need, 1)?;
                    let all = now.fetch_add(need as u64, Ordering::SeqCst) + need as u64;
                    peak.fetch_max(all, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    now.fetch_sub(need as u64, Ordering::SeqCst);
                    Ok(())
                },
            )
        };
        std::thread::scope(|scope| {
            for n in 0..8usize {
                let read = &read;
                scope.spawn(move || {
                    (0..10).for_each(|k| read([50, 90, 700, 1600][(n + k) % 4]).unwrap());
                });
            }
        });
        assert!(peak.load(Ordering::SeqCst) <= 1600, "{peak:?}");
        let refused = read(1601).unwrap_err();
        assert!(matches!(refused, MediaError::Limit { got: 1601, limit: 1600, .. }), "{refused}");
    }

    #[test]
    fn what_was_kept_makes_room() {
        let memory = SharedMemory::new(DecodeLimits { max_memory_bytes: 1000, ..DecodeLimits::default() });
        let kept = AtomicU64::new(600);
        let read = |need: usize| {
            let forget = || kept.store(0, Ordering::SeqCst);
            memory.within(|| kept.load(Ordering::SeqCst), forget, |l| l.memory(need, 1)).unwrap();
        };
        read(300);
        assert_eq!(kept.load(Ordering::SeqCst), 600);
        read(500);
        assert_eq!(kept.load(Ordering::SeqCst), 0);
    }
}
