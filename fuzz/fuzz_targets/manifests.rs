//! Sets of one's own as JSON lines and CSV. Seeds: the examples in docs/reference/datasets.md.
#![no_main]

#[path = "../bodies/manifests.rs"]
mod manifests;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = std::env::temp_dir().join(format!("loupe-fuzz-{}", std::process::id()));
    if std::fs::create_dir_all(&folder).is_ok() {
        manifests::manifest(bytes, &folder);
    }
});
