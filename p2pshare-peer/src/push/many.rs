//! Pushing folders and several files at once.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

use futures::{StreamExt, TryStreamExt, future::ready, stream};
use p2pshare_core::{identity::Username, transfer::TransferError};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    Pace, Parcel, PushError, Pushed,
    bundle::{Files, ToPush, bundles},
    pack_as, send,
    small::send_small,
};
use crate::{
    data_dir::DataDir,
    net::{PeerPool, PushProgress},
    publish::OwnPeer,
    share::{Listed, SkipReason, list},
};

/// Calls at a time: for a file, or for several small ones.
const AT_ONCE: usize = 4;

/// After so many calls in a row of which nothing came, though several files went together, each goes by itself.
const FRUITLESS: u32 = 3;

/// Sending so many bytes takes no longer than asking whether they are wanted.
const TINY: u64 = 4 << 10;

/// After so many failures in a row the others would fail too.
const GIVE_UP: u32 = 8;

/// Something that happens while files are pushed.
#[derive(Debug)]
#[non_exhaustive]
pub enum PushEvent<'a> {
    /// It is known what is to be pushed.
    Counted {
        /// So many files.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Something in a folder is not pushed.
    Skipped(&'a Path, &'a SkipReason),
    /// A file is hashed, and pushed then.
    Begun(&'a Path),
    /// The receiver has so many bytes of all by now.
    Moved {
        /// The bytes.
        done: u64,
    },
    /// The receiver has a file.
    Pushed {
        /// What was pushed.
        parcel: &'a Parcel,
        /// Where it went.
        pushed: &'a Pushed,
        /// Bytes of it that the receiver lacked and was sent.
        sent: u64,
    },
    /// A file could not be pushed. The others go on.
    Failed(&'a Path, &'a PushError),
}

/// What has come of pushing files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushReport {
    /// Files that the receiver has.
    pub pushed: u64,
    /// Those of them of which nothing was sent, for all of it was there.
    pub there: u64,
    /// Bytes of the files that the receiver has.
    pub bytes: u64,
    /// Bytes that were sent.
    pub sent: u64,
    /// Files that could not be pushed.
    pub failed: u64,
    /// Those of them of which something else has arrived.
    pub mismatched: u64,
    /// What was left out of folders.
    pub skipped: u64,
}

/// Told what happens, from any thread.
pub type PushEvents<'a> = &'a (dyn Fn(PushEvent<'_>) + Send + Sync);

/// Pushes files, and of folders what a share of them would have, to a user's peers that are online. The receiver gets the
/// files of a folder below the folder's name.
///
/// A file that cannot be read or is refused does not keep the others from being pushed. Memory is that of a few files,
/// however many there are, and of the names of some hundred small ones.
///
/// Cancellation: dropping the future ends it; pushing again goes on where it was.
///
/// # Errors
///
/// [`PushError`] when something that was named cannot be looked at, when the index refuses, when nobody is there to take
/// the files, and when one file after the other is refused, or all are. What came before it is in the report all the same.
pub async fn push_all(
    me: &OwnPeer,
    pool: &PeerPool,
    paths: &[PathBuf],
    data_dir: &DataDir,
    user: &Username,
    pace: &Pace,
    events: PushEvents<'_>,
) -> (PushReport, Result<(), PushError>) {
    let state = State { report: PushReport::default(), failures: 0, first: None };
    let work = Work {
        me,
        pool,
        data_dir,
        user,
        pace,
        events,
        done: AtomicU64::new(0),
        calls: Semaphore::new(AT_ONCE),
        fruitless: AtomicU32::new(0),
        lacks: AtomicBool::new(false),
        state: Mutex::new(state),
    };
    let ended = work.run(paths).await;
    let State { report, first, .. } =
        work.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ended = match first {
        Some(error) if report.pushed == 0 => ended.and(Err(error)),
        _ => ended,
    };
    (report, ended)
}

struct Work<'a> {
    me: &'a OwnPeer,
    pool: &'a PeerPool,
    data_dir: &'a DataDir,
    user: &'a Username,
    pace: &'a Pace,
    events: PushEvents<'a>,
    /// Bytes that the receiver has.
    done: AtomicU64,
    calls: Semaphore,
    /// Calls for several files, in a row, of which nothing came. At [`FRUITLESS`] there are no more of them.
    fruitless: AtomicU32,
    /// It lacked the last file: so it most likely lacks the next ones.
    lacks: AtomicBool,
    state: Mutex<State>,
}

struct State {
    report: PushReport,
    /// Files that were refused since the last that was not.
    failures: u32,
    /// Why the first was.
    first: Option<PushError>,
}

impl Work<'_> {
    async fn run(&self, paths: &[PathBuf]) -> Result<(), PushError> {
        self.count(paths).await?;
        self.me.make_known().await?;
        let lists = stream::iter(paths.to_vec()).then(|path| self.files(path)).boxed();
        let push = |bundle: Vec<ToPush>| self.push_bundle(bundle.into());
        bundles(lists.try_flatten().boxed()).try_for_each_concurrent(AT_ONCE, push).await
    }

    async fn files(&self, path: PathBuf) -> Result<Files<'static>, PushError> {
        let listed = list(&path, self.data_dir.path()).await?;
        let file = |item| match item {
            Listed::File { local, path: name, size } => Some(Ok(ToPush { local, name, size })),
            // It was told of when it was counted.
            Listed::Skipped(..) => None,
        };
        Ok(listed.filter_map(move |item| ready(file(item))).boxed())
    }

    async fn count(&self, paths: &[PathBuf]) -> Result<(), PushError> {
        let (mut files, mut bytes) = (0, 0_u64);
        for path in paths {
            let mut listed = list(path, self.data_dir.path()).await?;
            while let Some(item) = listed.next().await {
                match item {
                    Listed::File { size, .. } => {
                        files += 1;
                        bytes = bytes.saturating_add(size);
                    }
                    Listed::Skipped(path, reason) => {
                        self.state().report.skipped += 1;
                        (self.events)(PushEvent::Skipped(&path, &reason));
                    }
                }
            }
        }
        (self.events)(PushEvent::Counted { files, bytes });
        Ok(())
    }

    async fn push_bundle(&self, mut left: VecDeque<ToPush>) -> Result<(), PushError> {
        while !left.is_empty() {
            if left.len() > 1 && self.goes_together(&left) {
                left = self.push_together(left).await?;
            }
            // The first of several, or one that failed among others: by itself it is clear why.
            let some: Vec<_> = left.drain(..left.len().min(AT_ONCE)).collect();
            let push = async |file: ToPush| self.push(&file).await;
            stream::iter(some).map(Ok).try_for_each_concurrent(AT_ONCE, push).await?;
        }
        Ok(())
    }

    /// Whether it is the least work to send the bytes along with the offers.
    fn goes_together(&self, files: &VecDeque<ToPush>) -> bool {
        let are_tiny = || files.iter().all(|file| file.size <= TINY);
        let is_possible = self.fruitless.load(Relaxed) < FRUITLESS;
        is_possible && (self.lacks.load(Relaxed) || are_tiny())
    }

    /// Waits until there may be another call.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.calls.acquire().await.ok()
    }

    /// Pushes small files in one call. Gives those that the receiver has not, first the one that failed.
    async fn push_together(&self, files: VecDeque<ToPush>) -> Result<VecDeque<ToPush>, PushError> {
        let (mut packed, mut parcels) = (VecDeque::new(), Vec::new());
        for file in files {
            if let Some(parcel) = self.pack(&file).await {
                packed.push_back(file);
                parcels.push(parcel);
            }
        }
        if parcels.is_empty() {
            return Ok(packed);
        }
        let (there, lacking) = (AtomicU64::new(0), AtomicU64::new(0));
        let each = |parcel: &Parcel, pushed: &Pushed, wanted: bool| {
            let size = parcel.manifest.len();
            if size > 0 {
                (if wanted { &lacking } else { &there }).fetch_add(1, Relaxed);
            }
            let done = self.done.fetch_add(size, Relaxed).wrapping_add(size);
            (self.events)(PushEvent::Moved { done });
            self.count_pushed(parcel, pushed, if wanted { size } else { 0 });
        };
        let turn = self.turn().await;
        let sent = send_small(self.me, self.pool, &parcels, self.user, self.pace, &each).await?;
        drop(turn);
        let (there, lacking) = (there.into_inner(), lacking.into_inner());
        if there + lacking > 0 {
            self.lacks.store(lacking >= there, Relaxed);
        }
        packed.drain(..sent.taken.min(packed.len()));
        if sent.taken > 0 {
            self.fruitless.store(0, Relaxed);
        }
        if let Some((number, error)) = sent.failed {
            tracing::debug!(%error, number, taken = sent.taken, "not all of several files were taken");
            if matches!(error, TransferError::Unsupported) {
                self.fruitless.store(FRUITLESS, Relaxed);
            } else if sent.taken == 0 {
                self.fruitless.fetch_add(1, Relaxed);
            }
            if let Some(failed) = packed.remove(number.saturating_sub(sent.taken)) {
                packed.push_front(failed);
            }
        }
        Ok(packed)
    }

    /// Hashes a file; tells of one that cannot be.
    async fn pack(&self, file: &ToPush) -> Option<Parcel> {
        (self.events)(PushEvent::Begun(&file.local));
        match pack_as(&file.local, file.name.clone(), |_| ()).await {
            Ok(parcel) => Some(parcel),
            Err(error) => {
                self.state().report.failed += 1;
                (self.events)(PushEvent::Failed(&file.local, &error));
                None
            }
        }
    }

    fn count_pushed(&self, parcel: &Parcel, pushed: &Pushed, sent: u64) {
        let size = parcel.manifest.len();
        {
            let State { report, failures, .. } = &mut *self.state();
            *failures = 0;
            report.pushed += 1;
            report.there += u64::from(sent == 0 && size > 0);
            report.bytes = report.bytes.saturating_add(size);
            report.sent = report.sent.saturating_add(sent);
        }
        (self.events)(PushEvent::Pushed { parcel, pushed, sent });
    }

    async fn push(&self, file: &ToPush) -> Result<(), PushError> {
        let Some(parcel) = self.pack(file).await else { return Ok(()) };
        let size = parcel.manifest.len();
        let (held, sent) = (AtomicU64::new(0), AtomicU64::new(0));
        let progress = |progress: PushProgress| {
            let (before, now) = match progress {
                PushProgress::Queued { .. } => return,
                // What is not wanted is there already.
                PushProgress::Wanted { bytes } => {
                    let now = size.saturating_sub(bytes);
                    (held.swap(now, Relaxed), now)
                }
                PushProgress::Sent { bytes } => {
                    sent.fetch_add(bytes, Relaxed);
                    let before = held.fetch_add(bytes, Relaxed);
                    (before, before.saturating_add(bytes))
                }
            };
            // It may have less than before, where another peer is tried.
            let change = now.wrapping_sub(before);
            let done = self.done.fetch_add(change, Relaxed).wrapping_add(change);
            (self.events)(PushEvent::Moved { done });
        };
        let turn = self.turn().await;
        let result = send(self.me, self.pool, &parcel, self.user, self.pace, &progress).await;
        drop(turn);
        let sent = sent.into_inner();
        match result {
            Ok(pushed) => {
                if size > 0 {
                    self.lacks.store(sent > 0, Relaxed);
                }
                self.count_pushed(&parcel, &pushed, sent);
                Ok(())
            }
            // It may be up to the file: whether the receiver is there at all the next ones tell.
            Err(error @ PushError::Failed { .. }) => {
                (self.events)(PushEvent::Failed(&file.local, &error));
                let State { report, failures, first } = &mut *self.state();
                *failures += 1;
                report.failed += 1;
                report.mismatched += u64::from(error.is_mismatch());
                if *failures >= GIVE_UP {
                    return Err(error);
                }
                first.get_or_insert(error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
