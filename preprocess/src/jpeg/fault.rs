//! Why a stream was refused.

use loupe_core::media::MediaError;

/// Why a stream was refused.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A marker segment or scan breaks the standard.
    Broken { field: &'static str, problem: &'static str },
    /// A process that is not decoded.
    Process(&'static str),
    /// The caller does not want what the header announces.
    Unwanted(MediaError),
}

pub(super) fn broken(field: &'static str, problem: &'static str) -> Fault {
    Fault::Broken { field, problem }
}
