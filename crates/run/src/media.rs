//! Decoding pictures ahead of the model, each once per neighbourhood of samples that share it.

use loupe_core::{Failure, MediaLoader, MediaRef, MediaSource, Picture, Sample};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

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
/// that can be shared, and memory stays bounded by two chunks.
#[derive(Default)]
pub(crate) struct Pictures {
    held: HashMap<Key, Decoded>,
}

impl Pictures {
    /// The pictures of each of `samples`, or what is wrong with the first that failed: decodes on `threads`
    /// threads what is not held yet, and forgets what none of them needs.
    pub(crate) fn of(
        &mut self,
        samples: &[&Sample],
        loader: &dyn MediaLoader,
        threads: usize,
    ) -> Vec<Result<Vec<Arc<Picture>>, Failure>> {
        let keys: Vec<Vec<Key>> = samples.iter().map(|sample| keys(sample)).collect();
        let mut wanted: HashMap<Key, &MediaRef> = HashMap::new();
        for (keys, sample) in keys.iter().zip(samples) {
            wanted.extend(keys.iter().copied().zip(&sample.media));
        }
        self.held.retain(|key, _| wanted.contains_key(key));
        let todo: Vec<(Key, &MediaRef)> =
            wanted.into_iter().filter(|(key, _)| !self.held.contains_key(key)).collect();
        let next = Mutex::new(todo.into_iter());
        let done = Mutex::new(&mut self.held);
        let work = || {
            while let Some((key, media)) = next.lock().ok().and_then(|mut n| n.next()) {
                let decoded = decode(media, loader);
                if let Ok(mut held) = done.lock() {
                    held.insert(key, decoded);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        keys.iter().map(|keys| self.held_by(keys)).collect()
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
    match catch_unwind(AssertUnwindSafe(|| loader.load(media))) {
        Ok(Ok(picture)) => Ok(Arc::new(picture)),
        Ok(Err(error)) => Err(Failure::may_pass(error.to_string())),
        Err(_) => Err(Failure::may_pass("decoding the image failed unexpectedly; please report the format")),
    }
}
