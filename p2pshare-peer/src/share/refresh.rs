//! One file that was found changed.

use std::{path::Path, sync::Arc};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{
    Fresh, Priority, ShareError, ShareEvents, ShareReport, Sharer, SkipReason, inspect::Rules,
    scan::root_id, walk::Found,
};
use crate::{
    catalog::{KnownFile, Share, local},
    data_dir::is_data_dir,
};

/// What has become of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refreshed {
    /// It is not shared.
    NotShared,
    /// It is what it was, or cannot be read at the moment.
    Unchanged,
    /// It is gone or cannot be shared any more, or all of its share is away.
    Removed,
    /// It was hashed again.
    Hashed,
}

impl Sharer {
    /// Looks at one shared file again, which was found changed when it was to be served: hashes it if it has changed,
    /// removes it if it is gone, and leaves it if it cannot be read at the moment. `local` is where it is, as the catalog
    /// says it. If several shares have the file, that is done for each, and the most that was done is told.
    ///
    /// Cancellation: the catalog stays as it was, or has the file as it is.
    pub async fn refresh_file(&self, local: &Path) -> Result<Refreshed, ShareError> {
        let mut done = Refreshed::NotShared;
        for share in self.catalog.shares().await? {
            let Some(key) = local.strip_prefix(&share.root).ok().and_then(local::to_key) else {
                continue;
            };
            if let Some(known) = self.catalog.known_file(share.id, key).await? {
                done = done.max(self.refresh(&share, known, local).await?);
            }
        }
        Ok(done)
    }

    async fn refresh(
        &self,
        share: &Share,
        known: KnownFile,
        path: &Path,
    ) -> Result<Refreshed, ShareError> {
        // Its hashes are kept until it is back, which a look at all of it finds.
        if !share.online {
            return Ok(Refreshed::Unchanged);
        }
        let root = root_id(share, Priority::Wanted).await;
        if self.is_away(share, root, Priority::Wanted).await?
            || self.catalog.is_usurped(share.id).await?
        {
            self.catalog.set_online(share.id, false).await?;
            return Ok(Refreshed::Removed);
        }
        let (owned, path, data_dir) = (share.clone(), path.to_owned(), self.data_dir.clone());
        let (apart, key) = (self.catalog.apart_from(share.id).await?, known.key.clone());
        let look = spawn_blocking(move || {
            let Share { root, follow_links, .. } = &owned;
            if path.parent().is_some_and(is_data_dir) {
                return Err(SkipReason::OwnData);
            }
            if apart.have(&[&key]) == [true] {
                return Err(SkipReason::Apart);
            }
            Rules { root, follow_links: *follow_links, data_dir: &data_dir, apart: &apart }
                .inspect(&path)
        });
        let stamp = match look.await.unwrap_or(Err(SkipReason::Gone)) {
            Ok(stamp) if stamp == known.stamp => return Ok(Refreshed::Unchanged),
            Ok(stamp) => stamp,
            Err(SkipReason::NotNow(_)) => return Ok(Refreshed::Unchanged),
            Err(_) => {
                self.catalog.remove_files(vec![known]).await?;
                return Ok(Refreshed::Removed);
            }
        };
        let events: ShareEvents = Arc::new(|_| ());
        let mut report = ShareReport::new(share.clone());
        let found = Found { key: known.key.clone(), stamp };
        let fresh = Fresh { found, old: Some(known), content: None, moved_from: None };
        let cancel = CancellationToken::new();
        self.hash(vec![fresh], Priority::Wanted, &mut report, &events, &cancel).await?;
        Ok(match (report.hashed, report.removed) {
            _ if report.usurped => Refreshed::Removed,
            (0, 0) => Refreshed::Unchanged,
            (_, 1..) => Refreshed::Removed,
            _ => Refreshed::Hashed,
        })
    }
}
