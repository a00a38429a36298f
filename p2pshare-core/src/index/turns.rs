//! One search of a user at a time, say: who asks for many at once waits for their own, not everybody for theirs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::identity::Username;

/// The turns of all users that do something at the moment which takes long.
#[derive(Debug)]
pub(super) struct Turns {
    queues: Mutex<HashMap<Username, Queue>>,
    /// So many of one user may have the turn or wait for it.
    most: usize,
}

#[derive(Debug)]
struct Queue {
    turn: Arc<Semaphore>,
    /// Those who have the turn or wait for it.
    count: usize,
}

/// It is one's turn, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    // The turn goes on before the place is given up.
    _turn: OwnedSemaphorePermit,
    _place: Place<'a>,
}

/// A place in the queue of a user.
#[derive(Debug)]
struct Place<'a> {
    turns: &'a Turns,
    user: &'a Username,
}

impl Turns {
    pub(super) fn new(most: usize) -> Self {
        Self { queues: Mutex::default(), most }
    }

    /// Waits for the user's turn; `None` when far too many of them wait.
    ///
    /// Cancellation: the place is given up.
    pub(super) async fn take<'a>(&'a self, user: &'a Username) -> Option<Turn<'a>> {
        let turn = {
            let mut queues = self.lock();
            let queue = queues
                .entry(user.clone())
                .or_insert_with(|| Queue { turn: Arc::new(Semaphore::new(1)), count: 0 });
            if queue.count >= self.most {
                return None;
            }
            queue.count += 1;
            queue.turn.clone()
        };
        let place = Place { turns: self, user };
        // It is never closed.
        let turn = turn.acquire_owned().await.ok()?;
        Some(Turn { _turn: turn, _place: place })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Username, Queue>> {
        // Nothing that holds the lock can panic half way.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queues = self.turns.lock();
        if let Some(queue) = queues.get_mut(self.user) {
            queue.count -= 1;
            if queue.count == 0 {
                queues.remove(self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn each_user_has_one_turn_at_a_time_and_nothing_is_kept() {
        let turns = Turns::new(3);
        let (alice, bob) = ("alice".parse().unwrap(), "bob".parse().unwrap());
        let first = turns.take(&alice).now_or_never().flatten().unwrap();
        let mut second = Box::pin(turns.take(&alice));
        let given_up = Box::pin(turns.take(&alice));
        assert!(second.as_mut().now_or_never().is_none(), "it is the first one's turn");
        assert!(turns.take(&bob).now_or_never().flatten().is_some(), "bob waits for nobody");
        drop(given_up);
        drop(first);
        drop(second.now_or_never().flatten().unwrap());
        assert!(turns.lock().is_empty());
    }

    #[tokio::test]
    async fn far_too_many_are_turned_away() {
        const MOST: usize = 3;
        let turns = Turns::new(MOST);
        let alice = "alice".parse().unwrap();
        let mut waiting: Vec<_> = (0..MOST).map(|_| Box::pin(turns.take(&alice))).collect();
        let has_turn: Vec<_> =
            waiting.iter_mut().filter_map(|one| one.as_mut().now_or_never()).collect();
        assert_eq!(has_turn.len(), 1);
        assert!(turns.take(&alice).now_or_never().unwrap().is_none());
        waiting.pop();
        assert!(turns.take(&alice).now_or_never().is_none(), "it waits");
    }
}
