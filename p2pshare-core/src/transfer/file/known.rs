//! What part files hold.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::FileStamp;
use crate::content::{ContentId, PieceSet};

/// Most part files that are known, and most pieces of all together, a bit each.
const MAX_PARTS: usize = 4096;
const MAX_PIECES: u64 = 128 << 20;

/// Shorter ones are not kept: to hash them is little work.
const MIN_LEN: u64 = 64 << 20;

/// Some file systems note the time of a modification in steps of two seconds: what was written to later than this before it
/// was looked at could be changed after that without a trace.
const SETTLED: Duration = Duration::from_secs(3);

/// What part files of unfinished downloads hold, as it was found by hashing them, so that a download that is tried again and
/// again in vain is not hashed each time. What was written since is hashed once more, for a system tells of lost writes only
/// whoever has the file open. In memory alone: after a crash what a part file holds is found by hashing it. A clone is the
/// same.
#[derive(Clone, Debug, Default)]
pub struct KnownParts {
    parts: Arc<Mutex<Parts>>,
}

#[derive(Debug, Default)]
struct Parts {
    by_path: HashMap<PathBuf, Known>,
    pieces: u64,
}

#[derive(Debug)]
struct Known {
    content: ContentId,
    stamp: FileStamp,
    held: PieceSet,
}

impl KnownParts {
    /// What a part file holds, if it was hashed in this state.
    pub(super) fn find(
        &self,
        path: &Path,
        content: ContentId,
        stamp: FileStamp,
    ) -> Option<PieceSet> {
        let parts = self.parts();
        let known = parts.by_path.get(path)?;
        (known.content == content && known.stamp == stamp).then(|| known.held.clone())
    }

    /// Notes what a part file holds that was in this state `at` that time.
    pub(super) fn note(
        &self,
        path: &Path,
        content: ContentId,
        (stamp, at): (FileStamp, SystemTime),
        held: &PieceSet,
    ) {
        let pieces = u64::from(held.piece_count());
        let mut parts = self.parts();
        parts.forget(path);
        // Holes are not hashed anyway.
        if stamp.len < MIN_LEN || held.is_empty() || pieces > MAX_PIECES || !is_settled(stamp, at) {
            return;
        }
        if parts.pieces + pieces > MAX_PIECES || parts.by_path.len() >= MAX_PARTS {
            *parts = Parts::default();
        }
        parts.pieces += pieces;
        parts.by_path.insert(path.to_owned(), Known { content, stamp, held: held.clone() });
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn forget(&mut self, path: &Path) {
        if let Some(known) = self.by_path.remove(path) {
            self.pieces -= u64::from(known.held.piece_count());
        }
    }
}

fn is_settled(stamp: FileStamp, at: SystemTime) -> bool {
    let written = u64::try_from(stamp.mtime_ns).ok().map(Duration::from_nanos);
    let at = at.duration_since(SystemTime::UNIX_EPOCH).ok();
    // A time in the future says nothing.
    let age = at.zip(written).and_then(|(at, written)| at.checked_sub(written));
    age.is_some_and(|age| age >= SETTLED)
}
