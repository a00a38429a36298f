//! How a node fails.

use std::{io, path::PathBuf};

use p2pshare_core::path::PathError;

use crate::{
    catalog::CatalogError,
    daemon::DaemonError,
    data_dir::DataDirError,
    downloads::DownloadsError,
    inbox::InboxError,
    index_client::{ClientError, IndexUrlError},
    publish::AnnounceFailure,
    session::SessionError,
    share::ShareError,
};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Nobody is logged in.
    #[error("nobody is logged in: log in first")]
    LoggedOut,
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The state of things does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The index refused or cannot be reached.
    #[error(transparent)]
    Index(#[from] ClientError),
    /// The index does not take this peer's word.
    #[error(transparent)]
    Announce(#[from] AnnounceFailure),
    /// What was given is no URL of an index.
    #[error(transparent)]
    IndexUrl(#[from] IndexUrlError),
    /// A session did not begin or end.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The peer does not serve.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// Something cannot be shared.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Something could not be done with downloads.
    #[error(transparent)]
    Downloads(#[from] DownloadsError),
    /// The inbox cannot be used.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// The data directory failed.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A name that cannot be used.
    #[error("the name cannot be used: {0}")]
    Name(#[from] PathError),
    /// The disk failed.
    #[error("{what} {} failed: {error}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: io::Error,
    },
    /// It runs already, or has run.
    #[error("the peer runs already or has run, and runs once: when it has ended, open it again")]
    RunTwice,
    /// Work in the background ended unexpectedly.
    #[error("the peer is stopping or has failed")]
    Interrupted,
}

impl NodeError {
    /// Makes the system's errors with this file or folder into ones of the node.
    pub(super) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { what, path, error }
    }
}
