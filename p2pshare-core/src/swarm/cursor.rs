//! Where a content is read while it is downloaded.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::content::PieceRun;

/// Those who read a content while it is downloaded: what they want next is fetched before the rest. A clone is another
/// handle on the same.
#[derive(Clone, Debug, Default)]
pub struct ReadCursors {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    windows: Mutex<Windows>,
    /// Its value is never read, only that it changes.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Windows {
    next: u64,
    by_reader: BTreeMap<u64, PieceRun>,
}

/// One who reads. Dropping it ends what it wants.
#[derive(Debug)]
pub struct ReadCursor {
    cursors: ReadCursors,
    number: u64,
}

/// The same, by the download.
pub(super) struct CursorsView {
    cursors: ReadCursors,
    changed: watch::Receiver<()>,
}

impl ReadCursors {
    /// Somebody who reads, and wants nothing yet.
    #[must_use]
    pub fn open(&self) -> ReadCursor {
        let mut windows = self.windows();
        let number = windows.next;
        windows.next += 1;
        ReadCursor { cursors: self.clone(), number }
    }

    pub(super) fn view(&self) -> CursorsView {
        CursorsView { cursors: self.clone(), changed: self.inner.changed.subscribe() }
    }

    fn set(&self, number: u64, window: Option<PieceRun>) {
        let mut windows = self.windows();
        let before = match window {
            Some(window) => windows.by_reader.insert(number, window),
            None => windows.by_reader.remove(&number),
        };
        drop(windows);
        if before != window {
            self.inner.changed.send_replace(());
        }
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.inner.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadCursor {
    /// From now on these pieces are wanted, the first one most.
    pub fn want(&self, window: PieceRun) {
        self.cursors.set(self.number, Some(window));
    }
}

impl Drop for ReadCursor {
    fn drop(&mut self) {
        self.cursors.set(self.number, None);
    }
}

impl CursorsView {
    /// What is wanted now.
    pub(super) fn windows(&self) -> Vec<PieceRun> {
        self.cursors.windows().by_reader.values().copied().collect()
    }

    /// Waits until something else is wanted.
    pub(super) async fn changed(&mut self) {
        // The sender lives as long as the view.
        let _ = self.changed.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::PieceIndex;

    #[tokio::test]
    async fn what_is_wanted_ends_with_the_reader() {
        let cursors = ReadCursors::default();
        let mut view = cursors.view();
        let (first, second) = (cursors.open(), cursors.open());
        let run = |start| PieceRun::new(PieceIndex(start), 3);
        first.want(run(5));
        second.want(run(1));
        first.want(run(7));
        view.changed().await;
        assert_eq!(view.windows(), [run(7), run(1)]);
        first.want(run(7));
        assert!(!view.changed.has_changed().unwrap(), "the same again is no news");
        drop(first);
        view.changed().await;
        assert_eq!(view.windows(), [run(1)]);
        drop(second);
        assert!(view.windows().is_empty());
    }
}
