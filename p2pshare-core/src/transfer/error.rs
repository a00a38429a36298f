//! What can go wrong between a source and a sink.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::content::{ContentId, ManifestError, PieceIndex, PieceMismatch};

/// Why a source did not give what was asked of it.
///
/// It says who is to blame, because that decides what happens next: a lie strikes the source off, a fault of the
/// moment lets it be tried again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The source does not have the content.
    #[error("the source does not have content {0}")]
    NotFound(ContentId),
    /// The source does not have this piece (yet).
    #[error("the source does not have piece {0} yet")]
    NotHeld(PieceIndex),
    /// The source's file is no longer what it shared.
    #[error("the source's file has changed since it was shared: search again for what it is now")]
    Changed,
    /// The source refuses, and would again.
    #[error("the source refuses: {0}")]
    Refused(String),
    /// The source cannot be reached, went away, or is too busy. It may be there again later.
    #[error("the source is not available: {0}")]
    Unavailable(String),
    /// The source sent nothing for too long.
    #[error("the source sent nothing for {0:?}")]
    Stalled(std::time::Duration),
    /// The source does not offer this call; another may do as well.
    #[error("the source does not offer this call: it may be of another version")]
    Unsupported,
    /// A piece from the source is not part of the content.
    #[error("the source sent wrong bytes: {0}")]
    Mismatch(#[from] PieceMismatch),
    /// The manifest from the source is not that of the content.
    #[error("the source sent a wrong manifest: {0}")]
    Manifest(#[from] ManifestError),
    /// The source, or whoever asks it, does not keep to the protocol.
    #[error("the protocol was broken: {0}")]
    Protocol(String),
    /// Reading failed at the source.
    #[error("the source could not read its file: {0}")]
    Io(#[source] Arc<io::Error>),
}

impl TransferError {
    /// Whether the source lied: it must not be asked for this content again.
    pub fn is_lie(&self) -> bool {
        matches!(self, Self::Mismatch(_) | Self::Manifest(_) | Self::Protocol(_))
    }

    /// Whether asking the same source again later makes sense.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::NotHeld(_) | Self::Unavailable(_) | Self::Stalled(_) | Self::Io(_))
    }
}

impl From<io::Error> for TransferError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// Why a sink did not take a piece or finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The bytes are not this piece of the content. Nothing was stored.
    #[error(transparent)]
    Mismatch(#[from] PieceMismatch),
    /// Pieces are missing.
    #[error("{missing} pieces are still missing")]
    Incomplete {
        /// How many.
        missing: u32,
    },
    /// Something is there already under the final name.
    #[error("{} exists already: choose another name with -o, move it away, or replace it with --overwrite", .0.display())]
    Exists(PathBuf),
    /// A folder, a pipe, a socket or a device has the final name. It is not replaced.
    #[error("{} is no file but a folder, a pipe or the like, and is not replaced: choose another name with -o, or move it away", .0.display())]
    Special(PathBuf),
    /// Another download, of this or another process, writes the same file.
    #[error("{} is being downloaded already, here or by another process: wait for it, or choose another name with -o", .0.display())]
    Locked(PathBuf),
    /// The disk is full.
    #[error("no space left for {}: make room and run the same command again, it resumes", .0.display())]
    NoSpace(PathBuf),
    /// The disk has less room than what is missing takes, as far as its file system tells. Others may take room, too:
    /// [`NoSpace`](Self::NoSpace) may still come later.
    #[error(
        "no room for {}: {} MiB more are needed and {} MiB are free; make room and run the same command again",
        path.display(), missing.div_ceil(1 << 20), free >> 20
    )]
    NoRoom {
        /// The final name.
        path: PathBuf,
        /// How many bytes more it takes.
        missing: u64,
        /// How many are free.
        free: u64,
    },
    /// Any other failure of the file system.
    #[error("{what} {} failed: {error}", path.display())]
    Io {
        /// What was tried: "writing", "renaming".
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: io::Error,
    },
}

impl SinkError {
    /// What a failure of the file system means for whoever downloads to `target`; `what` was tried on `path`.
    pub(crate) fn from_io(
        what: &'static str,
        path: &Path,
        target: &Path,
        error: io::Error,
    ) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace(target.to_owned()),
            _ => Self::Io { what, path: path.to_owned(), error },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn what_the_system_said_is_the_cause() {
        let error = TransferError::from(io::Error::other("the disk is on fire"));
        assert_eq!(error.to_string(), "the source could not read its file: the disk is on fire");
        let cause = error.source().map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("the disk is on fire"));
    }
}
