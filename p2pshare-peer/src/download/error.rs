//! Why a content could not be fetched.

use p2pshare_core::{
    content::{ContentId, HashError},
    swarm::DownloadError,
    transfer::{SinkError, TransferError},
};

use super::is_away;
use crate::index_client::ClientError;

/// Why one content did not become a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The index did not say where it is.
    #[error(transparent)]
    Index(#[from] ClientError),
    /// It does not exist, or not for this user, or no longer.
    #[error("content {0} is not shared by anybody you can see: search again for what is there now")]
    NotFound(ContentId),
    /// It could not be fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// What is there under its name could not be read.
    #[error("reading {path} failed: {error}")]
    Existing {
        /// The file.
        path: String,
        /// Why.
        #[source]
        error: HashError,
    },
}

impl FetchError {
    /// Whether a source found that its file has changed, or cannot be read.
    pub(crate) fn is_changed(&self) -> bool {
        matches!(self, Self::Download(error) if is_changed(error))
    }

    /// Whether nobody gives it at the moment, for who waits for it.
    pub(crate) fn is_no_source(&self) -> bool {
        match self {
            Self::Download(DownloadError::NoSources { .. }) => true,
            Self::Download(DownloadError::AllFailed { causes }) => {
                causes.iter().any(|(_, cause)| {
                    is_away(cause) || cause.is_passing() && !matches!(cause, TransferError::Io(_))
                })
            }
            _ => false,
        }
    }
}

impl From<SinkError> for FetchError {
    fn from(error: SinkError) -> Self {
        Self::Download(error.into())
    }
}

/// Whether a source found that its file has changed, or cannot be read.
pub(super) fn is_changed(error: &DownloadError) -> bool {
    match error {
        DownloadError::AllFailed { causes } => {
            let is_changed =
                |cause: &_| matches!(cause, TransferError::Changed | TransferError::Io(_));
            causes.iter().any(|(_, cause)| is_changed(cause))
        }
        _ => false,
    }
}

/// Whether nobody has it any more.
pub(super) fn is_gone(error: &FetchError) -> bool {
    match error {
        FetchError::NotFound(_) | FetchError::Download(DownloadError::NoSources { .. }) => true,
        FetchError::Download(DownloadError::AllFailed { causes }) => {
            causes.iter().all(|(_, cause)| matches!(cause, TransferError::NotFound(_)))
        }
        _ => false,
    }
}
