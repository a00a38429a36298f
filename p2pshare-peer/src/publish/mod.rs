//! Telling the index what this peer shares, and where it is.

mod announce;
mod index;
mod own;
mod reconcile;

use std::sync::Arc;

use p2pshare_core::{
    api::{CatalogChange, GroupReach, MAX_PUBLISH_BATCH, ProblemKind, PublishRequest, Visibility},
    identity::{GroupName, Reach},
    path::SharePath,
};

pub use crate::catalog::PublishAccount;
pub use announce::{AnnounceFailure, announce};
pub use index::{CatalogIndex, PeerAtIndex};
pub use own::OwnPeer;
pub use reconcile::Reconciled;

use crate::{
    catalog::{Catalog, CatalogError, CatalogLock, PendingChange, RefusedShares},
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
    /// Which group, where that is known: see [`Share::reach`](crate::catalog::Share::reach).
    pub reach: Option<Reach>,
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
            let last = last.change.path().clone();
            let (sent, next) =
                futures::join!(self.send_page(page, &mut report), self.page(Some(last)));
            sent?;
            events(PublishProgress { done: report.published + report.withdrawn, total });
            page = next?;
        }
        let refused = report.refused.iter().map(RefusedShares::from).collect();
        self.catalog.note_refused(self.account.clone(), refused).await?;
        Ok(report)
    }

    async fn page(&self, after: Option<SharePath>) -> Result<Vec<PendingChange>, PublishError> {
        Ok(self.catalog.pending(self.account.clone(), after, MAX_PUBLISH_BATCH).await?)
    }

    /// Sends a page, what is for a group by itself: the index does a batch whole or not at all.
    async fn send_page(
        &self,
        page: Vec<PendingChange>,
        report: &mut PublishReport,
    ) -> Result<(), PublishError> {
        let mut batches: Vec<(Audience, Vec<CatalogChange>)> = Vec::new();
        for PendingChange { change, reach } in page {
            let audience = Audience::of(&change, reach);
            // A page has few groups.
            match batches.iter_mut().find(|(of, _)| *of == audience) {
                Some((_, batch)) => batch.push(change),
                None => batches.push((audience, vec![change])),
            }
        }
        for (audience, batch) in batches {
            self.send(&audience, batch, report).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        audience: &Audience,
        batch: Vec<CatalogChange>,
        report: &mut PublishReport,
    ) -> Result<(), PublishError> {
        let Err((batch, error)) = self.try_send(audience, batch, report).await? else {
            return Ok(());
        };
        if error.kind() != Some(ProblemKind::QuotaExceeded) {
            self.check_announced().await?;
            if audience.group().is_none() {
                return Err(PublishError::Index(error));
            }
            report.refuse(audience, batch.len() as u64, error.to_string());
            // What is meant for a group that is not there must not stay with those who could see it before.
            let known = self.catalog.known_at_index(self.account.clone(), batch).await?;
            return self.send_all(&Audience::default(), known, report).await;
        }
        // What is withdrawn must not wait until there is room for what is new.
        let is_withdrawal = |change: &CatalogChange| matches!(change, CatalogChange::Withdraw(_));
        let (withdrawn, published): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_withdrawal);
        if withdrawn.is_empty() {
            report.refuse(audience, published.len() as u64, error.to_string());
            return Ok(());
        }
        self.send_all(audience, withdrawn, report).await?;
        if let Err((published, error)) = self.try_send(audience, published, report).await? {
            report.refuse(audience, published.len() as u64, error.to_string());
        }
        Ok(())
    }

    /// Sends a batch of which nothing can be refused.
    async fn send_all(
        &self,
        audience: &Audience,
        batch: Vec<CatalogChange>,
        report: &mut PublishReport,
    ) -> Result<(), PublishError> {
        let sent = self.try_send(audience, batch, report).await?;
        sent.map_err(|(_, error)| PublishError::Index(error))
    }

    /// Sends a batch, if there is something in it; gives it back when the index refuses it for what it is: it is more
    /// than it takes of a user, or for a group that is not there.
    async fn try_send(
        &self,
        audience: &Audience,
        batch: Vec<CatalogChange>,
        report: &mut PublishReport,
    ) -> Result<Result<(), (Vec<CatalogChange>, ClientError)>, PublishError> {
        if batch.is_empty() {
            return Ok(Ok(()));
        }
        let request = PublishRequest { changes: batch, groups: audience.meant() };
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
            Err(error) => match error.kind() {
                Some(
                    ProblemKind::QuotaExceeded | ProblemKind::NotFound | ProblemKind::Conflict,
                ) => Ok(Err((request.changes, error))),
                _ => Err(PublishError::Index(error)),
            },
        }
    }

    /// Tells a peer that the index does not know from anything else that it does not find.
    async fn check_announced(&self) -> Result<(), PublishError> {
        self.entries(None, 1).await.map(drop)
    }
}

impl From<&Refused> for RefusedShares {
    fn from(refused: &Refused) -> Self {
        let Refused { visibility, reach, reason, .. } = refused.clone();
        Self { visibility, reach, reason }
    }
}

impl PublishReport {
    fn refuse(&mut self, audience: &Audience, files: u64, reason: String) {
        let Audience { visibility, reach } = audience.clone();
        let same =
            |refused: &&mut Refused| refused.visibility == visibility && refused.reach == reach;
        match self.refused.iter_mut().find(same) {
            Some(refused) => refused.files += files,
            None => self.refused.push(Refused { visibility, reach, files, reason }),
        }
    }
}

/// For whom a batch is: a group, or `Public` for what no group can keep from being done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Audience {
    visibility: Visibility,
    /// Which group, where that is known.
    reach: Option<Reach>,
}

impl Audience {
    fn of(change: &CatalogChange, reach: Option<Reach>) -> Self {
        match change {
            CatalogChange::Publish(entry) if matches!(entry.visibility, Visibility::Group(_)) => {
                Self { visibility: entry.visibility.clone(), reach }
            }
            _ => Self::default(),
        }
    }

    fn group(&self) -> Option<&GroupName> {
        match &self.visibility {
            Visibility::Group(group) => Some(group),
            Visibility::Public | Visibility::Unlisted => None,
        }
    }

    /// What the index is told of it.
    fn meant(&self) -> Vec<GroupReach> {
        let meant = self.group().zip(self.reach);
        let meant = meant.map(|(group, reach)| GroupReach { group: group.clone(), reach });
        meant.into_iter().collect()
    }
}
