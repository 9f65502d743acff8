//! Files behind addresses, as a seam (implemented by `remote`): what serves a model knows no HTTP client.

use std::fmt::Debug;
use std::time::Duration;
use thiserror::Error;

/// Fetches files from hosts that somebody allowed, and from nowhere else.
pub trait MediaFetcher: Debug + Send + Sync {
    /// The file at `address`, of at most `most_bytes` bytes, within this time in all.
    ///
    /// # Errors
    /// When the address is not of an allowed host, or gives no whole file.
    fn fetch(&self, address: &str, most_bytes: usize, within: Duration) -> Result<Vec<u8>, FetchError>;
}

/// Why a file was not fetched, worded to stand behind the name of the field that holds its address. Nothing of the
/// address is repeated: what stands behind its host is often a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// It cannot be read.
    #[error("is no address of the form https://HOST/PATH")]
    Form,
    /// A user or a password stands before the host.
    #[error("holds a user or a password before its host, which are not sent; leave them out")]
    Credentials,
    /// Its scheme, host and port are not among those that are allowed.
    #[error("is an address whose scheme, host and port are not among those that this server fetches from")]
    NotAllowed,
    /// Its host has an address that only machines near this one reach, and was not allowed with it.
    #[error("is of a host whose network address is private or this machine's own")]
    Private,
    /// It leads to another address.
    #[error(
        "leads to another address (status {0}), which is not followed; send the one that holds the picture"
    )]
    Redirect(u16),
    /// Its host does not give the file.
    #[error("gave no file but status {0}")]
    Status(u16),
    /// The file is larger than it may be.
    #[error("gives a file of more than {0} bytes")]
    TooLarge(usize),
    /// It took too long.
    #[error("gave no whole file within {0} s")]
    TimedOut(u64),
    /// There was no connection, or it broke off.
    #[error("could not be fetched: {0}")]
    Unreachable(&'static str),
}
