//! Telling the index what this peer shares, and where it is.

mod announce;
mod index;
mod own;
mod reconcile;

use std::sync::Arc;

use p2pshare_core::{
    api::{CatalogChange, MAX_PUBLISH_BATCH, ProblemKind, PublishRequest, Visibility},
    path::SharePath,
};

pub use crate::catalog::PublishAccount;
pub use announce::{AnnounceFailure, announce};
pub use index::{CatalogIndex, PeerAtIndex};
pub use own::OwnPeer;
pub use reconcile::Reconciled;

use crate::{
    catalog::{Catalog, CatalogError, CatalogLock},
    index_client::ClientError,
};

/// Publishers take turns: two at once could bring their batches to the index in another order than their acknowledgements
/// to the catalog.
const LOCK: &str = "publish";

/// Why the index does not know what is shared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The index does not know this peer: announce it first.
    #[error("the index does not know this peer yet: announce it, then publish again")]
    NotAnnounced,
    /// The index refused or cannot be reached.
    #[error(transparent)]
    Index(ClientError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Another process publishes, and whether it has ended cannot be told.
    #[error("the lock of publishing failed: {0}")]
    Lock(#[source] std::io::Error),
}

/// Told how far publishing has come, after each batch.
pub type PublishEvents<'a> = &'a (dyn Fn(PublishProgress) + Send + Sync);

/// How far publishing has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishProgress {
    /// Changes that the index has done.
    pub done: u64,
    /// All changes, as many as were known at the beginning.
    pub total: u64,
}

/// What was published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishReport {
    /// Files that the index has now as they are.
    pub published: u64,
    /// Files that it has no more.
    pub withdrawn: u64,
    /// How many files of this peer the index has now; `None` if nothing was sent.
    pub total: Option<u64>,
    /// What the index refused. It stays to be published, and is tried again the next time.
    pub refused: Vec<Refused>,
}

/// Files that the index refused, all for the same reason: those of a group that the user is not in, or more than it takes
/// of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For whom they are shared.
    pub visibility: Visibility,
    /// How many files.
    pub files: u64,
    /// Why, as the index says it.
    pub reason: String,
}

/// Publishes a catalog at an index. A clone does the same.
///
/// It sends what has changed since the index last acknowledged it. Ended at any point it goes on from there the next
/// time; a batch that was sent but not acknowledged is sent again, which changes nothing. Of several publishers of one
/// catalog, in this or other processes, one works at a time, and the others find nothing left to do.
#[derive(Clone)]
pub struct Publisher {
    catalog: Catalog,
    index: Arc<dyn CatalogIndex>,
    account: PublishAccount,
}

impl Publisher {
    /// Publishes `catalog` for `account` at `index`, whose calls are those of the account's user and peer.
    pub fn new(catalog: Catalog, index: Arc<dyn CatalogIndex>, account: PublishAccount) -> Self {
        Self { catalog, index, account }
    }

    /// Publishes all that is not published yet. The index must know the peer.
    ///
    /// Cancellation: what was acknowledged is; at most one batch is sent again.
    ///
    /// # Errors
    /// [`PublishError::NotAnnounced`] if the peer must be announced first.
    pub async fn publish(&self, events: PublishEvents<'_>) -> Result<PublishReport, PublishError> {
        let _lock = CatalogLock::take(&self.catalog, LOCK).await.map_err(PublishError::Lock)?;
        if self.catalog.use_account(self.account.clone()).await? {
            self.ask_for_all().await?;
        }
        self.publish_pending(events).await
    }

    /// Sends what is pending, page by page; the next page is read while one is sent.
    async fn publish_pending(
        &self,
        events: PublishEvents<'_>,
    ) -> Result<PublishReport, PublishError> {
        let total = self.catalog.pending_count().await?;
        let mut report = PublishReport::default();
        let mut page = self.page(None).await?;
        while let Some(last) = page.last() {
            let last = last.path().clone();
            let (sent, next) =
                futures::join!(self.send_page(page, &mut report), self.page(Some(last)));
            sent?;
            events(PublishProgress { done: report.published + report.withdrawn, total });
            page = next?;
        }
        Ok(report)
    }

    async fn page(&self, after: Option<SharePath>) -> Result<Vec<CatalogChange>, PublishError> {
        Ok(self.catalog.pending(self.account.clone(), after, MAX_PUBLISH_BATCH).await?)
    }

    /// Sends a page, what is for a group by itself: the index does a batch whole or not at all.
    async fn send_page(
        &self,
        page: Vec<CatalogChange>,
        report: &mut PublishReport,
    ) -> Result<(), PublishError> {
        let mut batches: Vec<(Visibility, Vec<CatalogChange>)> = Vec::new();
        for change in page {
            let group = group_of(&change);
            // A page has few groups.
            match batches.iter_mut().find(|(of, _)| *of == group) {
                Some((_, batch)) => batch.push(change),
                None => batches.push((group, vec![change])),
            }
        }
        for (group, batch) in batches {
            self.send(group, batch, report).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        group: Visibility,
        batch: Vec<CatalogChange>,
        report: &mut PublishReport,
    ) -> Result<(), PublishError> {
        let Err((batch, mut reason)) = self.try_send(&group, batch, report).await? else {
            return Ok(());
        };
        // What is withdrawn must not wait until there is room for what is new.
        let is_withdrawal = |change: &CatalogChange| matches!(change, CatalogChange::Withdraw(_));
        let (withdrawn, mut published): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(is_withdrawal);
        if !withdrawn.is_empty() {
            let done = self.try_send(&group, withdrawn, report).await?;
            done.map_err(|(_, error)| PublishError::Index(error))?;
            if published.is_empty() {
                return Ok(());
            }
            match self.try_send(&group, published, report).await? {
                Ok(()) => return Ok(()),
                Err(refused) => (published, reason) = refused,
            }
        }
        report.refuse(group, published.len() as u64, reason.to_string());
        Ok(())
    }

    /// Sends a batch; gives it back when it is more than the index takes of a user.
    async fn try_send(
        &self,
        group: &Visibility,
        batch: Vec<CatalogChange>,
        report: &mut PublishReport,
    ) -> Result<Result<(), (Vec<CatalogChange>, ClientError)>, PublishError> {
        let request = PublishRequest { changes: batch };
        match self.index.publish(&request).await {
            Ok(done) => {
                report.total = Some(done.published.total);
                for change in &request.changes {
                    match change {
                        CatalogChange::Publish(_) => report.published += 1,
                        CatalogChange::Withdraw(_) => report.withdrawn += 1,
                    }
                }
                let (account, reaches) = (self.account.clone(), done.reaches);
                Ok(Ok(self.catalog.acknowledge(account, request.changes, reaches).await?))
            }
            Err(error) if error.kind() == Some(ProblemKind::QuotaExceeded) => {
                Ok(Err((request.changes, error)))
            }
            Err(error) if error.kind() == Some(ProblemKind::NotFound) => {
                self.check_announced().await?;
                if !matches!(group, Visibility::Group(_)) {
                    return Err(PublishError::Index(error));
                }
                report.refuse(group.clone(), request.changes.len() as u64, error.to_string());
                Ok(Ok(()))
            }
            Err(error) => Err(PublishError::Index(error)),
        }
    }

    /// Tells a peer that the index does not know from anything else that it does not find.
    async fn check_announced(&self) -> Result<(), PublishError> {
        self.entries(None, 1).await.map(drop)
    }
}

impl PublishReport {
    fn refuse(&mut self, visibility: Visibility, files: u64, reason: String) {
        match self.refused.iter_mut().find(|refused| refused.visibility == visibility) {
            Some(refused) => refused.files += files,
            None => self.refused.push(Refused { visibility, files, reason }),
        }
    }
}

/// The group of a change; `Public` for what no group can keep from being done.
fn group_of(change: &CatalogChange) -> Visibility {
    match change {
        CatalogChange::Publish(entry) if matches!(entry.visibility, Visibility::Group(_)) => {
            entry.visibility.clone()
        }
        _ => Visibility::Public,
    }
}
