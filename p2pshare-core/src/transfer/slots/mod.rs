//! Upload slots: so many uploads at a time, the others wait in a queue that is fair by user.

mod queue;
mod running;
#[cfg(test)]
mod tests;

use std::{
    future::{self, Future},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use self::queue::{Place, Queue, TELL_EVERY};
pub use self::running::ReservedSlots;
use super::{FetchEvent, SegmentStream, TransferError};
use crate::identity::Username;

/// So long a user waits without any slot before one is taken back from somebody who has several.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lets so many uploads run at a time. A clone is another handle on the same slots.
///
/// The others wait in turn: one request of each waiting user, round robin, so that a user with a hundred requests does
/// not hold up one with a single one. A slot that becomes free goes to whoever has the fewest, and who has waited for 30
/// seconds without any gets one of those that somebody else has beside his first: who reads slowly does not keep them all. It
/// may take longer until it is free, as long as a server lets a client read nothing.
/// The queue is bounded: when it is full, the user with the most requests in it loses his last one to a newcomer who has
/// fewer; else the newcomer is refused.
///
/// Some slots may be for certain users alone ([`reserve`](Self::reserve)).
#[derive(Clone, Debug)]
pub struct UploadSlots {
    shared: Arc<Mutex<Queue>>,
}

/// A request for a slot. Dropping it gives up the place in the queue, or the slot.
#[derive(Debug)]
pub struct SlotRequest {
    shared: Arc<Mutex<Queue>>,
    user: Username,
    id: u64,
    place: watch::Receiver<Place>,
    /// What was told last.
    told: Option<Place>,
    /// Until when it waits quietly.
    quiet: Instant,
}

/// An upload slot. Dropping it frees it.
#[derive(Debug)]
pub struct UploadSlot {
    shared: Arc<Mutex<Queue>>,
    id: u64,
    revoked: CancellationToken,
}

/// What a request for a slot is told.
#[derive(Debug)]
pub enum Turn {
    /// It waits.
    Queued {
        /// So many requests end or are served before this one, 1 or more, as far as can be told: it may grow when other
        /// users join, and shrink faster when those before it have slots.
        position: u32,
    },
    /// It has a slot.
    Granted(UploadSlot),
}

impl UploadSlots {
    /// `slots` at a time and at most `max_waiting` in the queue.
    #[must_use]
    pub fn new(slots: NonZeroUsize, max_waiting: usize) -> Self {
        Self { shared: Arc::new(Mutex::new(Queue::new(slots.get(), max_waiting))) }
    }

    /// Asks for a slot.
    ///
    /// # Errors
    ///
    /// [`TransferError::Unavailable`] when the queue is full.
    pub fn acquire(&self, user: Username) -> Result<SlotRequest, TransferError> {
        let (id, place) = lock(&self.shared).join(&user).ok_or_else(refusal)?;
        let quiet = Instant::now() + PATIENCE;
        Ok(SlotRequest { shared: self.shared.clone(), user, id, place, told: None, quiet })
    }

    /// From now on so many run at a time, besides what is reserved. Uploads that run go on, whatever the number.
    pub fn resize(&self, slots: NonZeroUsize) {
        lock(&self.shared).resize(slots.get());
    }

    /// From now on these slots are there too, each for its users alone; they take one of those first. Uploads that run go
    /// on.
    pub fn reserve(&self, reserved: Vec<ReservedSlots>) {
        lock(&self.shared).reserve(reserved);
    }

    /// How many may run at a time, those included that are reserved.
    #[must_use]
    pub fn capacity(&self) -> usize {
        lock(&self.shared).capacity()
    }

    /// How many uploads run and how many wait.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        lock(&self.shared).usage()
    }

    /// A stream that waits for a slot, telling the places in the queue, then is the stream that `start` gives, and
    /// frees the slot when that one ends or is dropped. If the slot is taken back, it ends with
    /// [`TransferError::Unavailable`].
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire). An error of `start` comes in the stream.
    pub fn run<F>(
        &self,
        user: Username,
        start: impl FnOnce() -> F + Send + 'static,
    ) -> Result<SegmentStream, TransferError>
    where
        F: Future<Output = Result<SegmentStream, TransferError>> + Send + 'static,
    {
        let waiting = Upload::Waiting(self.acquire(user)?, start);
        Ok(stream::unfold(waiting, Upload::next).boxed())
    }
}

impl SlotRequest {
    /// Waits for the next news: each new place in the queue, then the slot. The first news comes at once. After the
    /// slot nothing comes any more: the future never ends. Needs the time of a tokio runtime.
    ///
    /// Cancellation: dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`TransferError::Unavailable`] when the request lost its place in a full queue.
    pub async fn next(&mut self) -> Result<Turn, TransferError> {
        loop {
            let place = *self.place.borrow_and_update();
            match (place, self.told.replace(place)) {
                (Place::Granted, told) if told != Some(Place::Granted) => {
                    let (shared, id) = (self.shared.clone(), self.id);
                    let revoked = lock(&shared).revoked(id);
                    return Ok(Turn::Granted(UploadSlot { shared, id, revoked }));
                }
                (Place::Evicted, _) => return Err(refusal()),
                (Place::Waiting(position), told) if told != Some(place) => {
                    return Ok(Turn::Queued { position });
                }
                _ => {}
            }
            let look = self.quiet.min(Instant::now() + TELL_EVERY);
            match timeout_at(look, self.place.changed()).await {
                Ok(Ok(())) => {}
                // The slot was given already: the queue has forgotten this request.
                Ok(Err(_)) => future::pending().await,
                Err(_) if Instant::now() < self.quiet => lock(&self.shared).tell_stale(),
                Err(_) => {
                    self.quiet = Instant::now() + PATIENCE;
                    lock(&self.shared).hurry(&self.user);
                }
            }
        }
    }

    /// Waits for the slot alone.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn granted(mut self) -> Result<UploadSlot, TransferError> {
        loop {
            if let Turn::Granted(slot) = self.next().await? {
                return Ok(slot);
            }
        }
    }
}

impl UploadSlot {
    /// Waits until the slot is taken back: somebody else has waited long, and its user has another one. Who has it should
    /// drop it then. Otherwise the future never ends.
    pub async fn revoked(&self) {
        self.revoked.cancelled().await;
    }
}

impl Drop for SlotRequest {
    fn drop(&mut self) {
        let mut queue = lock(&self.shared);
        let place = *self.place.borrow();
        match place {
            Place::Waiting(_) => queue.leave(&self.user, self.id),
            // Granted, but nobody was told: the slot is in no one's hands.
            Place::Granted if self.told != Some(Place::Granted) => queue.release(self.id),
            Place::Granted | Place::Evicted => {}
        }
    }
}

impl Drop for UploadSlot {
    fn drop(&mut self) {
        lock(&self.shared).release(self.id);
    }
}

/// The steps of [`UploadSlots::run`].
enum Upload<S> {
    Waiting(SlotRequest, S),
    Running(UploadSlot, SegmentStream),
    Ended,
}

impl<S, F> Upload<S>
where
    S: FnOnce() -> F,
    F: Future<Output = Result<SegmentStream, TransferError>>,
{
    async fn next(self) -> Option<(Result<FetchEvent, TransferError>, Self)> {
        let (slot, mut stream) = match self {
            Self::Waiting(mut request, start) => match request.next().await {
                Ok(Turn::Queued { position }) => {
                    let event = FetchEvent::Queued { position };
                    return Some((Ok(event), Self::Waiting(request, start)));
                }
                Ok(Turn::Granted(slot)) => match start().await {
                    Ok(stream) => (slot, stream),
                    Err(error) => return Some((Err(error), Self::Ended)),
                },
                Err(error) => return Some((Err(error), Self::Ended)),
            },
            Self::Running(slot, stream) => (slot, stream),
            Self::Ended => return None,
        };
        tokio::select! {
            biased;
            () = slot.revoked() => Some((Err(taken_back()), Self::Ended)),
            event = stream.next() => Some((event?, Self::Running(slot, stream))),
        }
    }
}

fn refusal() -> TransferError {
    TransferError::Unavailable("too many downloads wait for it; try again later".to_owned())
}

fn taken_back() -> TransferError {
    TransferError::Unavailable("others wait, and the same user has another download".to_owned())
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
