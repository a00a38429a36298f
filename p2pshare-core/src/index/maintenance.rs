//! What the index does by itself: writing heartbeats, forgetting what has ended.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tokio_util::sync::CancellationToken;

use super::{Index, store::StoreResult};
use crate::{identity::Username, time::Timestamp};

/// Heartbeats are written this often.
pub const FLUSH_EVERY: Duration = Duration::from_secs(2);

/// What has ended is forgotten this often.
const PURGE_EVERY: Duration = Duration::from_secs(10 * 60);

/// Accounts that are looked at together.
const ACCOUNTS: u32 = 1000;

/// How far the clocks of indexes over one store may be apart.
const CLOCKS: Duration = Duration::from_secs(3600);

/// Peers forgotten in one write: one can have very many files, and others wait meanwhile.
const PURGE_PEERS: u32 = 1;

impl Index {
    /// Runs until `shutdown` is cancelled: writes heartbeats and forgets what has ended. Failures of the store are
    /// logged and tried again.
    pub async fn maintain(&self, shutdown: CancellationToken) {
        let mut flush = interval(FLUSH_EVERY);
        let mut purge = interval_at(Instant::now() + PURGE_EVERY, PURGE_EVERY);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        purge.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let flushing = async {
            // A write that has begun is not given up: what it writes would be lost.
            while shutdown.run_until_cancelled(flush.tick()).await.is_some() {
                log(self.flush_presence().await, "writing heartbeats");
            }
        };
        // Beside it: very many peers may have ended, and meanwhile others beat.
        let purging = async {
            loop {
                purge.tick().await;
                log(self.purge_as_one().await, "forgetting what has ended");
            }
        };
        tokio::join!(flushing, shutdown.run_until_cancelled(purging));
        log(self.flush_presence().await, "writing the last heartbeats");
    }

    /// Forgets what has ended, if no other process over the same store does so.
    async fn purge_as_one(&self) -> StoreResult<()> {
        if self.store().lease("purge", &self.inner.holder, 2 * PURGE_EVERY).await? {
            self.purge().await?;
        }
        Ok(())
    }

    /// Withdraws what disabled accounts still share: what came in as they were disabled, or was left when whoever
    /// disabled them did not wait. Deletes those of which that has begun.
    async fn end_accounts(&self) -> StoreResult<()> {
        let mut after: Option<Username> = None;
        let mut all = Ok(());
        loop {
            let page = self.store().users(after.as_ref(), ACCOUNTS).await?;
            let Some(last) = page.last() else { return all };
            after = Some(last.name.clone());
            for user in &page {
                let ended = match user.is_leaving() {
                    true => self.end_deletion(user).await,
                    false if user.disabled => self.withdraw_in_parts(&user.name, 0).await,
                    false => continue,
                };
                all = all.and(ended);
            }
        }
    }

    /// Forgets sessions and invites that have ended, peers that have long been away, accounts that are being deleted, and
    /// what disabled ones still share. Changes no answer but for the entries of those.
    /// One that fails keeps it from none of the others.
    pub async fn purge(&self) -> StoreResult<()> {
        let now = self.now();
        let sessions = self.store().purge_sessions(now).await;
        let invites = self.store().purge_invites(now).await;
        // No peers yet, but partial sources: those that have ended by every index's clock.
        let ended = self.store().purge_peers(now.saturating_sub(CLOCKS), 0).await;
        let peers = self.purge_peers(now).await;
        let accounts = self.end_accounts().await;
        sessions.and(invites).and(ended).and(peers).and(accounts)
    }

    async fn purge_peers(&self, now: Timestamp) -> StoreResult<()> {
        let before = now.saturating_sub(self.config().forget_peers_after);
        while self.store().purge_peers(before, PURGE_PEERS).await? == u64::from(PURGE_PEERS) {}
        Ok(())
    }
}

fn log(result: StoreResult<()>, what: &str) {
    if let Err(error) = result {
        tracing::warn!(%error, "{what} failed and will be tried again");
    }
}
