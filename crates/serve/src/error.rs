//! Why a server does not run.

use std::net::SocketAddr;
use thiserror::Error;

/// Why a server does not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The token is none.
    #[error("{0}")]
    Token(String),
    /// A limit makes no sense.
    #[error("{0}")]
    Limit(String),
    /// Others could reach the server and nothing keeps them out.
    #[error(
        "{0} can be reached from other machines, so clients must be asked for a token: put one into LOUPE_SERVE_TOKEN or a file for --token-file, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}: {problem}; is another server there? --port 0 takes a free port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        problem: String,
    },
    /// The system does not give what a server needs.
    #[error("the server cannot work: {0}")]
    System(#[from] std::io::Error),
    /// The model ended on its own.
    #[error("the model ended while the server was running; the requests in work have failed")]
    ModelEnded,
}
