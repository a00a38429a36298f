//! Rows of the tables as values.

use std::{fmt::Display, str::FromStr};

use p2pshare_core::{
    api::Entry,
    backend::sqlite::{DatabaseError, DatabaseResult},
    content::ContentId,
    transfer::FileStamp,
};
use rusqlite::{Row, types::Value};

use super::{
    local,
    model::{CatalogFile, FileId, KnownFile, Share, ShareId},
};

/// The columns of [`share`].
pub(super) const SHARE: &str = "id, root, name, visibility, hidden, follow_links, online, watched, reach, lost, refused, is_file";

pub(super) fn share(row: &Row<'_>) -> DatabaseResult<Share> {
    Ok(Share {
        id: ShareId(row.get(0)?),
        root: local::from_bytes(row.get_ref(1)?.as_blob().map_err(DatabaseError::corrupt)?),
        name: text(row, 2)?,
        visibility: text(row, 3)?,
        hidden: row.get(4)?,
        follow_links: row.get(5)?,
        online: row.get(6)?,
        watched: row.get(7)?,
        reach: optional(row, 8)?,
        lost: row.get(9)?,
        refused: row.get(10)?,
        is_file: row.get(11)?,
    })
}

/// The columns of [`file`], from `files f JOIN shares s`.
pub(super) const FILE: &str =
    "f.id, f.share, s.root, f.local, f.path, f.content, f.size, f.mtime_ns, f.inode";

pub(super) fn file(row: &Row<'_>) -> DatabaseResult<CatalogFile> {
    let root = local::from_bytes(row.get_ref(2)?.as_blob().map_err(DatabaseError::corrupt)?);
    let key = row.get_ref(3)?.as_blob().map_err(DatabaseError::corrupt)?;
    Ok(CatalogFile {
        id: FileId(row.get(0)?),
        share: ShareId(row.get(1)?),
        local: local::place(&root, key),
        path: text(row, 4)?,
        content: content(row, 5)?,
        stamp: stamp(row, 6)?,
    })
}

/// The columns of [`known`].
pub(super) const KNOWN: &str = "id, local, size, mtime_ns, inode, content";

pub(super) fn known(row: &Row<'_>) -> DatabaseResult<KnownFile> {
    let content = content(row, 5)?;
    Ok(KnownFile { id: FileId(row.get(0)?), key: row.get(1)?, stamp: stamp(row, 2)?, content })
}

/// Path, content, size and visibility, from column `first` on.
pub(super) fn entry(row: &Row<'_>, first: usize) -> DatabaseResult<Entry> {
    Ok(Entry {
        path: text(row, first)?,
        content: content(row, first + 1)?,
        size: unsigned(row.get(first + 2)?)?,
        visibility: text(row, first + 3)?,
    })
}

pub(super) fn content(row: &Row<'_>, column: usize) -> DatabaseResult<ContentId> {
    let bytes = row.get_ref(column)?.as_blob().map_err(DatabaseError::corrupt)?;
    ContentId::from_slice(bytes).map_err(DatabaseError::corrupt)
}

pub(super) fn text<T: FromStr<Err: Display>>(row: &Row<'_>, column: usize) -> DatabaseResult<T> {
    let text = row.get_ref(column)?.as_str().map_err(DatabaseError::corrupt)?;
    text.parse().map_err(DatabaseError::corrupt)
}

/// As [`text`], of a column that may be `NULL`.
pub(super) fn optional<T: FromStr<Err: Display>>(
    row: &Row<'_>,
    column: usize,
) -> DatabaseResult<Option<T>> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(DatabaseError::corrupt)?;
    text.map(str::parse).transpose().map_err(DatabaseError::corrupt)
}

/// An upper bound of paths; without one what is greater than every text: in SQLite a blob is.
pub(super) fn or_end(bound: Option<String>) -> Value {
    bound.map_or(Value::Blob(Vec::new()), Value::Text)
}

/// A length as it is stored. No file is longer than an `i64` can tell.
pub(super) fn signed(number: u64) -> DatabaseResult<i64> {
    i64::try_from(number).map_err(DatabaseError::corrupt)
}

pub(super) fn unsigned(number: i64) -> DatabaseResult<u64> {
    u64::try_from(number).map_err(DatabaseError::corrupt)
}

/// Size, time of modification and inode, from column `first` on.
fn stamp(row: &Row<'_>, first: usize) -> DatabaseResult<FileStamp> {
    Ok(FileStamp {
        len: unsigned(row.get(first)?)?,
        mtime_ns: row.get(first + 1)?,
        // A number without meaning, kept by its bits.
        inode: row.get::<_, i64>(first + 2)?.cast_unsigned(),
    })
}
