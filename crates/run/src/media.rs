//! Decoding pictures ahead of the model, each once per neighbourhood of samples that share it.

use loupe_core::guard::caught;
use loupe_core::{Failure, MediaLoader, MediaRef, MediaSource, Picture, Sample};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// Identity of an image reference: where the bytes are (or the bytes themselves) and the view.
pub(crate) type Key = [u8; 16];

/// The key of one reference.
fn key(media: &MediaRef) -> Key {
    let mut hash = Sha256::new();
    match &media.source {
        MediaSource::File(path) | MediaSource::Folder(path) => {
            hash.update(path.as_os_str().as_encoded_bytes());
        }
        MediaSource::Bytes(bytes) => hash.update(bytes),
    }
    hash.update([0]);
    hash.update(serde_json::to_vec(&media.view).unwrap_or_default());
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}

/// The keys of a sample's images, in order.
pub(crate) fn keys(sample: &Sample) -> Vec<Key> {
    sample.media.iter().map(key).collect()
}

type Decoded = Result<Arc<Picture>, Failure>;

/// Pictures of the chunk before and the chunk at hand: samples come grouped by image, so that is all
/// that can be shared. What was handed out and is still being looked at counts as well, so that the pictures of
/// a batch stay within one bound however large each is.
pub(crate) struct Pictures {
    held: HashMap<Key, Decoded>,
    /// Everything that was decoded and that someone still has.
    alive: HashMap<Key, Weak<Picture>>,
    most_bytes: u64,
}

impl Pictures {
    /// Of at most so many bytes; one picture is always allowed.
    pub(crate) fn new(most_bytes: u64) -> Self {
        Self { held: HashMap::new(), alive: HashMap::new(), most_bytes }
    }

    fn bytes_alive(&mut self) -> u64 {
        self.alive.retain(|_, picture| picture.strong_count() > 0);
        self.alive.values().filter_map(Weak::upgrade).map(|picture| picture.pixels().len() as u64).sum()
    }

    /// Waits until half of the memory is free again, or nobody works on what was handed out.
    pub(crate) fn wait_for_room(&mut self, nobody_works: impl Fn() -> bool) {
        if self.bytes_alive() > self.most_bytes / 2 {
            self.held.clear();
            while self.bytes_alive() > self.most_bytes / 2 && !nobody_works() {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// The pictures of each of `samples`, or what is wrong with the first that failed: decodes on `threads`
    /// threads what is not held yet, and forgets what none of them needs. Ends early, after at least one
    /// sample, where the memory is used up.
    pub(crate) fn of(
        &mut self,
        samples: &[&Sample],
        loader: &dyn MediaLoader,
        threads: usize,
    ) -> Vec<Result<Vec<Arc<Picture>>, Failure>> {
        let keys: Vec<Vec<Key>> = samples.iter().map(|sample| keys(sample)).collect();
        let wanted: HashSet<Key> = keys.iter().flatten().copied().collect();
        self.held.retain(|key, _| wanted.contains(key));
        let mut left = self.most_bytes.saturating_sub(self.bytes_alive());
        let mut todo: Vec<(usize, Key, &MediaRef)> = Vec::new();
        let mut seen = HashSet::new();
        for (number, (keys, sample)) in keys.iter().zip(samples).enumerate() {
            for (key, media) in keys.iter().zip(&sample.media).filter(|(key, _)| seen.insert(**key)) {
                match self.alive.get(key).and_then(Weak::upgrade) {
                    Some(picture) => drop(self.held.insert(*key, Ok(picture))),
                    None if self.held.contains_key(key) => {}
                    None => todo.push((number, *key, media)),
                }
            }
        }
        // Decoded in the order of the samples; the first that has no room ends the chunk.
        let queue = Mutex::new((todo.into_iter(), &mut left, samples.len()));
        let done = Mutex::new((&mut self.held, &mut self.alive));
        let next = || {
            let mut queue = queue.lock().ok()?;
            let (todo, left, end) = &mut *queue;
            let (number, key, media) = todo.next()?;
            if **left == 0 && number > 0 {
                *end = number.min(*end);
            }
            (number < *end).then_some((key, media))
        };
        let work = || {
            while let Some((key, media)) = next() {
                let decoded = decode(media, loader);
                if let (Ok(picture), Ok(mut queue)) = (&decoded, queue.lock()) {
                    *queue.1 = queue.1.saturating_sub(picture.pixels().len() as u64);
                }
                if let Ok(mut done) = done.lock() {
                    if let Ok(picture) = &decoded {
                        done.1.insert(key, Arc::downgrade(picture));
                    }
                    done.0.insert(key, decoded);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let end = queue.into_inner().map_or(samples.len(), |(_, _, end)| end);
        keys.iter().take(end).map(|keys| self.held_by(keys)).collect()
    }

    fn held_by(&self, keys: &[Key]) -> Result<Vec<Arc<Picture>>, Failure> {
        let one = |(at, key): (usize, &Key)| match self.held.get(key) {
            Some(Ok(picture)) => Ok(picture.clone()),
            Some(Err(failure)) if keys.len() > 1 => {
                Err(Failure { reason: format!("image {}: {}", at + 1, failure.reason), ..failure.clone() })
            }
            Some(Err(failure)) => Err(failure.clone()),
            None => Err(Failure::may_pass("the image was not decoded")),
        };
        keys.iter().enumerate().map(one).collect()
    }
}

fn decode(media: &MediaRef, loader: &dyn MediaLoader) -> Decoded {
    // A decoder that panics on a hostile file costs that item, not the run. A file that is missing or
    // damaged can be put in its place, so every such failure may pass.
    match caught(|| loader.load(media)) {
        Some(Ok(picture)) => Ok(Arc::new(picture)),
        Some(Err(error)) => Err(Failure::may_pass(error.to_string())),
        None => Err(Failure::may_pass("decoding the image failed unexpectedly; please report the format")),
    }
}
