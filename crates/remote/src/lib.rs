//! Models behind an OpenAI-compatible server: evaluated as any other model, asked later as a batch, or as judges of text.
//! And files from hosts that were named, for a server of one's own.
//!
//! ```no_run
//! use loupe_core::{Ask, GenerationLimits, VisionLanguageModel};
//! use loupe_remote::{Address, ServedModel, ServedOptions};
//!
//! let address = Address::parse("http://localhost:8000/v1#some-model")?;
//! let mut model = ServedModel::open(&address, ServedOptions::default())?;
//! let ask = Ask::pictures_then(Vec::new(), "Is a heart an organ?", GenerationLimits::default());
//! for reply in model.generate(&[ask]) {
//!     assert!(!reply?.text.is_empty());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod batch;
mod client;
mod desk;
mod endpoint;
mod error;
mod fetch;
mod found;
mod identity;
mod model;
mod options;
mod reply;
mod request;
mod room;
mod stream;
mod trouble;
mod wire;

pub use address::{Address, AddressError};
pub use batch::{BatchOptions, BatchResults, BatchWriter};
pub use desk::{Budget, Cost};
pub use endpoint::{Endpoint, Patience};
pub use error::EndpointError;
pub use fetch::{FetchHost, FetchHostError, HostFetcher};
pub use model::{MOST_REQUESTS, ServedModel, ServedOptions};
pub use request::PictureBound;
pub use wire::Key;
