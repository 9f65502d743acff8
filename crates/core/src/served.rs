//! What is on record of a reply that a server gave: what was sent to it, and what it said beside the reply's words.

use serde::{Deserialize, Serialize};

/// A picture as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentPicture {
    /// Over the file that was sent, in hexadecimal.
    pub sha256: String,
    /// Its bytes.
    pub bytes: usize,
    /// Width and height in pixels; smaller than the picture that was given where it was reduced to fit a bound.
    pub size: [usize; 2],
}

/// A token as a server says it: its words, not its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServedToken {
    /// Token chosen.
    pub text: String,
    /// Its log-probability (natural logarithm).
    pub logprob: f64,
    /// The likeliest tokens with their log-probabilities, as the server orders them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<(String, f64)>,
}

/// How the probabilities of options were read from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionsFrom {
    /// `/v1/decisions`, which said how much of the probability fell on the options.
    Decisions,
    /// `/v1/decisions`, which said the share of each option and not how much fell on all of them.
    Shares,
    /// The likeliest first tokens.
    TopLogprobs,
}

/// What was sent to a server, and what came back beside the words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServedRecord {
    /// SHA-256 over the request's body, in hexadecimal.
    pub request_sha256: String,
    /// The pictures of the request, in the order of the ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<SentPicture>,
    /// Fields that are usually sent and that this server refuses; each had the value that changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_sent: Vec<String>,
    /// The model as the reply names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The server's mark of how it computes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
    /// Thoughts that the server keeps apart from the reply. They are never read as an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The tokens with their log-probabilities, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<ServedToken>>,
    /// How the probabilities of options were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options_from: Option<OptionsFrom>,
    /// Options that are not among the likeliest tokens that the server gives; their probability, below that of the
    /// least of these, stands as 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options_below_top: Vec<usize>,
    /// How often the request was sent.
    #[serde(skip_serializing_if = "is_one")]
    pub tries: u32,
}

fn is_one(n: &u32) -> bool {
    *n <= 1
}
