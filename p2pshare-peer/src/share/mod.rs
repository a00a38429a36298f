//! Sharing files and folders: finding what is there, hashing what is new, ending it.

mod diff;
mod event;
mod hash;
mod inspect;
mod refresh;
mod store;
mod unshare;
mod walk;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use p2pshare_core::{
    api::Visibility,
    path::{PathError, SharePath},
};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

pub use event::{ShareEvent, ShareEvents, SkipReason};
pub(crate) use inspect::is_unfinished;
pub use refresh::Refreshed;
pub use unshare::{UnshareTarget, Unshared};

use crate::{
    catalog::{Catalog, CatalogError, NewShare, Share, ShareId},
    data_dir::DataDir,
};
use diff::diff;
use store::Store;

/// Known files that are removed together.
const REMOVED_AT_ONCE: usize = 1000;

/// How something is shared. What is `None` stays as it was when it is shared again, and has its default the first time.
#[derive(Clone, Debug, Default)]
pub struct ShareOptions {
    /// Who can find and fetch it; everybody by default.
    pub visibility: Option<Visibility>,
    /// Share hidden files too, those whose name begins with a dot; not by default.
    pub hidden: Option<bool>,
    /// Follow symbolic links wherever they lead. By default a link is shared only if it leads to a file in the same
    /// shared folder.
    pub follow_links: Option<bool>,
}

/// What sharing has done.
#[derive(Clone, Debug)]
pub struct ShareReport {
    /// The share.
    pub share: Share,
    /// Files found, without those that turned out not to be readable or to have no name.
    pub files: u64,
    /// Of them those that were as they are known.
    pub unchanged: u64,
    /// Files that were moved, renamed or linked, and not hashed for it.
    pub moved: u64,
    /// Files that were hashed.
    pub hashed: u64,
    /// Their length in bytes.
    pub hashed_bytes: u64,
    /// Files that are shared no more, for they are gone or cannot be read.
    pub removed: u64,
    /// Files and folders that are not shared, each of which was told as an event.
    pub skipped: u64,
    /// It was cancelled: what was done until then is kept.
    pub cancelled: bool,
}

/// Why something cannot be shared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// There is nothing of this name.
    #[error("{} does not exist", .0.display())]
    NotFound(PathBuf),
    /// It cannot be read.
    #[error("{} cannot be read: {error}; check its permissions", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It is a pipe, a socket or a device.
    #[error("{} is neither a file nor a folder", .0.display())]
    Special(PathBuf),
    /// It belongs to this peer's own data.
    #[error("{} belongs to this peer's own data, which must not be shared", .0.display())]
    OwnData(PathBuf),
    /// No name for others can be made of its own.
    #[error("{} cannot be named for others: {error}; rename it", path.display())]
    NoName {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with its name.
        #[source]
        error: PathError,
    },
    /// The share was ended, by another process perhaps.
    #[error("{} is no longer shared", .0.display())]
    Ended(PathBuf),
    /// There is no such share.
    #[error("there is no such share")]
    NoShare,
    /// What is to be unshared is not shared.
    #[error("{0} is not shared: `p2pshare-peer shares` lists what is")]
    NotShared(String),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Shares files and folders: brings a catalog and the disk together. A clone does the same.
///
/// Several processes may share the same at once.
#[derive(Clone, Debug)]
pub struct Sharer {
    catalog: Catalog,
    /// Files directly in it are never shared.
    data_dir: Arc<Path>,
}

impl Sharer {
    /// Shares through this catalog. The files of `data_dir` itself, among them the peer's key, are never shared.
    pub fn new(catalog: Catalog, data_dir: &DataDir) -> Self {
        Self { catalog, data_dir: data_dir.path().into() }
    }

    /// The catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Shares a file or folder, or brings what is shared already up to date.
    ///
    /// Cancellation: through `cancel` it ends soon with a report of what was done; dropping the future stops it too, but
    /// what was hashed in the last half second is lost.
    pub async fn share(
        &self,
        path: &Path,
        options: &ShareOptions,
        events: &ShareEvents,
        cancel: &CancellationToken,
    ) -> Result<ShareReport, ShareError> {
        let share = self.add(path, options).await?;
        self.scan(share, events, cancel).await
    }

    /// Notes that a file or folder is shared, or changes how it is. What is in it is found by the next
    /// [`rescan`](Self::rescan).
    pub async fn add(&self, path: &Path, options: &ShareOptions) -> Result<Share, ShareError> {
        let (given, data_dir) = (path.to_owned(), self.data_dir.clone());
        let resolved = spawn_blocking(move || resolve(&given, &data_dir)).await;
        let (root, name) = resolved.unwrap_or_else(|_| Err(interrupted(path)))?;
        let new = NewShare {
            root,
            name,
            visibility: options.visibility.clone(),
            hidden: options.hidden,
            follow_links: options.follow_links,
        };
        Ok(self.catalog.add_share(new).await?)
    }

    /// Changes how something is shared, whether it is there at the moment or not.
    pub async fn change(
        &self,
        share: ShareId,
        options: &ShareOptions,
    ) -> Result<Share, ShareError> {
        let share = self.catalog.share(share).await?.ok_or(ShareError::NoShare)?;
        let new = NewShare {
            root: share.root,
            name: share.name,
            visibility: options.visibility.clone(),
            hidden: options.hidden,
            follow_links: options.follow_links,
        };
        Ok(self.catalog.add_share(new).await?)
    }

    /// Brings a share up to date. If its root is not there, its hashes are kept but nothing of it is published: see
    /// [`Share::online`].
    ///
    /// Cancellation: as [`share`](Self::share).
    pub async fn rescan(
        &self,
        share: ShareId,
        events: &ShareEvents,
        cancel: &CancellationToken,
    ) -> Result<ShareReport, ShareError> {
        let share = self.catalog.share(share).await?.ok_or(ShareError::NoShare)?;
        self.scan(share, events, cancel).await
    }

    async fn scan(
        &self,
        mut share: Share,
        events: &ShareEvents,
        cancel: &CancellationToken,
    ) -> Result<ShareReport, ShareError> {
        let mut diff = diff(&self.catalog, &share, &self.data_dir, events, cancel).await?;
        let online = diff.files > 0 || diff.gone.is_empty() || !is_absent(&share.root).await;
        if online != share.online && !diff.cancelled {
            self.catalog.set_online(share.id, online).await?;
            share.online = online;
        }
        let mut report = ShareReport {
            files: diff.files,
            unchanged: diff.unchanged,
            skipped: diff.skipped,
            cancelled: diff.cancelled,
            ..ShareReport::new(share.clone())
        };
        if !online || diff.cancelled {
            return Ok(report);
        }
        diff.find_moved(&self.catalog).await?;
        let mut store =
            Store { catalog: &self.catalog, share: &share, events, cancel, report: &mut report };
        let unknown = store.put_known(diff.fresh).await?;
        // Before the rest is hashed, so that names which they had are free. Those that were moved are not there any more.
        for part in diff.gone.chunks(REMOVED_AT_ONCE) {
            store.report.removed += self.catalog.remove_files(part.to_vec()).await?;
        }
        let bytes = unknown.iter().fold(0, |sum: u64, one| sum.saturating_add(one.found.stamp.len));
        events(ShareEvent::Scanned {
            files: store.report.files,
            unchanged: store.report.unchanged,
            to_hash: unknown.len() as u64,
            bytes,
        });
        store.put_hashed(unknown).await?;
        Ok(report)
    }
}

impl ShareReport {
    /// Nothing was done yet.
    fn new(share: Share) -> Self {
        Self {
            share,
            files: 0,
            unchanged: 0,
            moved: 0,
            hashed: 0,
            hashed_bytes: 0,
            removed: 0,
            skipped: 0,
            cancelled: false,
        }
    }
}

/// The real place of what is to be shared, and its name for others. Blocks.
fn resolve(path: &Path, data_dir: &Path) -> Result<(PathBuf, SharePath), ShareError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            ShareError::NotFound(path.to_owned())
        }
        _ => ShareError::Unreadable { path: path.to_owned(), error },
    };
    let root = fs::canonicalize(path).map_err(unreadable)?;
    let metadata = fs::metadata(&root).map_err(unreadable)?;
    if metadata.is_dir() {
        fs::read_dir(&root).map_err(unreadable)?;
    } else if !metadata.is_file() {
        return Err(ShareError::Special(path.to_owned()));
    } else if root.parent() == Some(data_dir) {
        return Err(ShareError::OwnData(path.to_owned()));
    } else {
        fs::File::open(&root).map_err(unreadable)?;
    }
    // A link is called as the user calls it, `.` as it is really called.
    let name = path.file_name().or_else(|| root.file_name()).unwrap_or_else(|| "files".as_ref());
    let name = SharePath::sanitize(Path::new(name))
        .map_err(|error| ShareError::NoName { path: path.to_owned(), error })?;
    Ok((root, name.path))
}

/// Whether a share's root, below which no file was found, is not there: gone, or an empty folder, as that on which a
/// disk is not mounted.
async fn is_absent(root: &Path) -> bool {
    let root = root.to_owned();
    let look = spawn_blocking(move || match fs::symlink_metadata(&root) {
        Ok(metadata) if metadata.is_dir() => {
            fs::read_dir(&root).is_ok_and(|mut entries| entries.next().is_none())
        }
        Ok(_) => false,
        Err(_) => true,
    });
    look.await.unwrap_or(true)
}

fn interrupted(path: &Path) -> ShareError {
    ShareError::Unreadable { path: path.to_owned(), error: io::ErrorKind::Interrupted.into() }
}
