//! Decoding where a defect of a decoder cannot take the program down.
//!
//! Hostile files make decoders panic or use deep stacks. [`guarded`] turns a panic into a
//! [`MediaError`] that names the step; [`guarded_with_stack`] runs decoders that are not ours on a
//! thread with enough stack besides. What can be checked beforehand (nesting depth, declared
//! lengths, products of sizes) is checked by the readers themselves; this is the net below them.

use crate::media::MediaError;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Stack of a decoding thread. Codecs translated from C keep large tables on the stack.
const STACK_BYTES: usize = 32 << 20;

thread_local! {
    /// Is a decoder running on this thread? The panic hook asks.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; a panic inside becomes an error for `step`. Calls inside others cost nothing.
///
/// # Errors
/// What `work` returns; [`MediaError::Malformed`] when it panicked.
pub fn guarded<T>(
    format: &'static str,
    step: &'static str,
    work: impl FnOnce() -> Result<T, MediaError>,
) -> Result<T, MediaError> {
    if DECODING.get() {
        return work();
    }
    silence_decoders();
    DECODING.set(true);
    // Whatever `work` borrowed mutably is given up with the error.
    let done = catch_unwind(AssertUnwindSafe(work));
    DECODING.set(false);
    done.unwrap_or_else(|_| {
        Err(MediaError::Malformed {
            format,
            field: step.to_owned(),
            problem: "the decoder could not cope with it; the file is damaged".to_owned(),
        })
    })
}

/// Runs `work` without the message that a panic inside would print; whoever catches it says what happened.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    /// Also on the way out of a panic.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            DECODING.set(self.0);
        }
    }
    silence_decoders();
    let _before = Before(DECODING.replace(true));
    work()
}

/// The result of `work`, or nothing when it panicked: one item of many must not end the others. Nothing is printed.
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    // Whatever `work` borrowed mutably is the caller's to check or give up.
    quietly(|| catch_unwind(AssertUnwindSafe(work)).ok())
}

/// [`guarded`] on a thread of its own with a large stack.
///
/// # Errors
/// As [`guarded`]; [`MediaError::Io`] when the thread could not be started.
pub fn guarded_with_stack<T: Send>(
    format: &'static str,
    step: &'static str,
    work: impl FnOnce() -> Result<T, MediaError> + Send,
) -> Result<T, MediaError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, || guarded(format, step, work)) {
            Ok(running) => running.join().unwrap_or_else(|_| {
                Err(MediaError::Io("a decoding thread ended without a result".to_owned()))
            }),
            Err(e) => Err(MediaError::Io(format!("no thread for decoding: {}", e.kind()))),
        }
    })
}

/// The default hook prints the panic's message, which may quote the file; ours stays silent while
/// a decoder runs (the error says what happened) and leaves all else as it was.
fn silence_decoders() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !DECODING.get() {
                before(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        let here: Result<(), _> = guarded("DICOM", "PixelData", || panic!("secret"));
        let there: Result<(), _> = guarded_with_stack("DICOM", "PixelData", || panic!("secret"));
        for result in [here, there] {
            let text = result.unwrap_err().to_string();
            assert!(text.contains("PixelData") && !text.contains("secret"), "{text}");
        }
        assert!(!DECODING.get());
    }

    #[test]
    fn what_panics_gives_nothing_and_the_hook_is_as_before() {
        assert_eq!(caught(|| 3), Some(3));
        assert_eq!(caught(|| if DECODING.get() { panic!("secret") } else { 3 }), None);
        assert!(!DECODING.get());
    }

    #[test]
    fn nested_calls_and_deep_stacks_work() {
        fn deep(n: u32) -> u64 {
            let pad = std::hint::black_box([u64::from(n); 64]);
            if n == 0 { 0 } else { deep(n - 1) + pad[1] - u64::from(n) + 1 }
        }
        let inner = || guarded_with_stack("DICOM", "b", || Ok(deep(20_000)));
        assert_eq!(guarded("DICOM", "a", inner).unwrap(), 20_000);
    }
}
