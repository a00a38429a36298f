//! Telling the index what this peer shares, and where it is.

mod announce;
mod collection;
mod index;
mod own;
mod pages;
mod reconcile;
mod run;

use std::{fmt, sync::Arc};

use p2pshare_core::{
    api::{PublishRequest, Visibility},
    identity::Reach,
};

pub use crate::catalog::PublishAccount;
pub use announce::{AnnounceFailure, announce};
pub use collection::{Collection, CollectionError};
pub(crate) use collection::{Groups, Sending};
pub use index::{CatalogIndex, PeerAtIndex};
pub use own::OwnPeer;
pub use reconcile::Reconciled;

use crate::{
    catalog::{Catalog, CatalogError, CatalogLock},
    index_client::ClientError,
};
use run::Run;

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
    /// A [`Collection`] does not say what is in it.
    #[error("what is shared cannot be listed: {0}")]
    Collection(#[source] CollectionError),
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
    /// For whom they are shared; what is for no group is all told as [`Visibility::Public`].
    pub visibility: Visibility,
    /// Which group, where that is known: see [`Share::reach`](crate::catalog::Share::reach).
    pub reach: Option<Reach>,
    /// How many files.
    pub files: u64,
    /// Why, as the index says it.
    pub reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.files {
            1 => f.write_str("1 file")?,
            files => write!(f, "{files} files")?,
        }
        if matches!(self.visibility, Visibility::Group(_)) {
            write!(f, " for {}", self.visibility)?;
        }
        write!(f, " not published: {}", self.reason)
    }
}

impl PublishReport {
    /// Adds files that the index refused.
    fn refuse(&mut self, visibility: &Visibility, reach: Option<Reach>, files: u64, reason: &str) {
        let same =
            |refused: &&mut Refused| refused.visibility == *visibility && refused.reach == reach;
        match self.refused.iter_mut().find(same) {
            Some(refused) => refused.files += files,
            None => self.refused.push(Refused {
                visibility: visibility.clone(),
                reach,
                files,
                reason: reason.to_owned(),
            }),
        }
    }
}

impl Refused {
    /// Whether it is the same trouble, however many files it is about.
    pub fn is_like(&self, other: &Self) -> bool {
        let what = |one: &Self| (one.visibility.clone(), one.reach, one.reason.clone());
        what(self) == what(other)
    }
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

    /// Publishes all that is not published yet, and sees to it that the index has what it should have also of what was
    /// published before: it may have lost something, or have dropped what was for a group that is not there any more.
    ///
    /// Cancellation and errors: as [`publish`](Self::publish).
    pub async fn publish_all(
        &self,
        events: PublishEvents<'_>,
    ) -> Result<PublishReport, PublishError> {
        let mut report = self.publish(events).await?;
        let entries = match report.total {
            Some(total) => total,
            // What changes nothing is answered like any other.
            None => {
                let nothing = self.index.publish(&PublishRequest::new(Vec::new())).await;
                nothing.map_err(PublishError::Index)?.published.total
            }
        };
        if let Some(Reconciled { report: later, .. }) = self.reconcile(entries, events).await? {
            report.published += later.published;
            report.withdrawn += later.withdrawn;
            report.total = later.total.or(Some(entries));
            // All that is refused was tried again.
            report.refused = later.refused;
        }
        Ok(report)
    }

    async fn publish_pending(
        &self,
        events: PublishEvents<'_>,
    ) -> Result<PublishReport, PublishError> {
        self.catalog.keep_apart().await?;
        Box::pin(Run::new(self).all(events)).await
    }
}
