//! Conversations that wait on one model: each runs on a thread of its own and puts its prompts on a desk; the
//! model takes whatever lies there, so that the rounds of many conversations are computed together.

use loupe_core::segmenter::Refined;
use loupe_core::{
    Ask, AskId, AskSource, Go, Mask, ModelError, ModelInfo, Next, Picture, Reply, ReplySink, Segment,
    SegmentError, SegmentPrompt, Segmenter, VisionLanguageModel,
};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

/// A reply on its way back, with the number that its conversation gave the ask.
type Returned = (AskId, Result<Reply, ModelError>);

/// A prompt on the desk.
pub(crate) struct Slip {
    ask: Ask,
    number: AskId,
    back: Sender<Returned>,
}

/// The prompts that a model has taken, and where their replies go.
#[derive(Default)]
pub(crate) struct Taken {
    next: u64,
    waiting: HashMap<AskId, (AskId, Sender<Returned>)>,
}

impl Taken {
    /// The prompt as the model gets it.
    pub(crate) fn take(&mut self, slip: Slip) -> Next {
        let id = AskId(self.next);
        self.next += 1;
        self.waiting.insert(id, (slip.number, slip.back));
        Next::Ask(id, slip.ask)
    }

    /// Hands a reply to its conversation; one that is gone needs none.
    pub(crate) fn give_back(&mut self, id: AskId, reply: Result<Reply, ModelError>) {
        if let Some((number, back)) = self.waiting.remove(&id) {
            let _ = back.send((number, reply));
        }
    }
}

/// A model as one of many conversations sees it.
pub(crate) struct Counter {
    info: ModelInfo,
    desk: Box<dyn Fn(Slip) -> bool + Send>,
}

impl Counter {
    /// A place at the desk of the model that `info` describes; `put` gives false when the model has left.
    pub(crate) fn new(info: ModelInfo, put: impl Fn(Slip) -> bool + Send + 'static) -> Self {
        Self { info, desk: Box::new(put) }
    }
}

impl VisionLanguageModel for Counter {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        let (back, returned) = channel();
        let left = || Err(ModelError::Compute("the model ended before it had answered".into()));
        let (mut open, mut more) = (Vec::new(), true);
        while more || !open.is_empty() {
            if more {
                match asks.next(open.is_empty()) {
                    Next::Ask(number, ask) => {
                        if (self.desk)(Slip { ask, number, back: back.clone() }) {
                            open.push(number);
                        } else {
                            replies.done(number, left());
                        }
                        continue;
                    }
                    Next::NotYet if open.is_empty() => continue,
                    Next::NotYet => {}
                    Next::NoMore => more = false,
                }
            }
            if open.is_empty() {
                continue;
            }
            // The sender kept here keeps the channel open, so the desk says by a reply when it closes.
            let Ok((number, reply)) = returned.recv() else { break };
            open.retain(|n| *n != number);
            replies.done(number, reply);
        }
        for number in open {
            replies.done(number, left());
        }
    }
}

/// A model that serves a desk and nothing else, until every conversation has left.
pub(crate) fn serve_desk(model: &mut dyn VisionLanguageModel, slips: Receiver<Slip>) {
    let taken = Mutex::new(Taken::default());
    model.serve(&mut Slips { slips, taken: &taken }, &mut Returns { taken: &taken });
}

struct Slips<'a> {
    slips: Receiver<Slip>,
    taken: &'a Mutex<Taken>,
}

impl AskSource for Slips<'_> {
    fn next(&mut self, idle: bool) -> Next {
        let slip = match idle {
            true => self.slips.recv().map_err(|_| TryRecvError::Disconnected),
            false => self.slips.try_recv(),
        };
        match (slip, self.taken.lock()) {
            (Ok(slip), Ok(mut taken)) => taken.take(slip),
            (Err(TryRecvError::Empty), _) => Next::NotYet,
            _ => Next::NoMore,
        }
    }
}

struct Returns<'a> {
    taken: &'a Mutex<Taken>,
}

impl ReplySink for Returns<'_> {
    fn piece(&mut self, _: AskId, _: &str) -> Go {
        Go::On
    }

    fn done(&mut self, id: AskId, reply: Result<Reply, ModelError>) {
        if let Ok(mut taken) = self.taken.lock() {
            taken.give_back(id, reply);
        }
    }
}

/// A segmenter that many conversations share, one call at a time.
pub(crate) struct SharedSegmenter<'a> {
    info: ModelInfo,
    segmenter: &'a Mutex<Box<dyn Segmenter>>,
}

impl<'a> SharedSegmenter<'a> {
    pub(crate) fn new(info: ModelInfo, segmenter: &'a Mutex<Box<dyn Segmenter>>) -> Self {
        Self { info, segmenter }
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut dyn Segmenter) -> Result<T, SegmentError>,
    ) -> Result<T, SegmentError> {
        match self.segmenter.lock() {
            Ok(mut segmenter) => work(segmenter.as_mut()),
            Err(_) => Err(SegmentError::Compute("the segmenter failed in another conversation".into())),
        }
    }
}

impl Segmenter for SharedSegmenter<'_> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn segment(
        &mut self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
    ) -> Result<Vec<Segment>, SegmentError> {
        self.with(|s| s.segment(picture, prompts))
    }

    fn refine(
        &mut self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
        earlier: Option<&[f32]>,
    ) -> Result<Refined, SegmentError> {
        self.with(|s| s.refine(picture, prompts, earlier))
    }

    fn follow(
        &mut self,
        frames: &[Picture],
        start: usize,
        prompts: &[SegmentPrompt],
    ) -> Result<Vec<Mask>, SegmentError> {
        self.with(|s| s.follow(frames, start, prompts))
    }

    fn why_alone(
        &mut self,
        frames: &[Picture],
        start: usize,
        first: &Mask,
    ) -> Result<Vec<String>, SegmentError> {
        self.with(|s| s.why_alone(frames, start, first))
    }
}
