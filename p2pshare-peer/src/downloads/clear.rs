//! Clearing away what downloads that were given up have left.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use p2pshare_core::{
    backend::sqlite::DatabaseResult,
    time::{Clock, SystemClock},
    transfer::{FileSink, SinkError},
};
use tokio::sync::Mutex as AsyncMutex;

use super::{
    DownloadId,
    engine::Engine,
    store::{FileRow, Store},
};

/// Files that are looked at together.
const PAGE: usize = 500;

/// So often a part file that is in use is looked at again, each time for half a second.
const ATTEMPTS: usize = 4;

/// Lets only one at a time clear away what a download has left.
#[derive(Debug, Default)]
pub(super) struct Clearing(Mutex<HashMap<DownloadId, Arc<AsyncMutex<()>>>>);

impl Clearing {
    /// What is locked by whoever clears this one.
    fn of(&self, id: DownloadId) -> Arc<AsyncMutex<()>> {
        self.turns().entry(id).or_default().clone()
    }

    /// Forgets it unless somebody waits for it.
    fn forget(&self, id: DownloadId) {
        let mut turns = self.turns();
        if turns.get(&id).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&id);
        }
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<DownloadId, Arc<AsyncMutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Clears away what is left of downloads that were given up before the process ended.
    pub(super) async fn clear_all(&self) {
        let cleared = async {
            for id in self.store.cancelling().await? {
                self.clear(id).await?;
            }
            DatabaseResult::Ok(())
        };
        if let Err(error) = cleared.await {
            tracing::error!(%error, "clearing away what cancelled downloads have left failed");
        }
    }

    /// Removes what has come of files of a download that are not complete. What another download goes on with, or
    /// another process, stays.
    pub(super) async fn clear(&self, id: DownloadId) -> DatabaseResult<()> {
        let turn = self.clearing.of(id).lock_owned().await;
        let cleared = self.clear_away(id).await;
        drop(turn);
        self.clearing.forget(id);
        cleared
    }

    async fn clear_away(&self, id: DownloadId) -> DatabaseResult<()> {
        if !self.store.cancelling().await?.contains(&id) {
            // Somebody else has, and it may have been begun again since.
            return Ok(());
        }
        let mut left = None;
        if let Some(folder) = self.store.folder(id).await? {
            let mut after = 0;
            loop {
                let page = self.store.unfinished_files(id, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.number;
                for file in &page {
                    if let Err(error) =
                        discard(&self.store, id, file, file.name.under(&folder)).await?
                    {
                        tracing::warn!(%error, "what is left of a cancelled download stays");
                        left.get_or_insert(error.to_string());
                    }
                }
            }
        }
        self.store.cleared(id, left, SystemClock.now()).await?;
        self.hub.changed([id]);
        Ok(())
    }
}

async fn discard(
    store: &Store,
    id: DownloadId,
    file: &FileRow,
    target: PathBuf,
) -> DatabaseResult<Result<(), SinkError>> {
    if store.is_wanted_elsewhere(id, file.content, target.clone()).await? {
        return Ok(Ok(()));
    }
    for _ in 0..ATTEMPTS {
        match FileSink::discard(&target, &file.content).await {
            Ok(_) => return Ok(Ok(())),
            // A last write may take long on a busy disk.
            Err(SinkError::Locked(_)) => {}
            Err(error) => return Ok(Err(error)),
        }
    }
    // Another process downloads it: it is its own.
    Ok(Ok(()))
}
