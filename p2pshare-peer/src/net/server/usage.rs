//! What a connection is used for: the calls on it, and what of their answers nobody reads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::body::Body;
use tracing::Span;

use crate::net::grpc::{Untaken, WatchedBody};

/// What a connection is used for at the moment.
pub(super) struct Usage {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    transfers: usize,
    last_change: Instant,
    /// How many calls there were.
    count: u64,
    /// Those that run, by their number.
    calls: HashMap<u64, Untaken>,
}

impl Usage {
    pub(super) fn new() -> Self {
        let state =
            State { transfers: 0, last_change: Instant::now(), count: 0, calls: HashMap::new() };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Since when there is no transfer; `None` while there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.transfers == 0).then_some(state.last_change)
    }

    /// Ready when the answer of [`idle_since`](Self::idle_since) has changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Of how many answers the client has taken nothing for so long, although there was something to take. They are memory
    /// until it does, or the connection is closed.
    pub(super) fn unread(&self, time: Duration) -> usize {
        self.state().calls.values().filter(|answer| answer.time() >= time).count()
    }

    fn note_change(&self, mut state: MutexGuard<'_, State>) {
        state.last_change = Instant::now();
        drop(state);
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that runs.
pub(super) struct Call {
    usage: Arc<Usage>,
    number: u64,
    is_transfer: bool,
    /// Whether its answer is taken.
    pub(super) untaken: Untaken,
}

impl Call {
    /// Begins a call.
    pub(super) fn new(usage: &Arc<Usage>, is_transfer: bool) -> Self {
        let untaken = Untaken::default();
        let mut state = usage.state();
        state.count += 1;
        let number = state.count;
        state.calls.insert(number, untaken.clone());
        if is_transfer {
            state.transfers += 1;
            usage.note_change(state);
        }
        Self { usage: Arc::clone(usage), number, is_transfer, untaken }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.usage.state();
        state.calls.remove(&self.number);
        if self.is_transfer {
            state.transfers = state.transfers.saturating_sub(1);
            self.usage.note_change(state);
        }
    }
}

/// The body of an answer. The call lasts until all of it is sent, and so does its span.
pub(super) fn answer(body: Body, call: Call, span: Span) -> WatchedBody<Body, (Call, Span)> {
    WatchedBody::holding(body, call.untaken.clone(), (call, span))
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use bytes::Bytes;
    use http_body::{Body as _, Frame};
    use http_body_util::StreamBody;
    use tonic::Status;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    type Answer = WatchedBody<Body, (Call, Span)>;

    fn answer_of(usage: &Arc<Usage>, parts: usize) -> Answer {
        let part = || Ok::<_, Status>(Frame::data(Bytes::from(vec![0; 1 << 20])));
        let parts: Vec<_> = std::iter::repeat_with(part).take(parts).collect();
        let body = Body::new(StreamBody::new(futures::stream::iter(parts)));
        answer(body, Call::new(usage, true), Span::none())
    }

    fn next(answer: &mut Answer) -> Bytes {
        let polled = Pin::new(answer).poll_frame(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_counts_until_it_is_or_the_answer_is_gone() {
        let usage = Arc::new(Usage::new());
        let [mut taken, mut given_up] = [answer_of(&usage, 2), answer_of(&usage, 2)];
        let (part, unsent) = (next(&mut taken), next(&mut given_up));
        tokio::time::advance(PATIENCE - Duration::from_millis(1)).await;
        assert_eq!(usage.unread(PATIENCE), 0);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(usage.unread(PATIENCE), 2);
        drop(part);
        assert_eq!(usage.unread(PATIENCE), 1);
        // Its answer may have ended long ago, it is memory as long as it is not sent.
        drop(given_up);
        assert_eq!(usage.unread(PATIENCE), 1);
        drop(unsent);
        assert_eq!(usage.unread(PATIENCE), 0);
        assert!(usage.idle_since().is_none());
        drop(taken);
        assert_eq!(usage.idle_since(), Some(Instant::now()));
    }
}
