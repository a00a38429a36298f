//! Files that hold secrets: readable by their owner only, written whole or not at all.

use std::{
    fmt::Display,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// Largest secret file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// Why a file or folder cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub(crate) struct FileError {
    pub(crate) path: PathBuf,
    pub(crate) what: String,
}

impl FileError {
    fn new(path: &Path, what: impl Display) -> Self {
        Self { path: path.to_path_buf(), what: what.to_string() }
    }
}

/// Makes a folder and those above it, if they are not there. A new one is readable by its owner only.
pub(crate) fn create_dir(path: &Path) -> Result<(), FileError> {
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
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    let fail = |error: io::Error| FileError::new(path, format_args!("it cannot be read: {error}"));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let metadata = file.metadata().map_err(fail)?;
    check_mode(path, &metadata)?;
    if metadata.len() > MAX_BYTES {
        return Err(FileError::new(path, "it is far too large to be a key"));
    }
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0)));
    io::Read::read_to_end(&mut io::Read::take(file, MAX_BYTES), &mut bytes).map_err(fail)?;
    Ok(Some(bytes))
}

/// Writes a new secret, unless the file is there already, and reads what is there then: of several processes that do
/// this at once, one wins and all have the same.
pub(crate) fn create_or_read(path: &Path, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // Unlike a rename, a link never replaces what is there.
    match write(path, bytes, |temporary| fs::hard_link(temporary, path)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(not_written(path, &error));
        }
        _ => {}
    }
    read(path)?.ok_or_else(|| FileError::new(path, "it vanished while it was being made"))
}

/// Writes a secret in place of what is there. It belongs to whom that belonged: an operator who is root changes the keys of
/// an index that is not. Where a link leads to it, the link stays.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let replaced = behind_links(path)
        .and_then(|path| write(&path, bytes, |temporary| fs::rename(temporary, &path)));
    replaced.map_err(|error| not_written(path, &error))
}

/// Waits until no other process holds the lock of a secret, and holds it until the value is dropped. A file beside it is
/// what is locked, for a secret is replaced and not changed.
pub(crate) fn lock(path: &Path) -> Result<File, FileError> {
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

fn not_written(path: &Path, error: &io::Error) -> FileError {
    FileError::new(path, format_args!("it cannot be written: {error}"))
}

/// Writes a file beside `path`, lets `place` put it there, and sees to it that it lasts.
fn write(path: &Path, bytes: &[u8], place: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let temporary = path.with_extension(format!("{:016x}.new", rand::random::<u64>()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        keep_owner(path, &file)?;
        file.sync_all()?;
        place(&temporary)
    });
    let _ = fs::remove_file(&temporary);
    written?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
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
            assert!(error.contains("chmod 600") && error.contains("secret.key"), "{error}");
        }
    }
}
