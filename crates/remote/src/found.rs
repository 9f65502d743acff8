//! What the first request finds out about a server while the others wait for it.

use crate::trouble::Trouble;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Something about a server, looked for by one request at a time until it is found.
#[derive(Debug)]
pub(crate) struct FoundOut<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    found: Option<T>,
    /// When and why the last look ended without it, where the server did not answer.
    failed: Option<(Instant, Trouble)>,
}

impl<T> Default for FoundOut<T> {
    fn default() -> Self {
        Self(Mutex::new(State { found: None, failed: None }))
    }
}

impl<T: Copy> FoundOut<T> {
    /// What was found; else `look` looks for it. Whoever waited for a look that a server left without an answer gets its
    /// failure: one request after the other would wait for such a server as often as there are requests.
    pub(crate) fn get(&self, look: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
        let came = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = state.found {
            return Ok(found);
        }
        if let Some((_, trouble)) = state.failed.as_ref().filter(|(when, _)| *when >= came) {
            return Err(trouble.clone());
        }
        let looked = look();
        match &looked {
            Ok(found) => state.found = Some(*found),
            Err(trouble @ Trouble::Server(error, _)) if error.may_pass() => {
                state.failed = Some((Instant::now(), trouble.clone()));
            }
            // About this request alone.
            Err(_) => {}
        }
        looked
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use crate::error::EndpointError;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn those_who_wait_share_a_failure_of_the_server_and_look_again_later() {
        let (found, looks) = (FoundOut::<u8>::default(), AtomicUsize::new(0));
        let look = || {
            looks.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(200));
            Err(Trouble::Server(EndpointError::TimedOut(1), None))
        };
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..6).map(|_| scope.spawn(|| found.get(look).is_err())).collect();
            assert!(all.into_iter().all(|one| one.join().unwrap()));
        });
        assert!(looks.load(Ordering::Relaxed) <= 2, "{looks:?}");
        assert_eq!(found.get(|| Ok(7)).unwrap(), 7);
        assert_eq!(found.get(|| Ok(8)).unwrap(), 7);
    }
}
