//! Pictures out of data URIs.

use crate::api_error::ApiError;
use crate::desk::Ticket;
use crate::kept_pictures::{Digest as FileDigest, KeptPictures};
use crate::metrics::Metrics;
use crate::options::ServeLimits;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use loupe_core::{MediaLoader, MediaRef, MediaSource, Picture, View};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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

    /// The pictures of a request, each with where it stands there, counted on its ticket.
    pub(crate) fn decode(
        &self,
        ticket: &mut Ticket,
        pictures: Vec<(String, String)>,
    ) -> Result<Vec<Arc<Picture>>, ApiError> {
        if pictures.len() > self.most {
            let message = format!(
                "the request has {} pictures, the limit is {}; raise it with --max-pictures",
                pictures.len(),
                self.most
            );
            return Err(ApiError::new(400, "too_many_pictures", message));
        }
        let mut counted: Vec<FileDigest> = Vec::new();
        let mut decoded = Vec::new();
        for (at, address) in pictures {
            let bytes = bytes_of(&at, &address)?;
            drop(address);
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

    fn picture(&self, at: &str, bytes: Vec<u8>, digest: FileDigest) -> Result<Arc<Picture>, ApiError> {
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

    fn load(&self, at: &str, bytes: Vec<u8>) -> Result<Arc<Picture>, ApiError> {
        self.metrics.pictures_decoded.add(1);
        let media = MediaRef {
            source: MediaSource::Bytes(bytes.into()),
            view: View::default(),
            name: "picture".into(),
            stated_size: None,
        };
        self.loader.load(&media).map(Arc::new).map_err(|e| ApiError::of_picture(at, &e))
    }
}

/// The bytes of a data URI in base64.
fn bytes_of(at: &str, address: &str) -> Result<Vec<u8>, ApiError> {
    let refused = |problem: &str| ApiError::field(at, format!("{at} {problem}")).coded("invalid_image_url");
    let scheme = address.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let Some(rest) = address.get(5..).filter(|_| scheme == "data") else {
        return Err(match scheme.as_str() {
            "http" | "https" | "file" | "ftp" => refused(
                "is an address; this server fetches nothing, so send the picture itself as data:image/png;base64,…",
            ),
            _ => refused("is no data URI, expected data:image/png;base64,…"),
        });
    };
    let Some((kind, data)) = rest.split_once(',') else {
        return Err(refused("is a data URI without a comma, expected data:image/png;base64,…"));
    };
    if !kind.to_ascii_lowercase().ends_with(";base64") {
        return Err(refused("is a data URI that is not in base64, expected data:image/png;base64,…"));
    }
    let bytes = BASE64.decode(data.trim_ascii()).map_err(|e| refused(&format!("is no valid base64: {e}")))?;
    if bytes.is_empty() {
        return Err(refused("is an empty data URI"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn data_uris_are_read_and_nothing_else() {
        for good in
            ["data:image/png;base64,AAEC", "DATA:;base64,AAEC", "data:image/png;charset=x;base64,AAEC\n"]
        {
            assert_eq!(bytes_of("it", good).unwrap(), [0, 1, 2], "{good}");
        }
        assert_eq!(bytes_of("it", "data:;base64,AA").unwrap(), [0]);
        for bad in [
            "",
            "data",
            "data:",
            "data:image/png;base64",
            "data:image/png,AAEC",
            "data:;base64,",
            "data:;base64,A",
            "data:;base64,A AEC",
            "dätä:;base64,AAEC",
            "http://localhost/picture.png",
            "file:///etc/passwd",
        ] {
            let error = bytes_of("messages[0]", bad).unwrap_err();
            assert_eq!(error.status, 400, "{bad}");
            assert!(!error.message.contains("passwd"), "{}", error.message);
        }
    }
}
