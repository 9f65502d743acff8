//! Decoding where a defect of a decoder cannot take the program down.
//!
//! Hostile files make decoders panic or use deep stacks. [`guarded`] runs them on a thread of their
//! own with enough stack and turns a panic into a [`MediaError`] that names the step. What can be
//! checked beforehand (nesting depth, declared lengths, products of sizes) is checked by the
//! readers themselves; this is the net below them.

use loupe_core::media::MediaError;
use std::sync::Once;

/// Stack of a decoding thread. Codecs translated from C keep large tables on the stack.
const STACK_BYTES: usize = 32 << 20;

/// Name of the decoding threads, by which the panic hook knows them.
const THREAD_NAME: &str = "loupe-decode";

/// Runs `work` on a thread with a large stack; a panic inside becomes an error for `step`.
///
/// Calls inside a guarded thread run in place, so nesting costs nothing.
///
/// # Errors
/// What `work` returns; [`MediaError::Malformed`] when it panicked; [`MediaError::Io`] when the
/// thread could not be started.
pub fn guarded<T: Send>(
    format: &'static str,
    step: &'static str,
    work: impl FnOnce() -> Result<T, MediaError> + Send,
) -> Result<T, MediaError> {
    if std::thread::current().name() == Some(THREAD_NAME) {
        return work();
    }
    silence_decoding_threads();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(THREAD_NAME.to_owned()).stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, work) {
            Ok(running) => running.join().unwrap_or_else(|_| {
                Err(MediaError::Malformed {
                    format,
                    field: step.to_owned(),
                    problem: "the decoder could not cope with it; the file is damaged".to_owned(),
                })
            }),
            Err(e) => Err(MediaError::Io(format!("no thread for decoding: {}", e.kind()))),
        }
    })
}

/// The default hook prints the panic's message, which may quote the file; ours stays silent on
/// decoding threads (the error says what happened) and leaves all others as they were.
fn silence_decoding_threads() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some(THREAD_NAME) {
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
        let result: Result<(), _> = guarded("DICOM", "PixelData", || panic!("secret"));
        let text = result.unwrap_err().to_string();
        assert!(text.contains("PixelData") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn nested_calls_and_deep_stacks_work() {
        fn deep(n: u32) -> u64 {
            let pad = std::hint::black_box([u64::from(n); 64]);
            if n == 0 { 0 } else { deep(n - 1) + pad[1] - u64::from(n) + 1 }
        }
        let depth = guarded("DICOM", "a", || guarded("DICOM", "b", || Ok(deep(20_000)))).unwrap();
        assert_eq!(depth, 20_000);
    }
}
