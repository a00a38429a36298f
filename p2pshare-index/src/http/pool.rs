//! How many requests are worked on at once.

use std::sync::Arc;

use p2pshare_core::api::ProblemKind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;

/// So many wait for each that runs.
const WAITING_PER_RUNNING: usize = 4;

/// Lets a bounded number of requests run and a bounded number wait.
pub(super) struct Pool {
    places: Arc<Semaphore>,
    runs: Arc<Semaphore>,
}

/// A request runs while this is held.
pub(super) struct Turn {
    _place: OwnedSemaphorePermit,
    _run: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(running: usize) -> Self {
        let running = running.clamp(1, Semaphore::MAX_PERMITS / (1 + WAITING_PER_RUNNING));
        Self {
            places: Arc::new(Semaphore::new(running * (1 + WAITING_PER_RUNNING))),
            runs: Arc::new(Semaphore::new(running)),
        }
    }

    /// Waits for its turn, in order of arrival. Dropping the future gives the place up.
    pub(super) async fn turn(&self) -> Result<Turn, Failure> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let run = Arc::clone(&self.runs).acquire_owned().await.map_err(|_| busy())?;
        Ok(Turn { _place: place, _run: run })
    }
}

fn busy() -> Failure {
    Failure::new(ProblemKind::Unavailable, "the index works on as many requests as it can")
        .hint("try again in a moment")
        .retry_after_secs(1)
}
