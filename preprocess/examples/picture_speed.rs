//! Times decoding a picture file to RGB: `picture_speed FILE ROUNDS` prints the fastest round in milliseconds and
//! the SHA-256 of the pixels; `benches/compare/picture.py` runs it beside Pillow.

use loupe_core::{MediaLoader, MediaRef};
use loupe_preprocess::{DecodeLimits, Loader};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::time::Instant;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, rounds] = args.as_slice() else { return Err("usage: picture_speed FILE ROUNDS".into()) };
    let loader = Loader::new(DecodeLimits::default());
    let media = MediaRef::file(file);
    let mut best = f64::INFINITY;
    for _ in 0..rounds.parse()? {
        let start = Instant::now();
        std::hint::black_box(loader.load(&media)?.to_rgb());
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    let digest: String =
        Sha256::digest(loader.load(&media)?.to_rgb().pixels()).iter().map(|b| format!("{b:02x}")).collect();
    writeln!(std::io::stdout(), "{best:.4} {digest}")?;
    Ok(())
}
