//! What the system tells of changed files, sorted by share.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use notify::{
    Event, EventKind,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode},
};
use tokio::sync::Notify;

use super::dirty::{Change, Dirty, Patience};
use crate::{
    catalog::{Share, ShareId, local},
    share::{IGNORE_FILE, Scope},
};

/// Gathers changes until they are taken. It is told of them from threads of the system's.
#[derive(Debug)]
pub(super) struct Feed {
    data_dir: PathBuf,
    patience: Patience,
    shares: Mutex<Vec<Followed>>,
    changed: Notify,
}

#[derive(Debug)]
struct Followed {
    id: ShareId,
    root: PathBuf,
    hidden: bool,
    dirty: Dirty,
}

impl Feed {
    pub(super) fn new(data_dir: &Path, patience: Patience) -> Self {
        let (shares, changed) = (Mutex::default(), Notify::new());
        Self { data_dir: data_dir.to_owned(), patience, shares, changed }
    }

    /// Gathers changes of this share too, from now on.
    pub(super) fn follow(&self, share: &Share) {
        let mut shares = self.shares();
        shares.retain(|followed| followed.id != share.id);
        shares.push(Followed {
            id: share.id,
            root: share.root.clone(),
            hidden: share.hidden,
            dirty: Dirty::new(self.patience),
        });
    }

    pub(super) fn leave(&self, share: ShareId) {
        self.shares().retain(|followed| followed.id != share);
    }

    /// The system has told something.
    pub(super) fn told(&self, event: notify::Result<Event>) {
        let now = Instant::now();
        match event {
            Ok(event) if event.need_rescan() => {
                tracing::info!(
                    "more changed than the system could tell: all shares are looked through"
                );
                self.shares().iter_mut().for_each(|share| share.dirty.note_everything(now));
            }
            Ok(event) => {
                let Some(change) = change_of(event.kind) else {
                    return;
                };
                let mut shares = self.shares();
                for path in &event.paths {
                    self.note(&mut shares, path, change, now);
                }
            }
            Err(error) => {
                tracing::info!(%error, "following changes failed: all shares are looked through");
                self.shares().iter_mut().for_each(|share| share.dirty.note_everything(now));
            }
        }
        self.changed.notify_one();
    }

    fn note(&self, shares: &mut [Followed], path: &Path, change: Change, now: Instant) {
        // The peer's own data changes all the time.
        if path.parent() == Some(&self.data_dir) {
            return;
        }
        // The patterns are for all that lies in the folder.
        let is_patterns = path.file_name().is_some_and(|name| name == IGNORE_FILE);
        let (place, change) = match (path.parent(), change) {
            (Some(_), Change::Opened) if is_patterns => return,
            (Some(folder), _) if is_patterns => (folder, Change::Touched),
            _ => (path, change),
        };
        for share in shares {
            let Ok(below) = place.strip_prefix(&share.root) else {
                continue;
            };
            let is_hidden = |part: &std::ffi::OsStr| part.as_encoded_bytes().starts_with(b".");
            if !share.hidden && below.iter().any(is_hidden) {
                continue;
            }
            if let Some(key) = local::to_key(below) {
                share.dirty.note(key, change, now);
            }
        }
    }

    /// These places are to be looked at again.
    pub(super) fn note_again(&self, places: impl IntoIterator<Item = (ShareId, Vec<u8>)>) {
        let now = Instant::now();
        let mut shares = self.shares();
        for (id, key) in places {
            if let Some(share) = shares.iter_mut().find(|share| share.id == id) {
                share.dirty.note_again(key, now);
            }
        }
        self.changed.notify_one();
    }

    /// The whole share is to be looked at from then on.
    pub(super) fn note_everything(&self, share: ShareId, from: Instant) {
        if let Some(share) = self.shares().iter_mut().find(|followed| followed.id == share) {
            share.dirty.note_everything(from);
        }
        self.changed.notify_one();
    }

    /// Whether a file is being written to.
    pub(super) fn is_writing(&self, share: ShareId, key: &[u8]) -> bool {
        let now = Instant::now();
        let shares = self.shares();
        let share = shares.iter().find(|followed| followed.id == share);
        share.is_some_and(|share| share.dirty.is_writing(key, now))
    }

    /// Takes what was left alone for long enough, of the shares that `ready` lets through. If anything was, what was
    /// moved comes along, of all of them: it may have moved from one to another.
    pub(super) fn take(&self, ready: impl Fn(ShareId) -> bool) -> Vec<(ShareId, Scope)> {
        let now = Instant::now();
        let mut shares = self.shares();
        let is_due = |share: &Followed| ready(share.id) && share.dirty.is_due(now);
        if !shares.iter().any(is_due) {
            return Vec::new();
        }
        let ready = shares.iter_mut().filter(|share| ready(share.id));
        ready.filter_map(|share| Some((share.id, share.dirty.take(now)?))).collect()
    }

    /// Waits until there is something that will be taken at some time.
    pub(super) async fn wait(&self) {
        loop {
            let changed = self.changed.notified();
            if self.shares().iter().any(|share| !share.dirty.is_empty()) {
                return;
            }
            changed.await;
        }
    }

    fn shares(&self) -> MutexGuard<'_, Vec<Followed>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event means for the places it names; `None`: nothing.
fn change_of(kind: EventKind) -> Option<Change> {
    Some(match kind {
        EventKind::Create(CreateKind::Folder) => Change::MovedHere,
        EventKind::Create(_) => Change::Created,
        EventKind::Modify(ModifyKind::Data(_)) => Change::Written,
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => {
            Change::Gone
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Change::MovedHere,
        // Both names, each of which was or will be told by itself on Linux.
        EventKind::Modify(ModifyKind::Name(_)) => Change::Touched,
        EventKind::Access(AccessKind::Open(_)) => Change::Opened,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Change::Closed,
        EventKind::Access(_) => return None,
        _ => Change::Touched,
    })
}
