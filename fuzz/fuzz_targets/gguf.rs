//! Text models in GGUF files. Seeds: models/tests/parity/gguf/*.gguf-head.
#![no_main]

#[path = "../bodies/gguf.rs"]
mod gguf;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = std::env::temp_dir().join(format!("loupe-fuzz-{}", std::process::id()));
    if std::fs::create_dir_all(&folder).is_ok() {
        gguf::gguf(bytes, None, &folder);
    }
});
