//! What of a share is looked at: what is hidden, was unshared or matches a pattern is not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    SkipReason,
    patterns::{IGNORE_FILE, Patterns},
};
use crate::catalog::{Share, local};

/// Decides for one look at a share. Keeps what it has read of the folders above the last thing that was asked for, so
/// that a walk reads the patterns of each folder once.
#[derive(Debug)]
pub(super) struct Filter {
    root: PathBuf,
    hidden: bool,
    follow_links: bool,
    /// Keys in order.
    excluded: Vec<Vec<u8>>,
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
}

impl Filter {
    pub(super) fn new(share: &Share, excluded: Vec<Vec<u8>>) -> Self {
        Self {
            root: share.root.clone(),
            hidden: share.hidden,
            follow_links: share.follow_links,
            excluded,
            levels: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Whether something below the root is looked at; the folders above it count too. Blocks.
    pub(super) fn admits(&mut self, relative: &Path, is_folder: bool) -> bool {
        let Some(parent) = relative.parent() else {
            return true;
        };
        self.enter(parent);
        let is_open = self.levels.last().is_some_and(|level| level.patterns.is_some());
        is_open && !self.is_out(relative, is_folder)
    }

    /// What is wrong with files of patterns that were read since this was asked last.
    pub(super) fn take_faults(&mut self) -> Vec<(PathBuf, SkipReason)> {
        std::mem::take(&mut self.faults)
    }

    /// Makes the levels those down to this folder.
    fn enter(&mut self, folder: &Path) {
        while self.levels.last().is_some_and(|level| !folder.starts_with(&level.path)) {
            self.levels.pop();
        }
        if self.levels.is_empty() {
            let patterns = Some(self.load(Path::new("")));
            self.levels.push(Level { path: PathBuf::new(), patterns });
        }
        while let Some(last) = self.levels.last()
            && let Ok(rest) = folder.strip_prefix(&last.path)
            && let Some(next) = rest.components().next()
        {
            let path = last.path.join(next);
            let is_in = last.patterns.is_some() && !self.is_out(&path, true);
            let patterns = (is_in && self.is_folder(&path)).then(|| self.load(&path));
            self.levels.push(Level { path, patterns });
        }
    }

    fn load(&mut self, folder: &Path) -> Patterns {
        let folder =
            if folder.as_os_str().is_empty() { self.root.clone() } else { self.root.join(folder) };
        let (patterns, fault) = Patterns::load(&folder);
        if let Some(fault) = fault {
            self.faults.push((folder.join(IGNORE_FILE), SkipReason::BadPatterns(fault)));
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

    /// Whether a walk goes into it: a link to a folder counts only where links are followed.
    fn is_folder(&self, relative: &Path) -> bool {
        let path = self.root.join(relative);
        let metadata =
            if self.follow_links { fs::metadata(path) } else { fs::symlink_metadata(path) };
        metadata.is_ok_and(|metadata| metadata.is_dir())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(root: &Path, hidden: bool) -> Filter {
        let excluded = vec![b"un\0shared".to_vec()];
        let root = root.to_owned();
        let (levels, faults) = (Vec::new(), Vec::new());
        Filter { root, hidden, follow_links: false, excluded, levels, faults }
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
