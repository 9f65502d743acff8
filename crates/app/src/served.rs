//! A model behind an OpenAI-compatible server: how it is asked and what lets us in.

use crate::error::AppError;
use loupe_core::files::{SETTINGS_BYTES, read_text_at_most};
use loupe_core::{MediaFetcher, VisionLanguageModel};
use loupe_models::LoadOptions;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Words that are never shown, not even by `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// From an environment variable.
    ///
    /// # Errors
    /// When there is no such variable, or it is empty.
    pub fn from_variable(name: &str) -> Result<Self, AppError> {
        let words = std::env::var(name);
        let words =
            words.map_err(|_| AppError::input(format!("the environment variable {name} is not set")))?;
        Self::new(&words)
            .ok_or_else(|| AppError::input(format!("the environment variable {name} holds no key")))
    }

    /// From a file of one line.
    ///
    /// # Errors
    /// When it cannot be read, or holds no key.
    pub fn from_file(path: &Path) -> Result<Self, AppError> {
        let words = read_text_at_most(path, SETTINGS_BYTES)?;
        Self::new(&words).ok_or_else(|| {
            AppError::input(format!("{} holds no key: one line of letters without spaces", path.display()))
        })
    }

    fn new(words: &str) -> Option<Self> {
        let words = words.trim();
        let fits = !words.is_empty() && words.bytes().all(|b| (0x21..0x7f).contains(&b));
        fits.then(|| Self(words.to_owned()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

#[cfg(feature = "remote")]
impl Secret {
    /// As a client takes it.
    pub(crate) fn key(&self) -> Option<loupe_remote::Key> {
        loupe_remote::Key::new(&self.0)
    }
}

/// How a served model is asked.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// What the server lets in.
    pub key: Option<Secret>,
    /// Longest time for one whole reply.
    pub timeout: Duration,
    /// Longest time without any reply until the server is given up.
    pub patience: Duration,
    /// Most requests of this command, those that are sent again included.
    pub most_requests: Option<u64>,
    /// Most tokens of this command, prompts and replies together, as the server counts them.
    pub most_tokens: Option<u64>,
    /// Most money of this command.
    pub most_cost: Option<CostBound>,
    /// Most bytes of a picture's PNG; larger ones are reduced.
    pub picture_bytes: Option<usize>,
    /// Hand the words on as they come.
    pub stream: bool,
}

/// Most money, and the prices of tokens that it is counted by, all in one currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostBound {
    /// Most that may be spent.
    pub most: f64,
    /// Price of a million tokens of prompts.
    pub per_million_prompt: f64,
    /// Price of a million tokens of replies.
    pub per_million_reply: f64,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            key: None,
            timeout: Duration::from_secs(300),
            patience: Duration::from_secs(120),
            most_requests: None,
            most_tokens: None,
            most_cost: None,
            picture_bytes: None,
            stream: false,
        }
    }
}

/// Is this the address of a served model, and no folder?
pub fn is_address(place: &Path) -> bool {
    place.to_str().is_some_and(|p| p.starts_with("http://") || p.starts_with("https://"))
}

/// Refuses options that are about a checkpoint.
fn without_checkpoint_options(load: &LoadOptions) -> Result<(), AppError> {
    let given = [
        ("--adapter", load.adapter.is_some()),
        ("--dtype", load.dtype.is_some()),
        ("--quant", load.quant.is_some()),
        ("--activations", load.activations != loupe_models::Activations::default()),
        ("--resample", load.resample.is_some()),
        ("--min-pixels", load.pixels.min.is_some()),
        ("--max-pixels", load.pixels.max.is_some()),
        ("--pan-and-scan", load.pan_and_scan),
        ("--prompt-lookup", load.prompt_lookup > 0),
        ("--dump", load.dump.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(AppError::input(format!(
            "{name} is about a checkpoint that is computed here; a served model is computed as its server was told"
        ))),
        None => Ok(()),
    }
}

/// Opens the served model at `address`.
#[cfg(feature = "remote")]
pub(crate) fn open(
    address: &Path,
    server: &ServerOptions,
    load: &LoadOptions,
) -> Result<Box<dyn VisionLanguageModel>, AppError> {
    without_checkpoint_options(load)?;
    let address = loupe_remote::Address::parse(&address.to_string_lossy());
    let address = address.map_err(|e| AppError::input(e.to_string()))?;
    let usual = loupe_remote::ServedOptions::default();
    let options = loupe_remote::ServedOptions {
        key: server.key.as_ref().and_then(Secret::key),
        requests_at_a_time: load.rows.unwrap_or(usual.requests_at_a_time),
        reply: server.timeout,
        patience: server.patience,
        budget: loupe_remote::Budget {
            requests: server.most_requests,
            tokens: server.most_tokens,
            cost: server.most_cost.map(|cost| loupe_remote::Cost {
                most: cost.most,
                per_million_prompt: cost.per_million_prompt,
                per_million_reply: cost.per_million_reply,
            }),
        },
        pictures: picture_bound(server),
        box_dialect: box_dialect(load),
        stream: server.stream,
    };
    Ok(Box::new(loupe_remote::ServedModel::open(&address, options)?))
}

/// How large pictures are sent, and what reduces them.
#[cfg(feature = "remote")]
pub(crate) fn picture_bound(server: &ServerOptions) -> loupe_remote::PictureBound {
    loupe_remote::PictureBound {
        bytes: server.picture_bytes,
        resampler: Some(Arc::new(loupe_preprocess::resampler::PillowResampler)),
    }
}

/// How the model writes places, where somebody says so.
#[cfg(feature = "remote")]
pub(crate) fn box_dialect(load: &LoadOptions) -> String {
    load.dialect.clone().unwrap_or_else(|| "none".to_owned())
}

/// Opens the served model at `address`.
#[cfg(not(feature = "remote"))]
pub(crate) fn open(
    _: &Path,
    _: &ServerOptions,
    load: &LoadOptions,
) -> Result<Box<dyn VisionLanguageModel>, AppError> {
    without_checkpoint_options(load)?;
    Err(AppError::Feature { what: "a served model", feature: "remote" })
}

/// What fetches files from these hosts (`[http://]HOST[:PORT][=ADDRESS]`) and nowhere else; nothing where there are none.
///
/// # Errors
/// When words name no host.
#[cfg(feature = "remote")]
pub fn fetcher(hosts: &[String]) -> Result<Option<Arc<dyn MediaFetcher>>, AppError> {
    let hosts: Result<Vec<_>, _> = hosts.iter().map(|host| loupe_remote::FetchHost::parse(host)).collect();
    let hosts = hosts.map_err(|e| AppError::input(e.to_string()))?;
    Ok((!hosts.is_empty()).then(|| Arc::new(loupe_remote::HostFetcher::new(hosts)) as Arc<dyn MediaFetcher>))
}

/// What fetches files from these hosts; this build has no client.
#[cfg(not(feature = "remote"))]
pub fn fetcher(hosts: &[String]) -> Result<Option<Arc<dyn MediaFetcher>>, AppError> {
    match hosts {
        [] => Ok(None),
        _ => Err(AppError::Feature { what: "fetching pictures", feature: "remote" }),
    }
}
