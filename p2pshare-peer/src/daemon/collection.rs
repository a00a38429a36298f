//! Sharing what is in no folder of this machine.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use p2pshare_core::{
    api::CatalogChange,
    identity::{GroupName, Reach},
    path::SharePath,
    transfer::GuardedSource,
};
use tokio::sync::{Mutex as Turns, Notify};
use tokio_util::sync::CancellationToken;

use super::{
    DaemonEvents,
    shared::{Shared, SharesNow},
};
use crate::publish::{
    Collection, Groups, OwnPeer, PublishError, PublishReport, Reconciled, Sending,
};

/// More changes than these are not kept until they can be published: all is compared instead.
const MOST_CHANGES: usize = 100_000;

/// Whatever somebody has, delivered by a source and listed by a [`Collection`] of theirs. A clone is the same.
///
/// What the source delivers to a caller depends on nothing but the source
/// ([`GuardedSource::within`]): what is listed for a group alone must be delivered within that group's reach alone
/// ([`IndexClient::reach_of`](crate::index_client::IndexClient::reach_of)), and is published only once it was
/// [stated](Self::share_with) which group that is. [`OpenSource`](p2pshare_core::transfer::OpenSource) fits what everybody may
/// have.
///
/// When the peer comes online, when the index has another number of entries than it acknowledged, and every hour or later,
/// the whole list is compared with the one that the index has. Between these only what [`changed`](Self::changed) was told
/// is published.
#[derive(Clone)]
pub struct CollectionShares {
    inner: Arc<Inner>,
}

struct Inner {
    source: Arc<dyn GuardedSource>,
    collection: Arc<dyn Collection>,
    state: Mutex<State>,
    /// Something is to be published.
    wake: Notify,
    /// Held by whoever publishes.
    turn: Turns<()>,
}

#[derive(Default)]
struct State {
    pending: BTreeMap<SharePath, CatalogChange>,
    /// All is to be compared: changes were too many to be kept, or a group was stated.
    is_lost: bool,
    /// All was compared, and whatever came of it was acknowledged.
    is_true: bool,
    published: u64,
    refused: bool,
    groups: Groups,
}

impl CollectionShares {
    /// Shares what `collection` lists and `source` delivers.
    pub fn new(source: Arc<dyn GuardedSource>, collection: Arc<dyn Collection>) -> Self {
        let (state, wake, turn) = (Mutex::default(), Notify::new(), Turns::default());
        Self { inner: Arc::new(Inner { source, collection, state, wake, turn }) }
    }

    /// What is listed for a group of this name is for the one with this reach, from now on: a later group of the name is
    /// another, and nothing is published to it. To be kept by whoever embeds this, and said at each start.
    pub fn share_with(&self, group: GroupName, reach: Reach) {
        let mut state = self.state();
        state.groups.insert(group, reach);
        state.is_lost = true;
        self.inner.wake.notify_one();
    }

    /// Has changes published: the collection lists these by now, or no more. Of several for one path the last one counts. They
    /// are kept until the index can be told.
    pub fn changed(&self, changes: impl IntoIterator<Item = CatalogChange>) {
        let mut state = self.state();
        for change in changes {
            state.pending.insert(change.path().clone(), change);
            if state.pending.len() > MOST_CHANGES {
                state.pending.clear();
                state.is_lost = true;
            }
        }
        self.inner.wake.notify_one();
    }

    /// Publishes what has changed, or whatever differs if `all` may.
    async fn send(&self, peer: &OwnPeer, all: bool) -> Result<PublishReport, PublishError> {
        // One at a time: what is sent later is newer.
        let _turn = self.inner.turn.lock().await;
        let (pending, all, groups) = {
            let mut state = self.state();
            // Until all of this is done, also if nobody waits for that any more.
            let was_true = mem::replace(&mut state.is_true, false);
            let is_lost = mem::take(&mut state.is_lost);
            let all = all || is_lost || !was_true;
            (mem::take(&mut state.pending), all, state.groups.clone())
        };
        let compare = || Sending::new(peer.index(), &groups).compare(&*self.inner.collection);
        let report = if all {
            compare().await?
        } else {
            let sending = Sending::new(peer.index(), &groups);
            let report = sending.changes(pending.into_values()).await?;
            // What of it takes the place of something, and may be done, only a comparison tells.
            if report.refused.is_empty() { report } else { compare().await? }
        };
        let mut state = self.state();
        state.refused = !report.refused.is_empty();
        state.is_true = !state.refused;
        state.published = report.total.unwrap_or(state.published);
        Ok(report)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Shared for CollectionShares {
    fn source(&self) -> Arc<dyn GuardedSource> {
        self.inner.source.clone()
    }

    async fn publish(&self, peer: &OwnPeer) -> Result<PublishReport, PublishError> {
        self.send(peer, false).await
    }

    async fn reconcile(
        &self,
        peer: &OwnPeer,
        entries: u64,
    ) -> Result<Option<Reconciled>, PublishError> {
        if self.state().published == entries {
            return Ok(None);
        }
        self.reconcile_all(peer).await.map(Some)
    }

    async fn reconcile_all(&self, peer: &OwnPeer) -> Result<Reconciled, PublishError> {
        let report = self.send(peer, true).await?;
        Ok(Reconciled { differing: report.published + report.withdrawn, report })
    }

    async fn published(&self) -> Result<u64, PublishError> {
        Ok(self.state().published)
    }

    async fn shares(&self) -> Result<SharesNow, PublishError> {
        Ok(SharesNow { count: 1, refused: self.state().refused })
    }

    async fn changed(&self) -> Result<(), PublishError> {
        self.inner.wake.notified().await;
        Ok(())
    }

    async fn keep(&self, _: DaemonEvents, _: CancellationToken) {}
}

impl fmt::Debug for CollectionShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectionShares").finish_non_exhaustive()
    }
}
