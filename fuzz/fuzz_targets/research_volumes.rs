//! MetaImage, NRRD and numpy arrays. Seeds: `preprocess/tests/volumes/*.{mha,nrrd,npy}`.
#![no_main]

#[path = "../bodies/images.rs"]
#[allow(dead_code, reason = "each target calls one of the bodies")]
mod images;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| images::research_volumes(bytes));
