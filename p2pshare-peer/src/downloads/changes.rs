//! Telling others what has changed.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::DownloadId;

/// How often a follower is told at the most.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// If more have changed, it is cheaper to read everything anew.
const MOST: usize = 1000;

/// What has changed since it was asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Downloads that have come, or look different now, in order of their number.
    pub changed: Vec<DownloadId>,
    /// Downloads that are gone.
    pub removed: Vec<DownloadId>,
    /// So much has changed, the account for one, that everything should be read anew.
    pub all: bool,
}

/// Follows the changes of downloads from when it was made. What is not asked for is joined, never lost.
#[derive(Debug)]
pub struct Changes {
    news: Arc<News>,
    closed: CancellationToken,
    next: Instant,
}

/// Tells all who follow.
#[derive(Debug, Default)]
pub(super) struct Hub {
    followers: Mutex<Vec<Weak<News>>>,
}

#[derive(Debug, Default)]
struct News {
    pending: Mutex<Pending>,
    come: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    changed: BTreeSet<DownloadId>,
    removed: BTreeSet<DownloadId>,
    all: bool,
}

impl Changes {
    /// Waits for the next change, but answers no more than four times a second. `None` once the manager is gone.
    ///
    /// Cancellation: nothing is lost.
    pub async fn next(&mut self) -> Option<Changed> {
        loop {
            let come = self.news.come.notified();
            if !self.news.pending().is_empty() {
                tokio::select! {
                    () = sleep_until(self.next) => {}
                    () = self.closed.cancelled() => return None,
                }
                self.next = Instant::now() + TELL_EVERY;
                return Some(self.news.pending().take());
            }
            tokio::select! {
                () = come => {}
                () = self.closed.cancelled() => return None,
            }
        }
    }
}

impl Hub {
    /// Somebody follows from now on, until `closed`.
    pub(super) fn follow(&self, closed: CancellationToken) -> Changes {
        let news = Arc::new(News::default());
        let mut followers = self.followers();
        followers.retain(|follower| follower.strong_count() > 0);
        followers.push(Arc::downgrade(&news));
        Changes { news, closed, next: Instant::now() }
    }

    pub(super) fn changed(&self, ids: impl IntoIterator<Item = DownloadId>) {
        let ids: Vec<_> = ids.into_iter().collect();
        if !ids.is_empty() {
            self.tell(|pending| pending.changed.extend(&ids));
        }
    }

    pub(super) fn removed(&self, id: DownloadId) {
        self.tell(|pending| {
            pending.changed.remove(&id);
            pending.removed.insert(id);
        });
    }

    pub(super) fn all(&self) {
        self.tell(|pending| pending.all = true);
    }

    fn tell(&self, note: impl Fn(&mut Pending)) {
        for news in self.followers().iter().filter_map(Weak::upgrade) {
            let mut pending = news.pending();
            note(&mut pending);
            if pending.changed.len() + pending.removed.len() > MOST {
                pending.all = true;
            }
            if pending.all {
                pending.changed.clear();
                pending.removed.clear();
            }
            drop(pending);
            news.come.notify_one();
        }
    }

    fn followers(&self) -> MutexGuard<'_, Vec<Weak<News>>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl News {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty() && !self.all
    }

    fn take(&mut self) -> Changed {
        let Self { changed, removed, all } = std::mem::take(self);
        Changed {
            changed: changed.into_iter().collect(),
            removed: removed.into_iter().collect(),
            all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn changes_are_joined_and_told_four_times_a_second() {
        let (hub, closed) = (Hub::default(), CancellationToken::new());
        let mut changes = hub.follow(closed.clone());
        let ids = |ids: &[i64]| ids.iter().copied().map(DownloadId).collect::<Vec<_>>();
        let begun = Instant::now();
        hub.changed(ids(&[2, 1]));
        hub.changed(ids(&[2]));
        assert_eq!(changes.next().await.unwrap().changed, ids(&[1, 2]));
        hub.changed(ids(&[3, 4]));
        hub.removed(DownloadId(3));
        let told = changes.next().await.unwrap();
        assert_eq!((told.changed, told.removed), (ids(&[4]), ids(&[3])));
        assert!(begun.elapsed() >= TELL_EVERY);
        hub.changed((0..2000).map(DownloadId));
        let told = changes.next().await.unwrap();
        assert!(told.all && told.changed.is_empty());
        closed.cancel();
        assert_eq!(changes.next().await, None);
    }
}
