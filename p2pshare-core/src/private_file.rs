//! Files that hold secrets: readable by their owner only, written whole or not at all. All of this blocks.
//!
//! ```
//! use p2pshare_core::private_file;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("secret.key");
//! assert_eq!(*private_file::create_or_read(&path, b"the first")?, b"the first");
//! assert_eq!(*private_file::create_or_read(&path, b"another")?, b"the first");
//! private_file::replace(&path, b"the next")?;
//! assert_eq!(private_file::read(&path)?.as_deref(), Some(&b"the next".to_vec()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{
    fmt::Display,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, PersistError};
use zeroize::Zeroizing;

/// Largest secret file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// Why a file or folder cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct FileError {
    /// Which one.
    pub path: PathBuf,
    /// What is wrong, and what can be done.
    pub what: String,
}

impl FileError {
    fn new(path: &Path, what: impl Display) -> Self {
        Self { path: path.to_path_buf(), what: what.to_string() }
    }
}

/// Makes a folder and those above it, if they are not there. A new one is readable by its owner only.
///
/// # Errors
/// What the system says.
pub fn create_dir(path: &Path) -> Result<(), FileError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|error| FileError::new(path, format_args!("the folder cannot be made: {error}")))
}

/// Reads a secret, `None` if there is no such file.
///
/// # Errors
/// If others than its owner may read or write it, or it cannot be read.
pub fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    let fail = |error| not_read(path, &error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let metadata = file.metadata().map_err(fail)?;
    check_mode(path, &metadata)?;
    if metadata.len() > MAX_BYTES {
        return Err(FileError::new(path, "it is far too large for what it should hold"));
    }
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0)));
    io::Read::read_to_end(&mut io::Read::take(file, MAX_BYTES), &mut bytes).map_err(fail)?;
    Ok(Some(bytes))
}

/// That a file can be read, and is for its owner only.
///
/// # Errors
/// If others may read or write it, or it cannot be read or is not there.
pub fn check(path: &Path) -> Result<(), FileError> {
    let metadata = File::open(path).and_then(|file| file.metadata());
    check_mode(path, &metadata.map_err(|error| not_read(path, &error))?)
}

/// Writes a new secret, unless the file is there already, and reads what is there then: of several processes that do
/// this at once, one wins and all have the same.
///
/// # Errors
/// If it can neither be written nor read.
pub fn create_or_read(path: &Path, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, FileError> {
    match write(path, bytes, |file| file.persist_noclobber(path)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(not_written(path, &error));
        }
        _ => {}
    }
    read(path)?.ok_or_else(|| FileError::new(path, "it vanished while it was being made"))
}

/// Writes a secret in place of what is there. It belongs to whom that belonged: an operator who is root changes the keys of
/// an index that is not. Where a link leads to it, the link stays.
///
/// # Errors
/// If it cannot be written: then it is what it was.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let replaced =
        behind_links(path).and_then(|path| write(&path, bytes, |file| file.persist(&path)));
    replaced.map_err(|error| not_written(path, &error))
}

/// Waits until no other process holds the lock of a secret, and holds it until the value is dropped. A file beside it is
/// what is locked, for a secret is replaced and not changed.
///
/// # Errors
/// If the lock can be neither made nor opened, or the file system has no locks.
pub fn lock(path: &Path) -> Result<File, FileError> {
    let fail = |at: &Path, error: io::Error| {
        FileError::new(at, format_args!("it cannot be locked: {error}"))
    };
    let path = behind_links(path).map_err(|error| fail(path, error))?;
    let lock = path.with_extension("lock");
    let locked = open_lock(&lock, &path).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| fail(&lock, error))
}

/// Opens a lock, and makes it if it is not there: a new one belongs to whom the secret belongs. Does not follow a link.
fn open_lock(lock: &Path, secret: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        use rustix::fs::OFlags;

        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    match options.create_new(true).open(lock) {
        Ok(file) => keep_owner(secret, &file).map(|()| file),
        // It is not given away: it could be a second name of any file.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.create_new(false).open(lock)
        }
        Err(error) => Err(error),
    }
}

/// The file that a path leads to, by links or not.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_path_buf()),
        found => found,
    }
}

fn not_read(path: &Path, error: &io::Error) -> FileError {
    FileError::new(path, format_args!("it cannot be read: {error}"))
}

fn not_written(path: &Path, error: &io::Error) -> FileError {
    FileError::new(path, format_args!("it cannot be written: {error}"))
}

/// Writes a file beside `path`, lets `place` put it there, and sees to it that it lasts.
fn write(
    path: &Path,
    bytes: &[u8],
    place: impl FnOnce(NamedTempFile) -> Result<File, PersistError>,
) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // It is its owner's only, and gone if anything fails.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    keep_owner(path, file.as_file())?;
    file.as_file().sync_all()?;
    place(file)?;
    File::open(folder)?.sync_all()
}

/// Gives a new file to the owner of the one that it replaces, if there is one. The open file is given, not a name, which
/// could be another file's by now.
#[cfg(unix)]
fn keep_owner(old: &Path, new: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    // Whoever is not root cannot give files away, and does not have to.
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    match fs::metadata(old) {
        Ok(old) => fchown(new, Some(old.uid()), Some(old.gid())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt;

    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(FileError::new(
        path,
        format_args!(
            "others on this machine may use it (mode {mode:03o}), and it holds a secret: \
             `chmod 600` it, or delete it if somebody may have read it"
        ),
    ))
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _metadata: &fs::Metadata) -> Result<(), FileError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_secret_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/secret.key");
        create_dir(path.parent().unwrap()).unwrap();
        assert!(read(&path).unwrap().is_none());
        assert!(check(&path).unwrap_err().to_string().contains("secret.key"));
        assert_eq!(&**create_or_read(&path, b"one").unwrap(), b"one");
        assert_eq!(&**create_or_read(&path, b"two").unwrap(), b"one");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no leftovers");
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_root_replaces_stays_its_owners() {
        use std::os::unix::fs::{MetadataExt, chown};

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.key");
        create_or_read(&path, b"one").unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&path, Some(4711), Some(4712)).unwrap();
        }
        let state = || fs::metadata(&path).map(|it| (it.uid(), it.gid(), it.mode())).unwrap();
        let before = state();
        replace(&path, b"two").unwrap();
        assert_eq!((state(), fs::read(&path).unwrap()), (before, b"two".to_vec()));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_secret_stays_and_a_link_is_no_lock() {
        use std::os::unix::fs::{MetadataExt, chown, symlink};

        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("etc/secret.key"), dir.path().join("secret.key"));
        create_dir(path.parent().unwrap()).unwrap();
        create_or_read(&path, b"one").unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&path, Some(4711), Some(4712)).unwrap();
        }
        symlink(&path, &link).unwrap();
        let held = lock(&link).unwrap();
        replace(&link, b"two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let beside = path.with_extension("lock");
        let owner = |path: &Path| fs::metadata(path).map(|it| (it.uid(), it.gid())).unwrap();
        assert_eq!(owner(&beside), owner(&path));
        drop(held);
        lock(&link).unwrap();

        fs::remove_file(&beside).unwrap();
        symlink(&path, &beside).unwrap();
        let error = lock(&link).unwrap_err().to_string();
        assert!(error.contains("secret.lock"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.key");
        create_or_read(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert_eq!(check(&path).unwrap_err().to_string(), error);
            assert!(error.contains("chmod 600") && error.contains("secret.key"), "{error}");
        }
    }
}
