//! What lay at the roots of shares, to know it again under another name.

use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use p2pshare_core::backend::sqlite::DatabaseResult;
use rusqlite::{Connection, params};

use super::{Catalog, CatalogError, Share, ShareId};

/// A file or folder, whatever its name. Only within a file system, and among those that are there at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RootId {
    inode: u64,
    /// When it was made, in nanoseconds since 1970. Inodes are given out again.
    born_ns: i64,
    is_folder: bool,
}

/// What a share does not have because others that are for fewer have it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Apart {
    /// The root of the share that does not have it: what it is and lies in does not count.
    pub(super) within: PathBuf,
    /// Places, by whatever link one comes there.
    pub(super) places: Vec<PathBuf>,
    /// What lay at their roots, wherever it lies now.
    pub(super) roots: Vec<RootId>,
}

impl RootId {
    /// What is there, links not followed; `None`: nothing that can be told from others. Blocks.
    pub(crate) fn look(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().and_then(|metadata| Self::of(&metadata))
    }

    fn of(metadata: &Metadata) -> Option<Self> {
        let inode = inode(metadata);
        let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let born_ns = born.and_then(|born| i64::try_from(born.as_nanos()).ok()).unwrap_or(0);
        let is_folder = metadata.is_dir();
        // Without it the inode says too little: many file systems give all their roots the same.
        let is_known = inode != 0 && born_ns > 0;
        (is_known && (is_folder || metadata.is_file())).then_some(Self {
            inode,
            born_ns,
            is_folder,
        })
    }
}

impl Apart {
    /// Whether a place is one of them or lies in one. Links in it must have been followed. Blocks.
    pub(crate) fn has(&self, place: &Path) -> bool {
        self.places.iter().any(|apart| place.starts_with(apart))
            || place
                .ancestors()
                .filter(|above| !self.within.starts_with(above))
                .any(|above| self.was_root(above))
    }

    /// Whether a file or folder was the root of one of them, and has another name now. Blocks.
    pub(crate) fn was_root(&self, place: &Path) -> bool {
        !self.roots.is_empty() && RootId::look(place).is_some_and(|id| self.roots.contains(&id))
    }
}

impl Catalog {
    /// Whether this is known to have been a share's root.
    pub(crate) async fn is_root(&self, share: ShareId, id: RootId) -> Result<bool, CatalogError> {
        Ok(self.read(move |c| roots(c, share)).await?.contains(&id))
    }

    /// Notes what lies at a share's root.
    pub(crate) async fn note_root(&self, share: ShareId, id: RootId) -> Result<(), CatalogError> {
        // What changes nothing must not be told as a change.
        if self.is_root(share, id).await? {
            return Ok(());
        }
        let note = move |c: &Connection| {
            let sql = "INSERT OR IGNORE INTO roots SELECT id, ?2, ?3, ?4 FROM shares WHERE id = ?1";
            let values = params![share.0, id.inode.cast_signed(), id.born_ns, id.is_folder];
            c.prepare_cached(sql)?.execute(values)?;
            Ok(())
        };
        self.change(note).await
    }
}

/// What lay at the roots of these `others`, and at those of ended shares in a share.
pub(super) fn roots_apart(
    c: &Connection,
    share: ShareId,
    others: &[Share],
) -> DatabaseResult<Vec<RootId>> {
    let mut all =
        read(c, "SELECT inode, born_ns, is_folder FROM ended_roots WHERE share = ?1", share)?;
    for other in others {
        all.extend(roots(c, other.id)?);
    }
    Ok(all)
}

/// What lay at the root of a share that ends is left out of one around it from now on.
pub(super) fn keep_out(c: &Connection, ending: ShareId, outer: ShareId) -> DatabaseResult<()> {
    let sql = "INSERT OR IGNORE INTO ended_roots \
               SELECT ?2, inode, born_ns, is_folder FROM roots WHERE share = ?1";
    c.prepare_cached(sql)?.execute([ending.0, outer.0])?;
    Ok(())
}

fn roots(c: &Connection, share: ShareId) -> DatabaseResult<Vec<RootId>> {
    read(c, "SELECT inode, born_ns, is_folder FROM roots WHERE share = ?1", share)
}

fn read(c: &Connection, sql: &str, share: ShareId) -> DatabaseResult<Vec<RootId>> {
    let mut query = c.prepare_cached(sql)?;
    let found = query.query_map([share.0], |row| {
        let inode = row.get::<_, i64>(0)?.cast_unsigned();
        Ok(RootId { inode, born_ns: row.get(1)?, is_folder: row.get(2)? })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}
