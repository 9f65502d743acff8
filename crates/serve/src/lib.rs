//! A model behind an OpenAI-compatible endpoint.
//!
//! [`Server::run`] gives the model's thread to [`loupe_core::VisionLanguageModel::serve`]: the requests of all clients
//! are one source of asks, so they run together and share the beginnings of their prompts as the asks of an
//! evaluation do. Connections live on one thread of their own; pictures are decoded on a few others.
//!
//! | route | what it gives |
//! |---|---|
//! | `POST /v1/chat/completions` | a reply to turns of text and pictures, whole or in pieces |
//! | `POST /v1/decisions` | probabilities of options instead of words |
//! | `GET /v1/models` | what the model is, with the hash of its weights |
//! | `GET /health`, `/metrics`, `/version` | for those who run it |
//!
//! Nothing is taken without a bound: connections, bytes of headers and bodies, the time that each takes, pictures, the
//! memory of all pictures, tokens of a reply, and the number of requests within ([`ServeLimits`]). A field that could
//! change a reply and is not understood is refused ([`fields`]). Addresses of pictures are refused unless the server was
//! given something that fetches them ([`loupe_core::MediaFetcher`]). Nothing of a request is kept, logged or counted
//! but numbers.

mod api_error;
mod aside;
mod body;
mod chat;
mod completion;
mod connection;
mod decisions;
mod desk;
mod document;
mod error;
mod fetched;
pub mod fields;
mod house;
mod kept_pictures;
mod messages;
mod metrics;
mod options;
mod pictures;
mod routes;
mod server;
mod token;

pub use error::ServeError;
pub use options::{ServeLimits, ServeOptions};
pub use server::{Ended, Server, Stopper};
pub use token::Token;
