//! Putting files into the catalog, and taking them out: what a scan found.

use std::{fs, io, path::Path};

use p2pshare_core::{
    backend::sqlite::{DatabaseError, DatabaseResult},
    content::PIECE_LEN,
    path::SharePath,
    transfer::FileStamp,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Catalog, CatalogError, FileId, KnownFile, MAX_NUMBER, NewContent, NewFile, PutOutcome, Share,
    ShareId,
    excluded::excluded,
    local, numbered,
    roots::Apart,
    rows::{self, signed},
};

impl Catalog {
    /// Puts files into a share, in place of what is known of them; says what became of each.
    pub(crate) async fn put_files(
        &self,
        share: ShareId,
        files: Vec<NewFile>,
    ) -> Result<Vec<PutOutcome>, CatalogError> {
        let Some(Share { root, .. }) = self.share(share).await? else {
            return Ok(vec![PutOutcome::NoShare; files.len()]);
        };
        let gone = self.gone_apart(share).await?;
        // Before the files are looked at: those of what was there for a moment only are gone by then.
        let is_usurped = self.is_usurped(share).await?;
        let apart = self.apart_from(share).await?;
        let met: Vec<_> = files.iter().map(|file| (file.key.clone(), file.stamp.inode)).collect();
        let looked = tokio::task::spawn_blocking(move || look(&root, &apart, &met)).await;
        // What panicked has told nothing.
        let looked = looked.unwrap_or_else(|_| vec![Err(PutOutcome::Excluded); files.len()]);
        let put = move |c: &Connection| {
            let mut query = c.prepare_cached("SELECT 1 FROM shares WHERE id = ?1")?;
            if query.query_row([share.0], |_| Ok(())).optional()?.is_none() {
                return Ok(vec![PutOutcome::NoShare; files.len()]);
            }
            if is_usurped {
                return Ok(vec![PutOutcome::Usurped; files.len()]);
            }
            // Another process may have said so since the file was met.
            let excluded = excluded(c, share)?;
            let is_out = |file: &NewFile| {
                excluded.iter().any(|place| local::is_at_or_below(&file.key, place))
            };
            let put = |(file, looked): (&NewFile, Result<(), PutOutcome>)| match looked {
                Err(outcome) => Ok(outcome),
                Ok(()) if is_out(file) || is_of(c, &gone, file)? => Ok(PutOutcome::Excluded),
                Ok(()) => put_file(c, share, file),
            };
            files.iter().zip(looked).map(put).collect()
        };
        self.change(put).await
    }

    /// Removes files from the catalog that are still what they were. Gives how many.
    pub(crate) async fn remove_files(&self, files: Vec<KnownFile>) -> Result<u64, CatalogError> {
        let removed = self.change(move |c| {
            let sql = "DELETE FROM files WHERE id = ?1 AND local = ?2 AND inode = ?3 AND size = ?4 AND mtime_ns = ?5";
            let mut delete = c.prepare_cached(sql)?;
            let mut removed = 0;
            for KnownFile { id, key, stamp, .. } in &files {
                let (inode, size) = (stamp.inode.cast_signed(), signed(stamp.len)?);
                removed += delete.execute(params![id.0, key, inode, size, stamp.mtime_ns])?;
            }
            Ok(removed as u64)
        });
        removed.await
    }
}

/// Whether files, as keys and inodes, are still below the root and shared with it. Blocks.
fn look(root: &Path, apart: &Apart, files: &[(Vec<u8>, u64)]) -> Vec<Result<(), PutOutcome>> {
    let keys: Vec<_> = files.iter().map(|(key, _)| key).collect();
    let look = |((key, inode), is_apart): (&(Vec<u8>, u64), bool)| match is_apart {
        true => Err(PutOutcome::Excluded),
        false => is_there(&local::place(root, key), *inode),
    };
    files.iter().zip(apart.have(&keys)).map(look).collect()
}

/// Whether a file is there that has this inode. One that cannot be looked at may be.
fn is_there(path: &Path, inode: u64) -> Result<(), PutOutcome> {
    match fs::metadata(path) {
        Ok(metadata) if FileStamp::of(&metadata).inode != inode => Err(PutOutcome::Replaced),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(PutOutcome::Gone),
        _ => Ok(()),
    }
}

/// Whether a file is one that these shares had.
fn is_of(c: &Connection, shares: &[ShareId], file: &NewFile) -> DatabaseResult<bool> {
    // Without inodes many files have the same stamp.
    if file.stamp.inode == 0 {
        return Ok(false);
    }
    let sql = "SELECT 1 FROM files WHERE share = ?1 AND inode = ?2 AND size = ?3 AND mtime_ns = ?4 LIMIT 1";
    for share in shares {
        let (inode, size) = (file.stamp.inode.cast_signed(), signed(file.stamp.len)?);
        let values = params![share.0, inode, size, file.stamp.mtime_ns];
        if c.prepare_cached(sql)?.query_row(values, |_| Ok(())).optional()?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn put_file(c: &Connection, share: ShareId, file: &NewFile) -> DatabaseResult<PutOutcome> {
    if !store_manifest(c, file)? {
        return Ok(PutOutcome::HashNeeded);
    }
    let own = own_row(c, share, file)?;
    // A file that is only replaced keeps its path; a moved one gets what its new name says.
    let path = match &own {
        Some((_, path, Place::Same)) => Some(path.clone()),
        Some((id, _, Place::Moved)) => free_path(c, &file.path, Some(*id))?,
        None => free_path(c, &file.path, None)?,
    };
    let Some(path) = path else {
        return Ok(PutOutcome::NoName);
    };
    let (size, inode) = (signed(file.stamp.len)?, file.stamp.inode.cast_signed());
    let (content, mtime) = (file.content.id(), file.stamp.mtime_ns);
    let id = own.map(|(id, ..)| id.0);
    // Without an id a row is added, with one it is changed.
    let sql = "INSERT INTO files (id, share, local, path, content, size, mtime_ns, inode) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
               ON CONFLICT (id) DO UPDATE SET share = excluded.share, local = excluded.local, path = excluded.path, \
               content = excluded.content, size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode";
    c.prepare_cached(sql)?.execute(params![
        id,
        share.0,
        file.key,
        path.as_str(),
        content.as_bytes(),
        size,
        mtime,
        inode
    ])?;
    Ok(PutOutcome::Stored(path))
}

/// `false`: there is no manifest, and one is needed.
fn store_manifest(c: &Connection, file: &NewFile) -> DatabaseResult<bool> {
    if file.stamp.len <= PIECE_LEN {
        return Ok(true);
    }
    match &file.content {
        NewContent::Known(content) => {
            let mut query = c.prepare_cached("SELECT 1 FROM manifests WHERE content = ?1")?;
            Ok(query.query_row([content.as_bytes()], |_| Ok(())).optional()?.is_some())
        }
        NewContent::Hashed(manifest) => {
            let mut bytes = Vec::with_capacity(manifest.encoded_len());
            manifest.write_to(&mut bytes).map_err(DatabaseError::corrupt)?;
            let mut insert =
                c.prepare_cached("INSERT OR REPLACE INTO manifests VALUES (?1, ?2)")?;
            insert.execute(params![manifest.id().as_bytes(), bytes])?;
            Ok(true)
        }
    }
}

enum Place {
    Same,
    Moved,
}

/// The row that the file has already: under its own name, or under the one it was moved from.
fn own_row(
    c: &Connection,
    share: ShareId,
    file: &NewFile,
) -> DatabaseResult<Option<(FileId, SharePath, Place)>> {
    let mut query =
        c.prepare_cached("SELECT id, path FROM files WHERE share = ?1 AND local = ?2")?;
    let mut found = query.query_and_then(params![share.0, file.key], |row| {
        Ok::<_, DatabaseError>((FileId(row.get(0)?), rows::text(row, 1)?, Place::Same))
    })?;
    if let Some(same) = found.next() {
        return same.map(Some);
    }
    let Some(from) = file.moved_from else {
        return Ok(None);
    };
    let mut query = c.prepare_cached("SELECT id, path FROM files WHERE id = ?1")?;
    let mut found = query.query_and_then([from.0], |row| {
        Ok::<_, DatabaseError>((FileId(row.get(0)?), rows::text(row, 1)?, Place::Moved))
    })?;
    found.next().transpose()
}

/// The path that is wanted, or one with a number; `None` if none is free.
fn free_path(
    c: &Connection,
    wanted: &SharePath,
    own: Option<FileId>,
) -> DatabaseResult<Option<SharePath>> {
    let mut query = c.prepare_cached("SELECT id FROM files WHERE path = ?1")?;
    for number in 1..=MAX_NUMBER {
        let Some(path) = numbered(wanted, number) else {
            return Ok(None);
        };
        let holder = query.query_row([path.as_str()], |row| row.get(0)).optional()?;
        if holder.is_none() || holder.map(FileId) == own {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
