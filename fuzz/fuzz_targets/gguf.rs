//! GGUF files, as text models and as vision parts beside sound ones. Seeds: models/tests/parity/gguf/whole/*.gguf.
#![no_main]

#[path = "../bodies/gguf.rs"]
mod gguf;

/// Text models that see, one for every tower that is read.
const TEXTS: [&[u8]; 3] = [
    include_bytes!("../../models/tests/parity/gguf/whole/gemma3.gguf"),
    include_bytes!("../../models/tests/parity/gguf/whole/qwen2.gguf"),
    include_bytes!("../../models/tests/parity/gguf/whole/qwen2vl.gguf"),
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = std::env::temp_dir().join(format!("loupe-fuzz-{}", std::process::id()));
    if std::fs::create_dir_all(&folder).is_ok() {
        gguf::gguf(bytes, None, &folder);
        for text in TEXTS {
            gguf::gguf(bytes, Some(text), &folder);
        }
    }
});
