//! The session that the peer keeps between its commands.

use std::fmt;

use p2pshare_core::{
    api::SessionOpened,
    auth::{IndexPublicKey, SessionToken},
    identity::Username,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    data_dir::{DataDir, DataDirError, SESSION_FILE},
    index_client::IndexUrl,
};

/// A session at an index, as it is kept in the data directory (mode 0600).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedSession {
    /// URLs of the index, as the user gave them.
    pub index: Vec<String>,
    /// The user.
    pub username: Username,
    /// The bearer token.
    pub token: SessionToken,
    /// When the session ends by itself if it is not used after the login.
    pub expires_at: Timestamp,
    /// The index's public keys that are trusted: grants of other keys are refused.
    pub public_keys: Vec<IndexPublicKey>,
}

/// Why there is no session to use.
#[derive(Debug, thiserror::Error)]
pub enum SavedSessionError {
    /// Nobody is logged in.
    #[error("nobody is logged in: run `p2pshare-peer login USER`")]
    None,
    /// The file is damaged.
    #[error("the saved session is damaged ({0}): log in again")]
    Damaged(String),
    /// The data directory failed.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
}

impl SavedSession {
    /// The session that a login opened, at an index with these keys.
    pub fn new(
        index: &[IndexUrl],
        opened: SessionOpened,
        public_keys: Vec<IndexPublicKey>,
    ) -> Self {
        Self {
            index: index.iter().map(ToString::to_string).collect(),
            username: opened.account.username,
            token: opened.token,
            expires_at: opened.expires_at,
            public_keys,
        }
    }

    /// Reads the session of a data directory.
    pub fn load(dir: &DataDir) -> Result<Self, SavedSessionError> {
        let bytes = dir.read_secret(SESSION_FILE)?.ok_or(SavedSessionError::None)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| SavedSessionError::Damaged(error.to_string()))
    }

    /// Keeps the session in a data directory, in place of the one before.
    pub fn save(&self, dir: &DataDir) -> Result<(), SavedSessionError> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| SavedSessionError::Damaged(error.to_string()))?;
        Ok(dir.write_secret(SESSION_FILE, &bytes)?)
    }

    /// Forgets the session of a data directory.
    pub fn forget(dir: &DataDir) -> Result<(), DataDirError> {
        dir.remove(SESSION_FILE)
    }

    /// URLs of the index.
    pub fn urls(&self) -> Result<Vec<IndexUrl>, SavedSessionError> {
        let parse = |text: &String| {
            text.parse().map_err(|error| SavedSessionError::Damaged(format!("{error}")))
        };
        self.index.iter().map(parse).collect()
    }
}

impl fmt::Debug for SavedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedSession")
            .field("index", &self.index)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
