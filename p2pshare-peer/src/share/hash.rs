//! Hashing one file.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use p2pshare_core::{
    content::{HashError, Manifest, hash_file},
    transfer::FileStamp,
};
use tokio::time::sleep;

use super::{
    Priority, ShareEvent, ShareEvents, SkipReason,
    inspect::{failed, open},
};

/// How often a file that changes meanwhile is hashed.
const ATTEMPTS: u32 = 3;

/// Pause before a file is hashed again.
const PAUSE: Duration = Duration::from_millis(200);

/// Systems note the time of a modification in steps of up to 10 ms. A file that was written less than this ago is hashed
/// only after it: else it could be written to again without its stamp changing.
const SETTLE: Duration = Duration::from_millis(30);

/// Set once hashing shall stop, at the latest when this is dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A file that was hashed, and the state that it was in.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) manifest: Manifest,
    pub(super) stamp: FileStamp,
}

/// Why there is no hash.
#[derive(Debug)]
pub(super) enum NotHashed {
    Skip(SkipReason),
    Stopped,
}

/// Hashes a file with so many threads, again if it changes meanwhile.
pub(super) async fn hash(
    path: PathBuf,
    threads: NonZeroUsize,
    priority: Priority,
    events: ShareEvents,
    stop: Stop,
) -> Result<Hashed, NotHashed> {
    for attempt in 1..=ATTEMPTS {
        let done = Arc::new(AtomicU64::new(0));
        let (job_path, job_events, job_stop) = (path.clone(), events.clone(), stop.clone());
        let job_done = done.clone();
        let job = priority.run(move || {
            let progress = |bytes| {
                job_done.fetch_add(bytes, Ordering::Relaxed);
                job_events(ShareEvent::Hashed { bytes });
            };
            hash_once(&job_path, threads, &progress, &job_stop.0)
        });
        let error = match job.await {
            Some(Ok(hashed)) => return Ok(hashed),
            Some(Err(error)) => error,
            // The runtime ends.
            None => return Err(NotHashed::Stopped),
        };
        match error {
            HashError::Changed => {}
            HashError::Cancelled => return Err(NotHashed::Stopped),
            HashError::Io(error) => return Err(NotHashed::Skip(failed(&error))),
            HashError::NotAFile => return Err(NotHashed::Skip(SkipReason::Special)),
            HashError::TooLong(_) => return Err(NotHashed::Skip(SkipReason::TooLong)),
            other => return Err(NotHashed::Skip(SkipReason::Unreadable(other.to_string()))),
        }
        if attempt < ATTEMPTS {
            let bytes = done.load(Ordering::Relaxed);
            events(ShareEvent::Retrying { local: path.clone(), bytes });
            sleep(PAUSE * attempt).await;
        }
    }
    Err(NotHashed::Skip(SkipReason::Changing))
}

fn hash_once(
    path: &Path,
    threads: NonZeroUsize,
    progress: &(dyn Fn(u64) + Sync),
    stop: &AtomicBool,
) -> Result<Hashed, HashError> {
    if stop.load(Ordering::Relaxed) {
        return Err(HashError::Cancelled);
    }
    let file = open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(HashError::NotAFile);
    }
    if let Ok(modified) = metadata.modified() {
        settle(modified);
    }
    let stamp = FileStamp::of_file(&file)?;
    let manifest = hash_file(&file, Some(threads), progress, stop)?;
    if FileStamp::of_file(&file)? != stamp || manifest.len() != stamp.len {
        return Err(HashError::Changed);
    }
    Ok(Hashed { manifest, stamp })
}

fn settle(modified: SystemTime) {
    // A time in the future says nothing.
    let Ok(age) = SystemTime::now().duration_since(modified) else {
        return;
    };
    if let Some(rest) = SETTLE.checked_sub(age) {
        thread::sleep(rest);
    }
}
