//! DICOM of every transfer syntax. Seeds: `preprocess/tests/codecs/*.dcm`.
#![no_main]

#[path = "../bodies/images.rs"]
#[allow(dead_code, reason = "each target calls one of the bodies")]
mod images;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| images::dicom(bytes));
