//! Files that were dropped on the page: they are kept in a folder that is shared.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use p2pshare_core::{api::Visibility, path::SharePath};
use tokio::io::AsyncWriteExt;

use super::{Node, NodeError, text};
use crate::{
    catalog::{MAX_NUMBER, numbered},
    inbox::make_folders,
    share::ShareOptions,
};

impl Node {
    /// Keeps a file under this name in the drop folder, which is shared with everybody; gives where it is. Nothing is
    /// overwritten: if the name is taken the file gets a number.
    ///
    /// Cancellation: nothing is left of a file that is not complete.
    pub async fn keep_dropped<E: std::fmt::Display>(
        &self,
        name: &SharePath,
        mut bytes: impl Stream<Item = Result<Bytes, E>> + Unpin + Send,
    ) -> Result<String, NodeError> {
        let folder = self.inner.settings.current().drop_folder;
        let failed = |path: &Path| NodeError::io("writing below", path.to_owned());
        let part = {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || part(&folder)).await
        };
        let (file, part) =
            part.map_err(|_| NodeError::Interrupted)?.map_err(failed(&folder))?.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        while let Some(next) = bytes.next().await {
            let next = next.map_err(|error| {
                NodeError::Invalid(format!("the file did not come whole: {error}"))
            })?;
            file.write_all(&next).await.map_err(failed(&folder))?;
        }
        file.sync_all().await.map_err(failed(&folder))?;
        let (root, name) = (folder.clone(), name.clone());
        let kept = tokio::task::spawn_blocking(move || keep(&root, &name, part)).await;
        let kept = kept.map_err(|_| NodeError::Interrupted)?.map_err(failed(&folder))?;
        self.share_dropped(&folder).await?;
        Ok(text(&kept))
    }

    async fn share_dropped(&self, folder: &Path) -> Result<(), NodeError> {
        let public =
            ShareOptions { visibility: Some(Visibility::Public), ..ShareOptions::default() };
        let root =
            tokio::fs::canonicalize(folder).await.map_err(NodeError::io("opening", folder))?;
        let share = match self.inner.catalog.share_at(&root).await? {
            Some(share) => share,
            None => self.inner.sharer.add(&root, &public).await?,
        };
        self.scan(share.id);
        Ok(())
    }
}

/// A new file that is hidden, so that it is not shared before it is complete, and removed when dropped. Blocks.
fn part(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".dropped-");
    // As any program makes a user's files: others may read it if the user's mask says so.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Gives a complete file its name. Blocks.
fn keep(root: &Path, name: &SharePath, mut part: tempfile::TempPath) -> io::Result<PathBuf> {
    for number in 1..=MAX_NUMBER {
        let Some(name) = numbered(name, number) else { break };
        let above = name.parent();
        let folder = make_folders(root, above.iter().flat_map(SharePath::parts))?;
        let target = folder.join(name.file_name());
        match part.persist_noclobber(&target) {
            Ok(()) => {
                fs::File::open(&folder)?.sync_all()?;
                return Ok(target);
            }
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => part = error.path,
            Err(error) => return Err(error.error),
        }
    }
    Err(io::Error::other("too many files have this name: give it another one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let name: SharePath = "a/b.txt".parse().unwrap();
        let keep_one = || keep(folder.path(), &name, part(folder.path()).unwrap().into_temp_path());
        assert_eq!(keep_one().unwrap(), folder.path().join("a/b.txt"));
        assert_eq!(keep_one().unwrap(), folder.path().join("a/b (2).txt"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("l")).unwrap();
            let name: SharePath = "l/b.txt".parse().unwrap();
            let part = part(folder.path()).unwrap().into_temp_path();
            assert!(keep(folder.path(), &name, part).is_err());
        }
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}
