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
        browse::{self, Below, Head, Shelf},
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
    scopes: Vec<i64>,
    /// How far each scope has been walked.
    heads: Vec<Head>,
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
        let heads = scopes.iter().map(|_| Head::default()).collect();
        Ok(Some(Self { connection, owner, scopes, heads }))
    }
}

impl Shelf for Walk<'_> {
    type Error = DatabaseError;

    async fn next(&mut self, from: &str) -> DatabaseResult<Option<String>> {
        let sql = "SELECT path FROM entries INDEXED BY entries_owner \
                   WHERE owner = ?1 AND scope = ?2 AND path >= ?3 ORDER BY path LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        for (scope, head) in self.scopes.iter().zip(&mut self.heads) {
            if !head.is_good(from) {
                let path = statement.query_row((self.owner, scope, from), |row| row.get(0));
                head.note(path.optional()?, from);
            }
        }
        Ok(Head::first(&self.heads).map(str::to_owned))
    }

    async fn files_at(&mut self, path: &str) -> DatabaseResult<BTreeSet<UserFile>> {
        let sql = "SELECT path, content, size FROM entries INDEXED BY entries_owner \
                   WHERE owner = ?1 AND scope = ?2 AND path = ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut files = BTreeSet::new();
        let scopes = self.scopes.iter().zip(&self.heads);
        for (scope, _) in scopes.filter(|(_, head)| may_have(head, path)) {
            let mut rows = statement.query((self.owner, scope, path))?;
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

    fn parts(&self) -> usize {
        self.scopes.len()
    }

    async fn next_deeper(
        &mut self,
        part: usize,
        folder: &Below,
        from: &str,
    ) -> DatabaseResult<Option<String>> {
        // The search ends at the end of the folder, if it has one.
        let sql = "SELECT path FROM entries INDEXED BY entries_owner \
                   WHERE owner = ?1 AND scope = ?2 AND path >= ?3 \
                   AND (instr(substr(path, ?4), '/') > 0 OR path >= ?5) ORDER BY path LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rest = folder.prefix.chars().count().saturating_add(1);
        let rest = i64::try_from(rest).map_err(DatabaseError::corrupt)?;
        let parameters = (self.owner, self.scopes.get(part), from, rest, folder.end());
        Ok(statement.query_row(parameters, |row| row.get(0)).optional()?)
    }

    fn corrupt(error: PathError) -> DatabaseError {
        DatabaseError::corrupt(error)
    }
}

/// Whether a scope that was walked so far may have a file of this path.
fn may_have(head: &Head, path: &str) -> bool {
    !head.is_good(path) || Head::first(std::slice::from_ref(head)) == Some(path)
}
