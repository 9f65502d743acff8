//! A segmenter behind the seam of a run: prompts made from the reference masks, masks as the reply.

use super::chosen::chosen;
use super::drawn::drawn_mask;
use crate::rethink::RESAMPLER;
use loupe_core::answer::one_by_one;
use loupe_core::mask::Rle;
use loupe_core::{
    Answer, AnswerSink, Answerer, Failure, Finding, LabelledMasks, Mask, MaskTrace, MediaError, MediaLoader,
    MediaRef, ModelInfo, Origin, Picture, Plane, Record, Reply, SegmentError, SegmentPrompt, Segmenter,
    SliceAt, Target, Work, WorkSource,
};
use loupe_preprocess::Loader;
use loupe_preprocess::masks::{MaskFile, MaskOptions, on_picture};
use loupe_run::probes::Probe;
use loupe_run::simulated::Simulated;
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;

/// Segments what the reference masks point at.
pub struct SegmenterAnswerer<'a> {
    /// Makes the masks.
    pub segmenter: &'a mut dyn Segmenter,
    /// How a prompt is made from a reference mask.
    pub prompt: Simulated,
    /// Seed of random prompts.
    pub seed: u64,
    /// Reads images and reference masks.
    pub loader: &'a Loader,
    /// What is done to the pictures; the prompts stay those of the true ones.
    pub probe: Option<Probe>,
    /// The mask file that was read last.
    pub last_mask: LastMask,
}

impl Answerer for SegmenterAnswerer<'_> {
    fn model(&self) -> &ModelInfo {
        self.segmenter.info()
    }

    fn strategy(&self) -> Value {
        serde_json::json!({ "name": "segment", "prompt": self.prompt, "seed": self.seed })
    }

    fn serve(&mut self, work: &mut dyn WorkSource, answers: &mut dyn AnswerSink) {
        one_by_one(work, answers, |work| match self.answer(work) {
            Ok(MaskReply { reply, trace }) => {
                Answer { outcome: Ok(reply), record: Record::Masks(Box::new(trace)) }
            }
            Err(failure) => Answer::single(Err(failure)),
        });
    }
}

/// The masks of a sample, as they come together.
struct MaskReply {
    reply: Reply,
    trace: MaskTrace,
}

/// What a picture is prompted with.
struct MaskTask<'a> {
    /// On the grid of the picture.
    mask: &'a Mask,
    /// The stored slice, where the masks of a sample go through a volume; a picture by itself is flat, whatever
    /// it was cut from.
    slice: Option<usize>,
    label: &'a str,
    /// Decides what is drawn at random.
    id: String,
}

impl SegmenterAnswerer<'_> {
    fn swapped(&self) -> bool {
        self.probe == Some(Probe::Swapped)
    }

    fn answer(&mut self, work: &Work) -> Result<MaskReply, Failure> {
        let sample = &work.sample;
        let picture = work.ask.pictures.first().ok_or_else(|| Failure::lasting("the sample has no image"))?;
        let Target::Masks(wanted) = &sample.target else {
            return Err(Failure::lasting(
                "the sample has no reference masks; --segment needs a set of masks",
            ));
        };
        let started = Instant::now();
        let (mut drawn_masks, mut label_maps) = (false, false);
        let mut all = MaskReply {
            reply: Reply::from_text(String::new()),
            trace: MaskTrace {
                by: "segment".to_owned(),
                prompts: Vec::new(),
                reference: Vec::new(),
                // A stranger's pixels have another size in the patient.
                spacing_mm: picture.origin.spacing_mm.filter(|_| !self.swapped()).map(|[x, y]| vec![y, x]),
            },
        };
        for (n, one) in wanted.iter().enumerate() {
            let id = format!("{}#{n}", sample.id);
            let failed = |e: String| Failure::may_pass(format!("mask {}: {e}", n + 1));
            let file = self.last_mask.open(self.loader, &one.at).map_err(|e| failed(e.to_string()))?;
            let is_drawn = matches!(&*file, MaskFile::Drawn(_));
            (drawn_masks, label_maps) = (drawn_masks | is_drawn, label_maps | !is_drawn);
            let no_slice = sample.media.first().is_some_and(|media| media.view.slice.is_none());
            if drawn_masks && label_maps && no_slice {
                return Err(Failure::lasting(
                    "drawn masks are of one slice, label maps of all; name the slice of the image, or give masks of one kind",
                ));
            }
            let (MaskFile::Drawn(drawn), label) = (&*file, &one.label) else {
                self.through_volume(work, &file, &one.label, &id, &mut all)?;
                continue;
            };
            let size = match self.swapped() {
                true => [drawn.width(), drawn.height()],
                false => [picture.width(), picture.height()],
            };
            let mask = mask_of_size(drawn, size)?;
            // A swapped picture comes from another patient and takes the size of the mask.
            let picture =
                RESAMPLER.fitted(picture, mask.width(), mask.height()).map_err(|e| failed(e.to_string()))?;
            self.segment(&picture, &MaskTask { mask: &mask, slice: None, label, id }, &mut all)?;
        }
        if !all
            .reply
            .findings
            .iter()
            .chain(&all.trace.reference)
            .all(|f| lies_in_millimetres(f, &picture.origin))
        {
            all.trace.spacing_mm = None;
        }
        all.reply.timing.decode_s = started.elapsed().as_secs_f64();
        Ok(all)
    }

    /// The slice that the sample shows, when it names one, or every stored slice that holds the structure, each
    /// prompted on its own.
    fn through_volume(
        &mut self,
        work: &Work,
        file: &MaskFile,
        label: &str,
        id: &str,
        all: &mut MaskReply,
    ) -> Result<(), Failure> {
        let sample = &work.sample;
        let media = sample.media.first().ok_or_else(|| Failure::lasting("the sample has no image"))?;
        let volume = self.loader.load_volume(media).map_err(|e| Failure::may_pass(e.to_string()))?;
        let limits = self.loader.limits();
        let failed = |e: String| Failure::lasting(format!("label map: {e}"));
        let masks = match self.swapped() {
            true => file
                .by_shape(volume.volume.shape(), limits)
                .map_err(|e| failed(format!("swapped volumes need the same size: {e}"))),
            false => file.onto(&volume, &MaskOptions::default(), limits).map_err(|e| failed(e.to_string())),
        }?;
        let labels = meant(&masks, sample.tag("value"), label, file.keeps_labels_apart()).map_err(failed)?;
        let [i, j, k] = match self.swapped() {
            true => masks.grid.lps_from_index.spacing_mm(),
            false => volume.volume.spacing_mm(),
        };
        all.trace.spacing_mm = Some(vec![k, j, i]);
        if let (Some(_), Some(picture), false) = (media.view.slice, work.ask.pictures.first(), self.swapped())
        {
            let size = [picture.width(), picture.height()];
            let shown = on_picture(&labels, &picture.origin, size).and_then(|all| all.into_iter().next());
            let Some((_, mask)) = shown else {
                return Err(Failure::lasting("the label map holds nothing of the label in this slice"));
            };
            let task = MaskTask { mask: &mask, slice: None, label, id: id.to_owned() };
            all.trace.spacing_mm = picture.origin.spacing_mm.map(|[x, y]| vec![y, x]);
            return self.segment(picture, &task, all);
        }
        let mut found = false;
        for (slice, plane) in labels.united().labels.outer_iter().enumerate() {
            let (rows, columns) = plane.dim();
            let bits = plane.iter().map(|v| *v != 0).collect();
            let Some(mask) = Mask::new(columns, rows, bits).filter(|m| m.area_px() > 0) else { continue };
            found = true;
            let mut media = media.clone();
            (media.view.plane, media.view.slice) = (Plane::Stored, Some(SliceAt::Index(slice)));
            let mut picture = self.loader.load(&media).map_err(|e| Failure::may_pass(e.to_string()))?;
            if let Some(probe) = self.probe {
                picture = probe.apply(&picture, self.seed).map_err(|e| Failure::lasting(e.to_string()))?;
            }
            let task = MaskTask { mask: &mask, slice: Some(slice), label, id: format!("{id}@{slice}") };
            self.segment(&picture, &task, all)?;
        }
        if found { Ok(()) } else { Err(Failure::lasting("the label map does not hold the label")) }
    }

    fn segment(
        &mut self,
        picture: &Picture,
        task: &MaskTask<'_>,
        all: &mut MaskReply,
    ) -> Result<(), Failure> {
        let prompt = self
            .prompt
            .prompt(task.mask, self.seed, &task.id)
            .ok_or_else(|| Failure::lasting("a reference mask is empty"))?;
        let best = self.segmenter.segment(picture, std::slice::from_ref(&prompt)).map_err(|e| failure(&e))?;
        let best = best.into_iter().next().ok_or_else(|| Failure::lasting("the segmenter found nothing"))?;
        let finding = |mask: &Mask, origin: Origin, score| {
            Finding::mask(0, Rle::of(mask), origin).with(Some(task.label.to_owned()), score)
        };
        let origin = Origin { slice: task.slice, ..picture.origin.clone() };
        all.reply.findings.push(finding(&best.mask, origin, best.predicted_iou.map(f64::from)));
        // The reference is that of the true picture, whatever a probe shows in its place.
        let origin = Origin { slice: task.slice, ..Origin::unknown() };
        all.trace.reference.push(finding(task.mask, origin, None));
        all.trace.prompts.push(words(&prompt));
        Ok(())
    }
}

/// The masks that a reference means; see [`chosen`].
fn meant(
    masks: &LabelledMasks,
    value: Option<&str>,
    label: &str,
    apart: bool,
) -> Result<LabelledMasks, String> {
    match chosen(&masks.labels().iter().collect::<Vec<_>>(), value, label, apart)? {
        Some(one) => masks.only(one).map_err(|e| e.to_string()),
        None => Ok(masks.clone()),
    }
}

/// Does a mask lie where the picture's pixel size holds?
fn lies_in_millimetres(finding: &Finding, shown: &Origin) -> bool {
    let mask = finding.as_mask().filter(|_| shown.calibrated_xyxy.is_some()).and_then(Rle::to_mask);
    let around = mask.and_then(|mask| mask.bounding_box());
    around.is_none_or(|b| shown.spacing_mm_within(shown.source_from_self.boxed(b).xyxy()).is_some())
}

/// The mask file that was read last.
#[derive(Default)]
pub struct LastMask(Option<(MediaRef, Arc<MaskFile>)>);

impl LastMask {
    /// The mask file of a sample; the samples of one image often name the same.
    ///
    /// # Errors
    /// As [`MaskFile::open`].
    pub(crate) fn open(&mut self, loader: &Loader, media: &MediaRef) -> Result<Arc<MaskFile>, MediaError> {
        if let Some((kept, file)) = &self.0
            && kept == media
        {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(MaskFile::open(loader, media)?);
        self.0 = Some((media.clone(), Arc::clone(&file)));
        Ok(file)
    }
}

fn failure(error: &SegmentError) -> Failure {
    match error {
        SegmentError::Compute(_) => Failure::may_pass(error.to_string()),
        _ => Failure::lasting(error.to_string()),
    }
}

fn words(prompt: &SegmentPrompt) -> String {
    match prompt {
        SegmentPrompt::Point { at, .. } => format!("point {},{}", at.x, at.y),
        SegmentPrompt::Box(b) => format!("box {},{},{},{}", b.x0, b.y0, b.x1, b.y1),
        SegmentPrompt::Mask(_) => "mask".to_owned(),
        SegmentPrompt::Phrase(words) => words.clone(),
    }
}

/// What is not 0 in a drawn mask of the image's size.
fn mask_of_size(drawn: &Picture, size: [usize; 2]) -> Result<Mask, Failure> {
    let [w, h] = size;
    let mask = drawn_mask(drawn).map_err(|e| Failure::lasting(e.to_string()))?;
    if [mask.width(), mask.height()] == size {
        return Ok(mask);
    }
    let (mw, mh) = (mask.width(), mask.height());
    Err(Failure::lasting(format!("the mask is {mw}×{mh} pixels, the image {w}×{h}")))
}
