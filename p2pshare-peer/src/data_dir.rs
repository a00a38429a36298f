//! The peer's data directory: its key, its session, its catalog.

mod reading;

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use p2pshare_core::{
    identity::{KeyError, PeerKey},
    private_file::{self, FileError},
    process::owner_unlike_root,
};
use zeroize::Zeroizing;

pub use reading::ReadingFolder;

/// Name of the file with the peer's private key, PKCS #8 in DER.
const KEY_FILE: &str = "peer.key";

/// Name of the file with the session.
pub(crate) const SESSION_FILE: &str = "session.json";

/// Name of the catalog of shares.
const CATALOG_FILE: &str = "catalog.sqlite";

/// Names of files that tell whose directory it is.
const OWNED_FILES: [&str; 3] = [KEY_FILE, SESSION_FILE, CATALOG_FILE];

/// Names of the files that an index keeps together: its signing keys and its store.
const INDEX_FILES: [&str; 2] = ["keys.json", "index.db"];

/// Name of the folder for what is read while it is downloaded.
const CACHE_FOLDER: &str = "cache";

/// What the names of folders begin with in which other processes than the serving one read.
const READING_FOLDER: &str = "read-";

/// So many processes at a time can serve what they download, each as a peer of its own.
const DOWNLOADERS: u32 = 8;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The system gives this user no place for data.
    #[error("no home directory was found: say where to keep data with --data-dir")]
    NoHome,
    /// A file could not be read or written.
    #[error("{what} {} failed: {error}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: io::Error,
    },
    /// A secret file could not be used, or the directory not be made.
    #[error(transparent)]
    Private(#[from] FileError),
    /// The key file holds no key.
    #[error("{} is damaged: {error}; delete it to get a new key (the peer then has another id)", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        error: KeyError,
    },
    /// Root works in the directory of another user.
    #[error(
        "{} is the data directory of another user (number {owner}), who could not use what root makes in it: run this as \
         that user (sudo -u '#{owner}' …), or name another directory with --data-dir", path.display()
    )]
    NotRoots {
        /// The directory.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
    },
    /// Another process serves from this directory.
    #[error("another p2pshare-peer is already serving from {}: stop it first, or use another --data-dir", .0.display())]
    InUse(PathBuf),
}

/// Whether a folder is a data directory of a peer or an index, as the names of the files in it tell. Blocks.
pub(crate) fn is_data_dir(folder: &Path) -> bool {
    let has = |name: &str| fs::metadata(folder.join(name)).is_ok_and(|it| it.is_file());
    has(KEY_FILE) || INDEX_FILES.into_iter().all(has)
}

/// Whether a folder of this name in a data directory is one that a peer makes for what it reads.
pub(crate) fn is_made_by_peer(name: &OsStr) -> bool {
    name == CACHE_FOLDER || name.as_encoded_bytes().starts_with(READING_FOLDER.as_bytes())
}

/// The peer's data directory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: Arc<Path>,
}

impl DataDir {
    /// Opens the directory and makes it if it is not there, readable by its owner only. Root is refused where another
    /// user is at home.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        private_file::create_dir(path)?;
        let path = path.canonicalize().map_err(|error| io_error("opening", path, error))?;
        for name in OWNED_FILES {
            let file = path.join(name);
            let owner = owner_unlike_root(&file).map_err(|error| io_error("opening", &file, error));
            if let Some(owner) = owner? {
                return Err(DataDirError::NotRoots { path, owner });
            }
        }
        Ok(Self { path: path.into() })
    }

    /// Where the directory is unless the user says otherwise.
    pub fn default_path() -> Result<PathBuf, DataDirError> {
        let dirs =
            directories::ProjectDirs::from("", "", "p2pshare").ok_or(DataDirError::NoHome)?;
        Ok(dirs.data_dir().join("peer"))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The catalog of shares.
    pub fn catalog(&self) -> PathBuf {
        self.path.join(CATALOG_FILE)
    }

    /// The folder for what the serving peer reads while it downloads it.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path.join(CACHE_FOLDER)
    }

    /// The peer's key; a new one the first time.
    pub fn peer_key(&self) -> Result<PeerKey, DataDirError> {
        self.key_in(KEY_FILE)
    }

    /// A key with which this process serves what it downloads, for as long as the lock lives: another than that of the
    /// peer that serves from this directory, and than that of any other process. The keys are kept and used again, so
    /// that an index does not get to know ever more peers. `None` when too many processes download at the moment.
    pub fn download_key(&self) -> Result<Option<(PeerKey, DownloadLock)>, DataDirError> {
        for number in 1..=DOWNLOADERS {
            if let Some(file) = self.try_lock(&format!("download-{number}.lock"))? {
                let key = self.key_in(&format!("download-{number}.key"))?;
                return Ok(Some((key, DownloadLock { _file: file })));
            }
        }
        Ok(None)
    }

    /// The key in a file; a new one the first time.
    fn key_in(&self, name: &str) -> Result<PeerKey, DataDirError> {
        let path = self.path.join(name);
        let bad = |error| DataDirError::BadKey { path: path.clone(), error };
        let der = match private_file::read(&path)? {
            Some(der) => der,
            // If another process makes one at the same time, its key is the peer's.
            None => {
                let new = PeerKey::generate().and_then(|key| key.to_pkcs8_der()).map_err(bad)?;
                private_file::create_or_read(&path, &new)?
            }
        };
        PeerKey::from_pkcs8_der(&der).map_err(bad)
    }

    /// Takes the right to serve from this directory, until the lock is dropped or the process ends.
    pub fn lock_for_serving(&self) -> Result<ServeLock, DataDirError> {
        match self.try_lock("serve.lock")? {
            Some(file) => Ok(ServeLock { _file: file }),
            None => Err(DataDirError::InUse(self.path.to_path_buf())),
        }
    }

    /// Locks a file of this name; `None` when another process has locked it.
    fn try_lock(&self, name: &str) -> Result<Option<File>, DataDirError> {
        let path = self.path.join(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| io_error("opening", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(io_error("locking", &path, error)),
        }
    }

    /// Whether a process serves from this directory at the moment.
    pub fn is_served(&self) -> Result<bool, DataDirError> {
        match self.lock_for_serving() {
            Ok(_) => Ok(false),
            Err(DataDirError::InUse(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// That all secret files are for their owner only. Gives how many there are.
    ///
    /// # Errors
    /// [`DataDirError::Private`] for the first that is not.
    pub fn check_secrets(&self) -> Result<usize, DataDirError> {
        let failed = |error| io_error("reading", &self.path, error);
        let mut number = 0;
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|it| it == "key" || it == "json") {
                private_file::check(&path)?;
                number += 1;
            }
        }
        Ok(number)
    }

    /// Reads a small secret file of this name, if it is there.
    pub(crate) fn read_secret(
        &self,
        name: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, DataDirError> {
        Ok(private_file::read(&self.path.join(name))?)
    }

    /// Writes a small secret file of this name in one step, in place of the one before.
    pub(crate) fn write_secret(&self, name: &str, bytes: &[u8]) -> Result<(), DataDirError> {
        Ok(private_file::replace(&self.path.join(name), bytes)?)
    }

    /// Removes a file of this name, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), DataDirError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error("removing", &path, error))
            }
            _ => Ok(()),
        }
    }
}

/// The right to serve from a data directory.
#[derive(Debug)]
pub struct ServeLock {
    _file: File,
}

/// The right to use a key for serving downloads.
#[derive(Debug)]
pub struct DownloadLock {
    _file: File,
}

fn io_error(what: &'static str, path: &Path, error: io::Error) -> DataDirError {
    DataDirError::Io { what, path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_the_same_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&folder.path().join("new/peer")).unwrap();
        let id = dir.peer_key().unwrap().peer_id();
        assert_eq!(dir.peer_key().unwrap().peer_id(), id);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = dir.path().join(KEY_FILE);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            assert!(matches!(dir.peer_key(), Err(DataDirError::Private(_))));
            assert!(matches!(dir.check_secrets(), Err(DataDirError::Private(_))));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(dir.check_secrets().unwrap(), 1);
        }
    }

    #[cfg(unix)]
    #[test]
    fn root_makes_nothing_where_another_user_is_at_home() {
        for name in OWNED_FILES {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path();
            let file = DataDir::open(path).unwrap().path().join(name);
            fs::write(&file, "").unwrap();
            DataDir::open(path).unwrap();
            // Who is not root cannot give the file away, and is never refused.
            if std::os::unix::fs::chown(&file, Some(4711), None).is_ok() {
                let refused = DataDir::open(path).unwrap_err();
                assert!(matches!(refused, DataDirError::NotRoots { owner: 4711, .. }), "{refused}");
            }
        }
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        dir.write_secret(KEY_FILE, b"not a key").unwrap();
        assert!(matches!(dir.peer_key(), Err(DataDirError::BadKey { .. })));
        assert_eq!(**dir.read_secret(KEY_FILE).unwrap().unwrap(), *b"not a key");
    }

    #[test]
    fn each_that_downloads_has_a_key_of_its_own_which_is_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let take = || dir.download_key().unwrap().map(|(key, lock)| (key.peer_id(), lock));
        let mut taken: Vec<_> = std::iter::from_fn(take).collect();
        assert_eq!(taken.len(), 8);
        let mut ids: Vec<_> = taken.iter().map(|(id, _)| *id).collect();
        ids.push(dir.peer_key().unwrap().peer_id());
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 9);
        taken.remove(3);
        assert_eq!(take().unwrap().0, ids[3]);
    }

    #[test]
    fn data_directories_are_told_by_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join(KEY_FILE)).unwrap();
        fs::write(path.join("keys.json"), "").unwrap();
        assert!(!is_data_dir(path));
        fs::write(path.join("index.db"), "").unwrap();
        assert!(is_data_dir(path));
        let dir = DataDir::open(&path.join("peer")).unwrap();
        assert!(!is_data_dir(dir.path()));
        dir.peer_key().unwrap();
        assert!(is_data_dir(dir.path()));
        let reading = dir.reading_folder().unwrap().unwrap();
        assert!(is_made_by_peer(reading.path().file_name().unwrap()));
        assert!(is_made_by_peer(dir.cache().file_name().unwrap()));
        assert!(!is_made_by_peer("downloads".as_ref()));
    }

    #[test]
    fn one_serves_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let lock = dir.lock_for_serving().unwrap();
        assert!(matches!(dir.lock_for_serving(), Err(DataDirError::InUse(_))));
        drop(lock);
        dir.lock_for_serving().unwrap();
    }
}
