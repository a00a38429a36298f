//! Counting what passes over a connection, encrypted or not.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout};

use super::line::Line;

/// Less than this in the time that a peer may stall is silence: pings and their answers take some of it.
const SIGN_OF_LIFE: u64 = 4 << 10;

/// How many bytes have passed over a connection, and when the last came. A clone reads the same.
#[derive(Clone, Debug)]
pub(crate) struct Traffic(Arc<Count>);

#[derive(Debug)]
struct Count {
    /// Both ways together.
    bytes: AtomicU64,
    since: Instant,
    /// When the last bytes came, in milliseconds after `since`.
    last: AtomicU64,
    line: Mutex<Line>,
}

impl Traffic {
    /// How long the slices should be in which contents are written.
    pub(crate) fn slice(&self) -> usize {
        self.line().slice()
    }

    /// How long nothing has come.
    pub(crate) fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.0.last.load(Relaxed));
        self.0.since.elapsed().saturating_sub(last)
    }

    /// Waits for something as long as the connection is busy; `None` once hardly anything has passed in `time`.
    ///
    /// HTTP/2 gives a frame when all of it has come, and what is sent goes into buffers first: on a slow line that is
    /// shared, either takes minutes.
    pub(crate) async fn busy<T>(&self, time: Duration, what: impl Future<Output = T>) -> Option<T> {
        let mut what = std::pin::pin!(what);
        loop {
            let before = self.0.bytes.load(Relaxed);
            if let Ok(done) = timeout(time, what.as_mut()).await {
                return Some(done);
            }
            if self.0.bytes.load(Relaxed).saturating_sub(before) < SIGN_OF_LIFE {
                return None;
            }
        }
    }

    fn came(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.passed(bytes);
        let now = u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(now, Relaxed);
    }

    fn passed(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Notes what became of writing.
    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.passed(*bytes);
                self.line().took(*bytes);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.line().full(),
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Traffic {
    fn default() -> Self {
        let (bytes, last) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Count { bytes, since: Instant::now(), last, line: Mutex::default() }))
    }
}

/// A connection that counts what passes.
pub(crate) struct Counted<S> {
    stream: S,
    traffic: Traffic,
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S) -> (Self, Traffic) {
        let traffic = Traffic::default();
        (Self { stream, traffic: traffic.clone() }, traffic)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let more = buf.filled().len().saturating_sub(before);
        self.traffic.came(more);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.traffic.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.traffic.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const TIME: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_waits_as_long_as_much_passes() {
        let traffic = Traffic::default();
        let passing = async |bytes| {
            for _ in 0..100 {
                sleep(TIME / 4).await;
                traffic.passed(bytes);
            }
            sleep(10 * TIME).await;
        };
        let begun = Instant::now();
        assert_eq!(traffic.busy(TIME, sleep(TIME / 2)).await, Some(()));
        assert_eq!(begun.elapsed(), TIME / 2);
        tokio::select! {
            waited = traffic.busy(TIME, pending::<()>()) => assert_eq!(waited, None),
            () = passing(2000) => panic!("it waits on although nothing passes"),
        }
        assert!(begun.elapsed() > 25 * TIME, "{:?}", begun.elapsed());
        let begun = Instant::now();
        tokio::select! {
            waited = traffic.busy(TIME, pending::<()>()) => assert_eq!(waited, None),
            () = passing(200) => panic!("pings keep it"),
        }
        assert_eq!(begun.elapsed(), TIME);
    }
}
