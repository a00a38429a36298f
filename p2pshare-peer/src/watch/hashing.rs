//! Hashing what is new in followed shares, in the background.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
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
    /// Marks of files that wait or are hashed. Two files may have the same one by chance: then one waits for the other.
    files: Arc<Mutex<HashSet<u64>>>,
    marks: RandomState,
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Hashing {
    pub(super) fn new(sharer: Sharer, events: WatchEvents, stop: CancellationToken) -> Self {
        let lane = || Arc::new(Semaphore::new(1));
        Self {
            sharer,
            events,
            stop,
            files: Arc::default(),
            marks: RandomState::new(),
            small: lane(),
            large: lane(),
        }
    }

    /// Whether a file waits or is hashed.
    pub(super) fn has(&self, share: ShareId, key: &[u8]) -> bool {
        self.files().contains(&self.mark(share, key))
    }

    /// Hashes files of a share and puts them into its catalog. Tells whether something else has come to lie in its place.
    pub(super) async fn hash(
        &self,
        share: &Share,
        fresh: Vec<Fresh>,
        events: &ShareEvents,
    ) -> Result<bool, ShareError> {
        let (large, small) = fresh.into_iter().partition(|fresh| fresh.len() > LARGE);
        let small =
            self.work(share, self.parts(share.id, small, SMALL_AT_ONCE), &self.small, events);
        let large = self.work(share, self.parts(share.id, large, 1), &self.large, events);
        futures::future::try_join(small, large).await.map(|(small, large)| small || large)
    }

    async fn work(
        &self,
        share: &Share,
        parts: Vec<HashPart>,
        lane: &Semaphore,
        events: &ShareEvents,
    ) -> Result<bool, ShareError> {
        let mut usurped = false;
        for HashPart { fresh, noted } in parts {
            // It is never closed.
            let _turn = lane.acquire().await;
            let mut report = ShareReport::new(share.clone());
            self.sharer.hash(fresh, Priority::Background, &mut report, events, &self.stop).await?;
            drop(noted);
            tell(&self.events, &report);
            usurped |= report.usurped;
        }
        Ok(usurped)
    }

    fn parts(&self, share: ShareId, fresh: Vec<Fresh>, at_once: usize) -> Vec<HashPart> {
        let mut parts = Vec::new();
        let mut rest = fresh.into_iter();
        loop {
            let fresh: Vec<_> = rest.by_ref().take(at_once).collect();
            if fresh.is_empty() {
                return parts;
            }
            let marks: Vec<_> = fresh.iter().map(|fresh| self.mark(share, fresh.key())).collect();
            self.files().extend(&marks);
            let noted = NotedFiles { files: self.files.clone(), marks };
            parts.push(HashPart { fresh, noted });
        }
    }

    fn mark(&self, share: ShareId, key: &[u8]) -> u64 {
        self.marks.hash_one((share, key))
    }

    fn files(&self) -> MutexGuard<'_, HashSet<u64>> {
        lock(&self.files)
    }
}

/// Files that are hashed together.
struct HashPart {
    fresh: Vec<Fresh>,
    noted: NotedFiles,
}

/// Takes files out when their hashing ends, however it does.
struct NotedFiles {
    files: Arc<Mutex<HashSet<u64>>>,
    marks: Vec<u64>,
}

impl Drop for NotedFiles {
    fn drop(&mut self) {
        let mut files = lock(&self.files);
        for mark in &self.marks {
            files.remove(mark);
        }
    }
}

fn lock(files: &Mutex<HashSet<u64>>) -> MutexGuard<'_, HashSet<u64>> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells what has come into the catalog, if anything has.
pub(super) fn tell(events: &WatchEvents, report: &ShareReport) {
    let ShareReport { share, hashed, moved, removed, .. } = report;
    if hashed + moved + removed > 0 {
        let (hashed, moved, removed) = (*hashed, *moved, *removed);
        events(WatchEvent::Followed { share: share.clone(), hashed, moved, removed });
    }
}
