//! Times the resampler on one core: `resize_speed WIDTH HEIGHT CHANNELS WIDTH HEIGHT FILTER BACKEND ROUNDS`.
//! Prints the fastest round in milliseconds; `benches/compare/resize.py` runs it beside Pillow.

use loupe_preprocess::resize::{Backend, Filter, resize_pixels};
use std::io::Write;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [w, h, c, ow, oh, filter, backend, rounds] = args.as_slice() else {
        return Err("usage: resize_speed W H CHANNELS W H FILTER BACKEND ROUNDS".into());
    };
    let (w, h, c): (usize, usize, usize) = (w.parse()?, h.parse()?, c.parse()?);
    let to = [ow.parse()?, oh.parse()?];
    let filter: Filter = serde_json::from_value(filter.as_str().into())?;
    let backend: Backend = serde_json::from_value(backend.as_str().into())?;
    let pixels: Vec<u8> = (0..w * h * c).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut best = f64::INFINITY;
    for _ in 0..rounds.parse()? {
        let start = Instant::now();
        std::hint::black_box(resize_pixels(&pixels, [w, h], c, to, filter, backend)?);
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    writeln!(std::io::stdout(), "{best:.4}")?;
    Ok(())
}
