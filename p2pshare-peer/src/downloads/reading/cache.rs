//! What readers have left: contents, whole or in part, of a bounded size.

use std::{collections::HashMap, path::PathBuf};

use p2pshare_core::{content::ContentId, transfer::FileStamp};
use tokio::time::Instant;

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
}

impl Cache {
    pub(super) fn new(most: u64) -> Self {
        Self { most, kept: HashMap::new() }
    }

    /// The whole content, if it is there.
    pub(super) fn whole(&mut self, content: &ContentId) -> Option<(PathBuf, FileStamp)> {
        let kept = self.kept.get_mut(content)?;
        kept.used = Instant::now();
        Some((kept.path.clone(), kept.whole?))
    }

    pub(super) fn put(&mut self, content: ContentId, kept: Kept) {
        self.kept.insert(content, kept);
    }

    /// Takes a content out, since it is fetched again or is no longer what it was.
    pub(super) fn take(&mut self, content: &ContentId) {
        self.kept.remove(content);
    }

    /// Takes out everything: the files are to be removed.
    pub(super) fn empty(&mut self) -> Vec<(ContentId, Kept)> {
        self.kept.drain().collect()
    }

    /// Takes out what has been unused for longest, until the rest is small enough: their files are to be removed.
    pub(super) fn evict(&mut self) -> Vec<(ContentId, Kept)> {
        let mut sum: u64 = self.kept.values().map(|kept| kept.bytes).sum();
        let mut oldest: Vec<_> = self.kept.iter().map(|(id, kept)| (kept.used, *id)).collect();
        oldest.sort_unstable();
        let mut evicted = Vec::new();
        for (_, content) in oldest {
            if sum <= self.most {
                break;
            }
            if let Some(kept) = self.kept.remove(&content) {
                sum -= kept.bytes;
                evicted.push((content, kept));
            }
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_used_last_is_kept() {
        let begun = Instant::now();
        let mut cache = Cache::new(250);
        let ids: Vec<_> = (0..4_u8).map(|n| ContentId::of(&[n])).collect();
        for (age, id) in ids.iter().enumerate() {
            let used = begun + Duration::from_secs(age as u64);
            let stamp = FileStamp { len: 100, mtime_ns: 0, inode: 0 };
            cache.put(*id, Kept { path: "x".into(), bytes: 100, whole: Some(stamp), used });
        }
        let evicted: Vec<_> = cache.evict().into_iter().map(|(id, _)| id).collect();
        assert_eq!(evicted, ids[..2]);
        assert!(cache.whole(&ids[0]).is_none() && cache.whole(&ids[3]).is_some());
        assert!(cache.evict().is_empty());
        assert_eq!(cache.empty().len(), 2);
        assert!(cache.whole(&ids[3]).is_none());
    }
}
