//! Finding out what the index really has.

use p2pshare_core::path::SharePath;

use super::{LOCK, PublishError, PublishEvents, PublishReport, Publisher, index::entries};
use crate::catalog::CatalogLock;

/// Entries that are asked for at a time, the most that an index gives.
const PAGE: u32 = 1000;

/// What was found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Paths of which the index had something else than was thought.
    pub differing: u64,
    /// What was published and withdrawn then.
    pub report: PublishReport,
}

impl Publisher {
    /// Compares how many files the index says it has of this peer with how many it should have, and if they differ asks
    /// for all of them and repairs what is different, whichever side it is on. `None`: they do not differ.
    ///
    /// `entries` is what the index answered to an announce or a heartbeat, asked after the last
    /// [`publish`](Self::publish).
    ///
    /// Cancellation: as `publish`.
    pub async fn reconcile(
        &self,
        entries: u64,
        events: PublishEvents<'_>,
    ) -> Result<Option<Reconciled>, PublishError> {
        if self.catalog.published_count().await? == entries {
            return Ok(None);
        }
        self.reconcile_all(events).await.map(Some)
    }

    /// Asks the index for all that it has of this peer, and repairs what is different.
    ///
    /// Cancellation: as `publish`.
    pub async fn reconcile_all(
        &self,
        events: PublishEvents<'_>,
    ) -> Result<Reconciled, PublishError> {
        let _lock = CatalogLock::take(&self.catalog, LOCK).await.map_err(PublishError::Lock)?;
        self.catalog.use_account(self.account.clone()).await?;
        let differing = self.ask_for_all().await?;
        let report = self.publish_pending(events).await?;
        Ok(Reconciled { differing, report })
    }

    /// Notes what the index has, page by page; what differs becomes pending.
    pub(super) async fn ask_for_all(&self) -> Result<u64, PublishError> {
        let mut differing: u64 = 0;
        let mut after: Option<SharePath> = None;
        loop {
            let page = entries(&*self.index, after.clone(), PAGE).await?;
            let next = page.entries.last().map(|entry| entry.path.clone());
            // A page without entries is the last one, whatever it says.
            let more = page.more && next.is_some();
            let account = self.account.clone();
            let found = self.catalog.correct(account, after, page.entries, !more).await?;
            differing = differing.saturating_add(found);
            if !more {
                self.catalog.note_reconciled(self.account.clone()).await?;
                return Ok(differing);
            }
            after = next;
        }
    }
}
