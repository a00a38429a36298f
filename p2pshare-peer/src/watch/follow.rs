//! Having the system tell of changes in folders.

use std::{
    collections::{BTreeMap, HashSet},
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::feed::Feed;
use crate::{
    catalog::{Share, local},
    share::{Scope, folders},
};

/// Each folder is followed by itself, so that those are left out that are not shared, and cost nothing. Elsewhere the
/// system follows a whole tree better than its folders.
const EACH_FOLDER: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Why the system does not tell of changes, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(String);

impl Refused {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells of changes in folders; the real one is the system.
pub(super) trait Follow: Send {
    /// Tells from now on, also if it does already.
    fn follow(&mut self, folder: &Path) -> Result<(), Refused>;
    /// Tells no longer.
    fn leave(&mut self, folder: &Path);
}

/// The folders that are followed.
pub(super) struct Folders {
    follow: Result<Box<dyn Follow>, Refused>,
    followed: BTreeMap<PathBuf, Option<Identity>>,
}

/// Device and inode of a folder, by which Linux follows it, whatever its name.
type Identity = (u64, u64);

#[cfg(any(target_os = "linux", target_os = "android"))]
fn identity(folder: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn identity(_: &Path) -> Option<Identity> {
    None
}

impl Folders {
    /// Those of which the system will tell.
    pub(super) fn of_system(feed: &Arc<Feed>) -> Self {
        Self::new(System::new(feed.clone()).map(|system| Box::new(system) as Box<dyn Follow>))
    }

    pub(super) fn new(follow: Result<Box<dyn Follow>, Refused>) -> Self {
        Self { follow, followed: BTreeMap::new() }
    }

    /// Follows the folders of a part of a share. Blocks.
    ///
    /// Whoever looks at the part after this misses nothing.
    pub(super) fn follow(
        &mut self,
        share: &Share,
        scope: &Scope,
        excluded: Vec<Vec<u8>>,
    ) -> Result<(), Refused> {
        self.forget_gone(share, scope);
        let Self { follow, followed } = self;
        let follow = follow.as_mut().map_err(|refused| refused.clone())?;
        let mut result = Ok(());
        let mut one = |folder: &Path| {
            result = follow.follow(folder);
            if result.is_ok() {
                followed.insert(folder.to_owned(), identity(folder));
            }
            result.is_ok()
        };
        match fs::metadata(&share.root) {
            Ok(root) if root.is_dir() && EACH_FOLDER => {
                folders(&share.into(), scope, excluded, one);
            }
            Ok(root) if root.is_dir() => {
                one(&share.root);
            }
            // Editors put another file in the place of the one that is shared.
            Ok(_) => {
                share.root.parent().map(one);
            }
            // What is not there is looked for now and then.
            Err(_) => {}
        }
        result
    }

    /// Forgets folders that are not there any more, of which the system tells no longer by itself.
    fn forget_gone(&mut self, share: &Share, scope: &Scope) {
        for key in scope.places().iter().filter(|key| !key.is_empty()) {
            let place = local::place(&share.root, key);
            if self.followed.contains_key(&place) && fs::symlink_metadata(&place).is_err() {
                let below = self.followed.range(place.clone()..);
                let below = below.map(|(folder, _)| folder);
                let below = below.take_while(|folder| folder.starts_with(&place));
                let gone: Vec<_> = below.cloned().collect();
                for folder in gone {
                    self.followed.remove(&folder);
                }
            }
        }
    }

    /// Follows the folders of a share no longer, except where one of `others` needs them. Blocks.
    pub(super) fn leave(&mut self, root: &Path, others: &[PathBuf]) {
        let Ok(follow) = &mut self.follow else {
            return;
        };
        let needed = |folder: &Path| {
            others.iter().any(|other| folder.starts_with(other) || other.parent() == Some(folder))
        };
        // A file's folder, or the share's folders.
        let alone = root.parent().filter(|_| !self.followed.contains_key(root));
        let below = self.followed.range(root.to_owned()..).map(|(folder, _)| folder.as_path());
        let below = below.take_while(|folder| folder.starts_with(root));
        let left: Vec<_> = alone
            .into_iter()
            .filter(|folder| self.followed.contains_key(*folder))
            .chain(below)
            .filter(|folder| !needed(folder))
            .map(Path::to_owned)
            .collect();
        let identities: Vec<_> =
            left.iter().map(|folder| self.followed.remove(folder).flatten()).collect();
        // A folder that was renamed is followed under its new name too, and the system knows it by neither.
        let kept: HashSet<Identity> = self.followed.values().copied().flatten().collect();
        for (folder, identity) in left.iter().zip(identities) {
            if identity.is_none_or(|identity| !kept.contains(&identity)) {
                follow.leave(folder);
            }
        }
    }
}

/// Changes as the system tells them.
struct System {
    watcher: RecommendedWatcher,
}

impl System {
    fn new(feed: Arc<Feed>) -> Result<Self, Refused> {
        let watcher = notify::recommended_watcher(move |event| feed.told(event));
        watcher.map(|watcher| Self { watcher }).map_err(|error| refused(&error))
    }
}

impl Follow for System {
    fn follow(&mut self, folder: &Path) -> Result<(), Refused> {
        let mode = if EACH_FOLDER { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };
        match self.watcher.watch(folder, mode) {
            // It went meanwhile, and its parent tells of that.
            Err(error) if is_absent(&error) => Ok(()),
            other => other.map_err(|error| refused(&error)),
        }
    }

    fn leave(&mut self, folder: &Path) {
        if let Err(error) = self.watcher.unwatch(folder) {
            tracing::debug!(folder = %folder.display(), %error, "a folder was not followed");
        }
    }
}

fn is_absent(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        }
        _ => false,
    }
}

/// Says which limit of the system is reached, if one is.
fn refused(error: &notify::Error) -> Refused {
    let limit = match &error.kind {
        ErrorKind::MaxFilesWatch => Some("max_user_watches"),
        // Too many files are open, or too many followers.
        ErrorKind::Io(error) if error.raw_os_error() == Some(EMFILE) => Some("max_user_instances"),
        _ => None,
    };
    Refused::because(match limit {
        Some(limit) => format!(
            "the system's limit fs.inotify.{limit} is reached{}: raise it, with `sysctl` or in /etc/sysctl.d, and \
             start again",
            current(limit).map_or(String::new(), |value| format!(" ({value})"))
        ),
        None => error.to_string(),
    })
}

#[cfg(unix)]
const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
#[cfg(not(unix))]
const EMFILE: i32 = -1;

fn current(limit: &str) -> Option<String> {
    let value = fs::read_to_string(format!("/proc/sys/fs/inotify/{limit}")).ok()?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_called_by_its_name() {
        let said = refused(&notify::Error::new(ErrorKind::MaxFilesWatch)).to_string();
        assert!(said.contains("fs.inotify.max_user_watches"), "{said}");
        let said = refused(&notify::Error::io(io::Error::from_raw_os_error(EMFILE))).to_string();
        assert!(said.contains("fs.inotify.max_user_instances"), "{said}");
        let said = refused(&notify::Error::generic("no luck")).to_string();
        assert!(said.contains("no luck"), "{said}");
    }
}
