//! The keys that an index signs grants with, in a file: they are what peers know it by, whatever its store.
//!
//! An index that starts with other keys than before is a stranger to its peers: they stop, and their users must log in
//! again with `--accept-new-key`. So keys are read from their file ([`load_or_make`]), which goes into every backup, and
//! not made at each start. `p2pshare-index keys rotate --key-file FILE` changes them so that peers follow; an index that
//! runs takes them up by [`watch()`].

mod file;
mod watch;

pub use file::load_or_make;
pub(crate) use file::{load, save};
pub use watch::watch;

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use p2pshare_core::{auth::SignerError, private_file::FileError};

/// Why there are no keys to sign with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// Their file cannot be used: it cannot be read or written, others may read it, or it is damaged.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// No key can be made.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// They cannot be written as JSON.
    #[error("the keys cannot be written: {0}")]
    Text(#[source] serde_json::Error),
}

impl KeysError {
    fn file(path: &Path, what: impl Display) -> Self {
        Self::File { path: path.to_path_buf(), what: what.to_string() }
    }
}

impl From<FileError> for KeysError {
    fn from(FileError { path, what }: FileError) -> Self {
        Self::File { path, what }
    }
}
