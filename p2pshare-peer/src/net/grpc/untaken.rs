//! Whether the other end takes what it is sent.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// So much has to be taken in the time in which something must be, or all that is there: less is as good as nothing.
const SOMETHING: usize = 64 << 10;

/// Since when the other end has taken nothing of a body, or hardly anything, although there was something. A clone tells
/// the same.
///
/// What HTTP/2 has got of a body is taken once it is sent, which may be long after the body has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Untaken(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Bytes that lie in HTTP/2.
    unsent: usize,
    /// The body has not ended, nor was it asked for more than there is.
    has_more: bool,
    /// Since when something waits; `None` while nothing does.
    since: Option<Instant>,
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
        self.state().since.map_or(Duration::ZERO, |since| since.elapsed())
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

    /// So many bytes more lie in HTTP/2.
    fn hand_on(&self, len: usize) {
        self.change(|state| {
            state.unsent += len;
            state.has_more = true;
        });
    }

    /// So many bytes were sent, or will not be.
    fn take(&self, len: usize) {
        self.change(|state| {
            state.unsent = state.unsent.saturating_sub(len);
            state.taken += len;
            if state.taken >= SOMETHING {
                state.since = None;
            }
        });
    }

    /// The body has nothing more, for now or for ever.
    fn ask_in_vain(&self) {
        self.change(|state| state.has_more = false);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        if state.unsent == 0 && !state.has_more {
            state.since = None;
        } else if state.since.is_none() {
            state.since = Some(Instant::now());
            state.taken = 0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that tells whether it is taken, and holds something until all of it is.
pub(crate) struct WatchedBody<B, H = ()> {
    body: B,
    untaken: Untaken,
    held: Arc<H>,
}

/// A part of such a body, until it is sent.
struct Part<H> {
    bytes: Bytes,
    untaken: Untaken,
    _held: Arc<H>,
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
        untaken.hand_on(0);
        Self { body, untaken, held: Arc::new(held) }
    }
}

impl<B, H> Drop for WatchedBody<B, H> {
    fn drop(&mut self) {
        self.untaken.ask_in_vain();
    }
}

impl<H> AsRef<[u8]> for Part<H> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<H> Drop for Part<H> {
    fn drop(&mut self) {
        self.untaken.take(self.bytes.len());
    }
}

impl<B, H> Body for WatchedBody<B, H>
where
    B: Body<Data = Bytes> + Unpin,
    H: Send + Sync + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let Poll::Ready(Some(frame)) = polled else {
            self.untaken.ask_in_vain();
            return polled;
        };
        let frame = frame.map(|frame| {
            frame.map_data(|bytes| {
                self.untaken.hand_on(bytes.len());
                let (untaken, held) = (self.untaken.clone(), Arc::clone(&self.held));
                Bytes::from_owner(Part { bytes, untaken, _held: held })
            })
        });
        Poll::Ready(Some(frame))
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

    fn ask(body: &mut (impl Body<Data = Bytes> + Unpin)) -> Option<Bytes> {
        let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_is_taken_when_it_is_sent() {
        let untaken = Untaken::default();
        advance(TIME).await;
        assert_eq!(untaken.time(), Duration::ZERO);
        let mut body = body(2, SOMETHING, &untaken);
        // Nobody asks for the first.
        advance(TIME).await;
        assert_eq!(untaken.time(), TIME);
        let first = ask(&mut body);
        assert_eq!(untaken.time(), TIME);
        drop(first);
        assert_eq!(untaken.time(), Duration::ZERO);
        let second = ask(&mut body);
        advance(TIME).await;
        assert_eq!(untaken.time(), TIME);
        // That it has ended makes no difference to what lies there.
        assert!(ask(&mut body).is_none());
        drop(body);
        assert_eq!(untaken.time(), TIME);
        drop(second);
        assert_eq!(untaken.time(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_waits_no_more() {
        let untaken = Untaken::default();
        let mut body = body(2, SOMETHING, &untaken);
        let first = ask(&mut body);
        advance(TIME).await;
        drop((first, body));
        assert_eq!(untaken.time(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_nothing_to_give_is_not_waited_for() {
        let untaken = Untaken::default();
        let pending =
            StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let mut body = WatchedBody::new(pending, untaken.clone());
        assert!(ask(&mut body).is_none());
        advance(TIME).await;
        assert_eq!(untaken.time(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_takes_nothing() {
        let untaken = Untaken::default();
        let mut body = body(100, SOMETHING / 8, &untaken);
        for _ in 0..7 {
            drop(ask(&mut body));
            advance(TIME / 6).await;
        }
        assert!(untaken.time() > TIME);
        drop(ask(&mut body));
        assert_eq!(untaken.time(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_held_until_all_is_sent() {
        let (untaken, held) = (Untaken::default(), Arc::new(()));
        let part = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"part")));
        let inner = StreamBody::new(futures::stream::iter([part]));
        let mut body = WatchedBody::holding(inner, untaken, Arc::clone(&held));
        let part = ask(&mut body);
        drop(body);
        assert_eq!(Arc::strong_count(&held), 2);
        drop(part);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_as_long_as_something_is_taken() {
        let untaken = Untaken::default();
        let mut body = body(100, SOMETHING, &untaken);
        let (sender, receiver) = mpsc::channel(1);
        assert_eq!(untaken.send(&sender, 1, TIME).await, Ok(()));
        let mut part = ask(&mut body);
        {
            let mut second = pin!(untaken.send(&sender, 2, TIME));
            for _ in 0..10 {
                assert_eq!(timeout(TIME * 3 / 4, &mut second).now_or_never(), None);
                advance(TIME * 3 / 4).await;
                drop(part);
                part = ask(&mut body);
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
