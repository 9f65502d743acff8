//! Bodies of requests, read within bounds, and bodies of responses.

use crate::api_error::ApiError;
use crate::completion::Completion;
use crate::desk::{Asked, Said, Ticket};
use crate::metrics::Metrics;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use loupe_core::Reply;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Reads a whole body.
///
/// # Errors
/// 413 when it is too large, 408 when it takes too long, 400 when it breaks off.
pub(crate) async fn read(body: &mut Incoming, most: usize, within: Duration) -> Result<Vec<u8>, ApiError> {
    let too_large = |bytes: String| {
        let message = format!(
            "the body has {bytes} bytes, the limit is {most}; send fewer or smaller pictures, or raise the limit with --max-body"
        );
        ApiError::new(413, "body_too_large", message)
    };
    let declared = body.size_hint().lower();
    if declared > most as u64 {
        return Err(too_large(declared.to_string()));
    }
    let reading = async {
        // No more than what has come is held: a length that is declared and not sent takes no memory.
        let mut bytes = Vec::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            let frame =
                frame.map_err(|_| ApiError::new(400, "body_cut", "the body of the request breaks off"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > most {
                return Err(too_large(format!("more than {most}")));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    };
    tokio::time::timeout(within, reading).await.unwrap_or_else(|_| {
        let message = format!("the body of the request did not come within {} seconds", within.as_secs_f64());
        Err(ApiError::new(408, "timeout", message))
    })
}

/// Takes what is left of a body that nobody reads, within bounds, so that the client gets to read the response
/// before the connection ends.
pub(crate) async fn drain(mut body: Incoming, most: usize, within: Duration) {
    let draining = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > most {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(within, draining).await;
}

/// The body of a response.
pub(crate) enum ResponseBody {
    /// All of it at once.
    Whole(Option<Bytes>),
    /// A reply as it is made.
    Events(Box<Events>),
}

impl ResponseBody {
    pub(crate) fn of(text: String) -> Self {
        Self::Whole(Some(text.into()))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().filter(|b| !b.is_empty())),
            Self::Events(events) => events.poll(context),
        };
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// A reply as server-sent events. Dropped before its end, it takes the ask back.
pub(crate) struct Events {
    completion: Completion,
    /// Nothing once the reply is whole.
    asked: Option<Asked>,
    /// Events that are ready.
    ready: VecDeque<Bytes>,
    /// Bytes of text that were sent.
    sent: String,
    metrics: Arc<Metrics>,
    since: Instant,
    /// Kept until the end.
    _ticket: Ticket,
}

impl Events {
    /// Of an ask whose first part has come.
    pub(crate) fn new(
        completion: Completion,
        asked: Asked,
        first: Said,
        ticket: Ticket,
        metrics: Arc<Metrics>,
        since: Instant,
    ) -> Self {
        let mut events = Self {
            completion,
            asked: Some(asked),
            ready: VecDeque::new(),
            sent: String::new(),
            metrics,
            since,
            _ticket: ticket,
        };
        let role = events.completion.chunk(&json!({"role": "assistant", "content": ""}), None);
        events.push(&role);
        events.take(first);
        events
    }

    fn push(&mut self, value: &Value) {
        self.ready.push_back(format!("data: {value}\n\n").into());
    }

    fn take(&mut self, said: Said) {
        match said {
            Said::Piece(text) => {
                let chunk = self.completion.chunk(&json!({"content": text}), None);
                self.sent.push_str(&text);
                self.push(&chunk);
            }
            Said::Done(reply) => {
                match *reply {
                    Ok(reply) => self.finish(&reply),
                    Err(error) => self.push(&ApiError::from(&error).body()),
                }
                self.ready.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
                self.asked = None;
                self.metrics.took(self.since.elapsed());
            }
        }
    }

    /// The rest of the text and the end of a reply.
    fn finish(&mut self, reply: &Reply) {
        let Some(rest) = reply.text.strip_prefix(&self.sent) else {
            let message = "the reply is not what its pieces were; take none of it";
            return self.push(&ApiError::new(500, "pieces_differ", message).body());
        };
        if !rest.is_empty() {
            let chunk = self.completion.chunk(&json!({"content": rest}), None);
            self.push(&chunk);
        }
        let end = self.completion.chunk(&json!({}), Some(reply));
        self.push(&end);
        if self.completion.shape.usage {
            let usage = self.completion.usage_chunk(reply);
            self.push(&usage);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            let Some(asked) = &mut self.asked else { return Poll::Ready(None) };
            match asked.poll(context) {
                Poll::Ready(said) => self.take(said),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
