//! What is done about changes: following new folders, looking at what changed, hashing what is new.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use p2pshare_core::text::visible;
use tokio_util::sync::CancellationToken;

use super::{
    WatchEvent, WatchEvents, WatchOptions,
    feed::Feed,
    follow::{Folders, Refused},
    hashing::{Hashing, tell},
    tasks::Tasks,
};
use crate::{
    catalog::{Catalog, CatalogLock, Share, ShareId},
    share::{
        Fresh, Look, Looked, Part, Priority, Quiet, Scope, ShareError, ShareEvent, ShareEvents,
        Sharer, SkipReason,
    },
};

/// Files of patterns with faults that are remembered, so that each is told once.
const FAULTS: usize = 1000;

/// Does the work. A clone is the same.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) sharer: Sharer,
    pub(super) options: WatchOptions,
    pub(super) events: WatchEvents,
    pub(super) feed: Arc<Feed>,
    stop: CancellationToken,
    folders: Arc<Mutex<Folders>>,
    hashing: Hashing,
    tasks: Tasks,
    faults: Arc<Mutex<HashMap<PathBuf, String>>>,
}

impl Work {
    pub(super) fn new(
        sharer: Sharer,
        options: WatchOptions,
        events: WatchEvents,
        feed: Arc<Feed>,
        folders: Folders,
        stop: CancellationToken,
    ) -> Self {
        let hashing = Hashing::new(sharer.clone(), events.clone(), stop.clone());
        let tasks = Tasks::new(events.clone());
        let (folders, faults) = (Arc::new(Mutex::new(folders)), Arc::default());
        Self { sharer, options, events, feed, stop, folders, hashing, tasks, faults }
    }

    pub(super) fn catalog(&self) -> &Catalog {
        self.sharer.catalog()
    }

    /// Has the system tell of changes in a part of a share. What is refused is followed nowhere in the share.
    pub(super) async fn follow(
        &self,
        share: &Share,
        scope: &Scope,
    ) -> Result<Result<(), Refused>, ShareError> {
        let excluded = self.catalog().excluded(share.id).await?;
        let (folders, share, scope) = (self.folders.clone(), share.clone(), scope.clone());
        let follow = move || {
            let mut folders = folders.lock().unwrap_or_else(PoisonError::into_inner);
            folders.follow(&share, &scope, excluded)
        };
        Ok(Priority::Wanted.run(follow).await.unwrap_or(Ok(())))
    }

    /// Has the system tell of changes in a share no longer, except where others need it.
    pub(super) async fn leave(&self, root: &Path, others: Vec<PathBuf>) {
        let (folders, root) = (self.folders.clone(), root.to_owned());
        let leave = move || {
            folders.lock().unwrap_or_else(PoisonError::into_inner).leave(&root, &others);
        };
        Priority::Wanted.run(leave).await;
    }

    /// Looks at parts of shares. What was not left alone yet is noted to be looked at again.
    pub(super) async fn look(&self, parts: Vec<Part>) -> Result<Vec<Looked>, ShareError> {
        let begin = |part: &Part| self.tasks.begin(part.share.id, 0, 0);
        let _tasks: Vec<_> = parts.iter().map(begin).collect();
        let busy = |share: ShareId, key: &[u8]| {
            self.hashing.has(share, key) || self.feed.is_writing(share, key)
        };
        let quiet = Quiet { written_within: self.options.quiet, busy: &busy };
        let look = Look {
            quiet: Some(quiet),
            priority: Priority::Background,
            events: &|share| self.steps(share),
            cancel: &self.stop,
        };
        let mut looked = self.sharer.look(parts, &look).await?;
        for one in &mut looked {
            let share = one.report.share.id;
            let restless = std::mem::take(&mut one.restless);
            self.feed.note_again(restless.into_iter().map(|key| (share, key)));
            self.feed.note_again(std::mem::take(&mut one.linked));
            if one.report.cancelled {
                self.feed.note_everything(share, Instant::now() + self.options.quiet);
            }
            tell(&self.events, &one.report);
        }
        Ok(looked)
    }

    /// Hashes what is new in a share; `lock` is kept until that is done.
    pub(super) async fn hash(
        &self,
        looked: Looked,
        lock: Option<CatalogLock>,
    ) -> Result<(), ShareError> {
        let share = looked.report.share;
        let bytes = looked.unhashed.iter().map(Fresh::len).fold(0, u64::saturating_add);
        let _task = self.tasks.begin(share.id, looked.unhashed.len() as u64, bytes);
        let done = self.hashing.hash(&share, looked.unhashed, &self.steps(share.id)).await;
        drop(lock);
        if done? {
            // It may be gone already, and then nothing tells of it.
            self.feed.note_everything(share.id, Instant::now());
        }
        Ok(())
    }

    pub(super) fn trouble(&self, what: String) {
        (self.events)(WatchEvent::Trouble(what));
    }

    /// Where the steps of a share are told.
    fn steps(&self, share: ShareId) -> ShareEvents {
        let (events, faults) = (self.events.clone(), self.faults.clone());
        Arc::new(move |event: ShareEvent| {
            if let ShareEvent::Skipped { local, reason: SkipReason::BadPatterns(fault) } = &event {
                let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
                if faults.len() >= FAULTS {
                    faults.clear();
                }
                if faults.insert(local.clone(), fault.clone()).as_ref() != Some(fault) {
                    let name = local.display().to_string();
                    events(WatchEvent::Trouble(format!("{}: {}", visible(&name), visible(fault))));
                }
            }
            events(WatchEvent::Step { share, event });
        })
    }
}
