//! What a daemon shares.

use std::sync::Arc;

use async_trait::async_trait;
use p2pshare_core::transfer::{GuardedSource, ReadOptions};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{DaemonEvents, upkeep};
use crate::{
    catalog::{Catalog, CatalogChanges, CatalogSource, ChangedFiles},
    publish::{OwnPeer, PublishError, PublishReport, Reconciled},
    share::Sharer,
};

/// What a daemon shares: where its bytes come from, and what the index is to be told of it.
///
/// [`FolderShares`] are files and folders of this machine, [`CollectionShares`](super::CollectionShares) whatever else
/// somebody has.
#[async_trait]
pub trait Shared: Send + Sync {
    /// What is served.
    fn source(&self) -> Arc<dyn GuardedSource>;

    /// Publishes what has changed since the index last acknowledged it, and tries again what it refused. The index knows the
    /// peer.
    ///
    /// Cancellation: what was not acknowledged is sent the next time.
    async fn publish(&self, peer: &OwnPeer) -> Result<PublishReport, PublishError>;

    /// Compares all that the index has of the peer with what it should have if it says that it has another number of
    /// `entries` than is believed, and repairs what differs. `None`: it is the same number.
    async fn reconcile(
        &self,
        peer: &OwnPeer,
        entries: u64,
    ) -> Result<Option<Reconciled>, PublishError>;

    /// Compares all, and repairs what differs.
    async fn reconcile_all(&self, peer: &OwnPeer) -> Result<Reconciled, PublishError>;

    /// How many files the index has acknowledged.
    async fn published(&self) -> Result<u64, PublishError>;

    /// How many shares there are, and whether the index refused something of them.
    async fn shares(&self) -> Result<SharesNow, PublishError>;

    /// Waits until there is something to publish. Called by one at a time; it may return for nothing.
    ///
    /// Cancellation: nothing is missed.
    async fn changed(&self) -> Result<(), PublishError>;

    /// Does what else there is to do while the peer serves, until `stop` is cancelled.
    async fn keep(&self, events: DaemonEvents, stop: CancellationToken);
}

/// How things are with what is shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharesNow {
    /// How many shares.
    pub count: u64,
    /// Whether the index refused something.
    pub refused: bool,
}

/// Files and folders of this machine, as a catalog has them. Those that are watched are followed while the peer serves.
pub struct FolderShares {
    catalog: Catalog,
    sharer: Sharer,
    source: CatalogSource,
    changed: Mutex<ChangedFiles>,
    changes: Mutex<Option<CatalogChanges>>,
}

impl FolderShares {
    /// Shares what is in `catalog`; `sharer` brings that up to date.
    pub fn new(catalog: Catalog, sharer: Sharer) -> Self {
        let (source, changed) = CatalogSource::new(catalog.clone(), ReadOptions::default());
        Self { catalog, sharer, source, changed: Mutex::new(changed), changes: Mutex::default() }
    }
}

#[async_trait]
impl Shared for FolderShares {
    fn source(&self) -> Arc<dyn GuardedSource> {
        Arc::new(self.source.clone())
    }

    async fn publish(&self, peer: &OwnPeer) -> Result<PublishReport, PublishError> {
        peer.publisher(self.catalog.clone()).publish(&|_| ()).await
    }

    async fn reconcile(
        &self,
        peer: &OwnPeer,
        entries: u64,
    ) -> Result<Option<Reconciled>, PublishError> {
        peer.publisher(self.catalog.clone()).reconcile(entries, &|_| ()).await
    }

    async fn reconcile_all(&self, peer: &OwnPeer) -> Result<Reconciled, PublishError> {
        peer.publisher(self.catalog.clone()).reconcile_all(&|_| ()).await
    }

    async fn published(&self) -> Result<u64, PublishError> {
        Ok(self.catalog.published_count().await?)
    }

    async fn shares(&self) -> Result<SharesNow, PublishError> {
        let shares = self.catalog.shares().await?;
        let refused = shares.iter().any(|share| share.refused.is_some());
        Ok(SharesNow { count: shares.len() as u64, refused })
    }

    async fn changed(&self) -> Result<(), PublishError> {
        let mut changes = self.changes.lock().await;
        match &mut *changes {
            Some(changes) => changes.changed().await?,
            // What changed before they are followed is published now.
            None => *changes = Some(self.catalog.changes().await?),
        }
        Ok(())
    }

    async fn keep(&self, events: DaemonEvents, stop: CancellationToken) {
        let mut changed = self.changed.lock().await;
        let upkeep = upkeep::run(&self.sharer, &mut changed, &events, &stop);
        let watch = Box::pin(upkeep::watch(self.sharer.clone(), events.clone(), stop.clone()));
        tokio::join!(upkeep, watch);
    }
}
