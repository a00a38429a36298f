//! Contents that are read while they are downloaded: where each is read from, and downloads for readers alone.

mod cache;
mod origin;
mod temporary;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use p2pshare_core::content::ContentId;

pub(super) use origin::{Gone, Origin};

use self::{cache::Cache, temporary::Temporary};

/// What readers share: the downloads that were begun for them alone, and what came of those.
#[derive(Debug)]
pub(super) struct Readings {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    running: HashMap<ContentId, Arc<Temporary>>,
    cache: Cache,
}

impl Readings {
    /// Keeps contents in this folder, so many bytes of them that nobody reads. What is in it is removed. Blocks.
    pub(super) fn open(folder: &Path, most: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        empty(folder)?;
        let state = State { running: HashMap::new(), cache: Cache::new(most) };
        Ok(Self { folder: folder.to_owned(), state: Mutex::new(state) })
    }

    /// The file that a content is read from.
    fn target(&self, content: &ContentId) -> PathBuf {
        self.folder.join(content.to_string())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes all that is in a folder, not the folder: a disk of its own may be mounted there.
fn empty(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => std::fs::remove_dir_all(entry.path())?,
            false => std::fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}
