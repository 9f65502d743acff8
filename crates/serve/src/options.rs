//! Where a server listens, whom it lets in, and how much it takes.

use crate::error::ServeError;
use crate::token::Token;
use loupe_core::MediaFetcher;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where a server listens, whom it lets in, and how much it takes.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Address and port; port 0 takes a free one. Anything but a loopback address needs a token.
    pub address: SocketAddr,
    /// What clients call the model; its own name when not given.
    pub name: Option<String>,
    /// What clients must send; without one everybody on this machine is let in.
    pub token: Option<Token>,
    /// How much is taken at a time.
    pub limits: ServeLimits,
    /// What fetches the pictures that requests give by address; without it addresses are refused.
    pub fetcher: Option<Arc<dyn MediaFetcher>>,
    /// End cleanly when the process gets SIGTERM or SIGINT.
    pub on_signals: bool,
}

impl ServeOptions {
    /// On this address, with the usual limits, without a token.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            name: None,
            token: None,
            limits: ServeLimits::default(),
            fetcher: None,
            on_signals: false,
        }
    }
}

/// Longest time that a client may take for anything.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How much a server takes. Every limit but `decoders` and `fetchers` has an option of `loupe serve` that raises it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeLimits {
    /// Most connections at a time.
    pub connections: usize,
    /// Most requests at a time, those that wait for their turn included; further ones get 429.
    pub requests: usize,
    /// Most bytes of a request's body, and of the files of the pictures that it gives by address.
    pub body_bytes: usize,
    /// Most pictures in a request.
    pub pictures: usize,
    /// Most bytes of the decoded pictures of all requests together.
    pub picture_bytes: u64,
    /// Most bytes of decoded pictures that are kept for later requests, which often ask about the same ones.
    pub kept_picture_bytes: u64,
    /// Most tokens of a reply; also how many a reply may have that gives no bound.
    pub reply_tokens: usize,
    /// How long a client may take for its headers, and an idle connection is kept.
    pub head_timeout: Duration,
    /// How long a client may take for the body of a request, and the pictures that it gives by address to be fetched.
    pub body_timeout: Duration,
    /// How long a client may take nothing of its reply.
    pub write_timeout: Duration,
    /// Requests whose pictures are decoded at a time.
    pub decoders: usize,
    /// Requests whose pictures are fetched at a time.
    pub fetchers: usize,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            requests: 256,
            body_bytes: 64 << 20,
            pictures: 128,
            picture_bytes: 2 << 30,
            kept_picture_bytes: 256 << 20,
            reply_tokens: 2048,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            decoders: std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 8),
            fetchers: 16,
        }
    }
}

impl ServeLimits {
    /// Refuses a limit of nothing, and times that are none to wait for.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        let counts = [
            ("connections", self.connections),
            ("requests", self.requests),
            ("bytes of a body", self.body_bytes),
            ("tokens of a reply", self.reply_tokens),
            ("decoders", self.decoders),
            ("fetchers", self.fetchers),
        ];
        let times = [self.head_timeout, self.body_timeout, self.write_timeout];
        if let Some((what, _)) = counts.iter().find(|(_, n)| *n == 0) {
            return Err(ServeError::Limit(format!("the most {what} must be at least 1")));
        }
        if times.iter().any(Duration::is_zero) {
            return Err(ServeError::Limit("a time limit must be more than nothing".into()));
        }
        if let Some(long) = times.iter().find(|time| **time > LONGEST) {
            let (long, most) = (long.as_secs(), LONGEST.as_secs());
            return Err(ServeError::Limit(format!(
                "a time limit of {long} s is too long; {most} s (a day) at most"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_no_clock_holds_are_refused() {
        let with = |time: Duration| ServeLimits { body_timeout: time, ..ServeLimits::default() }.check();
        assert!(with(LONGEST).is_ok());
        for long in [LONGEST + Duration::from_secs(1), Duration::from_secs(u64::MAX), Duration::MAX] {
            assert!(with(long).is_err_and(|e| e.to_string().contains("too long")), "{long:?}");
        }
        assert!(with(Duration::ZERO).is_err());
    }
}
