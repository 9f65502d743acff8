//! The files of a request's pictures: out of data URIs, or fetched from their addresses where somebody allowed that.

use crate::api_error::ApiError;
use crate::aside::aside_in;
use crate::metrics::Metrics;
use crate::options::ServeLimits;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use loupe_core::{FetchError, MediaFetcher};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A picture of a request before it is decoded.
#[derive(Debug)]
pub(crate) struct PictureFile {
    /// Where it stands in the request.
    pub(crate) at: String,
    file: Source,
}

#[derive(Debug)]
enum Source {
    /// As it stands in the request.
    Uri(String),
    /// From its address.
    Fetched(Arc<[u8]>),
}

impl PictureFile {
    /// Where it stands, and its bytes.
    ///
    /// # Errors
    /// When it is no data URI.
    pub(crate) fn bytes(self) -> Result<(String, Arc<[u8]>), ApiError> {
        let bytes = match self.file {
            Source::Uri(uri) => bytes_of(&self.at, &uri)?.into(),
            Source::Fetched(bytes) => bytes,
        };
        Ok((self.at, bytes))
    }
}

/// Fetches what requests give by address, a bounded number of them at a time.
#[derive(Debug)]
pub(crate) struct Fetching {
    fetcher: Option<Arc<dyn MediaFetcher>>,
    places: Arc<Semaphore>,
    most_bytes: usize,
    within: Duration,
    metrics: Arc<Metrics>,
}

impl Fetching {
    pub(crate) fn new(
        fetcher: Option<Arc<dyn MediaFetcher>>,
        limits: &ServeLimits,
        metrics: Arc<Metrics>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(limits.fetchers.min(Semaphore::MAX_PERMITS)));
        Self { fetcher, places, most_bytes: limits.body_bytes, within: limits.body_timeout, metrics }
    }

    /// The files of a request's pictures; of those that it gives by address each address is fetched once.
    pub(crate) async fn files(&self, pictures: Vec<(String, String)>) -> Result<Vec<PictureFile>, ApiError> {
        let mut fetched = BTreeMap::new();
        if let Some(fetcher) = &self.fetcher {
            let mut wanted: Vec<(String, String)> =
                pictures.iter().filter(|(_, address)| is_address(address)).cloned().collect();
            wanted.sort_by(|a, b| a.1.cmp(&b.1));
            wanted.dedup_by(|a, b| a.1 == b.1);
            if !wanted.is_empty() {
                fetched = self.fetch(Arc::clone(fetcher), wanted).await?;
            }
        }
        let file = |(at, address): (String, String)| {
            let file = fetched.get(&address).cloned().map_or(Source::Uri(address), Source::Fetched);
            PictureFile { at, file }
        };
        Ok(pictures.into_iter().map(file).collect())
    }

    async fn fetch(
        &self,
        fetcher: Arc<dyn MediaFetcher>,
        wanted: Vec<(String, String)>,
    ) -> Result<BTreeMap<String, Arc<[u8]>>, ApiError> {
        let began = Instant::now();
        let place = tokio::time::timeout(self.within, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let message =
                "pictures of other requests are being fetched, as many as at a time; try again later";
            return Err(ApiError::new(503, "fetching_busy", message).after(5));
        };
        let (mut left, most, within) = (self.most_bytes, self.most_bytes, self.within);
        let metrics = Arc::clone(&self.metrics);
        aside_in(place, move || {
            let mut files = BTreeMap::new();
            for (at, address) in wanted {
                let time = within.saturating_sub(began.elapsed());
                let bytes = match time.is_zero() {
                    true => Err(FetchError::TimedOut(within.as_secs())),
                    false => fetcher.fetch(&address, left, time),
                };
                let bytes = bytes.map_err(|error| refused(&at, &advised(&error, most)))?;
                metrics.pictures_fetched.add(1);
                left = left.saturating_sub(bytes.len());
                files.insert(address, bytes.into());
            }
            Ok(files)
        })
        .await
    }
}

/// What went wrong with an address, and what to do.
fn advised(error: &FetchError, most: usize) -> String {
    match error {
        FetchError::NotAllowed => format!(
            "{error} (--allow-pictures-from names them); send the picture itself as data:image/png;base64,…"
        ),
        FetchError::Private => format!(
            "{error}; the server's operator can name it together with that address (--allow-pictures-from HOST=ADDRESS)"
        ),
        FetchError::TooLarge(_) => format!(
            "makes the fetched pictures of the request more than {most} bytes; raise the limit with --max-body"
        ),
        other => other.to_string(),
    }
}

fn scheme(address: &str) -> String {
    address.split(':').next().unwrap_or_default().to_ascii_lowercase()
}

fn is_address(address: &str) -> bool {
    matches!(scheme(address).as_str(), "http" | "https")
}

fn refused(at: &str, problem: &str) -> ApiError {
    ApiError::field(at, format!("{at} {problem}")).coded("invalid_image_url")
}

/// The bytes of a data URI in base64.
fn bytes_of(at: &str, address: &str) -> Result<Vec<u8>, ApiError> {
    let refused = |problem: &str| refused(at, problem);
    let scheme = scheme(address);
    let Some(rest) = address.get(5..).filter(|_| scheme == "data") else {
        return Err(match scheme.as_str() {
            "http" | "https" => refused(
                "is an address, and this server fetches nothing (--allow-pictures-from HOST allows it to); send the picture itself as data:image/png;base64,…",
            ),
            "file" | "ftp" => refused(
                "is an address that is never fetched; send the picture itself as data:image/png;base64,…",
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
