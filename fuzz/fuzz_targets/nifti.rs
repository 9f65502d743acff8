//! NIfTI-1, NIfTI-2 and Analyze. Seeds: `preprocess/tests/volumes/*.nii*`.
#![no_main]

#[path = "../bodies/images.rs"]
#[allow(dead_code, reason = "each target calls one of the bodies")]
mod images;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| images::nifti(bytes));
