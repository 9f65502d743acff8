//! Why an endpoint gave no reply.

use thiserror::Error;

/// Why an endpoint gave no reply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// No connection, or it broke off before there was a status.
    #[error("the endpoint could not be reached: {0}")]
    Unreachable(String),
    /// Too many requests, or a fault on the other side.
    #[error("the endpoint answered with status {0}")]
    Busy(u16),
    /// The connection broke off within the reply, or the reply is too long.
    #[error("the endpoint's reply broke off: {0}")]
    BrokenOff(String),
    /// The request is at fault.
    #[error("the endpoint refused with status {0}")]
    Refused(u16),
    /// The request is at fault, and the endpoint says in what.
    #[error("the endpoint refused with status {status}: {says}")]
    RefusedBecause {
        /// The status.
        status: u16,
        /// Its words, cut, and without anything that was sent.
        says: String,
    },
    /// What was paid for is used up.
    #[error("the endpoint says that the quota of this key is used up (status {0})")]
    Quota(u16),
    /// There was no whole reply in the time allowed.
    #[error("the endpoint gave no reply within {0} s")]
    TimedOut(u64),
    /// It asks to wait for longer than is sensible.
    #[error("the endpoint answered with status {status} and asks to wait for {seconds} s")]
    Overloaded {
        /// The status.
        status: u16,
        /// What it asks for.
        seconds: u64,
    },
    /// It points to another address. Nothing is sent there: questions and keys are for the address that was given.
    #[error("the endpoint sends to another address (status {0}); give that address if it is the right one")]
    Elsewhere(u16),
    /// The reply ends at the endpoint's limit of tokens.
    #[error("the endpoint's reply was cut off at its limit of tokens")]
    CutOff,
    /// Not asked any more.
    #[error("not asked: the endpoint failed {times} times in a row ({last})")]
    GivenUp {
        /// Requests that failed.
        times: u32,
        /// What the last of them failed with.
        last: Box<EndpointError>,
    },
    /// The reply is no JSON: a page of a proxy, or a reply that was cut.
    #[error("the endpoint's reply is no whole JSON document ({0})")]
    NotJson(&'static str),
    /// The reply is not what the protocol says.
    #[error("the endpoint's reply has no choices[0].message.content")]
    NoContent,
    /// The endpoint refuses a field without which its replies would be others.
    #[error("{0}")]
    Field(String),
    /// The reply has more words than any rule judges.
    #[error("{0}")]
    TooLong(String),
    /// One reply was asked for, and there are several or parts of several.
    #[error("the endpoint gave {0} replies where one was asked for")]
    Several(usize),
    /// Pieces of a streamed reply carry different ids.
    #[error(
        "the pieces of the endpoint's reply carry the ids of several replies, so that they make none; something between may mix the streams of two requests"
    )]
    Mixed,
    /// The server gave the request up in the middle of the reply.
    #[error("the endpoint gave the reply up in its middle")]
    GaveUp,
    /// The server withheld the reply.
    #[error("the endpoint's content filter withheld the reply")]
    Withheld,
    /// The model called a tool, though none was offered.
    #[error("the reply is a call of a tool, and none was offered")]
    ToolCall,
    /// The options' probabilities cannot be read from what the endpoint gives.
    #[error("{0}")]
    Options(String),
    /// It failed as often as it was tried.
    #[error("{last} ({tries} times)")]
    Tried {
        /// What it failed with in the end.
        last: Box<EndpointError>,
        /// How often it was asked.
        tries: u32,
    },
}

impl EndpointError {
    /// Can asking again help?
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Busy(_)
            | Self::BrokenOff(_)
            | Self::TimedOut(_)
            | Self::NotJson(_)
            | Self::GaveUp
            | Self::Mixed
            | Self::Overloaded { .. } => true,
            Self::Refused(_)
            | Self::RefusedBecause { .. }
            | Self::Quota(_)
            | Self::NoContent
            | Self::Elsewhere(_)
            | Self::TooLong(_)
            | Self::Field(_)
            | Self::Several(_)
            | Self::Withheld
            | Self::ToolCall
            | Self::Options(_)
            | Self::CutOff => false,
            Self::Tried { last, .. } | Self::GivenUp { last, .. } => last.may_pass(),
        }
    }

    /// Is it a refusal with one of these statuses?
    pub(crate) fn is_status(&self, of: &[u16]) -> bool {
        match self {
            Self::Refused(status) | Self::RefusedBecause { status, .. } => of.contains(status),
            _ => false,
        }
    }

    /// Does it say something about the endpoint rather than about the request?
    pub(crate) fn is_of_endpoint(&self) -> bool {
        match self {
            Self::NoContent
            | Self::CutOff
            | Self::TooLong(_)
            | Self::Field(_)
            | Self::Several(_)
            | Self::Withheld
            | Self::ToolCall
            | Self::Options(_)
            | Self::GivenUp { .. } => false,
            // The key, the address and the method are the same for every request.
            Self::Refused(status) | Self::RefusedBecause { status, .. } => matches!(status, 401..=405),
            Self::Tried { last, .. } => last.is_of_endpoint(),
            _ => true,
        }
    }
}
