//! A dataset, a loader and a model that need no files: answers depend on the prompt alone.
#![allow(dead_code)]

use loupe_core::{
    Ask, DataError, Dataset, DatasetInfo, MediaError, MediaLoader, MediaRef, MediaSource, ModelError,
    ModelInfo, Picture, Reply, ReplySink, Sample, Target, VisionLanguageModel,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

/// `n` yes/no and short questions, three to an image; row 5 is unreadable when `holes`.
pub(crate) struct Set {
    pub info: DatasetInfo,
    pub n: usize,
    pub holes: bool,
}

impl Set {
    pub(crate) fn new(n: usize) -> Self {
        let info = DatasetInfo {
            name: "fake".into(),
            split: "test".into(),
            group_by: "image".into(),
            fingerprint: "f00d".into(),
            citation: String::new(),
        };
        Self { info, n, holes: false }
    }
}

impl Dataset for Set {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.n
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        if self.holes && index == 5 {
            return Err(DataError::Row { file: "fake.json".into(), row: 5, problem: "no question".into() });
        }
        // Neighbouring rows have different images, as in VQA-RAD.
        let image = format!("image{}.png", index % self.n.div_ceil(3).max(1));
        let closed = index.is_multiple_of(2);
        let gold =
            if closed { ["yes", "no"][index / 2 % 2] } else { ["liver", "left lung", "axial"][index % 3] };
        Ok(Sample {
            id: format!("q{index}"),
            media: vec![MediaRef::file(PathBuf::from(&image))],
            question: format!("Is question {index} about the “肝” \u{202e}liver?"),
            choices: Vec::new(),
            target: Target::Text(vec![gold.into()]),
            group: image,
            tags: BTreeMap::from([
                ("answer_type".to_owned(), if closed { "CLOSED" } else { "OPEN" }.to_owned()),
                ("organ".to_owned(), ["CHEST", "HEAD", "ABD"][index % 3].to_owned()),
            ]),
            language: "en".into(),
        })
    }
}

/// 2×2 pictures; `image1.png` is broken and `image2.png` makes the decoder panic. Counts its calls.
#[derive(Default)]
pub(crate) struct Loader {
    pub loads: Mutex<BTreeMap<String, usize>>,
    pub sound: bool,
}

impl MediaLoader for Loader {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        *self.loads.lock().unwrap().entry(media.name.clone()).or_default() += 1;
        let MediaSource::File(_) = &media.source else { return Err(MediaError::NotFound) };
        match media.name.as_str() {
            "image1.png" if !self.sound => Err(MediaError::NotFound),
            "image2.png" if !self.sound => panic!("a hostile file"),
            name => {
                let seed = name.bytes().map(usize::from).sum::<usize>() as u8;
                Ok(Picture::new(2, 2, 1, vec![seed; 4]).unwrap())
            }
        }
    }
}

/// Answers from a hash of the prompt. `dies_after` panics like a killed process after so many asks.
pub(crate) struct Model {
    pub info: ModelInfo,
    pub asked: usize,
    pub dies_after: Option<usize>,
    pub batches: Vec<usize>,
    /// Models with another salt answer otherwise.
    pub salt: u64,
}

impl Model {
    pub(crate) fn new() -> Self {
        let info = ModelInfo {
            family: "fake".into(),
            name: "fake-1b".into(),
            weights_sha256: "abcd".into(),
            parameters: 1,
            dtype: "f32".into(),
            device: "cpu".into(),
            resample: "pillow".into(),
            box_dialect: "none".into(),
            context_tokens: 100,
        };
        Self { info, asked: 0, dies_after: None, batches: Vec::new(), salt: 0 }
    }
}

impl VisionLanguageModel for Model {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn generate(&mut self, asks: &[Ask], _: &mut dyn ReplySink) -> Vec<Result<Reply, ModelError>> {
        self.batches.push(asks.len());
        asks.iter()
            .map(|ask| {
                if self.dies_after.is_some_and(|n| self.asked >= n) {
                    panic!("killed");
                }
                self.asked += 1;
                let words = ask.turns.last().map(|t| t.words()).unwrap_or_default();
                let seed = match ask.limits.sampling {
                    loupe_core::Sampling::Random { seed, .. } => seed,
                    loupe_core::Sampling::Greedy => 0,
                };
                let pixel = u64::from(ask.pictures.first().map_or(0, |p| p.pixels()[0]));
                let hash = words.bytes().fold(pixel + 31 * seed + 1009 * self.salt, |h, b| {
                    h.wrapping_mul(31).wrapping_add(u64::from(b))
                });
                let said = [
                    "Yes, there is no doubt.",
                    "No.",
                    "The answer is liver.",
                    "",
                    "I'm sorry, but I cannot tell.",
                    "{\"a\": \"\n\"}",
                ];
                match hash % 7 {
                    6 => Err(ModelError::TooLong { tokens: 101, limit: 100 }),
                    at => {
                        let mut reply = Reply::from_text(said[at as usize]);
                        // What depends on the batch must not reach the scores.
                        reply.timing.decode_s = self.asked as f64;
                        reply.counts.reused_tokens = asks.len();
                        Ok(reply)
                    }
                }
            })
            .collect()
    }
}
