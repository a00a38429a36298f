//! What lay at the roots of shares, to know it again under another name.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, Metadata},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use p2pshare_core::backend::sqlite::DatabaseResult;
use rusqlite::{Connection, Row, params};

use super::{Catalog, CatalogError, Share, ShareId, local, shares::all};

/// Roots that are kept of one share: a file that is replaced each time that it is written has ever new ones.
const ROOTS: i64 = 256;

/// A file or folder, whatever its name. Only within a file system, and among those that are there at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RootId {
    pub(super) inode: u64,
    /// When it was made, in nanoseconds since 1970. Inodes are given out again.
    pub(super) born_ns: i64,
    is_folder: bool,
}

/// What a share does not have because others that are for fewer have it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Apart {
    /// Where the root of the share really is that does not have it: what it is and lies in does not count.
    within: PathBuf,
    /// Places, by whatever link one comes there.
    places: Vec<PathBuf>,
    /// What lay at their roots, wherever it lies now.
    roots: HashSet<RootId>,
}

/// Where something really is, whatever links lead there; as it is named, if that cannot be told. Blocks.
pub(super) fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

impl RootId {
    /// What is there, links not followed; `None`: nothing that can be told from others. Blocks.
    pub(crate) fn look(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().and_then(|metadata| Self::of(&metadata))
    }

    /// The folders in which something really lies. Blocks.
    pub(crate) fn above(path: &Path) -> Vec<Self> {
        real(path).ancestors().skip(1).filter_map(Self::look).collect()
    }

    /// What this was read of.
    pub(crate) fn of(metadata: &Metadata) -> Option<Self> {
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
    /// What a share does not have: what is `excluded` below its root, as keys, and other shares with these roots, of
    /// which these lay there. Blocks.
    pub(super) fn of(
        root: &Path,
        excluded: &[Vec<u8>],
        others: &[PathBuf],
        roots: HashSet<RootId>,
    ) -> Self {
        let within = real(root);
        let mut places: Vec<_> = excluded.iter().map(|key| local::place(&within, key)).collect();
        for other in others {
            places.extend([other.clone(), real(other)]);
        }
        Self { within, places, roots }
    }

    /// Whether a place is really in the share, whose root may be behind a link.
    pub(crate) fn is_within(&self, place: &Path) -> bool {
        !self.within.as_os_str().is_empty() && place.starts_with(&self.within)
    }

    /// Those of the places that lie in the share, as keys.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        let below = self.places.iter().filter_map(|place| place.strip_prefix(&self.within).ok());
        let keys = below.filter_map(local::to_key);
        keys.filter(|key| !key.is_empty()).collect()
    }

    /// Which of these files, as keys of the share, lie in one of the places or were moved there with what it had: the
    /// same answers in the same order. Blocks.
    pub(crate) fn have(&self, keys: &[&Vec<u8>]) -> Vec<bool> {
        let mut folders = HashMap::new();
        let has = |key: &&Vec<u8>| {
            if key.is_empty() || (self.places.is_empty() && self.roots.is_empty()) {
                return false;
            }
            let file = local::place(&self.within, key);
            let Some(folder) = file.parent() else { return false };
            let known = folders.get(folder).copied();
            let is_in = known.unwrap_or_else(|| {
                let is_in = fs::canonicalize(folder).is_ok_and(|folder| self.has(&folder));
                folders.insert(folder.to_owned(), is_in);
                is_in
            });
            is_in || self.was_root(&file)
        };
        keys.iter().map(has).collect()
    }

    /// Whether a place is one of them or lies in one. Links in it must have been followed. Blocks.
    pub(crate) fn has(&self, place: &Path) -> bool {
        let is_within = place.starts_with(&self.within);
        let is_around = |apart: &Path| is_within && self.within.starts_with(apart);
        self.places.iter().any(|apart| place.starts_with(apart) && !is_around(apart))
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
    /// Whether this is known to have been a share's root, and files to have been in it.
    pub(crate) async fn had_files(&self, share: ShareId, id: RootId) -> Result<bool, CatalogError> {
        self.read(move |c| is_noted(c, share, id, true)).await
    }

    /// The other shares at whose roots this lies at the moment: under another name, or on a copy of a disk.
    pub(super) async fn also_at(
        &self,
        root: &Path,
        id: RootId,
    ) -> Result<Vec<ShareId>, CatalogError> {
        let read = move |c: &Connection| {
            let mut found = Vec::new();
            for share in all(c)? {
                if is_noted(c, share.id, id, false)? {
                    found.push(share);
                }
            }
            Ok(found)
        };
        let (root, shares) = (root.to_owned(), self.read(read).await?);
        let is_there =
            move |share: &Share| share.root != root && RootId::look(&real(&share.root)) == Some(id);
        // Not in a transaction: a disk that does not answer must not keep others from the catalog.
        let look = move || shares.iter().filter(|it| is_there(it)).map(|it| it.id).collect();
        Ok(tokio::task::spawn_blocking(look).await.unwrap_or_default())
    }

    /// Notes what lies at a share's root, and whether files are in it.
    pub(crate) async fn note_root(
        &self,
        share: ShareId,
        id: RootId,
        has_files: bool,
    ) -> Result<(), CatalogError> {
        // What changes nothing must not be told as a change.
        if self.read(move |c| is_noted(c, share, id, has_files)).await? {
            return Ok(());
        }
        self.change(move |c| note(c, share, id, has_files)).await
    }
}

fn note(c: &Connection, share: ShareId, id: RootId, has_files: bool) -> DatabaseResult<()> {
    let sql = "INSERT INTO roots (share, inode, born_ns, is_folder, had_files, noted) \
               SELECT id, ?2, ?3, ?4, ?5, (SELECT coalesce(max(noted), 0) + 1 FROM roots WHERE share = ?1) \
               FROM shares WHERE id = ?1 \
               ON CONFLICT DO UPDATE SET had_files = max(had_files, excluded.had_files)";
    let RootId { inode, born_ns, is_folder } = id;
    let values = params![share.0, inode.cast_signed(), born_ns, is_folder, has_files];
    c.prepare_cached(sql)?.execute(values)?;
    let sql = "DELETE FROM roots WHERE share = ?1 \
               AND noted <= (SELECT max(noted) FROM roots WHERE share = ?1) - ?2";
    c.prepare_cached(sql)?.execute([share.0, ROOTS])?;
    Ok(())
}

/// Notes that somebody shares what lies at a share's root: it is meant there, whatever share had it before; but not instead
/// of these `others`, which have it at the same time.
pub(super) fn note_meant(
    c: &Connection,
    share: ShareId,
    id: RootId,
    others: &[ShareId],
) -> DatabaseResult<()> {
    note(c, share, id, false)?;
    let sql = "SELECT max(meant) + 1 FROM roots";
    let when: i64 = c.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    let sql = "UPDATE roots SET meant = ?5 \
               WHERE share = ?1 AND inode = ?2 AND born_ns = ?3 AND is_folder = ?4";
    let mut update = c.prepare_cached(sql)?;
    for share in others.iter().chain([&share]) {
        let RootId { inode, born_ns, is_folder } = id;
        update.execute(params![share.0, inode.cast_signed(), born_ns, is_folder, when])?;
    }
    Ok(())
}

/// What lay at a share's root, and when somebody shared it there: see the table.
pub(super) fn meant(c: &Connection, share: ShareId) -> DatabaseResult<HashMap<RootId, i64>> {
    let sql = "SELECT inode, born_ns, is_folder, meant FROM roots WHERE share = ?1";
    let mut query = c.prepare_cached(sql)?;
    let found = query.query_map([share.0], |row| Ok((root_id(row)?, row.get(3)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The other shares that are for fewer than one.
pub(super) fn for_fewer(c: &Connection, share: &Share) -> DatabaseResult<Vec<Share>> {
    let mut others = all(c)?;
    others.retain(|other| other.id != share.id && other.is_for_fewer_than(share));
    Ok(others)
}

/// What lay at the roots of these `others`, and at those of ended shares in a share.
pub(super) fn roots_apart(
    c: &Connection,
    share: ShareId,
    others: &[Share],
) -> DatabaseResult<HashSet<RootId>> {
    let mut all = ended_roots(c, share)?;
    for other in others {
        all.extend(roots(c, other.id)?);
    }
    Ok(all)
}

/// What lay at the roots of ended shares, and is not of a share.
pub(super) fn ended_roots(c: &Connection, share: ShareId) -> DatabaseResult<HashSet<RootId>> {
    let sql = "SELECT inode, born_ns, is_folder FROM ended_roots WHERE share = ?1";
    Ok(read(c, sql, share)?.into_iter().collect())
}

fn is_noted(c: &Connection, share: ShareId, id: RootId, with_files: bool) -> DatabaseResult<bool> {
    let sql = "SELECT 1 FROM roots \
               WHERE share = ?1 AND inode = ?2 AND born_ns = ?3 AND is_folder = ?4 AND had_files >= ?5";
    let RootId { inode, born_ns, is_folder } = id;
    let values = params![share.0, inode.cast_signed(), born_ns, is_folder, with_files];
    Ok(c.prepare_cached(sql)?.exists(values)?)
}

/// What lay at the root of a share that ends is left out of another one from now on.
pub(super) fn keep_out(c: &Connection, ending: ShareId, outer: ShareId) -> DatabaseResult<()> {
    let sql = "INSERT OR IGNORE INTO ended_roots \
               SELECT ?2, inode, born_ns, is_folder FROM roots WHERE share = ?1";
    c.prepare_cached(sql)?.execute([ending.0, outer.0])?;
    let sql = "UPDATE roots SET meant = -1 WHERE share = ?2 AND EXISTS (SELECT 1 FROM roots e \
               WHERE e.share = ?1 AND e.inode = roots.inode AND e.born_ns = roots.born_ns \
               AND e.is_folder = roots.is_folder AND e.meant > roots.meant)";
    c.prepare_cached(sql)?.execute([ending.0, outer.0])?;
    Ok(())
}

pub(super) fn roots(c: &Connection, share: ShareId) -> DatabaseResult<Vec<RootId>> {
    read(c, "SELECT inode, born_ns, is_folder FROM roots WHERE share = ?1", share)
}

pub(super) fn read(c: &Connection, sql: &str, share: ShareId) -> DatabaseResult<Vec<RootId>> {
    let mut query = c.prepare_cached(sql)?;
    let found = query.query_map([share.0], root_id)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn root_id(row: &Row<'_>) -> rusqlite::Result<RootId> {
    let inode = row.get::<_, i64>(0)?.cast_unsigned();
    Ok(RootId { inode, born_ns: row.get(1)?, is_folder: row.get(2)? })
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}
