//! Noticing connections that are dead without a word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use p2pshare_core::transfer::TransferError;
use tokio::time::Instant;

use super::channel::Uses;
use crate::net::io::Traffic;

/// Whether a connection is in doubt: it takes no new calls then, those that run go on. A clone is the same doubt.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt(Arc<AtomicBool>);

impl Doubt {
    pub(super) fn is_there(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// The wait of one call for what its connection brings.
///
/// When it is dropped before it is over, and nothing at all came for long or no answer for twice as long, the connection
/// is in doubt. Else all new attempts would go into the same silence, until no ping was answered for long enough, or wait
/// behind megabytes that nobody wants any more. Whoever gives up a call, by a time limit or otherwise, has only to drop it.
#[derive(Debug)]
pub(super) struct Watch {
    doubt: Doubt,
    traffic: Traffic,
    /// When it began to wait for what comes next.
    since: Instant,
    /// How long silence is no reason for doubt.
    patience: Duration,
    answered: bool,
    over: bool,
    _uses: Uses,
}

impl Watch {
    pub(super) fn new(doubt: Doubt, traffic: Traffic, uses: Uses, patience: Duration) -> Self {
        let since = Instant::now();
        Self { doubt, traffic, since, patience, answered: false, over: false, _uses: uses }
    }

    /// Something has come for this call; it waits for more.
    pub(super) fn alive(&mut self) {
        self.answered = true;
        self.since = Instant::now();
    }

    /// What comes of the call, unless hardly anything passes over the connection for so long.
    pub(super) async fn busy<T>(
        &self,
        time: Duration,
        what: impl Future<Output = T>,
    ) -> Result<T, TransferError> {
        self.traffic.busy(time, what).await.ok_or(TransferError::Stalled(time))
    }

    /// Nothing is waited for any more.
    pub(super) fn over(&mut self) {
        self.over = true;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let waited = self.since.elapsed();
        let silent = self.traffic.silence().min(waited) >= self.patience;
        let ignored = !self.answered && waited >= self.patience.saturating_mul(2);
        if !self.over && (silent || ignored) {
            self.doubt.0.store(true, Relaxed);
        }
    }
}
