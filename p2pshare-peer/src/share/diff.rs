//! Comparing the files that are there with those that are known.

use std::{collections::HashMap, path::Path, sync::Arc, vec};

use p2pshare_core::{content::ContentId, transfer::FileStamp};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{
    ShareEvent, ShareEvents,
    walk::{self, Found, Step},
};
use crate::catalog::{Catalog, CatalogError, FileId, KnownFile, Share, ShareId};

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
    /// It is not known in full, for the caller cancelled.
    pub(super) cancelled: bool,
}

/// A file that is new or has changed.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) found: Found,
    /// What was known under its name.
    pub(super) old: Option<KnownFile>,
    /// What is in it, if another file with its stamp tells.
    pub(super) content: Option<ContentId>,
    /// The file that it was before it was moved.
    pub(super) moved_from: Option<FileId>,
}

/// Walks through a share and compares. Memory grows with what has changed, not with what is shared.
pub(super) async fn diff(
    catalog: &Catalog,
    share: &Share,
    data_dir: &Arc<Path>,
    events: &ShareEvents,
    cancel: &CancellationToken,
) -> Result<Diff, CatalogError> {
    let excluded = catalog.excluded(share.id).await?;
    let (send, mut batches) = mpsc::channel(AHEAD);
    let (walked, data_dir) = (share.clone(), data_dir.clone());
    // Ends by itself when nobody takes what it finds.
    spawn_blocking(move || walk::walk(&walked, &data_dir, excluded, &send));

    let mut diff = Diff::default();
    let mut known = KnownFiles::new(catalog, share.id);
    loop {
        let batch = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                diff.cancelled = true;
                return Ok(diff);
            }
            batch = batches.recv() => batch,
        };
        let Some(batch) = batch else {
            break;
        };
        for step in batch {
            match step {
                Step::Found(found) => diff.compare(found, &mut known).await?,
                Step::Skipped(local, reason) => {
                    diff.skipped += 1;
                    events(ShareEvent::Skipped { local, reason });
                }
            }
        }
        events(ShareEvent::Scanning { files: diff.files });
    }
    while let Some(gone) = known.next().await? {
        diff.gone.push(gone);
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
        if old.as_ref().is_some_and(|old| old.stamp == found.stamp) {
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
        for fresh in &mut self.fresh {
            if let Some((id, content)) = gone.remove(&StampKey::of(&fresh.found.stamp)) {
                fresh.content = Some(content);
                fresh.moved_from = fresh.old.is_none().then_some(id);
            }
        }
        for part in self.fresh.chunks_mut(LOOKUP) {
            let unknown = || part.iter().filter(|fresh| fresh.content.is_none());
            let stamps = unknown().map(|fresh| fresh.found.stamp).collect();
            let contents = catalog.contents_of(stamps).await?;
            let unknown = part.iter_mut().filter(|fresh| fresh.content.is_none());
            for (fresh, content) in unknown.zip(contents) {
                fresh.content = content;
            }
        }
        Ok(())
    }
}

/// A stamp that can be looked up.
#[derive(PartialEq, Eq, Hash)]
struct StampKey(u64, u64, i64);

impl StampKey {
    fn of(stamp: &FileStamp) -> Self {
        Self(stamp.inode, stamp.len, stamp.mtime_ns)
    }
}

/// The known files of a share in order, a page at a time.
struct KnownFiles<'a> {
    catalog: &'a Catalog,
    share: ShareId,
    page: std::iter::Peekable<vec::IntoIter<KnownFile>>,
    /// The last one of the page; `None` before the first page.
    last: Option<Vec<u8>>,
    ended: bool,
}

impl<'a> KnownFiles<'a> {
    fn new(catalog: &'a Catalog, share: ShareId) -> Self {
        let page = Vec::new().into_iter().peekable();
        Self { catalog, share, page, last: None, ended: false }
    }

    async fn peek(&mut self) -> Result<Option<&KnownFile>, CatalogError> {
        if self.page.peek().is_none() && !self.ended {
            let page = self.catalog.known_files(self.share, self.last.take(), PAGE).await?;
            self.ended = page.len() < PAGE as usize;
            self.last = page.last().map(|file| file.key.clone());
            self.page = page.into_iter().peekable();
        }
        Ok(self.page.peek())
    }

    async fn next(&mut self) -> Result<Option<KnownFile>, CatalogError> {
        self.peek().await?;
        Ok(self.page.next())
    }
}
