//! Why phantoms could not be made.

use loupe_core::picture::PictureError;
use std::path::PathBuf;
use thiserror::Error;

/// Why phantoms could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PhantomError {
    /// A file or folder could not be made.
    #[error("{path} could not be written: {source}; choose a folder that can be written to")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A picture could not be made or encoded.
    #[error("a phantom picture could not be made: {0}")]
    Picture(String),
    /// Nothing was asked for.
    #[error("0 studies were asked for; ask for at least 1")]
    NoStudies,
}

impl From<PictureError> for PhantomError {
    fn from(error: PictureError) -> Self {
        Self::Picture(error.to_string())
    }
}
