//! What readers have left: contents, whole or in part, of a bounded size.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use p2pshare_core::{content::ContentId, transfer::FileStamp};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// Contents that nobody fetches, those read last kept longest.
#[derive(Debug)]
pub(super) struct Cache {
    most: u64,
    kept: HashMap<ContentId, Kept>,
}

/// A content that is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    /// So much of it is there.
    pub(super) bytes: u64,
    /// The stamp of the file, if the content is whole.
    pub(super) whole: Option<FileStamp>,
    pub(super) used: Instant,
    pub(super) readers: Readers,
}

/// Counts who reads a content. A clone counts the same.
#[derive(Clone, Debug)]
pub(super) struct Readers(watch::Sender<usize>);

/// Somebody who reads a content, which stays as long as that.
#[derive(Debug)]
pub(in crate::downloads) struct Hold(watch::Sender<usize>);

impl Readers {
    pub(super) fn none() -> Self {
        Self(watch::Sender::new(0))
    }

    /// One more.
    pub(super) fn hold(&self) -> Arc<Hold> {
        self.0.send_modify(|readers| *readers += 1);
        Arc::new(Hold(self.0.clone()))
    }

    /// Waits until there has been none for so long.
    pub(super) async fn idle(&self, grace: Duration) {
        let mut readers = self.0.subscribe();
        loop {
            // The sender lives as long as `self`.
            let _ = readers.wait_for(|readers| *readers == 0).await;
            if timeout(grace, readers.wait_for(|readers| *readers > 0)).await.is_err() {
                return;
            }
        }
    }

    fn are_there(&self) -> bool {
        *self.0.borrow() > 0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.send_modify(|readers| *readers -= 1);
    }
}

impl Cache {
    pub(super) fn new(most: u64) -> Self {
        Self { most, kept: HashMap::new() }
    }

    /// The whole content for a reader, if it is there.
    pub(super) fn whole(&mut self, content: &ContentId) -> Option<(PathBuf, FileStamp, Arc<Hold>)> {
        let kept = self.kept.get_mut(content)?;
        kept.used = Instant::now();
        Some((kept.path.clone(), kept.whole?, kept.readers.hold()))
    }

    pub(super) fn put(&mut self, content: ContentId, kept: Kept) {
        self.kept.insert(content, kept);
    }

    /// Takes a content out, since it is fetched again or is no longer what it was.
    pub(super) fn take(&mut self, content: &ContentId) {
        self.kept.remove(content);
    }

    /// Takes out everything that nobody reads: the files are to be removed.
    pub(super) fn empty(&mut self) -> Vec<(ContentId, Kept)> {
        self.kept.extract_if(|_, kept| !kept.readers.are_there()).collect()
    }

    /// Takes out what nobody reads and has been unused for longest, until the rest is small enough: their files are to be
    /// removed. `spared` stays, however large it is.
    pub(super) fn evict(&mut self, spared: Option<ContentId>) -> Vec<(ContentId, Kept)> {
        let unread = self.kept.iter().filter(|(_, kept)| !kept.readers.are_there());
        let mut oldest: Vec<_> = unread.map(|(id, kept)| (kept.used, *id, kept.bytes)).collect();
        oldest.sort_unstable();
        let mut sum: u64 = self.kept.values().map(|kept| kept.bytes).sum();
        let mut evicted = Vec::new();
        for (_, content, bytes) in oldest {
            if sum <= self.most {
                break;
            }
            if Some(content) == spared {
                continue;
            }
            if let Some(kept) = self.kept.remove(&content) {
                sum -= bytes;
                evicted.push((content, kept));
            }
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contents of 100 bytes, each used later than the one before.
    fn filled(most: u64, count: u8) -> (Cache, Vec<ContentId>) {
        let begun = Instant::now();
        let mut cache = Cache::new(most);
        let ids: Vec<_> = (0..count).map(|n| ContentId::of(&[n])).collect();
        for (age, id) in ids.iter().enumerate() {
            let kept = Kept {
                path: "x".into(),
                bytes: 100,
                whole: Some(FileStamp { len: 100, mtime_ns: 0, inode: 0 }),
                used: begun + Duration::from_secs(age as u64),
                readers: Readers::none(),
            };
            cache.put(*id, kept);
        }
        (cache, ids)
    }

    fn evicted(cache: &mut Cache, spared: Option<ContentId>) -> Vec<ContentId> {
        cache.evict(spared).into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn what_was_used_last_is_kept() {
        let (mut cache, ids) = filled(250, 4);
        assert_eq!(evicted(&mut cache, None), ids[..2]);
        assert!(cache.whole(&ids[0]).is_none() && cache.whole(&ids[3]).is_some());
        assert!(evicted(&mut cache, None).is_empty());
        assert_eq!(cache.empty().len(), 2);
        assert!(cache.whole(&ids[3]).is_none());
    }

    #[test]
    fn what_somebody_reads_stays() {
        let (mut cache, ids) = filled(50, 3);
        let (_, _, hold) = cache.whole(&ids[0]).unwrap();
        let other = hold.clone();
        assert_eq!(evicted(&mut cache, None), ids[1..]);
        drop(hold);
        assert!(cache.empty().is_empty());
        drop(other);
        assert_eq!(evicted(&mut cache, None), ids[..1]);
    }

    #[test]
    fn what_is_spared_stays_however_large_it_is() {
        let (mut cache, ids) = filled(50, 2);
        assert_eq!(evicted(&mut cache, Some(ids[0])), ids[1..]);
        assert_eq!(evicted(&mut cache, None), ids[..1]);
    }
}
