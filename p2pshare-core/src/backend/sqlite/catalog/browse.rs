//! Browsing what a user shares.
//!
//! An index of (owner, scope, path) is walked by seeking: each step finds the next path in any scope that the viewer
//! sees, so what they do not see and what a folder holds costs nothing.

use std::collections::BTreeSet;

use futures::FutureExt;
use rusqlite::{Connection, OptionalExtension};

use super::sight::Sight;
use crate::{
    api::{FileListing, UserFile},
    backend::{
        browse::{self, Shelf},
        sqlite::{
            database::{DatabaseError, DatabaseResult},
            rows,
        },
    },
    identity::Username,
    index::model::Viewer,
    path::{PathError, SharePath},
};

/// The files below a folder, in order.
pub(super) fn files(
    connection: &Connection,
    viewer: &Viewer,
    owner: &Username,
    folder: Option<&SharePath>,
    after: Option<&UserFile>,
    limit: u32,
) -> DatabaseResult<Vec<UserFile>> {
    let Some(mut walk) = Walk::new(connection, viewer, owner)? else {
        return Ok(Vec::new());
    };
    at_once(browse::files(&mut walk, folder, after, limit))
}

/// What is directly in a folder: the folders, then the files.
pub(super) fn folder(
    connection: &Connection,
    viewer: &Viewer,
    owner: &Username,
    folder: Option<&SharePath>,
    after: Option<&FileListing>,
    limit: u32,
) -> DatabaseResult<Vec<FileListing>> {
    let Some(mut walk) = Walk::new(connection, viewer, owner)? else {
        return Ok(Vec::new());
    };
    at_once(browse::folder(&mut walk, folder, after, limit))
}

/// The end of a walk over this store, which waits for nothing.
fn at_once<T>(walk: impl Future<Output = DatabaseResult<T>>) -> DatabaseResult<T> {
    let done = walk.now_or_never();
    done.unwrap_or_else(|| Err(DatabaseError::Corrupt("a walk waits".to_owned())))
}

/// The paths of a user that the viewer sees, in order.
struct Walk<'c> {
    connection: &'c Connection,
    owner: i64,
    heads: Vec<Head>,
}

/// How far one scope has been walked.
struct Head {
    scope: i64,
    /// The first path from some place on; `None` if there is none.
    path: Option<String>,
    /// The place. Empty, and the path unknown, in the beginning.
    from: Option<String>,
}

impl<'c> Walk<'c> {
    /// `None` if there is no such user.
    fn new(
        connection: &'c Connection,
        viewer: &Viewer,
        owner: &Username,
    ) -> DatabaseResult<Option<Self>> {
        let Some(owner) = rows::user_id(connection, owner)? else {
            return Ok(None);
        };
        let scopes = Sight::of(connection, viewer)?.scopes_of(connection, owner)?;
        let head = |scope| Head { scope, path: None, from: None };
        Ok(Some(Self { connection, owner, heads: scopes.into_iter().map(head).collect() }))
    }
}

impl Shelf for Walk<'_> {
    type Error = DatabaseError;

    async fn next(&mut self, from: &str) -> DatabaseResult<Option<String>> {
        let sql = "SELECT path FROM entries INDEXED BY entries_owner \
                   WHERE owner = ?1 AND scope = ?2 AND path >= ?3 ORDER BY path LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        for head in &mut self.heads {
            if !head.is_good(from) {
                let parameters = (self.owner, head.scope, from);
                let path = statement.query_row(parameters, |row| row.get(0));
                head.path = path.optional()?;
                head.from = Some(from.to_owned());
            }
        }
        let first = self.heads.iter().filter_map(|head| head.path.as_ref()).min();
        Ok(first.cloned())
    }

    async fn files_at(&mut self, path: &str) -> DatabaseResult<BTreeSet<UserFile>> {
        let sql = "SELECT path, content, size FROM entries INDEXED BY entries_owner \
                   WHERE owner = ?1 AND scope = ?2 AND path = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut files = BTreeSet::new();
        for head in self.heads.iter().filter(|head| head.may_have(path)) {
            let mut rows = statement.query((self.owner, head.scope, path))?;
            while let Some(row) = rows.next()? {
                files.insert(UserFile {
                    path: rows::path(row, 0)?,
                    content: rows::content(row, 1)?,
                    size: rows::size(row, 2)?,
                });
            }
        }
        Ok(files)
    }

    fn corrupt(error: PathError) -> DatabaseError {
        DatabaseError::corrupt(error)
    }
}

impl Head {
    /// Whether it knows the first path from `from` on.
    fn is_good(&self, from: &str) -> bool {
        let Some(own) = &self.from else {
            return false;
        };
        own.as_str() <= from && self.path.as_ref().is_none_or(|path| path.as_str() >= from)
    }

    /// Whether the scope may have a file of this path.
    fn may_have(&self, path: &str) -> bool {
        !self.is_good(path) || self.path.as_deref() == Some(path)
    }
}
