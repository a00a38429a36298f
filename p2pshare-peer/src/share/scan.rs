//! Bringing the catalog and the disk together: looking at parts of shares, and hashing what is new in them.

use std::{collections::HashSet, fs, path::Path, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Fresh, Priority, Scope, ShareError, ShareEvent, ShareEvents, ShareReport, Sharer, SkipReason,
    diff::{Diff, diff},
    inspect::is_lasting,
    store::{Put, Store},
};
use crate::catalog::{RootId, Share, ShareId};

/// Known files that are removed together.
const REMOVED_AT_ONCE: usize = 1000;

/// Links to one file that are looked at again when it changes.
const LINKS: u32 = 32;

/// What is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) share: Share,
    pub(crate) scope: Scope,
}

/// How it is looked at.
pub(crate) struct Look<'a> {
    /// What is not hashed yet; `None`: everything is.
    pub(crate) quiet: Option<Quiet<'a>>,
    pub(crate) priority: Priority,
    pub(crate) events: &'a (dyn Fn(ShareId) -> ShareEvents + Sync),
    pub(crate) cancel: &'a CancellationToken,
}

/// Which files are not left alone yet.
#[derive(Clone, Copy)]
pub(crate) struct Quiet<'a> {
    /// Those that were written to within this time.
    pub(crate) written_within: Duration,
    /// Those of which this says so.
    pub(crate) busy: &'a (dyn Fn(ShareId, &[u8]) -> bool + Sync),
}

/// What was found, and is in the catalog except for what must be hashed.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) report: ShareReport,
    /// Files that must be hashed.
    pub(crate) unhashed: Vec<Fresh>,
    /// Files that were not left alone yet.
    pub(crate) restless: Vec<Vec<u8>>,
    /// Files of any share that may be links to what has changed.
    pub(crate) linked: Vec<(ShareId, Vec<u8>)>,
}

/// A part while it is looked at.
struct Looking {
    share: Share,
    events: ShareEvents,
    diff: Diff,
    looked: Looked,
}

impl Sharer {
    /// Brings a whole share up to date.
    pub(super) async fn scan(
        &self,
        share: Share,
        events: &ShareEvents,
        cancel: &CancellationToken,
    ) -> Result<ShareReport, ShareError> {
        let look =
            Look { quiet: None, priority: Priority::Wanted, events: &|_| events.clone(), cancel };
        let root = share.root.clone();
        let part = Part { share, scope: Scope::all() };
        let Some(Looked { mut report, unhashed, .. }) = self.look(vec![part], &look).await?.pop()
        else {
            return Err(ShareError::Ended(root));
        };
        if !report.cancelled && report.share.online {
            self.hash(unhashed, Priority::Wanted, &mut report, events, cancel).await?;
        }
        Ok(report)
    }

    /// Looks at parts of shares: what was moved within or between them, or is gone, is in the catalog then. A share that
    /// was ended meanwhile is left out.
    pub(crate) async fn look(
        &self,
        parts: Vec<Part>,
        how: &Look<'_>,
    ) -> Result<Vec<Looked>, ShareError> {
        let mut looking = Vec::with_capacity(parts.len());
        for Part { share, scope } in parts {
            // Whether it is online another look may have found out meanwhile.
            if let Some(share) = self.catalog.share(share.id).await? {
                looking.push(self.compare(Part { share, scope }, how).await?);
            }
        }
        // In this order a file that was moved from one share to another is known as long as it is looked for.
        let mut ended = HashSet::new();
        for one in &mut looking {
            let fresh = std::mem::take(&mut one.diff.fresh);
            let put = self.store(how.priority, &one.events, how.cancel, &mut one.looked.report);
            match put.put_known(fresh).await {
                // Something else lies there, and says nothing of what is known.
                Ok(_) if one.looked.report.usurped => one.diff.gone.clear(),
                Ok(Put { unhashed, lost }) => {
                    one.looked.unhashed = unhashed;
                    one.looked.restless.extend(one.diff.keep_lost(lost));
                }
                Err(ShareError::Ended(_)) => {
                    ended.insert(one.share.id);
                }
                Err(error) => return Err(error),
            }
        }
        looking.retain(|one| !ended.contains(&one.share.id));
        for Looking { diff, looked, events, .. } in &mut looking {
            // Before the rest is hashed, so that names which they had are free. Those that were moved are not there any
            // more.
            for part in diff.gone.chunks(REMOVED_AT_ONCE) {
                looked.report.removed += self.catalog.remove_files(part.to_vec()).await?;
            }
            if !looked.report.cancelled && looked.report.share.online {
                events(looked.scanned());
            }
        }
        Ok(looking.into_iter().map(|one| one.looked).collect())
    }

    async fn compare(&self, part: Part, how: &Look<'_>) -> Result<Looking, ShareError> {
        let Part { mut share, mut scope } = part;
        if !share.online {
            // All of it would be published when it is online again, what is gone too.
            scope = Scope::all();
        }
        let events = (how.events)(share.id);
        let before = Identity::of(&share.root, how.priority).await;
        if self.catalog.is_usurped(share.id).await? {
            return self.usurped(share, events).await;
        }
        let root = root_id(&share, how.priority).await;
        let mut diff = diff(self, &share, &scope, how.priority, &events, how.cancel).await?;
        let has_lost_all = diff.files == 0 && !diff.gone.is_empty();
        let absent = has_lost_all && self.is_away(&share, root, how.priority).await?;
        // Another disk lies there than at the beginning: what was not met is not gone for that.
        let replaced = before != Identity::of(&share.root, how.priority).await;
        diff.cancelled |= replaced && !absent;
        if !absent
            && !diff.cancelled
            && let Some(id) = root
        {
            self.catalog.note_root(share.id, id, diff.files > 0).await?;
            let root = share.root.clone();
            let above = how.priority.run(move || RootId::above(&root)).await;
            self.catalog.note_above(share.id, above.unwrap_or_default()).await?;
        }
        // Nothing was found, but not all was looked at: it stays what it was.
        let unsure = diff.files == 0 && !diff.unread.is_empty();
        if share.online == absent && !diff.cancelled && !unsure {
            self.catalog.set_online(share.id, !absent).await?;
            share.online = !absent;
        }
        let report = ShareReport {
            files: diff.files,
            unchanged: diff.unchanged,
            skipped: diff.skipped,
            cancelled: diff.cancelled,
            ..ShareReport::new(share.clone())
        };
        if absent || diff.cancelled {
            return Ok(Looking::nothing(share, events, report));
        }
        let mut looked = Looked::new(report);
        diff.find_moved(&self.catalog).await?;
        if let Some(quiet) = how.quiet {
            let busy = |key: &[u8]| (quiet.busy)(share.id, key);
            looked.restless = diff.take_restless(quiet.written_within, &busy);
            let stamps = diff.left_stamps();
            if !scope.is_all() && !stamps.is_empty() {
                looked.linked = self.catalog.with_stamps(stamps, LINKS).await?;
            }
        }
        Ok(Looking { share, events, diff, looked })
    }

    /// Whether a share below whose root no file was found is not there, and has not just been emptied. `root` is what lay
    /// there.
    pub(super) async fn is_away(
        &self,
        share: &Share,
        root: Option<RootId>,
        priority: Priority,
    ) -> Result<bool, ShareError> {
        Ok(match (RootState::of(&share.root, priority).await, root) {
            (RootState::There, _) => false,
            // The very folder, from which all was taken. That on which a disk is mounted is another one.
            (RootState::Empty, Some(id)) => !self.catalog.had_files(share.id, id).await?,
            (RootState::Empty, None) | (RootState::Away, _) => true,
        })
    }

    /// What is shared for fewer has come to lie in the place of a share: it is not looked at, and the share is not there.
    async fn usurped(&self, mut share: Share, events: ShareEvents) -> Result<Looking, ShareError> {
        events(ShareEvent::Skipped { local: share.root.clone(), reason: SkipReason::Usurped });
        if share.online {
            self.catalog.set_online(share.id, false).await?;
            share.online = false;
        }
        let report = ShareReport { skipped: 1, usurped: true, ..ShareReport::new(share.clone()) };
        Ok(Looking::nothing(share, events, report))
    }

    /// Hashes what is new and puts it into the catalog; adds to the report what was done.
    pub(crate) async fn hash(
        &self,
        fresh: Vec<Fresh>,
        priority: Priority,
        report: &mut ShareReport,
        events: &ShareEvents,
        cancel: &CancellationToken,
    ) -> Result<(), ShareError> {
        self.store(priority, events, cancel, report).put_hashed(fresh).await
    }

    fn store<'a>(
        &'a self,
        priority: Priority,
        events: &'a ShareEvents,
        cancel: &'a CancellationToken,
        report: &'a mut ShareReport,
    ) -> Store<'a> {
        Store {
            catalog: &self.catalog,
            priority,
            events,
            cancel,
            share: report.share.clone(),
            report,
        }
    }
}

impl Looking {
    /// Nothing of it is to be put into the catalog, or taken out.
    fn nothing(share: Share, events: ShareEvents, report: ShareReport) -> Self {
        Self { share, events, diff: Diff::default(), looked: Looked::new(report) }
    }
}

impl Looked {
    fn new(report: ShareReport) -> Self {
        Self { report, unhashed: Vec::new(), restless: Vec::new(), linked: Vec::new() }
    }

    fn scanned(&self) -> ShareEvent {
        let bytes = self.unhashed.iter().fold(0, |sum: u64, one| sum.saturating_add(one.len()));
        ShareEvent::Scanned {
            files: self.report.files,
            unchanged: self.report.unchanged,
            to_hash: self.unhashed.len() as u64,
            bytes,
        }
    }
}

/// What lies at a share's root.
pub(super) async fn root_id(share: &Share, priority: Priority) -> Option<RootId> {
    let root = share.root.clone();
    priority.run(move || RootId::look(&root)).await.flatten()
}

/// What tells a folder from another one that lies at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// That of what is there; `None`: nothing. On systems without such numbers all are the same.
    pub(crate) async fn of(path: &Path, priority: Priority) -> Option<Self> {
        let path = path.to_owned();
        priority.run(move || fs::metadata(path).ok().map(|metadata| Self::from(&metadata))).await?
    }
}

#[cfg(unix)]
impl From<&fs::Metadata> for Identity {
    fn from(metadata: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

#[cfg(not(unix))]
impl From<&fs::Metadata> for Identity {
    fn from(_: &fs::Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }
}

/// What there is of a share's root below which no file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RootState {
    /// Something that is no empty folder.
    There,
    /// An empty folder: it was emptied, or a disk is not mounted on it.
    Empty,
    /// Nothing, or nobody can look into it.
    Away,
}

/// Whether nothing in a folder can be looked at.
fn is_shut(folder: &Path) -> bool {
    let looked = fs::symlink_metadata(folder.join("."));
    looked.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

impl RootState {
    async fn of(root: &Path, priority: Priority) -> Self {
        let root = root.to_owned();
        let look = priority.run(move || match fs::symlink_metadata(&root) {
            Ok(metadata) if metadata.is_dir() => match fs::read_dir(&root) {
                Ok(mut entries) => match entries.next() {
                    // Names can be read, but nothing that has them can be looked at.
                    Some(_) if is_shut(&root) => Self::Away,
                    Some(_) => Self::There,
                    None => Self::Empty,
                },
                Err(error) if is_lasting(&error) => Self::Away,
                // It says nothing of what is there.
                Err(_) => Self::There,
            },
            Ok(_) => Self::There,
            Err(_) => Self::Away,
        });
        look.await.unwrap_or(Self::Away)
    }
}
