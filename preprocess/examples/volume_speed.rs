//! Times reading a volume: `volume_speed FILE ROUNDS` prints the fastest round in milliseconds;
//! `benches/compare/nifti.py` runs it beside nibabel and SimpleITK.

use loupe_preprocess::DecodeLimits;
use loupe_preprocess::nifti::Xform;
use loupe_preprocess::volume_io::open_volume;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, rounds] = args.as_slice() else { return Err("usage: volume_speed FILE ROUNDS".into()) };
    let mut best = f64::INFINITY;
    for _ in 0..rounds.parse()? {
        let start = Instant::now();
        std::hint::black_box(open_volume(Path::new(file), 0, Xform::Nibabel, &DecodeLimits::default())?);
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    writeln!(std::io::stdout(), "{best:.3}")?;
    Ok(())
}
