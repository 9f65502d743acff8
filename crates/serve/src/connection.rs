//! Connections: each is bounded in number, in headers, and in how long it may do nothing.

use crate::api_error::ApiError;
use crate::house::House;
use crate::routes::respond;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::{Future, poll_fn};
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::Receiver;
use tokio::time::{Sleep, sleep};

/// Most bytes of the headers of a request, and of what is read or written at a time.
const BUFFER: usize = 64 << 10;
/// How long the loop waits when the system has no more file handles.
const PAUSE: Duration = Duration::from_millis(50);
/// Takes connections until it is dropped; `ending` tells them that the server ends.
pub(crate) async fn accept(listener: TcpListener, house: Arc<House>, ending: Receiver<bool>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        house.metrics.connections.add(1);
        let Ok(place) = Arc::clone(&house.places).try_acquire_owned() else {
            house.metrics.turned_away.add(1);
            turn_away(stream);
            continue;
        };
        let (house, ending) = (Arc::clone(&house), ending.clone());
        tokio::spawn(async move {
            serve(stream, house, ending).await;
            drop(place);
        });
    }
}

/// Says so to a connection above the limit, if it takes that at once.
fn turn_away(stream: TcpStream) {
    if let Ok(stream) = stream.into_std() {
        let _ = std::io::Write::write(&mut &stream, refusal().as_bytes());
    }
}

/// A whole response for a connection whose request nobody reads.
fn refusal() -> String {
    let error = ApiError::new(503, "too_many_connections", "too many connections; try again later");
    let body = error.body().to_string();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn serve(stream: TcpStream, house: Arc<House>, mut ending: Receiver<bool>) {
    // Pieces of a reply are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(house.limits.head_timeout).max_buf_size(BUFFER);
    let io = Patient { io: TokioIo::new(stream), within: house.limits.write_timeout, stalled: None };
    let service = service_fn(move |request| respond(Arc::clone(&house), request));
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut end = pin!(ending.wait_for(|ends| *ends));
    let over = poll_fn(|context| match connection.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending => end.as_mut().poll(context).map(|_| false),
    });
    if !over.await {
        connection.as_mut().graceful_shutdown();
        // What breaks a connection concerns its client alone.
        let _ = connection.await;
    }
}

/// A stream whose writes fail when the other side takes nothing for too long.
struct Patient {
    io: TokioIo<TcpStream>,
    within: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// What a write came to; when it waits, the time that it has waited.
    fn timed<T>(&mut self, written: Poll<Result<T>>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.within)));
        stalled.as_mut().poll(context).map(|()| Err(Error::from(ErrorKind::TimedOut)))
    }
}

impl Read for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_read(context, to)
    }
}

impl Write for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, from);
        self.timed(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, from);
        self.timed(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.timed(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(context);
        self.timed(shut, context)
    }
}
