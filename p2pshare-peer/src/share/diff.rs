//! Comparing the files that are there with those that are known.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
    vec,
};

use p2pshare_core::{content::ContentId, transfer::FileStamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Priority, Scope, ShareEvent, ShareEvents, Sharer, SkipReason,
    walk::{self, Found, Step, Tree},
};
use crate::catalog::{Catalog, CatalogError, FileId, KnownFile, KnownFrom, Share, ShareId, local};

/// Known files that are read at a time.
const PAGE: u32 = 2000;

/// Batches that the walk may be ahead.
const AHEAD: usize = 8;

/// Stamps that are looked up at a time.
const LOOKUP: usize = 500;

/// How the files that are there differ from those that are known.
#[derive(Debug, Default)]
pub(super) struct Diff {
    /// Files found.
    pub(super) files: u64,
    pub(super) unchanged: u64,
    pub(super) skipped: u64,
    /// New and changed files.
    pub(super) fresh: Vec<Fresh>,
    /// Known files that are not there any more.
    pub(super) gone: Vec<KnownFile>,
    /// Places that could not be read, but may be later: what is known of them is not gone.
    pub(super) unread: Vec<Vec<u8>>,
    /// What seems unchanged counts as changed.
    doubt: bool,
    /// It is not known in full, for the caller cancelled.
    pub(super) cancelled: bool,
}

/// A file that is new or has changed.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(super) found: Found,
    /// What was known under its name.
    pub(super) old: Option<KnownFile>,
    /// What is in it, if another file with its stamp tells.
    pub(super) content: Option<ContentId>,
    /// The file that it was before it was moved.
    pub(super) moved_from: Option<FileId>,
}

/// Walks through a part of a share and compares. Memory grows with what has changed, not with what is shared.
pub(super) async fn diff(
    Sharer { catalog, data_dir, rehash }: &Sharer,
    share: &Share,
    scope: &Scope,
    priority: Priority,
    events: &ShareEvents,
    cancel: &CancellationToken,
) -> Result<Diff, CatalogError> {
    let mut excluded = catalog.excluded(share.id).await?;
    let apart = catalog.apart_from(share.id).await?;
    // By links it may lead to, or be, another place than it is called.
    excluded.extend(apart.keys());
    excluded.sort_unstable();
    excluded.dedup();
    let (send, mut batches) = mpsc::channel(AHEAD);
    let walked = Tree { apart: Arc::new(apart), ..Tree::from(share) };
    let (within, data_dir) = (scope.clone(), data_dir.clone());
    // Ends by itself when nobody takes what it finds.
    let walking = priority.run(move || walk::walk(&walked, &within, &data_dir, excluded, &send));
    let mut walking = std::pin::pin!(walking);

    let mut diff = Diff { doubt: *rehash, ..Diff::default() };
    let mut known = KnownFiles::new(catalog, share.id, scope);
    let mut walked = None;
    loop {
        let batch = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                diff.cancelled = true;
                return Ok(diff);
            }
            batch = batches.recv() => batch,
            ended = &mut walking, if walked.is_none() => {
                walked = Some(ended);
                continue;
            }
        };
        let Some(batch) = batch else {
            break;
        };
        for step in batch {
            match step {
                Step::Found(found) => diff.compare(found, &mut known).await?,
                Step::Skipped(path, reason) => {
                    diff.skipped += 1;
                    let key = path.strip_prefix(&share.root).ok().and_then(local::to_key);
                    match (&reason, key) {
                        (SkipReason::NotNow(_), Some(key)) => diff.unread.push(key),
                        // For good: the share that it was the root of may end.
                        (SkipReason::Moved, Some(key)) => {
                            catalog.exclude(share.id, key, true).await?;
                        }
                        _ => {}
                    }
                    events(ShareEvent::Skipped { local: path, reason });
                }
            }
        }
        events(ShareEvent::Scanning { files: diff.files });
    }
    let walked = match walked {
        Some(walked) => walked,
        None => walking.await,
    };
    if walked.is_none() {
        // It has not gone through all: what was not met may be there.
        diff.cancelled = true;
        return Ok(diff);
    }
    while let Some(gone) = known.next().await? {
        diff.gone.push(gone);
    }
    if !diff.unread.is_empty() {
        let unread = Scope::of(std::mem::take(&mut diff.unread));
        diff.gone.retain(|file| !unread.covers(&file.key));
        diff.unread = unread.places().to_vec();
    }
    Ok(diff)
}

impl Diff {
    async fn compare(
        &mut self,
        found: Found,
        known: &mut KnownFiles<'_>,
    ) -> Result<(), CatalogError> {
        self.files += 1;
        // Both come in the order of their keys.
        while known.peek().await?.is_some_and(|next| next.key < found.key) {
            self.gone.extend(known.next().await?);
        }
        let mut old = None;
        if known.peek().await?.is_some_and(|next| next.key == found.key) {
            old = known.next().await?;
        }
        if !self.doubt && old.as_ref().is_some_and(|old| old.stamp == found.stamp) {
            self.unchanged += 1;
        } else {
            self.fresh.push(Fresh { found, old, content: None, moved_from: None });
        }
        Ok(())
    }

    /// Finds the new files that are known ones under another name.
    pub(super) async fn find_moved(&mut self, catalog: &Catalog) -> Result<(), CatalogError> {
        let by_stamp = |file: &KnownFile| (StampKey::of(&file.stamp), (file.id, file.content));
        let mut gone: HashMap<_, _> =
            self.gone.iter().filter(|file| file.stamp.inode != 0).map(by_stamp).collect();
        for fresh in self.fresh.iter_mut().filter(|fresh| !fresh.seems_unchanged()) {
            if let Some((id, content)) = gone.remove(&StampKey::of(&fresh.found.stamp)) {
                fresh.content = Some(content);
                fresh.moved_from = fresh.old.is_none().then_some(id);
            }
        }
        for part in self.fresh.chunks_mut(LOOKUP) {
            let is_unknown = |fresh: &Fresh| fresh.content.is_none() && !fresh.seems_unchanged();
            let stamps = part.iter().filter(|fresh| is_unknown(fresh));
            let contents = catalog.contents_of(stamps.map(|fresh| fresh.found.stamp).collect());
            let contents = contents.await?;
            for (fresh, content) in part.iter_mut().filter(|fresh| is_unknown(fresh)).zip(contents)
            {
                fresh.content = content;
            }
        }
        Ok(())
    }
}

impl Diff {
    /// Takes out the files that would have to be hashed and are not left alone yet: those that were written to within
    /// `quiet`, and those of which `busy` says so.
    pub(super) fn take_restless(
        &mut self,
        quiet: Duration,
        busy: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Vec<Vec<u8>> {
        let now = SystemTime::now();
        let is_restless = |fresh: &mut Fresh| {
            fresh.content.is_none()
                && (was_written_within(quiet, &fresh.found.stamp, now) || busy(&fresh.found.key))
        };
        let restless = self.fresh.extract_if(.., is_restless);
        restless.map(|fresh| fresh.found.key).collect()
    }

    /// Keeps what is known of moved files that were not met any more under the name that they had got. Gives their names,
    /// to be looked at again together with the next that they got.
    pub(super) fn keep_lost(&mut self, lost: Vec<Fresh>) -> Vec<Vec<u8>> {
        let ids: HashSet<_> = lost.iter().filter_map(|fresh| fresh.moved_from).collect();
        let kept = self.gone.extract_if(.., |file| ids.contains(&file.id)).map(|file| file.key);
        kept.chain(lost.into_iter().map(|fresh| fresh.found.key)).collect()
    }

    /// The stamps that known files had which are others now or gone, and were not moved.
    pub(super) fn left_stamps(&self) -> Vec<(FileStamp, FileId)> {
        let moved: HashSet<_> = self.fresh.iter().filter_map(|fresh| fresh.moved_from).collect();
        let changed = self.fresh.iter().filter_map(|fresh| fresh.old.as_ref());
        let gone = self.gone.iter().filter(|file| !moved.contains(&file.id));
        changed.chain(gone).map(|file| (file.stamp, file.id)).collect()
    }
}

impl Fresh {
    /// Whether it is what it was, as far as can be told without reading it.
    pub(super) fn seems_unchanged(&self) -> bool {
        self.old.as_ref().is_some_and(|old| old.stamp == self.found.stamp)
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.found.key
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.found.stamp.len
    }
}

/// Whether a file was last written to less than `quiet` ago. A time in the future says nothing.
fn was_written_within(quiet: Duration, stamp: &FileStamp, now: SystemTime) -> bool {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let written = u128::try_from(stamp.mtime_ns).unwrap_or(0);
    now.checked_sub(written).is_some_and(|age| age < quiet.as_nanos())
}

/// A stamp that can be looked up.
#[derive(PartialEq, Eq, Hash)]
struct StampKey(u64, u64, i64);

impl StampKey {
    fn of(stamp: &FileStamp) -> Self {
        Self(stamp.inode, stamp.len, stamp.mtime_ns)
    }
}

/// The known files of a part of a share in order, a page at a time.
struct KnownFiles<'a> {
    catalog: &'a Catalog,
    share: ShareId,
    places: Arc<[Vec<u8>]>,
    page: std::iter::Peekable<vec::IntoIter<KnownFile>>,
    /// Where the next page begins; `None` after the last.
    from: Option<KnownFrom>,
}

impl<'a> KnownFiles<'a> {
    fn new(catalog: &'a Catalog, share: ShareId, scope: &Scope) -> Self {
        let page = Vec::new().into_iter().peekable();
        let places = scope.places().clone();
        Self { catalog, share, places, page, from: Some(KnownFrom::default()) }
    }

    async fn peek(&mut self) -> Result<Option<&KnownFile>, CatalogError> {
        while self.page.peek().is_none()
            && let Some(from) = self.from.take()
        {
            let places = self.places.clone();
            let (page, next) = self.catalog.known_files(self.share, places, from, PAGE).await?;
            self.page = page.into_iter().peekable();
            self.from = next;
        }
        Ok(self.page.peek())
    }

    async fn next(&mut self) -> Result<Option<KnownFile>, CatalogError> {
        self.peek().await?;
        Ok(self.page.next())
    }
}
