//! What part files held when this program let go of them.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::FileStamp;
use crate::content::{ContentId, PieceSet};

/// Memory for all of it, in pieces: a bit each.
const MAX_PIECES: u64 = 128 << 20;

/// Shorter ones are hashed as soon as looked up.
const MIN_LEN: u64 = 64 << 20;

/// Some file systems note the time of a modification in steps of two seconds: what was written to later than this before it
/// is let go of could be changed by somebody else without a trace.
const SETTLED: Duration = Duration::from_secs(3);

/// What part files of unfinished downloads held when their sinks were dropped, so that a download that is tried again and
/// again is not hashed each time. In memory alone: after a crash what a part file holds is found by hashing it. A clone is
/// the same.
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
    /// What a part file holds, if it was let go of in this state.
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

    /// Notes what a part file in this state holds.
    pub(super) fn note(&self, path: &Path, content: ContentId, stamp: FileStamp, held: PieceSet) {
        let pieces = u64::from(held.piece_count());
        let mut parts = self.parts();
        parts.forget(path);
        if stamp.len < MIN_LEN || pieces > MAX_PIECES || !is_settled(stamp) {
            return;
        }
        if parts.pieces + pieces > MAX_PIECES {
            *parts = Parts::default();
        }
        parts.pieces += pieces;
        parts.by_path.insert(path.to_owned(), Known { content, stamp, held });
    }

    /// There is no such part file any more.
    pub(super) fn forget(&self, path: &Path) {
        self.parts().forget(path);
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

fn is_settled(stamp: FileStamp) -> bool {
    let written = u64::try_from(stamp.mtime_ns).ok().map(Duration::from_nanos);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
    // A time in the future says nothing.
    let age = now.zip(written).and_then(|(now, written)| now.checked_sub(written));
    age.is_some_and(|age| age >= SETTLED)
}
