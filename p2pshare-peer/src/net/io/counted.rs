//! Counting what comes over a connection, encrypted or not.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::forward_writes;

/// How many bytes have come over a connection, and when the last did. A clone reads the same.
#[derive(Clone, Debug)]
pub(crate) struct Received(Arc<Count>);

#[derive(Debug)]
struct Count {
    bytes: AtomicU64,
    since: Instant,
    /// When the last bytes came, in milliseconds after `since`.
    last: AtomicU64,
}

impl Received {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }

    /// How long nothing has come.
    pub(crate) fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.0.last.load(Relaxed));
        self.0.since.elapsed().saturating_sub(last)
    }

    fn more(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.0.bytes.fetch_add(bytes as u64, Relaxed);
        let now = u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(now, Relaxed);
    }
}

impl Default for Received {
    fn default() -> Self {
        let (bytes, last) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Count { bytes, since: Instant::now(), last }))
    }
}

/// A TCP connection that counts what comes.
pub(crate) struct Counted {
    stream: TcpStream,
    received: Received,
}

impl Counted {
    pub(crate) fn new(stream: TcpStream) -> (Self, Received) {
        let received = Received::default();
        (Self { stream, received: received.clone() }, received)
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let more = buf.filled().len().saturating_sub(before);
        self.received.more(more);
        read
    }
}

forward_writes!([] Counted, stream);
