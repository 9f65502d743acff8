//! Scripted models and tools.
#![allow(dead_code)]

use loupe_core::PictureRecord;
use loupe_core::dialect::{PictureSizes, dialect};
use loupe_core::media::{MediaError, MediaRef, SliceAt};
use loupe_core::{
    Ask, Mask, MediaLoader, ModelError, ModelInfo, Origin, Picture, Reply, ReplySink, ResampleError,
    Resampler, Segment, SegmentError, SegmentPrompt, Segmenter, Stop, VisionLanguageModel,
};
use loupe_rethink::Models;
use std::sync::{Arc, Mutex};

/// The picture of `make.py`: every pixel follows from its place.
pub(crate) fn picture(width: usize, height: usize, channels: usize) -> Arc<Picture> {
    let mut pixels = Vec::with_capacity(width * height * channels);
    for y in 0..height {
        for x in 0..width {
            for c in 0..channels {
                pixels.push(((x * 7 + y * 13 + c * 29 + (x * y) % 31) % 256) as u8);
            }
        }
    }
    Arc::new(Picture::new(width, height, channels, pixels).unwrap())
}

pub(crate) fn info(name: &str, box_dialect: &str) -> ModelInfo {
    ModelInfo {
        family: "script".into(),
        name: name.into(),
        weights_sha256: String::new(),
        parameters: 0,
        dtype: "f32".into(),
        device: "cpu".into(),
        resample: "pillow".into(),
        box_dialect: box_dialect.into(),
        context_tokens: 4096,
    }
}

/// Says what it was told to say, in order, and keeps every ask.
pub(crate) struct Script {
    info: ModelInfo,
    lines: Vec<Result<Reply, ModelError>>,
    /// Repeats the last line for ever.
    forever: bool,
    pub(crate) asks: Vec<Ask>,
}

impl Script {
    pub(crate) fn new(lines: &[&str]) -> Self {
        Self::of(lines.iter().map(|l| Ok(reply(l))).collect())
    }

    pub(crate) fn of(lines: Vec<Result<Reply, ModelError>>) -> Self {
        Self { info: info("script", "point-detect-count"), lines, forever: false, asks: Vec::new() }
    }

    pub(crate) fn forever(line: &str) -> Self {
        Self { forever: true, ..Self::new(&[line]) }
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.info.name = name.into();
        self
    }
}

/// A reply of ten tokens (a word each, at least one) in a tenth of a second.
pub(crate) fn reply(text: &str) -> Reply {
    let mut reply = Reply::from_text(text);
    reply.counts.new_tokens = text.split_whitespace().count().max(1);
    reply.counts.prompt_tokens = 100;
    reply.timing.decode_s = 0.1;
    reply
}

impl VisionLanguageModel for Script {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn generate(&mut self, asks: &[Ask], _: &mut dyn ReplySink) -> Vec<Result<Reply, ModelError>> {
        let mut out = Vec::new();
        for ask in asks {
            self.asks.push(ask.clone());
            let line = if self.forever { self.lines[0].clone() } else { self.lines.remove(0) };
            out.push(line.map(|mut reply| {
                // What a family does: stop strings end the text, boxes are read in the dialect.
                for stop in &ask.limits.stop {
                    if let Some(at) = reply.text.find(stop.as_str()) {
                        reply.text.truncate(at);
                        reply.stop = Stop::StopString;
                    }
                }
                if reply.counts.new_tokens > ask.limits.max_new_tokens {
                    reply.counts.new_tokens = ask.limits.max_new_tokens;
                    reply.stop = Stop::Length;
                }
                let dialect = dialect(&self.info.box_dialect).unwrap();
                let sizes: Vec<_> =
                    ask.pictures.iter().map(|p| PictureSizes::given(p.width(), p.height())).collect();
                let found = dialect.found(&dialect.parse(&reply.text), &sizes, ask.pictures.len() - 1);
                reply.boxes = found.boxes;
                reply
            }));
        }
        out
    }
}

/// Pillow's NEAREST whatever is asked for; keeps what it was given.
#[derive(Default)]
pub(crate) struct Nearest {
    pub(crate) calls: Mutex<Vec<(PictureRecord, usize, usize, String)>>,
    pub(crate) jpegs: Mutex<Vec<(PictureRecord, u8)>>,
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

/// Outlines the box it is given, or refuses phrases.
pub(crate) struct BoxSegmenter(pub(crate) ModelInfo);

impl Segmenter for BoxSegmenter {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn segment(&mut self, p: &Picture, hints: &[SegmentPrompt]) -> Result<Vec<Segment>, SegmentError> {
        let [SegmentPrompt::Box(b)] = hints else {
            return Err(SegmentError::Prompt { model: "box".into(), hint: "phrase" });
        };
        let inside = |n: usize| {
            b.contains(loupe_core::Point2::new((n % p.width()) as f64 + 0.5, (n / p.width()) as f64 + 0.5))
        };
        let bits = (0..p.width() * p.height()).map(inside).collect();
        Ok(vec![Segment { mask: Mask::new(p.width(), p.height(), bits).unwrap(), predicted_iou: Some(0.9) }])
    }
}

/// Slices of 40×30 pixels whose grey level is the slice number; ten slices.
pub(crate) struct Slices;

impl MediaLoader for Slices {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        let slice = match media.view.slice {
            None => 5,
            Some(SliceAt::Index(n)) if n < 10 => n,
            Some(_) => return Err(MediaError::View("the volume has 10 slices".into())),
        };
        let mut origin = Origin::of_size(40, 30);
        origin.slice = Some(slice);
        origin.plane = Some(media.view.plane);
        let geometry = loupe_core::LpsFromIndex::from_columns(
            [0.5, 0.0, 0.0],
            [0.0, 0.7, 0.0],
            [0.0, 0.0, 3.0],
            [-10.0, -20.0, 30.0],
        );
        origin.lps_from_source = Some(geometry.plane(slice as f64));
        origin.steps.push(format!("{:?}", media.view.window));
        Ok(Picture::new(40, 30, 1, vec![slice as u8; 1200]).unwrap().with_origin(origin))
    }
}

pub(crate) fn models<'a>(first: &'a mut dyn VisionLanguageModel, resampler: &'a Nearest) -> Models<'a> {
    Models { first, second: None, segmenter: None, resampler, loader: None }
}
