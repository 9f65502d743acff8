//! Times DICOM slice → soft-tissue window 40/400 → 448 × 448 RGB: `dicom_speed FILE BACKEND THREADS ROUNDS`.
//! Prints the fastest round's milliseconds a slice and the SHA-256 of the pixels;
//! `benches/compare/dicom.py` runs it beside pydicom, numpy and Pillow.

use loupe_core::media::WindowChoice;
use loupe_core::window::Window;
use loupe_core::{MediaLoader, MediaRef, Picture};
use loupe_preprocess::resize::{Backend, Filter, resize};
use loupe_preprocess::{DecodeLimits, Loader};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::time::Instant;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Slices in one round, so that several threads have something to share.
const SLICES: usize = 24;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, backend, threads, rounds] = args.as_slice() else {
        return Err("usage: dicom_speed FILE BACKEND THREADS ROUNDS".into());
    };
    let backend: Backend = serde_json::from_value(backend.as_str().into())?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build()?;
    let mut media = MediaRef::file(file);
    media.view.window = Some(WindowChoice::Numbers(Window::linear(40.0, 400.0)));
    let loader = Loader::new(DecodeLimits::default());
    let slice = || -> Outcome<Picture> {
        let picture = loader.load(&media)?;
        Ok(resize(&picture, 448, 448, Filter::Bicubic, backend)?.to_rgb())
    };
    let mut best = f64::INFINITY;
    for _ in 0..rounds.parse()? {
        let start = Instant::now();
        pool.install(|| {
            (0..SLICES).into_par_iter().try_for_each(|_| slice().map(|p| drop(std::hint::black_box(p))))
        })?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3 / SLICES as f64);
    }
    let digest: String = Sha256::digest(slice()?.pixels()).iter().map(|b| format!("{b:02x}")).collect();
    writeln!(std::io::stdout(), "{best:.4} {digest}")?;
    Ok(())
}
