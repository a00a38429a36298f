//! A look at the store that many can have for the price of one.

use std::time::{Duration, Instant};

use p2pshare_core::index::{Index, model::StoreCounts};
use tokio::{sync::Mutex, time::timeout};

/// How old a look may be.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// A store that takes longer than this to say that it is there is not there.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(2);

/// A store that takes longer than this to count is not asked to count for now.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);

/// What was seen of a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Whether it answered.
    pub(super) ready: bool,
    /// How much is in it, private groups included: not for strangers. Missing if it did not answer.
    pub(super) counts: Option<StoreCounts>,
}

/// Looks at the store at most once in some seconds, however many ask, whatever comes of it.
#[derive(Debug, Default)]
pub(super) struct Lookout(Mutex<Option<(Instant, Seen)>>);

impl Lookout {
    /// The newest look, or a new one if that is too old. Whoever asks meanwhile waits for it.
    pub(super) async fn look(&self, index: &Index) -> Seen {
        let mut last = self.0.lock().await;
        if let Some((at, seen)) = *last
            && at.elapsed() < GOOD_FOR
        {
            return seen;
        }
        let seen = look(index).await;
        *last = Some((Instant::now(), seen));
        seen
    }
}

async fn look(index: &Index) -> Seen {
    let ready = matches!(timeout(READY_WITHIN, index.check()).await, Ok(Ok(())));
    if !ready {
        return Seen { ready, counts: None };
    }
    let counts = match timeout(COUNTED_WITHIN, index.counts()).await {
        Ok(Ok(counts)) => Some(counts),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store's contents cannot be counted");
            None
        }
        Err(_) => {
            tracing::warn!("counting the store's contents takes too long");
            None
        }
    };
    Seen { ready, counts }
}
