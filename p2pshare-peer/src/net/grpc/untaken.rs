//! Whether the other end takes what it is sent.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// So much has to be taken in the time in which something must be, or all that is there: less is as good as nothing.
const SOMETHING: usize = 64 << 10;

/// Since when the other end has taken nothing of a body, or hardly anything, although there was something. A clone tells
/// the same.
///
/// HTTP/2 asks a body for its next part when there was room for the one before: when enough was taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Untaken(Arc<Mutex<Option<Waiting>>>);

#[derive(Debug)]
struct Waiting {
    since: Instant,
    /// What was taken since.
    taken: usize,
}

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
        self.waiting().as_ref().map_or(Duration::ZERO, |waiting| waiting.since.elapsed())
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
            if sender.is_closed() {
                return Err(Unsent::Gone);
            }
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

    /// A part was handed on.
    fn handed_on(&self) {
        let fresh = Waiting { since: Instant::now(), taken: 0 };
        self.waiting().get_or_insert(fresh);
    }

    /// The last part, which was so long, was taken.
    fn taken(&self, len: usize) {
        if let Some(waiting) = &mut *self.waiting() {
            waiting.taken += len;
            if waiting.taken >= SOMETHING {
                *waiting = Waiting { since: Instant::now(), taken: 0 };
            }
        }
    }

    fn nothing_waits(&self) {
        *self.waiting() = None;
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that tells whether it is taken, and holds something as long as it lasts.
pub(crate) struct WatchedBody<B, H = ()> {
    body: B,
    untaken: Untaken,
    /// How long the last part was.
    last: usize,
    _held: H,
}

impl<B> WatchedBody<B> {
    /// As if something waited already: nobody has asked for anything.
    pub(crate) fn new(body: B, untaken: Untaken) -> Self {
        Self::holding(body, untaken, ())
    }
}

impl<B, H> WatchedBody<B, H> {
    /// The same, with something that is held.
    pub(crate) fn holding(body: B, untaken: Untaken, held: H) -> Self {
        untaken.handed_on();
        Self { body, untaken, last: 0, _held: held }
    }
}

impl<B, H> Drop for WatchedBody<B, H> {
    fn drop(&mut self) {
        self.untaken.nothing_waits();
    }
}

impl<B: Body + Unpin, H: Unpin> Body for WatchedBody<B, H> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let last = std::mem::take(&mut self.last);
        self.untaken.taken(last);
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(frame)) => {
                let data = frame.as_ref().ok().and_then(Frame::data_ref);
                self.last = data.map_or(0, Buf::remaining);
                self.untaken.handed_on();
            }
            Poll::Ready(None) | Poll::Pending => self.untaken.nothing_waits(),
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

    fn body(parts: usize, len: usize, untaken: &Untaken) -> impl Body<Data = Bytes> + Unpin {
        let part = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; len])));
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
        advance(TIME).await;
        assert_eq!(untaken.time(), Duration::ZERO);
        let mut body = body(2, SOMETHING, &untaken);
        // Nobody asks for the first.
        advance(TIME).await;
        assert_eq!(untaken.time(), TIME);
        assert!(ask(&mut body));
        assert_eq!(untaken.time(), TIME);
        assert!(ask(&mut body));
        assert_eq!(untaken.time(), Duration::ZERO);
        advance(TIME).await;
        assert_eq!(untaken.time(), TIME);
        // What has ended has nothing left to be taken.
        assert!(!ask(&mut body));
        assert_eq!(untaken.time(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_waits_no_more() {
        let untaken = Untaken::default();
        let mut body = body(2, SOMETHING, &untaken);
        assert!(ask(&mut body));
        advance(TIME).await;
        drop(body);
        assert_eq!(untaken.time(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_takes_nothing() {
        let untaken = Untaken::default();
        let mut body = body(100, SOMETHING / 8, &untaken);
        for _ in 0..8 {
            assert!(ask(&mut body));
            advance(TIME / 6).await;
        }
        assert!(untaken.time() > TIME);
        assert!(ask(&mut body));
        assert_eq!(untaken.time(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_as_long_as_something_is_taken() {
        let untaken = Untaken::default();
        let mut body = body(100, SOMETHING, &untaken);
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
        // Whoever has gone is not said to have taken nothing.
        drop(receiver);
        assert_eq!(untaken.send(&sender, 3, TIME).await, Err(Unsent::Gone));
    }
}
