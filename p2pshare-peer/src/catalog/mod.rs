//! The catalog: what this peer shares, and what of it the index knows.
//!
//! It is one SQLite file that several processes use at once: a command that shares a folder, and the daemon that serves
//! it. [`Catalog::changes`] tells one what another has changed.

mod changes;
mod excluded;
mod files;
mod integrity;
pub(crate) mod local;
mod lock;
mod manifests;
mod model;
mod naming;
mod partial;
mod pending;
mod published;
mod put;
mod roots;
mod rows;
mod schema;
mod shares;
mod source;
mod usurped;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use p2pshare_core::{
    backend::sqlite::{Database, DatabaseError, DatabaseResult},
    identity::GroupName,
};
use rusqlite::Connection;

pub use changes::CatalogChanges;
pub use integrity::{CatalogTrouble, check_integrity};
pub(crate) use lock::CatalogLock;
pub use model::{CatalogFile, FileId, Share, ShareId, ShareTotals};
pub use partial::{CompositeSource, PartialRegistration, PartialSources};
pub use published::PublishAccount;
pub use source::{CatalogSource, ChangedFile, ChangedFiles};

pub(crate) use model::{KnownFile, KnownFrom, NewContent, NewFile, NewShare, PutOutcome};
pub(crate) use naming::{MAX_NUMBER, numbered, path_below};
pub(crate) use pending::PendingChange;
pub(crate) use roots::{Apart, RootId};

/// Why the catalog cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The database failed.
    #[error("the catalog of shares: {0}")]
    Database(#[from] DatabaseError),
    /// The user has logged in as somebody else, or elsewhere, in another process.
    #[error("the login has changed meanwhile: run the command again")]
    AccountChanged,
    /// So many shares have this name that no other can be made from it.
    #[error("too many shares are called {0:?}: rename the file or folder")]
    NoName(String),
    /// The group that has the name is not the one that it is shared with.
    #[error(
        "group {group} is not the group that {} is shared with, which is gone or at another index: nothing was changed",
        root.display()
    )]
    OtherGroup {
        /// What is shared.
        root: PathBuf,
        /// The group's name.
        group: GroupName,
    },
    /// On this system such a path cannot be kept.
    #[error("{} cannot be shared: its name is not Unicode", .0.display())]
    BadPath(PathBuf),
}

type CatalogResult<T> = Result<T, CatalogError>;

/// The catalog of a peer. A clone is another handle on the same one.
///
/// All calls are jobs of the database's own threads. Cancellation: what has begun is done all the same, whole.
#[derive(Clone, Debug)]
pub struct Catalog {
    database: Database,
    path: Arc<Path>,
}

impl Catalog {
    /// Opens the catalog in this file, and makes it if it is not there. Blocks.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let database = Database::open(path, &schema::options())?;
        Ok(Self { database, path: path.into() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Follows the changes that this and other processes make, from now on.
    pub async fn changes(&self) -> Result<CatalogChanges, CatalogError> {
        CatalogChanges::new(self.clone()).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> DatabaseResult<T> + Send + 'static,
    ) -> CatalogResult<T> {
        Ok(self.database.read(work).await?)
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> DatabaseResult<T> + Send + 'static,
    ) -> CatalogResult<T> {
        Ok(self.database.write(work).await?)
    }

    /// Makes what was written outlive a crash of the machine: what somebody has ended the sharing of must not come back.
    async fn keep(&self) -> CatalogResult<()> {
        Ok(self.database.sync().await?)
    }

    /// A write that others are told of.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> DatabaseResult<T> + Send + 'static,
    ) -> CatalogResult<T> {
        let counted = move |c: &Connection| {
            let done = work(c)?;
            c.prepare_cached("UPDATE state SET generation = generation + 1")?.execute([])?;
            Ok(done)
        };
        self.write(counted).await
    }
}
