//! Sharing files and folders: finding what is there, hashing what is new, ending it.

mod diff;
mod event;
mod filter;
mod group;
mod hash;
mod inspect;
mod list;
mod patterns;
mod priority;
mod refresh;
mod scan;
mod scope;
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
    content::ContentId,
    identity::Reach,
    path::{PathError, SharePath},
};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

pub(crate) use event::absent;
pub use event::{ShareEvent, ShareEvents, SkipReason};
pub(crate) use inspect::{is_unfinished, open_file};
pub use list::Listed;
pub use refresh::Refreshed;
pub use unshare::{UnshareTarget, Unshared};

pub(crate) use diff::Fresh;
pub(crate) use group::NamedGroup;
pub(crate) use list::list;
pub(crate) use patterns::IGNORE_FILE;
pub(crate) use priority::Priority;
pub(crate) use scan::{Identity, Look, Looked, Part, Quiet};
pub(crate) use scope::Scope;
pub(crate) use store::LARGE;
pub(crate) use walk::folders;

use crate::{
    catalog::{Catalog, CatalogError, CatalogLock, NewShare, RootId, Share, ShareId},
    data_dir::{DataDir, is_data_dir},
};

/// How something is shared. What is `None` stays as it was when it is shared again, and has its default the first time.
#[derive(Clone, Debug, Default)]
pub struct ShareOptions {
    /// Who can find and fetch it; everybody by default.
    pub visibility: Option<Visibility>,
    /// Which group is meant, if `visibility` is a group's: [`Group::reach`](p2pshare_core::api::Group::reach), as the
    /// index tells it. Without it what is shared with the group already stays with the one that it was shared with, and
    /// what is not is for the one that has the name when it is published for the first time.
    pub reach: Option<Reach>,
    /// Share it with the group that `reach` names although it is shared with another one of the same name. Without this
    /// that is refused: [`CatalogError::OtherGroup`].
    pub other_group: bool,
    /// Share hidden files too, those whose name begins with a dot; not by default.
    pub hidden: Option<bool>,
    /// Follow symbolic links wherever they lead. By default a link is shared only if it leads to a file in the same
    /// shared folder.
    pub follow_links: Option<bool>,
    /// Let the running peer follow what changes; it does by default.
    pub watched: Option<bool>,
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
    /// Of these the files whose bytes were others, though they seemed unchanged.
    pub rewritten: u64,
    /// Files that are shared no more, for they are gone or cannot be read.
    pub removed: u64,
    /// Files and folders that are not shared, each of which was told as an event.
    pub skipped: u64,
    /// What is shared for fewer has come to lie in its place, and nothing of it is offered.
    pub usurped: bool,
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
    /// It is the data directory of a peer or an index, this peer's or another's, or a file in it.
    #[error("{} belongs to the data of a p2pshare peer or index, which must not be shared", .0.display())]
    OwnData(PathBuf),
    /// It is everything there is, or no file of anybody.
    #[error("{} is the system's: share folders with files of yours", .0.display())]
    System(PathBuf),
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
    /// Another process looks through it, and whether that has ended cannot be told.
    #[error("the lock of looking through {} failed: {error}", root.display())]
    Lock {
        /// What is shared.
        root: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
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
    /// What seems unchanged is hashed again too.
    rehash: bool,
}

impl Sharer {
    /// Shares through this catalog. The files of `data_dir` itself, among them the peer's key, are never shared, nor are
    /// those of data directories of other peers and of indexes.
    pub fn new(catalog: Catalog, data_dir: &DataDir) -> Self {
        Self { catalog, data_dir: data_dir.path().into(), rehash: false }
    }

    /// The same, but what seems unchanged is hashed again too when it is looked at: a file that was written to keeps its
    /// length, and its time where a program puts that back; a disk may fail. What has changed so is told as
    /// [`ShareEvent::Rewritten`].
    pub fn rehashing(self) -> Self {
        Self { rehash: true, ..self }
    }

    /// The catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The peer's data directory.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Shares a file or folder, or brings what is shared already up to date. Waits while another process does the same.
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
        let new = self.new_share(path, options).await?;
        // Before others see the share, so that they find it hashed instead of hashing it too.
        let lock = self.lock(&new.root, events);
        let lock = cancel.run_until_cancelled(lock).await.transpose()?;
        let share = self.catalog.add_share(new).await?;
        match lock {
            Some(_lock) => self.scan(share, events, cancel).await,
            None => Ok(ShareReport { cancelled: true, ..ShareReport::new(share) }),
        }
    }

    /// Notes that a file or folder is shared, or changes how it is. What is in it is found by the next
    /// [`rescan`](Self::rescan).
    pub async fn add(&self, path: &Path, options: &ShareOptions) -> Result<Share, ShareError> {
        let new = self.new_share(path, options).await?;
        Ok(self.catalog.add_share(new).await?)
    }

    /// Changes how something is shared, whether it is there at the moment or not.
    pub async fn change(
        &self,
        share: ShareId,
        options: &ShareOptions,
    ) -> Result<Share, ShareError> {
        let share = self.catalog.share(share).await?.ok_or(ShareError::NoShare)?;
        let new = NewShare::new(share.root, share.name, None, options);
        Ok(self.catalog.add_share(new).await?)
    }

    async fn new_share(&self, path: &Path, options: &ShareOptions) -> Result<NewShare, ShareError> {
        let (given, data_dir) = (path.to_owned(), self.data_dir.clone());
        let resolved = spawn_blocking(move || resolve(&given, &data_dir)).await;
        let Resolved { root, name, is_file, meant } =
            resolved.unwrap_or_else(|_| Err(interrupted(path)))?;
        Ok(NewShare { meant, ..NewShare::new(root, name, Some(is_file), options) })
    }

    /// Brings a share up to date. Waits while another process does the same. If its root is not there, its hashes are
    /// kept but nothing of it is published: see [`Share::online`].
    ///
    /// Cancellation: as [`share`](Self::share).
    pub async fn rescan(
        &self,
        share: ShareId,
        events: &ShareEvents,
        cancel: &CancellationToken,
    ) -> Result<ShareReport, ShareError> {
        let share = self.catalog.share(share).await?.ok_or(ShareError::NoShare)?;
        let lock = self.lock(&share.root, events);
        match cancel.run_until_cancelled(lock).await.transpose()? {
            Some(_lock) => self.scan(share, events, cancel).await,
            None => Ok(ShareReport { cancelled: true, ..ShareReport::new(share) }),
        }
    }
}

impl Sharer {
    /// The right to look through all of a share: two at once would hash the same.
    async fn lock(&self, root: &Path, events: &ShareEvents) -> Result<CatalogLock, ShareError> {
        if let Some(lock) = self.try_lock(root).await? {
            return Ok(lock);
        }
        events(ShareEvent::Waiting);
        let taken = CatalogLock::take(&self.catalog, &lock_name(root)).await;
        taken.map_err(|error| ShareError::Lock { root: root.to_owned(), error })
    }

    /// The same, unless another process does it.
    pub(crate) async fn try_lock(&self, root: &Path) -> Result<Option<CatalogLock>, ShareError> {
        let taken = CatalogLock::try_take(&self.catalog, &lock_name(root)).await;
        taken.map_err(|error| ShareError::Lock { root: root.to_owned(), error })
    }
}

/// A short word for a root.
fn lock_name(root: &Path) -> String {
    let id = ContentId::of(root.as_os_str().as_encoded_bytes()).to_string();
    format!("scan-{}", &id[..16])
}

impl NewShare {
    fn new(root: PathBuf, name: SharePath, is_file: Option<bool>, options: &ShareOptions) -> Self {
        Self {
            root,
            name,
            visibility: options.visibility.clone(),
            reach: options.reach,
            other_group: options.other_group,
            hidden: options.hidden,
            follow_links: options.follow_links,
            watched: options.watched,
            is_file,
            meant: None,
        }
    }
}

impl ShareReport {
    /// Nothing was done yet.
    pub(crate) fn new(share: Share) -> Self {
        Self {
            share,
            files: 0,
            unchanged: 0,
            moved: 0,
            hashed: 0,
            hashed_bytes: 0,
            rewritten: 0,
            removed: 0,
            skipped: 0,
            usurped: false,
            cancelled: false,
        }
    }
}

/// What is to be shared.
struct Resolved {
    /// Its real place.
    root: PathBuf,
    /// Its name for others.
    name: SharePath,
    is_file: bool,
    /// What lies there, which is what is meant whatever lies there later.
    meant: Option<RootId>,
}

/// Finds what is to be shared. Blocks.
fn resolve(path: &Path, data_dir: &Path) -> Result<Resolved, ShareError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            ShareError::NotFound(path.to_owned())
        }
        _ => ShareError::Unreadable { path: path.to_owned(), error },
    };
    let root = fs::canonicalize(path).map_err(unreadable)?;
    let metadata = fs::metadata(&root).map_err(unreadable)?;
    let folder = if metadata.is_dir() { Some(root.as_path()) } else { root.parent() };
    let is_own = folder.is_some_and(|folder| folder == data_dir || is_data_dir(folder));
    if !metadata.is_dir() && !metadata.is_file() {
        return Err(ShareError::Special(path.to_owned()));
    } else if root.parent().is_none() || is_of_system(&root) {
        return Err(ShareError::System(root));
    } else if is_own {
        return Err(ShareError::OwnData(path.to_owned()));
    } else if metadata.is_dir() {
        fs::read_dir(&root).map_err(unreadable)?;
    } else {
        fs::File::open(&root).map_err(unreadable)?;
    }
    // A link is called as the user calls it, `.` as it is really called.
    let name = path.file_name().or_else(|| root.file_name()).unwrap_or_else(|| "files".as_ref());
    let name = SharePath::sanitize(Path::new(name))
        .map_err(|error| ShareError::NoName { path: path.to_owned(), error })?;
    let meant = RootId::of(&metadata);
    Ok(Resolved { root, name: name.path, is_file: metadata.is_file(), meant })
}

/// Whether it belongs to a file system that is made by the system and has no files of anybody.
#[cfg(target_os = "linux")]
fn is_of_system(path: &Path) -> bool {
    // proc, sysfs, cgroup, cgroup2, debugfs, tracefs: Linux's `magic.h`.
    const MADE: [u64; 6] =
        [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163];
    rustix::fs::statfs(path)
        .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| MADE.contains(&kind)))
}

#[cfg(not(target_os = "linux"))]
fn is_of_system(_path: &Path) -> bool {
    false
}

fn interrupted(path: &Path) -> ShareError {
    ShareError::Unreadable { path: path.to_owned(), error: io::ErrorKind::Interrupted.into() }
}
