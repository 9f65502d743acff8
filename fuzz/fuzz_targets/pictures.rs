//! PNG, JPEG, TIFF, BMP, WebP, GIF and PNM: any bytes give a picture or an error.
//! Seeds: `preprocess/tests/pictures/*`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loupe_core::media::View;
use loupe_preprocess::Limits;
use loupe_preprocess::picture_io::{decode, facts};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_pixels: 1 << 20, max_memory_bytes: 64 << 20 };
    let _ = facts(bytes, &limits);
    for frame in [None, Some(1)] {
        let _ = decode(bytes, &View { frame, ..View::default() }, &limits);
    }
});
