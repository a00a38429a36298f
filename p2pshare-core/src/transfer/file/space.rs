//! Room on disks.

use std::{fs::Metadata, path::Path};

/// How many bytes a file takes on its disk; 0 where that is not known.
pub(super) fn allocated(metadata: &Metadata) -> u64 {
    #[cfg(unix)]
    {
        // Always in these units, whatever the file system's blocks are.
        std::os::unix::fs::MetadataExt::blocks(metadata).saturating_mul(512)
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        0
    }
}

/// Free bytes on the disk that has a file or folder, for whoever does not administer it; `None` where that cannot be told.
/// Blocks.
#[must_use]
pub fn free_space(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let state = rustix::fs::statvfs(path).ok()?;
        // Some network file systems tell nothing.
        (state.f_blocks > 0).then(|| state.f_bavail.saturating_mul(state.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
