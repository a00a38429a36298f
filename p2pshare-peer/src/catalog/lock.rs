//! What one process at a time may do with a catalog.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::sleep};

use super::Catalog;

/// How often the holder is asked whether it is done.
const INTERVAL: Duration = Duration::from_millis(50);

/// The right to do something with a catalog that nobody else does at the same time, in this or another process. Whoever
/// dies gives it back.
#[derive(Debug)]
pub(crate) struct CatalogLock {
    _file: File,
}

impl CatalogLock {
    /// Waits until nobody else does `what`: a word that goes into a file's name.
    ///
    /// Cancellation: it is not taken.
    pub(crate) async fn take(catalog: &Catalog, what: &str) -> io::Result<Self> {
        let file = open(catalog, what).await?;
        loop {
            if is_locked(&file)? {
                return Ok(Self { _file: file });
            }
            sleep(INTERVAL).await;
        }
    }

    /// The right, if nobody has it at the moment.
    pub(crate) async fn try_take(catalog: &Catalog, what: &str) -> io::Result<Option<Self>> {
        let file = open(catalog, what).await?;
        Ok(is_locked(&file)?.then_some(Self { _file: file }))
    }
}

impl CatalogLock {
    /// Removes what is left of a right that nobody will want again.
    pub(crate) async fn forget(catalog: &Catalog, what: &str) {
        let path = place(catalog.path(), what);
        let removed = spawn_blocking(move || std::fs::remove_file(path)).await;
        if let Ok(Err(error)) = removed {
            tracing::debug!(%error, what, "a lock's file is left");
        }
    }
}

/// Whether the file could be locked.
fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

async fn open(catalog: &Catalog, what: &str) -> io::Result<File> {
    let path = place(catalog.path(), what);
    let opened = spawn_blocking(move || {
        OpenOptions::new().create(true).truncate(false).write(true).open(path)
    });
    opened.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))
}

fn place(catalog: &Path, what: &str) -> PathBuf {
    catalog.with_extension(format!("{what}.lock"))
}
