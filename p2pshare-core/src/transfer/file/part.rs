//! A part file: locked, and on its way to its final name.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{FileStamp, sys};
use crate::transfer::SinkError;

/// The file that a download is written to. Unlocks it when it is dropped.
#[derive(Debug)]
pub(super) struct Part {
    /// Shared with readers, who may live longer than the lock.
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    pub(super) target: PathBuf,
    /// Where the manifest is kept until the end, if it has one.
    pub(super) manifest_path: Option<PathBuf>,
    pub(super) overwrite: bool,
    /// Set once it has its final name, which may not be permanent yet: what it was before anybody could change it there.
    pub(super) renamed: Arc<OnceLock<FileStamp>>,
    /// Set once it is permanent under its final name.
    pub(super) finished: AtomicBool,
    /// The system could not make the bytes permanent, and may have forgotten them since.
    pub(super) failed: AtomicBool,
}

impl Part {
    /// Refuses to go on after [`failed`](Self::failed).
    pub(super) fn check(&self) -> Result<(), SinkError> {
        if !self.failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let reason =
            "an earlier write was lost; run the same command again, it checks what is there";
        Err(self.error("writing", &self.path, io::Error::other(reason)))
    }

    /// Refuses to write what nobody would find: all names of the file are gone.
    pub(super) fn check_there(&self) -> Result<(), SinkError> {
        let fail = |error| self.error("writing", &self.path, error);
        let metadata = self.file.metadata().map_err(fail)?;
        // Some file systems do not count names.
        if sys::is_removed(&metadata) && !sys::is_at(&metadata, &self.path).map_err(fail)? {
            return Err(fail(io::Error::new(ErrorKind::NotFound, "it was removed meanwhile")));
        }
        Ok(())
    }

    /// Makes the bytes permanent.
    pub(super) fn sync(&self) -> Result<(), SinkError> {
        self.check()?;
        self.file.sync_data().map_err(|error| {
            // The system reports a lost write once and then takes the file for good. So this sink is finished, and
            // whoever resumes reads what is on the disk, not what was once in memory.
            self.failed.store(true, Ordering::Relaxed);
            sys::forget_cache(&self.file);
            self.error("syncing", &self.path, error)
        })
    }

    /// Gives the file its final name.
    pub(super) fn rename(&self) -> Result<(), SinkError> {
        if self.renamed.get().is_some() {
            return Ok(());
        }
        let stamp = FileStamp::of_file(&self.file)
            .map_err(|error| self.error("looking at", &self.path, error))?;
        self.try_rename().map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::IsADirectory => {
                SinkError::Exists(self.target.clone())
            }
            _ => self.error("renaming", &self.path, error),
        })?;
        self.renamed.get_or_init(|| stamp);
        Ok(())
    }

    /// Notes that all is done, and takes the manifest away.
    pub(super) fn finish(&self) {
        if let Some(manifest) = &self.manifest_path {
            // It is of no more use; left over, it does no harm.
            let _ = fs::remove_file(manifest);
        }
        self.finished.store(true, Ordering::Release);
    }

    /// What the file was when it was complete, once it is permanent under its final name.
    pub(super) fn finished(&self) -> Option<FileStamp> {
        self.finished.load(Ordering::Acquire).then(|| self.renamed.get().copied()).flatten()
    }

    /// The folder that has the file.
    pub(super) fn folder(&self) -> PathBuf {
        folder_of(&self.target)
    }

    pub(super) fn error(&self, what: &'static str, path: &Path, error: io::Error) -> SinkError {
        SinkError::from_io(what, path, &self.target, error)
    }

    fn try_rename(&self) -> io::Result<()> {
        // Somebody may have put another file there.
        if !sys::is_at(&self.file.metadata()?, &self.path)? {
            let reason = "it was moved away or replaced meanwhile";
            return Err(io::Error::new(ErrorKind::NotFound, reason));
        }
        if self.overwrite {
            fs::rename(&self.path, &self.target)
        } else {
            sys::rename_new(&self.path, &self.target)
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Closing the file would do, but readers may keep it open.
        let _ = self.file.unlock();
    }
}

/// The folder that has a file; `.` for a bare name.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
