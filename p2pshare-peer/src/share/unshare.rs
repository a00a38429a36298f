//! Ending the sharing of something.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use p2pshare_core::{content::ContentId, path::SharePath};
use tokio::task::spawn_blocking;

use super::{ShareError, Sharer, lock_name};
use crate::catalog::{CatalogFile, CatalogLock, Share, local};

/// Files that are looked at together.
const PAGE: u32 = 1000;

/// What is to be shared no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnshareTarget {
    /// A file or folder: a share, or something in one. It may be gone already.
    Local(PathBuf),
    /// Every file with this content.
    Content(ContentId),
    /// A file or folder by its name for others.
    Path(SharePath),
}

/// What is shared no more. The files themselves stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unshared {
    /// Shares that are ended.
    pub shares: Vec<Share>,
    /// Files that are shared no more, those of the shares among them.
    pub files: u64,
}

impl Sharer {
    /// Ends the sharing of something. What lies in a shared folder stays away from it in scans to come, until the folder
    /// itself is unshared and shared anew.
    ///
    /// # Errors
    /// [`ShareError::NotShared`] if nothing of it is shared.
    pub async fn unshare(&self, target: &UnshareTarget) -> Result<Unshared, ShareError> {
        let (unshared, what) = match target {
            UnshareTarget::Local(path) => {
                (self.unshare_local(path).await?, path.display().to_string())
            }
            UnshareTarget::Content(content) => {
                (self.unshare_content(*content).await?, content.to_string())
            }
            UnshareTarget::Path(path) => (self.unshare_path(path).await?, path.to_string()),
        };
        if unshared == Unshared::default() {
            return Err(ShareError::NotShared(what));
        }
        Ok(unshared)
    }

    async fn unshare_local(&self, path: &Path) -> Result<Unshared, ShareError> {
        // A share whose place has become a link is meant by its name, and not what the link leads to.
        if let Ok(named) = std::path::absolute(path)
            && let Some(share) = self.catalog.share_at(&named).await?
        {
            let mut unshared = Unshared::default();
            self.end(share, &mut unshared).await?;
            return Ok(unshared);
        }
        let given = path.to_owned();
        let resolved = spawn_blocking(move || real_place(&given)).await;
        let interrupted = |_| Err(io::ErrorKind::Interrupted.into());
        let place = resolved
            .unwrap_or_else(interrupted)
            .map_err(|error| ShareError::Unreadable { path: path.to_owned(), error })?;
        let mut unshared = Unshared::default();
        if let Some(share) = self.catalog.share_at(&place).await? {
            self.end(share, &mut unshared).await?;
            return Ok(unshared);
        }
        unshared.files += self.exclude(&place).await?;
        Ok(unshared)
    }

    /// Ends the sharing of something below the roots of shares. If one of them had it, all leave it out from now on: what
    /// is left out of one for another share's sake would come back to it with a change of that.
    async fn exclude(&self, place: &Path) -> Result<u64, ShareError> {
        let mut files = 0;
        let mut around = Vec::new();
        for share in self.catalog.shares().await? {
            let key = place.strip_prefix(&share.root).ok().and_then(local::to_key);
            if let Some(key) = key.filter(|key| !key.is_empty()) {
                files += self.catalog.exclude(share.id, key.clone(), false).await?;
                around.push((share.id, key));
            }
        }
        if files > 0 {
            for (share, key) in around {
                files += self.catalog.exclude(share, key, true).await?;
            }
        }
        Ok(files)
    }

    async fn unshare_content(&self, content: ContentId) -> Result<Unshared, ShareError> {
        let mut unshared = Unshared::default();
        loop {
            let files = self.catalog.files_with(content, PAGE).await?;
            if files.is_empty() {
                return Ok(unshared);
            }
            for file in files {
                self.unshare_at(&file, &file.local, &mut unshared).await?;
            }
        }
    }

    async fn unshare_path(&self, path: &SharePath) -> Result<Unshared, ShareError> {
        let mut unshared = Unshared::default();
        if let Some(share) = self.catalog.shares().await?.into_iter().find(|s| s.name == *path) {
            self.end(share, &mut unshared).await?;
            return Ok(unshared);
        }
        loop {
            let files = self.catalog.files(Some(path.clone()), None, 1).await?;
            let Some(file) = files.first() else {
                return Ok(unshared);
            };
            // The folder of this name is as many steps above the file as its name is shorter. Two folders can share a
            // name for others, therefore it is looked again.
            let steps = file.path.parts().count().saturating_sub(path.parts().count());
            let place = file.local.ancestors().nth(steps).unwrap_or(&file.local).to_owned();
            self.unshare_at(file, &place, &mut unshared).await?;
        }
    }

    /// Ends the sharing of `place`, which is the file or a folder above it.
    async fn unshare_at(
        &self,
        file: &CatalogFile,
        place: &Path,
        unshared: &mut Unshared,
    ) -> Result<(), ShareError> {
        let Some(share) = self.catalog.share(file.share).await? else {
            return Ok(());
        };
        let key = place.strip_prefix(&share.root).ok().and_then(local::to_key);
        match key {
            Some(key) if !key.is_empty() => unshared.files += self.exclude(place).await?,
            _ => self.end(share, unshared).await?,
        }
        Ok(())
    }

    async fn end(&self, share: Share, unshared: &mut Unshared) -> Result<(), ShareError> {
        let files = self.catalog.totals(share.id).await?.files;
        if self.catalog.remove_share(share.id).await? {
            CatalogLock::forget(&self.catalog, &lock_name(&share.root)).await;
            unshared.files += files;
            unshared.shares.push(share);
        }
        Ok(())
    }
}

/// Where a file or folder really is. Of one that is gone the part of the path that is still there is resolved. Blocks.
fn real_place(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for above in path.ancestors() {
        match fs::canonicalize(above) {
            Ok(real) => {
                let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
                return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}
