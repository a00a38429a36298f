//! How far scans are.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

use super::lock;
use crate::{catalog::ShareId, share::ShareEvent};

/// While something is hashed it is told so often.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// How far a scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ScanState {
    /// Files are looked for and compared with what is known.
    Scanning,
    /// What is new is hashed.
    Hashing,
}

/// A scan that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScanView {
    /// How far it is.
    pub state: ScanState,
    /// Files found, and then those to be hashed.
    pub files: u64,
    /// Of them those that are done.
    pub files_done: u64,
    /// Bytes to be hashed.
    pub bytes: u64,
    /// Bytes that are.
    pub bytes_done: u64,
}

impl ScanView {
    /// Nothing was found yet.
    const BEGIN: Self =
        Self { state: ScanState::Scanning, files: 0, files_done: 0, bytes: 0, bytes_done: 0 };
}

/// How far a scan is, and when that was told.
pub(super) struct Progress {
    view: Mutex<ScanView>,
    told: Mutex<Instant>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { view: Mutex::new(ScanView::BEGIN), told: Mutex::new(Instant::now()) }
    }

    pub(super) fn view(&self) -> ScanView {
        lock(&self.view).clone()
    }

    /// It begins once more.
    pub(super) fn restart(&self) {
        *lock(&self.view) = ScanView::BEGIN;
    }

    /// So much is hashed, beside what is hashed already.
    fn add(&self, files: u64, bytes: u64) {
        let mut view = lock(&self.view);
        if view.state == ScanState::Scanning {
            *view = ScanView { state: ScanState::Hashing, ..ScanView::BEGIN };
        }
        view.files = view.files.saturating_add(files);
        view.bytes = view.bytes.saturating_add(bytes);
    }

    /// Notes a step; `true` if it is time to tell.
    pub(super) fn note(&self, event: &ShareEvent) -> bool {
        let mut view = lock(&self.view);
        match event {
            ShareEvent::Scanning { files } if view.state == ScanState::Scanning => {
                view.files = *files;
            }
            ShareEvent::Scanned { to_hash, bytes, .. } => {
                drop(view);
                self.add(*to_hash, *bytes);
                return true;
            }
            ShareEvent::Hashed { bytes } => {
                view.bytes_done = view.bytes_done.saturating_add(*bytes);
            }
            ShareEvent::Retrying { bytes, .. } => {
                view.bytes_done = view.bytes_done.saturating_sub(*bytes);
            }
            ShareEvent::Shared { hashed: true, .. } => view.files_done += 1,
            _ => return false,
        }
        drop(view);
        let mut told = lock(&self.told);
        let due = told.elapsed() >= TELL_EVERY;
        if due {
            *told = Instant::now();
        }
        due
    }
}

/// How far those are who follow changes: at one share several things may be done at once.
#[derive(Default)]
pub(super) struct Followed(Mutex<HashMap<ShareId, Progress>>);

impl Followed {
    /// A share is looked at, or so much in it is hashed.
    pub(super) fn begin(&self, share: ShareId, files: u64, bytes: u64) {
        let mut followed = lock(&self.0);
        let progress = followed.entry(share).or_insert_with(Progress::new);
        if files > 0 {
            progress.add(files, bytes);
        }
    }

    /// Notes a step; `true` if it is time to tell.
    pub(super) fn note(&self, share: ShareId, event: &ShareEvent) -> bool {
        // How much there is to be hashed is told when that begins.
        let counts = !matches!(event, ShareEvent::Scanned { .. });
        // Who has been stopped may still tell of a last step.
        counts && lock(&self.0).get(&share).is_some_and(|progress| progress.note(event))
    }

    /// Nothing is done at a share any more; `true` if something was.
    pub(super) fn end(&self, share: ShareId) -> bool {
        lock(&self.0).remove(&share).is_some()
    }

    pub(super) fn view(&self, share: ShareId) -> Option<ScanView> {
        lock(&self.0).get(&share).map(Progress::view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hashed_of_a_followed_share_is_counted_from_its_begin_to_its_end() {
        let (followed, share) = (Followed::default(), ShareId::from_number(1));
        let look = || {
            followed.begin(share, 0, 0);
            followed.note(share, &ShareEvent::Scanning { files: 3 });
        };
        look();
        assert_eq!(followed.view(share), Some(ScanView { files: 3, ..ScanView::BEGIN }));
        let scanned = ShareEvent::Scanned { files: 3, unchanged: 1, to_hash: 2, bytes: 50 };
        followed.note(share, &scanned);
        assert!(followed.end(share));

        followed.begin(share, 2, 50);
        let hashed = |bytes| followed.note(share, &ShareEvent::Hashed { bytes });
        hashed(20);
        let expected = ScanView {
            state: ScanState::Hashing,
            files: 2,
            files_done: 0,
            bytes: 50,
            bytes_done: 20,
        };
        assert_eq!(followed.view(share), Some(expected.clone()));
        // It is looked at meanwhile, and more is found.
        look();
        assert_eq!(followed.view(share), Some(expected.clone()));
        followed.begin(share, 1, 5);
        assert_eq!(followed.view(share), Some(ScanView { files: 3, bytes: 55, ..expected }));
        assert!(followed.end(share));
        hashed(30);
        assert_eq!(followed.view(share), None);
    }

    #[test]
    fn a_scan_that_is_begun_once_more_counts_anew() {
        let progress = Progress::new();
        let scanned = ShareEvent::Scanned { files: 2, unchanged: 0, to_hash: 2, bytes: 9 };
        for _ in 0..2 {
            progress.restart();
            assert_eq!(progress.view(), ScanView::BEGIN);
            assert!(progress.note(&scanned));
            let view = progress.view();
            assert_eq!((view.state, view.files, view.bytes), (ScanState::Hashing, 2, 9));
        }
    }
}
