//! Giving up a download that is not finished.

use std::{
    fs::{self, TryLockError},
    io::{self, ErrorKind},
    path::Path,
    thread,
};

use super::{
    name::Names,
    open::{LOCK_ATTEMPTS, LOCK_PAUSE},
    sys,
};
use crate::{content::ContentId, transfer::SinkError};

/// Removes what an unfinished download of a content to this target has left. False when there was nothing. Blocks.
pub(super) fn discard(target: &Path, content: &ContentId) -> Result<bool, SinkError> {
    let Some(names) = Names::of(target, content) else {
        return Ok(false);
    };
    let failed = |path: &Path, error| SinkError::from_io("removing", path, target, error);
    let part = match sys::open_part(&names.part, false) {
        Ok(part) => Some(part),
        Err(error) if is_absent(&error) => None,
        Err(error) => return Err(failed(&names.part, error)),
    };
    let mut left = vec![&names.manifest, &names.manifest_tmp];
    if let Some(part) = &part {
        let metadata = part.metadata().map_err(|error| failed(&names.part, error))?;
        if !metadata.is_file() {
            return Ok(false);
        }
        let free = (0..LOCK_ATTEMPTS).any(|_| match part.try_lock() {
            Err(TryLockError::WouldBlock) => {
                // Who was told to stop may still end a write.
                thread::sleep(LOCK_PAUSE);
                false
            }
            // Some network file systems have no locks.
            _ => true,
        });
        if !free {
            return Err(SinkError::Locked(target.to_owned()));
        }
        // Another download may have begun a new one meanwhile.
        if sys::is_at(&metadata, &names.part).map_err(|error| failed(&names.part, error))? {
            left.insert(0, &names.part);
        }
    }
    let mut removed = false;
    for path in left {
        match fs::remove_file(path) {
            Ok(()) => removed = true,
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(failed(path, error)),
        }
    }
    Ok(removed)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
