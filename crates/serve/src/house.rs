//! What all connections of a server share.

use crate::api_error::ApiError;
use crate::desk::Desk;
use crate::fetched::Fetching;
use crate::metrics::{Census, Metrics};
use crate::options::{ServeLimits, ServeOptions};
use crate::pictures::Pictures;
use crate::token::Token;
use loupe_core::model::Vocabulary;
use loupe_core::words::{did_you_mean, hex};
use loupe_core::{MediaLoader, ModelInfo, VisionLanguageModel};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// The version that the server says it is.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What all connections of a server share.
pub(crate) struct House {
    pub(crate) desk: Arc<Desk>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) pictures: Pictures,
    pub(crate) fetching: Fetching,
    /// Places to read requests and decode pictures in.
    pub(crate) decoders: Arc<Semaphore>,
    pub(crate) limits: ServeLimits,
    pub(crate) token: Option<Token>,
    pub(crate) info: ModelInfo,
    /// What clients call the model.
    pub(crate) name: String,
    pub(crate) vocabulary: Option<Arc<dyn Vocabulary>>,
    /// Places for connections.
    pub(crate) places: Arc<Semaphore>,
    /// The mark of everything that decides what the model says.
    pub(crate) fingerprint: String,
    started: u64,
    drawn: AtomicU64,
    random: RandomState,
}

impl House {
    /// Of a model and what it is given to see with.
    pub(crate) fn new(
        options: ServeOptions,
        desk: Arc<Desk>,
        metrics: Arc<Metrics>,
        model: &dyn VisionLanguageModel,
        loader: Arc<dyn MediaLoader>,
    ) -> Self {
        let (info, limits) = (model.info().clone(), options.limits);
        Self {
            desk,
            pictures: Pictures::new(loader, &limits, Arc::clone(&metrics)),
            fetching: Fetching::new(options.fetcher, &limits, Arc::clone(&metrics)),
            decoders: Arc::new(Semaphore::new(limits.decoders.min(Semaphore::MAX_PERMITS))),
            metrics,
            places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            limits,
            token: options.token,
            name: options.name.unwrap_or_else(|| info.name.clone()),
            fingerprint: fingerprint(&info),
            info,
            vocabulary: model.vocabulary(),
            started: now(),
            drawn: AtomicU64::new(0),
            random: RandomState::new(),
        }
    }

    /// A number that was not drawn before and that nobody can guess.
    pub(crate) fn draw(&self) -> u64 {
        self.random.hash_one(self.drawn.fetch_add(1, Ordering::Relaxed))
    }

    /// Refuses a request for a model that is not here.
    pub(crate) fn check_name(&self, asked: &str) -> Result<(), ApiError> {
        if asked == self.name {
            return Ok(());
        }
        let meant = did_you_mean(asked, [self.name.as_str()]);
        let message =
            format!("this server has no model of that name{meant}; GET /v1/models names the one that it has");
        let mut error = ApiError::new(404, "model_not_found", message);
        error.param = Some("model".into());
        Err(error)
    }

    /// The model, as the list of models has it.
    pub(crate) fn model(&self) -> Value {
        let mut model = json!({
            "id": self.name,
            "object": "model",
            "created": self.started,
            "owned_by": "loupe",
            "max_model_len": self.info.context_tokens,
            "system_fingerprint": self.fingerprint,
            "identity_sha256": self.info.identity_sha256(),
            "loupe": {
                "version": VERSION,
                "family": self.info.family,
                "box_dialect": self.info.box_dialect,
                "max_tokens": self.limits.reply_tokens,
                "max_pictures": self.limits.pictures,
            },
        });
        if let Some(c) = self.info.checkpoint() {
            let facts = json!({
                "weights_sha256": c.weights_sha256,
                "adapter_sha256": c.adapter_sha256,
                "tokenizer_sha256": c.tokenizer_sha256,
                "template_sha256": c.template_sha256,
                "parameters": c.parameters,
                "dtype": c.dtype,
                "quant": c.quant,
                "activations": c.activations,
                "device": c.device,
                "resample": c.resample,
            });
            if let (Some(to), Value::Object(facts)) = (model["loupe"].as_object_mut(), facts) {
                to.extend(facts);
            }
        }
        model
    }

    /// What there is at this moment.
    pub(crate) fn census(&self) -> Census {
        let (pictures, kept_picture_bytes) = self.pictures.census();
        Census {
            connections: self.limits.connections.saturating_sub(self.places.available_permits()),
            pictures,
            kept_picture_bytes,
            ..self.desk.census()
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The mark of everything that decides what the model says: of its weights, its adapter, its settings.
fn fingerprint(info: &ModelInfo) -> String {
    let mut all = Sha256::new();
    let mut add = |part: &str| {
        all.update((part.len() as u64).to_le_bytes());
        all.update(part);
    };
    add(VERSION);
    add(&info.identity_sha256());
    if let Some(c) = info.checkpoint() {
        for part in [&c.tokenizer_sha256, &c.template_sha256, &c.quant, &c.activations] {
            add(part.as_deref().unwrap_or_default());
        }
        [&c.dtype, &c.device, &c.resample].into_iter().for_each(|part| add(part));
        add(&c.settings.to_string());
    }
    format!("loupe-{}", hex(&all.finalize()).get(..16).unwrap_or_default())
}
