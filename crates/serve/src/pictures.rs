//! Pictures out of data URIs.

use crate::api_error::ApiError;
use crate::desk::Ticket;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use loupe_core::{MediaLoader, MediaRef, MediaSource, Picture, View};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes pictures. One that several requests in work show is decoded once and shared; none is kept for later.
pub(crate) struct Pictures {
    loader: Arc<dyn MediaLoader>,
    most: usize,
    in_work: Mutex<HashMap<[u8; 32], Weak<Picture>>>,
}

impl Pictures {
    /// With this loader; at most `most` pictures a request.
    pub(crate) fn new(loader: Arc<dyn MediaLoader>, most: usize) -> Self {
        Self { loader, most, in_work: Mutex::default() }
    }

    /// How many are known to be in memory.
    pub(crate) fn known(&self) -> usize {
        self.in_work.lock().unwrap_or_else(PoisonError::into_inner).len()
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
        let mut counted: Vec<[u8; 32]> = Vec::new();
        let mut decoded = Vec::new();
        for (at, address) in pictures {
            let bytes = bytes_of(&at, &address)?;
            drop(address);
            let digest: [u8; 32] = Sha256::digest(&bytes).into();
            let picture = match self.find(&digest) {
                Some(picture) => picture,
                None => self.load(&at, bytes, digest)?,
            };
            if !counted.contains(&digest) {
                counted.push(digest);
                ticket.hold(picture.pixels().len() as u64)?;
            }
            decoded.push(picture);
        }
        Ok(decoded)
    }

    fn find(&self, digest: &[u8; 32]) -> Option<Arc<Picture>> {
        self.in_work.lock().unwrap_or_else(PoisonError::into_inner).get(digest)?.upgrade()
    }

    fn load(&self, at: &str, bytes: Vec<u8>, digest: [u8; 32]) -> Result<Arc<Picture>, ApiError> {
        let media = MediaRef {
            source: MediaSource::Bytes(bytes.into()),
            view: View::default(),
            name: "picture".into(),
            stated_size: None,
        };
        let picture = self.loader.load(&media).map_err(|e| ApiError::of_picture(at, &e))?;
        let picture = Arc::new(picture);
        let mut known = self.in_work.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, picture| picture.strong_count() > 0);
        known.insert(digest, Arc::downgrade(&picture));
        Ok(picture)
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
