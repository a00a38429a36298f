//! What tells whether a file is still the one that was hashed.

use std::{
    fs::{File, Metadata},
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::transfer::TransferError;

/// The state of a file when it was hashed.
///
/// Two equal stamps mean, for all that the file system tells, the same bytes. Who forges times of modification can
/// deceive it: a receiver verifies all the same. The time of the last change of metadata is left out on purpose:
/// renaming a file or changing its permissions does not change its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    /// Length in bytes.
    pub len: u64,
    /// Time of the last modification in nanoseconds since the Unix epoch; 0 where the file system does not know it.
    pub mtime_ns: i64,
    /// Number of the inode; 0 on systems without.
    pub inode: u64,
}

impl FileStamp {
    /// The stamp of the file that has this metadata.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            mtime_ns: metadata.modified().map_or(0, nanoseconds),
            inode: inode(metadata),
        }
    }

    /// The stamp of an open file.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::of(&file.metadata()?))
    }

    /// Says whether an open file still has this stamp.
    ///
    /// # Errors
    ///
    /// [`TransferError::Changed`] when it has another, [`TransferError::Io`] when that cannot be told.
    pub fn check(&self, file: &File) -> Result<(), TransferError> {
        if Self::of_file(file)? != *self {
            return Err(TransferError::Changed);
        }
        Ok(())
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}
