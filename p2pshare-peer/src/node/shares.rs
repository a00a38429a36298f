//! What is shared, and scanning it in the background.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use p2pshare_core::{api::Visibility, content::ContentId, path::SharePath, text::visible};
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Node, NodeError, Topic, absolute, lock,
    progress::{Followed, Progress, ScanView},
    text,
};
use crate::{
    catalog::{Share, ShareId, ShareTotals},
    share::{NamedGroup, ShareError, ShareEvent, ShareOptions, absent},
    watch::WatchEvent,
};

/// Counting the files of shares takes time in proportion to them: the counts may be so old.
const COUNTED_FOR: Duration = Duration::from_secs(1);

/// Files that are passed over in a scan are named up to this number; the log has them all.
const MAX_NAMED: u64 = 5;

/// A file or folder that is shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShareView {
    /// Its number.
    pub id: i64,
    /// Where it is.
    pub path: String,
    /// What others call it.
    pub name: SharePath,
    /// Who can find and fetch it.
    pub visibility: Visibility,
    /// Files that are known of it.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Whether it was there when it was last looked at.
    pub online: bool,
    /// Whether changes are followed as they happen.
    pub watched: bool,
    /// Whether hidden files are shared too.
    pub hidden: bool,
    /// Why the index did not take some of its files when they were published the last time.
    pub refused: Option<String>,
    /// Files that the index has not yet as they are.
    pub unpublished: u64,
    /// What is in it, if it is one file that was hashed.
    pub content: Option<ContentId>,
    /// The scan that runs.
    pub scan: Option<ScanView>,
}

/// All that is shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharesView {
    /// In order of name.
    pub items: Vec<ShareView>,
    /// Files that the index knows.
    pub published: u64,
}

/// The scans that run, and counts of before.
#[derive(Default)]
pub(super) struct Scans {
    running: Mutex<HashMap<ShareId, Arc<Scan>>>,
    followed: Followed,
    counts: tokio::sync::Mutex<Option<(Instant, Vec<Counted>)>>,
    /// Something has changed since the counts were made.
    outdated: AtomicBool,
}

/// A share, how much it holds, and of a single file what it is.
type Counted = (Share, ShareTotals, Option<ContentId>);

struct Scan {
    progress: Progress,
    skipped: AtomicU64,
    /// It was asked for again meanwhile.
    again: Mutex<bool>,
    cancel: CancellationToken,
}

impl Node {
    /// All that is shared.
    pub async fn shares(&self) -> Result<SharesView, NodeError> {
        let mut counts = self.inner.shares.counts.lock().await;
        let outdated = self.inner.shares.outdated.swap(false, Relaxed);
        let counted = match counts.take() {
            Some((at, counted)) if !outdated && at.elapsed() < COUNTED_FOR => (at, counted),
            _ => {
                let mut counted = Vec::new();
                for share in self.inner.catalog.shares().await? {
                    counted.push(self.count(share).await?);
                }
                (Instant::now(), counted)
            }
        };
        let items = counted.1.iter().map(|counted| self.view(counted)).collect();
        *counts = Some(counted);
        Ok(SharesView { items, published: lock(&self.inner.live).published })
    }

    /// Shares a file or folder, or changes how it is shared, and looks at it in the background.
    pub async fn share(&self, path: &str, options: ShareOptions) -> Result<ShareView, NodeError> {
        let options = self.with_group(options).await?;
        let share = self.inner.sharer.add(&absolute(path)?, &options).await?;
        self.scan(share.id);
        self.one(share).await
    }

    /// Changes how something is shared.
    pub async fn change_share(
        &self,
        id: ShareId,
        options: ShareOptions,
    ) -> Result<ShareView, NodeError> {
        let options = self.with_group(options).await?;
        let share = self.inner.sharer.change(id, &options).await?;
        self.scan(id);
        self.one(share).await
    }

    /// Says which group is meant, if one is named and the index can be asked.
    async fn with_group(&self, options: ShareOptions) -> Result<ShareOptions, NodeError> {
        let index = self.index().ok();
        match NamedGroup::find(options.visibility.as_ref(), index.as_ref()).await {
            Some(NamedGroup::Known(reach)) => Ok(ShareOptions { reach: Some(reach), ..options }),
            Some(NamedGroup::Missing(group)) => {
                Err(NodeError::NotFound(format!("you are in no group {group}")))
            }
            Some(NamedGroup::Unknown(group, why)) if options.other_group => {
                Err(NodeError::Conflict(format!(
                    "which group {group} is cannot be asked: {why}; try again"
                )))
            }
            Some(NamedGroup::Unknown(..)) | None => Ok(options),
        }
    }

    /// Looks at a share again, in the background.
    pub async fn rescan(&self, id: ShareId) -> Result<ShareView, NodeError> {
        let share = self.inner.catalog.share(id).await?.ok_or(ShareError::NoShare)?;
        self.scan(id);
        self.one(share).await
    }

    /// Ends the sharing of something. The files stay.
    pub async fn unshare(&self, id: ShareId) -> Result<(), NodeError> {
        if let Some(scan) = lock(&self.inner.shares.running).get(&id) {
            scan.cancel.cancel();
        }
        if !self.inner.catalog.remove_share(id).await? {
            return Err(ShareError::NoShare.into());
        }
        self.recount();
        Ok(())
    }

    async fn one(&self, share: Share) -> Result<ShareView, NodeError> {
        self.recount();
        Ok(self.view(&self.count(share).await?))
    }

    async fn count(&self, share: Share) -> Result<Counted, NodeError> {
        let catalog = &self.inner.catalog;
        let totals = catalog.totals(share.id).await?;
        let content = match totals.files {
            1 => {
                // The file of a share that is one file has the very name of the share.
                let files = catalog.files(Some(share.name.clone()), None, 1).await?;
                files.first().filter(|file| file.path == share.name).map(|file| file.content)
            }
            _ => None,
        };
        Ok((share, totals, content))
    }

    /// Notes what happens to shares that are followed.
    pub(super) fn note_watch(&self, event: &WatchEvent) {
        let scans = &self.inner.shares;
        let tell = match event {
            WatchEvent::Begun { share, files, bytes } => {
                scans.followed.begin(*share, *files, *bytes);
                *files > 0
            }
            WatchEvent::Step { share, event } => scans.followed.note(*share, event),
            WatchEvent::Rested { share } => scans.followed.end(*share),
            WatchEvent::Followed { .. } => true,
            WatchEvent::Absent { share, usurped } => {
                self.inner.changes.warn(absent(share, *usurped));
                true
            }
            WatchEvent::Polled { share, reason } => {
                self.inner.changes.warn(format!(
                    "{} is looked through now and then instead of being followed at once: {}",
                    visible(&text(&share.root)),
                    visible(reason)
                ));
                false
            }
            _ => false,
        };
        if tell {
            self.inner.changes.tell(Topic::Shares);
        }
    }

    /// The counts are old.
    pub(super) fn recount(&self) {
        self.inner.shares.outdated.store(true, Relaxed);
        self.inner.changes.tell(Topic::Shares);
    }

    fn view(&self, (share, totals, content): &Counted) -> ShareView {
        let scans = &self.inner.shares;
        let scan = lock(&scans.running).get(&share.id).map(|scan| scan.progress.view());
        ShareView {
            id: share.id.number(),
            path: text(&share.root),
            name: share.name.clone(),
            visibility: share.visibility.clone(),
            files: totals.files,
            bytes: totals.bytes,
            online: share.online,
            watched: share.watched,
            content: *content,
            hidden: share.hidden,
            refused: share.refused.clone(),
            unpublished: totals.pending,
            scan: scan.or_else(|| scans.followed.view(share.id)),
        }
    }

    /// Scans a share in the background; if that is being done, then once more.
    pub(super) fn scan(&self, id: ShareId) {
        let mut running = lock(&self.inner.shares.running);
        if let Some(scan) = running.get(&id) {
            *lock(&scan.again) = true;
            return;
        }
        let scan = Arc::new(Scan {
            progress: Progress::new(),
            skipped: AtomicU64::new(0),
            again: Mutex::new(false),
            cancel: self.inner.stop.child_token(),
        });
        running.insert(id, scan.clone());
        drop(running);
        let node = self.clone();
        self.inner.tasks.spawn(async move {
            loop {
                node.scan_once(id, &scan).await;
                let mut running = lock(&node.inner.shares.running);
                let again = std::mem::take(&mut *lock(&scan.again));
                if !again || scan.cancel.is_cancelled() {
                    running.remove(&id);
                    break;
                }
            }
            node.recount();
        });
    }

    async fn scan_once(&self, id: ShareId, scan: &Arc<Scan>) {
        scan.progress.restart();
        scan.skipped.store(0, Relaxed);
        let (changes, noted) = (self.inner.changes.clone(), scan.clone());
        let events = move |event: ShareEvent| {
            if let ShareEvent::Skipped { local, reason } = &event
                && noted.skipped.fetch_add(1, Relaxed) < MAX_NAMED
            {
                changes.warn(format!("{} is not shared: {reason}", visible(&text(local))));
            }
            if noted.progress.note(&event) {
                changes.tell(Topic::Shares);
            }
        };
        match self.inner.sharer.rescan(id, &(Arc::new(events) as _), &scan.cancel).await {
            Ok(report) if report.cancelled => {}
            Ok(report) => {
                if report.skipped > MAX_NAMED {
                    let (name, more) = (&report.share.name, report.skipped - MAX_NAMED);
                    self.inner.changes.warn(format!(
                        "{more} more files of {} are not shared",
                        visible(name.as_str())
                    ));
                }
            }
            // It was unshared meanwhile.
            Err(ShareError::NoShare | ShareError::Ended(_)) => {}
            Err(error) => self.inner.changes.warn(visible(&error.to_string()).to_string()),
        }
    }
}
