//! Hashing what is new in followed shares, in the background.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{WatchEvent, WatchEvents};
use crate::{
    catalog::{Share, ShareId},
    share::{Fresh, LARGE, Priority, ShareError, ShareEvents, ShareReport, Sharer},
};

/// Small files that are hashed before it is another's turn.
const SMALL_AT_ONCE: usize = 500;

/// Hashes files: one large one, and several small ones, at a time. Whoever brings a million small files keeps others
/// waiting for some of them only. A clone is the same.
#[derive(Clone)]
pub(super) struct Hashing {
    sharer: Sharer,
    events: WatchEvents,
    stop: CancellationToken,
    /// Files that wait or are hashed.
    files: Arc<Mutex<HashSet<(ShareId, Vec<u8>)>>>,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Hashing {
    pub(super) fn new(sharer: Sharer, events: WatchEvents, stop: CancellationToken) -> Self {
        let lane = || Arc::new(Semaphore::new(1));
        Self { sharer, events, stop, files: Arc::default(), small: lane(), large: lane() }
    }

    /// Whether a file waits or is hashed.
    pub(super) fn has(&self, share: ShareId, key: &[u8]) -> bool {
        self.files().contains(&(share, key.to_vec()))
    }

    /// Hashes files of a share and puts them into its catalog.
    pub(super) async fn hash(
        &self,
        share: &Share,
        fresh: Vec<Fresh>,
        events: &ShareEvents,
    ) -> Result<(), ShareError> {
        let (large, small) = fresh.into_iter().partition(|fresh| fresh.len() > LARGE);
        let small =
            self.work(share, self.parts(share.id, small, SMALL_AT_ONCE), &self.small, events);
        let large = self.work(share, self.parts(share.id, large, 1), &self.large, events);
        futures::future::try_join(small, large).await.map(|_| ())
    }

    async fn work(
        &self,
        share: &Share,
        parts: Vec<HashPart>,
        lane: &Semaphore,
        events: &ShareEvents,
    ) -> Result<(), ShareError> {
        for HashPart { fresh, noted } in parts {
            // It is never closed.
            let _turn = lane.acquire().await;
            let mut report = ShareReport::new(share.clone());
            self.sharer.hash(fresh, Priority::Background, &mut report, events, &self.stop).await?;
            drop(noted);
            tell(&self.events, &report);
        }
        Ok(())
    }

    fn parts(&self, share: ShareId, fresh: Vec<Fresh>, at_once: usize) -> Vec<HashPart> {
        let mut parts = Vec::new();
        let mut rest = fresh.into_iter();
        loop {
            let fresh: Vec<_> = rest.by_ref().take(at_once).collect();
            if fresh.is_empty() {
                return parts;
            }
            let keys: Vec<_> = fresh.iter().map(|fresh| (share, fresh.key().to_vec())).collect();
            self.files().extend(keys.iter().cloned());
            parts.push(HashPart { fresh, noted: NotedFiles { hashing: self.clone(), keys } });
        }
    }

    fn files(&self) -> MutexGuard<'_, HashSet<(ShareId, Vec<u8>)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Files that are hashed together.
struct HashPart {
    fresh: Vec<Fresh>,
    noted: NotedFiles,
}

/// Takes files out when their hashing ends, however it does.
struct NotedFiles {
    hashing: Hashing,
    keys: Vec<(ShareId, Vec<u8>)>,
}

impl Drop for NotedFiles {
    fn drop(&mut self) {
        let mut files = self.hashing.files();
        for key in &self.keys {
            files.remove(key);
        }
    }
}

/// Tells what has come into the catalog, if anything has.
pub(super) fn tell(events: &WatchEvents, report: &ShareReport) {
    let ShareReport { share, hashed, moved, removed, .. } = report;
    if hashed + moved + removed > 0 {
        let (hashed, moved, removed) = (*hashed, *moved, *removed);
        events(WatchEvent::Followed { share: share.clone(), hashed, moved, removed });
    }
}
