//! A segmenter behind the seam of a run: prompts made from the reference masks, masks as the reply.

use loupe_core::MaskTrace;
use loupe_core::ask::FoundMask;
use loupe_core::mask::Rle;
use loupe_core::{Answer, Answerer, Work};
use loupe_core::{
    Mask, MediaLoader, MediaRef, ModelInfo, Picture, Plane, Reply, Resampler, Sample, SegmentPrompt,
    Segmenter, SliceAt, Target,
};
use loupe_preprocess::Loader;
use loupe_preprocess::resampler::PillowResampler;
use loupe_preprocess::volume_io::labels_of;
use loupe_run::probes::Probe;
use loupe_run::simulated::Simulated;
use serde_json::Value;
use std::time::Instant;

/// Outlines what the reference masks point at.
pub(crate) struct SegmenterAnswerer<'a> {
    pub(crate) segmenter: &'a mut dyn Segmenter,
    pub(crate) prompt: Simulated,
    pub(crate) seed: u64,
    /// Reads images.
    pub(crate) images: &'a Loader,
    /// Reads reference masks; apart from `images`, since each keeps its last volume.
    pub(crate) masks: &'a Loader,
    /// What is done to the pictures; the prompts stay those of the true ones.
    pub(crate) probe: Option<Probe>,
}

/// A picture on the grid of a mask: a stranger's is resized, others have its size.
pub(crate) fn on_grid_of(picture: &Picture, mask: &Mask) -> Result<Picture, String> {
    if [picture.width(), picture.height()] == [mask.width(), mask.height()] {
        return Ok(picture.clone());
    }
    PillowResampler.resize(picture, mask.width(), mask.height(), "bilinear").map_err(|e| e.to_string())
}

impl Answerer for SegmenterAnswerer<'_> {
    fn model(&self) -> &ModelInfo {
        self.segmenter.info()
    }

    fn strategy(&self) -> Value {
        serde_json::json!({ "name": "segment", "prompt": self.prompt, "seed": self.seed })
    }

    fn answer(&mut self, work: &[Work]) -> Vec<Answer> {
        work.iter()
            .map(|w| match self.one(w) {
                Ok((reply, trace)) => {
                    Answer { outcome: Ok(reply), trace: serde_json::to_value(trace).unwrap_or(Value::Null) }
                }
                Err(reason) => Answer { outcome: Err(reason), trace: Value::Null },
            })
            .collect()
    }
}

/// What is collected over the masks of a sample.
struct Collected {
    reply: Reply,
    trace: MaskTrace,
}

impl SegmenterAnswerer<'_> {
    fn swapped(&self) -> bool {
        self.probe == Some(Probe::Swapped)
    }

    fn one(&mut self, work: &Work) -> Result<(Reply, MaskTrace), String> {
        let (sample, picture) = (&work.sample, work.ask.pictures.first().ok_or("the sample has no image")?);
        let Target::Masks(wanted) = &sample.target else {
            return Err("the sample has no reference masks; --segment needs a set of masks".to_owned());
        };
        let started = Instant::now();
        let mut all = Collected {
            reply: Reply::from_text(String::new()),
            trace: MaskTrace {
                by: "segment".to_owned(),
                hints: Vec::new(),
                reference: Vec::new(),
                // A stranger's pixels have another size in the patient.
                spacing_mm: picture.origin.spacing_mm.filter(|_| !self.swapped()).map(|[x, y]| vec![y, x]),
            },
        };
        for (n, one) in wanted.iter().enumerate() {
            let id = format!("{}#{n}", sample.id);
            if picture.origin.slice.is_some() {
                self.through_volume(sample, &one.at, &one.label, &id, &mut all)?;
            } else {
                let drawn = self.masks.load(&one.at).map_err(|e| format!("mask {}: {e}", n + 1))?;
                let size = match self.swapped() {
                    true => [drawn.width(), drawn.height()],
                    false => [picture.width(), picture.height()],
                };
                let mask = drawn_mask(&drawn, size)?;
                self.outline(&on_grid_of(picture, &mask)?, &mask, None, &one.label, &id, &mut all)?;
            }
        }
        all.reply.timing.decode_s = started.elapsed().as_secs_f64();
        Ok((all.reply, all.trace))
    }

    /// Every stored slice that holds the structure, each prompted on its own.
    fn through_volume(
        &mut self,
        sample: &Sample,
        mask: &MediaRef,
        label: &str,
        id: &str,
        all: &mut Collected,
    ) -> Result<(), String> {
        let media = sample.media.first().ok_or("the sample has no image")?;
        let read = self.masks.load_volume(mask).map_err(|e| format!("label map: {e}"))?;
        let labels = labels_of(&read).map_err(|e| format!("label map: {e}"))?;
        let volume = self.images.load_volume(media).map_err(|e| e.to_string())?;
        if labels.labels.dim() != volume.volume.voxels.dim() {
            let swapped = if self.swapped() { "swapped volumes need the same size: " } else { "" };
            return Err(format!(
                "{swapped}the label map has {:?} voxels (slices, rows, columns), the image {:?}",
                labels.labels.dim(),
                volume.volume.voxels.dim()
            ));
        }
        let value: Option<u16> = sample.tag("value").and_then(|v| v.parse().ok());
        let [i, j, k] = match self.swapped() {
            true => labels.lps_from_index.spacing_mm(),
            false => volume.volume.spacing_mm(),
        };
        all.trace.spacing_mm = Some(vec![k, j, i]);
        let mut found = false;
        for (slice, plane) in labels.labels.outer_iter().enumerate() {
            let (rows, columns) = plane.dim();
            let bits = plane.iter().map(|v| value.map_or(*v != 0, |value| *v == value)).collect();
            let Some(mask) = Mask::new(columns, rows, bits).filter(|m| m.area_px() > 0) else { continue };
            found = true;
            let mut media = media.clone();
            (media.view.plane, media.view.slice) = (Plane::Stored, Some(SliceAt::Index(slice)));
            let mut picture = self.images.load(&media).map_err(|e| e.to_string())?;
            if let Some(probe) = self.probe {
                picture = probe.apply(&picture, self.seed).map_err(|e| e.to_string())?;
            }
            self.outline(&picture, &mask, Some(slice), label, &format!("{id}@{slice}"), all)?;
        }
        if found { Ok(()) } else { Err("the label map does not hold the label".to_owned()) }
    }

    fn outline(
        &mut self,
        picture: &Picture,
        mask: &Mask,
        slice: Option<usize>,
        label: &str,
        id: &str,
        all: &mut Collected,
    ) -> Result<(), String> {
        let hint = self.prompt.hint(mask, self.seed, id).ok_or("a reference mask is empty")?;
        let best = self.segmenter.segment(picture, std::slice::from_ref(&hint)).map_err(|e| e.to_string())?;
        let best = best.into_iter().next().ok_or("the segmenter found nothing")?;
        let found = |mask: &Mask, score| FoundMask {
            picture: 0,
            slice,
            label: Some(label.to_owned()),
            mask: Rle::of(mask),
            score,
        };
        all.reply.masks.push(found(&best.mask, best.predicted_iou.map(f64::from)));
        all.trace.reference.push(found(mask, None));
        all.trace.hints.push(words(&hint));
        Ok(())
    }
}

fn words(hint: &SegmentPrompt) -> String {
    match hint {
        SegmentPrompt::Point { at, .. } => format!("point {},{}", at.x, at.y),
        SegmentPrompt::Box(b) => format!("box {},{},{},{}", b.x0, b.y0, b.x1, b.y1),
        SegmentPrompt::Mask(_) => "mask".to_owned(),
        SegmentPrompt::Phrase(words) => words.clone(),
    }
}

/// What is not 0 in a drawn mask of the image's size.
fn drawn_mask(drawn: &Picture, size: [usize; 2]) -> Result<Mask, String> {
    let [w, h] = size;
    let bits = drawn.pixels().chunks_exact(drawn.channels()).map(|p| p.iter().any(|v| *v > 0)).collect();
    Mask::new(drawn.width(), drawn.height(), bits)
        .filter(|m| [m.width(), m.height()] == size)
        .ok_or_else(|| format!("the mask is {}×{} pixels, the image {w}×{h}", drawn.width(), drawn.height()))
}
