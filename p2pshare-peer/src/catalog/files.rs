//! Files: what is known of them, and what others find of them.

use std::sync::Arc;

use p2pshare_core::{
    api::Visibility,
    backend::sqlite::{DatabaseError, DatabaseResult},
    content::{ContentId, Manifest, PIECE_LEN},
    identity::Reach,
    path::SharePath,
    transfer::FileStamp,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Catalog, CatalogError, CatalogFile, FileId, KnownFile, KnownFrom, ShareId,
    rows::{self, signed},
};

impl Catalog {
    /// A page of shared files in order of share path: at most `limit`, those after `after`, and only those at or below
    /// `below`.
    pub async fn files(
        &self,
        below: Option<SharePath>,
        after: Option<SharePath>,
        limit: u32,
    ) -> Result<Vec<CatalogFile>, CatalogError> {
        let read = self.read(move |c| {
            // What is below a folder sorts between the folder's name with `/` and with the character after it; what is
            // between the name and the name with `/`, as in `folder (2)`, is passed over.
            let folder = below.as_ref().map_or("", SharePath::as_str);
            let until = below.as_ref().map(|folder| format!("{folder}0"));
            let first_below = below.as_ref().map_or(String::new(), |folder| format!("{folder}/"));
            // One lower bound only, so that a page begins where it begins and not at the folder.
            let (lower, from) = match &after {
                Some(after) if after.as_str() >= folder => (">", after.as_str()),
                _ => (">=", folder),
            };
            let sql = format!(
                "SELECT {} FROM files f JOIN shares s ON s.id = f.share WHERE f.path {lower} ?1 AND f.path < ?2 \
                 AND (+f.path >= ?3 OR +f.path = ?4) ORDER BY f.path LIMIT ?5",
                rows::FILE
            );
            let mut query = c.prepare_cached(&sql)?;
            let values = params![from, rows::or_end(until), first_below, folder, limit];
            let found = query.query_and_then(values, rows::file)?;
            found.collect()
        });
        read.await
    }

    /// Files with this content, at most `limit`.
    pub async fn files_with(
        &self,
        content: ContentId,
        limit: u32,
    ) -> Result<Vec<CatalogFile>, CatalogError> {
        self.read(move |c| files_with(c, content, limit)).await
    }

    /// Files with this content that are for somebody who was granted `reach`, at most `limit`, and not of shares that
    /// are not there. What is shared with a group is for those whom the index tells to be in just that one, once it has
    /// said what their grants say.
    pub async fn files_for(
        &self,
        reach: Reach,
        content: ContentId,
        limit: u32,
    ) -> Result<Vec<CatalogFile>, CatalogError> {
        self.read(move |c| files_for(c, reach, content, limit)).await
    }

    /// The same for several contents at once, in their order; without a reach [`files_with`](Self::files_with) each.
    pub(crate) async fn files_for_each(
        &self,
        reach: Option<Reach>,
        contents: Vec<ContentId>,
        limit: u32,
    ) -> Result<Vec<Vec<CatalogFile>>, CatalogError> {
        let read = self.read(move |c| {
            let files = |content| match reach {
                Some(reach) => files_for(c, reach, content, limit),
                None => files_with(c, content, limit),
            };
            contents.into_iter().map(files).collect()
        });
        read.await
    }

    /// The manifest of a content that some shared file has.
    pub async fn manifest(&self, content: ContentId) -> Result<Option<Manifest>, CatalogError> {
        self.read(move |c| manifest(c, content)).await
    }

    /// A page of a share's files at and below these places (keys in order, none below another), in order of their
    /// keys: at most `limit`, from `from` on. Also tells from where the next page goes on; `None`: there is none.
    pub(crate) async fn known_files(
        &self,
        share: ShareId,
        places: Arc<[Vec<u8>]>,
        from: KnownFrom,
        limit: u32,
    ) -> Result<(Vec<KnownFile>, Option<KnownFrom>), CatalogError> {
        let read = self.read(move |c| {
            let mut found = Vec::new();
            let KnownFrom { mut place, mut after } = from;
            while let Some(key) = places.get(place) {
                let left = limit.saturating_sub(found.len() as u32);
                let page = known_below(c, share, key, after.take(), left)?;
                let full = page.len() == left as usize;
                found.extend(page);
                if full {
                    let after = found.last().map(|file: &KnownFile| file.key.clone());
                    return Ok((found, Some(KnownFrom { place, after })));
                }
                place += 1;
            }
            Ok((found, None))
        });
        read.await
    }

    /// Files whose stamp is one of these, other than the file beside it, at most `limit` for each: links to the same
    /// file, most likely.
    pub(crate) async fn with_stamps(
        &self,
        stamps: Vec<(FileStamp, FileId)>,
        limit: u32,
    ) -> Result<Vec<(ShareId, Vec<u8>)>, CatalogError> {
        let read = self.read(move |c| {
            let sql = "SELECT share, local FROM files WHERE inode = ?1 AND size = ?2 AND mtime_ns = ?3 AND id <> ?4 LIMIT ?5";
            let mut query = c.prepare_cached(sql)?;
            let mut files = Vec::new();
            for (stamp, id) in stamps.iter().filter(|(stamp, _)| stamp.inode != 0) {
                let (inode, size) = (stamp.inode.cast_signed(), signed(stamp.len)?);
                let values = params![inode, size, stamp.mtime_ns, id.0, limit];
                let found = query.query_map(values, |row| Ok((ShareId(row.get(0)?), row.get(1)?)))?;
                files.extend(found.collect::<Result<Vec<_>, _>>()?);
            }
            Ok(files)
        });
        read.await
    }

    /// One file of a share.
    pub(crate) async fn known_file(
        &self,
        share: ShareId,
        key: Vec<u8>,
    ) -> Result<Option<KnownFile>, CatalogError> {
        let read = self.read(move |c| {
            let sql = format!("SELECT {} FROM files WHERE share = ?1 AND local = ?2", rows::KNOWN);
            let mut query = c.prepare_cached(&sql)?;
            let mut found = query.query_and_then(params![share.0, key], rows::known)?;
            found.next().transpose()
        });
        read.await
    }

    /// The contents of files that have these stamps, in the same order; `None` where no file has it.
    pub(crate) async fn contents_of(
        &self,
        stamps: Vec<FileStamp>,
    ) -> Result<Vec<Option<ContentId>>, CatalogError> {
        let read = self.read(move |c| {
            let sql = "SELECT content FROM files WHERE inode = ?1 AND size = ?2 AND mtime_ns = ?3 LIMIT 1";
            let mut query = c.prepare_cached(sql)?;
            let mut contents = Vec::with_capacity(stamps.len());
            for stamp in stamps {
                // Without inodes many files have the same stamp.
                if stamp.inode == 0 {
                    contents.push(None);
                    continue;
                }
                let values = params![stamp.inode.cast_signed(), signed(stamp.len)?, stamp.mtime_ns];
                let mut found = query.query_and_then(values, |row| rows::content(row, 0))?;
                contents.push(found.next().transpose()?);
            }
            Ok(contents)
        });
        read.await
    }
}

/// Files at or below one place; nothing as a key is the root.
fn known_below(
    c: &Connection,
    share: ShareId,
    place: &[u8],
    after: Option<Vec<u8>>,
    limit: u32,
) -> DatabaseResult<Vec<KnownFile>> {
    // A single bound on each side, so that a page begins where it begins. What is below a place has a zero byte after it.
    let lower = if after.is_some() { ">" } else { ">=" };
    let upper = if place.is_empty() { "" } else { "AND local < ?3" };
    let sql = format!(
        "SELECT {} FROM files WHERE share = ?1 AND local {lower} ?2 {upper} ORDER BY local LIMIT ?4",
        rows::KNOWN
    );
    let mut query = c.prepare_cached(&sql)?;
    let from = after.unwrap_or_else(|| place.to_vec());
    let end = [place, &[1]].concat();
    let found = query.query_and_then(params![share.0, from, end, limit], rows::known)?;
    found.collect()
}

fn files_with(c: &Connection, content: ContentId, limit: u32) -> DatabaseResult<Vec<CatalogFile>> {
    let sql = format!(
        "SELECT {} FROM files f JOIN shares s ON s.id = f.share WHERE f.content = ?1 ORDER BY f.id LIMIT ?2",
        rows::FILE
    );
    let mut query = c.prepare_cached(&sql)?;
    let found = query.query_and_then(params![content.as_bytes(), limit], rows::file)?;
    found.collect()
}

fn files_for(
    c: &Connection,
    reach: Reach,
    content: ContentId,
    limit: u32,
) -> DatabaseResult<Vec<CatalogFile>> {
    let sql = format!(
        "SELECT {} FROM files f JOIN shares s ON s.id = f.share WHERE f.content = ?1 \
         AND s.online AND (s.visibility IN (?2, ?3) OR s.reach = ?4) ORDER BY f.id LIMIT ?5",
        rows::FILE
    );
    let mut query = c.prepare_cached(&sql)?;
    let open = [Visibility::Public, Visibility::Unlisted].map(|open| open.to_string());
    let values = params![content.as_bytes(), open[0], open[1], reach.to_string(), limit];
    let found = query.query_and_then(values, rows::file)?;
    found.collect()
}

fn manifest(c: &Connection, content: ContentId) -> DatabaseResult<Option<Manifest>> {
    let mut query = c.prepare_cached("SELECT size FROM files WHERE content = ?1 LIMIT 1")?;
    let Some(size) = query.query_row([content.as_bytes()], |row| row.get(0)).optional()? else {
        return Ok(None);
    };
    let size = rows::unsigned(size)?;
    if size <= PIECE_LEN {
        return Manifest::single(content, size).map(Some).map_err(DatabaseError::corrupt);
    }
    let mut query = c.prepare_cached("SELECT manifest FROM manifests WHERE content = ?1")?;
    let mut found = query.query([content.as_bytes()])?;
    let row = found.next()?;
    let row = row.ok_or_else(|| DatabaseError::corrupt(format!("no manifest of {content}")))?;
    let bytes = row.get_ref(0)?.as_blob().map_err(DatabaseError::corrupt)?;
    let manifest = Manifest::read_from(bytes).map_err(DatabaseError::corrupt)?;
    if manifest.id() != content {
        return Err(DatabaseError::corrupt(format!("a wrong manifest for {content}")));
    }
    Ok(Some(manifest))
}
