//! What of a share is looked at: what is hidden, was unshared, matches a pattern or is p2pshare's own is not.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    SkipReason,
    inspect::{is_lasting, unreadable},
    patterns::{IGNORE_FILE, Patterns},
    walk::Tree,
};
use crate::{
    catalog::{Apart, local},
    data_dir::{is_data_dir, is_made_by_peer},
};

/// Decides for one look at a share. Keeps what it has read of the folders above the last thing that was asked for, so
/// that a walk reads the patterns of each folder once.
#[derive(Debug)]
pub(super) struct Filter {
    root: PathBuf,
    hidden: bool,
    follow_links: bool,
    /// Keys in order.
    excluded: Vec<Vec<u8>>,
    apart: Arc<Apart>,
    /// From the root down, each in the one before.
    levels: Vec<Level>,
    faults: Vec<(PathBuf, SkipReason)>,
}

/// A folder.
#[derive(Debug)]
struct Level {
    /// Below the root.
    path: PathBuf,
    /// `None`: nothing in it is looked at.
    patterns: Option<Patterns>,
    /// A peer or an index keeps its data in it.
    is_data: bool,
}

impl Filter {
    pub(super) fn new(tree: &Tree, excluded: Vec<Vec<u8>>) -> Self {
        Self {
            root: tree.root.clone(),
            hidden: tree.hidden,
            follow_links: tree.follow_links,
            excluded,
            apart: tree.apart.clone(),
            levels: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Whether something below the root is looked at; the folders above it count too. Blocks.
    pub(super) fn admits(&mut self, relative: &Path, is_folder: bool) -> bool {
        let wrong = match relative.parent() {
            None if !is_folder && self.root.parent().is_some_and(is_data_dir) => {
                Some(SkipReason::OwnData)
            }
            None => None,
            Some(parent) => {
                self.enter(parent);
                let is_open = self.levels.last().is_some_and(|level| level.patterns.is_some());
                if !is_open || self.is_out(relative, is_folder) {
                    return false;
                }
                self.wrong_with(relative, is_folder)
            }
        };
        let Some(wrong) = wrong else { return true };
        let place = local::to_key(relative).map(|key| local::place(&self.root, &key));
        let place = place.unwrap_or_else(|| self.root.join(relative));
        self.faults.push((place, wrong));
        false
    }

    /// What is wrong with files of patterns that were read since this was asked last, and what was left out of data
    /// directories.
    pub(super) fn take_faults(&mut self) -> Vec<(PathBuf, SkipReason)> {
        std::mem::take(&mut self.faults)
    }

    /// Makes the levels those down to this folder.
    fn enter(&mut self, folder: &Path) {
        while self.levels.last().is_some_and(|level| !folder.starts_with(&level.path)) {
            self.levels.pop();
        }
        if self.levels.is_empty() {
            let root = self.open(PathBuf::new());
            self.levels.push(root);
        }
        while let Some(last) = self.levels.last()
            && let Ok(rest) = folder.strip_prefix(&last.path)
            && let Some(next) = rest.components().next()
        {
            let path = last.path.join(next);
            let is_in = last.patterns.is_some()
                && !self.is_out(&path, true)
                && self.wrong_with(&path, true).is_none()
                && self.is_folder(&path);
            let level = match is_in {
                true => self.open(path),
                false => Level { path, patterns: None, is_data: false },
            };
            self.levels.push(level);
        }
    }

    /// A folder that is looked into.
    fn open(&mut self, path: PathBuf) -> Level {
        let patterns = Some(self.load(&path));
        let is_data = is_data_dir(&self.root.join(&path));
        Level { path, patterns, is_data }
    }

    fn load(&mut self, folder: &Path) -> Patterns {
        let folder =
            if folder.as_os_str().is_empty() { self.root.clone() } else { self.root.join(folder) };
        let (patterns, fault) = Patterns::load(&folder);
        if let Some(fault) = fault {
            self.faults.push(match &patterns {
                // What is known of the folder stays.
                Patterns::Unread => (folder, SkipReason::NotNow(format!("{IGNORE_FILE}: {fault}"))),
                Patterns::Shut => (folder, SkipReason::Unreadable(fault)),
                _ => (folder.join(IGNORE_FILE), SkipReason::BadPatterns(fault)),
            });
        }
        patterns
    }

    /// Whether something is not looked at though its folder is, which is the last level or the one before.
    fn is_out(&self, relative: &Path, is_folder: bool) -> bool {
        let is_hidden =
            || relative.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_excluded =
            || local::to_key(relative).is_some_and(|key| self.excluded.binary_search(&key).is_ok());
        // The innermost that says something decides. It cannot make visible what is hidden: the file may be a stranger's.
        let is_ignored = || {
            let path = self.root.join(relative);
            let mut said = self.levels.iter().rev().filter_map(|level| level.patterns.as_ref());
            said.find_map(|patterns| patterns.ignore(&path, is_folder)).unwrap_or(false)
        };
        (!self.hidden && is_hidden()) || is_excluded() || is_ignored()
    }

    /// Why something that is not out is not looked at all the same.
    fn wrong_with(&self, relative: &Path, is_folder: bool) -> Option<SkipReason> {
        if self.is_own(relative, is_folder) {
            return Some(SkipReason::OwnData);
        }
        self.apart.was_root(&self.root.join(relative)).then_some(SkipReason::Moved)
    }

    /// Whether something belongs to the data of a peer or an index: their files lie directly in a data directory, which is
    /// the last level, besides the folders that they make there.
    fn is_own(&self, relative: &Path, is_folder: bool) -> bool {
        let is_data = self.levels.last().is_some_and(|level| level.is_data);
        is_data && (!is_folder || relative.file_name().is_some_and(is_made_by_peer))
    }

    /// Whether a walk goes into it: a link to a folder counts only where links are followed.
    fn is_folder(&mut self, relative: &Path) -> bool {
        let path = self.root.join(relative);
        let metadata =
            if self.follow_links { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        match metadata {
            Ok(metadata) => metadata.is_dir(),
            Err(error) => {
                if !is_lasting(&error) {
                    self.faults.push((path, unreadable(&error)));
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(root: &Path, hidden: bool) -> Filter {
        let excluded = vec![b"un\0shared".to_vec()];
        let root = root.to_owned();
        let (levels, faults) = (Vec::new(), Vec::new());
        let apart = Arc::default();
        Filter { root, hidden, follow_links: false, excluded, apart, levels, faults }
    }

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_a_walk_does_not_meet_is_not_admitted_by_itself_either() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, ".p2pignore", "!.secret\n*.log\nbuild/\n");
        write(root, "sub/.p2pignore", "!keep.log\n");
        write(root, "build/.p2pignore", "!file\n");
        let mut filter = filter(root, false);
        for (name, is) in [
            ("a", true),
            ("a.log", false),
            ("sub/keep.log", true),
            ("sub/deeper/keep.log", true),
            ("sub/a.log", false),
            // Patterns hide, and never show what is hidden.
            (".secret", false),
            (".git/config", false),
            // Nothing in a folder that is ignored comes back.
            ("build/file", false),
            ("un/shared/below/it", false),
            ("un/other", true),
        ] {
            let parent = root.join(name);
            fs::create_dir_all(parent.parent().unwrap()).unwrap();
            assert_eq!(filter.admits(Path::new(name), false), is, "{name}");
        }
        assert!(filter.admits(Path::new(""), true));
        assert!(!filter.admits(Path::new("build"), true));
        assert!(filter.take_faults().is_empty());
    }

    #[test]
    fn hidden_files_are_admitted_where_they_are_shared() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), ".config/.p2pignore", "private\n");
        let mut filter = filter(folder.path(), true);
        assert!(filter.admits(Path::new(".config/shown"), false));
        assert!(!filter.admits(Path::new(".config/private"), false));
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_admitted_through_a_link_to_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "real/file", "");
        std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
        let mut filter = filter(folder.path(), false);
        assert!(filter.admits(Path::new("real/file"), false));
        assert!(!filter.admits(Path::new("link/file"), false));
        filter.follow_links = true;
        filter.levels.clear();
        assert!(filter.admits(Path::new("link/file"), false));
    }

    #[test]
    fn the_files_of_a_data_directory_are_not_admitted() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["peer/peer.key", "peer/music/song", "peer/cache/part", "index/index.db"] {
            write(folder.path(), name, "");
        }
        write(folder.path(), "index/keys.json", "");
        let mut filter = filter(folder.path(), false);
        for (name, is_folder, is) in [
            ("index", true, true),
            ("index/index.db", false, false),
            ("index/keys.json", false, false),
            ("peer/cache", true, false),
            ("peer/cache/part", false, false),
            ("peer/music", true, true),
            ("peer/music/song", false, true),
            ("peer/peer.key", false, false),
        ] {
            assert_eq!(filter.admits(Path::new(name), is_folder), is, "{name}");
        }
        let faults = filter.take_faults();
        assert!(faults.iter().all(|(_, reason)| *reason == SkipReason::OwnData), "{faults:?}");
        assert_eq!(faults.len(), 4);
    }

    #[test]
    fn patterns_that_cannot_be_read_hide_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "large/.p2pignore", &"x".repeat(1 << 20));
        let mut filter = filter(folder.path(), false);
        assert!(!filter.admits(Path::new("large/file"), false));
        assert!(filter.admits(Path::new("beside"), false));
        let faults = filter.take_faults();
        assert!(
            matches!(&faults[..], [(path, SkipReason::BadPatterns(_))] if path.ends_with("large/.p2pignore"))
        );
    }
}
