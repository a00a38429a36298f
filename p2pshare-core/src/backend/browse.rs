//! Browsing what a user shares, over any store whose paths are in order.
//!
//! The paths are walked by seeking: what a folder holds costs nothing where only the folder is asked for, and the files
//! beside the folders are passed over by the store, which finds the next one that is deeper.

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

    /// In how many parts the paths are kept.
    fn parts(&self) -> usize;

    /// The first path of a part, at `from` or after it, that is in a folder which is in `folder`.
    async fn next_deeper(
        &mut self,
        part: usize,
        folder: &Below,
        from: &str,
    ) -> Result<Option<String>, Self::Error>;

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
        for folder in walk.folders_in(&place.below, after, limit).await? {
            let folder = SharePath::parse(&folder).map_err(S::corrupt)?;
            listing.push(FileListing::Folder(folder));
        }
    }
    let after = match after {
        Some(FileListing::File(file)) => Some(file),
        _ => None,
    };
    let room = limit - listing.len();
    if room == 0 {
        // To find that no file has a place here would take a walk over all that is below.
        return Ok(listing);
    }
    let files = walk.files_in(&place, after, room).await?;
    listing.extend(files.into_iter().map(FileListing::File));
    Ok(listing)
}

/// What is below a folder.
pub(super) struct Below {
    /// What all paths there begin with; empty at the top.
    pub(super) prefix: String,
}

impl Below {
    fn new(folder: Option<&SharePath>) -> Self {
        Self { prefix: folder.map_or_else(String::new, |folder| format!("{folder}/")) }
    }

    /// The first text after all paths there; `None` at the top: whatever follows is there.
    pub(super) fn end(&self) -> Option<String> {
        self.prefix.strip_suffix('/').map(after_folder)
    }

    fn has(&self, path: &str) -> bool {
        path.starts_with(&self.prefix)
    }

    /// The folder directly there that holds `path`, which is there; `None` if there is none in between.
    fn folder_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let slash = path.get(self.prefix.len()..)?.find('/')?;
        path.get(..self.prefix.len() + slash)
    }
}

/// How far a part has been walked.
#[derive(Default)]
pub(super) struct Head {
    /// The first path from some place on; `None` if there is none.
    path: Option<String>,
    /// The place. `None`, and the path unknown, in the beginning.
    from: Option<String>,
}

impl Head {
    /// Whether it knows the first path from `from` on.
    pub(super) fn is_good(&self, from: &str) -> bool {
        let Some(own) = &self.from else {
            return false;
        };
        own.as_str() <= from && self.path.as_ref().is_none_or(|path| path.as_str() >= from)
    }

    /// Notes the first path from `from` on.
    pub(super) fn note(&mut self, path: Option<String>, from: &str) {
        self.path = path;
        self.from = Some(from.to_owned());
    }

    /// The first of what some know.
    pub(super) fn first(heads: &[Self]) -> Option<&str> {
        heads.iter().filter_map(|head| head.path.as_deref()).min()
    }
}

/// Which paths are asked for.
struct Place<'a> {
    /// The folder, or the one file of this path; all unless given.
    folder: Option<&'a SharePath>,
    below: Below,
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
        Self { folder, below: Below::new(folder), depth }
    }

    /// The folder in between that holds `path`, which is below this one; `None` if there is none, or it does not matter
    /// how deep the path is.
    fn folder_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.depth == Depth::All { None } else { self.below.folder_of(path) }
    }
}

struct Walk<'s, S> {
    shelf: &'s mut S,
}

impl<S: Shelf> Walk<'_, S> {
    /// The first folders directly in a place, after `after`, at most `limit`.
    async fn folders_in(
        &mut self,
        below: &Below,
        after: &str,
        limit: usize,
    ) -> Result<BTreeSet<String>, S::Error> {
        let mut folders: BTreeSet<String> = BTreeSet::new();
        let mut heads: Vec<Head> = Vec::new();
        heads.resize_with(self.shelf.parts(), Head::default);
        // A folder after `after` has no path before `after`: paths continue the folder's own.
        let mut from = below.prefix.as_str().max(after).to_owned();
        loop {
            for (part, head) in heads.iter_mut().enumerate() {
                if !head.is_good(&from) {
                    head.note(self.shelf.next_deeper(part, below, &from).await?, &from);
                }
            }
            let first = Head::first(&heads).filter(|path| below.has(path));
            let Some((path, folder)) = first.and_then(|path| Some((path, below.folder_of(path)?)))
            else {
                break;
            };
            if folders.len() >= limit
                && folders.last().is_none_or(|last| !a_smaller_may_follow(last, below, path))
            {
                break;
            }
            if folder > after {
                folders.insert(folder.to_owned());
                if folders.len() > limit {
                    folders.pop_last();
                }
            }
            from = after_folder(folder);
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
        let mut at = self.shelf.next(place.below.prefix.as_str().max(from)).await?;
        while let Some(path) = at.filter(|path| place.below.has(path)) {
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
fn a_smaller_may_follow(last: &str, below: &Below, path: &str) -> bool {
    let own = below.prefix.len();
    let name = last.get(own..).unwrap_or_default();
    name.char_indices()
        .filter(|(at, c)| *at > 0 && *c < '/')
        .filter_map(|(at, _)| last.get(..own + at))
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
