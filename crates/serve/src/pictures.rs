//! Pictures of requests, decoded.

use crate::api_error::ApiError;
use crate::desk::Ticket;
use crate::fetched::PictureFile;
use crate::kept_pictures::{Digest as FileDigest, KeptPictures};
use crate::metrics::Metrics;
use crate::options::ServeLimits;
use loupe_core::{MediaLoader, MediaRef, MediaSource, Picture, View};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Decodes pictures. One that comes again, as with every question about it, is decoded once while it is shown or kept.
pub(crate) struct Pictures {
    loader: Arc<dyn MediaLoader>,
    most: usize,
    kept: Mutex<KeptPictures>,
    metrics: Arc<Metrics>,
}

impl Pictures {
    /// With this loader, within these limits.
    pub(crate) fn new(loader: Arc<dyn MediaLoader>, limits: &ServeLimits, metrics: Arc<Metrics>) -> Self {
        let kept = Mutex::new(KeptPictures::new(limits.kept_picture_bytes));
        Self { loader, most: limits.pictures, kept, metrics }
    }

    fn kept(&self) -> MutexGuard<'_, KeptPictures> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are in memory, and the bytes of those that are kept for later.
    pub(crate) fn census(&self) -> (usize, u64) {
        let kept = self.kept();
        (kept.count(), kept.bytes())
    }

    /// Refuses more pictures than a request may have.
    pub(crate) fn check_count(&self, count: usize) -> Result<(), ApiError> {
        if count <= self.most {
            return Ok(());
        }
        let message = format!(
            "the request has {count} pictures, the limit is {}; raise it with --max-pictures",
            self.most
        );
        Err(ApiError::new(400, "too_many_pictures", message))
    }

    /// The pictures of a request, counted on its ticket.
    pub(crate) fn decode(
        &self,
        ticket: &mut Ticket,
        files: Vec<PictureFile>,
    ) -> Result<Vec<Arc<Picture>>, ApiError> {
        let mut counted: Vec<FileDigest> = Vec::new();
        let mut decoded = Vec::new();
        for file in files {
            let (at, bytes) = file.bytes()?;
            let digest: FileDigest = Sha256::digest(&bytes).into();
            let picture = self.picture(&at, bytes, digest)?;
            if !counted.contains(&digest) {
                counted.push(digest);
                ticket.hold(picture.pixels().len() as u64)?;
            }
            decoded.push(picture);
        }
        Ok(decoded)
    }

    fn picture(&self, at: &str, bytes: Arc<[u8]>, digest: FileDigest) -> Result<Arc<Picture>, ApiError> {
        let place = self.kept().place(digest);
        let loaded = {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(picture) = place.upgrade() {
                self.metrics.pictures_reused.add(1);
                return Ok(picture);
            }
            self.load(at, bytes).inspect(|picture| *place = Arc::downgrade(picture))
        };
        drop(place);
        match &loaded {
            Ok(picture) => self.kept().keep(&digest, picture),
            Err(_) => self.kept().tidy(),
        }
        loaded
    }

    fn load(&self, at: &str, bytes: Arc<[u8]>) -> Result<Arc<Picture>, ApiError> {
        self.metrics.pictures_decoded.add(1);
        let media = MediaRef {
            source: MediaSource::Bytes(bytes),
            view: View::default(),
            name: "picture".into(),
            stated_size: None,
        };
        self.loader.load(&media).map(Arc::new).map_err(|e| ApiError::of_picture(at, &e))
    }
}
