//! How many requests are worked on at once.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use p2pshare_core::api::ProblemKind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    client::ClientAddr,
    failure::Failure,
    share::{Exhausted, Share, Shared},
};

/// So many wait for each that runs.
const WAITING_PER_RUNNING: usize = 4;

/// Lets a bounded number of requests run and a bounded number wait, for their turn or for what their clients send.
pub(super) struct Pool {
    places: Arc<Shared>,
    runs: Arc<Semaphore>,
}

/// A request's place among those that are in, as long as a clone lives; and while it runs, its turn.
#[derive(Clone)]
pub(super) struct Turn(Arc<Held>);

struct Held {
    _place: Share,
    runs: Arc<Semaphore>,
    run: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Pool {
    /// For `running` requests at once; one network has at most `per_network` in here, and never more than half of all.
    pub(super) fn new(running: usize, per_network: usize) -> Self {
        let running = running.clamp(1, Semaphore::MAX_PERMITS / (1 + WAITING_PER_RUNNING));
        let places = running * (1 + WAITING_PER_RUNNING);
        Self {
            places: Shared::new(places, per_network.min(places / 2)),
            runs: Arc::new(Semaphore::new(running)),
        }
    }

    /// Waits for its turn, in order of arrival. Dropping the future gives the place up.
    pub(super) async fn turn(&self, client: ClientAddr) -> Result<Turn, Failure> {
        let place = self.places.take(client, 1).map_err(|exhausted| match exhausted {
            Exhausted::ForAll => busy(),
            Exhausted::ForNetwork => too_many(),
        })?;
        let turn = Held { _place: place, runs: Arc::clone(&self.runs), run: Mutex::new(None) };
        let turn = Turn(Arc::new(turn));
        turn.resume().await?;
        Ok(turn)
    }
}

impl Turn {
    /// Waits for a client without holding up others: if `what` is not there at once, gives the turn up, and waits for
    /// another one when it is.
    pub(super) async fn while_waiting_for<T>(
        &self,
        what: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let mut what = pin!(what);
        if let Poll::Ready(done) = futures::poll!(what.as_mut()) {
            return Ok(done);
        }
        drop(self.run().take());
        let done = what.await;
        self.resume().await?;
        Ok(done)
    }

    async fn resume(&self) -> Result<(), Failure> {
        let run = Arc::clone(&self.0.runs).acquire_owned().await.map_err(|_| busy())?;
        *self.run() = Some(run);
        Ok(())
    }

    fn run(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        // Nothing that holds the lock can panic half way.
        self.0.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn busy() -> Failure {
    Failure::new(ProblemKind::Unavailable, "the index works on as many requests as it can")
        .hint("try again in a moment")
        .retry_after_secs(1)
}

fn too_many() -> Failure {
    Failure::new(ProblemKind::TooManyRequests, "too many requests run from this address")
        .hint("wait until some of them are answered")
        .retry_after_secs(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientAddr {
        ClientAddr(Some(text.parse().unwrap()))
    }

    #[tokio::test]
    async fn who_waits_for_a_client_lets_others_run() {
        let pool = Pool::new(1, 3);
        let slow = pool.turn(client("192.0.2.1")).await.unwrap();
        let (sender, body) = tokio::sync::oneshot::channel::<()>();
        let slow = tokio::spawn(async move { slow.while_waiting_for(body).await });
        // There is one turn, and this gets it.
        let other = pool.turn(client("198.51.100.1")).await.unwrap();
        sender.send(()).unwrap();
        drop(other);
        slow.await.unwrap().unwrap().unwrap();
        assert_eq!(pool.runs.available_permits(), 1);
    }

    #[tokio::test]
    async fn one_network_does_not_take_all_places() {
        let pool = Pool::new(2, 1);
        let _held = pool.turn(client("192.0.2.1")).await.unwrap();
        let refused = pool.turn(client("192.0.2.1")).await.err().unwrap();
        assert_eq!(refused.problem().kind(), Some(ProblemKind::TooManyRequests));
        assert!(pool.turn(client("198.51.100.1")).await.is_ok());
    }
}
