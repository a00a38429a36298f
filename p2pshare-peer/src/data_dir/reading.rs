//! Folders for what is read while it is downloaded, by other processes than the serving one.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{DOWNLOADERS, DataDir, DataDirError, READING_FOLDER, io_error};

/// So often it is tried again to remove a folder into which something is still written.
const REMOVALS: u32 = 10;

/// A folder for reading, which no other process uses. It is removed with all that is in it when this is dropped, which
/// blocks.
#[derive(Debug)]
pub struct ReadingFolder {
    path: PathBuf,
    /// Let go once the folder is removed.
    _lock: File,
}

impl ReadingFolder {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ReadingFolder {
    fn drop(&mut self) {
        let remove = || match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let mut removed = remove();
        for _ in 0..REMOVALS {
            // What was told to end may have put something there meanwhile.
            let is_full = |error: &io::Error| error.kind() == io::ErrorKind::DirectoryNotEmpty;
            if !removed.as_ref().is_err_and(is_full) {
                break;
            }
            removed = remove();
        }
        if let Err(error) = removed {
            tracing::warn!(%error, folder = %self.path.display(), "what was read stays for now");
        }
    }
}

impl DataDir {
    /// A folder in which this process keeps what it reads while it downloads it. `None` when too many processes do so
    /// at the moment.
    pub fn reading_folder(&self) -> Result<Option<ReadingFolder>, DataDirError> {
        for number in 1..=DOWNLOADERS {
            if let Some(folder) = self.empty_reading(number)? {
                let path = &folder.path;
                fs::create_dir(path).map_err(|error| io_error("making", path, error))?;
                return Ok(Some(folder));
            }
        }
        Ok(None)
    }

    /// Removes what processes have left that read, and are no more.
    pub(crate) fn clear_reading(&self) -> Result<(), DataDirError> {
        for number in 1..=DOWNLOADERS {
            if self.reading_path(number).exists() {
                drop(self.empty_reading(number)?);
            }
        }
        Ok(())
    }

    /// Locks a reading folder and removes what another process has left there; `None` when it is in use.
    fn empty_reading(&self, number: u32) -> Result<Option<ReadingFolder>, DataDirError> {
        let Some(lock) = self.try_lock(&format!("read-{number}.lock"))? else {
            return Ok(None);
        };
        let path = self.reading_path(number);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error("emptying", &path, error))
            }
            _ => Ok(Some(ReadingFolder { path, _lock: lock })),
        }
    }

    fn reading_path(&self, number: u32) -> PathBuf {
        self.path.join(format!("{READING_FOLDER}{number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_goes_with_its_reader() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let take = || dir.reading_folder().unwrap().unwrap();
        let (first, second) = (take(), take());
        let (gone, kept) = (first.path().to_owned(), second.path().to_owned());
        for path in [&gone, &kept] {
            fs::create_dir(path.join("cache")).unwrap();
            fs::write(path.join("cache/film"), "film").unwrap();
        }
        drop(first);
        assert!(!gone.exists());

        // A process that was killed has left it.
        fs::create_dir_all(gone.join("cache")).unwrap();
        dir.clear_reading().unwrap();
        assert!(!gone.exists() && kept.join("cache/film").exists());
        fs::create_dir_all(gone.join("cache")).unwrap();
        assert_eq!(fs::read_dir(take().path()).unwrap().count(), 0);
    }
}
