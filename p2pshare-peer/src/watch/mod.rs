//! Live folders: following what changes in what is shared.
//!
//! The system tells which places change (`feed`), and they are looked at once they were left alone (`dirty`). What is
//! new is hashed in the background, and whoever publishes the catalog finds it there. Where the system cannot tell,
//! shares are looked through now and then.

mod dirty;
mod feed;
mod follow;
mod following;
mod hashing;
mod place;
mod round;
mod tasks;
#[cfg(test)]
mod tests;
mod work;

use std::{fmt, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{Catalog, CatalogLock, Share, ShareId},
    share::{ShareError, ShareEvent, Sharer},
};
use round::Rounds;

/// Of several processes one follows the shares of a catalog.
const LOCK: &str = "watch";

/// How eagerly changes are followed.
#[derive(Clone, Copy, Debug)]
pub struct WatchOptions {
    /// A file is hashed when nothing has changed it for so long.
    pub quiet: Duration,
    /// The same for a file that somebody has open and writes to: who writes may rest in between.
    pub writing: Duration,
    /// How often it is looked whether shares are there, as on a disk that comes and goes.
    pub presence: Duration,
    /// How often shares are looked through in which the system cannot tell what changes; less often if that takes long.
    pub poll: Duration,
    /// How often all shares are looked through, in case that something was missed.
    pub thorough: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            quiet: Duration::from_secs(1),
            writing: Duration::from_secs(30),
            presence: Duration::from_secs(2),
            poll: Duration::from_secs(15),
            thorough: Duration::from_secs(3600),
        }
    }
}

/// Something that happened while shares were followed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// Something begins at a share, beside what may be done there already.
    Begun {
        /// The share.
        share: ShareId,
        /// Files that are to be hashed; none if it is looked at.
        files: u64,
        /// Their length in bytes.
        bytes: u64,
    },
    /// A step of looking at a share or of hashing what is new in it.
    Step {
        /// The share.
        share: ShareId,
        /// The step.
        event: ShareEvent,
    },
    /// The catalog has changes of a share now.
    Followed {
        /// The share.
        share: Share,
        /// Files that were hashed.
        hashed: u64,
        /// Files that were moved, renamed or linked, and not hashed for it.
        moved: u64,
        /// Files that are shared no more.
        removed: u64,
    },
    /// Nothing is done at a share any more, for now.
    Rested {
        /// The share.
        share: ShareId,
    },
    /// Nothing of a share is there: its files are kept in mind, and offered again once they are back.
    Absent {
        /// The share.
        share: Share,
        /// Whether what is shared for fewer has come to lie in its place.
        usurped: bool,
    },
    /// The system does not tell what changes in a share: it is looked through now and then.
    Polled {
        /// The share.
        share: Share,
        /// Why, and what can be done.
        reason: String,
    },
    /// Something failed and will be tried again.
    Trouble(String),
}

/// Told what happens, from any thread. It must not block.
pub type WatchEvents = Arc<dyn Fn(WatchEvent) + Send + Sync>;

/// Follows the shares of a catalog that are to be watched, see [`Share::watched`]. A clone does the same.
#[derive(Clone)]
pub struct Watcher {
    sharer: Sharer,
    options: WatchOptions,
}

impl Watcher {
    /// Follows the shares of this sharer's catalog.
    pub fn new(sharer: Sharer, options: WatchOptions) -> Self {
        Self { sharer, options }
    }

    /// Follows until `stop` is cancelled. Shares that this or other processes add, change or end meanwhile are followed
    /// from then on, or no longer. While another process follows the same catalog, this one waits.
    ///
    /// Cancellation: through `stop` it ends soon; dropping the future ends it too. What was hashed in the last half
    /// second may be lost.
    ///
    /// # Errors
    /// [`ShareError::Catalog`] and [`ShareError::Lock`]. What fails with one share is told as an event.
    pub async fn run(
        &self,
        events: WatchEvents,
        stop: CancellationToken,
    ) -> Result<(), ShareError> {
        let taken = stop.run_until_cancelled(CatalogLock::take(self.catalog(), LOCK)).await;
        let Some(taken) = taken else {
            return Ok(());
        };
        let _lock = taken.map_err(|error| self.lock_failed(error))?;
        let work = Rounds::new(self.sharer.clone(), self.options, events, stop.clone()).run();
        stop.run_until_cancelled(work).await.unwrap_or(Ok(()))
    }

    /// Whether this or another process follows the shares of the catalog now.
    ///
    /// # Errors
    /// [`ShareError::Lock`]
    pub async fn is_running(&self) -> Result<bool, ShareError> {
        let taken = CatalogLock::try_take(self.catalog(), LOCK).await;
        taken.map(|lock| lock.is_none()).map_err(|error| self.lock_failed(error))
    }

    fn catalog(&self) -> &Catalog {
        self.sharer.catalog()
    }

    fn lock_failed(&self, error: std::io::Error) -> ShareError {
        ShareError::Lock { root: self.catalog().path().to_owned(), error }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("options", &self.options).finish_non_exhaustive()
    }
}
