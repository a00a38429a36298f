//! How the manager of downloads fails.

use p2pshare_core::backend::sqlite::DatabaseError;

use super::{DownloadId, DownloadState};

/// Why something could not be done with downloads.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadsError {
    /// The database failed.
    #[error("the list of downloads: {0}")]
    Database(#[from] DatabaseError),
    /// Nobody is logged in, so there are no downloads to see or to add.
    #[error("nobody is logged in: downloads belong to an account, log in first")]
    LoggedOut,
    /// There is no such download of this account.
    #[error("there is no download {0}")]
    NotFound(DownloadId),
    /// A download in this state does not allow it.
    #[error("download {id} is {state}: {instead}")]
    State {
        /// Which.
        id: DownloadId,
        /// How far it is.
        state: DownloadState,
        /// What can be done.
        instead: &'static str,
    },
    /// Nothing was named, or too much.
    #[error("{0}")]
    Invalid(String),
    /// The folder of what is read while it is downloaded cannot be used.
    #[error("using the folder {} failed: {error}", path.display())]
    Cache {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
}
