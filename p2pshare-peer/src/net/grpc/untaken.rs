//! Whether the other end takes what it is sent.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// Since when the other end has taken nothing of a body although there was something. A clone tells the same.
///
/// HTTP/2 asks a body for its next part when there is room for it: when of what came before enough was taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Untaken(Arc<Mutex<Option<Instant>>>);

/// Why a message could not be sent: the work must end and free what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// The other end went away, or has ended the call.
    Gone,
    /// It took nothing for so long.
    Stalled(Duration),
}

impl Untaken {
    /// How long it has been so; zero when nothing waits.
    pub(crate) fn time(&self) -> Duration {
        self.since().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Sends a message of this body; waits for room as long as the other end takes of it now and then, at least once in
    /// `time`. On a slow line it may take minutes until there is room for a whole message.
    pub(crate) async fn send<T>(
        &self,
        sender: &mpsc::Sender<T>,
        message: T,
        time: Duration,
    ) -> Result<(), Unsent> {
        let mut room = pin!(sender.reserve());
        loop {
            let Some(left) = time.checked_sub(self.time()).filter(|left| !left.is_zero()) else {
                return Err(Unsent::Stalled(time));
            };
            match timeout(left, room.as_mut()).await {
                Ok(Ok(room)) => {
                    room.send(message);
                    return Ok(());
                }
                Ok(Err(_)) => return Err(Unsent::Gone),
                Err(_) => {}
            }
        }
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that tells whether it is taken.
pub(crate) struct WatchedBody<B> {
    body: B,
    untaken: Untaken,
}

impl<B> WatchedBody<B> {
    pub(crate) fn new(body: B, untaken: Untaken) -> Self {
        Self { body, untaken }
    }
}

impl<B: Body + Unpin> Body for WatchedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        *self.untaken.since() = None;
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(Some(_))) {
            *self.untaken.since() = Some(Instant::now());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Waker;

    use bytes::Bytes;
    use futures::FutureExt;
    use http_body_util::StreamBody;
    use tokio::time::advance;

    use super::*;

    const TIME: Duration = Duration::from_secs(60);

    fn body(parts: usize, untaken: &Untaken) -> impl Body<Data = Bytes> + Unpin {
        let part = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"part")));
        let parts: Vec<_> = std::iter::repeat_with(part).take(parts).collect();
        WatchedBody::new(StreamBody::new(futures::stream::iter(parts)), untaken.clone())
    }

    fn ask(body: &mut (impl Body + Unpin)) -> bool {
        let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
        matches!(polled, Poll::Ready(Some(Ok(_))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_is_taken_when_the_next_is_asked_for() {
        let untaken = Untaken::default();
        let mut body = body(2, &untaken);
        advance(TIME).await;
        assert_eq!(untaken.time(), Duration::ZERO);
        assert!(ask(&mut body));
        advance(TIME).await;
        assert_eq!(untaken.time(), TIME);
        assert!(ask(&mut body));
        assert_eq!(untaken.time(), Duration::ZERO);
        advance(TIME).await;
        // What has ended has nothing left to be taken.
        assert!(!ask(&mut body));
        assert_eq!(untaken.time(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_as_long_as_something_is_taken() {
        let untaken = Untaken::default();
        let mut body = body(100, &untaken);
        let (sender, receiver) = mpsc::channel(1);
        assert_eq!(untaken.send(&sender, 1, TIME).await, Ok(()));
        assert!(ask(&mut body));
        {
            let mut second = pin!(untaken.send(&sender, 2, TIME));
            for _ in 0..10 {
                assert_eq!(timeout(TIME * 3 / 4, &mut second).now_or_never(), None);
                advance(TIME * 3 / 4).await;
                assert!(ask(&mut body));
            }
            let begun = Instant::now();
            assert_eq!(second.await, Err(Unsent::Stalled(TIME)));
            assert!((TIME..TIME * 5 / 4).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        }
        drop(receiver);
        assert!(ask(&mut body));
        assert_eq!(untaken.send(&sender, 3, TIME).await, Err(Unsent::Gone));
    }
}
