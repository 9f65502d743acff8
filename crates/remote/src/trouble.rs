//! Why a try gave no reply.

use crate::error::EndpointError;
use loupe_core::ModelError;
use std::time::Duration;

/// Why a try gave no reply.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// The ask cannot be sent.
    Ask(ModelError),
    /// The server, with the pause that it asks for.
    Server(EndpointError, Option<Duration>),
    /// Nobody wants the reply any more.
    Cancelled,
}

impl From<ModelError> for Trouble {
    fn from(error: ModelError) -> Self {
        Self::Ask(error)
    }
}

impl From<(EndpointError, Option<Duration>)> for Trouble {
    fn from((error, pause): (EndpointError, Option<Duration>)) -> Self {
        Self::Server(error, pause)
    }
}

impl From<EndpointError> for Trouble {
    fn from(error: EndpointError) -> Self {
        Self::Server(error, None)
    }
}
