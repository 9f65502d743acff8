//! Decoded pictures that requests share: those in work, and within a bound those that were shown last.

use loupe_core::Picture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

/// What a picture counts beside its pixels.
const EACH: u64 = 4096;

/// The place of one picture. Held while it is decoded, so that requests that show it at the same time decode it once.
pub(crate) type Place = Arc<Mutex<Weak<Picture>>>;

/// SHA-256 of a picture's file.
pub(crate) type Digest = [u8; 32];

struct Known {
    place: Place,
    /// Set while it is kept although nobody shows it.
    kept: Option<Arc<Picture>>,
    /// The larger, the later it was shown.
    shown: u64,
}

impl Known {
    fn is_needed(&self) -> bool {
        // Others may be decoding it.
        self.kept.is_some() || Arc::strong_count(&self.place) > 1 || self.is_in_memory()
    }

    fn is_in_memory(&self) -> bool {
        self.place.try_lock().is_ok_and(|picture| picture.strong_count() > 0)
    }
}

/// Pictures by their files; of those that nobody shows the ones that were shown last.
pub(crate) struct KeptPictures {
    most_bytes: u64,
    bytes: u64,
    known: HashMap<Digest, Known>,
    clock: u64,
}

impl KeptPictures {
    /// Keeps as many as `most_bytes` hold.
    pub(crate) fn new(most_bytes: u64) -> Self {
        Self { most_bytes, bytes: 0, known: HashMap::new(), clock: 0 }
    }

    /// Bytes of those that are kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many are in memory, kept or shown.
    pub(crate) fn count(&self) -> usize {
        self.known.values().filter(|known| known.kept.is_some() || known.is_in_memory()).count()
    }

    /// The place of a picture that is shown now.
    pub(crate) fn place(&mut self, digest: Digest) -> Place {
        self.clock += 1;
        let new = || Known { place: Arc::default(), kept: None, shown: 0 };
        let known = self.known.entry(digest).or_insert_with(new);
        known.shown = self.clock;
        Arc::clone(&known.place)
    }

    /// Keeps a picture whose place nobody holds any more, and lets go of what was not shown for longest.
    pub(crate) fn keep(&mut self, digest: &Digest, picture: &Arc<Picture>) {
        let size = cost(picture);
        if size <= self.most_bytes
            && let Some(known) = self.known.get_mut(digest)
            && known.kept.replace(Arc::clone(picture)).is_none()
        {
            self.bytes += size;
        }
        while self.bytes > self.most_bytes {
            let kept = self.known.values_mut().filter(|known| known.kept.is_some());
            let Some(known) = kept.min_by_key(|known| known.shown) else { break };
            if let Some(picture) = known.kept.take() {
                self.bytes = self.bytes.saturating_sub(cost(&picture));
            }
        }
        self.tidy();
    }

    /// Forgets the places of pictures that are gone.
    pub(crate) fn tidy(&mut self) {
        self.known.retain(|_, known| known.is_needed());
    }
}

fn cost(picture: &Picture) -> u64 {
    picture.pixels().len() as u64 + EACH
}
