//! Why a page could not be made.

use loupe_run::RunError;
use thiserror::Error;

/// Why a page could not be made or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PageError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The data do not serialise.
    #[error("the report's data could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The file could not be written.
    #[error("the report page could not be written: {0}")]
    Io(#[from] std::io::Error),
}
