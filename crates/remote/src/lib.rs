//! Models behind an OpenAI-compatible endpoint: text in, text out.
//!
//! ```no_run
//! use loupe_remote::{Endpoint, Patience};
//!
//! let endpoint = Endpoint::new("http://localhost:8000/v1", "some-model", None, Patience::default());
//! match endpoint.complete("Is a heart an organ?") {
//!     Ok(reply) => assert!(!reply.is_empty()),
//!     Err(error) => assert!(!error.to_string().is_empty()),
//! }
//! ```

mod address;
mod endpoint;
mod error;
mod wire;

pub use address::{Address, AddressError};
pub use endpoint::{Endpoint, Patience};
pub use error::EndpointError;
pub use wire::Key;
