//! Finding the files of a share.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ignore::{DirEntry, WalkBuilder};
use p2pshare_core::transfer::FileStamp;
use tokio::sync::mpsc;

use super::{SkipReason, inspect::Rules};
use crate::catalog::{Share, local};

/// Files that are handed over together.
const BATCH: usize = 512;

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

/// Goes through the files of a share in the order of their keys, and hands over what it comes upon. Ends early when
/// nobody takes it any more. Blocks.
pub(super) fn walk(
    share: &Share,
    data_dir: &Path,
    excluded: Vec<Vec<u8>>,
    batches: &mpsc::Sender<Vec<Step>>,
) {
    let rules = Rules { root: &share.root, follow_links: share.follow_links, data_dir };
    let mut batch = Vec::with_capacity(BATCH);
    for entry in walker(share, excluded) {
        let step = match entry {
            Ok(entry) if is_folder(&entry) => continue,
            Ok(entry) => look_at(&rules, entry.into_path()),
            Err(error) => Some(failure(&share.root, &error)),
        };
        batch.extend(step);
        if batch.len() >= BATCH {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if batches.blocking_send(full).is_err() {
                return;
            }
        }
    }
    // Nobody may be waiting any more.
    let _ = batches.blocking_send(batch);
}

fn walker(share: &Share, excluded: Vec<Vec<u8>>) -> ignore::Walk {
    let (root, excluded) = (share.root.clone(), Arc::new(excluded));
    WalkBuilder::new(&share.root)
        .standard_filters(false)
        .hidden(!share.hidden)
        .follow_links(share.follow_links)
        .sort_by_file_name(Ord::cmp)
        .filter_entry(move |entry| {
            let key = entry.path().strip_prefix(&root).ok().and_then(local::to_key);
            // What lies below an excluded folder is not met at all.
            key.is_none_or(|key| excluded.binary_search(&key).is_err())
        })
        .build()
}

fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
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

fn failure(root: &Path, error: &ignore::Error) -> Step {
    let path = path_of(error).unwrap_or(root).to_owned();
    let reason = match error.io_error() {
        Some(error) => error.to_string(),
        None => error.to_string(),
    };
    Step::Skipped(path, SkipReason::Unreadable(reason))
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
