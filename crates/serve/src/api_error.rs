//! What a client is told when its request is not answered, in the shape of OpenAI's errors.

use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER};
use loupe_core::{MediaError, ModelError, Retry};
use serde_json::{Value, json};

/// Why a request is not answered: a status, and the words and marks of OpenAI's error object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// HTTP status.
    pub(crate) status: u16,
    /// A word for programs, such as `context_length_exceeded`.
    pub(crate) code: &'static str,
    /// The field of the request that is at fault.
    pub(crate) param: Option<String>,
    /// What was found, what is expected, what to do.
    pub(crate) message: String,
    /// A header that belongs to the status.
    pub(crate) header: Option<Box<(HeaderName, HeaderValue)>>,
}

impl ApiError {
    /// With this status.
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, param: None, message: message.into(), header: None }
    }

    /// A field of the request is at fault.
    pub(crate) fn field(param: impl Into<String>, message: impl Into<String>) -> Self {
        let mut error = Self::new(400, "invalid_value", message);
        error.param = Some(param.into());
        error
    }

    /// The same, to be tried again after so many seconds.
    #[must_use]
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.header = Some(Box::new((RETRY_AFTER, seconds.into())));
        self
    }

    /// The same with this header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some(Box::new((name, HeaderValue::from_static(value))));
        self
    }

    /// The same under another word for programs.
    #[must_use]
    pub(crate) fn coded(mut self, code: &'static str) -> Self {
        self.code = code;
        self
    }

    /// The kind of error, as OpenAI's clients know it.
    fn kind(&self) -> &'static str {
        match self.status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            503 => "service_unavailable",
            _ => "server_error",
        }
    }

    /// The body of the response.
    pub(crate) fn body(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind(),
            "param": self.param,
            "code": self.code,
        }})
    }

    /// A picture of the request is at fault, or cannot be decoded at the moment.
    pub(crate) fn of_picture(param: &str, error: &MediaError) -> Self {
        let message = format!("the picture of {param} could not be read: {error}");
        match error {
            MediaError::OutOfMemory { .. } => {
                let mut error = Self::new(503, "out_of_memory", message).after(5);
                error.param = Some(param.to_owned());
                error
            }
            _ => Self::field(param, message).coded("invalid_image"),
        }
    }
}

impl From<&ModelError> for ApiError {
    fn from(error: &ModelError) -> Self {
        let message = error.to_string();
        match error {
            ModelError::Cancelled => {
                Self::new(503, "shutting_down", "the server is going down and gave the request up").after(5)
            }
            ModelError::TooLong { .. } => Self::field("messages", message).coded("context_length_exceeded"),
            ModelError::Picture { .. } => Self::field("messages", message).coded("invalid_image"),
            ModelError::Memory { .. } => Self::new(400, "out_of_memory", message),
            ModelError::Setting { setting, .. } => Self::field(*setting, message),
            ModelError::Template(_) => Self::field("messages", message).coded("chat_template"),
            ModelError::NotFinite(_)
            | ModelError::EqualLogits
            | ModelError::NoSuchPicture { .. }
            | ModelError::Compute(_) => Self::new(500, "computation_failed", message),
            other if other.retry() == Retry::Never => Self::new(400, "refused_by_model", message),
            _ => Self::new(503, "not_now", message).after(5),
        }
    }
}
