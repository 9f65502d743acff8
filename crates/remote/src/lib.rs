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

mod endpoint;

pub use endpoint::{Endpoint, EndpointError, Patience};
