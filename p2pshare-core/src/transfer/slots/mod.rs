//! Upload slots: so many uploads at a time, the others wait in a queue that is fair by user.

mod queue;
#[cfg(test)]
mod tests;

use std::{
    future::Future,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt, stream};
use tokio::sync::watch;

use self::queue::{Place, Queue};
use super::{FetchEvent, SegmentStream, TransferError};
use crate::identity::Username;

/// Lets so many uploads run at a time. A clone is another handle on the same slots.
///
/// The others wait in turn: one request of each waiting user, round robin, so that a user with a hundred requests does
/// not hold up one with a single one. A slot that becomes free goes to whoever has the fewest. The queue is bounded: when it is full, the user with the most requests in it loses
/// his last one to a newcomer who has fewer; else the newcomer is refused.
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
}

/// An upload slot. Dropping it frees it.
#[derive(Debug)]
pub struct UploadSlot {
    shared: Arc<Mutex<Queue>>,
    user: Username,
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
        Ok(SlotRequest { shared: self.shared.clone(), user, id, place, told: None })
    }

    /// From now on so many run at a time. Uploads that run go on, whatever the number.
    pub fn resize(&self, slots: NonZeroUsize) {
        lock(&self.shared).resize(slots.get());
    }

    /// How many uploads run and how many wait.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        lock(&self.shared).usage()
    }

    /// A stream that waits for a slot, telling the places in the queue, then is the stream that `start` gives, and
    /// frees the slot when that one ends or is dropped.
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
    /// slot nothing comes any more: the future never ends.
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
                    let (shared, user) = (self.shared.clone(), self.user.clone());
                    return Ok(Turn::Granted(UploadSlot { shared, user }));
                }
                (Place::Evicted, _) => return Err(refusal()),
                (Place::Waiting(position), told) if told != Some(place) => {
                    return Ok(Turn::Queued { position });
                }
                _ => {}
            }
            if self.place.changed().await.is_err() {
                // The slot was given already: the queue has forgotten this request.
                std::future::pending::<()>().await;
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

impl Drop for SlotRequest {
    fn drop(&mut self) {
        let mut queue = lock(&self.shared);
        let place = *self.place.borrow();
        match place {
            Place::Waiting(_) => queue.leave(&self.user, self.id),
            // Granted, but nobody was told: the slot is in no one's hands.
            Place::Granted if self.told != Some(Place::Granted) => queue.release(&self.user),
            Place::Granted | Place::Evicted => {}
        }
    }
}

impl Drop for UploadSlot {
    fn drop(&mut self) {
        lock(&self.shared).release(&self.user);
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
        let event = stream.next().await?;
        Some((event, Self::Running(slot, stream)))
    }
}

fn refusal() -> TransferError {
    TransferError::Unavailable("too many downloads wait for it; try again later".to_owned())
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
