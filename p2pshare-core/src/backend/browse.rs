//! Browsing what a user shares, over any store whose paths are in order.
//!
//! The paths are walked by seeking: what a folder holds costs nothing where only the folder is asked for.

use std::collections::BTreeSet;

use crate::{
    api::{FileListing, UserFile},
    path::{PathError, SharePath},
};

/// The paths of a user that a viewer sees, in order.
pub(super) trait Shelf {
    type Error;

    /// The first path at `from` or after it.
    async fn next(&mut self, from: &str) -> Result<Option<String>, Self::Error>;

    /// The files of this path.
    async fn files_at(&mut self, path: &str) -> Result<BTreeSet<UserFile>, Self::Error>;

    /// That what is stored is no path.
    fn corrupt(error: PathError) -> Self::Error;
}

/// The files below a folder, in order.
pub(super) async fn files<S: Shelf>(
    shelf: &mut S,
    folder: Option<&SharePath>,
    after: Option<&UserFile>,
    limit: u32,
) -> Result<Vec<UserFile>, S::Error> {
    let walk = &mut Walk { shelf };
    walk.files_in(&Place::new(folder, Depth::All), after, limit as usize).await
}

/// What is directly in a folder: the folders, then the files.
pub(super) async fn folder<S: Shelf>(
    shelf: &mut S,
    folder: Option<&SharePath>,
    after: Option<&FileListing>,
    limit: u32,
) -> Result<Vec<FileListing>, S::Error> {
    let walk = &mut Walk { shelf };
    let place = Place::new(folder, Depth::One);
    let limit = limit as usize;
    let mut listing = Vec::new();
    if !matches!(after, Some(FileListing::File(_))) {
        let after = match after {
            Some(FileListing::Folder(folder)) => folder.as_str(),
            _ => "",
        };
        for folder in walk.folders_in(&place, after, limit).await? {
            let folder = SharePath::parse(&folder).map_err(S::corrupt)?;
            listing.push(FileListing::Folder(folder));
        }
    }
    let after = match after {
        Some(FileListing::File(file)) => Some(file),
        _ => None,
    };
    let room = limit - listing.len();
    let files = walk.files_in(&place, after, room).await?;
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

struct Walk<'s, S> {
    shelf: &'s mut S,
}

impl<S: Shelf> Walk<'_, S> {
    /// The first folders directly in a place, after `after`, at most `limit`.
    async fn folders_in(
        &mut self,
        place: &Place<'_>,
        after: &str,
        limit: usize,
    ) -> Result<BTreeSet<String>, S::Error> {
        let mut folders: BTreeSet<String> = BTreeSet::new();
        // A folder after `after` has no path before `after`: paths continue the folder's own.
        let mut at = self.shelf.next(place.below.as_str().max(after)).await?;
        while let Some(path) = at.filter(|path| path.starts_with(&place.below)) {
            if folders.len() >= limit
                && folders.last().is_none_or(|last| !a_smaller_may_follow(last, place, &path))
            {
                break;
            }
            let Some(folder) = place.folder_of(&path) else {
                at = self.shelf.next(&just_after(&path)).await?;
                continue;
            };
            if folder > after {
                folders.insert(folder.to_owned());
                if folders.len() > limit {
                    folders.pop_last();
                }
            }
            at = self.shelf.next(&after_folder(folder)).await?;
        }
        Ok(folders)
    }

    /// The first files in a place, or those that are the place, after `after`, at most `limit`.
    async fn files_in(
        &mut self,
        place: &Place<'_>,
        after: Option<&UserFile>,
        limit: usize,
    ) -> Result<Vec<UserFile>, S::Error> {
        let from = after.map_or("", |after| after.path.as_str());
        let mut files = Vec::new();
        let mut add = |found: BTreeSet<UserFile>| {
            let following = found.into_iter().filter(|file| after.is_none_or(|after| file > after));
            files.extend(following.take(limit - files.len()));
            files.len() < limit
        };
        if let Some(folder) = place.folder
            && !add(self.shelf.files_at(folder.as_str()).await?)
        {
            return Ok(files);
        }
        let mut at = self.shelf.next(place.below.as_str().max(from)).await?;
        while let Some(path) = at.filter(|path| path.starts_with(&place.below)) {
            if let Some(folder) = place.folder_of(&path) {
                at = self.shelf.next(&after_folder(folder)).await?;
                continue;
            }
            if !add(self.shelf.files_at(&path).await?) {
                break;
            }
            at = self.shelf.next(&just_after(&path)).await?;
        }
        Ok(files)
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
