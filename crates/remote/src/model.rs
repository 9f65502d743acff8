//! A served model as one that answers questions about pictures.

use crate::address::Address;
use crate::client::Client;
use crate::desk::{Budget, Desk, DeskRules};
use crate::identity::{Unknown, identify};
use crate::request::PictureBound;
use crate::room::Room;
use crate::wire::{Key, Wire};
use loupe_core::dialect::{Units, dialect};
use loupe_core::{AskSource, ModelError, ModelInfo, Next, Provenance, ReplySink, Retry, VisionLanguageModel};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Requests at a time when nobody says.
pub const MOST_REQUESTS: usize = 64;
/// How long a server that was given up is not asked again.
const REST: Duration = Duration::from_secs(30);

/// How a served model is asked.
#[derive(Debug, Clone)]
pub struct ServedOptions {
    /// What the server lets in.
    pub key: Option<Key>,
    /// Most requests at a time; there are fewer where the server does not keep up.
    pub requests_at_a_time: usize,
    /// Longest time for one whole reply.
    pub reply: Duration,
    /// Longest time without any reply until the server is given up.
    pub patience: Duration,
    /// How much may be spent.
    pub budget: Budget,
    /// How large the file of a picture may be.
    pub pictures: PictureBound,
    /// How the model writes places; `none` when it does not.
    pub box_dialect: String,
    /// Hand the words on as they come.
    pub stream: bool,
}

impl Default for ServedOptions {
    fn default() -> Self {
        Self {
            key: None,
            requests_at_a_time: MOST_REQUESTS,
            reply: Duration::from_secs(300),
            patience: Duration::from_secs(120),
            budget: Budget::default(),
            pictures: PictureBound::default(),
            box_dialect: "none".to_owned(),
            stream: false,
        }
    }
}

/// A model behind an OpenAI-compatible server (`/v1/chat/completions`).
///
/// Room is the number of requests under way. An ask that fails is sent again with pauses; a server that answers
/// nobody is given up with [`Retry::Away`], so that a run ends and can go on later.
#[derive(Debug)]
pub struct ServedModel {
    info: ModelInfo,
    client: Arc<Client>,
    rules: DeskRules,
    room: Room,
    /// When and why the server was given up.
    given_up: Option<(Instant, ModelError)>,
}

/// The record of a served model; tables call it by the last part of its name.
pub(crate) fn info(
    url: &str,
    model: &str,
    server: Option<String>,
    context: Option<usize>,
    dialect: &str,
) -> ModelInfo {
    let last = model.rsplit(['/', '\\']).find(|part| !part.trim().is_empty()).unwrap_or("served");
    let name: String = last.chars().map(|c| if c.is_control() || c == ':' { '-' } else { c }).collect();
    ModelInfo {
        family: "served".to_owned(),
        name,
        box_dialect: dialect.to_owned(),
        context_tokens: context,
        from: Provenance::Served { url: url.to_owned(), model: model.to_owned(), server },
    }
}

/// Refuses a dialect whose numbers cannot be undone for a served model.
///
/// # Errors
/// When it counts pixels of a picture whose size nobody says.
pub(crate) fn check_dialect(name: &str, pictures: &PictureBound) -> Result<(), ModelError> {
    let wrong = |problem: &str| Err(ModelError::Setting { setting: "dialect", problem: problem.to_owned() });
    match dialect(name).map(|d| d.units) {
        Some(Units::ModelInputPixels) => wrong(
            "it counts pixels after the model's own resizing, which a server does not say; places can be read in dialects that are relative to the picture",
        ),
        Some(Units::GivenPixels) if pictures.bytes.is_some() => wrong(
            "it counts pixels of the picture, which may be reduced to fit the bound of bytes; leave the bound out",
        ),
        _ => Ok(()),
    }
}

impl ServedModel {
    /// Asks the server what it is, and whether it has the model.
    ///
    /// # Errors
    /// When it does not answer ([`Retry::Away`]), has no such model, or a setting makes no sense ([`Retry::Never`]).
    pub fn open(address: &Address, options: ServedOptions) -> Result<Self, ModelError> {
        check_dialect(&options.box_dialect, &options.pictures)?;
        let wire = Wire::new(address.base(), options.key, options.reply);
        let base = address.base();
        let known = identify(&wire, address.model()).map_err(|unknown| match unknown {
            Unknown::Away(error) => ModelError::Served {
                reason: format!("the server at {base} does not answer: {error}"),
                retry: Retry::Away,
            },
            Unknown::Wrong(reason) => {
                ModelError::Served { reason: format!("{base}: {reason}"), retry: Retry::Barred }
            }
        })?;
        let info = info(base, &known.model, known.server, known.context, &options.box_dialect);
        let client = Client::new(wire, known.model, options.box_dialect, options.pictures, options.stream);
        Ok(Self {
            info,
            client: Arc::new(client),
            rules: DeskRules { budget: options.budget, patience: options.patience },
            room: Room::new(options.requests_at_a_time),
            given_up: None,
        })
    }
}

impl VisionLanguageModel for ServedModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        if let Some((when, why)) = &self.given_up
            && (why.retry() == Retry::Barred || when.elapsed() < REST)
        {
            return refuse_all(asks, replies, why);
        }
        let desk = Desk::new(&self.client, self.rules, &mut self.room);
        self.given_up = desk.serve(asks, replies).map(|why| (Instant::now(), why));
    }
}

fn refuse_all(asks: &mut dyn AskSource, replies: &mut dyn ReplySink, why: &ModelError) {
    loop {
        match asks.next(true) {
            Next::Ask(id, _) => replies.done(id, Err(why.clone())),
            Next::NotYet => {}
            Next::NoMore => return,
        }
    }
}
