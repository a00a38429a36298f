//! Finding the files of a share.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ignore::{DirEntry, WalkBuilder};
use p2pshare_core::transfer::FileStamp;
use tokio::sync::mpsc;

use super::{
    Scope, SkipReason,
    filter::Filter,
    inspect::{Rules, failed, is_absent, unreadable},
};
use crate::catalog::{Apart, Share, local};

/// Files that are handed over together.
const BATCH: usize = 512;

/// What is walked through: a file, or a folder with what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// Absolute, and no link.
    pub(crate) root: PathBuf,
    /// Hidden files too.
    pub(crate) hidden: bool,
    /// Links are followed wherever they lead.
    pub(crate) follow_links: bool,
    /// What it has to be, a file or a folder; `None`: either.
    pub(crate) is_file: Option<bool>,
    /// What it does not have.
    pub(crate) apart: Arc<Apart>,
}

impl From<&Share> for Tree {
    fn from(share: &Share) -> Self {
        let &Share { hidden, follow_links, is_file, .. } = share;
        Self { root: share.root.clone(), hidden, follow_links, is_file, apart: Arc::default() }
    }
}

/// A file that may be shared.
#[derive(Debug)]
pub(super) struct Found {
    /// Its place below the root.
    pub(super) key: Vec<u8>,
    pub(super) stamp: FileStamp,
}

/// What a walk came upon.
#[derive(Debug)]
pub(super) enum Step {
    Found(Found),
    Skipped(PathBuf, SkipReason),
}

/// Goes through the files of a part of a share in the order of their keys, and hands over what it comes upon. Ends early
/// when nobody takes it any more. Blocks.
pub(super) fn walk(
    tree: &Tree,
    scope: &Scope,
    data_dir: &Path,
    excluded: Vec<Vec<u8>>,
    batches: &mpsc::Sender<Vec<Step>>,
) {
    let Tree { root, follow_links, apart, .. } = tree;
    let rules = Rules { root, follow_links: *follow_links, data_dir, apart };
    let mut batch = Vec::with_capacity(BATCH);
    let went_on = visit(tree, scope, excluded, |met| {
        match met {
            Met::Folder(_) => return true,
            Met::File(path) => batch.extend(look_at(&rules, path)),
            Met::Failed(path, reason) => batch.push(Step::Skipped(path, reason)),
        }
        if batch.len() < BATCH {
            return true;
        }
        let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
        batches.blocking_send(full).is_ok()
    });
    if went_on {
        // Nobody may be waiting any more.
        let _ = batches.blocking_send(batch);
    }
}

/// Goes through the folders of a part of a share, those above first, until `each` says `false`. Blocks.
pub(crate) fn folders(
    tree: &Tree,
    scope: &Scope,
    excluded: Vec<Vec<u8>>,
    mut each: impl FnMut(&Path) -> bool,
) {
    visit(tree, scope, excluded, |met| match met {
        Met::Folder(path) => each(path),
        Met::File(_) | Met::Failed(..) => true,
    });
}

/// Something that a walk comes upon.
enum Met<'a> {
    Folder(&'a Path),
    /// Anything that is no folder.
    File(PathBuf),
    Failed(PathBuf, SkipReason),
}

/// Goes through a part of a share until `each` says `false`; whether it never did.
fn visit(
    tree: &Tree,
    scope: &Scope,
    excluded: Vec<Vec<u8>>,
    mut each: impl FnMut(Met<'_>) -> bool,
) -> bool {
    if let Some(wanted) = tree.is_file
        && let Ok(Some(is_folder)) = kind_of(&tree.root, true)
        && wanted == is_folder
    {
        return each(Met::Failed(tree.root.clone(), SkipReason::OtherKind));
    }
    let filter = Arc::new(Mutex::new(Filter::new(tree, excluded)));
    for key in scope.places().iter() {
        let place = local::place(&tree.root, key);
        let went_on = match kind_of(&place, tree.follow_links || key.is_empty()) {
            Ok(None) => true,
            Ok(Some(is_folder)) if !admits(&filter, &local::from_key(key), is_folder) => true,
            Ok(Some(true)) => visit_folder(tree, &place, &filter, &mut each),
            Ok(Some(false)) => each(Met::File(place)),
            Err(error) => each(Met::Failed(place, failed(&error))),
        };
        let mut faults = lock(&filter).take_faults().into_iter();
        if !went_on || !faults.all(|(path, reason)| each(Met::Failed(path, reason))) {
            return false;
        }
    }
    true
}

/// Whether something is a folder; `None`: it is not there.
fn kind_of(place: &Path, follow_links: bool) -> io::Result<Option<bool>> {
    let metadata = match fs::symlink_metadata(place) {
        // A link that leads nowhere is there all the same.
        Ok(metadata) if metadata.is_symlink() && follow_links => {
            return Ok(Some(fs::metadata(place).is_ok_and(|target| target.is_dir())));
        }
        other => other,
    };
    match metadata {
        Ok(metadata) => Ok(Some(metadata.is_dir())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn visit_folder(
    tree: &Tree,
    folder: &Path,
    filter: &Arc<Mutex<Filter>>,
    each: &mut impl FnMut(Met<'_>) -> bool,
) -> bool {
    for entry in walker(tree, folder, filter) {
        let faults = lock(filter).take_faults();
        let went_on = match entry {
            Ok(entry) if is_folder(&entry) => each(Met::Folder(entry.path())),
            Ok(entry) => each(Met::File(entry.into_path())),
            Err(error) => {
                let (path, reason) = failure(folder, &error);
                each(Met::Failed(path, reason))
            }
        };
        if !went_on || !faults.into_iter().all(|(path, reason)| each(Met::Failed(path, reason))) {
            return false;
        }
    }
    true
}

fn walker(tree: &Tree, folder: &Path, filter: &Arc<Mutex<Filter>>) -> ignore::Walk {
    let (root, filter) = (tree.root.clone(), filter.clone());
    WalkBuilder::new(folder)
        .standard_filters(false)
        .follow_links(tree.follow_links)
        .sort_by_file_name(Ord::cmp)
        .filter_entry(move |entry| {
            let below = entry.path().strip_prefix(&root);
            // What lies below a folder that is not admitted is not met at all.
            below.is_ok_and(|below| admits(&filter, below, is_folder(entry)))
        })
        .build()
}

fn admits(filter: &Mutex<Filter>, relative: &Path, is_folder: bool) -> bool {
    lock(filter).admits(relative, is_folder)
}

fn lock(filter: &Mutex<Filter>) -> MutexGuard<'_, Filter> {
    filter.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_folder(entry: &DirEntry) -> bool {
    // That a share's root has become a link to a folder changes nothing: it was moved, most likely.
    let is_root = entry.depth() == 0 && entry.path_is_symlink();
    entry.file_type().is_some_and(|kind| kind.is_dir()) || (is_root && entry.path().is_dir())
}

/// `None` for a file that is gone by now.
fn look_at(rules: &Rules<'_>, path: PathBuf) -> Option<Step> {
    let key = path.strip_prefix(rules.root).ok().and_then(local::to_key);
    let Some(key) = key else {
        let reason = "names that are not Unicode cannot be kept here".to_owned();
        return Some(Step::Skipped(path, SkipReason::NoName(reason)));
    };
    match rules.inspect(&path) {
        Ok(stamp) => Some(Step::Found(Found { key, stamp })),
        Err(SkipReason::Gone) => None,
        Err(reason) => Some(Step::Skipped(path, reason)),
    }
}

fn failure(folder: &Path, error: &ignore::Error) -> (PathBuf, SkipReason) {
    let path = path_of(error).unwrap_or(folder).to_owned();
    let reason = match error.io_error() {
        Some(error) => unreadable(system_error(error).as_ref().unwrap_or(error)),
        None => SkipReason::Unreadable(error.to_string()),
    };
    (path, reason)
}

/// What the system said, without the words that others put around it.
fn system_error(error: &io::Error) -> Option<io::Error> {
    let inner = error.get_ref()?.source()?.downcast_ref::<io::Error>()?;
    inner.raw_os_error().map(io::Error::from_raw_os_error)
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            path_of(err)
        }
        ignore::Error::Loop { child, .. } => Some(child),
        _ => None,
    }
}
