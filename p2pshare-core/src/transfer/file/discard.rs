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
    let file = match sys::open_part(&names.part, false) {
        Ok(part) => Some(part),
        Err(error) if is_absent(&error) => None,
        Err(error) => return Err(failed(&names.part, error)),
    };
    if let Some(part) = &file {
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
        if !sys::is_at(&metadata, &names.part).map_err(|error| failed(&names.part, error))? {
            // Another download has begun since: what is there is its own.
            return Ok(false);
        }
    }
    // Without a part file there may be one by now that is somebody's.
    let part = file.is_some().then_some(&names.part);
    let mut removed = false;
    for path in part.into_iter().chain([&names.manifest, &names.manifest_tmp]) {
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
