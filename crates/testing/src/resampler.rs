//! Pixel work without the crate that does it.

use loupe_core::{Picture, PictureRecord, ResampleError, Resampler};
use std::sync::Mutex;

/// A resizing asked for: of which picture, to which width and height, with which filter.
pub type Resizing = (PictureRecord, usize, usize, String);

/// Pillow's NEAREST whatever is asked for; keeps what it was given.
#[derive(Debug, Default)]
pub struct Nearest {
    /// Every resizing, in order.
    pub calls: Mutex<Vec<Resizing>>,
    /// Every way through JPEG, with its quality, in order.
    pub jpegs: Mutex<Vec<(PictureRecord, u8)>>,
}

impl Resampler for Nearest {
    fn resize(
        &self,
        p: &Picture,
        width: usize,
        height: usize,
        filter: &str,
    ) -> Result<Picture, ResampleError> {
        if width == 0 || height == 0 {
            return Err(ResampleError("a side is zero".into()));
        }
        self.calls.lock().unwrap().push((PictureRecord::of(p), width, height, filter.to_owned()));
        // Pillow steps through the source by adding, rounding errors and all.
        let steps = |from: usize, to: usize| {
            let step = from as f64 / to as f64;
            let mut at = step * 0.5;
            let mut out = Vec::with_capacity(to);
            for _ in 0..to {
                out.push((at as usize).min(from - 1));
                at += step;
            }
            out
        };
        let (columns, rows) = (steps(p.width(), width), steps(p.height(), height));
        let mut pixels = Vec::with_capacity(width * height * p.channels());
        for &y in &rows {
            for &x in &columns {
                pixels.extend_from_slice(p.pixel(x, y).unwrap());
            }
        }
        let origin = p.origin_after_resize(width, height, filter);
        Ok(Picture::new(width, height, p.channels(), pixels).unwrap().with_origin(origin))
    }

    fn through_jpeg(&self, p: &Picture, quality: u8) -> Result<Picture, ResampleError> {
        self.jpegs.lock().unwrap().push((PictureRecord::of(p), quality));
        Ok(p.clone())
    }
}
