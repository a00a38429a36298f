//! Making finished downloads permanent, many at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task::spawn_blocking,
};

use super::{part::Part, sys};
use crate::{process::cores, transfer::SinkError};

/// From so many files on it is cheaper to sync their whole file system at once than each of them.
const GROUP: usize = 4;

/// What a power failure may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Nothing that was finished.
    #[default]
    Sync,
    /// What was finished in the last half minute or so. A crash of the program alone takes nothing.
    None,
}

/// Makes finished downloads permanent in groups. A clone is another handle on the same one.
///
/// What is finished while one group is being synced makes up the next, so a single file never waits for others, and
/// thousands of small files share their syncs.
#[derive(Clone, Debug)]
pub struct Committer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    durability: Durability,
    state: Mutex<State>,
    /// For whole small files. A folder takes one new name at a time, and those who wait for it burn time.
    turns: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    /// Somebody goes through what waits.
    running: bool,
    /// Folders that have got new folders.
    folders: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct Waiting {
    part: Arc<Part>,
    done: oneshot::Sender<Result<(), SinkError>>,
}

impl Committer {
    /// A committer that promises so much.
    #[must_use]
    pub fn new(durability: Durability) -> Self {
        let turns = Arc::new(Semaphore::new(cores().get()));
        Self { inner: Arc::new(Inner { durability, state: Mutex::default(), turns }) }
    }

    /// Waits until few enough others write whole files.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        self.inner.turns.clone().acquire_owned().await.ok()
    }

    /// Gives a part its final name at once where nothing is to be synced; else leaves that to
    /// [`commit`](Self::commit). Blocks.
    pub(super) fn commit_unsynced(&self, part: &Part) -> Result<(), SinkError> {
        match self.inner.durability {
            Durability::Sync => Ok(()),
            Durability::None => {
                part.check()?;
                part.rename()?;
                part.finish();
                Ok(())
            }
        }
    }

    /// Makes a part permanent under its final name.
    ///
    /// Cancellation: once begun it goes on.
    pub(super) async fn commit(&self, part: Arc<Part>) -> Result<(), SinkError> {
        let stopped = part.error("finishing", &part.path, std::io::ErrorKind::Interrupted.into());
        let (done, result) = oneshot::channel();
        if self.inner.enqueue(Waiting { part, done }) {
            let run = Run { inner: self.inner.clone(), ended: false };
            spawn_blocking(move || run.all());
        }
        result.await.unwrap_or(Err(stopped))
    }

    /// Has the names in a folder made permanent with the next group.
    pub(super) fn sync_later(&self, folder: PathBuf) {
        if self.inner.durability == Durability::Sync {
            self.inner.state().folders.insert(folder);
        }
    }
}

impl Default for Committer {
    fn default() -> Self {
        Self::new(Durability::default())
    }
}

impl Inner {
    /// Adds one that waits. True when nobody goes through those yet: then the caller begins.
    fn enqueue(&self, waiting: Waiting) -> bool {
        let mut state = self.state();
        state.waiting.push(waiting);
        !std::mem::replace(&mut state.running, true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes through what waits. However it ends, another can begin.
struct Run {
    inner: Arc<Inner>,
    ended: bool,
}

impl Run {
    fn all(mut self) {
        let inner = self.inner.clone();
        loop {
            let mut state = inner.state();
            let group = std::mem::take(&mut state.waiting);
            if group.is_empty() {
                // Under the lock: who comes later starts another run.
                state.running = false;
                self.ended = true;
                return;
            }
            let folders = std::mem::take(&mut state.folders);
            drop(state);
            self.commit(group, folders);
        }
    }

    fn commit(&self, group: Vec<Waiting>, folders: BTreeSet<PathBuf>) {
        let durable = self.inner.durability == Durability::Sync;
        let synced = durable && group.len() > GROUP && sync_file_systems(&group).is_some();
        let mut renamed = Vec::new();
        for waiting in group {
            let result = match &waiting.part {
                part if part.finished().is_some() => {
                    let _ = waiting.done.send(Ok(()));
                    continue;
                }
                part if durable && !synced => part.sync().and_then(|()| part.rename()),
                part => part.check().and_then(|()| part.rename()),
            };
            match result {
                Ok(()) => renamed.push(waiting),
                Err(error) => drop(waiting.done.send(Err(error))),
            }
        }
        let unsynced = match durable {
            true => self.sync_folders(folders, &renamed),
            false => BTreeMap::new(),
        };
        for Waiting { part, done } in renamed {
            // What lies below a folder that was lost is lost too.
            let folder = part.folder();
            let result = match unsynced.iter().find(|(unsynced, _)| folder.starts_with(unsynced)) {
                None => {
                    part.finish();
                    Ok(())
                }
                Some((unsynced, kind)) => Err(part.error("syncing", unsynced, (*kind).into())),
            };
            // Nobody may be waiting any more.
            let _ = done.send(result);
        }
    }

    /// Makes names permanent, and gives the folders where that failed.
    fn sync_folders(
        &self,
        mut folders: BTreeSet<PathBuf>,
        renamed: &[Waiting],
    ) -> BTreeMap<PathBuf, std::io::ErrorKind> {
        folders.extend(renamed.iter().map(|waiting| waiting.part.folder()));
        let mut synced = BTreeSet::new();
        if folders.len() > GROUP {
            synced = sync_file_systems(renamed).unwrap_or_default();
        }
        let mut failed = BTreeMap::new();
        for folder in folders {
            if sys::file_system_of(&folder).is_ok_and(|there| synced.contains(&there)) {
                continue;
            }
            if let Err(error) = sys::sync_folder(&folder) {
                // One that may be written but not read cannot be opened for it: its file system is synced instead.
                let is_closed = error.kind() == std::io::ErrorKind::PermissionDenied;
                let has = |synced: BTreeSet<u64>| {
                    sys::file_system_of(&folder).is_ok_and(|there| synced.contains(&there))
                };
                if is_closed && sync_file_systems(renamed).is_some_and(has) {
                    continue;
                }
                self.inner.state().folders.insert(folder.clone());
                failed.insert(folder, error.kind());
            }
        }
        failed
    }
}

impl Drop for Run {
    /// For a run that was ended from outside, by a panic or the end of the runtime: those who wait learn of it.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut state = self.inner.state();
        state.waiting.clear();
        state.running = false;
    }
}

/// Syncs whole file systems, all that have one of the parts, and gives them.
///
/// `None` when that failed: then the parts are to be synced one by one, which also tells which of them the failure was
/// about. Linux before 5.8 does not report lost writes here.
fn sync_file_systems(group: &[Waiting]) -> Option<BTreeSet<u64>> {
    let mut synced = BTreeSet::new();
    for Waiting { part, .. } in group {
        let file_system = sys::file_system(&part.file).ok()?;
        if synced.insert(file_system) {
            sys::sync_file_system(&part.file).ok()?;
        }
    }
    Some(synced)
}
