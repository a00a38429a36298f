//! Browsing what a user shares.
//!
//! An index of (owner, scope, path) is walked by seeking: each step finds the next path in any scope that the viewer
//! sees, so what they do not see and what a folder holds costs nothing.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use super::sight::Sight;
use crate::{
    api::{FileListing, UserFile},
    backend::sqlite::{
        database::{DatabaseError, DatabaseResult},
        rows,
    },
    identity::Username,
    index::model::Viewer,
    path::SharePath,
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
    walk.files_in(&Place::new(folder, Depth::All), after, limit as usize)
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
    let place = Place::new(folder, Depth::One);
    let limit = limit as usize;
    let mut listing = Vec::new();
    if !matches!(after, Some(FileListing::File(_))) {
        let after = match after {
            Some(FileListing::Folder(folder)) => folder.as_str(),
            _ => "",
        };
        for folder in walk.folders_in(&place, after, limit)? {
            let folder = SharePath::parse(&folder).map_err(DatabaseError::corrupt)?;
            listing.push(FileListing::Folder(folder));
        }
    }
    let after = match after {
        Some(FileListing::File(file)) => Some(file),
        _ => None,
    };
    let room = limit - listing.len();
    let files = walk.files_in(&place, after, room)?;
    listing.extend(files.into_iter().map(FileListing::File));
    Ok(listing)
}

/// Which paths are asked for.
struct Place<'a> {
    /// The folder, or the one file of this path; all unless given.
    folder: Option<&'a SharePath>,
    /// What all paths below it begin with.
    below: String,
    depth: Depth,
}

/// How deep below a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// What is directly in it.
    One,
    /// What is below it.
    All,
}

impl<'a> Place<'a> {
    fn new(folder: Option<&'a SharePath>, depth: Depth) -> Self {
        let below = folder.map_or_else(String::new, |folder| format!("{folder}/"));
        Self { folder, below, depth }
    }

    /// The folder in between, directly in this one, that holds `path`, which is below this one; `None` if there is
    /// none, or it does not matter how deep the path is.
    fn folder_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.depth == Depth::All {
            return None;
        }
        let slash = path.get(self.below.len()..)?.find('/')?;
        path.get(..self.below.len() + slash)
    }
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

    /// The first path at `from` or after it.
    fn next(&mut self, from: &str) -> DatabaseResult<Option<String>> {
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

    /// The files of this path.
    fn files_at(&self, path: &str) -> DatabaseResult<BTreeSet<UserFile>> {
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

    /// The first folders directly in a place, after `after`, at most `limit`.
    fn folders_in(
        &mut self,
        place: &Place<'_>,
        after: &str,
        limit: usize,
    ) -> DatabaseResult<BTreeSet<String>> {
        let mut folders: BTreeSet<String> = BTreeSet::new();
        // A folder after `after` has no path before `after`: paths continue the folder's own.
        let mut at = self.next(place.below.as_str().max(after))?;
        while let Some(path) = at.filter(|path| path.starts_with(&place.below)) {
            if folders.len() >= limit
                && folders.last().is_none_or(|last| !a_smaller_may_follow(last, place, &path))
            {
                break;
            }
            let Some(folder) = place.folder_of(&path) else {
                at = self.next(&just_after(&path))?;
                continue;
            };
            if folder > after {
                folders.insert(folder.to_owned());
                if folders.len() > limit {
                    folders.pop_last();
                }
            }
            at = self.next(&after_folder(folder))?;
        }
        Ok(folders)
    }

    /// The first files in a place, or those that are the place, after `after`, at most `limit`.
    fn files_in(
        &mut self,
        place: &Place<'_>,
        after: Option<&UserFile>,
        limit: usize,
    ) -> DatabaseResult<Vec<UserFile>> {
        let from = after.map_or("", |after| after.path.as_str());
        let mut files = Vec::new();
        let mut add = |found: BTreeSet<UserFile>| {
            let following = found.into_iter().filter(|file| after.is_none_or(|after| file > after));
            files.extend(following.take(limit - files.len()));
            files.len() < limit
        };
        if let Some(folder) = place.folder
            && !add(self.files_at(folder.as_str())?)
        {
            return Ok(files);
        }
        let mut at = self.next(place.below.as_str().max(from))?;
        while let Some(path) = at.filter(|path| path.starts_with(&place.below)) {
            if let Some(folder) = place.folder_of(&path) {
                at = self.next(&after_folder(folder))?;
                continue;
            }
            if !add(self.files_at(&path)?) {
                break;
            }
            at = self.next(&just_after(&path))?;
        }
        Ok(files)
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

/// Whether a folder smaller than `last` may be found at `path` or later.
///
/// Folders are found in the order of their paths with `/` behind them. A smaller one that is found later is a beginning
/// of `last`, followed there by something before `/`: `Music` is found after `Music (live)`.
fn a_smaller_may_follow(last: &str, place: &Place<'_>, path: &str) -> bool {
    let name = last.get(place.below.len()..).unwrap_or_default();
    name.char_indices()
        .filter(|(at, c)| *at > 0 && *c < '/')
        .filter_map(|(at, _)| last.get(..place.below.len() + at))
        .any(|beginning| after_folder(beginning).as_str() > path)
}

/// The first text after a path.
fn just_after(path: &str) -> String {
    // No path has a control character in it.
    format!("{path}\0")
}

/// The first text after all paths below a folder.
fn after_folder(folder: &str) -> String {
    // `0` follows `/`.
    format!("{folder}0")
}
