//! Hashing what is new, and putting it into the catalog.

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use p2pshare_core::path::SharePath;
use tokio_util::sync::CancellationToken;

use super::{
    Priority, ShareError, ShareEvent, ShareEvents, ShareReport, SkipReason,
    diff::Fresh,
    hash::{Hashed, NotHashed, Stop, hash},
};
use crate::catalog::{
    Catalog, KnownFile, NewContent, NewFile, PutOutcome, Share, local, path_below,
};

/// Files of more bytes are hashed one at a time on all cores, others many at a time on one core each.
pub(crate) const LARGE: u64 = 16 << 20;

/// Files that are put into the catalog together, and how long the first of them waits.
const BATCH: usize = 500;
const BATCH_TIME: Duration = Duration::from_millis(500);

/// Puts files into the catalog.
pub(super) struct Store<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) share: Share,
    pub(super) priority: Priority,
    pub(super) events: &'a ShareEvents,
    pub(super) cancel: &'a CancellationToken,
    pub(super) report: &'a mut ShareReport,
}

/// What has become of files whose content is known.
#[derive(Default)]
pub(super) struct Put {
    /// Files that must be hashed after all.
    pub(super) unhashed: Vec<Fresh>,
    /// Moved files that were not met any more.
    pub(super) lost: Vec<Fresh>,
}

/// A file on its way into the catalog.
struct Ready {
    new: NewFile,
    /// Its name says something else.
    renamed: bool,
    fresh: Fresh,
}

impl Store<'_> {
    /// Puts in the files whose content is known.
    pub(super) async fn put_known(mut self, fresh: Vec<Fresh>) -> Result<Put, ShareError> {
        let (known, unhashed): (Vec<_>, Vec<_>) =
            fresh.into_iter().partition(|fresh| fresh.content.is_some());
        let mut done = Put { unhashed, lost: Vec::new() };
        let mut known = known.into_iter();
        loop {
            let part: Vec<_> = known.by_ref().take(BATCH).collect();
            if part.is_empty() {
                return Ok(done);
            }
            let mut ready = Vec::with_capacity(part.len());
            for fresh in part {
                if let Some(content) = fresh.content {
                    ready.extend(self.name(fresh, NewContent::Known(content)).await?);
                }
            }
            let Put { unhashed, lost } = self.put(ready, true).await?;
            done.unhashed.extend(unhashed);
            done.lost.extend(lost);
        }
    }

    /// Hashes files and puts them in. What is done when it is cancelled is kept.
    pub(super) async fn put_hashed(mut self, fresh: Vec<Fresh>) -> Result<(), ShareError> {
        let stop = Stop::default();
        let _stop_when_dropped = StopOnDrop(stop.clone());
        let mut named = Vec::with_capacity(fresh.len());
        for one in fresh {
            // A file that has no name for others is not read in vain.
            match share_path(&self.share, &one.found.key) {
                Ok(_) => named.push(one),
                Err(reason) => self.skip(one.found.key, one.old, reason).await?,
            }
        }
        let mut fresh = named;
        // Those that were replaced meanwhile once more.
        for again in [true, false] {
            let (large, small): (Vec<_>, Vec<_>) =
                fresh.into_iter().partition(|fresh| fresh.found.stamp.len > LARGE);
            let cores = self.priority.threads();
            let all = NonZeroUsize::new(cores).unwrap_or(NonZeroUsize::MIN);
            fresh = self.hash_all(small, (cores, NonZeroUsize::MIN), again, &stop).await?;
            fresh.extend(self.hash_all(large, (1, all), again, &stop).await?);
        }
        Ok(())
    }

    /// Gives those that were replaced meanwhile, to be hashed `again`.
    async fn hash_all(
        &mut self,
        fresh: Vec<Fresh>,
        (at_once, threads): (usize, NonZeroUsize),
        again: bool,
        stop: &Stop,
    ) -> Result<Vec<Fresh>, ShareError> {
        let (root, events, priority) =
            (self.share.root.clone(), self.events.clone(), self.priority);
        let jobs = stream::iter(fresh).map(|fresh| {
            let path = local::place(&root, &fresh.found.key);
            let (events, stop) = (events.clone(), stop.clone());
            async move {
                let bytes = fresh.found.stamp.len;
                events(ShareEvent::Hashing { local: path.clone(), bytes });
                (fresh, hash(path, threads, priority, events, stop).await)
            }
        });
        let mut jobs = std::pin::pin!(jobs.buffer_unordered(at_once));
        let (mut ready, mut replaced) = (Vec::new(), Vec::new());
        let mut since = Instant::now();
        while !self.report.cancelled && !self.report.usurped {
            let next = tokio::select! {
                biased;
                () = self.cancel.cancelled() => {
                    stop.set();
                    self.report.cancelled = true;
                    break;
                }
                next = jobs.next() => next,
            };
            let Some((fresh, result)) = next else {
                break;
            };
            match result {
                Ok(hashed) => ready.extend(self.hashed(fresh, hashed).await?),
                Err(NotHashed::Skip(reason)) => {
                    self.skip(fresh.found.key, fresh.old, reason).await?;
                }
                Err(NotHashed::Stopped) => self.report.cancelled = true,
            }
            if ready.len() >= BATCH || since.elapsed() >= BATCH_TIME {
                replaced.extend(self.put(std::mem::take(&mut ready), again).await?.unhashed);
                since = Instant::now();
            }
        }
        replaced.extend(self.put(ready, again).await?.unhashed);
        Ok(replaced)
    }

    async fn hashed(
        &mut self,
        mut fresh: Fresh,
        hashed: Hashed,
    ) -> Result<Option<Ready>, ShareError> {
        self.report.hashed += 1;
        self.report.hashed_bytes = self.report.hashed_bytes.saturating_add(hashed.stamp.len);
        fresh.found.stamp = hashed.stamp;
        if fresh.seems_unchanged() {
            if fresh.old.as_ref().is_some_and(|old| old.content == hashed.manifest.id()) {
                self.report.unchanged += 1;
                return Ok(None);
            }
            self.report.rewritten += 1;
            (self.events)(ShareEvent::Rewritten { local: self.local(&fresh.found.key) });
        }
        // It may have been written to after it was taken for a moved one.
        fresh.moved_from = None;
        self.name(fresh, NewContent::Hashed(hashed.manifest)).await
    }

    /// Gives a file its name for others; `None` if it has none and was skipped.
    async fn name(
        &mut self,
        fresh: Fresh,
        content: NewContent,
    ) -> Result<Option<Ready>, ShareError> {
        match share_path(&self.share, &fresh.found.key) {
            Ok((path, renamed)) => {
                let new = NewFile {
                    key: fresh.found.key.clone(),
                    path,
                    content,
                    stamp: fresh.found.stamp,
                    moved_from: fresh.moved_from,
                };
                Ok(Some(Ready { new, renamed, fresh }))
            }
            Err(reason) => {
                self.skip(fresh.found.key, fresh.old, reason).await?;
                Ok(None)
            }
        }
    }

    /// Puts files in. `again`: those that were replaced meanwhile are hashed once more.
    async fn put(&mut self, mut ready: Vec<Ready>, again: bool) -> Result<Put, ShareError> {
        let mut put = Put::default();
        if ready.is_empty() {
            return Ok(put);
        }
        // Who is called so really gets a name first.
        ready.sort_by(|a, b| (a.renamed, &a.new.key).cmp(&(b.renamed, &b.new.key)));
        let new = ready.iter().map(|ready| ready.new.clone()).collect();
        let outcomes = self.catalog.put_files(self.share.id, new).await?;
        for (Ready { new, renamed, fresh }, outcome) in ready.into_iter().zip(outcomes) {
            match outcome {
                PutOutcome::Stored(path) => self.stored(&new, path, renamed),
                PutOutcome::HashNeeded => {
                    put.unhashed.push(Fresh { content: None, moved_from: None, ..fresh });
                }
                PutOutcome::Replaced if again => {
                    put.unhashed.push(Fresh { content: None, moved_from: None, ..fresh });
                }
                PutOutcome::NoName => {
                    let reason = "every name like it is taken".to_owned();
                    self.skip(new.key, fresh.old, SkipReason::NoName(reason)).await?;
                }
                PutOutcome::Excluded => {
                    self.skip(new.key, fresh.old, SkipReason::Apart).await?;
                }
                PutOutcome::Replaced => {
                    self.skip(new.key, fresh.old, SkipReason::Changing).await?;
                }
                // What is known of it may be that of the next name that it got.
                PutOutcome::Gone if fresh.moved_from.is_some() => {
                    self.report.files = self.report.files.saturating_sub(1);
                    put.lost.push(fresh);
                }
                PutOutcome::Gone => self.skip(new.key, fresh.old, SkipReason::Gone).await?,
                // What is known of it is kept until its own place is back.
                PutOutcome::Usurped => {
                    self.put_away().await?;
                    self.skip(new.key, None, SkipReason::Usurped).await?;
                }
                PutOutcome::NoShare => return Err(ShareError::Ended(self.share.root.clone())),
            }
        }
        Ok(put)
    }

    /// Nothing of the share is there any more.
    async fn put_away(&mut self) -> Result<(), ShareError> {
        if !self.report.usurped {
            self.catalog.set_online(self.share.id, false).await?;
            self.report.share.online = false;
            self.report.usurped = true;
        }
        Ok(())
    }

    fn stored(&mut self, new: &NewFile, path: SharePath, renamed: bool) {
        let local = self.local(&new.key);
        let hashed = matches!(new.content, NewContent::Hashed(_));
        if !hashed {
            self.report.moved += 1;
        }
        if renamed || path != new.path {
            (self.events)(ShareEvent::Renamed { local: local.clone(), path: path.clone() });
        }
        let (content, bytes) = (new.content.id(), new.stamp.len);
        (self.events)(ShareEvent::Shared { local, path, content, bytes, hashed });
    }

    /// A file that cannot be shared: what was known of it does not hold any more, unless it may be read later.
    async fn skip(
        &mut self,
        key: Vec<u8>,
        old: Option<KnownFile>,
        reason: SkipReason,
    ) -> Result<(), ShareError> {
        if let Some(old) = old
            && !matches!(reason, SkipReason::NotNow(_))
        {
            self.report.removed += self.catalog.remove_files(vec![old]).await?;
        }
        self.report.files = self.report.files.saturating_sub(1);
        if reason != SkipReason::Gone {
            self.report.skipped += 1;
            (self.events)(ShareEvent::Skipped { local: self.local(&key), reason });
        }
        Ok(())
    }

    fn local(&self, key: &[u8]) -> PathBuf {
        local::place(&self.share.root, key)
    }
}

/// The name for others of a file below a share's root, and whether it differs from its own.
fn share_path(share: &Share, key: &[u8]) -> Result<(SharePath, bool), SkipReason> {
    if key.is_empty() {
        let own = share.root.file_name().and_then(|name| name.to_str());
        return Ok((share.name.clone(), own != Some(share.name.as_str())));
    }
    path_below(&share.name, key).map_err(|error| SkipReason::NoName(error.to_string()))
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}
