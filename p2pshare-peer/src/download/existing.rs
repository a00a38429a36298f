//! What is there under the name of a file that is to be fetched.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use p2pshare_core::{
    content::{HashError, Manifest, hash_file},
    transfer::FileStamp,
};

use crate::share::open_file;

/// Ends the hashing of a file that nobody waits for any more.
#[derive(Default)]
pub(super) struct CancelOnDrop(pub(super) Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Hashes what is there under a name; `None` if nothing is. With it what the file was, if it was the same all the time.
pub(super) fn hash_existing(path: &Path, cancel: &AtomicBool) -> Result<Option<Hashed>, HashError> {
    // What is wrong with the place is told when it is written there.
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let file = match open_file(path) {
        // It is a link that leads nowhere.
        Err(HashError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(HashError::NotAFile);
        }
        other => other?,
    };
    let before = FileStamp::of_file(&file)?;
    let manifest = hash_file(&file, None, &|_| (), cancel)?;
    let after = FileStamp::of_file(&file)?;
    Ok(Some((manifest, (before == after).then_some(after))))
}

/// What a file is, and what its very file was, if that was the same all the time.
pub(super) type Hashed = (Manifest, Option<FileStamp>);

#[cfg(test)]
mod tests {
    use p2pshare_core::content::ContentId;

    use super::*;

    fn hashed(path: &Path) -> Result<Option<ContentId>, HashError> {
        let found = hash_existing(path, &AtomicBool::new(false))?;
        Ok(found.map(|(manifest, stamp)| {
            let metadata = path.metadata().unwrap();
            assert_eq!(stamp, Some(FileStamp::of(&metadata)));
            manifest.id()
        }))
    }

    #[test]
    fn what_is_there_is_hashed_if_it_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert!(matches!(hashed(&file), Ok(None)));
        std::fs::write(&file, b"hello").unwrap();
        assert_eq!(hashed(&file).unwrap(), Some(ContentId::of(b"hello")));
        assert!(matches!(hashed(folder.path()), Err(HashError::NotAFile)));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_no_file_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let [pipe, link] = ["pipe", "link"].map(|name| folder.path().join(name));
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        for path in [pipe, link] {
            assert!(matches!(hashed(&path), Err(HashError::NotAFile)));
        }
    }
}
