//! One publisher at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
    time::Duration,
};

use tokio::{task::spawn_blocking, time::sleep};

use crate::catalog::Catalog;

/// How often another publisher is asked whether it is done.
const INTERVAL: Duration = Duration::from_millis(50);

/// The right to publish a catalog: two at once could bring their batches to the index in another order than their
/// acknowledgements to the catalog.
pub(super) struct PublishLock {
    _file: File,
}

impl PublishLock {
    /// Waits until no other publisher of the catalog works. One that dies gives it back.
    pub(super) async fn take(catalog: &Catalog) -> io::Result<Self> {
        let path = catalog.path().with_extension("publish.lock");
        let opened = spawn_blocking(move || open(&path)).await;
        let file = opened.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => sleep(INTERVAL).await,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path)
}
