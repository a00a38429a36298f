//! Why the program failed.

use std::{fmt::Display, io, path::Path, process::ExitCode};

use p2pshare_core::{
    auth::SignerError,
    index::{IndexError, store::StoreError},
    private_file::FileError,
};

use crate::{TlsError, keys::KeysError};

/// What went wrong, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The arguments or the configuration do not make sense.
    #[error("{0}")]
    Usage(String),
    /// Something failed that has no kind of its own.
    #[error("{0}")]
    Failed(String),
    /// A file cannot be used.
    #[error("{path}: {what}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A file that holds secrets, or a folder for them.
    #[error(transparent)]
    PrivateFile(#[from] FileError),
    /// The file of the signing keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// No signing key can be made.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// The store.
    #[error("{store}: {source}")]
    Store {
        /// Its URI.
        store: String,
        /// What it says.
        source: StoreError,
    },
    /// A rule of the index.
    #[error("{0}")]
    Index(IndexError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Standard output is gone.
    #[error("the output cannot be written: {0}")]
    Output(#[source] io::Error),
}

impl CliError {
    pub(super) fn file(path: &Path, what: impl Display) -> Self {
        Self::File { path: path.display().to_string(), what: what.to_string() }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }
}
